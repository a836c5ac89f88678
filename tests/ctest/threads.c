/* Threads that share an engine and a study get the same bits as one thread; engines are opened and
 * freed many times. In: "share" or "engines", and the number of rounds. */

#define _POSIX_C_SOURCE 200809L

#include "study.h"

#include <pthread.h>

enum { THREADS = 8 };

static int rounds;

typedef struct result {
    nasoseg_bounding_box boxes[STUDY_K];
    uint32_t actions[STUDY_K][64];
    float probability[STUDY_VOXELS];
    double volume_mm3;
    size_t contours;
    double area_mm2;
} result;

static void pipeline(const nasoseg_engine *engine, const nasoseg_study *study, result *r) {
    nasoseg_detection *detection = NULL;
    nasoseg_segmentation *segmentation = NULL;
    nasoseg_contours *contours = NULL;
    nasoseg_segmentation_view view;
    memset(r, 0, sizeof *r);
    OK(nasoseg_detect(engine, study, NULL, NULL, &detection, e));
    for (size_t k = 0; k < STUDY_K; k++) {
        nasoseg_detection_slice slice;
        nasoseg_trajectory trajectory;
        slice.struct_size = sizeof slice;
        trajectory.struct_size = sizeof trajectory;
        OK(nasoseg_detection_get_slice(detection, k, &slice, e));
        OK(nasoseg_detection_get_trajectory(detection, k, &trajectory, e));
        CHECK(trajectory.steps < 64);
        r->boxes[k] = slice.bounding_box;
        memcpy(r->actions[k], trajectory.actions, trajectory.steps * sizeof trajectory.actions[0]);
    }
    OK(nasoseg_segment(engine, study, detection, NULL, NULL, &segmentation, e));
    view.struct_size = sizeof view;
    OK(nasoseg_segmentation_get_view(segmentation, &view, e));
    memcpy(r->probability, view.probability, sizeof r->probability);
    r->volume_mm3 = view.volume_mm3;
    OK(nasoseg_contour(segmentation, NULL, NULL, &contours, e));
    r->contours = nasoseg_contours_count(contours);
    for (size_t at = 0; at < r->contours; at++) {
        nasoseg_contour_view contour;
        contour.struct_size = sizeof contour;
        OK(nasoseg_contours_get(contours, at, &contour, e));
        r->area_mm2 += contour.area_mm2;
    }
    nasoseg_contours_free(contours);
    nasoseg_segmentation_free(segmentation);
    nasoseg_detection_free(detection);
}

typedef struct job {
    const nasoseg_engine *engine;
    /* NULL: the thread makes its own study. */
    const nasoseg_study *study;
    const result *expected;
    result found;
} job;

static void *work(void *user_data) {
    job *j = (job *)user_data;
    nasoseg_study *own = j->study == NULL ? study_new() : NULL;
    for (int round = 0; round < rounds; round++) {
        pipeline(j->engine, j->study == NULL ? own : j->study, &j->found);
        CHECK(memcmp(&j->found, j->expected, sizeof j->found) == 0);
    }
    nasoseg_study_free(own);
    return NULL;
}

static void together(const nasoseg_engine *engine, const result *expected) {
    static job jobs[THREADS];
    pthread_t threads[THREADS];
    /* A new study: the first threads to use it align it. */
    nasoseg_study *shared = study_new();
    for (int t = 0; t < THREADS; t++) {
        jobs[t].engine = engine;
        jobs[t].study = t % 2 == 0 ? shared : NULL;
        jobs[t].expected = expected;
        CHECK(pthread_create(&threads[t], NULL, work, &jobs[t]) == 0);
    }
    for (int t = 0; t < THREADS; t++) {
        CHECK(pthread_join(threads[t], NULL) == 0);
    }
    nasoseg_study_free(shared);
}

int main(int argc, char **argv) {
    static result expected, found;
    nasoseg_study *study = study_new();
    CHECK(argc == 3);
    rounds = atoi(argv[2]);
    CHECK(rounds > 0);
    {
        nasoseg_engine *engine = engine_new(1, 1);
        pipeline(engine, study, &expected);
        CHECK(expected.volume_mm3 > 0.0 && expected.contours > 0);
        if (strcmp(argv[1], "share") == 0) {
            together(engine, &expected);
        }
        nasoseg_engine_free(engine);
    }
    if (strcmp(argv[1], "share") == 0) {
        /* Several model runs at once, or several threads in one, change no result. */
        nasoseg_engine *engine = engine_new(2, 4);
        together(engine, &expected);
        nasoseg_engine_free(engine);
    } else {
        nasoseg_engine *engines[10];
        for (int at = 0; at < 10; at++) {
            engines[at] = engine_new(1, 1);
            pipeline(engines[at], study, &found);
            CHECK(memcmp(&found, &expected, sizeof found) == 0);
            nasoseg_engine_free(engines[at]);
        }
        for (int at = 0; at < 10; at++) {
            engines[at] = engine_new(1, 1);
        }
        for (int at = 9; at >= 0; at--) {
            pipeline(engines[at], study, &found);
            CHECK(memcmp(&found, &expected, sizeof found) == 0);
            nasoseg_engine_free(engines[at]);
        }
    }
    nasoseg_study_free(study);
    return 0;
}
