/* Shared by the tests: checks, a small synthetic study in memory, the golden numbers. C99 and
 * C++17.
 */

#ifndef NASOSEG_TEST_STUDY_H
#define NASOSEG_TEST_STUDY_H

#include <nasoseg.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The test ends at the first failure and prints its place. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* `call` must succeed. It passes `e` for the error. */
#define OK(call)                                                                                   \
    do {                                                                                           \
        nasoseg_error *failure_ = NULL;                                                            \
        nasoseg_error **e = &failure_;                                                             \
        const uint32_t status_ = (call);                                                           \
        if (status_ != NASOSEG_OK || failure_ != NULL) {                                           \
            fprintf(stderr, "%s:%d: %s: %u %s\n", __FILE__, __LINE__, #call, status_,              \
                    nasoseg_error_message(failure_));                                              \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* `call` must fail with `expected` and a message, and with the same status if the caller passes no
 * place for the error (`e` is NULL). */
#define FAILS(expected, call)                                                                      \
    do {                                                                                           \
        nasoseg_error *failure_ = NULL;                                                            \
        nasoseg_error **e = &failure_;                                                             \
        const uint32_t status_ = (call);                                                           \
        if (status_ != (uint32_t)(expected) || nasoseg_error_code(failure_) != status_ ||          \
            nasoseg_error_message(failure_)[0] == '\0') {                                          \
            fprintf(stderr, "%s:%d: %s: %u %s\n", __FILE__, __LINE__, #call, status_,              \
                    nasoseg_error_message(failure_));                                              \
            exit(1);                                                                               \
        }                                                                                          \
        nasoseg_error_free(failure_);                                                              \
        e = NULL;                                                                                  \
        CHECK((call) == status_);                                                                  \
    } while (0)

/* The study of tests/golden.rs, voxel by voxel: a head of fat and muscle with an airway and a
 * lesion beneath it. */
enum { STUDY_I = 72, STUDY_J = 80, STUDY_K = 6, STUDY_VOXELS = STUDY_I * STUDY_J * STUDY_K };
#define STUDY_PIXEL_MM 3.0
#define STUDY_STEP_MM 6.0

static inline double study_first(int n, double step) { return -(n - 1.0) / 2.0 * step; }

static inline double study_inside(double r) { return 1.0 / (1.0 + exp(-8.0 * (1.0 - r))); }

static inline double study_signal(int sequence, double x, double y, double z) {
    const double fat[3] = {950.0, 900.0, 700.0}, muscle[3] = {350.0, 350.0, 200.0},
                 lesion[3] = {370.0, 680.0, 300.0};
    const double head = sqrt((x / 78.0) * (x / 78.0) + (y / 96.0) * (y / 96.0));
    const double u = (x + 4.0 + 0.2 * z) / 16.0, v = (y + 8.0) / 14.0, w = (z - 6.0) / 19.0;
    const double a = x / 14.0, b = (y + 19.0) / 9.0;
    double value;
    if (head > 1.0) {
        return 5.0;
    }
    value = head > 0.9 ? fat[sequence]
                       : muscle[sequence] * (1.0 + 0.08 * (sin(x / 9.0) * cos(y / 11.0)));
    value += (10.0 - value) * study_inside(sqrt(a * a + b * b));
    return value + (lesion[sequence] - value) * study_inside(sqrt(u * u + v * v + w * w));
}

static inline float study_voxel(int sequence, int i, int j, int k) {
    return (float)round(study_signal(sequence,
                                     study_first(STUDY_I, STUDY_PIXEL_MM) + STUDY_PIXEL_MM * i,
                                     study_first(STUDY_J, STUDY_PIXEL_MM) + STUDY_PIXEL_MM * j,
                                     study_first(STUDY_K, STUDY_STEP_MM) + STUDY_STEP_MM * k));
}

static inline void study_fill(int sequence, float *voxels) {
    for (int k = 0; k < STUDY_K; k++) {
        for (int j = 0; j < STUDY_J; j++) {
            for (int i = 0; i < STUDY_I; i++) {
                *voxels++ = study_voxel(sequence, i, j, k);
            }
        }
    }
}

/* A view of STUDY_VOXELS floats. */
static inline nasoseg_volume_view study_view(const float *voxels) {
    nasoseg_volume_view view;
    memset(&view, 0, sizeof view);
    view.struct_size = sizeof view;
    view.data = voxels;
    view.element = NASOSEG_ELEMENT_FLOAT32;
    view.axes = NASOSEG_AXES_LPS;
    view.size[0] = STUDY_I;
    view.size[1] = STUDY_J;
    view.size[2] = STUDY_K;
    view.stride[0] = (int64_t)sizeof(float);
    view.stride[1] = view.stride[0] * STUDY_I;
    view.stride[2] = view.stride[1] * STUDY_J;
    view.affine[0] = STUDY_PIXEL_MM;
    view.affine[3] = study_first(STUDY_I, STUDY_PIXEL_MM);
    view.affine[5] = STUDY_PIXEL_MM;
    view.affine[7] = study_first(STUDY_J, STUDY_PIXEL_MM);
    view.affine[10] = STUDY_STEP_MM;
    view.affine[11] = study_first(STUDY_K, STUDY_STEP_MM);
    view.affine[15] = 1.0;
    return view;
}

static inline void study_set(nasoseg_study *study, int sequence, const nasoseg_run *run) {
    float *voxels = (float *)malloc(STUDY_VOXELS * sizeof(float));
    nasoseg_volume_view view = study_view(voxels);
    CHECK(voxels != NULL);
    study_fill(sequence, voxels);
    OK(nasoseg_study_set_volume(study, (uint32_t)sequence, &view, NULL, run, e));
    /* The library keeps a copy of its own. */
    memset(voxels, 0xFF, STUDY_VOXELS * sizeof(float));
    free(voxels);
}

static inline nasoseg_study *study_new(void) {
    nasoseg_study *study = NULL;
    OK(nasoseg_study_new(&study, e));
    for (int sequence = 0; sequence < 3; sequence++) {
        study_set(study, sequence, NULL);
    }
    return study;
}

static inline nasoseg_engine *engine_new(uint32_t threads, uint32_t concurrent_runs) {
    nasoseg_options *options = NULL;
    nasoseg_engine *engine = NULL;
    OK(nasoseg_options_new(&options, e));
    OK(nasoseg_options_set_device(options, "cpu", e));
    OK(nasoseg_options_set_threads(options, threads, e));
    OK(nasoseg_options_set_concurrent_runs(options, concurrent_runs, e));
    OK(nasoseg_engine_new(NASOSEG_TEST_BUNDLE, options, NULL, &engine, e));
    nasoseg_options_free(options);
    return engine;
}

/* The golden numbers that tests/golden.rs wrote: lines of a key and numbers, compared in order. */
static inline double golden_tolerance(const char *key, int column) {
    if (strcmp(key, "box") == 0) return column >= 2 ? 1e-5 : 0.0;
    if (strcmp(key, "volume_mm3") == 0) return 200.0;
    if (strcmp(key, "area") == 0) return column == 1 ? 6.0 : column == 2 ? 60.0 : 0.0;
    if (strcmp(key, "line") == 0) return column == 3 ? 6.0 : column == 4 ? 60.0 : 0.0;
    if (strcmp(key, "point") == 0) return column >= 2 ? 0.1 : 0.0;
    return 0.0;
}

/* Compares `count` numbers with the next line. */
static inline void golden_next(FILE *golden, const char *key, int count, const double *numbers) {
    char line[512], word[32];
    int at = 0;
    CHECK(fgets(line, (int)sizeof line, golden) != NULL);
    CHECK(sscanf(line, "%31s%n", word, &at) == 1);
    CHECK(strcmp(word, key) == 0);
    for (int column = 0; column < count; column++) {
        double expected = 0.0;
        int used = 0;
        CHECK(sscanf(line + at, "%lf%n", &expected, &used) == 1);
        at += used;
        if (!(fabs(numbers[column] - expected) <= golden_tolerance(key, column))) {
            fprintf(stderr, "golden: %s: number %d is %.9g\n%s", key, column, numbers[column],
                    line);
            exit(1);
        }
    }
    CHECK(line[at] == '\n' || line[at] == '\0');
}

static inline void golden_end(FILE *golden) {
    CHECK(fgetc(golden) == EOF);
    fclose(golden);
}

/* Compares results with the golden file. */
static inline void golden_check(const nasoseg_detection *detection,
                                const nasoseg_segmentation *segmentation,
                                const nasoseg_contours *contours) {
    FILE *golden = fopen(NASOSEG_TEST_GOLDEN, "r");
    double n[6];
    nasoseg_segmentation_view view;
    CHECK(golden != NULL);
    n[0] = (double)nasoseg_detection_slice_count(detection);
    golden_next(golden, "slices", 1, n);
    for (size_t at = 0; at < nasoseg_detection_slice_count(detection); at++) {
        nasoseg_detection_slice slice;
        nasoseg_trajectory trajectory;
        slice.struct_size = sizeof slice;
        trajectory.struct_size = sizeof trajectory;
        OK(nasoseg_detection_get_slice(detection, at, &slice, e));
        OK(nasoseg_detection_get_trajectory(detection, at, &trajectory, e));
        CHECK(slice.has_box && !slice.edited);
        n[0] = (double)slice.slice;
        n[1] = (double)trajectory.steps;
        n[2] = slice.bounding_box.x0;
        n[3] = slice.bounding_box.y0;
        n[4] = slice.bounding_box.x1;
        n[5] = slice.bounding_box.y1;
        golden_next(golden, "box", 6, n);
        /* The trajectory ends in the box. */
        CHECK(memcmp(trajectory.boxes + 4 * trajectory.steps, &slice.bounding_box,
                     4 * sizeof(double)) == 0);
        for (size_t step = 0; step < trajectory.steps; step++) {
            for (size_t action = 0; action < trajectory.action_count; action++) {
                CHECK(trajectory.q[step * trajectory.action_count + action] <=
                      trajectory.q[step * trajectory.action_count + trajectory.actions[step]]);
            }
        }
    }
    view.struct_size = sizeof view;
    OK(nasoseg_segmentation_get_view(segmentation, &view, e));
    n[0] = view.volume_mm3;
    golden_next(golden, "volume_mm3", 1, n);
    for (size_t at = 0; at < nasoseg_segmentation_slice_count(segmentation); at++) {
        nasoseg_segmentation_slice slice;
        slice.struct_size = sizeof slice;
        OK(nasoseg_segmentation_get_slice(segmentation, at, &slice, e));
        n[0] = (double)slice.slice;
        n[1] = (double)slice.pixels;
        n[2] = slice.area_mm2;
        golden_next(golden, "area", 3, n);
    }
    n[0] = (double)nasoseg_contours_count(contours);
    golden_next(golden, "lines", 1, n);
    for (size_t at = 0; at < nasoseg_contours_count(contours); at++) {
        nasoseg_contour_view contour;
        contour.struct_size = sizeof contour;
        OK(nasoseg_contours_get(contours, at, &contour, e));
        n[0] = (double)at;
        n[1] = (double)contour.storage_slice;
        n[2] = contour.is_hole ? 1.0 : 0.0;
        n[3] = (double)contour.point_count;
        n[4] = contour.area_mm2;
        golden_next(golden, "line", 5, n);
        for (size_t point = 0; point < contour.point_count && point < 8; point++) {
            n[0] = (double)at;
            n[1] = (double)point;
            n[2] = contour.points_mm[3 * point];
            n[3] = contour.points_mm[3 * point + 1];
            n[4] = contour.points_mm[3 * point + 2];
            golden_next(golden, "point", 5, n);
        }
    }
    golden_end(golden);
}

#endif
