/*
 * nasoseg: nasopharyngeal carcinoma in MR, found and outlined in your own process.
 *
 * Three MR sequences of one patient (T1, contrast-enhanced T1, T2) go in; a box per slice, a mask, contours and an RT Structure Set come
 * out. The model runs on ONNX Runtime, which is loaded at run time.
 *
 * This is not a medical device. Show nasoseg_engine_intended_use beside every result, and never call the result of a demo model
 * (nasoseg_engine_is_demo) a target.
 *
 * THE STORY
 *
 *     #include <nasoseg.h>
 *     #include <stdio.h>
 *
 *     static bool show(const nasoseg_progress *p, void *user_data) {
 *         (void)user_data;
 *         printf("%s %zu/%zu\n", nasoseg_stage_name(p->stage), p->done, p->total);
 *         return true;                                       // false cancels
 *     }
 *
 *     int main(void) {
 *         nasoseg_error *error = NULL;
 *         nasoseg_engine *engine = NULL;
 *         nasoseg_study *study = NULL;
 *         nasoseg_run *run = NULL;
 *         nasoseg_detection *detection = NULL;
 *         nasoseg_segmentation *segmentation = NULL;
 *         nasoseg_contours *contours = NULL;
 *         const char *t1 = "patient/T1", *t1c = "patient/T1C", *t2 = "patient/T2";
 *
 *         int failed = nasoseg_run_new(&run, &error)
 *             || nasoseg_run_set_progress(run, show, NULL, &error)
 *             || nasoseg_engine_new("models/demo", NULL, run, &engine, &error)
 *             || nasoseg_study_new(&study, &error)
 *             || nasoseg_study_load(study, NASOSEG_SEQUENCE_T1, &t1, 1, NULL, run, &error)
 *             || nasoseg_study_load(study, NASOSEG_SEQUENCE_T1C, &t1c, 1, NULL, run, &error)
 *             || nasoseg_study_load(study, NASOSEG_SEQUENCE_T2, &t2, 1, NULL, run, &error)
 *             || nasoseg_detect(engine, study, NULL, run, &detection, &error)
 *             || nasoseg_segment(engine, study, detection, NULL, run, &segmentation, &error)
 *             || nasoseg_contour(segmentation, NULL, run, &contours, &error)
 *             || nasoseg_contours_write_rtstruct(contours, "rtstruct.dcm", NULL, run, &error);
 *         if (failed) {
 *             fprintf(stderr, "%s\n", nasoseg_error_message(error));
 *         }
 *         nasoseg_error_free(error);
 *         nasoseg_contours_free(contours);
 *         nasoseg_segmentation_free(segmentation);
 *         nasoseg_detection_free(detection);
 *         nasoseg_study_free(study);
 *         nasoseg_run_free(run);
 *         nasoseg_engine_free(engine);
 *         return failed;
 *     }
 *
 * OWNERSHIP
 *
 * Handles are opaque. What a _new function, or a function with a handle as its last result, gives belongs to the caller, who frees it with
 * the _free of its type; every _free takes NULL. Handles may be freed in any order: each keeps alive what it needs. Every pointer that is
 * handed in is borrowed for the call, nothing is taken. What a getter lends (strings, arrays) stays valid until its handle is freed,
 * unless it says otherwise. On failure a result is NULL.
 *
 * A (pointer, 0) pair is an empty array whatever the pointer. Strings are UTF-8, paths too, on every system.
 *
 * STRUCTS
 *
 * A struct that begins with `struct_size` must have it set to its sizeof before the call. The library fills (or reads) as much as the
 * caller's struct has room for, so programs go on working when a field is appended.
 *
 * ERRORS
 *
 * Every fallible function returns NASOSEG_OK (0) or another nasoseg_status, and sets *error (where `error` is not NULL) to a message of one
 * paragraph that names the input, what was expected and what to do, or to NULL on success. The error belongs to the caller. No exception,
 * panic or exit crosses the boundary. After NASOSEG_ERROR_INTERNAL the handles of that call answer NASOSEG_ERROR_POISONED; free them.
 *
 * THREADS
 *
 * A const handle may be used by many threads at once. A handle that a function takes without const wants no other call on it at the same
 * time, unless its type says otherwise. Progress callbacks come on the calling thread. The library starts threads of its own (for pixels, for
 * model runs, and one that looks at the cancel token of a call) but never calls back from them.
 *
 * CANCEL
 *
 * A cancel token may be set by any thread and by a signal handler; the call returns NASOSEG_CANCELLED within one model run (a long one is
 * broken off), every handle stays usable, nothing half done is left. Returning false from the progress callback does the same.
 *
 * UNITS AND AXES
 *
 * Millimetres and the patient's LPS axes (x to the left, y to the back, z to the head), except where an affine says RAS. Voxel (i, j, k) is
 * its centre; i is the fastest storage axis. Boxes are pixel edges on the model's square grid. Slices are counted from 0, from inferior to
 * superior, whatever the storage; half-open ranges.
 */

#ifndef NASOSEG_H
#define NASOSEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Version of the ABI: it grows when a function or a field is added, and its hundreds when
// something changes incompatibly.
#define NASOSEG_ABI_VERSION 1

// Status codes. Numbers are stable and never reused; treat an unknown one as a failure.
typedef enum nasoseg_status {
    // Done.
    NASOSEG_OK = 0,
    // An argument or option makes no sense, or calls came in the wrong order.
    NASOSEG_ERROR_ARGUMENT = 1,
    // A file cannot be read.
    NASOSEG_ERROR_READ = 2,
    // The image is not one that nasoseg can use.
    NASOSEG_ERROR_IMAGE = 3,
    // The sequences do not fit together in space.
    NASOSEG_ERROR_GEOMETRY = 4,
    // The sequences are of different patients.
    NASOSEG_ERROR_IDENTITY = 5,
    // The model bundle is missing, damaged or of another format.
    NASOSEG_ERROR_BUNDLE = 6,
    // ONNX Runtime cannot be found, loaded or run.
    NASOSEG_ERROR_RUNTIME = 7,
    // The device that was named cannot be used.
    NASOSEG_ERROR_DEVICE = 8,
    // An output cannot be written.
    NASOSEG_ERROR_WRITE = 9,
    // This output cannot be made from this input.
    NASOSEG_ERROR_UNSUPPORTED = 10,
    // The caller cancelled; every handle stays usable.
    NASOSEG_CANCELLED = 11,
    // A defect of nasoseg itself.
    NASOSEG_ERROR_INTERNAL = 12,
    // An earlier call on this handle failed with NASOSEG_ERROR_INTERNAL; free it.
    NASOSEG_ERROR_POISONED = 13,
} nasoseg_status;

// Type of a voxel, in the machine's own byte order.
typedef enum nasoseg_element {
    NASOSEG_ELEMENT_UINT8 = 0,
    NASOSEG_ELEMENT_INT8 = 1,
    NASOSEG_ELEMENT_UINT16 = 2,
    NASOSEG_ELEMENT_INT16 = 3,
    NASOSEG_ELEMENT_UINT32 = 4,
    NASOSEG_ELEMENT_INT32 = 5,
    NASOSEG_ELEMENT_FLOAT32 = 6,
    NASOSEG_ELEMENT_FLOAT64 = 7,
} nasoseg_element;

// The patient axes that an affine maps to.
typedef enum nasoseg_axes {
    // x to the patient's left, y to the back, z to the head: DICOM, ITK, this library.
    NASOSEG_AXES_LPS = 0,
    // x to the patient's right, y to the front, z to the head: NIfTI, 3D Slicer.
    NASOSEG_AXES_RAS = 1,
} nasoseg_axes;

// A sequence of the study.
typedef enum nasoseg_sequence {
    // T1-weighted.
    NASOSEG_SEQUENCE_T1 = 0,
    // Contrast-enhanced T1-weighted: the reference, on whose grid all results lie.
    NASOSEG_SEQUENCE_T1C = 1,
    // T2-weighted.
    NASOSEG_SEQUENCE_T2 = 2,
} nasoseg_sequence;

// The stages of the pipeline, in order.
typedef enum nasoseg_stage {
    NASOSEG_STAGE_READ = 0,
    NASOSEG_STAGE_ALIGN = 1,
    NASOSEG_STAGE_PREPARE = 2,
    NASOSEG_STAGE_DETECT = 3,
    NASOSEG_STAGE_SEGMENT = 4,
    NASOSEG_STAGE_CONTOUR = 5,
    NASOSEG_STAGE_EXPORT = 6,
} nasoseg_stage;

// What a user should know about a slice: bits of `statuses`; 0 is ok.
typedef enum nasoseg_slice_status {
    // No pixel over the threshold, or no box: the detector found none, or the caller cleared it.
    NASOSEG_SLICE_NO_LESION = 1,
    // The box touches the edge of the model's grid.
    NASOSEG_SLICE_BOX_AT_IMAGE_EDGE = 2,
    // The mask reaches the edge of what the segmenter saw: possibly cut.
    NASOSEG_SLICE_MASK_AT_CROP_EDGE = 4,
    // The agent did not stop within the step limit.
    NASOSEG_SLICE_STEP_LIMIT_REACHED = 8,
    // A sequence covers less than 95 % of T1C's foreground: not segmented unless forced.
    NASOSEG_SLICE_INCOMPLETE_COVERAGE = 16,
    // The slice spacing lies outside the range seen in training.
    NASOSEG_SLICE_SPACING_OUTSIDE_TRAINING = 32,
} nasoseg_slice_status;

// The line that contours follow.
typedef enum nasoseg_contour_kind {
    // The level of the probability at the model's threshold, between voxel centres.
    NASOSEG_CONTOUR_LEVEL = 0,
    // The edges of the mask's voxels.
    NASOSEG_CONTOUR_VOXEL = 1,
} nasoseg_contour_kind;

// How an RT Structure Set holds holes.
typedef enum nasoseg_holes {
    // One closed line that enters the hole through a cut of no width: every planning system
    // imports it.
    NASOSEG_HOLES_KEYHOLE = 0,
    // Geometric type CLOSEDPLANAR_XOR.
    NASOSEG_HOLES_XOR = 1,
    // Overlapping CLOSED_PLANAR items: many readers take them as exclusive-or, some as union.
    NASOSEG_HOLES_PLAIN = 2,
    // Holes are filled.
    NASOSEG_HOLES_FILL = 3,
} nasoseg_holes;

// What the model sees of a T1C whose own slices are not axial.
typedef enum nasoseg_reslice {
    // T1C along the storage axes nearest to the patient's; a DICOM T1C that is not axial is
    // refused.
    NASOSEG_RESLICE_NEVER = 0,
    // Axial slices resampled from T1C, unless its own are axial to within 1 degree. The result is
    // brought back onto T1C's own voxels.
    NASOSEG_RESLICE_AXIAL = 1,
} nasoseg_reslice;

// A flag that cancels calls. Any thread, or a signal handler, may set it. It stays set until it is
// reset.
typedef struct nasoseg_cancel_token nasoseg_cancel_token;

// The outlines of a segmentation. They never change: safe to read from many threads at once. They
// carry what writing an RT Structure Set needs.
typedef struct nasoseg_contours nasoseg_contours;

// A box per slice, editable, with the agent's trajectory. Reading is safe from many threads at
// once; nasoseg_detection_set_box and nasoseg_detection_clear_box want no other call on the
// detection at the same time.
typedef struct nasoseg_detection nasoseg_detection;

// A model bundle, opened on a device. An engine may be shared by any number of threads; its model
// runs go one at a time unless nasoseg_options_set_concurrent_runs said otherwise, and results do
// not depend on that.
typedef struct nasoseg_engine nasoseg_engine;

// What went wrong: a status code and one paragraph that names the input, what was expected and
// what to do. It belongs to no thread; free it with nasoseg_error_free.
typedef struct nasoseg_error nasoseg_error;

// Options of any call; each call reads those that concern it. Everywhere NULL stands for the
// defaults. An options object may be used by many threads at once; a setter changes it for the
// calls that begin afterwards.
typedef struct nasoseg_options nasoseg_options;

// What a long call reports to and is cancelled by. Everywhere NULL stands for neither.
typedef struct nasoseg_run nasoseg_run;

// Mask and probability on T1C's own grid, with statistics. It never changes: safe to read from
// many threads at once. It carries what writing needs: model, hash, edited boxes, device.
typedef struct nasoseg_segmentation nasoseg_segmentation;

// The three MR sequences of one patient. Sequences are copied in; the study is brought together
// (checked, aligned, prepared) by the first nasoseg_detect, under a lock of its own, and kept. A
// study may be used by many threads at once; setting a sequence while another thread works on the
// study affects later calls only.
typedef struct nasoseg_study nasoseg_study;

// How far a stage is. `done` of `total` never decreases within a stage of one call. Later versions
// may append fields.
typedef struct nasoseg_progress {
    // Bytes that the library filled.
    size_t struct_size;
    // A nasoseg_stage.
    uint32_t stage;
    // Units done: sequences, slices or files.
    size_t done;
    // Units in all; 0 where there is nothing to do.
    size_t total;
} nasoseg_progress;

// Called on the thread that made the call, between two model runs; `progress` is borrowed for the
// call. Return false to cancel. It may not unwind (throw) into the library, and may not make calls
// on the handles of the call that reports: the study's lock is held. Cancel tokens may be used.
typedef bool (*nasoseg_progress_callback)(const struct nasoseg_progress *progress, void *user_data);

// A view of a volume in the caller's memory: any strides, C or Fortran order, flipped or not. The
// library copies the voxels and never writes to them. Set `struct_size` to
// sizeof(nasoseg_volume_view) and the rest to 0 before filling it in.
typedef struct nasoseg_volume_view {
    // sizeof(nasoseg_volume_view) of the caller.
    size_t struct_size;
    // Address of voxel (0, 0, 0).
    const void *data;
    // A nasoseg_element.
    uint32_t element;
    // A nasoseg_axes: what `affine` and `origins` mean.
    uint32_t axes;
    // Voxels along i, j and k. With DICOM i runs along a row, j along a column, k over slices.
    size_t size[3];
    // Bytes from a voxel to the next along i, j and k; may be negative.
    int64_t stride[3];
    // Row-major 4 x 4 matrix: (i, j, k, 1) to mm, for voxel centres.
    double affine[16];
    // NULL, or the centre of voxel (0, 0, k) for every k (3 * size[2] numbers, mm): for slices
    // that are unevenly spaced. Then only the first two columns of `affine` count.
    const double *origins;
} nasoseg_volume_view;

// What an engine has run so far. Later versions may append fields.
typedef struct nasoseg_work {
    // sizeof(nasoseg_work) of the caller.
    size_t struct_size;
    // Boxes that the agent's trunk saw: once for each distinct slice and box.
    uint64_t trunk_rows;
    // Slices that the segmenter saw; of a model that works on volumes, patches.
    uint64_t segmenter_rows;
    // Seconds inside ONNX Runtime.
    double seconds;
} nasoseg_work;

// The ONNX Runtime of this process. Later versions may append fields.
typedef struct nasoseg_runtime_info {
    // sizeof(nasoseg_runtime_info) of the caller.
    size_t struct_size;
    // For example "1.32.0". Static.
    const char *version;
    // Absolute path of the library. Static.
    const char *path;
    // Whether this build of ONNX Runtime knows CUDA, which says nothing of a device.
    bool has_cuda;
} nasoseg_runtime_info;

// A box on the model's grid, pixel edges: index i is the centre of pixel i and its edges are i and
// i + 1. x runs along columns (patient right to left), y along rows (anterior to posterior).
typedef struct nasoseg_box {
    double x0;
    double y0;
    double x1;
    double y1;
} nasoseg_box;

// One slice of a detection. Later versions may append fields.
typedef struct nasoseg_detection_slice {
    // sizeof(nasoseg_detection_slice) of the caller.
    size_t struct_size;
    // Canonical number: 0-based, from inferior to superior.
    size_t slice;
    // Index along the storage axis that runs from head to foot: k for DICOM and for any image
    // stored axially. SIZE_MAX where T1C was resliced.
    size_t storage_slice;
    // z (LPS, mm) of the slice's centre.
    double position_mm;
    // SOP Instance UID of a DICOM slice, "" otherwise. Borrowed: valid until the detection is
    // freed.
    const char *sop_instance_uid;
    // Original 1-based frame of a multi-frame image; 0 otherwise.
    uint32_t frame;
    // Bits of nasoseg_slice_status; 0 is ok.
    uint32_t statuses;
    // Whether the slice has a box and will be segmented.
    bool has_box;
    // Whether the caller replaced or cleared the box.
    bool edited;
    // The box, where there is one.
    struct nasoseg_box bounding_box;
    // The box's corners (x0, y0), (x1, y0), (x1, y1), (x0, y1) in the patient: x, y, z each, LPS
    // mm.
    double corners_mm[12];
    // The corners of the model's grid on this slice, box or not, in the same order: they tell
    // where a point of the grid lies in the patient, and which point of the grid belongs to one of
    // the slice.
    double grid_corners_mm[12];
} nasoseg_detection_slice;

// The agent's walk on one slice. Borrowed: valid until the detection is freed. Later versions may
// append fields.
typedef struct nasoseg_trajectory {
    // sizeof(nasoseg_trajectory) of the caller.
    size_t struct_size;
    // Actions taken, the terminal one included; 0 where no agent looked at the slice.
    size_t steps;
    // Number of actions to choose from.
    size_t action_count;
    // `steps` indices of actions.
    const uint32_t *actions;
    // 4 * (`steps` + 1) numbers: x0, y0, x1, y1 of the initial box, then of the box after every
    // action. Without an agent: the slice's box when the detection was made or read, 0 where it
    // had none. No edit changes them.
    const double *boxes;
    // `steps` * `action_count` Q values, step by step.
    const float *q;
    // Whether the agent chose to stop; otherwise the step limit ended the walk.
    bool stopped;
} nasoseg_trajectory;

// What the model sees of one slice. Borrowed: valid until the detection is freed. Later versions
// may append fields.
typedef struct nasoseg_slice_image {
    // sizeof(nasoseg_slice_image) of the caller.
    size_t struct_size;
    // Side of the model's square grid, pixels.
    size_t grid;
    // 3 * `grid` * `grid` numbers in 0 .. 1: T1, T1C and T2, scaled and fitted to the grid, rows
    // from anterior to posterior.
    const float *pixels;
} nasoseg_slice_image;

// The arrays of a segmentation, in T1C's storage order: i fastest, then j, then k, without gaps.
// Borrowed: valid until the segmentation is freed. Later versions may append fields.
typedef struct nasoseg_segmentation_view {
    // sizeof(nasoseg_segmentation_view) of the caller.
    size_t struct_size;
    // Voxels along i, j and k.
    size_t size[3];
    // size[0] * size[1] * size[2] bytes: 1 where the probability is at least the threshold, else
    // 0.
    const uint8_t *mask;
    // As many numbers in 0 .. 1; 0 where nothing was looked at.
    const float *probability;
    // The model's threshold.
    float threshold;
    // Volume of the mask, mm3.
    double volume_mm3;
    // Row-major 4 x 4 matrix (i, j, k, 1) to LPS mm; for unevenly spaced slices all zero (see
    // `origins`).
    double affine[16];
    // Centre of voxel (0, 0, k) for every k, LPS mm: 3 * size[2] numbers.
    const double *origins;
    // Step from voxel to voxel along i and along j, LPS mm.
    double axis_i[3];
    double axis_j[3];
    // Whether the caller replaced or cleared a box.
    bool edited;
} nasoseg_segmentation_view;

// One slice of a segmentation. Later versions may append fields.
typedef struct nasoseg_segmentation_slice {
    // sizeof(nasoseg_segmentation_slice) of the caller.
    size_t struct_size;
    // Canonical number: 0-based, from inferior to superior.
    size_t slice;
    // Index along the storage axis that runs from head to foot: k for DICOM and for any image
    // stored axially. SIZE_MAX where T1C was resliced.
    size_t storage_slice;
    // z (LPS, mm) of the slice's centre.
    double position_mm;
    // Bits of nasoseg_slice_status, of detection and segmentation; 0 is ok.
    uint32_t statuses;
    // Mask pixels; of the axial slice, where T1C was resliced.
    size_t pixels;
    // Area of the mask, mm2.
    double area_mm2;
} nasoseg_segmentation_slice;

// One closed line on one slice; the last point joins the first and is not repeated. Seen in the
// plane with i to the right and j upwards, outer lines run counter-clockwise and holes clockwise.
// Borrowed: valid until the contours are freed. Later versions may append fields.
typedef struct nasoseg_contour_line {
    // sizeof(nasoseg_contour_line) of the caller.
    size_t struct_size;
    // Index along T1C's storage slice axis (of the canonical axial slices, where T1C's storage is
    // not axial).
    size_t storage_slice;
    // Number of points.
    size_t point_count;
    // 3 * `point_count` numbers: x, y, z, LPS mm, on the slice's plane.
    const double *points_mm;
    // 2 * `point_count` numbers: continuous voxel indices (i, j).
    const double *points_index;
    // Bounds a hole of the region rather than the region.
    bool is_hole;
    // For a hole: index of the outer line around it. SIZE_MAX otherwise.
    size_t parent;
    // Area inside the line, mm2; holes not subtracted.
    double area_mm2;
} nasoseg_contour_line;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The library's version, for example "0.1.0". Static; never freed.
const char *nasoseg_version(void);

// The ABI's version (NASOSEG_ABI_VERSION of the library that was loaded, which may be newer
// than the header).
uint32_t nasoseg_abi_version(void);

// The status code of an error, the same that the call returned; NASOSEG_OK for NULL.
uint32_t nasoseg_error_code(const struct nasoseg_error *error);

// The message with its whole chain of causes, UTF-8, one paragraph. Borrowed: valid until the
// error is freed. "" for NULL.
const char *nasoseg_error_message(const struct nasoseg_error *error);

// Frees an error. NULL is legal.
void nasoseg_error_free(struct nasoseg_error *error);

// Makes an options object with the defaults; free it with nasoseg_options_free.
uint32_t nasoseg_options_new(struct nasoseg_options **options, struct nasoseg_error **error);

// Frees an options object. NULL is legal. Calls that took it keep their own copy.
void nasoseg_options_free(struct nasoseg_options *options);

// nasoseg_engine_new: where the model runs: "cpu", "cuda", "cuda:N" or "auto" (default). A device
// that is named and cannot start is an error; "auto" falls back to the CPU and says so
// (nasoseg_engine_device_fallback).
uint32_t nasoseg_options_set_device(struct nasoseg_options *options,
                                    const char *device,
                                    struct nasoseg_error **error);

// nasoseg_engine_new: the path of ONNX Runtime's shared library, or its folder. Default: the
// environment variable NASOSEG_ORT_DYLIB, then beside this library, then the active virtual
// environment's onnxruntime wheel. A process can use one ONNX Runtime only.
uint32_t nasoseg_options_set_onnxruntime(struct nasoseg_options *options,
                                         const char *library_path,
                                         struct nasoseg_error **error);

// nasoseg_engine_new: threads inside one model run; 0 (default) is all cores.
uint32_t nasoseg_options_set_threads(struct nasoseg_options *options,
                                     uint32_t threads,
                                     struct nasoseg_error **error);

// nasoseg_engine_new: how many model runs of one engine may go at once, 1 (default) to 64. Every
// further one costs another copy of the model's weights and of its working memory.
uint32_t nasoseg_options_set_concurrent_runs(struct nasoseg_options *options,
                                             uint32_t runs,
                                             struct nasoseg_error **error);

// nasoseg_detect: the slices `first` up to, but not including, `end`, in canonical order (0-based,
// from inferior to superior). Default: all, which a model trained without tumour-free slices
// refuses.
uint32_t nasoseg_options_set_slices(struct nasoseg_options *options,
                                    size_t first,
                                    size_t end,
                                    struct nasoseg_error **error);

// nasoseg_detect: the slices whose centre has z (LPS, mm) from `low` up to, but not including,
// `high`.
uint32_t nasoseg_options_set_slices_mm(struct nasoseg_options *options,
                                       double low,
                                       double high,
                                       struct nasoseg_error **error);

// nasoseg_detect: go on where the sequences' frames of reference differ; recorded as a warning.
// Another patient is never forced.
uint32_t nasoseg_options_set_force_geometry(struct nasoseg_options *options,
                                            bool force,
                                            struct nasoseg_error **error);

// nasoseg_detect: take slices that T1 or T2 covers incompletely too.
uint32_t nasoseg_options_set_force_coverage(struct nasoseg_options *options,
                                            bool force,
                                            struct nasoseg_error **error);

// nasoseg_detect, nasoseg_detection_read: what the model sees of a T1C whose own slices are not
// axial (nasoseg_reslice). `step_mm`: distance between the axial slices, 0.5 to 10 mm, or 0 for
// the default of 3 mm. Default NASOSEG_RESLICE_NEVER. Numbers of slices, positions, boxes and
// areas per slice are then those of the axial slices; mask, probability, volume and contours lie
// on T1C's own. A warning of the study tells it. Another value brings the study together anew:
// detections made before fit it no more.
uint32_t nasoseg_options_set_reslice(struct nasoseg_options *options,
                                     uint32_t reslice,
                                     double step_mm,
                                     struct nasoseg_error **error);

// nasoseg_contour: the line that contours follow (nasoseg_contour_kind). Default
// NASOSEG_CONTOUR_LEVEL.
uint32_t nasoseg_options_set_contour_kind(struct nasoseg_options *options,
                                          uint32_t kind,
                                          struct nasoseg_error **error);

// nasoseg_contours_write_rtstruct: how holes are written (nasoseg_holes). Default
// NASOSEG_HOLES_KEYHOLE.
uint32_t nasoseg_options_set_holes(struct nasoseg_options *options,
                                   uint32_t holes,
                                   struct nasoseg_error **error);

// nasoseg_contours_write_rtstruct: how far (mm) the line may be moved to spare points; 0 (default)
// writes the exact line.
uint32_t nasoseg_options_set_simplify_mm(struct nasoseg_options *options,
                                         double tolerance_mm,
                                         struct nasoseg_error **error);

// nasoseg_contours_write_rtstruct: the ROI's name, at most 16 characters. Default "GTVp_SeqSeg"; a
// demo model's result is always called "DEMO_NOT_CLIN".
uint32_t nasoseg_options_set_roi_name(struct nasoseg_options *options,
                                      const char *name,
                                      struct nasoseg_error **error);

// nasoseg_contours_write_rtstruct: the structure set's label, at most 16 characters. Default
// "nasoseg".
uint32_t nasoseg_options_set_structure_set_label(struct nasoseg_options *options,
                                                 const char *label,
                                                 struct nasoseg_error **error);

// nasoseg_study_load, nasoseg_study_set_dicom_source: which series to take where the files hold
// several (SeriesInstanceUID).
uint32_t nasoseg_options_set_series_uid(struct nasoseg_options *options,
                                        const char *uid,
                                        struct nasoseg_error **error);

// nasoseg_study_load, nasoseg_study_set_dicom_source: which images to take where a series holds
// several echoes, b-values, time points or stacks: "NAME=VALUE" as the refusal lists them, several
// parted by semicolons ("Echo Time=80").
uint32_t nasoseg_options_set_pick(struct nasoseg_options *options,
                                  const char *pick,
                                  struct nasoseg_error **error);

// nasoseg_study_load, nasoseg_study_set_dicom_source: take a series in which slices are missing.
// Their distances are kept, and a warning (nasoseg_study_warning) says where.
uint32_t nasoseg_options_set_allow_gaps(struct nasoseg_options *options,
                                        bool allow,
                                        struct nasoseg_error **error);

// Makes a cancel token; free it with nasoseg_cancel_token_free.
uint32_t nasoseg_cancel_token_new(struct nasoseg_cancel_token **token,
                                  struct nasoseg_error **error);

// Frees a token. NULL is legal. A run that took it keeps the flag alive.
void nasoseg_cancel_token_free(struct nasoseg_cancel_token *token);

// Cancels every call whose run has this token, within one model run. Safe from any thread and from
// a signal handler: it stores one atomic flag. NULL is ignored.
void nasoseg_cancel_token_cancel(const struct nasoseg_cancel_token *token);

// Whether the token is set. False for NULL.
bool nasoseg_cancel_token_is_cancelled(const struct nasoseg_cancel_token *token);

// Makes the token usable again after a cancel. NULL is ignored.
void nasoseg_cancel_token_reset(const struct nasoseg_cancel_token *token);

// Makes a run; free it with nasoseg_run_free. A run may serve many calls, one at a time.
uint32_t nasoseg_run_new(struct nasoseg_run **run, struct nasoseg_error **error);

// Frees a run. NULL is legal.
void nasoseg_run_free(struct nasoseg_run *run);

// Sets the progress callback; NULL takes it away. `user_data` is handed to it untouched.
uint32_t nasoseg_run_set_progress(struct nasoseg_run *run,
                                  nasoseg_progress_callback callback,
                                  void *user_data,
                                  struct nasoseg_error **error);

// Sets the cancel token; NULL takes it away. The token may be freed afterwards, though then nobody
// can set it.
uint32_t nasoseg_run_set_cancel(struct nasoseg_run *run,
                                const struct nasoseg_cancel_token *token,
                                struct nasoseg_error **error);

// A stage's name in words, for example "detect". Static. "" for a number that is no stage.
const char *nasoseg_stage_name(uint32_t stage);

// Makes an empty study; free it with nasoseg_study_free.
uint32_t nasoseg_study_new(struct nasoseg_study **study, struct nasoseg_error **error);

// Frees a study. NULL is legal. Detections and results made from it stay usable.
void nasoseg_study_free(struct nasoseg_study *study);

// Copies a sequence from the caller's memory. `sequence` is a nasoseg_sequence; a second call
// replaces the first. Voxels must be finite; a sequence whose voxels are all equal is refused by
// nasoseg_detect. The view is borrowed for the call and never written to.
uint32_t nasoseg_study_set_volume(struct nasoseg_study *study,
                                  uint32_t sequence,
                                  const struct nasoseg_volume_view *view,
                                  const struct nasoseg_options *options,
                                  const struct nasoseg_run *run,
                                  struct nasoseg_error **error);

// Reads a sequence from files: one DICOM folder, one NIfTI-1 or NRRD file, or the `count` DICOM
// files of one series. `paths` are UTF-8, borrowed for the call. Options: series UID, pick, allow
// gaps.
uint32_t nasoseg_study_load(struct nasoseg_study *study,
                            uint32_t sequence,
                            const char *const *paths,
                            size_t count,
                            const struct nasoseg_options *options,
                            const struct nasoseg_run *run,
                            struct nasoseg_error **error);

// Says which DICOM files a sequence in memory came from, so that a viewer's own buffer still
// yields an RT Structure Set on the original images. Sizes must be equal and every slice must lie
// within 0.01 mm of the files' (the slices may run the other way); otherwise the call fails and
// the sequence stays as it was. Options: series UID, pick, allow gaps.
uint32_t nasoseg_study_set_dicom_source(struct nasoseg_study *study,
                                        uint32_t sequence,
                                        const char *const *paths,
                                        size_t count,
                                        const struct nasoseg_options *options,
                                        const struct nasoseg_run *run,
                                        struct nasoseg_error **error);

// Number of warnings that the user should see (sequences that look swapped, incomplete coverage,
// forced geometry, a tilt, reslicing), known once the study was brought together by
// nasoseg_detect. 0 for NULL.
size_t nasoseg_study_warning_count(const struct nasoseg_study *study);

// A warning, UTF-8. Borrowed: valid until a sequence is set or the study is freed. "" beyond the
// last.
const char *nasoseg_study_warning(const struct nasoseg_study *study, size_t index);

// Opens the model bundle in `bundle_dir` (UTF-8, borrowed); free the engine with
// nasoseg_engine_free. Takes a second or so: the model's files are checked against their sums and
// the graphs are loaded; a cancel takes effect between the two. Options: device, onnxruntime,
// threads, concurrent runs.
uint32_t nasoseg_engine_new(const char *bundle_dir,
                            const struct nasoseg_options *options,
                            const struct nasoseg_run *run,
                            struct nasoseg_engine **engine,
                            struct nasoseg_error **error);

// Frees an engine. NULL is legal. ONNX Runtime itself stays loaded until the process ends.
void nasoseg_engine_free(struct nasoseg_engine *engine);

// The model's name. This and the strings below are UTF-8 and borrowed: valid until the engine is
// freed. "" for NULL.
const char *nasoseg_engine_model_name(const struct nasoseg_engine *engine);

// The model's version.
const char *nasoseg_engine_model_version(const struct nasoseg_engine *engine);

// The model's identity: SHA-256 of its manifest, 64 hexadecimal digits.
const char *nasoseg_engine_model_hash(const struct nasoseg_engine *engine);

// What the model may be used for. Show it beside every result.
const char *nasoseg_engine_intended_use(const struct nasoseg_engine *engine);

// Whether the model is a demonstration: no result of it may be called a target. True for NULL.
bool nasoseg_engine_is_demo(const struct nasoseg_engine *engine);

// The device really used: "cpu" or "cuda:N".
const char *nasoseg_engine_device(const struct nasoseg_engine *engine);

// Why device "auto" did not take CUDA; "" where it did, or was not asked to.
const char *nasoseg_engine_device_fallback(const struct nasoseg_engine *engine);

// Side of the model's square grid, pixels: boxes lie in 0 .. this. 0 for NULL.
size_t nasoseg_engine_grid(const struct nasoseg_engine *engine);

// Number of the agent's actions; 0 for a model without an agent, or NULL.
size_t nasoseg_engine_action_count(const struct nasoseg_engine *engine);

// The name of one of the agent's actions, for example "zoom width". Borrowed: valid until the
// engine is freed. "" beyond the last, or for NULL.
const char *nasoseg_engine_action_name(const struct nasoseg_engine *engine, size_t action);

// Tells the model runs of an engine since it was made: for measuring.
uint32_t nasoseg_engine_get_work(const struct nasoseg_engine *engine,
                                 struct nasoseg_work *work,
                                 struct nasoseg_error **error);

// Loads ONNX Runtime, where it is not loaded yet, and tells which it is. Option: onnxruntime.
uint32_t nasoseg_runtime_info_get(const struct nasoseg_options *options,
                                  struct nasoseg_runtime_info *info,
                                  struct nasoseg_error **error);

// The words of one bit of nasoseg_slice_status, for example "no lesion"; "ok" for 0. Static. ""
// for a number that is not a single known bit.
const char *nasoseg_slice_status_words(uint32_t status);

// Stage one (3.1 of the paper): brings the study together, where it is not yet, and finds a box on
// every slice. Free the detection with nasoseg_detection_free. Options: slices, force_geometry,
// force_coverage, reslice. Progress: align, prepare, detect.
uint32_t nasoseg_detect(const struct nasoseg_engine *engine,
                        const struct nasoseg_study *study,
                        const struct nasoseg_options *options,
                        const struct nasoseg_run *run,
                        struct nasoseg_detection **detection,
                        struct nasoseg_error **error);

// Frees a detection. NULL is legal.
void nasoseg_detection_free(struct nasoseg_detection *detection);

// Number of slices of a detection. 0 for NULL.
size_t nasoseg_detection_slice_count(const struct nasoseg_detection *detection);

// Describes slice `index`, 0 to count - 1, in canonical order.
uint32_t nasoseg_detection_get_slice(const struct nasoseg_detection *detection,
                                     size_t index,
                                     struct nasoseg_detection_slice *slice,
                                     struct nasoseg_error **error);

// Lends the agent's walk on slice `index`.
uint32_t nasoseg_detection_get_trajectory(const struct nasoseg_detection *detection,
                                          size_t index,
                                          struct nasoseg_trajectory *trajectory,
                                          struct nasoseg_error **error);

// Lends slice `index` as the model sees it.
uint32_t nasoseg_detection_get_image(const struct nasoseg_detection *detection,
                                     size_t index,
                                     struct nasoseg_slice_image *image,
                                     struct nasoseg_error **error);

// Replaces the box of slice `index`; segment again to see the effect. `bounding_box` lies inside 0
// .. nasoseg_engine_grid.
uint32_t nasoseg_detection_set_box(struct nasoseg_detection *detection,
                                   size_t index,
                                   const struct nasoseg_box *bounding_box,
                                   struct nasoseg_error **error);

// Says that slice `index` holds no lesion: it is not segmented.
uint32_t nasoseg_detection_clear_box(struct nasoseg_detection *detection,
                                     size_t index,
                                     struct nasoseg_error **error);

// Writes the detection as JSON (UTF-8 path), the form that `nasoseg segment` and
// nasoseg_detection_read take back.
uint32_t nasoseg_detection_write(const struct nasoseg_detection *detection,
                                 const char *file,
                                 const struct nasoseg_options *options,
                                 const struct nasoseg_run *run,
                                 struct nasoseg_error **error);

// Reads a (possibly edited) detection back, for the same study and model; free it with
// nasoseg_detection_free. Options: force_geometry, reslice. Progress: read, align.
uint32_t nasoseg_detection_read(const struct nasoseg_engine *engine,
                                const struct nasoseg_study *study,
                                const char *file,
                                const struct nasoseg_options *options,
                                const struct nasoseg_run *run,
                                struct nasoseg_detection **detection,
                                struct nasoseg_error **error);

// Stage two (3.2 of the paper): segments every slice of the detection that has a box. Free the
// segmentation with nasoseg_segmentation_free. The study and engine must be those that made the
// detection. Progress: prepare, segment.
uint32_t nasoseg_segment(const struct nasoseg_engine *engine,
                         const struct nasoseg_study *study,
                         const struct nasoseg_detection *detection,
                         const struct nasoseg_options *options,
                         const struct nasoseg_run *run,
                         struct nasoseg_segmentation **segmentation,
                         struct nasoseg_error **error);

// Frees a segmentation. NULL is legal. Contours made from it stay usable.
void nasoseg_segmentation_free(struct nasoseg_segmentation *segmentation);

// Lends the arrays of a segmentation.
uint32_t nasoseg_segmentation_get_view(const struct nasoseg_segmentation *segmentation,
                                       struct nasoseg_segmentation_view *view,
                                       struct nasoseg_error **error);

// Number of slices of a segmentation. 0 for NULL.
size_t nasoseg_segmentation_slice_count(const struct nasoseg_segmentation *segmentation);

// Describes slice `index`, 0 to count - 1, in canonical order.
uint32_t nasoseg_segmentation_get_slice(const struct nasoseg_segmentation *segmentation,
                                        size_t index,
                                        struct nasoseg_segmentation_slice *slice,
                                        struct nasoseg_error **error);

// Outlines a segmentation. Free the contours with nasoseg_contours_free. Options: contour_kind.
// Progress: contour.
uint32_t nasoseg_contour(const struct nasoseg_segmentation *segmentation,
                         const struct nasoseg_options *options,
                         const struct nasoseg_run *run,
                         struct nasoseg_contours **contours,
                         struct nasoseg_error **error);

// Frees contours. NULL is legal.
void nasoseg_contours_free(struct nasoseg_contours *contours);

// Number of lines: ordered by storage slice, every outer line followed by its holes. 0 for NULL.
size_t nasoseg_contours_count(const struct nasoseg_contours *contours);

// Lends line `index`, 0 to count - 1.
uint32_t nasoseg_contours_get_line(const struct nasoseg_contours *contours,
                                   size_t index,
                                   struct nasoseg_contour_line *line,
                                   struct nasoseg_error **error);

// Writes an RT Structure Set on the images that T1C came from: DICOM files, or a volume in memory
// with nasoseg_study_set_dicom_source; NASOSEG_ERROR_UNSUPPORTED otherwise. The file appears whole
// or not at all. Options: holes, simplify_mm, roi_name, structure_set_label.
uint32_t nasoseg_contours_write_rtstruct(const struct nasoseg_contours *contours,
                                         const char *file,
                                         const struct nasoseg_options *options,
                                         const struct nasoseg_run *run,
                                         struct nasoseg_error **error);

// Writes the mask as NIfTI-1 (.nii.gz) on T1C's grid. NASOSEG_ERROR_UNSUPPORTED for unevenly
// spaced slices, which NIfTI cannot hold.
uint32_t nasoseg_segmentation_write_mask(const struct nasoseg_segmentation *segmentation,
                                         const char *file,
                                         const struct nasoseg_options *options,
                                         const struct nasoseg_run *run,
                                         struct nasoseg_error **error);

// Writes the probability as NIfTI-1 (.nii.gz, float32) on T1C's grid.
uint32_t nasoseg_segmentation_write_probability(const struct nasoseg_segmentation *segmentation,
                                                const char *file,
                                                const struct nasoseg_options *options,
                                                const struct nasoseg_run *run,
                                                struct nasoseg_error **error);

// Writes the preview: a PNG with the three sequences, the agent's walk, the final box and the
// contour of every slice in range.
uint32_t nasoseg_write_preview(const struct nasoseg_detection *detection,
                               const struct nasoseg_segmentation *segmentation,
                               const struct nasoseg_contours *contours,
                               const char *file,
                               const struct nasoseg_options *options,
                               const struct nasoseg_run *run,
                               struct nasoseg_error **error);

// Writes the run record: versions, model hash, device, seconds of detection and segmentation,
// warnings, statuses, identity of the inputs (JSON).
uint32_t nasoseg_segmentation_write_record(const struct nasoseg_segmentation *segmentation,
                                           const char *file,
                                           const struct nasoseg_options *options,
                                           const struct nasoseg_run *run,
                                           struct nasoseg_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* NASOSEG_H */
