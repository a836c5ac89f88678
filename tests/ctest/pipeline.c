/* The whole pipeline from C, compared with the numbers of the Rust API; then every output, an
 * edited box, and a detection read back. In: a folder to write to. */

#include "study.h"

static char path_text[1024];

static const char *path(const char *folder, const char *name) {
    const int length = snprintf(path_text, sizeof path_text, "%s/%s", folder, name);
    CHECK(length > 0 && (size_t)length < sizeof path_text);
    return path_text;
}

static long size_of_file(const char *file) {
    FILE *f = fopen(file, "rb");
    long size;
    if (f == NULL) {
        return -1;
    }
    CHECK(fseek(f, 0, SEEK_END) == 0);
    size = ftell(f);
    fclose(f);
    return size;
}

static nasoseg_segmentation_view arrays(const nasoseg_segmentation *segmentation) {
    nasoseg_segmentation_view view;
    view.struct_size = sizeof view;
    OK(nasoseg_segmentation_get_view(segmentation, &view, e));
    return view;
}

static void same_arrays(const nasoseg_segmentation *a, const nasoseg_segmentation *b) {
    const nasoseg_segmentation_view x = arrays(a), y = arrays(b);
    CHECK(memcmp(x.mask, y.mask, STUDY_VOXELS) == 0);
    CHECK(memcmp(x.probability, y.probability, STUDY_VOXELS * sizeof(float)) == 0);
    CHECK(x.volume_mm3 == y.volume_mm3);
}

/* The view is consistent with itself and with the study's geometry. */
static void check_arrays(const nasoseg_segmentation *segmentation) {
    const nasoseg_segmentation_view view = arrays(segmentation);
    size_t set = 0;
    double areas = 0.0;
    CHECK(view.size[0] == STUDY_I && view.size[1] == STUDY_J && view.size[2] == STUDY_K);
    for (size_t v = 0; v < STUDY_VOXELS; v++) {
        CHECK(view.probability[v] >= 0.0f && view.probability[v] <= 1.0f);
        CHECK(view.mask[v] == (view.probability[v] >= view.threshold ? 1 : 0));
        set += view.mask[v];
    }
    CHECK(set > 0 && set < STUDY_VOXELS);
    CHECK(fabs(view.volume_mm3 - (double)set * STUDY_PIXEL_MM * STUDY_PIXEL_MM * STUDY_STEP_MM) <
          1e-6 * view.volume_mm3);
    for (size_t at = 0; at < nasoseg_segmentation_slice_count(segmentation); at++) {
        nasoseg_segmentation_slice slice;
        slice.struct_size = sizeof slice;
        OK(nasoseg_segmentation_get_slice(segmentation, at, &slice, e));
        areas += slice.area_mm2;
        CHECK(fabs(slice.position_mm -
                   (study_first(STUDY_K, STUDY_STEP_MM) + STUDY_STEP_MM * (double)at)) < 1e-9);
        CHECK(slice.storage_slice == at);
    }
    CHECK(fabs(areas * STUDY_STEP_MM - view.volume_mm3) < 1e-6 * view.volume_mm3);
    CHECK(view.axis_i[0] == STUDY_PIXEL_MM && view.axis_i[1] == 0.0 &&
          view.axis_j[1] == STUDY_PIXEL_MM);
    CHECK(view.affine[10] == STUDY_STEP_MM && view.affine[15] == 1.0 &&
          view.origins[2] == study_first(STUDY_K, STUDY_STEP_MM));
    CHECK(!view.edited);
}

/* Points lie on the plane of their slice, and millimetres agree with voxel indices. */
static void check_contours(const nasoseg_contours *contours) {
    for (size_t at = 0; at < nasoseg_contours_count(contours); at++) {
        nasoseg_contour_view contour;
        double twice = 0.0;
        contour.struct_size = sizeof contour;
        OK(nasoseg_contours_get(contours, at, &contour, e));
        CHECK(contour.point_count >= 3);
        for (size_t p = 0; p < contour.point_count; p++) {
            const size_t q = (p + 1) % contour.point_count;
            const double *a = contour.points_index + 2 * p, *b = contour.points_index + 2 * q,
                         *mm = contour.points_mm + 3 * p;
            twice += a[0] * b[1] - b[0] * a[1];
            CHECK(fabs(mm[0] - (study_first(STUDY_I, STUDY_PIXEL_MM) + STUDY_PIXEL_MM * a[0])) <
                  1e-9);
            CHECK(fabs(mm[1] - (study_first(STUDY_J, STUDY_PIXEL_MM) + STUDY_PIXEL_MM * a[1])) <
                  1e-9);
            CHECK(fabs(mm[2] - (study_first(STUDY_K, STUDY_STEP_MM) +
                                STUDY_STEP_MM * (double)contour.storage_slice)) < 1e-9);
        }
        /* Outer contours run counter-clockwise, holes clockwise. */
        CHECK((twice < 0.0) == contour.is_hole);
        CHECK(fabs(fabs(twice) / 2.0 * STUDY_PIXEL_MM * STUDY_PIXEL_MM - contour.area_mm2) <
              1e-6 * contour.area_mm2 + 1e-9);
        CHECK(contour.is_hole ? contour.parent < at : contour.parent == SIZE_MAX);
    }
}

/* A box's corners follow from the grid's in proportion; the model's input lies in 0 .. 1, and its
 * view stays valid. */
static void check_grid(const nasoseg_engine *engine, const nasoseg_detection *detection) {
    const size_t grid = nasoseg_engine_grid(engine);
    for (size_t at = 0; at < nasoseg_detection_slice_count(detection); at++) {
        nasoseg_detection_slice slice;
        nasoseg_slice_image image, again;
        float brightest = 0.0f;
        slice.struct_size = sizeof slice;
        image.struct_size = again.struct_size = sizeof image;
        OK(nasoseg_detection_get_slice(detection, at, &slice, e));
        const double x[4] = {slice.bounding_box.x0, slice.bounding_box.x1, slice.bounding_box.x1,
                             slice.bounding_box.x0};
        const double y[4] = {slice.bounding_box.y0, slice.bounding_box.y0, slice.bounding_box.y1,
                             slice.bounding_box.y1};
        for (int corner = 0; corner < 4; corner++) {
            for (int axis = 0; axis < 3; axis++) {
                const double *g = slice.grid_corners_mm + axis;
                const double expected = g[0] + (g[3] - g[0]) * x[corner] / (double)grid +
                                        (g[9] - g[0]) * y[corner] / (double)grid;
                CHECK(fabs(slice.corners_mm[3 * corner + axis] - expected) < 1e-9);
            }
        }
        OK(nasoseg_detection_get_image(detection, at, &image, e));
        OK(nasoseg_detection_get_image(detection, at, &again, e));
        CHECK(image.grid == grid && image.pixels == again.pixels);
        for (size_t pixel = 0; pixel < 3 * grid * grid; pixel++) {
            CHECK(image.pixels[pixel] >= 0.0f && image.pixels[pixel] <= 1.0f);
            brightest = image.pixels[pixel] > brightest ? image.pixels[pixel] : brightest;
        }
        CHECK(brightest > 0.9f);
    }
}

int main(int argc, char **argv) {
    nasoseg_engine *engine;
    nasoseg_study *study;
    nasoseg_detection *detection = NULL, *again = NULL;
    nasoseg_segmentation *segmentation = NULL, *other = NULL;
    nasoseg_contours *contours = NULL;
    nasoseg_options *options = NULL;
    nasoseg_runtime_info info;
    nasoseg_work work;
    nasoseg_bounding_box box;
    const char *folder = argv[1];
    CHECK(argc == 2);

    CHECK(nasoseg_abi_version() >= NASOSEG_ABI_VERSION);
    CHECK(strcmp(nasoseg_version(), NASOSEG_TEST_VERSION) == 0);
    info.struct_size = sizeof info;
    OK(nasoseg_runtime_info_get(NULL, &info, e));
    CHECK(info.path[0] == '/' && info.version[0] == '1');

    engine = engine_new(2, 1);
    CHECK(strcmp(nasoseg_engine_model_name(engine), "nasoseg-micro") == 0);
    CHECK(strlen(nasoseg_engine_model_hash(engine)) == 64 &&
          nasoseg_engine_model_version(engine)[0] != '\0');
    CHECK(nasoseg_engine_is_demo(engine) && nasoseg_engine_intended_use(engine)[0] != '\0');
    CHECK(strcmp(nasoseg_engine_device(engine), "cpu") == 0 &&
          nasoseg_engine_device_fallback(engine)[0] == '\0');
    CHECK(nasoseg_engine_grid(engine) == 96 && nasoseg_engine_action_count(engine) > 1);

    study = study_new();
    OK(nasoseg_detect(engine, study, NULL, NULL, &detection, e));
    OK(nasoseg_segment(engine, study, detection, NULL, NULL, &segmentation, e));
    OK(nasoseg_contour(segmentation, NULL, NULL, &contours, e));
    golden_check(detection, segmentation, contours);
    check_arrays(segmentation);
    check_contours(contours);
    check_grid(engine, detection);
    CHECK(nasoseg_engine_action_name(engine, nasoseg_engine_action_count(engine) - 1)[0] != '\0');
    work.struct_size = sizeof work;
    OK(nasoseg_engine_get_work(engine, &work, e));
    /* At least the whole slice and one box of each. */
    CHECK(work.trunk_rows >= 2 * STUDY_K && work.segmenter_rows == STUDY_K && work.seconds > 0.0);

    /* Outputs. A volume in memory has no images that an RT Structure Set could reference. */
    OK(nasoseg_segmentation_write_mask(segmentation, path(folder, "mask.nii.gz"), NULL, NULL, e));
    CHECK(size_of_file(path(folder, "mask.nii.gz")) > 100);
    OK(nasoseg_segmentation_write_probability(segmentation, path(folder, "probability.nii.gz"),
                                              NULL, NULL, e));
    CHECK(size_of_file(path(folder, "probability.nii.gz")) > 100);
    OK(nasoseg_segmentation_write_record(segmentation, path(folder, "run.json"), NULL, NULL, e));
    CHECK(size_of_file(path(folder, "run.json")) > 100);
    OK(nasoseg_write_preview(detection, segmentation, contours, path(folder, "preview.png"), NULL,
                             NULL, e));
    CHECK(size_of_file(path(folder, "preview.png")) > 1000);
    remove(path(folder, "rtstruct.dcm"));
    FAILS(NASOSEG_ERROR_UNSUPPORTED,
          nasoseg_contours_write_rtstruct(contours, path(folder, "rtstruct.dcm"), NULL, NULL, e));
    CHECK(size_of_file(path(folder, "rtstruct.dcm")) < 0);
    FAILS(NASOSEG_ERROR_WRITE,
          nasoseg_segmentation_write_mask(segmentation, path(folder, "no/such/folder/mask.nii.gz"),
                                          NULL, NULL, e));

    /* A detection that was written and read back gives the same mask, bit for bit. */
    OK(nasoseg_detection_write(detection, path(folder, "detection.json"), NULL, NULL, e));
    OK(nasoseg_detection_read(engine, study, path(folder, "detection.json"), NULL, NULL, &again,
                              e));
    OK(nasoseg_segment(engine, study, again, NULL, NULL, &other, e));
    same_arrays(segmentation, other);
    nasoseg_segmentation_free(other);

    /* An edited box changes its own slice only. */
    box.x0 = 30.5;
    box.y0 = 25.0;
    box.x1 = 60.0;
    box.y1 = 70.25;
    OK(nasoseg_detection_set_box(again, 2, &box, e));
    OK(nasoseg_detection_clear_box(again, 3, e));
    OK(nasoseg_segment(engine, study, again, NULL, NULL, &other, e));
    {
        const nasoseg_segmentation_view a = arrays(segmentation), b = arrays(other);
        const size_t plane = (size_t)STUDY_I * STUDY_J;
        nasoseg_segmentation_slice slice;
        CHECK(b.edited);
        for (size_t k = 0; k < STUDY_K; k++) {
            const bool same = memcmp(a.probability + k * plane, b.probability + k * plane,
                                     plane * sizeof(float)) == 0;
            CHECK(same == (k != 2 && k != 3));
        }
        slice.struct_size = sizeof slice;
        OK(nasoseg_segmentation_get_slice(other, 3, &slice, e));
        CHECK(slice.pixels == 0 && (slice.statuses & NASOSEG_SLICE_NO_LESION) != 0);
    }
    nasoseg_segmentation_free(other);
    nasoseg_detection_free(again);

    /* A range of slices; contours along voxel edges. */
    OK(nasoseg_options_new(&options, e));
    OK(nasoseg_options_set_slices_mm(options, -4.0, 10.0, e));
    OK(nasoseg_detect(engine, study, options, NULL, &again, e));
    CHECK(nasoseg_detection_slice_count(again) == 3);
    OK(nasoseg_options_set_slices(options, 1, 3, e));
    nasoseg_detection_free(again);
    OK(nasoseg_detect(engine, study, options, NULL, &again, e));
    CHECK(nasoseg_detection_slice_count(again) == 2);
    nasoseg_detection_free(again);
    nasoseg_contours_free(contours);
    OK(nasoseg_options_set_contour_kind(options, NASOSEG_CONTOUR_VOXEL, e));
    OK(nasoseg_contour(segmentation, options, NULL, &contours, e));
    check_contours(contours);
    nasoseg_options_free(options);

    /* Freed in any order: results outlive what they were made from. */
    nasoseg_engine_free(engine);
    nasoseg_study_free(study);
    nasoseg_detection_free(detection);
    check_arrays(segmentation);
    OK(nasoseg_segmentation_write_mask(segmentation, path(folder, "mask.nii.gz"), NULL, NULL, e));
    nasoseg_segmentation_free(segmentation);
    check_contours(contours);
    nasoseg_contours_free(contours);
    return 0;
}
