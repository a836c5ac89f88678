// nasoseg on ITK images: reads an itk::Image in place (the library makes the only copy) and returns
// masks and probabilities as itk::Image. Requires ITK 5 and links to ITKCommon.
//
//     study.set_volume(nasoseg::Sequence::T1C, nasoseg::view(*image));
//     itk::Image<std::uint8_t, 3>::Pointer mask = nasoseg::mask_image(segmentation);
//
// ITK's patient axes are LPS, as are this library's.

#ifndef NASOSEG_ITK_HPP
#define NASOSEG_ITK_HPP

#include <nasoseg/nasoseg.hpp>

#include <itkImage.h>
#include <itkImportImageContainer.h>

#include <algorithm>
#include <cmath>

namespace nasoseg {

// A view of an image's buffered region, which need not begin at index 0. Borrowed: the image must
// stay alive and unchanged during the call that takes the view.
template <class T> [[nodiscard]] VolumeView view(const ::itk::Image<T, 3> &image) {
    const auto region = image.GetBufferedRegion();
    const auto spacing = image.GetSpacing();
    const auto direction = image.GetDirection();
    ::itk::Point<double, 3> origin;
    image.TransformIndexToPhysicalPoint(region.GetIndex(), origin);
    Affine affine{};
    std::array<std::size_t, 3> size{};
    for (unsigned row = 0; row < 3; ++row) {
        for (unsigned column = 0; column < 3; ++column) {
            affine[4 * row + column] = direction(row, column) * spacing[column];
        }
        affine[4 * row + 3] = origin[row];
        size[row] = region.GetSize(row);
    }
    affine[15] = 1.0;
    return view(image.GetBufferPointer(), size, affine);
}

namespace detail {

// An image with the segmentation's geometry and no voxels yet.
template <class T> typename ::itk::Image<T, 3>::Pointer shell(const Segmentation &segmentation) {
    const std::optional<Affine> affine = segmentation.affine();
    if (!affine) {
        throw Error(ErrorCode::Unsupported,
                    "found unevenly spaced slices, which an itk::Image cannot hold. "
                    "Use Segmentation::origin");
    }
    auto image = ::itk::Image<T, 3>::New();
    typename ::itk::Image<T, 3>::SizeType size;
    typename ::itk::Image<T, 3>::SpacingType spacing;
    typename ::itk::Image<T, 3>::PointType origin;
    typename ::itk::Image<T, 3>::DirectionType direction;
    for (unsigned column = 0; column < 3; ++column) {
        double squares = 0.0;
        for (unsigned row = 0; row < 3; ++row) {
            squares += (*affine)[4 * row + column] * (*affine)[4 * row + column];
        }
        size[column] = segmentation.size()[column];
        spacing[column] = std::sqrt(squares);
        origin[column] = (*affine)[4 * column + 3];
        for (unsigned row = 0; row < 3; ++row) {
            direction(row, column) = (*affine)[4 * row + column] / spacing[column];
        }
    }
    image->SetRegions(size);
    image->SetSpacing(spacing);
    image->SetOrigin(origin);
    image->SetDirection(direction);
    return image;
}

template <class T>
typename ::itk::Image<T, 3>::Pointer copied(const Segmentation &segmentation,
                                            Span<const T> voxels) {
    auto image = shell<T>(segmentation);
    image->Allocate();
    std::copy(voxels.begin(), voxels.end(), image->GetBufferPointer());
    return image;
}

template <class T>
typename ::itk::Image<T, 3>::ConstPointer borrowed(const Segmentation &segmentation,
                                                   Span<const T> voxels) {
    auto image = shell<T>(segmentation);
    auto container = ::itk::Image<T, 3>::PixelContainer::New();
    // ITK has no buffer of constants; the image is returned const so that its user cannot write to
    // it. ITK must not free the buffer, hence `false`.
    container->SetImportPointer(const_cast<T *>(voxels.data()), voxels.size(), false);
    image->SetPixelContainer(container);
    return image.GetPointer();
}

} // namespace detail

// Copies on T1C's grid, independent of the segmentation. They throw Error (Unsupported) if T1C's
// slices are unevenly spaced.
[[nodiscard]] inline ::itk::Image<std::uint8_t, 3>::Pointer
mask_image(const Segmentation &segmentation) {
    return detail::copied(segmentation, segmentation.mask());
}
[[nodiscard]] inline ::itk::Image<float, 3>::Pointer
probability_image(const Segmentation &segmentation) {
    return detail::copied(segmentation, segmentation.probability());
}

// The same without a copy: the image borrows the segmentation's memory and must not be used after
// the segmentation is destroyed.
[[nodiscard]] inline ::itk::Image<std::uint8_t, 3>::ConstPointer
mask_view(const Segmentation &segmentation) {
    return detail::borrowed(segmentation, segmentation.mask());
}
[[nodiscard]] inline ::itk::Image<float, 3>::ConstPointer
probability_view(const Segmentation &segmentation) {
    return detail::borrowed(segmentation, segmentation.probability());
}

} // namespace nasoseg

#endif // NASOSEG_ITK_HPP
