// Segments voxels that are already in memory, as a planning system or a viewer holds them, and
// reads mask and contours back from memory: no file but the model's is opened. The patient is a
// drawing: a head of fat and muscle with an airway and a lesion. Build it against an installed
// nasoseg with examples/CMakeLists.txt and run it:
//
//     cmake -S examples -B build -DCMAKE_PREFIX_PATH=/usr/local && cmake --build build
//     build/from_memory_cpp models/demo

#include <nasoseg/nasoseg.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>
#include <iomanip>
#include <iostream>
#include <stdexcept>
#include <vector>

namespace {

// Voxels along i, j and k.
constexpr std::size_t NI = 72, NJ = 80, NK = 6;
// (i, j, k, 1) to LPS mm, row by row, for voxel centres.
constexpr nasoseg::Affine AFFINE = {3, 0, 0, -106.5, 0, 3, 0, -118.5, 0, 0, 6, -15, 0, 0, 0, 1};

// Where voxel number `at` lies; i is fastest, then j, then k.
nasoseg::Point point(std::size_t at) {
    const auto i = static_cast<double>(at % NI), j = static_cast<double>(at / NI % NJ),
               k = static_cast<double>(at / (NI * NJ));
    return {3 * i - 106.5, 3 * j - 118.5, 6 * k - 15};
}

double squared(double distance, double radius) { return distance / radius * (distance / radius); }

// Draws one sequence from the intensities of its tissues.
std::vector<float> draw(float fat, float muscle, float lesion) {
    std::vector<float> voxels(NI * NJ * NK, 0.0F);
    for (std::size_t at = 0; at < voxels.size(); ++at) {
        const auto [x, y, z] = point(at);
        const double head = squared(x, 78) + squared(y, 96);
        if (head > 1) {
            continue;
        }
        if (squared(x + 4, 16) + squared(y + 8, 14) + squared(z - 6, 19) < 1) {
            voxels[at] = lesion;
        } else if (squared(x, 14) + squared(y + 19, 9) < 1) {
            voxels[at] = 10;
        } else {
            voxels[at] = head > 0.81 ? fat : muscle;
        }
    }
    return voxels;
}

void from_memory(int argc, char **argv) {
    if (argc != 2) {
        throw std::invalid_argument("usage: from_memory BUNDLE");
    }
    const nasoseg::Engine engine(argv[1]);

    // The study keeps copies: the buffers may change afterwards.
    nasoseg::Study study;
    const auto set = [&](nasoseg::Sequence sequence, const std::vector<float> &voxels) {
        study.set_volume(sequence, nasoseg::view(voxels.data(), {NI, NJ, NK}, AFFINE));
    };
    set(nasoseg::Sequence::T1, draw(950, 350, 370));
    set(nasoseg::Sequence::T1C, draw(900, 350, 680));
    set(nasoseg::Sequence::T2, draw(700, 200, 300));
    const nasoseg::Segmentation segmentation = engine.segment(study, engine.detect(study));
    const nasoseg::Contours contours = segmentation.contour();

    // The mask has T1C's storage order.
    const nasoseg::Span<const std::uint8_t> mask = segmentation.mask();
    double voxels = 0;
    nasoseg::Point sum{};
    for (std::size_t at = 0; at < mask.size(); ++at) {
        if (mask[at] == 1) {
            voxels += 1;
            for (std::size_t axis = 0; axis < 3; ++axis) {
                sum[axis] += point(at)[axis];
            }
        }
    }
    std::cout << "volume: " << voxels * 3 * 3 * 6 << " mm3\n";
    if (voxels > 0) {
        std::cout << "centre: " << sum[0] / voxels << ' ' << sum[1] / voxels << ' '
                  << sum[2] / voxels << " mm\n";
    }

    // Points are LPS mm on the slice's plane; the last one joins the first.
    for (std::size_t at = 0; at < contours.size(); ++at) {
        const auto ring = contours.at(at);
        double left = ring.point(0)[0];
        for (std::size_t number = 1; number < ring.point_count(); ++number) {
            left = std::max(left, ring.point(number)[0]);
        }
        std::cout << "contour on slice " << ring.storage_slice << ": "
                  << (ring.is_hole ? "hole" : "outer") << ", " << ring.area_mm2
                  << " mm2, leftmost point at x " << left << " mm\n";
    }
}

} // namespace

int main(int argc, char **argv) {
    std::cout << std::fixed << std::setprecision(1);
    try {
        from_memory(argc, argv);
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
