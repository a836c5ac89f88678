/* Progress: order, monotonicity, thread. Cancel: at every tick, from the callback, from another
 * thread and from a signal handler; afterwards every handle gives the same bits. In: a folder to
 * write to; "brief" under valgrind, which is slow: some of the ticks, no time limits. */

#define _POSIX_C_SOURCE 200809L

#include "study.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

enum { CALLS = 12 };

static bool brief;

/* All that one pipeline requires; `stop` counts down the ticks to the one that cancels. */
typedef struct state {
    nasoseg_engine *engine;
    nasoseg_run *run;
    nasoseg_cancel_token *token;
    nasoseg_study *study;
    nasoseg_detection *detection;
    nasoseg_segmentation *segmentation;
    nasoseg_contours *contours;
    /* Loads what was written, so that the study does not change. */
    nasoseg_study *scratch;
    const char *folder;
    long stop;
    /* How the tick cancels: by returning false, or by the token. */
    bool by_token;
    long ticks;
    pthread_t thread;
    nasoseg_progress last;
    bool any;
} state;

static bool tick(const nasoseg_progress *p, void *user_data) {
    state *s = (state *)user_data;
    CHECK(pthread_equal(pthread_self(), s->thread));
    CHECK(p->struct_size >= sizeof *p && p->done <= p->total && p->stage <= NASOSEG_STAGE_EXPORT);
    if (s->any) {
        CHECK(p->stage >= s->last.stage);
        if (p->stage == s->last.stage) {
            CHECK(p->done >= s->last.done && p->total == s->last.total);
        } else {
            CHECK(s->last.done == s->last.total);
        }
    }
    s->last = *p;
    s->any = true;
    s->ticks++;
    if (s->stop > 0 && --s->stop == 0) {
        if (!s->by_token) {
            return false;
        }
        nasoseg_cancel_token_cancel(s->token);
    }
    return true;
}

/* Call `n` of the pipeline, with progress. */
static uint32_t call(state *s, int n, nasoseg_error **e) {
    char file[1024];
    s->any = false;
    s->thread = pthread_self();
    CHECK(snprintf(file, sizeof file, "%s/progress-output", s->folder) > 0);
    switch (n) {
    case 0: {
        float *voxels = (float *)malloc(STUDY_VOXELS * sizeof(float));
        nasoseg_volume_view view = study_view(voxels);
        uint32_t status;
        CHECK(voxels != NULL);
        study_fill(NASOSEG_SEQUENCE_T1C, voxels);
        status = nasoseg_study_set_volume(s->study, NASOSEG_SEQUENCE_T1C, &view, NULL, s->run, e);
        free(voxels);
        return status;
    }
    case 1:
        nasoseg_detection_free(s->detection);
        return nasoseg_detect(s->engine, s->study, NULL, s->run, &s->detection, e);
    case 2:
        nasoseg_segmentation_free(s->segmentation);
        return nasoseg_segment(s->engine, s->study, s->detection, NULL, s->run, &s->segmentation,
                               e);
    case 3:
        nasoseg_contours_free(s->contours);
        return nasoseg_contour(s->segmentation, NULL, s->run, &s->contours, e);
    case 4:
        return nasoseg_segmentation_write_mask(s->segmentation, file, NULL, s->run, e);
    case 5:
        return nasoseg_segmentation_write_record(s->segmentation, file, NULL, s->run, e);
    case 6:
        return nasoseg_write_preview(s->detection, s->segmentation, s->contours, file, NULL, s->run,
                                     e);
    case 7:
        return nasoseg_detection_write(s->detection, file, NULL, s->run, e);
    case 8: {
        nasoseg_detection *again = NULL;
        const uint32_t status =
            nasoseg_detection_read(s->engine, s->study, file, NULL, s->run, &again, e);
        CHECK((again == NULL) == (status != NASOSEG_OK));
        nasoseg_detection_free(again);
        return status;
    }
    case 9:
        return nasoseg_segmentation_write_probability(s->segmentation, file, NULL, s->run, e);
    case 10: {
        nasoseg_engine *again = NULL;
        nasoseg_options *options = NULL;
        uint32_t status;
        OK(nasoseg_options_new(&options, e));
        OK(nasoseg_options_set_device(options, "cpu", e));
        status = nasoseg_engine_new(NASOSEG_TEST_BUNDLE, options, s->run, &again, e);
        CHECK((again == NULL) == (status != NASOSEG_OK));
        nasoseg_options_free(options);
        nasoseg_engine_free(again);
        return status;
    }
    default: {
        const char *paths[1];
        paths[0] = file;
        return nasoseg_study_load(s->scratch, NASOSEG_SEQUENCE_T1, paths, 1, NULL, s->run, e);
    }
    }
}

static void done(state *s, int n) {
    OK(call(s, n, e));
    CHECK(s->any && s->last.done == s->last.total);
    CHECK(n != 1 || s->last.stage == NASOSEG_STAGE_DETECT);
    CHECK(n != 2 || s->last.stage == NASOSEG_STAGE_SEGMENT);
}

static void cancelled(state *s, int n) {
    nasoseg_error *error = NULL;
    CHECK(call(s, n, &error) == NASOSEG_CANCELLED);
    CHECK(nasoseg_error_code(error) == NASOSEG_CANCELLED &&
          nasoseg_error_message(error)[0] != '\0');
    nasoseg_error_free(error);
    CHECK(n != 1 || s->detection == NULL);
    CHECK(n != 2 || s->segmentation == NULL);
    CHECK(n != 3 || s->contours == NULL);
}

/* For every call, cancels at each tick in turn; the call is then completed, and the last one gives
 * the golden numbers. */
static void at_every_tick(state *s, bool by_token) {
    long in_detect = 0;
    s->by_token = by_token;
    for (int n = 0; n < CALLS; n++) {
        long at;
        for (at = 1;; at += brief ? 13 : 1) {
            if (n == 1) {
                /* A new study, so that aligning and preparing report ticks too. */
                study_set(s->study, NASOSEG_SEQUENCE_T1, NULL);
            }
            s->stop = 0;
            s->ticks = 0;
            if (at == 1) {
                done(s, n);
                CHECK(s->ticks > 0);
                in_detect = n == 1 ? s->ticks : in_detect;
                if (n == 1) {
                    study_set(s->study, NASOSEG_SEQUENCE_T1, NULL);
                }
            }
            {
                /* One tick more than there are: the call succeeds. */
                nasoseg_error *error = NULL;
                uint32_t status;
                s->stop = at;
                status = call(s, n, &error);
                nasoseg_error_free(error);
                if (s->stop > 0) {
                    CHECK(status == NASOSEG_OK);
                    break;
                }
                CHECK(status == NASOSEG_CANCELLED);
            }
            if (by_token) {
                CHECK(nasoseg_cancel_token_is_cancelled(s->token));
                s->stop = 0;
                /* The token stays set: the next call is cancelled at once. */
                cancelled(s, n);
                nasoseg_cancel_token_reset(s->token);
            }
        }
        s->stop = 0;
        done(s, n);
    }
    /* align 3, prepare 2, and the agent's ticks */
    CHECK(in_detect > 5 + 15);
    golden_check(s->detection, s->segmentation, s->contours);
}

static double seconds(void) {
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double cancelled_at;

static void *cancel_soon(void *token) {
    const struct timespec wait = {0, 5000000};
    nanosleep(&wait, NULL);
    cancelled_at = seconds();
    nasoseg_cancel_token_cancel((const nasoseg_cancel_token *)token);
    return NULL;
}

static void from_another_thread(state *s) {
    int stopped = 0;
    for (int round = 0; round < 5; round++) {
        pthread_t thread;
        nasoseg_error *error = NULL;
        uint32_t status = NASOSEG_OK;
        CHECK(pthread_create(&thread, NULL, cancel_soon, s->token) == 0);
        /* Repeats the call until it sees the token. */
        while (status == NASOSEG_OK) {
            status = call(s, 1, &error);
        }
        CHECK(status == NASOSEG_CANCELLED);
        nasoseg_error_free(error);
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK(brief || seconds() - cancelled_at < 0.5);
        nasoseg_cancel_token_reset(s->token);
        stopped++;
    }
    CHECK(stopped == 5);
    done(s, 1);
}

static nasoseg_cancel_token *signalled;

static void on_signal(int number) {
    (void)number;
    nasoseg_cancel_token_cancel(signalled);
}

static void from_a_signal_handler(state *s) {
    struct sigaction action;
    struct itimerval timer = {{0, 0}, {0, 7000}};
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    signalled = s->token;
    for (int round = 0; round < 5; round++) {
        nasoseg_error *error = NULL;
        uint32_t status = NASOSEG_OK;
        CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
        while (status == NASOSEG_OK) {
            status = call(s, 1, &error);
        }
        CHECK(status == NASOSEG_CANCELLED);
        nasoseg_error_free(error);
        nasoseg_cancel_token_reset(s->token);
    }
    done(s, 1);
}

int main(int argc, char **argv) {
    state s;
    memset(&s, 0, sizeof s);
    CHECK(argc == 2 || (argc == 3 && strcmp(argv[2], "brief") == 0));
    brief = argc == 3;
    s.folder = argv[1];
    s.engine = engine_new(1, 1);
    s.study = study_new();
    OK(nasoseg_study_new(&s.scratch, e));
    OK(nasoseg_run_new(&s.run, e));
    OK(nasoseg_cancel_token_new(&s.token, e));
    OK(nasoseg_run_set_progress(s.run, tick, &s, e));
    OK(nasoseg_run_set_cancel(s.run, s.token, e));

    at_every_tick(&s, false);
    at_every_tick(&s, true);
    from_another_thread(&s);
    from_a_signal_handler(&s);
    for (int n = 2; n < CALLS; n++) {
        done(&s, n);
    }
    golden_check(s.detection, s.segmentation, s.contours);

    /* A run keeps the flag of its token alive. */
    nasoseg_cancel_token_cancel(s.token);
    nasoseg_cancel_token_free(s.token);
    cancelled(&s, 3);
    OK(nasoseg_run_set_cancel(s.run, NULL, e));
    OK(nasoseg_run_set_progress(s.run, NULL, NULL, e));
    s.ticks = 0;
    OK(call(&s, 3, e));
    CHECK(s.ticks == 0);

    nasoseg_run_free(s.run);
    nasoseg_contours_free(s.contours);
    nasoseg_segmentation_free(s.segmentation);
    nasoseg_detection_free(s.detection);
    nasoseg_study_free(s.scratch);
    nasoseg_study_free(s.study);
    nasoseg_engine_free(s.engine);
    return 0;
}
