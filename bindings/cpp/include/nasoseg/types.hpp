// The numbers of nasoseg.h as C++ types, points and boxes. nasoseg/nasoseg.hpp includes it.

#ifndef NASOSEG_TYPES_HPP
#define NASOSEG_TYPES_HPP

#include <nasoseg.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace nasoseg {

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

} // namespace nasoseg

#endif // NASOSEG_TYPES_HPP
