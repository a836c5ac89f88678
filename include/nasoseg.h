/*
 * nasoseg: in-process segmentation of nasopharyngeal carcinoma in MR.
 *
 * In: three MR sequences of one patient (T1, contrast-enhanced T1, T2). Out: a box per slice, a
 * mask, contours and an RT Structure Set. The model runs on ONNX Runtime, which is loaded at run
 * time.
 *
 * This is not a medical device. Show nasoseg_engine_intended_use beside every result, and never
 * call the result of a demo model (nasoseg_engine_is_demo) a target.
 *
 * EXAMPLE
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
 * Handles are opaque. A handle that a function returns through its last parameter but one belongs
 * to the caller, who frees it with the _free function of its type; every _free accepts NULL.
 * Handles may be freed in any order: each keeps alive what it needs. Every pointer that is passed
 * in is borrowed for the call; the library takes ownership of none. Getters return views (strings,
 * arrays), which stay valid until their handle is freed, unless the getter says otherwise. On
 * failure a result is NULL.
 *
 * A (pointer, 0) pair is an empty array whatever the pointer. Strings are UTF-8, paths too, on
 * every system.
 *
 * STRUCTS
 *
 * Set the `struct_size` of a struct that begins with it to sizeof the struct before the call. The
 * library fills (or reads) only what the caller's struct has room for, so that programs keep
 * working when a field is appended.
 *
 * ERRORS
 *
 * Every fallible function returns NASOSEG_OK (0) or another nasoseg_status. If `error` is not NULL,
 * it sets *error to NULL on success and otherwise to a message of one paragraph that names the
 * input, what was found, what was expected and what to do. The error belongs to the caller. No
 * exception, panic or exit crosses the boundary. After NASOSEG_ERROR_INTERNAL the handles of that
 * call return NASOSEG_ERROR_POISONED; free them.
 *
 * THREADS
 *
 * Any number of threads may use a const handle at once. Non-const handles require exclusive access
 * during the call, unless their type says otherwise. Progress callbacks run on the calling thread.
 * The library starts threads of its own (for pixels, for model runs, and one that watches the
 * cancel token of a call) but never calls back from them.
 *
 * CANCEL
 *
 * Any thread, or a signal handler, may set a cancel token. The call then returns NASOSEG_CANCELLED
 * within one model run (a long model run is interrupted), every handle stays usable, and no partial
 * result is left. Returning false from the progress callback does the same.
 *
 * UNITS AND AXES
 *
 * Positions are millimetres in the patient's LPS axes (x to the left, y to the back, z to the
 * head), unless an affine says RAS. i is the fastest storage axis.
 *
 * Voxel indices are continuous, and an integer is the centre of a voxel: voxel i has its edges at
 * i - 0.5 and i + 0.5. Affines and contours use these. Boxes use edge coordinates of the model's
 * square grid: pixel n reaches from n to n + 1 and its centre is at n + 0.5. On one and the same
 * grid, index i is thus edge coordinate i + 0.5.
 *
 * Slices are counted from 0, from inferior to superior, whatever the storage order; ranges are
 * half-open.
 */

#ifndef NASOSEG_H
#define NASOSEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Version of the ABI. It grows by one when a function, field or constant is added, and to the next
// hundred on an incompatible change.
#define NASOSEG_ABI_VERSION 1

// Status codes. Numbers are stable and never reused; treat an unknown one as a failure.
typedef enum nasoseg_status {
    // Success.
    NASOSEG_OK = 0,
    // An argument or option is invalid, or calls were made in the wrong order.
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
    // The requested device cannot be used.
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

// Type of a voxel, in the machine's byte order.
typedef enum nasoseg_element {
    // uint8_t.
    NASOSEG_ELEMENT_UINT8 = 0,
    // int8_t.
    NASOSEG_ELEMENT_INT8 = 1,
    // uint16_t.
    NASOSEG_ELEMENT_UINT16 = 2,
    // int16_t.
    NASOSEG_ELEMENT_INT16 = 3,
    // uint32_t.
    NASOSEG_ELEMENT_UINT32 = 4,
    // int32_t.
    NASOSEG_ELEMENT_INT32 = 5,
    // float.
    NASOSEG_ELEMENT_FLOAT32 = 6,
    // double.
    NASOSEG_ELEMENT_FLOAT64 = 7,
} nasoseg_element;

// The patient axes that an affine maps to.
typedef enum nasoseg_axes {
    // x to the patient's left, y to the back, z to the head: DICOM, ITK and this library.
    NASOSEG_AXES_LPS = 0,
    // x to the patient's right, y to the front, z to the head: NIfTI and 3D Slicer.
    NASOSEG_AXES_RAS = 1,
} nasoseg_axes;

// A sequence of the study.
typedef enum nasoseg_sequence {
    // T1-weighted.
    NASOSEG_SEQUENCE_T1 = 0,
    // Contrast-enhanced T1-weighted: the reference, whose grid all results have.
    NASOSEG_SEQUENCE_T1C = 1,
    // T2-weighted.
    NASOSEG_SEQUENCE_T2 = 2,
} nasoseg_sequence;

// The stages of the pipeline, in order.
typedef enum nasoseg_stage {
    // Reading files, or copying a volume.
    NASOSEG_STAGE_READ = 0,
    // Aligning T1 and T2 with T1C.
    NASOSEG_STAGE_ALIGN = 1,
    // Preparing the model's input.
    NASOSEG_STAGE_PREPARE = 2,
    // Finding boxes.
    NASOSEG_STAGE_DETECT = 3,
    // Segmenting in the boxes.
    NASOSEG_STAGE_SEGMENT = 4,
    // Tracing contours.
    NASOSEG_STAGE_CONTOUR = 5,
    // Writing files.
    NASOSEG_STAGE_EXPORT = 6,
} nasoseg_stage;

// What a user should know about a slice: bits of `statuses`; 0 means that there is nothing.
typedef enum nasoseg_slice_status {
    // No pixel reaches the threshold, or there is no box: the detector found none, or the caller
    // cleared it.
    NASOSEG_SLICE_NO_LESION = 1,
    // The box touches the edge of the model's grid.
    NASOSEG_SLICE_BOX_AT_IMAGE_EDGE = 2,
    // The mask reaches the edge of the crop: it may be cut off.
    NASOSEG_SLICE_MASK_AT_CROP_EDGE = 4,
    // The agent did not stop within the step limit.
    NASOSEG_SLICE_STEP_LIMIT_REACHED = 8,
    // A sequence covers less than 95 % of T1C's foreground: not segmented unless forced.
    NASOSEG_SLICE_INCOMPLETE_COVERAGE = 16,
    // The slice spacing lies outside the range seen in training.
    NASOSEG_SLICE_SPACING_OUTSIDE_TRAINING = 32,
} nasoseg_slice_status;

// Words that mark a demo model's results.
typedef enum nasoseg_demo_text {
    // The name of a demo model's structure, in place of a target's: at most 16 ASCII characters.
    NASOSEG_DEMO_NAME = 0,
    // The beginning of the description field of a file's header.
    NASOSEG_DEMO_MARK = 1,
    // A sentence for the description of a structure or of a structure set.
    NASOSEG_DEMO_WARNING = 2,
    // What people read first beside a result; the model's intended use follows.
    NASOSEG_DEMO_BANNER = 3,
    // What precedes the intended use if a model is described.
    NASOSEG_DEMO_USE = 4,
    // What precedes the name of a result in a list.
    NASOSEG_DEMO_PREFIX = 5,
} nasoseg_demo_text;

// What contours follow: the probability's level, or voxel edges.
typedef enum nasoseg_contour_kind {
    // The level set of the probability at the model's threshold, interpolated between the centres
    // of voxels.
    NASOSEG_CONTOUR_LEVEL = 0,
    // The edges of the mask's voxels.
    NASOSEG_CONTOUR_VOXEL = 1,
} nasoseg_contour_kind;

// How holes are written to an RT Structure Set.
typedef enum nasoseg_holes {
    // One contour that enters the hole through a cut of zero width: every planning system imports
    // it.
    NASOSEG_HOLES_KEYHOLE = 0,
    // Geometric type CLOSEDPLANAR_XOR.
    NASOSEG_HOLES_XOR = 1,
    // Overlapping CLOSED_PLANAR items: many readers combine them by exclusive-or, some by union.
    NASOSEG_HOLES_PLAIN = 2,
    // Holes are filled.
    NASOSEG_HOLES_FILL = 3,
} nasoseg_holes;

// The slices that the model processes if T1C's own are not axial.
typedef enum nasoseg_reslice {
    // T1C's own, along the storage axes nearest to the patient's. A DICOM T1C that is not axial is
    // rejected.
    NASOSEG_RESLICE_NEVER = 0,
    // Axial slices resampled from T1C, unless its own are axial to within 1 degree. The result is
    // mapped back to T1C's own voxels.
    NASOSEG_RESLICE_AXIAL = 1,
} nasoseg_reslice;

// A flag that cancels calls. Any thread, or a signal handler, may set it; it stays set until it is
// reset. Several runs may share one.
typedef struct nasoseg_cancel_token nasoseg_cancel_token;

// The contours of a segmentation, with all that an RT Structure Set of them requires. They never
// change: any number of threads may read them at once.
typedef struct nasoseg_contours nasoseg_contours;

// A box per slice, editable, with the agent's trajectories. Any number of threads may read a
// detection at once; nasoseg_detection_set_box and nasoseg_detection_clear_box require exclusive
// access during the call.
typedef struct nasoseg_detection nasoseg_detection;

// A model bundle, opened on a device. Any number of threads may share an engine; it runs the model
// once at a time unless nasoseg_options_set_concurrent_runs has set another number. Results do not
// depend on that number.
typedef struct nasoseg_engine nasoseg_engine;

// Why a call failed: a status code and one paragraph that names the input, what was found, what
// was expected and what to do. Any thread may read and free it; free it with nasoseg_error_free.
typedef struct nasoseg_error nasoseg_error;

// Options of any call; each call reads those that concern it. NULL means the defaults in
// every function that takes options. Any number of threads may use an options object at once; a
// setter changes it for the calls that begin afterwards.
typedef struct nasoseg_options nasoseg_options;

// Receives the progress of long calls and cancels them. NULL means no progress and no cancel
// in every function that takes a run.
typedef struct nasoseg_run nasoseg_run;

// Mask and probability on T1C's own grid, with statistics and all that its files require (model,
// hash, edited boxes, device). It never changes: any number of threads may read it at once.
typedef struct nasoseg_segmentation nasoseg_segmentation;

// The three MR sequences of one patient, copied in. The first nasoseg_detect or
// nasoseg_detection_read validates and aligns them, under a lock, and the study keeps the result.
// Any number of threads may use a study at once; setting a sequence while another thread works on
// the study affects later calls only.
typedef struct nasoseg_study nasoseg_study;

// How far a stage is: `done` of `total`, which never decreases within a stage of one call. Later
// versions may append fields.
typedef struct nasoseg_progress {
    // Size of the struct in bytes, set by the side that allocates it.
    size_t struct_size;
    // A nasoseg_stage.
    uint32_t stage;
    // Units done: sequences, slices or files.
    size_t done;
    // Units in total; 0 if there is nothing to do.
    size_t total;
} nasoseg_progress;

// Reports progress, on the thread that made the call and between two model runs. `progress` is
// borrowed for the callback. Return false to cancel. A callback must not unwind (throw) into the
// library and must not make calls on the handles of the call that reports, whose study is locked.
// It may use cancel tokens.
typedef bool (*nasoseg_progress_callback)(const struct nasoseg_progress *progress, void *user_data);

// A view of a volume in the caller's memory: any strides, C or Fortran order, flipped or not. The
// library copies the voxels and never writes to them. Zero the struct and set `struct_size` to
// sizeof(nasoseg_volume_view) before filling it in.
typedef struct nasoseg_volume_view {
    // Size of the struct in bytes, set by the side that allocates it.
    size_t struct_size;
    // Address of voxel (0, 0, 0).
    const void *data;
    // A nasoseg_element.
    uint32_t element;
    // A nasoseg_axes: the patient axes of `affine` and `origins`.
    uint32_t axes;
    // Voxels along i, j and k. In DICOM i runs along a row, j along a column and k over slices.
    size_t size[3];
    // Bytes from one voxel to the next along i, j and k; may be negative.
    int64_t stride[3];
    // Row-major 4 x 4 matrix from (i, j, k, 1) to mm, for voxel centres.
    double affine[16];
    // NULL, or, for unevenly spaced slices, the centre of voxel (0, 0, k) for every k: 3 * size[2]
    // numbers, mm. Then only the first two columns of `affine` are used.
    const double *origins;
} nasoseg_volume_view;

// What an engine has run so far. Later versions may append fields.
typedef struct nasoseg_work {
    // Size of the struct in bytes, set by the side that allocates it.
    size_t struct_size;
    // Boxes evaluated by the agent's trunk: once for each distinct slice and box.
    uint64_t trunk_rows;
    // Slices evaluated by the segmenter; patches, for a model that works on volumes.
    uint64_t segmenter_rows;
    // Seconds inside ONNX Runtime.
    double seconds;
} nasoseg_work;

// The ONNX Runtime of this process. Later versions may append fields.
typedef struct nasoseg_runtime_info {
    // Size of the struct in bytes, set by the side that allocates it.
    size_t struct_size;
    // For example "1.32.0". Static.
    const char *version;
    // Absolute path of the library. Static.
    const char *path;
    // Whether this build of ONNX Runtime supports CUDA; whether there is a device is another
    // question.
    bool has_cuda;
} nasoseg_runtime_info;

// A box in edge coordinates of the model's grid: pixel n reaches from n to n + 1 and its centre is
// at n + 0.5. x counts columns, from patient right to left; y counts rows, from anterior to
// posterior.
typedef struct nasoseg_bounding_box {
    // Smaller x: the edge towards the patient's right.
    double x0;
    // Smaller y: the anterior edge.
    double y0;
    // Larger x: the edge towards the patient's left.
    double x1;
    // Larger y: the posterior edge.
    double y1;
} nasoseg_bounding_box;

// One slice of a detection. Later versions may append fields.
typedef struct nasoseg_detection_slice {
    // Size of the struct in bytes, set by the side that allocates it.
    size_t struct_size;
    // Canonical number: 0-based, from inferior to superior.
    size_t slice;
    // Index along the storage axis along which canonical slices are stacked, inferior to superior
    // or the reverse: k for DICOM and for any image stored axially. SIZE_MAX if T1C was
    // resliced.
    size_t storage_slice;
    // z (LPS, mm) of the slice's centre.
    double position_mm;
    // SOP Instance UID of a DICOM slice, "" otherwise. Borrowed: valid until the detection is
    // freed.
    const char *sop_instance_uid;
    // Original 1-based frame of a multi-frame image; 0 otherwise.
    uint32_t frame;
    // Bits of nasoseg_slice_status.
    uint32_t statuses;
    // Whether the slice has a box and will be segmented.
    bool has_box;
    // Whether the caller replaced or cleared the box.
    bool edited;
    // The box; all 0 if `has_box` is false.
    struct nasoseg_bounding_box bounding_box;
    // The box's corners (x0, y0), (x1, y0), (x1, y1), (x0, y1) in the patient: x, y, z each, LPS
    // mm; all 0 without a box.
    double corners_mm[12];
    // The corners of the model's grid on this slice, in the same order, whether or not there is a
    // box. They map points of the grid to the patient and points of the slice to the grid.
    double grid_corners_mm[12];
} nasoseg_detection_slice;

// The agent's trajectory on one slice. Borrowed: valid until the detection is freed. Later
// versions may append fields.
typedef struct nasoseg_trajectory {
    // Size of the struct in bytes, set by the side that allocates it.
    size_t struct_size;
    // Actions taken, the terminal one included; 0 if no agent ran on the slice.
    size_t steps;
    // Number of actions to choose from.
    size_t action_count;
    // `steps` indices of actions.
    const uint32_t *actions;
    // 4 * (`steps` + 1) numbers: x0, y0, x1, y1 of the initial box, then of the box after every
    // action. Without an agent: the slice's box when the detection was made or read, all 0 if it
    // had none. No edit changes them.
    const double *boxes;
    // `steps` * `action_count` Q values, step by step.
    const float *q;
    // Whether the agent chose to stop; otherwise the step limit ended the trajectory.
    bool stopped;
} nasoseg_trajectory;

// The model's input on one slice. Borrowed: valid until the detection is freed. Later versions may
// append fields.
typedef struct nasoseg_slice_image {
    // Size of the struct in bytes, set by the side that allocates it.
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
    // Size of the struct in bytes, set by the side that allocates it.
    size_t struct_size;
    // Voxels along i, j and k.
    size_t size[3];
    // size[0] * size[1] * size[2] bytes: 1 where the probability is at least the threshold, else
    // 0.
    const uint8_t *mask;
    // As many numbers in 0 .. 1; 0 where no slice was segmented.
    const float *probability;
    // The model's threshold.
    float threshold;
    // Volume of the mask, mm3.
    double volume_mm3;
    // Row-major 4 x 4 matrix from (i, j, k, 1) to LPS mm, for voxel centres; all 0 if the slices
    // are unevenly spaced (see `origins`).
    double affine[16];
    // Centre of voxel (0, 0, k) for every k, LPS mm: 3 * size[2] numbers.
    const double *origins;
    // Step from voxel to voxel along i, LPS mm.
    double axis_i[3];
    // Step from voxel to voxel along j, LPS mm.
    double axis_j[3];
    // Whether the caller replaced or cleared a box.
    bool edited;
} nasoseg_segmentation_view;

// One slice of a segmentation. Later versions may append fields.
typedef struct nasoseg_segmentation_slice {
    // Size of the struct in bytes, set by the side that allocates it.
    size_t struct_size;
    // Canonical number: 0-based, from inferior to superior.
    size_t slice;
    // Index along the storage axis along which canonical slices are stacked, inferior to superior
    // or the reverse: k for DICOM and for any image stored axially. SIZE_MAX if T1C was
    // resliced.
    size_t storage_slice;
    // z (LPS, mm) of the slice's centre.
    double position_mm;
    // Bits of nasoseg_slice_status, of detection and segmentation.
    uint32_t statuses;
    // Pixels of the mask; of the axial slice, if T1C was resliced.
    size_t pixels;
    // Area of the mask, mm2.
    double area_mm2;
} nasoseg_segmentation_slice;

// One contour: a closed ring on one slice, outer or hole. The last point joins the first and is
// not repeated. Seen in the plane with i to the right and j upwards, outer contours run
// counter-clockwise and holes clockwise. Borrowed: valid until the contours are freed. Later
// versions may append fields.
typedef struct nasoseg_contour_view {
    // Size of the struct in bytes, set by the side that allocates it.
    size_t struct_size;
    // Index along T1C's storage slice axis (of the canonical axial slices, if T1C's storage is not
    // axial).
    size_t storage_slice;
    // Number of points.
    size_t point_count;
    // 3 * `point_count` numbers: x, y, z, LPS mm, on the slice's plane.
    const double *points_mm;
    // 2 * `point_count` numbers: continuous voxel indices (i, j). An integer is the centre of a
    // voxel; the edges of voxel i are at i - 0.5 and i + 0.5.
    const double *points_index;
    // Whether this is the boundary of a hole in the region rather than of the region.
    bool is_hole;
    // For a hole: index of the outer contour around it. SIZE_MAX otherwise.
    size_t parent;
    // Area inside the contour, mm2; holes not subtracted.
    double area_mm2;
} nasoseg_contour_view;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The library's version, for example "0.1.0". Static; never freed.
const char *nasoseg_version(void);

// The ABI's version: NASOSEG_ABI_VERSION of the library that was loaded, which may be newer
// than the header.
uint32_t nasoseg_abi_version(void);

// The status code of an error: the one that the call returned. NASOSEG_OK for NULL.
uint32_t nasoseg_error_code(const struct nasoseg_error *error);

// The message with its whole chain of causes, UTF-8, one paragraph. Borrowed: valid until the
// error is freed. "" for NULL.
const char *nasoseg_error_message(const struct nasoseg_error *error);

// Frees an error. NULL is legal.
void nasoseg_error_free(struct nasoseg_error *error);

// Makes an options object with the defaults; free it with nasoseg_options_free.
uint32_t nasoseg_options_new(struct nasoseg_options **options, struct nasoseg_error **error);

// Frees an options object. NULL is legal. Calls that were given it have their own copy.
void nasoseg_options_free(struct nasoseg_options *options);

// nasoseg_engine_new: the device: "cpu", "cuda", "cuda:N" or "auto" (default). An explicitly
// requested device that fails to start is an error; "auto" falls back to the CPU and records the
// reason (nasoseg_engine_device_fallback).
uint32_t nasoseg_options_set_device(struct nasoseg_options *options,
                                    const char *device,
                                    struct nasoseg_error **error);

// nasoseg_engine_new: the path of ONNX Runtime's shared library, or its folder. Default: the
// environment variable NASOSEG_ORT_DYLIB, then beside this library, then the active virtual
// environment's onnxruntime wheel. A process can use only one ONNX Runtime.
uint32_t nasoseg_options_set_onnxruntime(struct nasoseg_options *options,
                                         const char *library_path,
                                         struct nasoseg_error **error);

// nasoseg_engine_new: number of threads of one model run; 0 (default) means all cores.
uint32_t nasoseg_options_set_threads(struct nasoseg_options *options,
                                     uint32_t threads,
                                     struct nasoseg_error **error);

// nasoseg_engine_new: number of model runs that one engine may execute at once, 1 (default) to 64.
// Each further one costs another copy of the model's weights and of its working memory.
uint32_t nasoseg_options_set_concurrent_runs(struct nasoseg_options *options,
                                             uint32_t runs,
                                             struct nasoseg_error **error);

// nasoseg_detect: the slices from `first` up to, but not including, `end`, in canonical order
// (0-based, from inferior to superior). Default: all slices, which a model trained without
// tumour-free slices rejects.
uint32_t nasoseg_options_set_slices(struct nasoseg_options *options,
                                    size_t first,
                                    size_t end,
                                    struct nasoseg_error **error);

// nasoseg_detect: the slices whose centre has z (LPS, mm) from `low` up to, but not including,
// `high`. Of this and nasoseg_options_set_slices the later call counts.
uint32_t nasoseg_options_set_slices_mm(struct nasoseg_options *options,
                                       double low,
                                       double high,
                                       struct nasoseg_error **error);

// nasoseg_detect, nasoseg_detection_read: accept sequences whose frames of reference differ; the
// study records a warning. Sequences of different patients are never accepted.
uint32_t nasoseg_options_set_force_geometry(struct nasoseg_options *options,
                                            bool force,
                                            struct nasoseg_error **error);

// nasoseg_detect: also process slices that T1 or T2 covers incompletely.
uint32_t nasoseg_options_set_force_coverage(struct nasoseg_options *options,
                                            bool force,
                                            struct nasoseg_error **error);

// nasoseg_detect, nasoseg_detection_read: the slices that the model processes if T1C's own are not
// axial (nasoseg_reslice). `step_mm`: distance between the axial slices, 0.5 to 10 mm, or 0 for
// the default of 3 mm. Default: NASOSEG_RESLICE_NEVER. If T1C was resliced, the study records a
// warning; slice numbers, positions, boxes and areas per slice are those of the axial slices,
// while mask, probability, volume and contours lie on T1C's own. Changing this re-aligns the study
// and invalidates earlier detections.
uint32_t nasoseg_options_set_reslice(struct nasoseg_options *options,
                                     uint32_t reslice,
                                     double step_mm,
                                     struct nasoseg_error **error);

// nasoseg_contour: what contours follow (nasoseg_contour_kind). Default:
// NASOSEG_CONTOUR_LEVEL.
uint32_t nasoseg_options_set_contour_kind(struct nasoseg_options *options,
                                          uint32_t kind,
                                          struct nasoseg_error **error);

// nasoseg_contours_write_rtstruct: how holes are written (nasoseg_holes). Default:
// NASOSEG_HOLES_KEYHOLE.
uint32_t nasoseg_options_set_holes(struct nasoseg_options *options,
                                   uint32_t holes,
                                   struct nasoseg_error **error);

// nasoseg_contours_write_rtstruct: how far (mm) a contour may move when points are removed; 0
// (default) writes the exact contours.
uint32_t nasoseg_options_set_simplify_mm(struct nasoseg_options *options,
                                         double tolerance_mm,
                                         struct nasoseg_error **error);

// nasoseg_contours_write_rtstruct: the ROI's name, at most 16 characters. Default: "GTVp_SeqSeg".
// The result of a demo model is always named "DEMO_NOT_CLIN".
uint32_t nasoseg_options_set_roi_name(struct nasoseg_options *options,
                                      const char *name,
                                      struct nasoseg_error **error);

// nasoseg_contours_write_rtstruct: the structure set's label, at most 16 characters. Default:
// "nasoseg".
uint32_t nasoseg_options_set_structure_set_label(struct nasoseg_options *options,
                                                 const char *label,
                                                 struct nasoseg_error **error);

// nasoseg_study_load, nasoseg_study_set_dicom_source: the SeriesInstanceUID of the series to read
// if the files hold several.
uint32_t nasoseg_options_set_series_uid(struct nasoseg_options *options,
                                        const char *uid,
                                        struct nasoseg_error **error);

// nasoseg_study_load, nasoseg_study_set_dicom_source: the images to read if a series holds several
// echoes, b-values, time points or stacks: "NAME=VALUE" as listed in the error message, for
// example "Echo Time=80". Separate several with semicolons.
uint32_t nasoseg_options_set_pick(struct nasoseg_options *options,
                                  const char *pick,
                                  struct nasoseg_error **error);

// nasoseg_study_load, nasoseg_study_set_dicom_source: accept a series in which slices are missing.
// Distances between slices are kept, and a warning (nasoseg_study_warning) names the gaps.
uint32_t nasoseg_options_set_allow_gaps(struct nasoseg_options *options,
                                        bool allow,
                                        struct nasoseg_error **error);

// Makes a cancel token; free it with nasoseg_cancel_token_free.
uint32_t nasoseg_cancel_token_new(struct nasoseg_cancel_token **token,
                                  struct nasoseg_error **error);

// Frees a token. NULL is legal. A run that has it keeps the flag itself alive.
void nasoseg_cancel_token_free(struct nasoseg_cancel_token *token);

// Cancels every call whose run has this token, within one model run. Safe from any thread and from
// a signal handler: it sets one atomic flag. NULL is ignored.
void nasoseg_cancel_token_cancel(const struct nasoseg_cancel_token *token);

// Whether the token is set. False for NULL.
bool nasoseg_cancel_token_is_cancelled(const struct nasoseg_cancel_token *token);

// Clears the flag, so that calls run again after a cancel. NULL is ignored.
void nasoseg_cancel_token_reset(const struct nasoseg_cancel_token *token);

// Makes a run; free it with nasoseg_run_free. A run may serve many calls, one at a time.
uint32_t nasoseg_run_new(struct nasoseg_run **run, struct nasoseg_error **error);

// Frees a run. NULL is legal.
void nasoseg_run_free(struct nasoseg_run *run);

// Sets the progress callback; NULL removes it. The library passes `user_data` to it unchanged.
// Both must stay valid for as long as calls use the run.
uint32_t nasoseg_run_set_progress(struct nasoseg_run *run,
                                  nasoseg_progress_callback callback,
                                  void *user_data,
                                  struct nasoseg_error **error);

// Sets the cancel token; NULL removes it. The run keeps the flag, so the token may be freed
// afterwards; but then nothing can set the flag.
uint32_t nasoseg_run_set_cancel(struct nasoseg_run *run,
                                const struct nasoseg_cancel_token *token,
                                struct nasoseg_error **error);

// A stage's name, for example "detect". Static. "" for an unknown number.
const char *nasoseg_stage_name(uint32_t stage);

// Makes an empty study; free it with nasoseg_study_free.
uint32_t nasoseg_study_new(struct nasoseg_study **study, struct nasoseg_error **error);

// Frees a study. NULL is legal. Detections and results made from it stay usable.
void nasoseg_study_free(struct nasoseg_study *study);

// Copies a sequence from the caller's memory. `sequence` is a nasoseg_sequence; a second call
// replaces the first. The view is borrowed for the call and never written to. Voxels must be
// finite; if all are equal, nasoseg_detect rejects the sequence. Options: none. Progress: read.
uint32_t nasoseg_study_set_volume(struct nasoseg_study *study,
                                  uint32_t sequence,
                                  const struct nasoseg_volume_view *view,
                                  const struct nasoseg_options *options,
                                  const struct nasoseg_run *run,
                                  struct nasoseg_error **error);

// Reads a sequence from files: one DICOM folder, one NIfTI-1 or NRRD file, or the `count` DICOM
// files of one series. `paths` are UTF-8 and borrowed for the call. Options: series_uid, pick,
// allow_gaps. Progress: read.
uint32_t nasoseg_study_load(struct nasoseg_study *study,
                            uint32_t sequence,
                            const char *const *paths,
                            size_t count,
                            const struct nasoseg_options *options,
                            const struct nasoseg_run *run,
                            struct nasoseg_error **error);

// Names the DICOM files that a sequence in memory came from, so that a viewer's own buffer still
// yields an RT Structure Set on the original images. The sizes must be equal and every slice must
// lie within 0.01 mm of the files' (the slices may run the other way); otherwise the call fails
// and the sequence stays as it was. Options: series_uid, pick, allow_gaps. Progress: read.
uint32_t nasoseg_study_set_dicom_source(struct nasoseg_study *study,
                                        uint32_t sequence,
                                        const char *const *paths,
                                        size_t count,
                                        const struct nasoseg_options *options,
                                        const struct nasoseg_run *run,
                                        struct nasoseg_error **error);

// Number of warnings for the user (sequences that look swapped, incomplete coverage, forced
// geometry, a tilt, reslicing). They are known once nasoseg_detect has aligned the study. 0 for
// NULL.
size_t nasoseg_study_warning_count(const struct nasoseg_study *study);

// A warning, UTF-8. Borrowed: valid until a sequence is set, the study is re-aligned or it is
// freed. "" if there is no such warning.
const char *nasoseg_study_warning(const struct nasoseg_study *study, size_t index);

// Opens the model bundle in the folder `bundle_dir` (UTF-8); free the engine with
// nasoseg_engine_free. Takes about a second: the hashes of the model's files are checked and the
// graphs are loaded, and a cancel takes effect between the two. Options: device, onnxruntime,
// threads, concurrent_runs.
uint32_t nasoseg_engine_new(const char *bundle_dir,
                            const struct nasoseg_options *options,
                            const struct nasoseg_run *run,
                            struct nasoseg_engine **engine,
                            struct nasoseg_error **error);

// Frees an engine. NULL is legal. ONNX Runtime itself stays loaded until the process ends.
void nasoseg_engine_free(struct nasoseg_engine *engine);

// The model's name. This string and those below are UTF-8 and borrowed: valid until the engine is
// freed. "" for NULL.
const char *nasoseg_engine_model_name(const struct nasoseg_engine *engine);

// The model's version.
const char *nasoseg_engine_model_version(const struct nasoseg_engine *engine);

// The model's identity: SHA-256 of its manifest, 64 hexadecimal digits.
const char *nasoseg_engine_model_hash(const struct nasoseg_engine *engine);

// What the model may be used for. Show it beside every result.
const char *nasoseg_engine_intended_use(const struct nasoseg_engine *engine);

// Whether the model is a demonstration, no result of which may be called a target. True for NULL.
bool nasoseg_engine_is_demo(const struct nasoseg_engine *engine);

// The device in use: "cpu" or "cuda:N".
const char *nasoseg_engine_device(const struct nasoseg_engine *engine);

// Why device "auto" fell back to the CPU; "" if it did not, or another device was requested.
const char *nasoseg_engine_device_fallback(const struct nasoseg_engine *engine);

// Side of the model's square grid, pixels; the coordinates of boxes lie between 0 and this. 0 for
// NULL.
size_t nasoseg_engine_grid(const struct nasoseg_engine *engine);

// Number of the agent's actions; 0 for a model without an agent, or NULL.
size_t nasoseg_engine_action_count(const struct nasoseg_engine *engine);

// The name of one of the agent's actions, for example "zoom width". Borrowed: valid until the
// engine is freed. "" if there is no such action, or for NULL.
const char *nasoseg_engine_action_name(const struct nasoseg_engine *engine, size_t action);

// Returns what an engine has run since it was made, for measurements.
uint32_t nasoseg_engine_get_work(const struct nasoseg_engine *engine,
                                 struct nasoseg_work *work,
                                 struct nasoseg_error **error);

// Loads ONNX Runtime if necessary and returns its version and path. Option: onnxruntime.
uint32_t nasoseg_runtime_info_get(const struct nasoseg_options *options,
                                  struct nasoseg_runtime_info *info,
                                  struct nasoseg_error **error);

// The words for one bit of nasoseg_slice_status, for example "no lesion"; "ok" for 0. Static. ""
// if `status` is not a single known bit.
const char *nasoseg_slice_status_words(uint32_t status);

// A text of nasoseg_demo_text. Write them beside every result of a model for which
// nasoseg_engine_is_demo says true, in every format, so that the result is recognised when it
// comes back. Static. "" if `which` is unknown.
const char *nasoseg_demo_words(uint32_t which);

// Whether a structure or a file says that a demo model made it, by its name or its description;
// either is enough, and either may be NULL. A part of the mark is recognised, too, in any case and
// with any separators.
bool nasoseg_is_demo(const char *name, const char *description);

// Stage one (section 3.1 of the paper): aligns and prepares the study if necessary, and finds a
// box on every slice. Free the detection with nasoseg_detection_free. Options: slices,
// force_geometry, force_coverage, reslice. Progress: align, prepare, detect.
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

// Replaces the box of slice `index`. `bounding_box` is copied and lies within 0 ..
// nasoseg_engine_grid. Segment again to see the effect.
uint32_t nasoseg_detection_set_box(struct nasoseg_detection *detection,
                                   size_t index,
                                   const struct nasoseg_bounding_box *bounding_box,
                                   struct nasoseg_error **error);

// Removes the box of slice `index`: the slice holds no lesion and is not segmented.
uint32_t nasoseg_detection_clear_box(struct nasoseg_detection *detection,
                                     size_t index,
                                     struct nasoseg_error **error);

// Returns a view of the agent's trajectory on slice `index`.
uint32_t nasoseg_detection_get_trajectory(const struct nasoseg_detection *detection,
                                          size_t index,
                                          struct nasoseg_trajectory *trajectory,
                                          struct nasoseg_error **error);

// Returns a view of the model's input on slice `index`. The first call for a detection prepares
// all of its slices.
uint32_t nasoseg_detection_get_image(const struct nasoseg_detection *detection,
                                     size_t index,
                                     struct nasoseg_slice_image *image,
                                     struct nasoseg_error **error);

// Writes the detection as JSON, which `nasoseg segment` and nasoseg_detection_read read. `file` is
// a UTF-8 path; the file appears whole or not at all. Options: none. Progress: export.
uint32_t nasoseg_detection_write(const struct nasoseg_detection *detection,
                                 const char *file,
                                 const struct nasoseg_options *options,
                                 const struct nasoseg_run *run,
                                 struct nasoseg_error **error);

// Reads a detection that nasoseg_detection_write wrote, edited or not, for the same study and
// model. Free it with nasoseg_detection_free. Options: force_geometry, reslice. Progress: read,
// align.
uint32_t nasoseg_detection_read(const struct nasoseg_engine *engine,
                                const struct nasoseg_study *study,
                                const char *file,
                                const struct nasoseg_options *options,
                                const struct nasoseg_run *run,
                                struct nasoseg_detection **detection,
                                struct nasoseg_error **error);

// Stage two (section 3.2 of the paper): segments every slice of the detection that has a box. Free
// the segmentation with nasoseg_segmentation_free. The study and engine must be those that made
// the detection; otherwise, or if a sequence was set since, the call fails with
// NASOSEG_ERROR_ARGUMENT. Options: none. Progress: prepare, segment.
uint32_t nasoseg_segment(const struct nasoseg_engine *engine,
                         const struct nasoseg_study *study,
                         const struct nasoseg_detection *detection,
                         const struct nasoseg_options *options,
                         const struct nasoseg_run *run,
                         struct nasoseg_segmentation **segmentation,
                         struct nasoseg_error **error);

// Frees a segmentation. NULL is legal. Contours made from it stay usable.
void nasoseg_segmentation_free(struct nasoseg_segmentation *segmentation);

// Returns a view of the arrays of a segmentation.
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

// Traces the contours of a segmentation. Free them with nasoseg_contours_free. Options:
// contour_kind. Progress: contour.
uint32_t nasoseg_contour(const struct nasoseg_segmentation *segmentation,
                         const struct nasoseg_options *options,
                         const struct nasoseg_run *run,
                         struct nasoseg_contours **contours,
                         struct nasoseg_error **error);

// Frees contours. NULL is legal.
void nasoseg_contours_free(struct nasoseg_contours *contours);

// Number of contours: ordered by storage slice, every outer contour followed by its holes. 0 for
// NULL.
size_t nasoseg_contours_count(const struct nasoseg_contours *contours);

// Returns a view of contour `index`, 0 to count - 1.
uint32_t nasoseg_contours_get(const struct nasoseg_contours *contours,
                              size_t index,
                              struct nasoseg_contour_view *contour,
                              struct nasoseg_error **error);

// Writes an RT Structure Set on the images that T1C came from: its DICOM files, or those that
// nasoseg_study_set_dicom_source has named for a volume in memory. Without such images the call
// fails with NASOSEG_ERROR_UNSUPPORTED. `file` is a UTF-8 path, here and below; the file appears
// whole or not at all. Options: holes, simplify_mm, roi_name, structure_set_label. Progress:
// export.
uint32_t nasoseg_contours_write_rtstruct(const struct nasoseg_contours *contours,
                                         const char *file,
                                         const struct nasoseg_options *options,
                                         const struct nasoseg_run *run,
                                         struct nasoseg_error **error);

// Writes the mask as NIfTI-1 (.nii.gz) on T1C's grid. Fails with NASOSEG_ERROR_UNSUPPORTED if the
// slices are unevenly spaced, which NIfTI cannot express. Options: none. Progress: export.
uint32_t nasoseg_segmentation_write_mask(const struct nasoseg_segmentation *segmentation,
                                         const char *file,
                                         const struct nasoseg_options *options,
                                         const struct nasoseg_run *run,
                                         struct nasoseg_error **error);

// Writes the probability as NIfTI-1 (.nii.gz, float32) on T1C's grid; the rest as
// nasoseg_segmentation_write_mask.
uint32_t nasoseg_segmentation_write_probability(const struct nasoseg_segmentation *segmentation,
                                                const char *file,
                                                const struct nasoseg_options *options,
                                                const struct nasoseg_run *run,
                                                struct nasoseg_error **error);

// Writes the preview: a PNG with the three sequences, the agent's trajectory, the final box and
// the contours of every slice in range. The three handles belong to one study. Options: none.
// Progress: prepare if necessary, export.
uint32_t nasoseg_write_preview(const struct nasoseg_detection *detection,
                               const struct nasoseg_segmentation *segmentation,
                               const struct nasoseg_contours *contours,
                               const char *file,
                               const struct nasoseg_options *options,
                               const struct nasoseg_run *run,
                               struct nasoseg_error **error);

// Writes the run record (JSON): versions, model hash, device, seconds of detection and
// segmentation, warnings, statuses, identity of the inputs. Options: none. Progress: export.
uint32_t nasoseg_segmentation_write_record(const struct nasoseg_segmentation *segmentation,
                                           const char *file,
                                           const struct nasoseg_options *options,
                                           const struct nasoseg_run *run,
                                           struct nasoseg_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* NASOSEG_H */
