// Stage two: mask and probability, and their contours. nasoseg/nasoseg.hpp includes it.

#ifndef NASOSEG_SEGMENTATION_HPP
#define NASOSEG_SEGMENTATION_HPP

#include <nasoseg.h>
#include <nasoseg/detection.hpp>

#include <string>

namespace nasoseg {

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

} // namespace nasoseg

#endif // NASOSEG_SEGMENTATION_HPP
