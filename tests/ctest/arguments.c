/* Every function, every parameter: NULL, numbers out of range, impossible sizes, wrong struct_size.
 * Each must be rejected with an error that names the parameter; a result may only be set to NULL;
 * every handle must stay usable. tools/coverage.sh checks that no function of the header is missing
 * here. */

#include "study.h"

/* `call` must fail with NASOSEG_ERROR_ARGUMENT and a message that contains `word`. */
#define REFUSED(word, call)                                                                        \
    do {                                                                                           \
        nasoseg_error *named_ = NULL;                                                              \
        nasoseg_error **e = &named_;                                                               \
        const uint32_t first_ = (call);                                                            \
        if (first_ != NASOSEG_ERROR_ARGUMENT ||                                                    \
            strstr(nasoseg_error_message(named_), word) == NULL) {                                 \
            fprintf(stderr, "%s:%d: %s: %u %s\n", __FILE__, __LINE__, #call, first_,               \
                    nasoseg_error_message(named_));                                                \
            exit(1);                                                                               \
        }                                                                                          \
        nasoseg_error_free(named_);                                                                \
        e = NULL;                                                                                  \
        CHECK((call) == first_);                                                                   \
    } while (0)

/* As REFUSED, for a call with a result `out`, which must become NULL. */
#define REFUSED_RESULT(type, out, word, call)                                                      \
    do {                                                                                           \
        out = (type *)(void *)&dirt;                                                               \
        REFUSED(word, call);                                                                       \
        CHECK(out == NULL);                                                                        \
    } while (0)

static int dirt;

static const char *const NOT_UTF8 = "\xC3\x28";

static void nothing_for_null(void) {
    nasoseg_engine_free(NULL);
    nasoseg_study_free(NULL);
    nasoseg_detection_free(NULL);
    nasoseg_segmentation_free(NULL);
    nasoseg_contours_free(NULL);
    nasoseg_options_free(NULL);
    nasoseg_run_free(NULL);
    nasoseg_cancel_token_free(NULL);
    nasoseg_error_free(NULL);
    nasoseg_cancel_token_cancel(NULL);
    nasoseg_cancel_token_reset(NULL);
    CHECK(!nasoseg_cancel_token_is_cancelled(NULL));
    CHECK(nasoseg_error_code(NULL) == NASOSEG_OK && nasoseg_error_message(NULL)[0] == '\0');
    CHECK(nasoseg_engine_model_name(NULL)[0] == '\0' &&
          nasoseg_engine_model_version(NULL)[0] == '\0');
    CHECK(nasoseg_engine_model_hash(NULL)[0] == '\0' &&
          nasoseg_engine_intended_use(NULL)[0] == '\0');
    CHECK(nasoseg_engine_device(NULL)[0] == '\0' &&
          nasoseg_engine_device_fallback(NULL)[0] == '\0');
    CHECK(nasoseg_engine_is_demo(NULL));
    CHECK(nasoseg_engine_grid(NULL) == 0 && nasoseg_engine_action_count(NULL) == 0 &&
          nasoseg_engine_action_name(NULL, 0)[0] == '\0');
    CHECK(nasoseg_study_warning_count(NULL) == 0 && nasoseg_study_warning(NULL, 0)[0] == '\0');
    CHECK(nasoseg_detection_slice_count(NULL) == 0 && nasoseg_segmentation_slice_count(NULL) == 0 &&
          nasoseg_contours_count(NULL) == 0);
    CHECK(strcmp(nasoseg_stage_name(NASOSEG_STAGE_READ), "read") == 0 &&
          strcmp(nasoseg_stage_name(NASOSEG_STAGE_EXPORT), "export") == 0);
    CHECK(nasoseg_stage_name(NASOSEG_STAGE_EXPORT + 1)[0] == '\0' &&
          nasoseg_stage_name(UINT32_MAX)[0] == '\0');
    CHECK(strcmp(nasoseg_slice_status_words(0), "ok") == 0 &&
          strcmp(nasoseg_slice_status_words(NASOSEG_SLICE_NO_LESION), "no lesion") == 0);
    for (uint32_t bit = 1; bit <= NASOSEG_SLICE_SPACING_OUTSIDE_TRAINING; bit *= 2) {
        CHECK(nasoseg_slice_status_words(bit)[0] != '\0');
    }
    CHECK(nasoseg_slice_status_words(3)[0] == '\0' &&
          nasoseg_slice_status_words(UINT32_MAX)[0] == '\0');
    CHECK(strcmp(nasoseg_demo_words(NASOSEG_DEMO_NAME), "DEMO_NOT_CLIN") == 0);
    for (uint32_t which = 0; which <= NASOSEG_DEMO_PREFIX; which++) {
        const char *words = nasoseg_demo_words(which);
        CHECK(words[0] != '\0' && nasoseg_is_demo(words, NULL) && nasoseg_is_demo(NULL, words));
    }
    CHECK(nasoseg_demo_words(NASOSEG_DEMO_PREFIX + 1)[0] == '\0' &&
          nasoseg_demo_words(UINT32_MAX)[0] == '\0');
    CHECK(!nasoseg_is_demo(NULL, NULL) && !nasoseg_is_demo("GTVp_SeqSeg", "\xff\xfe"));
    CHECK(nasoseg_version()[0] != '\0' && nasoseg_abi_version() >= NASOSEG_ABI_VERSION);
}

static bool go_on(const nasoseg_progress *progress, void *user_data) {
    (void)progress;
    (void)user_data;
    return true;
}

static void options_and_run(void) {
    nasoseg_options *o = NULL;
    nasoseg_run *run = NULL;
    REFUSED("options", nasoseg_options_new(NULL, e));
    REFUSED("run", nasoseg_run_new(NULL, e));
    REFUSED("token", nasoseg_cancel_token_new(NULL, e));
    REFUSED("run", nasoseg_run_set_progress(NULL, go_on, NULL, e));
    REFUSED("run", nasoseg_run_set_cancel(NULL, NULL, e));
    OK(nasoseg_run_new(&run, e));
    OK(nasoseg_run_set_progress(run, NULL, NULL, e));
    OK(nasoseg_run_set_cancel(run, NULL, e));
    nasoseg_run_free(run);

    OK(nasoseg_options_new(&o, e));
    REFUSED("options", nasoseg_options_set_device(NULL, "cpu", e));
    REFUSED("device", nasoseg_options_set_device(o, NULL, e));
    REFUSED("device", nasoseg_options_set_device(o, NOT_UTF8, e));
    REFUSED("gpu", nasoseg_options_set_device(o, "gpu", e));
    REFUSED("cuda:x", nasoseg_options_set_device(o, "cuda:x", e));
    REFUSED("options", nasoseg_options_set_onnxruntime(NULL, "/x", e));
    REFUSED("library_path", nasoseg_options_set_onnxruntime(o, NULL, e));
    REFUSED("library_path", nasoseg_options_set_onnxruntime(o, "", e));
    REFUSED("options", nasoseg_options_set_threads(NULL, 1, e));
    REFUSED("threads", nasoseg_options_set_threads(o, 1025, e));
    REFUSED("threads", nasoseg_options_set_threads(o, UINT32_MAX, e));
    REFUSED("options", nasoseg_options_set_concurrent_runs(NULL, 1, e));
    REFUSED("concurrent", nasoseg_options_set_concurrent_runs(o, 0, e));
    REFUSED("concurrent", nasoseg_options_set_concurrent_runs(o, 65, e));
    REFUSED("options", nasoseg_options_set_slices(NULL, 0, 1, e));
    REFUSED("slices", nasoseg_options_set_slices(o, 1, 1, e));
    REFUSED("slices", nasoseg_options_set_slices(o, SIZE_MAX, 0, e));
    REFUSED("options", nasoseg_options_set_slices_mm(NULL, 0.0, 1.0, e));
    REFUSED("mm", nasoseg_options_set_slices_mm(o, 1.0, 1.0, e));
    REFUSED("mm", nasoseg_options_set_slices_mm(o, (double)NAN, 1.0, e));
    REFUSED("mm", nasoseg_options_set_slices_mm(o, 0.0, (double)INFINITY, e));
    REFUSED("options", nasoseg_options_set_force_geometry(NULL, true, e));
    REFUSED("options", nasoseg_options_set_force_coverage(NULL, true, e));
    REFUSED("options", nasoseg_options_set_reslice(NULL, 0, 0.0, e));
    REFUSED("reslice", nasoseg_options_set_reslice(o, 2, 0.0, e));
    REFUSED("reslice", nasoseg_options_set_reslice(o, UINT32_MAX, 0.0, e));
    REFUSED("mm", nasoseg_options_set_reslice(o, 1, 0.4, e));
    REFUSED("mm", nasoseg_options_set_reslice(o, 1, 10.5, e));
    REFUSED("mm", nasoseg_options_set_reslice(o, 0, -1.0, e));
    REFUSED("mm", nasoseg_options_set_reslice(o, 1, (double)NAN, e));
    REFUSED("options", nasoseg_options_set_contour_kind(NULL, 0, e));
    REFUSED("contour kind", nasoseg_options_set_contour_kind(o, 2, e));
    REFUSED("contour kind", nasoseg_options_set_contour_kind(o, UINT32_MAX, e));
    REFUSED("options", nasoseg_options_set_holes(NULL, 0, e));
    REFUSED("holes", nasoseg_options_set_holes(o, 4, e));
    REFUSED("holes", nasoseg_options_set_holes(o, UINT32_MAX, e));
    REFUSED("options", nasoseg_options_set_simplify_mm(NULL, 0.0, e));
    REFUSED("mm", nasoseg_options_set_simplify_mm(o, -0.1, e));
    REFUSED("mm", nasoseg_options_set_simplify_mm(o, (double)NAN, e));
    REFUSED("options", nasoseg_options_set_roi_name(NULL, "x", e));
    REFUSED("name", nasoseg_options_set_roi_name(o, NULL, e));
    REFUSED("name", nasoseg_options_set_roi_name(o, NOT_UTF8, e));
    REFUSED("options", nasoseg_options_set_structure_set_label(NULL, "x", e));
    REFUSED("label", nasoseg_options_set_structure_set_label(o, NULL, e));
    REFUSED("options", nasoseg_options_set_series_uid(NULL, "1.2", e));
    REFUSED("uid", nasoseg_options_set_series_uid(o, NULL, e));
    REFUSED("options", nasoseg_options_set_pick(NULL, "Echo Time=80", e));
    REFUSED("pick", nasoseg_options_set_pick(o, NULL, e));
    REFUSED("options", nasoseg_options_set_allow_gaps(NULL, true, e));
    OK(nasoseg_options_set_allow_gaps(o, true, e));
    OK(nasoseg_options_set_force_geometry(o, true, e));
    OK(nasoseg_options_set_force_coverage(o, true, e));
    OK(nasoseg_options_set_reslice(o, NASOSEG_RESLICE_AXIAL, 0.5, e));
    OK(nasoseg_options_set_reslice(o, NASOSEG_RESLICE_NEVER, 0.0, e));
    nasoseg_options_free(o);
}

/* A view that differs from a good one in one number. */
typedef struct bad_view {
    const char *word;
    void (*change)(nasoseg_volume_view *view);
    /* The expected status; 0 stands for NASOSEG_ERROR_ARGUMENT. */
    uint32_t status;
} bad_view;

#define CHANGE(name, statement)                                                                    \
    static void name(nasoseg_volume_view *view) { statement; }
CHANGE(data_null, view->data = NULL)
CHANGE(element_next, view->element = 8)
CHANGE(element_huge, view->element = UINT32_MAX)
CHANGE(axes_next, view->axes = 2)
CHANGE(axes_huge, view->axes = UINT32_MAX)
CHANGE(size_zero_i, view->size[0] = 0)
CHANGE(size_zero_j, view->size[1] = 0)
CHANGE(size_zero_k, view->size[2] = 0)
CHANGE(size_max_i, view->size[0] = SIZE_MAX)
CHANGE(size_max_j, view->size[1] = SIZE_MAX)
CHANGE(size_max_k, view->size[2] = SIZE_MAX)
/* 2^22 * 2^21 * 2^21 is 2^64: the product of the sizes overflows to 0. */
CHANGE(size_wraps, view->size[0] = (size_t)1 << 22; view->size[1] = view->size[2] = (size_t)1 << 21)
CHANGE(size_too_many, view->size[0] = view->size[1] = (size_t)1 << 16; view->size[2] = 1)
CHANGE(size_slices, view->size[0] = view->size[1] = 1; view->size[2] = (size_t)1 << 30)
CHANGE(stride_max, view->stride[2] = INT64_MAX)
CHANGE(stride_min, view->stride[0] = INT64_MIN)
CHANGE(struct_zero, view->struct_size = 0)
CHANGE(struct_small, view->struct_size = 207)
CHANGE(struct_huge, view->struct_size = SIZE_MAX)
CHANGE(affine_row, view->affine[12] = 1.0)
CHANGE(affine_nan, view->affine[0] = (double)NAN)
CHANGE(affine_infinite, view->affine[3] = (double)INFINITY)
CHANGE(affine_parallel, view->affine[5] = 0.0; view->affine[1] = 3.0)
CHANGE(affine_zero_step, view->affine[10] = 0.0)
/* At an odd address, where no double may lie. */
CHANGE(origins_odd, view->origins = (const double *)(const void *)((const char *)view->affine + 1))

static const bad_view BAD_VIEWS[] = {
    {"data", data_null, 0},           {"element", element_next, 0},
    {"element", element_huge, 0},     {"axes", axes_next, 0},
    {"axes", axes_huge, 0},           {"size", size_zero_i, 0},
    {"size", size_zero_j, 0},         {"size", size_zero_k, 0},
    {"size", size_max_i, 0},          {"size", size_max_j, 0},
    {"size", size_max_k, 0},          {"size", size_wraps, 0},
    {"size", size_too_many, 0},       {"size", size_slices, 0},
    {"strides", stride_max, 0},       {"strides", stride_min, 0},
    {"struct_size", struct_zero, 0},  {"struct_size", struct_small, 0},
    {"struct_size", struct_huge, 0},  {"affine", affine_row, 0},
    {"geometry", affine_nan, 0},      {"geometry", affine_infinite, 0},
    {"geometry", affine_parallel, 0}, {"slices", affine_zero_step, 0},
    {"origins", origins_odd, 0},
};

static void study(void) {
    nasoseg_study *s = NULL;
    float *voxels = (float *)malloc(STUDY_VOXELS * sizeof(float));
    const nasoseg_volume_view good = study_view(voxels);
    nasoseg_volume_view view = good;
    const char *paths[2] = {"/nowhere", NULL}, *bad[1] = {NOT_UTF8}, *empty[1] = {""};
    CHECK(voxels != NULL);
    study_fill(1, voxels);
    REFUSED("study", nasoseg_study_new(NULL, e));
    OK(nasoseg_study_new(&s, e));
    REFUSED("study", nasoseg_study_set_volume(NULL, 0, &view, NULL, NULL, e));
    REFUSED("sequence", nasoseg_study_set_volume(s, 3, &view, NULL, NULL, e));
    REFUSED("sequence", nasoseg_study_set_volume(s, UINT32_MAX, &view, NULL, NULL, e));
    REFUSED("nasoseg_volume_view", nasoseg_study_set_volume(s, 0, NULL, NULL, NULL, e));
    for (size_t at = 0; at < sizeof BAD_VIEWS / sizeof BAD_VIEWS[0]; at++) {
        view = good;
        BAD_VIEWS[at].change(&view);
        REFUSED(BAD_VIEWS[at].word, nasoseg_study_set_volume(s, 1, &view, NULL, NULL, e));
    }
    /* Voxels that are not finite. */
    view = good;
    voxels[17] = (float)NAN;
    FAILS(NASOSEG_ERROR_IMAGE, nasoseg_study_set_volume(s, 1, &view, NULL, NULL, e));
    study_fill(1, voxels);
    OK(nasoseg_study_set_volume(s, 1, &view, NULL, NULL, e));

    REFUSED("study", nasoseg_study_load(NULL, 0, paths, 1, NULL, NULL, e));
    REFUSED("sequence", nasoseg_study_load(s, 3, paths, 1, NULL, NULL, e));
    REFUSED("paths", nasoseg_study_load(s, 0, NULL, 1, NULL, NULL, e));
    REFUSED("paths", nasoseg_study_load(s, 0, paths, 2, NULL, NULL, e));
    REFUSED("paths", nasoseg_study_load(s, 0, bad, 1, NULL, NULL, e));
    REFUSED("paths", nasoseg_study_load(s, 0, empty, 1, NULL, NULL, e));
    REFUSED("paths", nasoseg_study_load(s, 0, paths, SIZE_MAX, NULL, NULL, e));
    REFUSED("", nasoseg_study_load(s, 0, paths, 0, NULL, NULL, e));
    REFUSED("", nasoseg_study_load(s, 0, NULL, 0, NULL, NULL, e));
    FAILS(NASOSEG_ERROR_READ, nasoseg_study_load(s, 0, paths, 1, NULL, NULL, e));
    REFUSED("study", nasoseg_study_set_dicom_source(NULL, 1, paths, 1, NULL, NULL, e));
    REFUSED("sequence", nasoseg_study_set_dicom_source(s, 3, paths, 1, NULL, NULL, e));
    REFUSED("paths", nasoseg_study_set_dicom_source(s, 1, NULL, 1, NULL, NULL, e));
    FAILS(NASOSEG_ERROR_READ, nasoseg_study_set_dicom_source(s, 1, paths, 1, NULL, NULL, e));
    nasoseg_study_free(s);
    free(voxels);
}

/* Fills the struct at `out` by `call`, with several values of struct_size: rejected below `first`,
 * the size in the first version; accepted from there on; nothing is written beyond it. */
#define SIZES(type, first, call)                                                                   \
    do {                                                                                           \
        struct {                                                                                   \
            type value;                                                                            \
            unsigned char beyond[64];                                                              \
        } wide_;                                                                                   \
        type *out = &wide_.value;                                                                  \
        const size_t refused_[] = {0, 1, sizeof(size_t), (first) - 1, SIZE_MAX};                   \
        REFUSED("NULL", (out = NULL, (call)));                                                     \
        out = &wide_.value;                                                                        \
        for (size_t n_ = 0; n_ < sizeof refused_ / sizeof refused_[0]; n_++) {                     \
            memset(&wide_, 0xAB, sizeof wide_);                                                    \
            out->struct_size = refused_[n_];                                                       \
            REFUSED("struct_size", (call));                                                        \
            for (size_t b_ = sizeof(size_t); b_ < sizeof wide_; b_++) {                            \
                CHECK(((unsigned char *)&wide_)[b_] == 0xAB);                                      \
            }                                                                                      \
        }                                                                                          \
        for (size_t size_ = (first); size_ <= sizeof wide_; size_ += 8) {                          \
            memset(&wide_, 0xAB, sizeof wide_);                                                    \
            out->struct_size = size_;                                                              \
            OK(call);                                                                              \
            CHECK(out->struct_size == size_);                                                      \
            for (size_t b_ = size_ < sizeof(type) ? size_ : sizeof(type); b_ < sizeof wide_;       \
                 b_++) {                                                                           \
                CHECK(((unsigned char *)&wide_)[b_] == 0xAB);                                      \
            }                                                                                      \
        }                                                                                          \
    } while (0)

static void pipeline(const char *folder) {
    nasoseg_engine *engine = NULL;
    nasoseg_study *s = study_new();
    nasoseg_detection *d = NULL, *d2 = NULL;
    nasoseg_segmentation *g = NULL, *g2 = NULL;
    nasoseg_contours *c = NULL, *c2 = NULL;
    nasoseg_detection_slice ds;
    nasoseg_trajectory t;
    nasoseg_slice_image image;
    nasoseg_segmentation_slice gs;
    nasoseg_contour_view contour;
    nasoseg_bounding_box box = {10.0, 10.0, 20.0, 20.0};
    char file[1024];
    CHECK(snprintf(file, sizeof file, "%s/never", folder) > 0);
    remove(file);

    REFUSED_RESULT(nasoseg_engine, engine, "bundle_dir",
                   nasoseg_engine_new(NULL, NULL, NULL, &engine, e));
    REFUSED_RESULT(nasoseg_engine, engine, "bundle_dir",
                   nasoseg_engine_new("", NULL, NULL, &engine, e));
    REFUSED_RESULT(nasoseg_engine, engine, "bundle_dir",
                   nasoseg_engine_new(NOT_UTF8, NULL, NULL, &engine, e));
    REFUSED("engine", nasoseg_engine_new(NASOSEG_TEST_BUNDLE, NULL, NULL, NULL, e));
    FAILS(NASOSEG_ERROR_BUNDLE, nasoseg_engine_new("/nowhere", NULL, NULL, &engine, e));
    CHECK(engine == NULL);
    engine = engine_new(1, 1);
    CHECK(nasoseg_engine_action_name(engine, nasoseg_engine_action_count(engine))[0] == '\0');
    CHECK(nasoseg_engine_action_name(engine, SIZE_MAX)[0] == '\0');
    {
        nasoseg_work work;
        work.struct_size = sizeof work;
        REFUSED("engine", nasoseg_engine_get_work(NULL, &work, e));
    }
    SIZES(nasoseg_work, 32, nasoseg_engine_get_work(engine, out, e));
    SIZES(nasoseg_runtime_info, 32, nasoseg_runtime_info_get(NULL, out, e));

    REFUSED_RESULT(nasoseg_detection, d, "engine", nasoseg_detect(NULL, s, NULL, NULL, &d, e));
    REFUSED_RESULT(nasoseg_detection, d, "study", nasoseg_detect(engine, NULL, NULL, NULL, &d, e));
    REFUSED("detection", nasoseg_detect(engine, s, NULL, NULL, NULL, e));
    OK(nasoseg_detect(engine, s, NULL, NULL, &d, e));

    SIZES(nasoseg_detection_slice, 184, nasoseg_detection_get_slice(d, 0, out, e));
    SIZES(nasoseg_trajectory, 56, nasoseg_detection_get_trajectory(d, 0, out, e));
    SIZES(nasoseg_slice_image, 24, nasoseg_detection_get_image(d, 0, out, e));
    ds.struct_size = sizeof ds;
    t.struct_size = sizeof t;
    image.struct_size = sizeof image;
    REFUSED("detection", nasoseg_detection_get_slice(NULL, 0, &ds, e));
    REFUSED("index", nasoseg_detection_get_slice(d, STUDY_K, &ds, e));
    REFUSED("index", nasoseg_detection_get_slice(d, SIZE_MAX, &ds, e));
    REFUSED("detection", nasoseg_detection_get_trajectory(NULL, 0, &t, e));
    REFUSED("index", nasoseg_detection_get_trajectory(d, SIZE_MAX, &t, e));
    REFUSED("detection", nasoseg_detection_get_image(NULL, 0, &image, e));
    REFUSED("index", nasoseg_detection_get_image(d, STUDY_K, &image, e));
    REFUSED("index", nasoseg_detection_get_image(d, SIZE_MAX, &image, e));
    REFUSED("detection", nasoseg_detection_set_box(NULL, 0, &box, e));
    REFUSED("index", nasoseg_detection_set_box(d, STUDY_K, &box, e));
    REFUSED("bounding_box", nasoseg_detection_set_box(d, 0, NULL, e));
    {
        const double grid = (double)nasoseg_engine_grid(engine);
        const nasoseg_bounding_box boxes[] = {
            {20.0, 10.0, 10.0, 20.0},        {10.0, 20.0, 20.0, 20.0},
            {-0.5, 10.0, 20.0, 20.0},        {10.0, 10.0, grid + 0.5, 20.0},
            {(double)NAN, 10.0, 20.0, 20.0}, {10.0, 10.0, 20.0, (double)INFINITY},
        };
        for (size_t at = 0; at < sizeof boxes / sizeof boxes[0]; at++) {
            REFUSED("box", nasoseg_detection_set_box(d, 0, &boxes[at], e));
        }
    }
    REFUSED("detection", nasoseg_detection_clear_box(NULL, 0, e));
    REFUSED("index", nasoseg_detection_clear_box(d, SIZE_MAX, e));
    REFUSED("detection", nasoseg_detection_write(NULL, file, NULL, NULL, e));
    REFUSED("file", nasoseg_detection_write(d, NULL, NULL, NULL, e));
    REFUSED("file", nasoseg_detection_write(d, "", NULL, NULL, e));
    REFUSED_RESULT(nasoseg_detection, d2, "engine",
                   nasoseg_detection_read(NULL, s, file, NULL, NULL, &d2, e));
    REFUSED_RESULT(nasoseg_detection, d2, "study",
                   nasoseg_detection_read(engine, NULL, file, NULL, NULL, &d2, e));
    REFUSED_RESULT(nasoseg_detection, d2, "file",
                   nasoseg_detection_read(engine, s, NULL, NULL, NULL, &d2, e));
    REFUSED("detection", nasoseg_detection_read(engine, s, file, NULL, NULL, NULL, e));
    FAILS(NASOSEG_ERROR_READ, nasoseg_detection_read(engine, s, file, NULL, NULL, &d2, e));

    REFUSED_RESULT(nasoseg_segmentation, g, "engine",
                   nasoseg_segment(NULL, s, d, NULL, NULL, &g, e));
    REFUSED_RESULT(nasoseg_segmentation, g, "study",
                   nasoseg_segment(engine, NULL, d, NULL, NULL, &g, e));
    REFUSED_RESULT(nasoseg_segmentation, g, "detection",
                   nasoseg_segment(engine, s, NULL, NULL, NULL, &g, e));
    REFUSED("segmentation", nasoseg_segment(engine, s, d, NULL, NULL, NULL, e));
    OK(nasoseg_segment(engine, s, d, NULL, NULL, &g, e));
    SIZES(nasoseg_segmentation_view, 256, nasoseg_segmentation_get_view(g, out, e));
    SIZES(nasoseg_segmentation_slice, 56, nasoseg_segmentation_get_slice(g, 0, out, e));
    gs.struct_size = sizeof gs;
    {
        nasoseg_segmentation_view view;
        view.struct_size = sizeof view;
        REFUSED("segmentation", nasoseg_segmentation_get_view(NULL, &view, e));
    }
    REFUSED("segmentation", nasoseg_segmentation_get_slice(NULL, 0, &gs, e));
    REFUSED("index", nasoseg_segmentation_get_slice(g, STUDY_K, &gs, e));
    REFUSED("segmentation", nasoseg_segmentation_write_mask(NULL, file, NULL, NULL, e));
    REFUSED("file", nasoseg_segmentation_write_mask(g, NULL, NULL, NULL, e));
    REFUSED("segmentation", nasoseg_segmentation_write_probability(NULL, file, NULL, NULL, e));
    REFUSED("file", nasoseg_segmentation_write_probability(g, NULL, NULL, NULL, e));
    REFUSED("segmentation", nasoseg_segmentation_write_record(NULL, file, NULL, NULL, e));
    REFUSED("file", nasoseg_segmentation_write_record(g, NULL, NULL, NULL, e));

    REFUSED_RESULT(nasoseg_contours, c, "segmentation", nasoseg_contour(NULL, NULL, NULL, &c, e));
    REFUSED("contours", nasoseg_contour(g, NULL, NULL, NULL, e));
    OK(nasoseg_contour(g, NULL, NULL, &c, e));
    SIZES(nasoseg_contour_view, 64, nasoseg_contours_get(c, 0, out, e));
    contour.struct_size = sizeof contour;
    REFUSED("contours", nasoseg_contours_get(NULL, 0, &contour, e));
    REFUSED("index", nasoseg_contours_get(c, nasoseg_contours_count(c), &contour, e));
    REFUSED("index", nasoseg_contours_get(c, SIZE_MAX, &contour, e));
    REFUSED("contours", nasoseg_contours_write_rtstruct(NULL, file, NULL, NULL, e));
    REFUSED("file", nasoseg_contours_write_rtstruct(c, NULL, NULL, NULL, e));
    REFUSED("detection", nasoseg_write_preview(NULL, g, c, file, NULL, NULL, e));
    REFUSED("segmentation", nasoseg_write_preview(d, NULL, c, file, NULL, NULL, e));
    REFUSED("contours", nasoseg_write_preview(d, g, NULL, file, NULL, NULL, e));
    REFUSED("file", nasoseg_write_preview(d, g, c, NULL, NULL, NULL, e));
    CHECK(fopen(file, "rb") == NULL);

    /* After all that, every handle still gives the golden numbers. */
    OK(nasoseg_segment(engine, s, d, NULL, NULL, &g2, e));
    OK(nasoseg_contour(g2, NULL, NULL, &c2, e));
    golden_check(d, g2, c2);
    nasoseg_contours_free(c2);
    nasoseg_segmentation_free(g2);
    nasoseg_contours_free(c);
    nasoseg_segmentation_free(g);
    nasoseg_detection_free(d);
    nasoseg_study_free(s);
    nasoseg_engine_free(engine);
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    nothing_for_null();
    options_and_run();
    study();
    pipeline(argv[1]);
    return 0;
}
