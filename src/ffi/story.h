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
