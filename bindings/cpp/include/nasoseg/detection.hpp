// Stage one: a box per slice. nasoseg/nasoseg.hpp includes it.

#ifndef NASOSEG_DETECTION_HPP
#define NASOSEG_DETECTION_HPP

#include <nasoseg.h>
#include <nasoseg/study.hpp>

#include <array>
#include <string>

namespace nasoseg {

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

} // namespace nasoseg

#endif // NASOSEG_DETECTION_HPP
