/* Segments one patient and saves the result: an RT Structure Set if T1C is DICOM, otherwise the
 * mask as NIfTI. Build it against an installed nasoseg and run it (`make demo` in the repository
 * makes a synthetic patient in out/demo/study; the output folder must exist):
 *
 *     cc -std=c99 -o first_result first_result.c $(pkg-config --cflags --libs nasoseg)
 *     ./first_result study/T1 study/T1C study/T2 models/demo output
 */

#include <nasoseg.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "folder/name" in new memory; NULL if there is none left. */
static char *join(const char *folder, const char *name) {
    const size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);
    if (path != NULL) {
        snprintf(path, size, "%s/%s", folder, name);
    }
    return path;
}

static uint32_t print_slices(const nasoseg_segmentation *segmentation, nasoseg_error **error) {
    nasoseg_segmentation_view view = {.struct_size = sizeof view};
    uint32_t failed = NASOSEG_OK;
    for (size_t at = 0; !failed && at < nasoseg_segmentation_slice_count(segmentation); at++) {
        nasoseg_segmentation_slice slice = {.struct_size = sizeof slice};
        failed = nasoseg_segmentation_get_slice(segmentation, at, &slice, error);
        if (!failed) {
            printf("slice %zu: %.1f mm2\n", slice.slice, slice.area_mm2);
        }
    }
    failed = failed || nasoseg_segmentation_get_view(segmentation, &view, error);
    if (!failed) {
        printf("volume: %.1f mm3\n", view.volume_mm3);
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
    nasoseg_detection_slice first = {.struct_size = sizeof first};
    const char *name = "mask.nii.gz";
    char *file = NULL;

    if (argc != 6) {
        fprintf(stderr, "usage: first_result T1 T1C T2 BUNDLE OUTPUT\n");
        return EXIT_FAILURE;
    }
    const char *const *paths = (const char *const *)argv + 1;

    /* NULL means default options and, as a run, for neither progress nor cancel. The study is
     * validated and aligned by nasoseg_detect. */
    bool failed =
        nasoseg_engine_new(argv[4], NULL, NULL, &engine, &error) ||
        nasoseg_study_new(&study, &error) ||
        nasoseg_study_load(study, NASOSEG_SEQUENCE_T1, &paths[0], 1, NULL, NULL, &error) ||
        nasoseg_study_load(study, NASOSEG_SEQUENCE_T1C, &paths[1], 1, NULL, NULL, &error) ||
        nasoseg_study_load(study, NASOSEG_SEQUENCE_T2, &paths[2], 1, NULL, NULL, &error) ||
        nasoseg_detect(engine, study, NULL, NULL, &detection, &error) ||
        nasoseg_segment(engine, study, detection, NULL, NULL, &segmentation, &error) ||
        nasoseg_detection_get_slice(detection, 0, &first, &error);
    if (!failed) {
        if (nasoseg_engine_is_demo(engine)) {
            printf("warning: DEMO MODEL, NOT FOR CLINICAL USE. %s\n",
                   nasoseg_engine_intended_use(engine));
        }
        for (size_t at = 0; at < nasoseg_study_warning_count(study); at++) {
            printf("warning: %s\n", nasoseg_study_warning(study, at));
        }
        failed = print_slices(segmentation, &error);
    }

    /* Only a DICOM image has a SOP Instance UID. */
    const bool dicom = !failed && first.sop_instance_uid[0] != '\0';
    if (dicom) {
        name = "rtstruct.dcm";
    }
    if (!failed) {
        file = join(argv[5], name);
        failed = file == NULL;
    }
    failed =
        failed || (dicom ? nasoseg_contour(segmentation, NULL, NULL, &contours, &error) ||
                               nasoseg_contours_write_rtstruct(contours, file, NULL, NULL, &error)
                         : nasoseg_segmentation_write_mask(segmentation, file, NULL, NULL, &error));
    if (failed) {
        fprintf(stderr, "%s\n", error ? nasoseg_error_message(error) : "out of memory");
    } else {
        printf("saved: %s\n", name);
    }

    free(file);
    nasoseg_error_free(error);
    nasoseg_contours_free(contours);
    nasoseg_segmentation_free(segmentation);
    nasoseg_detection_free(detection);
    nasoseg_study_free(study);
    nasoseg_engine_free(engine);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
