/* Calls in the wrong order give an error that says what to do, and the study stays usable. */

#include "study.h"

int main(void) {
    nasoseg_engine *engine = engine_new(1, 1), *second = engine_new(1, 1);
    nasoseg_study *study = NULL, *other = study_new();
    nasoseg_detection *detection = NULL;
    nasoseg_segmentation *segmentation = NULL;
    nasoseg_contours *contours = NULL;
    nasoseg_options *options = NULL;
    const char *paths[1] = {"/nowhere"};

    OK(nasoseg_study_new(&study, e));
    FAILS(NASOSEG_ERROR_ARGUMENT, nasoseg_detect(engine, study, NULL, NULL, &detection, e));
    FAILS(NASOSEG_ERROR_ARGUMENT,
          nasoseg_study_set_dicom_source(study, NASOSEG_SEQUENCE_T1C, paths, 1, NULL, NULL, e));
    study_set(study, NASOSEG_SEQUENCE_T2, NULL);
    study_set(study, NASOSEG_SEQUENCE_T1, NULL);
    FAILS(NASOSEG_ERROR_ARGUMENT, nasoseg_detect(engine, study, NULL, NULL, &detection, e));
    CHECK(detection == NULL && nasoseg_study_warning_count(study) == 0);
    study_set(study, NASOSEG_SEQUENCE_T1C, NULL);
    OK(nasoseg_detect(engine, study, NULL, NULL, &detection, e));

    /* A detection belongs to its study and its engine. */
    FAILS(NASOSEG_ERROR_ARGUMENT,
          nasoseg_segment(second, study, detection, NULL, NULL, &segmentation, e));
    FAILS(NASOSEG_ERROR_ARGUMENT,
          nasoseg_segment(engine, other, detection, NULL, NULL, &segmentation, e));
    CHECK(segmentation == NULL);

    /* Setting a sequence again invalidates the detection; earlier results stay usable. */
    OK(nasoseg_segment(engine, study, detection, NULL, NULL, &segmentation, e));
    study_set(study, NASOSEG_SEQUENCE_T1, NULL);
    {
        nasoseg_segmentation *stale = NULL;
        FAILS(NASOSEG_ERROR_ARGUMENT,
              nasoseg_segment(engine, study, detection, NULL, NULL, &stale, e));
        CHECK(stale == NULL);
    }
    OK(nasoseg_contour(segmentation, NULL, NULL, &contours, e));
    golden_check(detection, segmentation, contours);

    /* Slices beyond the study; then the same study with all of its slices. */
    OK(nasoseg_options_new(&options, e));
    OK(nasoseg_options_set_slices(options, 2, 60, e));
    nasoseg_detection_free(detection);
    FAILS(NASOSEG_ERROR_ARGUMENT, nasoseg_detect(engine, study, options, NULL, &detection, e));
    CHECK(detection == NULL);
    OK(nasoseg_options_set_slices_mm(options, 500.0, 600.0, e));
    FAILS(NASOSEG_ERROR_ARGUMENT, nasoseg_detect(engine, study, options, NULL, &detection, e));
    OK(nasoseg_detect(engine, study, NULL, NULL, &detection, e));

    /* The same volume twice is rejected; setting the sequence again repairs the study. */
    {
        float *voxels = (float *)malloc(STUDY_VOXELS * sizeof(float));
        nasoseg_volume_view view = study_view(voxels);
        nasoseg_detection *none = NULL;
        CHECK(voxels != NULL);
        study_fill(NASOSEG_SEQUENCE_T1C, voxels);
        OK(nasoseg_study_set_volume(other, NASOSEG_SEQUENCE_T2, &view, NULL, NULL, e));
        FAILS(NASOSEG_ERROR_GEOMETRY, nasoseg_detect(engine, other, NULL, NULL, &none, e));
        /* A volume without contrast is rejected too. */
        for (size_t v = 0; v < STUDY_VOXELS; v++) {
            voxels[v] = 7.0f;
        }
        OK(nasoseg_study_set_volume(other, NASOSEG_SEQUENCE_T2, &view, NULL, NULL, e));
        FAILS(NASOSEG_ERROR_IMAGE, nasoseg_detect(engine, other, NULL, NULL, &none, e));
        CHECK(none == NULL);
        study_set(other, NASOSEG_SEQUENCE_T2, NULL);
        OK(nasoseg_detect(engine, other, NULL, NULL, &none, e));
        nasoseg_detection_free(none);
        free(voxels);
    }

    nasoseg_options_free(options);
    nasoseg_contours_free(contours);
    nasoseg_segmentation_free(segmentation);
    nasoseg_detection_free(detection);
    nasoseg_study_free(other);
    nasoseg_study_free(study);
    nasoseg_engine_free(second);
    nasoseg_engine_free(engine);
    return 0;
}
