/* Version 1 of the ABI, by number and by declaration: what a program that was built then relies on. A line here is never changed; later
 * versions add lines. The sizes are those of 64-bit systems. */

#include "study.h"

/* A struct may grow at its end. */
#define SIZE(type, bytes) CHECK(sizeof(type) >= (bytes))
#define FIELD(type, field, at) CHECK(offsetof(type, field) == (at))
#define VALUE(constant, number) CHECK((constant) == (number))

/* C refuses a function that is declared twice and differently. */
const char *seqseg_version(void);
uint32_t seqseg_abi_version(void);
uint32_t seqseg_error_code(const seqseg_error *error);
const char *seqseg_error_message(const seqseg_error *error);
void seqseg_error_free(seqseg_error *error);
uint32_t seqseg_options_new(seqseg_options **options, seqseg_error **error);
void seqseg_options_free(seqseg_options *options);
uint32_t seqseg_options_set_device(seqseg_options *options, const char *device, seqseg_error **error);
uint32_t seqseg_options_set_onnxruntime(seqseg_options *options, const char *library_path, seqseg_error **error);
uint32_t seqseg_options_set_threads(seqseg_options *options, uint32_t threads, seqseg_error **error);
uint32_t seqseg_options_set_concurrent_runs(seqseg_options *options, uint32_t runs, seqseg_error **error);
uint32_t seqseg_options_set_slices(seqseg_options *options, size_t first, size_t end, seqseg_error **error);
uint32_t seqseg_options_set_slices_mm(seqseg_options *options, double low, double high, seqseg_error **error);
uint32_t seqseg_options_set_force_geometry(seqseg_options *options, bool force, seqseg_error **error);
uint32_t seqseg_options_set_force_coverage(seqseg_options *options, bool force, seqseg_error **error);
uint32_t seqseg_options_set_reslice(seqseg_options *options, uint32_t reslice, double step_mm, seqseg_error **error);
uint32_t seqseg_options_set_contour_kind(seqseg_options *options, uint32_t kind, seqseg_error **error);
uint32_t seqseg_options_set_holes(seqseg_options *options, uint32_t holes, seqseg_error **error);
uint32_t seqseg_options_set_simplify_mm(seqseg_options *options, double tolerance_mm, seqseg_error **error);
uint32_t seqseg_options_set_roi_name(seqseg_options *options, const char *name, seqseg_error **error);
uint32_t seqseg_options_set_structure_set_label(seqseg_options *options, const char *label, seqseg_error **error);
uint32_t seqseg_options_set_series_uid(seqseg_options *options, const char *uid, seqseg_error **error);
uint32_t seqseg_options_set_pick(seqseg_options *options, const char *pick, seqseg_error **error);
uint32_t seqseg_options_set_allow_gaps(seqseg_options *options, bool allow, seqseg_error **error);
uint32_t seqseg_cancel_token_new(seqseg_cancel_token **token, seqseg_error **error);
void seqseg_cancel_token_free(seqseg_cancel_token *token);
void seqseg_cancel_token_cancel(const seqseg_cancel_token *token);
bool seqseg_cancel_token_is_cancelled(const seqseg_cancel_token *token);
void seqseg_cancel_token_reset(const seqseg_cancel_token *token);
uint32_t seqseg_run_new(seqseg_run **run, seqseg_error **error);
void seqseg_run_free(seqseg_run *run);
uint32_t seqseg_run_set_progress(seqseg_run *run, seqseg_progress_callback callback, void *user_data, seqseg_error **error);
uint32_t seqseg_run_set_cancel(seqseg_run *run, const seqseg_cancel_token *token, seqseg_error **error);
const char *seqseg_stage_name(uint32_t stage);
uint32_t seqseg_study_new(seqseg_study **study, seqseg_error **error);
void seqseg_study_free(seqseg_study *study);
uint32_t seqseg_study_set_volume(seqseg_study *study, uint32_t sequence, const seqseg_volume_view *view, const seqseg_options *options,
    const seqseg_run *run, seqseg_error **error);
uint32_t seqseg_study_load(seqseg_study *study, uint32_t sequence, const char *const *paths, size_t count, const seqseg_options *options,
    const seqseg_run *run, seqseg_error **error);
uint32_t seqseg_study_set_dicom_source(seqseg_study *study, uint32_t sequence, const char *const *paths, size_t count, const
    seqseg_options *options, const seqseg_run *run, seqseg_error **error);
size_t seqseg_study_warning_count(const seqseg_study *study);
const char *seqseg_study_warning(const seqseg_study *study, size_t index);
uint32_t seqseg_engine_new(const char *bundle_dir, const seqseg_options *options, const seqseg_run *run, seqseg_engine **engine,
                           seqseg_error **error);
void seqseg_engine_free(seqseg_engine *engine);
const char *seqseg_engine_model_name(const seqseg_engine *engine);
const char *seqseg_engine_model_version(const seqseg_engine *engine);
const char *seqseg_engine_model_hash(const seqseg_engine *engine);
const char *seqseg_engine_intended_use(const seqseg_engine *engine);
bool seqseg_engine_is_demo(const seqseg_engine *engine);
const char *seqseg_engine_device(const seqseg_engine *engine);
const char *seqseg_engine_device_fallback(const seqseg_engine *engine);
size_t seqseg_engine_grid(const seqseg_engine *engine);
size_t seqseg_engine_action_count(const seqseg_engine *engine);
const char *seqseg_engine_action_name(const seqseg_engine *engine, size_t action);
uint32_t seqseg_engine_get_work(const seqseg_engine *engine, seqseg_work *work, seqseg_error **error);
uint32_t seqseg_runtime_info_get(const seqseg_options *options, seqseg_runtime_info *info, seqseg_error **error);
uint32_t seqseg_detect(const seqseg_engine *engine, const seqseg_study *study, const seqseg_options *options, const seqseg_run *run,
    seqseg_detection **detection, seqseg_error **error);
void seqseg_detection_free(seqseg_detection *detection);
size_t seqseg_detection_slice_count(const seqseg_detection *detection);
uint32_t seqseg_detection_get_slice(const seqseg_detection *detection, size_t index, seqseg_detection_slice *slice, seqseg_error **error);
uint32_t seqseg_detection_get_trajectory(const seqseg_detection *detection, size_t index, seqseg_trajectory *trajectory, seqseg_error
    **error);
uint32_t seqseg_detection_get_image(const seqseg_detection *detection, size_t index, seqseg_slice_image *image, seqseg_error **error);
uint32_t seqseg_detection_set_box(seqseg_detection *detection, size_t index, const seqseg_box *bounding_box, seqseg_error **error);
uint32_t seqseg_detection_clear_box(seqseg_detection *detection, size_t index, seqseg_error **error);
uint32_t seqseg_detection_write(const seqseg_detection *detection, const char *file, const seqseg_options *options, const seqseg_run *run,
    seqseg_error **error);
uint32_t seqseg_detection_read(const seqseg_engine *engine, const seqseg_study *study, const char *file, const seqseg_options *options,
    const seqseg_run *run, seqseg_detection **detection, seqseg_error **error);
uint32_t seqseg_segment(const seqseg_engine *engine, const seqseg_study *study, const seqseg_detection *detection, const seqseg_options
    *options, const seqseg_run *run, seqseg_segmentation **segmentation, seqseg_error **error);
void seqseg_segmentation_free(seqseg_segmentation *segmentation);
uint32_t seqseg_segmentation_get_view(const seqseg_segmentation *segmentation, seqseg_segmentation_view *view, seqseg_error **error);
size_t seqseg_segmentation_slice_count(const seqseg_segmentation *segmentation);
uint32_t seqseg_segmentation_get_slice(const seqseg_segmentation *segmentation, size_t index, seqseg_segmentation_slice *slice,
    seqseg_error **error);
uint32_t seqseg_contour(const seqseg_segmentation *segmentation, const seqseg_options *options, const seqseg_run *run, seqseg_contours
    **contours, seqseg_error **error);
void seqseg_contours_free(seqseg_contours *contours);
size_t seqseg_contours_count(const seqseg_contours *contours);
uint32_t seqseg_contours_get_line(const seqseg_contours *contours, size_t index, seqseg_contour_line *line, seqseg_error **error);
uint32_t seqseg_contours_write_rtstruct(const seqseg_contours *contours, const char *file, const seqseg_options *options, const seqseg_run
    *run, seqseg_error **error);
uint32_t seqseg_segmentation_write_mask(const seqseg_segmentation *segmentation, const char *file, const seqseg_options *options, const
    seqseg_run *run, seqseg_error **error);
uint32_t seqseg_segmentation_write_probability(const seqseg_segmentation *segmentation, const char *file, const seqseg_options *options,
    const seqseg_run *run, seqseg_error **error);
uint32_t seqseg_write_preview(const seqseg_detection *detection, const seqseg_segmentation *segmentation, const seqseg_contours *contours,
    const char *file, const seqseg_options *options, const seqseg_run *run, seqseg_error **error);
uint32_t seqseg_segmentation_write_record(const seqseg_segmentation *segmentation, const char *file, const seqseg_options *options, const
    seqseg_run *run, seqseg_error **error);

/* Each must be there to link to. */
static void (*const FUNCTIONS[])(void) = {
    (void (*)(void))seqseg_version,
    (void (*)(void))seqseg_abi_version,
    (void (*)(void))seqseg_error_code,
    (void (*)(void))seqseg_error_message,
    (void (*)(void))seqseg_error_free,
    (void (*)(void))seqseg_options_new,
    (void (*)(void))seqseg_options_free,
    (void (*)(void))seqseg_options_set_device,
    (void (*)(void))seqseg_options_set_onnxruntime,
    (void (*)(void))seqseg_options_set_threads,
    (void (*)(void))seqseg_options_set_concurrent_runs,
    (void (*)(void))seqseg_options_set_slices,
    (void (*)(void))seqseg_options_set_slices_mm,
    (void (*)(void))seqseg_options_set_force_geometry,
    (void (*)(void))seqseg_options_set_force_coverage,
    (void (*)(void))seqseg_options_set_reslice,
    (void (*)(void))seqseg_options_set_contour_kind,
    (void (*)(void))seqseg_options_set_holes,
    (void (*)(void))seqseg_options_set_simplify_mm,
    (void (*)(void))seqseg_options_set_roi_name,
    (void (*)(void))seqseg_options_set_structure_set_label,
    (void (*)(void))seqseg_options_set_series_uid,
    (void (*)(void))seqseg_options_set_pick,
    (void (*)(void))seqseg_options_set_allow_gaps,
    (void (*)(void))seqseg_cancel_token_new,
    (void (*)(void))seqseg_cancel_token_free,
    (void (*)(void))seqseg_cancel_token_cancel,
    (void (*)(void))seqseg_cancel_token_is_cancelled,
    (void (*)(void))seqseg_cancel_token_reset,
    (void (*)(void))seqseg_run_new,
    (void (*)(void))seqseg_run_free,
    (void (*)(void))seqseg_run_set_progress,
    (void (*)(void))seqseg_run_set_cancel,
    (void (*)(void))seqseg_stage_name,
    (void (*)(void))seqseg_study_new,
    (void (*)(void))seqseg_study_free,
    (void (*)(void))seqseg_study_set_volume,
    (void (*)(void))seqseg_study_load,
    (void (*)(void))seqseg_study_set_dicom_source,
    (void (*)(void))seqseg_study_warning_count,
    (void (*)(void))seqseg_study_warning,
    (void (*)(void))seqseg_engine_new,
    (void (*)(void))seqseg_engine_free,
    (void (*)(void))seqseg_engine_model_name,
    (void (*)(void))seqseg_engine_model_version,
    (void (*)(void))seqseg_engine_model_hash,
    (void (*)(void))seqseg_engine_intended_use,
    (void (*)(void))seqseg_engine_is_demo,
    (void (*)(void))seqseg_engine_device,
    (void (*)(void))seqseg_engine_device_fallback,
    (void (*)(void))seqseg_engine_grid,
    (void (*)(void))seqseg_engine_action_count,
    (void (*)(void))seqseg_engine_action_name,
    (void (*)(void))seqseg_engine_get_work,
    (void (*)(void))seqseg_runtime_info_get,
    (void (*)(void))seqseg_detect,
    (void (*)(void))seqseg_detection_free,
    (void (*)(void))seqseg_detection_slice_count,
    (void (*)(void))seqseg_detection_get_slice,
    (void (*)(void))seqseg_detection_get_trajectory,
    (void (*)(void))seqseg_detection_get_image,
    (void (*)(void))seqseg_detection_set_box,
    (void (*)(void))seqseg_detection_clear_box,
    (void (*)(void))seqseg_detection_write,
    (void (*)(void))seqseg_detection_read,
    (void (*)(void))seqseg_segment,
    (void (*)(void))seqseg_segmentation_free,
    (void (*)(void))seqseg_segmentation_get_view,
    (void (*)(void))seqseg_segmentation_slice_count,
    (void (*)(void))seqseg_segmentation_get_slice,
    (void (*)(void))seqseg_contour,
    (void (*)(void))seqseg_contours_free,
    (void (*)(void))seqseg_contours_count,
    (void (*)(void))seqseg_contours_get_line,
    (void (*)(void))seqseg_contours_write_rtstruct,
    (void (*)(void))seqseg_segmentation_write_mask,
    (void (*)(void))seqseg_segmentation_write_probability,
    (void (*)(void))seqseg_write_preview,
    (void (*)(void))seqseg_segmentation_write_record,
};

int main(void) {
    for (size_t at = 0; at < sizeof FUNCTIONS / sizeof FUNCTIONS[0]; at++) {
        CHECK(FUNCTIONS[at] != NULL);
    }
    CHECK(sizeof(void *) == 8);
    CHECK(SEQSEG_ABI_VERSION >= 1);
    SIZE(seqseg_progress, 32);
    FIELD(seqseg_progress, struct_size, 0);
    FIELD(seqseg_progress, stage, 8);
    FIELD(seqseg_progress, done, 16);
    FIELD(seqseg_progress, total, 24);
    SIZE(seqseg_volume_view, 208);
    FIELD(seqseg_volume_view, struct_size, 0);
    FIELD(seqseg_volume_view, data, 8);
    FIELD(seqseg_volume_view, element, 16);
    FIELD(seqseg_volume_view, axes, 20);
    FIELD(seqseg_volume_view, size, 24);
    FIELD(seqseg_volume_view, stride, 48);
    FIELD(seqseg_volume_view, affine, 72);
    FIELD(seqseg_volume_view, origins, 200);
    SIZE(seqseg_work, 32);
    FIELD(seqseg_work, struct_size, 0);
    FIELD(seqseg_work, trunk_rows, 8);
    FIELD(seqseg_work, segmenter_rows, 16);
    FIELD(seqseg_work, seconds, 24);
    SIZE(seqseg_runtime_info, 32);
    FIELD(seqseg_runtime_info, struct_size, 0);
    FIELD(seqseg_runtime_info, version, 8);
    FIELD(seqseg_runtime_info, path, 16);
    FIELD(seqseg_runtime_info, has_cuda, 24);
    SIZE(seqseg_box, 32);
    FIELD(seqseg_box, x0, 0);
    FIELD(seqseg_box, y0, 8);
    FIELD(seqseg_box, x1, 16);
    FIELD(seqseg_box, y1, 24);
    SIZE(seqseg_detection_slice, 184);
    FIELD(seqseg_detection_slice, struct_size, 0);
    FIELD(seqseg_detection_slice, slice, 8);
    FIELD(seqseg_detection_slice, storage_slice, 16);
    FIELD(seqseg_detection_slice, position_mm, 24);
    FIELD(seqseg_detection_slice, sop_instance_uid, 32);
    FIELD(seqseg_detection_slice, frame, 40);
    FIELD(seqseg_detection_slice, statuses, 44);
    FIELD(seqseg_detection_slice, has_box, 48);
    FIELD(seqseg_detection_slice, edited, 49);
    FIELD(seqseg_detection_slice, bounding_box, 56);
    FIELD(seqseg_detection_slice, corners_mm, 88);
    FIELD(seqseg_detection_slice, grid_corners_mm, 184);
    SIZE(seqseg_slice_image, 24);
    FIELD(seqseg_slice_image, struct_size, 0);
    FIELD(seqseg_slice_image, grid, 8);
    FIELD(seqseg_slice_image, pixels, 16);
    SIZE(seqseg_trajectory, 56);
    FIELD(seqseg_trajectory, struct_size, 0);
    FIELD(seqseg_trajectory, steps, 8);
    FIELD(seqseg_trajectory, action_count, 16);
    FIELD(seqseg_trajectory, actions, 24);
    FIELD(seqseg_trajectory, boxes, 32);
    FIELD(seqseg_trajectory, q, 40);
    FIELD(seqseg_trajectory, stopped, 48);
    SIZE(seqseg_segmentation_view, 256);
    FIELD(seqseg_segmentation_view, struct_size, 0);
    FIELD(seqseg_segmentation_view, size, 8);
    FIELD(seqseg_segmentation_view, mask, 32);
    FIELD(seqseg_segmentation_view, probability, 40);
    FIELD(seqseg_segmentation_view, threshold, 48);
    FIELD(seqseg_segmentation_view, volume_mm3, 56);
    FIELD(seqseg_segmentation_view, affine, 64);
    FIELD(seqseg_segmentation_view, origins, 192);
    FIELD(seqseg_segmentation_view, axis_i, 200);
    FIELD(seqseg_segmentation_view, axis_j, 224);
    FIELD(seqseg_segmentation_view, edited, 248);
    SIZE(seqseg_segmentation_slice, 56);
    FIELD(seqseg_segmentation_slice, struct_size, 0);
    FIELD(seqseg_segmentation_slice, slice, 8);
    FIELD(seqseg_segmentation_slice, storage_slice, 16);
    FIELD(seqseg_segmentation_slice, position_mm, 24);
    FIELD(seqseg_segmentation_slice, statuses, 32);
    FIELD(seqseg_segmentation_slice, pixels, 40);
    FIELD(seqseg_segmentation_slice, area_mm2, 48);
    SIZE(seqseg_contour_line, 64);
    FIELD(seqseg_contour_line, struct_size, 0);
    FIELD(seqseg_contour_line, storage_slice, 8);
    FIELD(seqseg_contour_line, point_count, 16);
    FIELD(seqseg_contour_line, points_mm, 24);
    FIELD(seqseg_contour_line, points_index, 32);
    FIELD(seqseg_contour_line, is_hole, 40);
    FIELD(seqseg_contour_line, parent, 48);
    FIELD(seqseg_contour_line, area_mm2, 56);
    VALUE(SEQSEG_OK, 0);
    VALUE(SEQSEG_ERROR_ARGUMENT, 1);
    VALUE(SEQSEG_ERROR_READ, 2);
    VALUE(SEQSEG_ERROR_IMAGE, 3);
    VALUE(SEQSEG_ERROR_GEOMETRY, 4);
    VALUE(SEQSEG_ERROR_IDENTITY, 5);
    VALUE(SEQSEG_ERROR_BUNDLE, 6);
    VALUE(SEQSEG_ERROR_RUNTIME, 7);
    VALUE(SEQSEG_ERROR_DEVICE, 8);
    VALUE(SEQSEG_ERROR_WRITE, 9);
    VALUE(SEQSEG_ERROR_UNSUPPORTED, 10);
    VALUE(SEQSEG_CANCELLED, 11);
    VALUE(SEQSEG_ERROR_INTERNAL, 12);
    VALUE(SEQSEG_ERROR_POISONED, 13);
    VALUE(SEQSEG_ELEMENT_UINT8, 0);
    VALUE(SEQSEG_ELEMENT_INT8, 1);
    VALUE(SEQSEG_ELEMENT_UINT16, 2);
    VALUE(SEQSEG_ELEMENT_INT16, 3);
    VALUE(SEQSEG_ELEMENT_UINT32, 4);
    VALUE(SEQSEG_ELEMENT_INT32, 5);
    VALUE(SEQSEG_ELEMENT_FLOAT32, 6);
    VALUE(SEQSEG_ELEMENT_FLOAT64, 7);
    VALUE(SEQSEG_AXES_LPS, 0);
    VALUE(SEQSEG_AXES_RAS, 1);
    VALUE(SEQSEG_SEQUENCE_T1, 0);
    VALUE(SEQSEG_SEQUENCE_T1C, 1);
    VALUE(SEQSEG_SEQUENCE_T2, 2);
    VALUE(SEQSEG_STAGE_READ, 0);
    VALUE(SEQSEG_STAGE_ALIGN, 1);
    VALUE(SEQSEG_STAGE_PREPARE, 2);
    VALUE(SEQSEG_STAGE_DETECT, 3);
    VALUE(SEQSEG_STAGE_SEGMENT, 4);
    VALUE(SEQSEG_STAGE_CONTOUR, 5);
    VALUE(SEQSEG_STAGE_EXPORT, 6);
    VALUE(SEQSEG_SLICE_NO_LESION, 1);
    VALUE(SEQSEG_SLICE_BOX_AT_IMAGE_EDGE, 2);
    VALUE(SEQSEG_SLICE_MASK_AT_CROP_EDGE, 4);
    VALUE(SEQSEG_SLICE_STEP_LIMIT_REACHED, 8);
    VALUE(SEQSEG_SLICE_INCOMPLETE_COVERAGE, 16);
    VALUE(SEQSEG_SLICE_SPACING_OUTSIDE_TRAINING, 32);
    VALUE(SEQSEG_CONTOUR_LEVEL, 0);
    VALUE(SEQSEG_CONTOUR_VOXEL, 1);
    VALUE(SEQSEG_RESLICE_NEVER, 0);
    VALUE(SEQSEG_RESLICE_AXIAL, 1);
    VALUE(SEQSEG_HOLES_KEYHOLE, 0);
    VALUE(SEQSEG_HOLES_XOR, 1);
    VALUE(SEQSEG_HOLES_PLAIN, 2);
    VALUE(SEQSEG_HOLES_FILL, 3);
    return 0;
}
