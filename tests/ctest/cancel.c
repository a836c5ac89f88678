/* Measures how long a cancel from another thread takes, in detection and in segmentation, with any
 * bundle: `make test-cancel BUNDLE=...`.
 *
 * In: a bundle, the longest time allowed (s), rounds. Out: for each stage the wall time and
 * processor time from setting the token to the call's return, beside the longest time between two
 * ticks (in effect the longest model run); exit status 1 if a cancel took longer than allowed. Each
 * round sets the token at a different point of a model run. On a busy machine only the processor
 * time of this process is meaningful. */

#define _POSIX_C_SOURCE 200809L

#include "study.h"

#include <pthread.h>
#include <time.h>

/* Twice the slices that one run of the trunk processes. */
enum { SLICES = 16, WARM = 8 };

static double seconds(clockid_t clock) {
    struct timespec now;
    CHECK(clock_gettime(clock, &now) == 0);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double wall(void) { return seconds(CLOCK_MONOTONIC); }
static double processor(void) { return seconds(CLOCK_PROCESS_CPUTIME_ID); }

typedef struct state {
    nasoseg_cancel_token *token;
    pthread_mutex_t lock;
    pthread_cond_t reached;
    uint32_t stage;
    /* Ticks of the stage so far, and the one after which the token is set. */
    int ticks, wanted;
    double last_tick, last_processor;
    /* Between two ticks. */
    double longest, longest_processor;
    /* Share of the longest time between ticks that passes before the token is set. */
    double share;
    double set_at, set_processor;
} state;

static bool tick(const nasoseg_progress *p, void *user_data) {
    state *s = (state *)user_data;
    if (p->stage == s->stage) {
        const double now = wall(), used = processor();
        CHECK(pthread_mutex_lock(&s->lock) == 0);
        if (s->ticks++ > 0) {
            s->longest = fmax(s->longest, now - s->last_tick);
            s->longest_processor = fmax(s->longest_processor, used - s->last_processor);
        }
        s->last_tick = now;
        s->last_processor = used;
        CHECK(pthread_cond_signal(&s->reached) == 0);
        CHECK(pthread_mutex_unlock(&s->lock) == 0);
    }
    return true;
}

static void *cancel_in_time(void *user_data) {
    state *s = (state *)user_data;
    double wait;
    struct timespec pause;
    CHECK(pthread_mutex_lock(&s->lock) == 0);
    while (s->ticks < s->wanted) {
        CHECK(pthread_cond_wait(&s->reached, &s->lock) == 0);
    }
    wait = s->share * s->longest;
    CHECK(pthread_mutex_unlock(&s->lock) == 0);
    pause.tv_sec = (time_t)wait;
    pause.tv_nsec = (long)(1e9 * (wait - floor(wait)));
    nanosleep(&pause, NULL);
    s->set_processor = processor();
    s->set_at = wall();
    nasoseg_cancel_token_cancel(s->token);
    return NULL;
}

/* A study of SLICES slices, by repeating voxels of the small one. */
static nasoseg_study *large_study(void) {
    nasoseg_study *study = NULL;
    float *voxels = (float *)malloc((size_t)STUDY_I * STUDY_J * SLICES * sizeof(float));
    CHECK(voxels != NULL);
    OK(nasoseg_study_new(&study, e));
    for (int sequence = 0; sequence < 3; sequence++) {
        nasoseg_volume_view view = study_view(voxels);
        float *v = voxels;
        for (int k = 0; k < SLICES; k++) {
            for (int j = 0; j < STUDY_J; j++) {
                for (int i = 0; i < STUDY_I; i++) {
                    *v++ = study_voxel(sequence, i, j, k * STUDY_K / SLICES) + (float)k;
                }
            }
        }
        view.size[2] = SLICES;
        OK(nasoseg_study_set_volume(study, (uint32_t)sequence, &view, NULL, NULL, e));
    }
    free(voxels);
    return study;
}

int main(int argc, char **argv) {
    const double allowed = argc > 2 ? atof(argv[2]) : 0.5;
    const int rounds = argc > 3 ? atoi(argv[3]) : 8;
    nasoseg_options *options = NULL;
    nasoseg_engine *engine = NULL;
    nasoseg_run *run = NULL;
    nasoseg_study *study;
    nasoseg_detection *detection = NULL;
    bool slow = false;
    state s;

    CHECK(argc > 1 && allowed > 0.0 && rounds > 0);
    memset(&s, 0, sizeof s);
    CHECK(pthread_mutex_init(&s.lock, NULL) == 0 && pthread_cond_init(&s.reached, NULL) == 0);
    OK(nasoseg_options_new(&options, e));
    OK(nasoseg_options_set_device(options, "cpu", e));
    OK(nasoseg_engine_new(argv[1], options, NULL, &engine, e));
    OK(nasoseg_run_new(&run, e));
    OK(nasoseg_cancel_token_new(&s.token, e));
    OK(nasoseg_run_set_progress(run, tick, &s, e));
    OK(nasoseg_run_set_cancel(run, s.token, e));
    study = large_study();
    /* Makes the detection to segment. The first runs of a session also plan its memory and are not
     * measured. */
    OK(nasoseg_options_set_slices(options, 0, WARM, e));
    OK(nasoseg_detect(engine, study, options, NULL, &detection, e));
    OK(nasoseg_options_set_slices(options, 0, SLICES, e));

    for (uint32_t stage = NASOSEG_STAGE_DETECT; stage <= NASOSEG_STAGE_SEGMENT; stage++) {
        double longest = 0.0, longest_processor = 0.0, sum = 0.0;
        int measured = 0;
        s.stage = stage;
        s.longest = s.longest_processor = 0.0;
        /* Round 0 is not measured: it determines how long a model run is. A call that returned
         * before the token was set, because its runs were short, does not count. */
        for (int round = 0; measured < rounds && round <= 8 * rounds; round++) {
            pthread_t thread;
            nasoseg_error *error = NULL;
            nasoseg_detection *found = NULL;
            nasoseg_segmentation *segmentation = NULL;
            uint32_t status;
            double took, used;
            s.ticks = 0;
            /* The first tick comes before the first model run. Both stages have enough runs for one
             * to be left when the thread wakes up. */
            s.wanted = round == 0 ? 2 : 1 + round % 4;
            s.share = round == 0 ? 0.0 : 0.9 * ((round - 1) % rounds) / rounds;
            nasoseg_cancel_token_reset(s.token);
            CHECK(pthread_create(&thread, NULL, cancel_in_time, &s) == 0);
            status = stage == NASOSEG_STAGE_DETECT
                         ? nasoseg_detect(engine, study, options, run, &found, &error)
                         : nasoseg_segment(engine, study, detection, options, run, &segmentation,
                                           &error);
            took = wall();
            used = processor();
            CHECK(pthread_join(thread, NULL) == 0);
            took -= s.set_at;
            used -= s.set_processor;
            CHECK(status == NASOSEG_CANCELLED || status == NASOSEG_OK);
            nasoseg_error_free(error);
            nasoseg_detection_free(found);
            nasoseg_segmentation_free(segmentation);
            if (round > 0 && status == NASOSEG_CANCELLED) {
                measured++;
                longest = fmax(longest, took);
                longest_processor = fmax(longest_processor, used);
                sum += took;
            }
        }
        CHECK(measured > 0);
        printf(
            "%-8s cancelled after %.3f s at most, %.3f s in the mean (processor: %.3f s at most);",
            nasoseg_stage_name(stage), longest, sum / measured, longest_processor);
        printf(" longest model run %.3f s (processor: %.3f s)\n", s.longest, s.longest_processor);
        slow = slow || longest > allowed;
    }
    if (slow) {
        fprintf(stderr, "a cancel took longer than %.3f s\n", allowed);
    }
    nasoseg_detection_free(detection);
    nasoseg_study_free(study);
    nasoseg_cancel_token_free(s.token);
    nasoseg_run_free(run);
    nasoseg_engine_free(engine);
    nasoseg_options_free(options);
    return slow;
}
