/* Version 1 of the ABI, by number and by declaration: what a program built with it relies on. Once
 * released, a line here never changes; later versions add lines. Sizes are those of 64-bit systems.
 */

#include "study.h"

/* A struct may grow at its end. */
#define SIZE(type, bytes) CHECK(sizeof(type) >= (bytes))
#define FIELD(type, field, at) CHECK(offsetof(type, field) == (at))
#define VALUE(constant, number) CHECK((constant) == (number))

/* C rejects a function that is declared again with other types. */
const char *nasoseg_version(void);
uint32_t nasoseg_abi_version(void);
uint32_t nasoseg_error_code(const nasoseg_error *error);
const char *nasoseg_error_message(const nasoseg_error *error);
void nasoseg_error_free(nasoseg_error *error);
uint32_t nasoseg_options_new(nasoseg_options **options, nasoseg_error **error);
void nasoseg_options_free(nasoseg_options *options);
uint32_t nasoseg_options_set_device(nasoseg_options *options, const char *device,
                                    nasoseg_error **error);
uint32_t nasoseg_options_set_onnxruntime(nasoseg_options *options, const char *library_path,
                                         nasoseg_error **error);
uint32_t nasoseg_options_set_threads(nasoseg_options *options, uint32_t threads,
                                     nasoseg_error **error);
uint32_t nasoseg_options_set_concurrent_runs(nasoseg_options *options, uint32_t runs,
                                             nasoseg_error **error);
uint32_t nasoseg_options_set_slices(nasoseg_options *options, size_t first, size_t end,
                                    nasoseg_error **error);
uint32_t nasoseg_options_set_slices_mm(nasoseg_options *options, double low, double high,
                                       nasoseg_error **error);
uint32_t nasoseg_options_set_force_geometry(nasoseg_options *options, bool force,
                                            nasoseg_error **error);
uint32_t nasoseg_options_set_force_coverage(nasoseg_options *options, bool force,
                                            nasoseg_error **error);
uint32_t nasoseg_options_set_reslice(nasoseg_options *options, uint32_t reslice, double step_mm,
                                     nasoseg_error **error);
uint32_t nasoseg_options_set_contour_kind(nasoseg_options *options, uint32_t kind,
                                          nasoseg_error **error);
uint32_t nasoseg_options_set_holes(nasoseg_options *options, uint32_t holes, nasoseg_error **error);
uint32_t nasoseg_options_set_simplify_mm(nasoseg_options *options, double tolerance_mm,
                                         nasoseg_error **error);
uint32_t nasoseg_options_set_roi_name(nasoseg_options *options, const char *name,
                                      nasoseg_error **error);
uint32_t nasoseg_options_set_structure_set_label(nasoseg_options *options, const char *label,
                                                 nasoseg_error **error);
uint32_t nasoseg_options_set_series_uid(nasoseg_options *options, const char *uid,
                                        nasoseg_error **error);
uint32_t nasoseg_options_set_pick(nasoseg_options *options, const char *pick,
                                  nasoseg_error **error);
uint32_t nasoseg_options_set_allow_gaps(nasoseg_options *options, bool allow,
                                        nasoseg_error **error);
uint32_t nasoseg_cancel_token_new(nasoseg_cancel_token **token, nasoseg_error **error);
void nasoseg_cancel_token_free(nasoseg_cancel_token *token);
void nasoseg_cancel_token_cancel(const nasoseg_cancel_token *token);
bool nasoseg_cancel_token_is_cancelled(const nasoseg_cancel_token *token);
void nasoseg_cancel_token_reset(const nasoseg_cancel_token *token);
uint32_t nasoseg_run_new(nasoseg_run **run, nasoseg_error **error);
void nasoseg_run_free(nasoseg_run *run);
uint32_t nasoseg_run_set_progress(nasoseg_run *run, nasoseg_progress_callback callback,
                                  void *user_data, nasoseg_error **error);
uint32_t nasoseg_run_set_cancel(nasoseg_run *run, const nasoseg_cancel_token *token,
                                nasoseg_error **error);
const char *nasoseg_stage_name(uint32_t stage);
uint32_t nasoseg_study_new(nasoseg_study **study, nasoseg_error **error);
void nasoseg_study_free(nasoseg_study *study);
uint32_t nasoseg_study_set_volume(nasoseg_study *study, uint32_t sequence,
                                  const nasoseg_volume_view *view, const nasoseg_options *options,
                                  const nasoseg_run *run, nasoseg_error **error);
uint32_t nasoseg_study_load(nasoseg_study *study, uint32_t sequence, const char *const *paths,
                            size_t count, const nasoseg_options *options, const nasoseg_run *run,
                            nasoseg_error **error);
uint32_t nasoseg_study_set_dicom_source(nasoseg_study *study, uint32_t sequence,
                                        const char *const *paths, size_t count,
                                        const nasoseg_options *options, const nasoseg_run *run,
                                        nasoseg_error **error);
size_t nasoseg_study_warning_count(const nasoseg_study *study);
const char *nasoseg_study_warning(const nasoseg_study *study, size_t index);
uint32_t nasoseg_engine_new(const char *bundle_dir, const nasoseg_options *options,
                            const nasoseg_run *run, nasoseg_engine **engine, nasoseg_error **error);
void nasoseg_engine_free(nasoseg_engine *engine);
const char *nasoseg_engine_model_name(const nasoseg_engine *engine);
const char *nasoseg_engine_model_version(const nasoseg_engine *engine);
const char *nasoseg_engine_model_hash(const nasoseg_engine *engine);
const char *nasoseg_engine_intended_use(const nasoseg_engine *engine);
bool nasoseg_engine_is_demo(const nasoseg_engine *engine);
const char *nasoseg_engine_device(const nasoseg_engine *engine);
const char *nasoseg_engine_device_fallback(const nasoseg_engine *engine);
size_t nasoseg_engine_grid(const nasoseg_engine *engine);
size_t nasoseg_engine_action_count(const nasoseg_engine *engine);
const char *nasoseg_engine_action_name(const nasoseg_engine *engine, size_t action);
uint32_t nasoseg_engine_get_work(const nasoseg_engine *engine, nasoseg_work *work,
                                 nasoseg_error **error);
uint32_t nasoseg_runtime_info_get(const nasoseg_options *options, nasoseg_runtime_info *info,
                                  nasoseg_error **error);
uint32_t nasoseg_detect(const nasoseg_engine *engine, const nasoseg_study *study,
                        const nasoseg_options *options, const nasoseg_run *run,
                        nasoseg_detection **detection, nasoseg_error **error);
void nasoseg_detection_free(nasoseg_detection *detection);
const char *nasoseg_slice_status_words(uint32_t status);
const char *nasoseg_demo_words(uint32_t which);
bool nasoseg_is_demo(const char *name, const char *description);
size_t nasoseg_detection_slice_count(const nasoseg_detection *detection);
uint32_t nasoseg_detection_get_slice(const nasoseg_detection *detection, size_t index,
                                     nasoseg_detection_slice *slice, nasoseg_error **error);
uint32_t nasoseg_detection_get_trajectory(const nasoseg_detection *detection, size_t index,
                                          nasoseg_trajectory *trajectory, nasoseg_error **error);
uint32_t nasoseg_detection_get_image(const nasoseg_detection *detection, size_t index,
                                     nasoseg_slice_image *image, nasoseg_error **error);
uint32_t nasoseg_detection_set_box(nasoseg_detection *detection, size_t index,
                                   const nasoseg_bounding_box *bounding_box, nasoseg_error **error);
uint32_t nasoseg_detection_clear_box(nasoseg_detection *detection, size_t index,
                                     nasoseg_error **error);
uint32_t nasoseg_detection_write(const nasoseg_detection *detection, const char *file,
                                 const nasoseg_options *options, const nasoseg_run *run,
                                 nasoseg_error **error);
uint32_t nasoseg_detection_read(const nasoseg_engine *engine, const nasoseg_study *study,
                                const char *file, const nasoseg_options *options,
                                const nasoseg_run *run, nasoseg_detection **detection,
                                nasoseg_error **error);
uint32_t nasoseg_segment(const nasoseg_engine *engine, const nasoseg_study *study,
                         const nasoseg_detection *detection, const nasoseg_options *options,
                         const nasoseg_run *run, nasoseg_segmentation **segmentation,
                         nasoseg_error **error);
void nasoseg_segmentation_free(nasoseg_segmentation *segmentation);
uint32_t nasoseg_segmentation_get_view(const nasoseg_segmentation *segmentation,
                                       nasoseg_segmentation_view *view, nasoseg_error **error);
size_t nasoseg_segmentation_slice_count(const nasoseg_segmentation *segmentation);
uint32_t nasoseg_segmentation_get_slice(const nasoseg_segmentation *segmentation, size_t index,
                                        nasoseg_segmentation_slice *slice, nasoseg_error **error);
uint32_t nasoseg_contour(const nasoseg_segmentation *segmentation, const nasoseg_options *options,
                         const nasoseg_run *run, nasoseg_contours **contours,
                         nasoseg_error **error);
void nasoseg_contours_free(nasoseg_contours *contours);
size_t nasoseg_contours_count(const nasoseg_contours *contours);
uint32_t nasoseg_contours_get(const nasoseg_contours *contours, size_t index,
                              nasoseg_contour_view *contour, nasoseg_error **error);
uint32_t nasoseg_contours_write_rtstruct(const nasoseg_contours *contours, const char *file,
                                         const nasoseg_options *options, const nasoseg_run *run,
                                         nasoseg_error **error);
uint32_t nasoseg_segmentation_write_mask(const nasoseg_segmentation *segmentation, const char *file,
                                         const nasoseg_options *options, const nasoseg_run *run,
                                         nasoseg_error **error);
uint32_t nasoseg_segmentation_write_probability(const nasoseg_segmentation *segmentation,
                                                const char *file, const nasoseg_options *options,
                                                const nasoseg_run *run, nasoseg_error **error);
uint32_t nasoseg_write_preview(const nasoseg_detection *detection,
                               const nasoseg_segmentation *segmentation,
                               const nasoseg_contours *contours, const char *file,
                               const nasoseg_options *options, const nasoseg_run *run,
                               nasoseg_error **error);
uint32_t nasoseg_segmentation_write_record(const nasoseg_segmentation *segmentation,
                                           const char *file, const nasoseg_options *options,
                                           const nasoseg_run *run, nasoseg_error **error);

/* Linking fails if one of these is missing. */
static void (*const FUNCTIONS[])(void) = {
    (void (*)(void))nasoseg_version,
    (void (*)(void))nasoseg_abi_version,
    (void (*)(void))nasoseg_error_code,
    (void (*)(void))nasoseg_error_message,
    (void (*)(void))nasoseg_error_free,
    (void (*)(void))nasoseg_options_new,
    (void (*)(void))nasoseg_options_free,
    (void (*)(void))nasoseg_options_set_device,
    (void (*)(void))nasoseg_options_set_onnxruntime,
    (void (*)(void))nasoseg_options_set_threads,
    (void (*)(void))nasoseg_options_set_concurrent_runs,
    (void (*)(void))nasoseg_options_set_slices,
    (void (*)(void))nasoseg_options_set_slices_mm,
    (void (*)(void))nasoseg_options_set_force_geometry,
    (void (*)(void))nasoseg_options_set_force_coverage,
    (void (*)(void))nasoseg_options_set_reslice,
    (void (*)(void))nasoseg_options_set_contour_kind,
    (void (*)(void))nasoseg_options_set_holes,
    (void (*)(void))nasoseg_options_set_simplify_mm,
    (void (*)(void))nasoseg_options_set_roi_name,
    (void (*)(void))nasoseg_options_set_structure_set_label,
    (void (*)(void))nasoseg_options_set_series_uid,
    (void (*)(void))nasoseg_options_set_pick,
    (void (*)(void))nasoseg_options_set_allow_gaps,
    (void (*)(void))nasoseg_cancel_token_new,
    (void (*)(void))nasoseg_cancel_token_free,
    (void (*)(void))nasoseg_cancel_token_cancel,
    (void (*)(void))nasoseg_cancel_token_is_cancelled,
    (void (*)(void))nasoseg_cancel_token_reset,
    (void (*)(void))nasoseg_run_new,
    (void (*)(void))nasoseg_run_free,
    (void (*)(void))nasoseg_run_set_progress,
    (void (*)(void))nasoseg_run_set_cancel,
    (void (*)(void))nasoseg_stage_name,
    (void (*)(void))nasoseg_study_new,
    (void (*)(void))nasoseg_study_free,
    (void (*)(void))nasoseg_study_set_volume,
    (void (*)(void))nasoseg_study_load,
    (void (*)(void))nasoseg_study_set_dicom_source,
    (void (*)(void))nasoseg_study_warning_count,
    (void (*)(void))nasoseg_study_warning,
    (void (*)(void))nasoseg_engine_new,
    (void (*)(void))nasoseg_engine_free,
    (void (*)(void))nasoseg_engine_model_name,
    (void (*)(void))nasoseg_engine_model_version,
    (void (*)(void))nasoseg_engine_model_hash,
    (void (*)(void))nasoseg_engine_intended_use,
    (void (*)(void))nasoseg_engine_is_demo,
    (void (*)(void))nasoseg_engine_device,
    (void (*)(void))nasoseg_engine_device_fallback,
    (void (*)(void))nasoseg_engine_grid,
    (void (*)(void))nasoseg_engine_action_count,
    (void (*)(void))nasoseg_engine_action_name,
    (void (*)(void))nasoseg_engine_get_work,
    (void (*)(void))nasoseg_runtime_info_get,
    (void (*)(void))nasoseg_detect,
    (void (*)(void))nasoseg_detection_free,
    (void (*)(void))nasoseg_slice_status_words,
    (void (*)(void))nasoseg_demo_words,
    (void (*)(void))nasoseg_is_demo,
    (void (*)(void))nasoseg_detection_slice_count,
    (void (*)(void))nasoseg_detection_get_slice,
    (void (*)(void))nasoseg_detection_get_trajectory,
    (void (*)(void))nasoseg_detection_get_image,
    (void (*)(void))nasoseg_detection_set_box,
    (void (*)(void))nasoseg_detection_clear_box,
    (void (*)(void))nasoseg_detection_write,
    (void (*)(void))nasoseg_detection_read,
    (void (*)(void))nasoseg_segment,
    (void (*)(void))nasoseg_segmentation_free,
    (void (*)(void))nasoseg_segmentation_get_view,
    (void (*)(void))nasoseg_segmentation_slice_count,
    (void (*)(void))nasoseg_segmentation_get_slice,
    (void (*)(void))nasoseg_contour,
    (void (*)(void))nasoseg_contours_free,
    (void (*)(void))nasoseg_contours_count,
    (void (*)(void))nasoseg_contours_get,
    (void (*)(void))nasoseg_contours_write_rtstruct,
    (void (*)(void))nasoseg_segmentation_write_mask,
    (void (*)(void))nasoseg_segmentation_write_probability,
    (void (*)(void))nasoseg_write_preview,
    (void (*)(void))nasoseg_segmentation_write_record,
};

int main(void) {
    for (size_t at = 0; at < sizeof FUNCTIONS / sizeof FUNCTIONS[0]; at++) {
        CHECK(FUNCTIONS[at] != NULL);
    }
    CHECK(sizeof(void *) == 8);
    CHECK(NASOSEG_ABI_VERSION >= 1);
    SIZE(nasoseg_progress, 32);
    FIELD(nasoseg_progress, struct_size, 0);
    FIELD(nasoseg_progress, stage, 8);
    FIELD(nasoseg_progress, done, 16);
    FIELD(nasoseg_progress, total, 24);
    SIZE(nasoseg_volume_view, 208);
    FIELD(nasoseg_volume_view, struct_size, 0);
    FIELD(nasoseg_volume_view, data, 8);
    FIELD(nasoseg_volume_view, element, 16);
    FIELD(nasoseg_volume_view, axes, 20);
    FIELD(nasoseg_volume_view, size, 24);
    FIELD(nasoseg_volume_view, stride, 48);
    FIELD(nasoseg_volume_view, affine, 72);
    FIELD(nasoseg_volume_view, origins, 200);
    SIZE(nasoseg_work, 32);
    FIELD(nasoseg_work, struct_size, 0);
    FIELD(nasoseg_work, trunk_rows, 8);
    FIELD(nasoseg_work, segmenter_rows, 16);
    FIELD(nasoseg_work, seconds, 24);
    SIZE(nasoseg_runtime_info, 32);
    FIELD(nasoseg_runtime_info, struct_size, 0);
    FIELD(nasoseg_runtime_info, version, 8);
    FIELD(nasoseg_runtime_info, path, 16);
    FIELD(nasoseg_runtime_info, has_cuda, 24);
    SIZE(nasoseg_bounding_box, 32);
    FIELD(nasoseg_bounding_box, x0, 0);
    FIELD(nasoseg_bounding_box, y0, 8);
    FIELD(nasoseg_bounding_box, x1, 16);
    FIELD(nasoseg_bounding_box, y1, 24);
    SIZE(nasoseg_detection_slice, 184);
    FIELD(nasoseg_detection_slice, struct_size, 0);
    FIELD(nasoseg_detection_slice, slice, 8);
    FIELD(nasoseg_detection_slice, storage_slice, 16);
    FIELD(nasoseg_detection_slice, position_mm, 24);
    FIELD(nasoseg_detection_slice, sop_instance_uid, 32);
    FIELD(nasoseg_detection_slice, frame, 40);
    FIELD(nasoseg_detection_slice, statuses, 44);
    FIELD(nasoseg_detection_slice, has_box, 48);
    FIELD(nasoseg_detection_slice, edited, 49);
    FIELD(nasoseg_detection_slice, bounding_box, 56);
    FIELD(nasoseg_detection_slice, corners_mm, 88);
    FIELD(nasoseg_detection_slice, grid_corners_mm, 184);
    SIZE(nasoseg_slice_image, 24);
    FIELD(nasoseg_slice_image, struct_size, 0);
    FIELD(nasoseg_slice_image, grid, 8);
    FIELD(nasoseg_slice_image, pixels, 16);
    SIZE(nasoseg_trajectory, 56);
    FIELD(nasoseg_trajectory, struct_size, 0);
    FIELD(nasoseg_trajectory, steps, 8);
    FIELD(nasoseg_trajectory, action_count, 16);
    FIELD(nasoseg_trajectory, actions, 24);
    FIELD(nasoseg_trajectory, boxes, 32);
    FIELD(nasoseg_trajectory, q, 40);
    FIELD(nasoseg_trajectory, stopped, 48);
    SIZE(nasoseg_segmentation_view, 256);
    FIELD(nasoseg_segmentation_view, struct_size, 0);
    FIELD(nasoseg_segmentation_view, size, 8);
    FIELD(nasoseg_segmentation_view, mask, 32);
    FIELD(nasoseg_segmentation_view, probability, 40);
    FIELD(nasoseg_segmentation_view, threshold, 48);
    FIELD(nasoseg_segmentation_view, volume_mm3, 56);
    FIELD(nasoseg_segmentation_view, affine, 64);
    FIELD(nasoseg_segmentation_view, origins, 192);
    FIELD(nasoseg_segmentation_view, axis_i, 200);
    FIELD(nasoseg_segmentation_view, axis_j, 224);
    FIELD(nasoseg_segmentation_view, edited, 248);
    SIZE(nasoseg_segmentation_slice, 56);
    FIELD(nasoseg_segmentation_slice, struct_size, 0);
    FIELD(nasoseg_segmentation_slice, slice, 8);
    FIELD(nasoseg_segmentation_slice, storage_slice, 16);
    FIELD(nasoseg_segmentation_slice, position_mm, 24);
    FIELD(nasoseg_segmentation_slice, statuses, 32);
    FIELD(nasoseg_segmentation_slice, pixels, 40);
    FIELD(nasoseg_segmentation_slice, area_mm2, 48);
    SIZE(nasoseg_contour_view, 64);
    FIELD(nasoseg_contour_view, struct_size, 0);
    FIELD(nasoseg_contour_view, storage_slice, 8);
    FIELD(nasoseg_contour_view, point_count, 16);
    FIELD(nasoseg_contour_view, points_mm, 24);
    FIELD(nasoseg_contour_view, points_index, 32);
    FIELD(nasoseg_contour_view, is_hole, 40);
    FIELD(nasoseg_contour_view, parent, 48);
    FIELD(nasoseg_contour_view, area_mm2, 56);
    VALUE(NASOSEG_OK, 0);
    VALUE(NASOSEG_ERROR_ARGUMENT, 1);
    VALUE(NASOSEG_ERROR_READ, 2);
    VALUE(NASOSEG_ERROR_IMAGE, 3);
    VALUE(NASOSEG_ERROR_GEOMETRY, 4);
    VALUE(NASOSEG_ERROR_IDENTITY, 5);
    VALUE(NASOSEG_ERROR_BUNDLE, 6);
    VALUE(NASOSEG_ERROR_RUNTIME, 7);
    VALUE(NASOSEG_ERROR_DEVICE, 8);
    VALUE(NASOSEG_ERROR_WRITE, 9);
    VALUE(NASOSEG_ERROR_UNSUPPORTED, 10);
    VALUE(NASOSEG_CANCELLED, 11);
    VALUE(NASOSEG_ERROR_INTERNAL, 12);
    VALUE(NASOSEG_ERROR_POISONED, 13);
    VALUE(NASOSEG_ELEMENT_UINT8, 0);
    VALUE(NASOSEG_ELEMENT_INT8, 1);
    VALUE(NASOSEG_ELEMENT_UINT16, 2);
    VALUE(NASOSEG_ELEMENT_INT16, 3);
    VALUE(NASOSEG_ELEMENT_UINT32, 4);
    VALUE(NASOSEG_ELEMENT_INT32, 5);
    VALUE(NASOSEG_ELEMENT_FLOAT32, 6);
    VALUE(NASOSEG_ELEMENT_FLOAT64, 7);
    VALUE(NASOSEG_AXES_LPS, 0);
    VALUE(NASOSEG_AXES_RAS, 1);
    VALUE(NASOSEG_SEQUENCE_T1, 0);
    VALUE(NASOSEG_SEQUENCE_T1C, 1);
    VALUE(NASOSEG_SEQUENCE_T2, 2);
    VALUE(NASOSEG_STAGE_READ, 0);
    VALUE(NASOSEG_STAGE_ALIGN, 1);
    VALUE(NASOSEG_STAGE_PREPARE, 2);
    VALUE(NASOSEG_STAGE_DETECT, 3);
    VALUE(NASOSEG_STAGE_SEGMENT, 4);
    VALUE(NASOSEG_STAGE_CONTOUR, 5);
    VALUE(NASOSEG_STAGE_EXPORT, 6);
    VALUE(NASOSEG_SLICE_NO_LESION, 1);
    VALUE(NASOSEG_SLICE_BOX_AT_IMAGE_EDGE, 2);
    VALUE(NASOSEG_SLICE_MASK_AT_CROP_EDGE, 4);
    VALUE(NASOSEG_SLICE_STEP_LIMIT_REACHED, 8);
    VALUE(NASOSEG_SLICE_INCOMPLETE_COVERAGE, 16);
    VALUE(NASOSEG_SLICE_SPACING_OUTSIDE_TRAINING, 32);
    VALUE(NASOSEG_DEMO_NAME, 0);
    VALUE(NASOSEG_DEMO_MARK, 1);
    VALUE(NASOSEG_DEMO_WARNING, 2);
    VALUE(NASOSEG_DEMO_BANNER, 3);
    VALUE(NASOSEG_DEMO_USE, 4);
    VALUE(NASOSEG_DEMO_PREFIX, 5);
    VALUE(NASOSEG_CONTOUR_LEVEL, 0);
    VALUE(NASOSEG_CONTOUR_VOXEL, 1);
    VALUE(NASOSEG_RESLICE_NEVER, 0);
    VALUE(NASOSEG_RESLICE_AXIAL, 1);
    VALUE(NASOSEG_HOLES_KEYHOLE, 0);
    VALUE(NASOSEG_HOLES_XOR, 1);
    VALUE(NASOSEG_HOLES_PLAIN, 2);
    VALUE(NASOSEG_HOLES_FILL, 3);
    return 0;
}
