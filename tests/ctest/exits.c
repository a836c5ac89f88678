/* The process exits with status 0 whatever is left open. In: "open", "cancelled" or "thread". */

#define _POSIX_C_SOURCE 200809L

#include "study.h"

#include <pthread.h>

static bool stop(const nasoseg_progress *progress, void *user_data) {
    (void)user_data;
    return progress->stage < NASOSEG_STAGE_DETECT;
}

static void *leave(void *nothing) {
    (void)nothing;
    exit(0);
}

int main(int argc, char **argv) {
    nasoseg_engine *engine = engine_new(2, 2);
    nasoseg_study *study = study_new();
    nasoseg_run *run = NULL;
    nasoseg_detection *detection = NULL;
    nasoseg_segmentation *segmentation = NULL;
    CHECK(argc == 2);
    OK(nasoseg_run_new(&run, e));
    if (strcmp(argv[1], "cancelled") == 0) {
        nasoseg_error *error = NULL;
        OK(nasoseg_run_set_progress(run, stop, NULL, e));
        CHECK(nasoseg_detect(engine, study, NULL, run, &detection, &error) == NASOSEG_CANCELLED);
        return 0;
    }
    OK(nasoseg_detect(engine, study, NULL, run, &detection, e));
    OK(nasoseg_segment(engine, study, detection, NULL, run, &segmentation, e));
    if (strcmp(argv[1], "thread") == 0) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, leave, NULL) == 0);
        pthread_join(thread, NULL);
        return 1;
    }
    return 0;
}
