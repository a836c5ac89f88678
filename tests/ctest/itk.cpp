// The ITK adapter: the golden numbers from itk::Image of any pixel type, direction and first index;
// masks and probabilities as images.

#include <nasoseg/itk.hpp>

#include "study.h"

namespace {

// The study's volume as an image; `flip` reverses the storage of i and j, which the direction
// compensates.
template <class T>
typename itk::Image<T, 3>::Pointer make_image(int sequence, bool flip, itk::IndexValueType first) {
    auto image = itk::Image<T, 3>::New();
    typename itk::Image<T, 3>::RegionType region;
    region.SetSize({{STUDY_I, STUDY_J, STUDY_K}});
    region.SetIndex({{first, first, first}});
    image->SetRegions(region);
    image->Allocate();
    const double steps[3] = {STUDY_PIXEL_MM, STUDY_PIXEL_MM, STUDY_STEP_MM};
    const int sizes[3] = {STUDY_I, STUDY_J, STUDY_K};
    typename itk::Image<T, 3>::DirectionType direction;
    direction.SetIdentity();
    double origin[3];
    for (unsigned axis = 0; axis < 3; ++axis) {
        const double sign = flip && axis < 2 ? -1.0 : 1.0;
        direction(axis, axis) = sign;
        // The position of index 0, which lies outside the region if `first` is not 0.
        origin[axis] = sign * (study_first(sizes[axis], steps[axis]) -
                               static_cast<double>(first) * steps[axis]);
    }
    image->SetSpacing(steps);
    image->SetOrigin(origin);
    image->SetDirection(direction);
    T *voxel = image->GetBufferPointer();
    for (int k = 0; k < STUDY_K; ++k) {
        for (int j = 0; j < STUDY_J; ++j) {
            for (int i = 0; i < STUDY_I; ++i) {
                *voxel++ = static_cast<T>(study_voxel(sequence, flip ? STUDY_I - 1 - i : i,
                                                      flip ? STUDY_J - 1 - j : j, k));
            }
        }
    }
    return image;
}

struct Results {
    nasoseg::Detection detection;
    nasoseg::Segmentation segmentation;
};

template <class T>
Results run(const nasoseg::Engine &engine, bool flip, itk::IndexValueType first) {
    nasoseg::Study study;
    for (int sequence = 0; sequence < 3; ++sequence) {
        const auto image = make_image<T>(sequence, flip, first);
        study.set_volume(static_cast<nasoseg::Sequence>(sequence), nasoseg::view(*image));
    }
    nasoseg::Detection detection = engine.detect(study);
    nasoseg::Segmentation segmentation = engine.segment(study, detection);
    return {std::move(detection), std::move(segmentation)};
}

} // namespace

int main() {
    const nasoseg::Engine engine(NASOSEG_TEST_BUNDLE, nasoseg::Options().device("cpu"));
    const Results plain = run<short>(engine, false, 0);
    golden_check(plain.detection.get(), plain.segmentation.get(),
                 plain.segmentation.contour().get());
    const Results doubles = run<double>(engine, false, 5);
    CHECK(std::equal(plain.segmentation.mask().begin(), plain.segmentation.mask().end(),
                     doubles.segmentation.mask().begin()));

    // Flipped storage, same patient: every point of the mask is at the same place.
    const Results flipped = run<unsigned short>(engine, true, 0);
    CHECK(flipped.segmentation.volume_mm3() == plain.segmentation.volume_mm3());
    const auto mask = nasoseg::mask_image(plain.segmentation),
               other = nasoseg::mask_image(flipped.segmentation);
    const auto probability = nasoseg::probability_image(plain.segmentation);
    const auto mask_view = nasoseg::mask_view(plain.segmentation);
    const auto probability_view = nasoseg::probability_view(plain.segmentation);
    CHECK(mask_view->GetBufferPointer() == plain.segmentation.mask().data());
    CHECK(mask->GetBufferPointer() != mask_view->GetBufferPointer());
    std::size_t set = 0;
    for (int k = 0; k < STUDY_K; ++k) {
        for (int j = 0; j < STUDY_J; ++j) {
            for (int i = 0; i < STUDY_I; ++i) {
                const itk::Index<3> index{{i, j, k}};
                itk::Point<double, 3> point;
                mask->TransformIndexToPhysicalPoint(index, point);
                CHECK(std::abs(point[1] -
                               (study_first(STUDY_J, STUDY_PIXEL_MM) + STUDY_PIXEL_MM * j)) < 1e-9);
                itk::Index<3> there;
                CHECK(other->TransformPhysicalPointToIndex(point, there));
                CHECK(there[0] == STUDY_I - 1 - i &&
                      mask->GetPixel(index) == other->GetPixel(there));
                CHECK(mask->GetPixel(index) ==
                      (probability->GetPixel(index) >= plain.segmentation.threshold() ? 1 : 0));
                CHECK(mask_view->GetPixel(index) == mask->GetPixel(index) &&
                      probability_view->GetPixel(index) == probability->GetPixel(index));
                set += mask->GetPixel(index);
            }
        }
    }
    CHECK(set > 0);
    return 0;
}
