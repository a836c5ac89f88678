// Borrowed arrays, and views of the caller's volumes. nasoseg/nasoseg.hpp includes it.

#ifndef NASOSEG_VIEW_HPP
#define NASOSEG_VIEW_HPP

#include <nasoseg.h>
#include <nasoseg/types.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace nasoseg {

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

} // namespace nasoseg

#endif // NASOSEG_VIEW_HPP
