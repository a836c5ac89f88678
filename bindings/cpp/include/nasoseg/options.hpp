// Options of a call, and what all handles share. nasoseg/nasoseg.hpp includes it.

#ifndef NASOSEG_OPTIONS_HPP
#define NASOSEG_OPTIONS_HPP

#include <nasoseg.h>
#include <nasoseg/error.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace nasoseg {

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
// concern it; nasoseg.h documents which, and the defaults. A default-constructed Options means
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
    // Engine: number of threads of one model run; 0 means all cores.
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
    // Contour: what contours follow.
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

} // namespace nasoseg

#endif // NASOSEG_OPTIONS_HPP
