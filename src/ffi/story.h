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
