/* Calls in the wrong order: an error that says what to do, and a study that goes on. */

#include "study.h"

int main(void) {
    seqseg_engine *engine = engine_new(1, 1), *second = engine_new(1, 1);
    seqseg_study *study = NULL, *other = study_new();
    seqseg_detection *detection = NULL;
    seqseg_segmentation *segmentation = NULL;
    seqseg_contours *contours = NULL;
    seqseg_options *options = NULL;
    const char *paths[1] = {"/nowhere"};

    OK(seqseg_study_new(&study, e));
    FAILS(SEQSEG_ERROR_ARGUMENT, seqseg_detect(engine, study, NULL, NULL, &detection, e));
    FAILS(SEQSEG_ERROR_ARGUMENT, seqseg_study_set_dicom_source(study, SEQSEG_SEQUENCE_T1C, paths, 1, NULL, NULL, e));
    study_set(study, SEQSEG_SEQUENCE_T2, NULL);
    study_set(study, SEQSEG_SEQUENCE_T1, NULL);
    FAILS(SEQSEG_ERROR_ARGUMENT, seqseg_detect(engine, study, NULL, NULL, &detection, e));
    CHECK(detection == NULL && seqseg_study_warning_count(study) == 0);
    study_set(study, SEQSEG_SEQUENCE_T1C, NULL);
    OK(seqseg_detect(engine, study, NULL, NULL, &detection, e));

    /* A detection belongs to its study and its engine. */
    FAILS(SEQSEG_ERROR_ARGUMENT, seqseg_segment(second, study, detection, NULL, NULL, &segmentation, e));
    FAILS(SEQSEG_ERROR_ARGUMENT, seqseg_segment(engine, other, detection, NULL, NULL, &segmentation, e));
    CHECK(segmentation == NULL);

    /* A sequence that is set again makes the detection stale; what was made before stays. */
    OK(seqseg_segment(engine, study, detection, NULL, NULL, &segmentation, e));
    study_set(study, SEQSEG_SEQUENCE_T1, NULL);
    {
        seqseg_segmentation *stale = NULL;
        FAILS(SEQSEG_ERROR_ARGUMENT, seqseg_segment(engine, study, detection, NULL, NULL, &stale, e));
        CHECK(stale == NULL);
    }
    OK(seqseg_contour(segmentation, NULL, NULL, &contours, e));
    golden_check(detection, segmentation, contours);

    /* Slices beyond the study; then the same study with all of them. */
    OK(seqseg_options_new(&options, e));
    OK(seqseg_options_set_slices(options, 2, 60, e));
    seqseg_detection_free(detection);
    FAILS(SEQSEG_ERROR_ARGUMENT, seqseg_detect(engine, study, options, NULL, &detection, e));
    CHECK(detection == NULL);
    OK(seqseg_options_set_slices_mm(options, 500.0, 600.0, e));
    FAILS(SEQSEG_ERROR_ARGUMENT, seqseg_detect(engine, study, options, NULL, &detection, e));
    OK(seqseg_detect(engine, study, NULL, NULL, &detection, e));

    /* The same volume twice is no study; what is wrong is put right by setting the sequence again. */
    {
        float *voxels = (float *)malloc(STUDY_VOXELS * sizeof(float));
        seqseg_volume_view view = study_view(voxels);
        seqseg_detection *none = NULL;
        CHECK(voxels != NULL);
        study_fill(SEQSEG_SEQUENCE_T1C, voxels);
        OK(seqseg_study_set_volume(other, SEQSEG_SEQUENCE_T2, &view, NULL, NULL, e));
        FAILS(SEQSEG_ERROR_GEOMETRY, seqseg_detect(engine, other, NULL, NULL, &none, e));
        /* Nor is one without contrast. */
        for (size_t v = 0; v < STUDY_VOXELS; v++) {
            voxels[v] = 7.0f;
        }
        OK(seqseg_study_set_volume(other, SEQSEG_SEQUENCE_T2, &view, NULL, NULL, e));
        FAILS(SEQSEG_ERROR_IMAGE, seqseg_detect(engine, other, NULL, NULL, &none, e));
        CHECK(none == NULL);
        study_set(other, SEQSEG_SEQUENCE_T2, NULL);
        OK(seqseg_detect(engine, other, NULL, NULL, &none, e));
        seqseg_detection_free(none);
        free(voxels);
    }

    seqseg_options_free(options);
    seqseg_contours_free(contours);
    seqseg_segmentation_free(segmentation);
    seqseg_detection_free(detection);
    seqseg_study_free(other);
    seqseg_study_free(study);
    seqseg_engine_free(second);
    seqseg_engine_free(engine);
    return 0;
}
