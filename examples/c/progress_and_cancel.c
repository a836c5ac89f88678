/* Shows progress, and cancels from a second thread once the segmenter has run; then uses the same
 * engine and study again, which a cancel leaves intact. Threads are POSIX threads. Build it
 * against an installed nasoseg and run it (`make demo` in the repository makes a synthetic patient
 * in out/demo/study):
 *
 *     cc -std=c99 -pthread -o progress_and_cancel progress_and_cancel.c \
 *         $(pkg-config --cflags --libs nasoseg)
 *     ./progress_and_cancel study/T1 study/T1C study/T2 models/demo
 */

#define _POSIX_C_SOURCE 200809L

#include <nasoseg.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* What the two threads share; `lock` guards `ran` and `over`. */
typedef struct shared {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    nasoseg_cancel_token *token;
    /* The segmenter has run; no call is left to cancel. */
    bool ran, over;
    nasoseg_progress last;
} shared;

static void set(shared *s, bool *flag) {
    pthread_mutex_lock(&s->lock);
    *flag = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* The second thread. */
static void *cancel(void *user_data) {
    shared *s = user_data;
    pthread_mutex_lock(&s->lock);
    while (!s->ran && !s->over) {
        pthread_cond_wait(&s->changed, &s->lock);
    }
    if (s->ran) {
        nasoseg_cancel_token_cancel(s->token);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Prints progress whenever it has changed: callbacks come at least once per model run. */
static bool show(const nasoseg_progress *p, void *user_data) {
    shared *s = user_data;
    if (p->stage != s->last.stage || p->done != s->last.done || p->total != s->last.total) {
        printf("%s %zu/%zu\n", nasoseg_stage_name(p->stage), p->done, p->total);
        s->last = *p;
    }
    return true; /* false cancels too, from this thread */
}

static bool show_then_signal(const nasoseg_progress *p, void *user_data) {
    shared *s = user_data;
    show(p, user_data);
    if (p->stage == NASOSEG_STAGE_SEGMENT && p->done > 0) {
        set(s, &s->ran);
        /* A real program returns at once; waiting makes this one print the same each time. */
        while (!nasoseg_cancel_token_is_cancelled(s->token)) {
        }
    }
    return true;
}

/* Prints the volume. The error is NULL on success. */
static nasoseg_error *segment(const nasoseg_engine *engine, const nasoseg_study *study,
                              const nasoseg_run *run) {
    nasoseg_error *error = NULL;
    nasoseg_detection *detection = NULL;
    nasoseg_segmentation *segmentation = NULL;
    nasoseg_segmentation_view view = {.struct_size = sizeof view};
    if (!nasoseg_detect(engine, study, NULL, run, &detection, &error) &&
        !nasoseg_segment(engine, study, detection, NULL, run, &segmentation, &error) &&
        !nasoseg_segmentation_get_view(segmentation, &view, &error)) {
        printf("volume: %.1f mm3\n", view.volume_mm3);
    }
    nasoseg_segmentation_free(segmentation);
    nasoseg_detection_free(detection);
    return error;
}

int main(int argc, char **argv) {
    shared s = {.lock = PTHREAD_MUTEX_INITIALIZER,
                .changed = PTHREAD_COND_INITIALIZER,
                .last = {.stage = UINT32_MAX}};
    nasoseg_error *error = NULL;
    nasoseg_engine *engine = NULL;
    nasoseg_study *study = NULL;
    nasoseg_run *run = NULL;
    pthread_t thread;

    if (argc != 5) {
        fprintf(stderr, "usage: progress_and_cancel T1 T1C T2 BUNDLE\n");
        return EXIT_FAILURE;
    }
    const char *const *paths = (const char *const *)argv + 1;

    bool failed =
        nasoseg_engine_new(argv[4], NULL, NULL, &engine, &error) ||
        nasoseg_study_new(&study, &error) ||
        nasoseg_study_load(study, NASOSEG_SEQUENCE_T1, &paths[0], 1, NULL, NULL, &error) ||
        nasoseg_study_load(study, NASOSEG_SEQUENCE_T1C, &paths[1], 1, NULL, NULL, &error) ||
        nasoseg_study_load(study, NASOSEG_SEQUENCE_T2, &paths[2], 1, NULL, NULL, &error) ||
        nasoseg_cancel_token_new(&s.token, &error) || nasoseg_run_new(&run, &error) ||
        nasoseg_run_set_progress(run, show_then_signal, &s, &error) ||
        nasoseg_run_set_cancel(run, s.token, &error) ||
        pthread_create(&thread, NULL, cancel, &s) != 0;
    if (!failed) {
        error = segment(engine, study, run);
        set(&s, &s.over);
        pthread_join(thread, NULL);
        if (nasoseg_error_code(error) == NASOSEG_CANCELLED) {
            printf("cancelled\n");
            nasoseg_error_free(error);
            error = NULL;
        }
        /* A token stays set until it is reset. */
        nasoseg_cancel_token_reset(s.token);
        s.last.stage = UINT32_MAX;
        if (error == NULL && !nasoseg_run_set_progress(run, show, &s, &error)) {
            error = segment(engine, study, run);
        }
        failed = error != NULL;
    }
    if (failed) {
        fprintf(stderr, "%s\n", error ? nasoseg_error_message(error) : "no thread can be started");
    }

    nasoseg_error_free(error);
    nasoseg_run_free(run);
    nasoseg_cancel_token_free(s.token);
    nasoseg_study_free(study);
    nasoseg_engine_free(engine);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
