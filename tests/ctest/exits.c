/* The process ends with status 0 whatever is left open. In: "open", "cancelled" or "thread". */

#define _POSIX_C_SOURCE 200809L

#include "study.h"

#include <pthread.h>

static bool stop(const seqseg_progress *progress, void *user_data) {
    (void)user_data;
    return progress->stage < SEQSEG_STAGE_DETECT;
}

static void *leave(void *nothing) {
    (void)nothing;
    exit(0);
}

int main(int argc, char **argv) {
    seqseg_engine *engine = engine_new(2, 2);
    seqseg_study *study = study_new();
    seqseg_run *run = NULL;
    seqseg_detection *detection = NULL;
    seqseg_segmentation *segmentation = NULL;
    CHECK(argc == 2);
    OK(seqseg_run_new(&run, e));
    if (strcmp(argv[1], "cancelled") == 0) {
        seqseg_error *error = NULL;
        OK(seqseg_run_set_progress(run, stop, NULL, e));
        CHECK(seqseg_detect(engine, study, NULL, run, &detection, &error) == SEQSEG_CANCELLED);
        return 0;
    }
    OK(seqseg_detect(engine, study, NULL, run, &detection, e));
    OK(seqseg_segment(engine, study, detection, NULL, run, &segmentation, e));
    if (strcmp(argv[1], "thread") == 0) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, leave, NULL) == 0);
        pthread_join(thread, NULL);
        return 1;
    }
    return 0;
}
