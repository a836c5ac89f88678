/* Corrects what the detector found: prints the box of every slice, moves the box in the middle of
 * the lesion, clears the lowest box of the lesion, segments again and prints the areas before and
 * after. Build it against an installed nasoseg and run it (`make demo` in the
 * repository makes a synthetic patient in out/demo/study):
 *
 *     cc -std=c99 -o edit_a_box edit_a_box.c $(pkg-config --cflags --libs nasoseg)
 *     ./edit_a_box study/T1 study/T1C study/T2 models/demo
 */

#include <nasoseg.h>

#include <stdio.h>
#include <stdlib.h>

static uint32_t print_boxes(const nasoseg_detection *detection, nasoseg_error **error) {
    uint32_t failed = NASOSEG_OK;
    for (size_t at = 0; !failed && at < nasoseg_detection_slice_count(detection); at++) {
        nasoseg_detection_slice slice = {.struct_size = sizeof slice};
        failed = nasoseg_detection_get_slice(detection, at, &slice, error);
        if (!failed && slice.has_box) {
            printf("slice %zu: box %.1f %.1f %.1f %.1f\n", slice.slice, slice.bounding_box.x0,
                   slice.bounding_box.y0, slice.bounding_box.x1, slice.bounding_box.y1);
        } else if (!failed) {
            printf("slice %zu: no box\n", slice.slice);
        }
    }
    return failed;
}

/* Boxes are pixel edges on the model's square grid, 0 to `grid`. The middle one moves to the right
 * by half of its width, or as far as the grid goes. */
static uint32_t edit(nasoseg_detection *detection, const nasoseg_segmentation *segmentation,
                     double grid, nasoseg_error **error) {
    const size_t count = nasoseg_segmentation_slice_count(segmentation);
    nasoseg_detection_slice middle = {.struct_size = sizeof middle};
    size_t lowest = count, highest = 0, lowest_slice = 0;
    for (size_t at = 0; at < count; at++) {
        nasoseg_segmentation_slice slice = {.struct_size = sizeof slice};
        if (nasoseg_segmentation_get_slice(segmentation, at, &slice, error)) {
            return nasoseg_error_code(*error);
        }
        if (slice.pixels > 0) {
            lowest_slice = lowest < count ? lowest_slice : slice.slice;
            lowest = lowest < count ? lowest : at;
            highest = at;
        }
    }
    if (lowest == count) {
        return NASOSEG_OK;
    }

    const size_t at = (lowest + highest) / 2;
    uint32_t failed = nasoseg_detection_get_slice(detection, at, &middle, error);
    if (!failed && middle.has_box) {
        double shift = (middle.bounding_box.x1 - middle.bounding_box.x0) / 2.0;
        if (shift > grid - middle.bounding_box.x1) {
            shift = grid - middle.bounding_box.x1;
        }
        middle.bounding_box.x0 += shift;
        middle.bounding_box.x1 += shift;
        failed = nasoseg_detection_set_box(detection, at, &middle.bounding_box, error);
        if (!failed) {
            printf("slice %zu: box moved by %.1f pixels\n", middle.slice, shift);
        }
    }
    failed = failed || nasoseg_detection_clear_box(detection, lowest, error);
    if (!failed) {
        printf("slice %zu: box cleared\n", lowest_slice);
    }
    return failed;
}

static uint32_t print_areas(const nasoseg_segmentation *before, const nasoseg_segmentation *after,
                            nasoseg_error **error) {
    nasoseg_segmentation_view view = {.struct_size = sizeof view};
    uint32_t failed = NASOSEG_OK;
    for (size_t at = 0; !failed && at < nasoseg_segmentation_slice_count(before); at++) {
        nasoseg_segmentation_slice was = {.struct_size = sizeof was};
        nasoseg_segmentation_slice is = {.struct_size = sizeof is};
        failed = nasoseg_segmentation_get_slice(before, at, &was, error) ||
                 nasoseg_segmentation_get_slice(after, at, &is, error);
        if (!failed) {
            printf("slice %zu: %.1f mm2 before, %.1f mm2 after\n", was.slice, was.area_mm2,
                   is.area_mm2);
        }
    }
    failed = failed || nasoseg_segmentation_get_view(after, &view, error);
    if (!failed) {
        printf("edited: %s\n", view.edited ? "yes" : "no");
    }
    return failed;
}

int main(int argc, char **argv) {
    nasoseg_error *error = NULL;
    nasoseg_engine *engine = NULL;
    nasoseg_study *study = NULL;
    nasoseg_detection *detection = NULL;
    nasoseg_segmentation *before = NULL, *after = NULL;

    if (argc != 5) {
        fprintf(stderr, "usage: edit_a_box T1 T1C T2 BUNDLE\n");
        return EXIT_FAILURE;
    }
    const char *const *paths = (const char *const *)argv + 1;

    const bool failed =
        nasoseg_engine_new(argv[4], NULL, NULL, &engine, &error) ||
        nasoseg_study_new(&study, &error) ||
        nasoseg_study_load(study, NASOSEG_SEQUENCE_T1, &paths[0], 1, NULL, NULL, &error) ||
        nasoseg_study_load(study, NASOSEG_SEQUENCE_T1C, &paths[1], 1, NULL, NULL, &error) ||
        nasoseg_study_load(study, NASOSEG_SEQUENCE_T2, &paths[2], 1, NULL, NULL, &error) ||
        nasoseg_detect(engine, study, NULL, NULL, &detection, &error) ||
        print_boxes(detection, &error) ||
        nasoseg_segment(engine, study, detection, NULL, NULL, &before, &error) ||
        edit(detection, before, (double)nasoseg_engine_grid(engine), &error) ||
        nasoseg_segment(engine, study, detection, NULL, NULL, &after, &error) ||
        print_areas(before, after, &error);
    if (failed) {
        fprintf(stderr, "%s\n", nasoseg_error_message(error));
    }

    nasoseg_error_free(error);
    nasoseg_segmentation_free(after);
    nasoseg_segmentation_free(before);
    nasoseg_detection_free(detection);
    nasoseg_study_free(study);
    nasoseg_engine_free(engine);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
