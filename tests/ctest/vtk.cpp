// The VTK adapter: the golden numbers from vtkImageData; contours as vtkPolyData, point for point.

#include <nasoseg/vtk.hpp>

#include "study.h"

int main() {
    const nasoseg::Engine engine(NASOSEG_TEST_BUNDLE, nasoseg::Options().device("cpu"));
    nasoseg::Study study;
    for (int sequence = 0; sequence < 3; ++sequence) {
        auto image = vtkSmartPointer<vtkImageData>::New();
        // An extent that does not begin at 0: the origin is the position of index 0.
        image->SetExtent(3, STUDY_I + 2, 0, STUDY_J - 1, -2, STUDY_K - 3);
        image->SetSpacing(STUDY_PIXEL_MM, STUDY_PIXEL_MM, STUDY_STEP_MM);
        image->SetOrigin(study_first(STUDY_I, STUDY_PIXEL_MM) - 3 * STUDY_PIXEL_MM,
                         study_first(STUDY_J, STUDY_PIXEL_MM),
                         study_first(STUDY_K, STUDY_STEP_MM) + 2 * STUDY_STEP_MM);
        image->AllocateScalars(VTK_SHORT, 1);
        auto *voxel = static_cast<short *>(image->GetScalarPointer());
        for (int k = 0; k < STUDY_K; ++k) {
            for (int j = 0; j < STUDY_J; ++j) {
                for (int i = 0; i < STUDY_I; ++i) {
                    *voxel++ = static_cast<short>(study_voxel(sequence, i, j, k));
                }
            }
        }
        study.set_volume(static_cast<nasoseg::Sequence>(sequence), nasoseg::view(*image));
    }
    const nasoseg::Detection detection = engine.detect(study);
    const nasoseg::Segmentation segmentation = engine.segment(study, detection);
    const nasoseg::Contours contours = segmentation.contour();
    golden_check(detection.get(), segmentation.get(), contours.get());

    const auto lps = nasoseg::poly_data(contours),
               ras = nasoseg::poly_data(contours, nasoseg::Axes::RAS);
    CHECK(lps->GetNumberOfLines() == static_cast<vtkIdType>(contours.size()));
    auto *slices = lps->GetCellData()->GetArray("slice");
    auto *areas = lps->GetCellData()->GetArray("area_mm2");
    vtkIdType point = 0;
    for (std::size_t at = 0; at < contours.size(); ++at) {
        const nasoseg::Contour contour = contours.at(at);
        CHECK(slices->GetTuple1(static_cast<vtkIdType>(at)) ==
              static_cast<double>(contour.storage_slice));
        CHECK(areas->GetTuple1(static_cast<vtkIdType>(at)) == contour.area_mm2);
        auto ids = vtkSmartPointer<vtkIdList>::New();
        lps->GetLines()->GetCellAtId(static_cast<vtkIdType>(at), ids);
        CHECK(ids->GetNumberOfIds() == static_cast<vtkIdType>(contour.point_count() + 1));
        CHECK(ids->GetId(0) == ids->GetId(ids->GetNumberOfIds() - 1));
        for (std::size_t p = 0; p < contour.point_count(); ++p, ++point) {
            double a[3], b[3];
            lps->GetPoint(point, a);
            ras->GetPoint(point, b);
            CHECK(a[0] == contour.point(p)[0] && a[1] == contour.point(p)[1] &&
                  a[2] == contour.point(p)[2]);
            CHECK(b[0] == -a[0] && b[1] == -a[1] && b[2] == a[2]);
        }
    }

    // Scalars that are not those of an MR volume are rejected.
    auto colour = vtkSmartPointer<vtkImageData>::New();
    colour->SetDimensions(4, 4, 4);
    colour->AllocateScalars(VTK_UNSIGNED_CHAR, 3);
    CHECK(nasoseg::attempt([&] { return nasoseg::view(*colour); }).error().code() ==
          nasoseg::ErrorCode::Argument);
    colour->AllocateScalars(VTK_LONG_LONG, 1);
    CHECK(nasoseg::attempt([&] { return nasoseg::view(*colour); }).error().code() ==
          nasoseg::ErrorCode::Unsupported);
    return 0;
}
