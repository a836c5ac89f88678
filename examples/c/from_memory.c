/* Segments voxels that are already in memory, as a planning system or a viewer holds them, and
 * reads mask and contours back from memory: no file but the model's is opened. The patient is a
 * drawing: a head of fat and muscle with an airway and a lesion. Build it against an installed
 * nasoseg and run it:
 *
 *     cc -std=c99 -o from_memory from_memory.c $(pkg-config --cflags --libs nasoseg)
 *     ./from_memory models/demo
 */

#include <nasoseg.h>

#include <stdio.h>
#include <stdlib.h>

/* Voxels along i, j and k. */
enum { NI = 72, NJ = 80, NK = 6 };
/* (i, j, k, 1) to LPS mm, row by row, for voxel centres. */
static const double AFFINE[16] = {3, 0, 0, -106.5, 0, 3, 0, -118.5, 0, 0, 6, -15, 0, 0, 0, 1};
/* Intensities of fat, muscle and lesion in T1, T1C and T2. */
static const float TISSUES[3][3] = {{950, 350, 370}, {900, 350, 680}, {700, 200, 300}};

static double squared(double distance, double radius) {
    return distance / radius * (distance / radius);
}

static float draw(const float tissues[3], double x, double y, double z) {
    const double head = squared(x, 78) + squared(y, 96);
    if (head > 1) {
        return 0;
    }
    if (squared(x + 4, 16) + squared(y + 8, 14) + squared(z - 6, 19) < 1) {
        return tissues[2];
    }
    if (squared(x, 14) + squared(y + 19, 9) < 1) {
        return 10;
    }
    return head > 0.81 ? tissues[0] : tissues[1];
}

/* Hands one sequence to the study, which keeps a copy: the buffer may change afterwards. */
static uint32_t set(nasoseg_study *study, uint32_t sequence, float *buffer, nasoseg_error **error) {
    nasoseg_volume_view view = {
        .struct_size = sizeof view,
        .data = buffer,
        .element = NASOSEG_ELEMENT_FLOAT32,
        .axes = NASOSEG_AXES_LPS,
        .size = {NI, NJ, NK},
        .stride = {sizeof(float), sizeof(float) * NI, sizeof(float) * NI * NJ}};
    for (int at = 0; at < 16; at++) {
        view.affine[at] = AFFINE[at];
    }
    for (int at = 0; at < NI * NJ * NK; at++) {
        const int i = at % NI, j = at / NI % NJ, k = at / (NI * NJ);
        buffer[at] = draw(TISSUES[sequence], 3 * i - 106.5, 3 * j - 118.5, 6 * k - 15.0);
    }
    return nasoseg_study_set_volume(study, sequence, &view, NULL, NULL, error);
}

/* The mask has T1C's storage order: i fastest, then j, then k. */
static uint32_t print_mask(const nasoseg_segmentation *segmentation, nasoseg_error **error) {
    nasoseg_segmentation_view view = {.struct_size = sizeof view};
    const uint32_t failed = nasoseg_segmentation_get_view(segmentation, &view, error);
    double voxels = 0, x = 0, y = 0, z = 0;
    for (int at = 0; !failed && at < NI * NJ * NK; at++) {
        if (view.mask[at] == 1) {
            voxels++;
            x += 3 * (at % NI) - 106.5;
            y += 3 * (at / NI % NJ) - 118.5;
            z += 6 * (at / (NI * NJ)) - 15.0;
        }
    }
    if (!failed) {
        printf("volume: %.1f mm3\n", voxels * 3 * 3 * 6);
    }
    if (voxels > 0) {
        printf("centre: %.1f %.1f %.1f mm\n", x / voxels, y / voxels, z / voxels);
    }
    return failed;
}

/* Points are LPS mm on the slice's plane; the last one joins the first. */
static uint32_t print_contours(const nasoseg_contours *contours, nasoseg_error **error) {
    uint32_t failed = NASOSEG_OK;
    for (size_t at = 0; !failed && at < nasoseg_contours_count(contours); at++) {
        nasoseg_contour_view ring = {.struct_size = sizeof ring};
        failed = nasoseg_contours_get(contours, at, &ring, error);
        if (!failed) {
            double left = ring.points_mm[0];
            for (size_t point = 1; point < ring.point_count; point++) {
                left = ring.points_mm[3 * point] > left ? ring.points_mm[3 * point] : left;
            }
            printf("contour on slice %zu: %s, %.1f mm2, leftmost point at x %.1f mm\n",
                   ring.storage_slice, ring.is_hole ? "hole" : "outer", ring.area_mm2, left);
        }
    }
    return failed;
}

int main(int argc, char **argv) {
    nasoseg_error *error = NULL;
    nasoseg_engine *engine = NULL;
    nasoseg_study *study = NULL;
    nasoseg_detection *detection = NULL;
    nasoseg_segmentation *segmentation = NULL;
    nasoseg_contours *contours = NULL;

    if (argc != 2) {
        fprintf(stderr, "usage: from_memory BUNDLE\n");
        return EXIT_FAILURE;
    }
    float *buffer = malloc(sizeof(float) * NI * NJ * NK);
    const bool failed =
        buffer == NULL || nasoseg_engine_new(argv[1], NULL, NULL, &engine, &error) ||
        nasoseg_study_new(&study, &error) || set(study, NASOSEG_SEQUENCE_T1, buffer, &error) ||
        set(study, NASOSEG_SEQUENCE_T1C, buffer, &error) ||
        set(study, NASOSEG_SEQUENCE_T2, buffer, &error) ||
        nasoseg_detect(engine, study, NULL, NULL, &detection, &error) ||
        nasoseg_segment(engine, study, detection, NULL, NULL, &segmentation, &error) ||
        nasoseg_contour(segmentation, NULL, NULL, &contours, &error) ||
        print_mask(segmentation, &error) || print_contours(contours, &error);
    if (failed) {
        fprintf(stderr, "%s\n", buffer ? nasoseg_error_message(error) : "out of memory");
    }

    free(buffer);
    nasoseg_error_free(error);
    nasoseg_contours_free(contours);
    nasoseg_segmentation_free(segmentation);
    nasoseg_detection_free(detection);
    nasoseg_study_free(study);
    nasoseg_engine_free(engine);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
