// nasoseg in C++17: the C library with RAII, exceptions and views. Header-only; requires nasoseg.h
// and the library.
//
//     #include <nasoseg/nasoseg.hpp>
//
//     nasoseg::Engine engine("models/demo");
//     nasoseg::Study study;
//     study.load(nasoseg::Sequence::T1, "patient/T1");
//     study.load(nasoseg::Sequence::T1C, "patient/T1C");
//     study.load(nasoseg::Sequence::T2, "patient/T2");
//
//     nasoseg::Run run;
//     run.on_progress([](const nasoseg::Progress &p) {
//         return show(p.stage_name(), p.done, p.total);  // false cancels
//     });
//     auto detection = engine.detect(study, nasoseg::Options().slices(8, 20), run);
//     auto segmentation = engine.segment(study, detection, {}, run);
//     auto contours = segmentation.contour();
//     contours.write_rtstruct("rtstruct.dcm");
//
// OWNERSHIP. Every class owns one handle of nasoseg.h and is move-only; a moved-from object may
// only be destroyed or assigned to. Objects may be destroyed in any order: each keeps alive what it
// needs, except that a Run must outlive the calls that use it. A Span or string_view that a getter
// returns is borrowed from its object.
//
// ERRORS. A function that fails throws nasoseg::Error; one that is cancelled throws
// nasoseg::Cancelled, which is an Error. Callers without exceptions use nasoseg::attempt, which
// turns any of these calls into a Result:
//
//     auto found = nasoseg::attempt([&] { return engine.detect(study); });
//     if (!found) { log(found.error().what()); }
//
// THREADS. As in nasoseg.h: any number of threads may call const member functions at once; others
// require exclusive access. Progress callbacks run on the calling thread. An exception thrown in
// one cancels the call, which then throws it.
//
// UNITS. Millimetres in the patient's LPS axes, unless a view says RAS. Voxel indices are centres;
// boxes use edge coordinates of the model's grid (nasoseg.h, UNITS AND AXES). Slices are counted
// from 0, from inferior to superior.
//
// No name here is a macro of <X11/Xlib.h> or <windows.h>: this header may follow either.

#ifndef NASOSEG_NASOSEG_HPP
#define NASOSEG_NASOSEG_HPP

#include <nasoseg.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace nasoseg {

// -------------------------------------------------------------------------------------------------
// Words

// nasoseg_status of nasoseg.h. A newer library may return other codes: treat them as failures.
enum class ErrorCode : std::uint32_t {
    Ok = NASOSEG_OK,
    Argument = NASOSEG_ERROR_ARGUMENT,
    Read = NASOSEG_ERROR_READ,
    Image = NASOSEG_ERROR_IMAGE,
    Geometry = NASOSEG_ERROR_GEOMETRY,
    Identity = NASOSEG_ERROR_IDENTITY,
    Bundle = NASOSEG_ERROR_BUNDLE,
    Runtime = NASOSEG_ERROR_RUNTIME,
    Device = NASOSEG_ERROR_DEVICE,
    Write = NASOSEG_ERROR_WRITE,
    Unsupported = NASOSEG_ERROR_UNSUPPORTED,
    Cancelled = NASOSEG_CANCELLED,
    Internal = NASOSEG_ERROR_INTERNAL,
    Poisoned = NASOSEG_ERROR_POISONED,
};

enum class Sequence : std::uint32_t {
    T1 = NASOSEG_SEQUENCE_T1,
    T1C = NASOSEG_SEQUENCE_T1C,
    T2 = NASOSEG_SEQUENCE_T2
};

enum class Stage : std::uint32_t {
    Read = NASOSEG_STAGE_READ,
    Align = NASOSEG_STAGE_ALIGN,
    Prepare = NASOSEG_STAGE_PREPARE,
    Detect = NASOSEG_STAGE_DETECT,
    Segment = NASOSEG_STAGE_SEGMENT,
    Contour = NASOSEG_STAGE_CONTOUR,
    Export = NASOSEG_STAGE_EXPORT,
};

enum class Axes : std::uint32_t { LPS = NASOSEG_AXES_LPS, RAS = NASOSEG_AXES_RAS };

enum class ContourKind : std::uint32_t {
    Level = NASOSEG_CONTOUR_LEVEL,
    Voxel = NASOSEG_CONTOUR_VOXEL
};

enum class Holes : std::uint32_t {
    Keyhole = NASOSEG_HOLES_KEYHOLE,
    Xor = NASOSEG_HOLES_XOR,
    Plain = NASOSEG_HOLES_PLAIN,
    Fill = NASOSEG_HOLES_FILL,
};

// What a user should know about a slice: bits of the `statuses` of a DetectionSlice or
// SegmentationSlice.
enum class SliceStatus : std::uint32_t {
    NoLesion = NASOSEG_SLICE_NO_LESION,
    BoxAtImageEdge = NASOSEG_SLICE_BOX_AT_IMAGE_EDGE,
    MaskAtCropEdge = NASOSEG_SLICE_MASK_AT_CROP_EDGE,
    StepLimitReached = NASOSEG_SLICE_STEP_LIMIT_REACHED,
    IncompleteCoverage = NASOSEG_SLICE_INCOMPLETE_COVERAGE,
    SpacingOutsideTraining = NASOSEG_SLICE_SPACING_OUTSIDE_TRAINING,
};

// Whether `statuses` contains `status`.
[[nodiscard]] constexpr bool has(std::uint32_t statuses, SliceStatus status) noexcept {
    return (statuses & static_cast<std::uint32_t>(status)) != 0;
}

// The words for a status, for example "no lesion".
[[nodiscard]] inline std::string_view words(SliceStatus status) noexcept {
    return nasoseg_slice_status_words(static_cast<std::uint32_t>(status));
}

// The words that mark a demo model's results; nasoseg_demo_text says what each is for.
enum class DemoText : std::uint32_t {
    Name = NASOSEG_DEMO_NAME,
    Mark = NASOSEG_DEMO_MARK,
    Warning = NASOSEG_DEMO_WARNING,
    Banner = NASOSEG_DEMO_BANNER,
    Use = NASOSEG_DEMO_USE,
    Prefix = NASOSEG_DEMO_PREFIX,
};

[[nodiscard]] inline std::string_view words(DemoText which) noexcept {
    return nasoseg_demo_words(static_cast<std::uint32_t>(which));
}

// Whether a structure or a file says that a demo model made it, by its name or its description.
[[nodiscard]] inline bool is_demo(const std::string &name, const std::string &description) {
    return nasoseg_is_demo(name.c_str(), description.c_str());
}

// A point of the patient, mm.
using Point = std::array<double, 3>;
// Row-major 4 x 4 matrix from (i, j, k, 1) to mm, for voxel centres.
using Affine = std::array<double, 16>;
// A box in edge coordinates of the model's grid: pixel n reaches from n to n + 1.
using BoundingBox = nasoseg_bounding_box;

// -------------------------------------------------------------------------------------------------
// Errors

// A call that failed. what() is one paragraph: the input, what was found, what was expected, what
// to do.
class Error : public std::runtime_error {
public:
    Error(ErrorCode code, const std::string &message) : std::runtime_error(message), code_(code) {}
    [[nodiscard]] ErrorCode code() const noexcept { return code_; }

private:
    ErrorCode code_;
};

// A call that was cancelled by a token or by a callback that returned false. Every object stays
// usable.
class Cancelled : public Error {
public:
    explicit Cancelled(const std::string &message) : Error(ErrorCode::Cancelled, message) {}
};

// A value or an error.
template <class T> class [[nodiscard]] Result {
public:
    Result(T value) : content_(std::move(value)) {}
    Result(Error error) : content_(std::move(error)) {}

    [[nodiscard]] bool ok() const noexcept { return content_.index() == 0; }
    explicit operator bool() const noexcept { return ok(); }

    // The value; throws the error if there is none.
    [[nodiscard]] T &value() & {
        expect();
        return *std::get_if<0>(&content_);
    }
    [[nodiscard]] const T &value() const & {
        expect();
        return *std::get_if<0>(&content_);
    }
    [[nodiscard]] T value() && {
        expect();
        return std::move(*std::get_if<0>(&content_));
    }
    // The error; throws std::bad_variant_access if there is none.
    [[nodiscard]] const Error &error() const { return std::get<1>(content_); }

private:
    void expect() const {
        if (const Error *error = std::get_if<1>(&content_)) {
            if (error->code() == ErrorCode::Cancelled) {
                throw Cancelled(error->what());
            }
            throw Error(*error);
        }
    }

    std::variant<T, Error> content_;
};

// The value of a function that returns void.
using Done = std::monostate;

// Calls `work`, which uses this library, and turns its exception into a Result: an error of the
// library as it is, any other (such as one that a progress callback threw) as ErrorCode::Internal
// with its text. Nothing is thrown.
template <class Work> [[nodiscard]] auto attempt(Work &&work) noexcept {
    using Given = std::invoke_result_t<Work>;
    using Kept = std::conditional_t<std::is_void_v<Given>, Done, Given>;
    try {
        if constexpr (std::is_void_v<Given>) {
            std::forward<Work>(work)();
            return Result<Kept>(Done{});
        } else {
            return Result<Kept>(std::forward<Work>(work)());
        }
    } catch (const Error &error) {
        return Result<Kept>(Error(error));
    } catch (const std::exception &error) {
        return Result<Kept>(Error(ErrorCode::Internal, error.what()));
    } catch (...) {
        return Result<Kept>(Error(ErrorCode::Internal, "an exception of an unknown type"));
    }
}

// -------------------------------------------------------------------------------------------------
// Views

// A borrowed array, like std::span of C++20.
template <class T> class Span {
public:
    constexpr Span() noexcept = default;
    constexpr Span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}

    [[nodiscard]] constexpr T *data() const noexcept { return data_; }
    [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
    [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] constexpr T *begin() const noexcept { return data_; }
    [[nodiscard]] constexpr T *end() const noexcept { return data_ + size_; }
    constexpr T &operator[](std::size_t at) const noexcept { return data_[at]; }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

namespace detail {

// The nasoseg_element of a C++ type, by size and sign, so that `char`, `short`, `int` and `long`
// each have one.
template <class T> constexpr std::uint32_t element() noexcept {
    static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, bool>,
                  "voxels are integers or floating-point numbers");
    if constexpr (std::is_floating_point_v<T>) {
        static_assert(sizeof(T) == 4 || sizeof(T) == 8, "voxels have at most 64 bits");
        return sizeof(T) == 4 ? NASOSEG_ELEMENT_FLOAT32 : NASOSEG_ELEMENT_FLOAT64;
    } else {
        static_assert(sizeof(T) <= 4, "integer voxels have at most 32 bits");
        constexpr std::uint32_t wide = sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 2 : 4;
        return wide + (std::is_signed_v<T> ? 1 : 0);
    }
}

} // namespace detail

// A volume in the caller's memory: see nasoseg_volume_view. Any strides; the library copies the
// voxels and never writes to them.
struct VolumeView : nasoseg_volume_view {
    VolumeView() noexcept : nasoseg_volume_view{} { struct_size = sizeof(nasoseg_volume_view); }
};

// A view of voxels without gaps, i fastest, then j, then k.
template <class T>
[[nodiscard]] VolumeView view(const T *voxels, std::array<std::size_t, 3> size,
                              const Affine &affine, Axes axes = Axes::LPS) noexcept {
    VolumeView view;
    view.data = voxels;
    view.element = detail::element<T>();
    view.axes = static_cast<std::uint32_t>(axes);
    std::int64_t stride = sizeof(T);
    for (std::size_t axis = 0; axis < 3; ++axis) {
        view.size[axis] = size[axis];
        view.stride[axis] = stride;
        // Modulo 2^64 on overflow; the library then rejects the size.
        stride = static_cast<std::int64_t>(static_cast<std::uint64_t>(stride) * size[axis]);
    }
    for (std::size_t at = 0; at < 16; ++at) {
        view.affine[at] = affine[at];
    }
    return view;
}

// -------------------------------------------------------------------------------------------------
// Handles

class Run;

namespace detail {

template <class Handle, void (*Free)(Handle *)> struct Deleter {
    void operator()(Handle *handle) const noexcept { Free(handle); }
};

template <class Handle, void (*Free)(Handle *)>
using Owned = std::unique_ptr<Handle, Deleter<Handle, Free>>;

using ErrorHandle = Owned<nasoseg_error, nasoseg_error_free>;

[[noreturn]] inline void fail(std::uint32_t status, const nasoseg_error *error) {
    if (status == NASOSEG_CANCELLED) {
        throw Cancelled(nasoseg_error_message(error));
    }
    throw Error(static_cast<ErrorCode>(status), nasoseg_error_message(error));
}

// Calls a function of the library whose last parameter is the error.
template <class Function, class... Arguments> void call(Function function, Arguments... arguments) {
    nasoseg_error *raw = nullptr;
    const std::uint32_t status = function(arguments..., &raw);
    const ErrorHandle error(raw);
    if (status != NASOSEG_OK) {
        fail(status, error.get());
    }
}

// As `call`, for functions that take a run: an exception of its callback takes precedence.
template <class Function, class... Arguments>
void call_with(const Run &run, Function function, Arguments... arguments);

} // namespace detail

// The library's version, for example "0.1.0", and the number of its ABI.
[[nodiscard]] inline std::string_view version() noexcept { return nasoseg_version(); }
[[nodiscard]] inline std::uint32_t abi_version() noexcept { return nasoseg_abi_version(); }

// Options of any call, chained: Options().device("cpu").threads(2). Each call reads those that
// concern it; nasoseg.h documents which, and the defaults. A default-constructed Options stands for
// all defaults and allocates nothing.
class Options {
public:
    Options() noexcept = default;

    // Engine: "cpu", "cuda", "cuda:N" or "auto".
    Options &device(const std::string &name) {
        return set(nasoseg_options_set_device, name.c_str());
    }
    // Engine, runtime_info: ONNX Runtime's shared library, or its folder.
    Options &onnxruntime(const std::string &path) {
        return set(nasoseg_options_set_onnxruntime, path.c_str());
    }
    // Engine: number of threads of one model run; 0 stands for all cores.
    Options &threads(std::uint32_t count) { return set(nasoseg_options_set_threads, count); }
    // Engine: number of model runs at once, each with its own copy of the weights.
    Options &concurrent_runs(std::uint32_t count) {
        return set(nasoseg_options_set_concurrent_runs, count);
    }
    // Detect: slices from `first` up to, but not including, `end`.
    Options &slices(std::size_t first, std::size_t end) {
        return set(nasoseg_options_set_slices, first, end);
    }
    // Detect: slices whose centre has z (LPS, mm) from `low` up to, but not including, `high`.
    Options &slices_mm(double low, double high) {
        return set(nasoseg_options_set_slices_mm, low, high);
    }
    // Detect, read_detection: accept sequences whose frames of reference differ.
    Options &force_geometry(bool force = true) {
        return set(nasoseg_options_set_force_geometry, force);
    }
    // Detect: also process slices that T1 or T2 covers incompletely.
    Options &force_coverage(bool force = true) {
        return set(nasoseg_options_set_force_coverage, force);
    }
    // Detect, read_detection: process axial slices, `step_mm` apart (0: 3 mm), resampled from T1C
    // if its own are not axial. The result lies on T1C's own voxels; slices of detection and
    // segmentation are the axial ones and have no storage_slice (SIZE_MAX).
    Options &reslice_axial(double step_mm = 0.0) {
        return set(nasoseg_options_set_reslice, static_cast<std::uint32_t>(NASOSEG_RESLICE_AXIAL),
                   step_mm);
    }
    // Contour: the curve that contours follow.
    Options &contour_kind(ContourKind kind) {
        return set(nasoseg_options_set_contour_kind, static_cast<std::uint32_t>(kind));
    }
    // RT Structure Set: how holes are written.
    Options &holes(Holes holes) {
        return set(nasoseg_options_set_holes, static_cast<std::uint32_t>(holes));
    }
    // RT Structure Set: how far (mm) a contour may move when points are removed.
    Options &simplify_mm(double tolerance_mm) {
        return set(nasoseg_options_set_simplify_mm, tolerance_mm);
    }
    // RT Structure Set: at most 16 characters each.
    Options &roi_name(const std::string &name) {
        return set(nasoseg_options_set_roi_name, name.c_str());
    }
    Options &structure_set_label(const std::string &label) {
        return set(nasoseg_options_set_structure_set_label, label.c_str());
    }
    // Load: the SeriesInstanceUID of the series to read if the files hold several.
    Options &series_uid(const std::string &uid) {
        return set(nasoseg_options_set_series_uid, uid.c_str());
    }
    // Load: the images to read if the series holds several echoes, b-values, time points or stacks,
    // for example "Echo Time=80".
    Options &pick(const std::string &pick) { return set(nasoseg_options_set_pick, pick.c_str()); }
    // Load: accept a series in which slices are missing.
    Options &allow_gaps(bool allow = true) { return set(nasoseg_options_set_allow_gaps, allow); }

    // The C handle; null if all are defaults.
    [[nodiscard]] const nasoseg_options *get() const noexcept { return handle_.get(); }

private:
    template <class Setter, class... Arguments>
    Options &set(Setter setter, Arguments... arguments) {
        if (!handle_) {
            nasoseg_options *raw = nullptr;
            detail::call(nasoseg_options_new, &raw);
            handle_.reset(raw);
        }
        detail::call(setter, handle_.get(), arguments...);
        return *this;
    }

    detail::Owned<nasoseg_options, nasoseg_options_free> handle_;
};

// A flag that cancels calls within one model run. Any thread may call `cancel`, and so may a signal
// handler, on a token that outlives it.
class CancelToken {
public:
    CancelToken() {
        nasoseg_cancel_token *raw = nullptr;
        detail::call(nasoseg_cancel_token_new, &raw);
        handle_.reset(raw);
    }

    void cancel() const noexcept { nasoseg_cancel_token_cancel(handle_.get()); }
    void reset() const noexcept { nasoseg_cancel_token_reset(handle_.get()); }
    [[nodiscard]] bool is_cancelled() const noexcept {
        return nasoseg_cancel_token_is_cancelled(handle_.get());
    }
    [[nodiscard]] const nasoseg_cancel_token *get() const noexcept { return handle_.get(); }

private:
    detail::Owned<nasoseg_cancel_token, nasoseg_cancel_token_free> handle_;
};

// How far a stage is: `done` of `total` units, never decreasing within a stage of one call.
struct Progress {
    Stage stage;
    std::size_t done;
    std::size_t total;

    [[nodiscard]] std::string_view stage_name() const noexcept {
        return nasoseg_stage_name(static_cast<std::uint32_t>(stage));
    }
};

// Receives the progress of long calls and cancels them; it may serve many calls, one at a time. A
// default-constructed Run does neither.
class Run {
public:
    // Returning false cancels. So does an exception, which the call then throws. The callback must
    // not use the objects of the call.
    using Callback = std::function<bool(const Progress &)>;

    Run() noexcept = default;

    // Sets the callback; an empty one removes it.
    Run &on_progress(Callback callback) {
        make();
        state_->callback = std::move(callback);
        detail::call(nasoseg_run_set_progress, handle_.get(),
                     state_->callback ? &Run::report : nullptr, static_cast<void *>(state_.get()));
        return *this;
    }

    // Sets the token, which may be destroyed before the run; then nothing can set it any more.
    Run &cancelled_by(const CancelToken &token) {
        make();
        detail::call(nasoseg_run_set_cancel, handle_.get(), token.get());
        return *this;
    }

    [[nodiscard]] const nasoseg_run *get() const noexcept { return handle_.get(); }

    // Throws, once, what the callback threw during the last call.
    void rethrow() const {
        if (state_ && state_->thrown) {
            std::rethrow_exception(std::exchange(state_->thrown, nullptr));
        }
    }

private:
    // On the heap: the library keeps its address, which moving the Run must not change.
    struct State {
        Callback callback;
        std::exception_ptr thrown;
    };

    void make() {
        if (!handle_) {
            nasoseg_run *raw = nullptr;
            detail::call(nasoseg_run_new, &raw);
            handle_.reset(raw);
            state_ = std::make_unique<State>();
        }
    }

    // Called by the library. Nothing may unwind through it.
    static bool report(const nasoseg_progress *progress, void *user_data) noexcept {
        auto *state = static_cast<State *>(user_data);
        try {
            return state->callback(
                Progress{static_cast<Stage>(progress->stage), progress->done, progress->total});
        } catch (...) {
            state->thrown = std::current_exception();
            return false;
        }
    }

    std::unique_ptr<State> state_;
    detail::Owned<nasoseg_run, nasoseg_run_free> handle_;
};

namespace detail {

template <class Function, class... Arguments>
void call_with(const Run &run, Function function, Arguments... arguments) {
    nasoseg_error *raw = nullptr;
    const std::uint32_t status = function(arguments..., run.get(), &raw);
    const ErrorHandle error(raw);
    run.rethrow();
    if (status != NASOSEG_OK) {
        fail(status, error.get());
    }
}

// For functions with a new handle between run and error.
template <class Handle, class Function, class... Arguments>
Handle *make_with(const Run &run, Function function, Arguments... arguments) {
    Handle *made = nullptr;
    nasoseg_error *raw = nullptr;
    const std::uint32_t status = function(arguments..., run.get(), &made, &raw);
    const ErrorHandle error(raw);
    if (status != NASOSEG_OK) {
        run.rethrow();
        fail(status, error.get());
    }
    return made;
}

} // namespace detail

// -------------------------------------------------------------------------------------------------
// The pipeline

// The three MR sequences of one patient.
class Study {
public:
    Study() {
        nasoseg_study *raw = nullptr;
        detail::call(nasoseg_study_new, &raw);
        handle_.reset(raw);
    }

    // Copies a sequence from the caller's memory.
    void set_volume(Sequence sequence, const nasoseg_volume_view &view, const Options &options = {},
                    const Run &run = {}) {
        detail::call_with(run, nasoseg_study_set_volume, handle_.get(),
                          static_cast<std::uint32_t>(sequence), &view, options.get());
    }

    // Reads a sequence: one DICOM folder, one NIfTI-1 or NRRD file, or the DICOM files of one
    // series. Paths are UTF-8.
    void load(Sequence sequence, const std::vector<std::string> &paths, const Options &options = {},
              const Run &run = {}) {
        const std::vector<const char *> raw = pointers(paths);
        detail::call_with(run, nasoseg_study_load, handle_.get(),
                          static_cast<std::uint32_t>(sequence), raw.data(), raw.size(),
                          options.get());
    }
    void load(Sequence sequence, const std::string &path, const Options &options = {},
              const Run &run = {}) {
        load(sequence, std::vector<std::string>{path}, options, run);
    }

    // Names the DICOM files that a sequence in memory came from, for an RT Structure Set on the
    // original images.
    void set_dicom_source(Sequence sequence, const std::vector<std::string> &paths,
                          const Options &options = {}, const Run &run = {}) {
        const std::vector<const char *> raw = pointers(paths);
        detail::call_with(run, nasoseg_study_set_dicom_source, handle_.get(),
                          static_cast<std::uint32_t>(sequence), raw.data(), raw.size(),
                          options.get());
    }

    // Warnings for the user, known after Engine::detect.
    [[nodiscard]] std::vector<std::string> warnings() const {
        std::vector<std::string> all;
        const std::size_t count = nasoseg_study_warning_count(handle_.get());
        for (std::size_t at = 0; at < count; ++at) {
            all.emplace_back(nasoseg_study_warning(handle_.get(), at));
        }
        return all;
    }

    [[nodiscard]] const nasoseg_study *get() const noexcept { return handle_.get(); }

private:
    static std::vector<const char *> pointers(const std::vector<std::string> &paths) {
        std::vector<const char *> raw;
        raw.reserve(paths.size());
        for (const std::string &path : paths) {
            raw.push_back(path.c_str());
        }
        return raw;
    }

    detail::Owned<nasoseg_study, nasoseg_study_free> handle_;
};

// One slice of a detection: the fields of nasoseg_detection_slice. Its UID is borrowed from the
// detection.
using DetectionSlice = nasoseg_detection_slice;

// The agent's trajectory on one slice, borrowed from the detection.
struct Trajectory {
    Span<const std::uint32_t> actions;
    // steps() + 1 boxes: the initial one, then the box after every action.
    Span<const double> box_numbers;
    Span<const float> q;
    std::size_t action_count;
    // Whether the agent chose to stop; otherwise the step limit ended the trajectory.
    bool stopped;

    [[nodiscard]] std::size_t steps() const noexcept { return actions.size(); }
    [[nodiscard]] BoundingBox box(std::size_t step) const noexcept {
        const double *b = box_numbers.data() + 4 * step;
        return BoundingBox{b[0], b[1], b[2], b[3]};
    }
    // The Q value of every action at a step.
    [[nodiscard]] Span<const float> q_at(std::size_t step) const noexcept {
        return {q.data() + step * action_count, action_count};
    }
};

// A box per slice, editable, with the agent's trajectories.
class Detection {
public:
    // Takes ownership of the handle.
    explicit Detection(nasoseg_detection *handle) noexcept : handle_(handle) {}

    [[nodiscard]] std::size_t slice_count() const noexcept {
        return nasoseg_detection_slice_count(handle_.get());
    }

    [[nodiscard]] DetectionSlice slice(std::size_t index) const {
        DetectionSlice slice{};
        slice.struct_size = sizeof slice;
        detail::call(nasoseg_detection_get_slice, get(), index, &slice);
        return slice;
    }

    [[nodiscard]] Trajectory trajectory(std::size_t index) const {
        nasoseg_trajectory t{};
        t.struct_size = sizeof t;
        detail::call(nasoseg_detection_get_trajectory, get(), index, &t);
        const std::size_t boxes = t.steps == 0 ? 0 : t.steps + 1;
        return Trajectory{{t.actions, t.steps},
                          {t.boxes, 4 * boxes},
                          {t.q, t.steps * t.action_count},
                          t.action_count,
                          t.stopped};
    }

    // The model's input on slice `index`: T1, T1C and T2 in 0 .. 1, grid x grid each. Borrowed from
    // the detection.
    [[nodiscard]] Span<const float> image(std::size_t index) const {
        nasoseg_slice_image image{};
        image.struct_size = sizeof image;
        detail::call(nasoseg_detection_get_image, get(), index, &image);
        return {image.pixels, 3 * image.grid * image.grid};
    }

    // Replaces the box of slice `index`; it lies within 0 .. Engine::grid.
    void set_box(std::size_t index, const BoundingBox &box) {
        detail::call(nasoseg_detection_set_box, handle_.get(), index, &box);
    }
    // Removes the box of slice `index`: the slice holds no lesion.
    void clear_box(std::size_t index) {
        detail::call(nasoseg_detection_clear_box, handle_.get(), index);
    }

    // Writes JSON that Engine::read_detection reads.
    void write(const std::string &file, const Options &options = {}, const Run &run = {}) const {
        detail::call_with(run, nasoseg_detection_write, get(), file.c_str(), options.get());
    }

    [[nodiscard]] const nasoseg_detection *get() const noexcept { return handle_.get(); }

private:
    detail::Owned<nasoseg_detection, nasoseg_detection_free> handle_;
};

// One contour: a closed ring on one slice, outer or hole; borrowed from the contours.
struct Contour {
    // Index along T1C's storage slice axis.
    std::size_t storage_slice;
    // x, y, z of every point, LPS mm; the last point joins the first.
    Span<const double> points_mm;
    // i, j of every point: continuous voxel indices, in which integers are voxel centres.
    Span<const double> points_index;
    bool is_hole;
    // For a hole: index of the outer contour around it.
    std::optional<std::size_t> parent;
    // Area inside the contour, mm2; holes not subtracted.
    double area_mm2;

    [[nodiscard]] std::size_t point_count() const noexcept { return points_mm.size() / 3; }
    [[nodiscard]] Point point(std::size_t at) const noexcept {
        return {points_mm[3 * at], points_mm[3 * at + 1], points_mm[3 * at + 2]};
    }
};

// The contours of a segmentation, ordered by storage slice, every outer contour followed by its
// holes.
class Contours {
public:
    // Takes ownership of the handle.
    explicit Contours(nasoseg_contours *handle) noexcept : handle_(handle) {}

    [[nodiscard]] std::size_t size() const noexcept {
        return nasoseg_contours_count(handle_.get());
    }

    [[nodiscard]] Contour at(std::size_t index) const {
        nasoseg_contour_view c{};
        c.struct_size = sizeof c;
        detail::call(nasoseg_contours_get, get(), index, &c);
        const std::optional<std::size_t> parent =
            c.is_hole ? std::optional<std::size_t>(c.parent) : std::nullopt;
        return Contour{c.storage_slice,
                       {c.points_mm, 3 * c.point_count},
                       {c.points_index, 2 * c.point_count},
                       c.is_hole,
                       parent,
                       c.area_mm2};
    }

    [[nodiscard]] std::vector<Contour> all() const {
        std::vector<Contour> all;
        const std::size_t count = size();
        all.reserve(count);
        for (std::size_t at = 0; at < count; ++at) {
            all.push_back(this->at(at));
        }
        return all;
    }

    // Writes an RT Structure Set on the images that T1C came from.
    void write_rtstruct(const std::string &file, const Options &options = {},
                        const Run &run = {}) const {
        detail::call_with(run, nasoseg_contours_write_rtstruct, get(), file.c_str(), options.get());
    }

    [[nodiscard]] const nasoseg_contours *get() const noexcept { return handle_.get(); }

private:
    detail::Owned<nasoseg_contours, nasoseg_contours_free> handle_;
};

// One slice of a segmentation: the fields of nasoseg_segmentation_slice.
using SegmentationSlice = nasoseg_segmentation_slice;

// Mask and probability on T1C's own grid.
class Segmentation {
public:
    // Takes ownership of the handle.
    explicit Segmentation(nasoseg_segmentation *handle) : handle_(handle) {
        view_.struct_size = sizeof view_;
        detail::call(nasoseg_segmentation_get_view, get(), &view_);
    }

    // Voxels along i, j and k; arrays have i fastest, then j, then k, without gaps.
    [[nodiscard]] std::array<std::size_t, 3> size() const noexcept {
        return {view_.size[0], view_.size[1], view_.size[2]};
    }
    // 1 where the probability is at least the threshold, else 0.
    [[nodiscard]] Span<const std::uint8_t> mask() const noexcept { return {view_.mask, voxels()}; }
    [[nodiscard]] Span<const float> probability() const noexcept {
        return {view_.probability, voxels()};
    }
    [[nodiscard]] float threshold() const noexcept { return view_.threshold; }
    [[nodiscard]] double volume_mm3() const noexcept { return view_.volume_mm3; }
    // From voxel indices to LPS mm; nothing if the slices are unevenly spaced.
    [[nodiscard]] std::optional<Affine> affine() const noexcept {
        Affine affine;
        for (std::size_t at = 0; at < 16; ++at) {
            affine[at] = view_.affine[at];
        }
        return affine[15] == 0.0 ? std::nullopt : std::optional<Affine>(affine);
    }
    // Centre of voxel (0, 0, k), and the steps along i and j, LPS mm.
    [[nodiscard]] Point origin(std::size_t k) const noexcept {
        return {view_.origins[3 * k], view_.origins[3 * k + 1], view_.origins[3 * k + 2]};
    }
    [[nodiscard]] Point axis_i() const noexcept {
        return {view_.axis_i[0], view_.axis_i[1], view_.axis_i[2]};
    }
    [[nodiscard]] Point axis_j() const noexcept {
        return {view_.axis_j[0], view_.axis_j[1], view_.axis_j[2]};
    }
    // Whether the caller replaced or cleared a box.
    [[nodiscard]] bool edited() const noexcept { return view_.edited; }

    [[nodiscard]] std::size_t slice_count() const noexcept {
        return nasoseg_segmentation_slice_count(handle_.get());
    }
    [[nodiscard]] SegmentationSlice slice(std::size_t index) const {
        SegmentationSlice slice{};
        slice.struct_size = sizeof slice;
        detail::call(nasoseg_segmentation_get_slice, get(), index, &slice);
        return slice;
    }

    [[nodiscard]] Contours contour(const Options &options = {}, const Run &run = {}) const {
        return Contours(
            detail::make_with<nasoseg_contours>(run, nasoseg_contour, get(), options.get()));
    }

    // NIfTI-1 (.nii.gz) on T1C's grid, and the run record (JSON).
    void write_mask(const std::string &file, const Options &options = {},
                    const Run &run = {}) const {
        detail::call_with(run, nasoseg_segmentation_write_mask, get(), file.c_str(), options.get());
    }
    void write_probability(const std::string &file, const Options &options = {},
                           const Run &run = {}) const {
        detail::call_with(run, nasoseg_segmentation_write_probability, get(), file.c_str(),
                          options.get());
    }
    void write_record(const std::string &file, const Options &options = {},
                      const Run &run = {}) const {
        detail::call_with(run, nasoseg_segmentation_write_record, get(), file.c_str(),
                          options.get());
    }

    [[nodiscard]] const nasoseg_segmentation *get() const noexcept { return handle_.get(); }

private:
    [[nodiscard]] std::size_t voxels() const noexcept {
        return view_.size[0] * view_.size[1] * view_.size[2];
    }

    detail::Owned<nasoseg_segmentation, nasoseg_segmentation_free> handle_;
    nasoseg_segmentation_view view_{};
};

// What an engine has run: the fields of nasoseg_work.
using Work = nasoseg_work;

// A model bundle, opened on a device. Any number of threads may share an engine.
class Engine {
public:
    explicit Engine(const std::string &bundle_dir, const Options &options = {},
                    const Run &run = {}) {
        handle_.reset(detail::make_with<nasoseg_engine>(run, nasoseg_engine_new, bundle_dir.c_str(),
                                                        options.get()));
    }

    // Strings are borrowed from the engine.
    [[nodiscard]] std::string_view model_name() const noexcept {
        return nasoseg_engine_model_name(get());
    }
    [[nodiscard]] std::string_view model_version() const noexcept {
        return nasoseg_engine_model_version(get());
    }
    [[nodiscard]] std::string_view model_hash() const noexcept {
        return nasoseg_engine_model_hash(get());
    }
    // What the model may be used for. Show it beside every result.
    [[nodiscard]] std::string_view intended_use() const noexcept {
        return nasoseg_engine_intended_use(get());
    }
    // Whether the model is a demonstration, no result of which may be called a target.
    [[nodiscard]] bool is_demo() const noexcept { return nasoseg_engine_is_demo(get()); }
    // The device in use, and why "auto" fell back to the CPU.
    [[nodiscard]] std::string_view device() const noexcept { return nasoseg_engine_device(get()); }
    [[nodiscard]] std::string_view device_fallback() const noexcept {
        return nasoseg_engine_device_fallback(get());
    }
    // Side of the model's square grid, pixels.
    [[nodiscard]] std::size_t grid() const noexcept { return nasoseg_engine_grid(get()); }
    [[nodiscard]] std::size_t action_count() const noexcept {
        return nasoseg_engine_action_count(get());
    }
    // For example "zoom width".
    [[nodiscard]] std::string_view action_name(std::size_t action) const noexcept {
        return nasoseg_engine_action_name(get(), action);
    }
    // What the engine has run since it was made, for measurements.
    [[nodiscard]] Work work() const {
        Work work{};
        work.struct_size = sizeof work;
        detail::call(nasoseg_engine_get_work, get(), &work);
        return work;
    }

    // Stage one: a box on every slice.
    [[nodiscard]] Detection detect(const Study &study, const Options &options = {},
                                   const Run &run = {}) const {
        return Detection(detail::make_with<nasoseg_detection>(run, nasoseg_detect, get(),
                                                              study.get(), options.get()));
    }
    // A detection of the same study and model that Detection::write wrote, edited or not.
    [[nodiscard]] Detection read_detection(const Study &study, const std::string &file,
                                           const Options &options = {}, const Run &run = {}) const {
        return Detection(detail::make_with<nasoseg_detection>(
            run, nasoseg_detection_read, get(), study.get(), file.c_str(), options.get()));
    }
    // Stage two: the mask in every box.
    [[nodiscard]] Segmentation segment(const Study &study, const Detection &detection,
                                       const Options &options = {}, const Run &run = {}) const {
        return Segmentation(detail::make_with<nasoseg_segmentation>(
            run, nasoseg_segment, get(), study.get(), detection.get(), options.get()));
    }

    [[nodiscard]] const nasoseg_engine *get() const noexcept { return handle_.get(); }

private:
    detail::Owned<nasoseg_engine, nasoseg_engine_free> handle_;
};

// Writes the preview: a PNG with the three sequences, the boxes and contours of every slice.
inline void write_preview(const Detection &detection, const Segmentation &segmentation,
                          const Contours &contours, const std::string &file,
                          const Options &options = {}, const Run &run = {}) {
    detail::call_with(run, nasoseg_write_preview, detection.get(), segmentation.get(),
                      contours.get(), file.c_str(), options.get());
}

// The ONNX Runtime of this process, loaded if necessary.
struct RuntimeInfo {
    std::string_view version;
    std::string_view path;
    bool has_cuda;
};

[[nodiscard]] inline RuntimeInfo runtime_info(const Options &options = {}) {
    nasoseg_runtime_info info{};
    info.struct_size = sizeof info;
    detail::call(nasoseg_runtime_info_get, options.get(), &info);
    return {info.version, info.path, info.has_cuda};
}

} // namespace nasoseg

#endif // NASOSEG_NASOSEG_HPP
