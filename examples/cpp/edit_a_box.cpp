// Corrects what the detector found: prints the box of every slice, moves the box in the middle of
// the lesion, clears the lowest box of the lesion, segments again and prints the areas before and
// after. Build it against an installed nasoseg with examples/CMakeLists.txt and
// run it (`make demo` in the repository makes a synthetic patient in out/demo/study):
//
//     cmake -S examples -B build -DCMAKE_PREFIX_PATH=/usr/local && cmake --build build
//     build/edit_a_box_cpp study/T1 study/T1C study/T2 models/demo

#include <nasoseg/nasoseg.hpp>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <iomanip>
#include <iostream>
#include <stdexcept>
#include <vector>

namespace {

// Boxes are pixel edges on the model's square grid, 0 to `grid`. The middle one moves to the right
// by half of its width, or as far as the grid goes.
void edit(nasoseg::Detection &detection, std::size_t lowest, std::size_t highest, double grid) {
    const std::size_t at = (lowest + highest) / 2;
    const nasoseg::DetectionSlice middle = detection.slice(at);
    if (middle.has_box) {
        auto box = middle.bounding_box;
        const double shift = std::min((box.x1 - box.x0) / 2.0, grid - box.x1);
        box.x0 += shift;
        box.x1 += shift;
        detection.set_box(at, box);
        std::cout << "slice " << middle.slice << ": box moved by " << shift << " pixels\n";
    }
    detection.clear_box(lowest);
    std::cout << "slice " << detection.slice(lowest).slice << ": box cleared\n";
}

void edit_a_box(int argc, char **argv) {
    if (argc != 5) {
        throw std::invalid_argument("usage: edit_a_box T1 T1C T2 BUNDLE");
    }
    const nasoseg::Engine engine(argv[4]);
    nasoseg::Study study;
    study.load(nasoseg::Sequence::T1, argv[1]);
    study.load(nasoseg::Sequence::T1C, argv[2]);
    study.load(nasoseg::Sequence::T2, argv[3]);

    nasoseg::Detection detection = engine.detect(study);
    const std::size_t count = detection.slice_count();
    for (std::size_t at = 0; at < count; ++at) {
        const nasoseg::DetectionSlice slice = detection.slice(at);
        const auto &box = slice.bounding_box;
        std::cout << "slice " << slice.slice << ": ";
        if (slice.has_box) {
            std::cout << "box " << box.x0 << ' ' << box.y0 << ' ' << box.x1 << ' ' << box.y1;
        } else {
            std::cout << "no box";
        }
        std::cout << '\n';
    }
    const nasoseg::Segmentation before = engine.segment(study, detection);

    std::vector<std::size_t> inside;
    for (std::size_t at = 0; at < count; ++at) {
        if (before.slice(at).pixels > 0) {
            inside.push_back(at);
        }
    }
    if (!inside.empty()) {
        edit(detection, inside.front(), inside.back(), static_cast<double>(engine.grid()));
    }

    const nasoseg::Segmentation after = engine.segment(study, detection);
    for (std::size_t at = 0; at < count; ++at) {
        std::cout << "slice " << before.slice(at).slice << ": " << before.slice(at).area_mm2
                  << " mm2 before, " << after.slice(at).area_mm2 << " mm2 after\n";
    }
    std::cout << "edited: " << (after.edited() ? "yes" : "no") << '\n';
}

} // namespace

int main(int argc, char **argv) {
    std::cout << std::fixed << std::setprecision(1);
    try {
        edit_a_box(argc, argv);
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
