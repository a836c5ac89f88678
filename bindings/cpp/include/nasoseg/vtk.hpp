// nasoseg on VTK data: reads vtkImageData in place (the library makes the only copy) and returns
// contours as vtkPolyData. Requires VTK 9 and links to VTK::CommonCore and VTK::CommonDataModel.
//
//     study.set_volume(nasoseg::Sequence::T1C, nasoseg::view(*image));
//     vtkSmartPointer<vtkPolyData> rings = nasoseg::poly_data(contours);
//
// VTK does not define the patient axes of its coordinates. The default is LPS, as data from
// vtkDICOM and ITK have it; pass Axes::RAS for data in 3D Slicer's coordinates.

#ifndef NASOSEG_VTK_HPP
#define NASOSEG_VTK_HPP

#include <nasoseg/nasoseg.hpp>

#include <vtkCellArray.h>
#include <vtkCellData.h>
#include <vtkDataArray.h>
#include <vtkDoubleArray.h>
#include <vtkImageData.h>
#include <vtkIntArray.h>
#include <vtkMatrix3x3.h>
#include <vtkPointData.h>
#include <vtkPoints.h>
#include <vtkPolyData.h>
#include <vtkSmartPointer.h>

namespace nasoseg {

namespace detail {

inline std::uint32_t vtk_element(int type, int bytes) {
    switch (type) {
    case VTK_CHAR:
        return element<char>();
    case VTK_SIGNED_CHAR:
        return NASOSEG_ELEMENT_INT8;
    case VTK_UNSIGNED_CHAR:
        return NASOSEG_ELEMENT_UINT8;
    case VTK_SHORT:
        return NASOSEG_ELEMENT_INT16;
    case VTK_UNSIGNED_SHORT:
        return NASOSEG_ELEMENT_UINT16;
    case VTK_INT:
        return NASOSEG_ELEMENT_INT32;
    case VTK_UNSIGNED_INT:
        return NASOSEG_ELEMENT_UINT32;
    case VTK_FLOAT:
        return NASOSEG_ELEMENT_FLOAT32;
    case VTK_DOUBLE:
        return NASOSEG_ELEMENT_FLOAT64;
    default:
        break;
    }
    throw Error(ErrorCode::Unsupported,
                "vtkImageData: found scalars of type " + std::to_string(type) + " (" +
                    std::to_string(bytes) +
                    " bytes), expected integers of at most 32 bits, float or double");
}

} // namespace detail

// A view of an image's scalars, of one component, with its origin, spacing, direction and extent.
// Borrowed: the image must stay alive and unchanged during the call that takes the view. Throws
// Error (Argument, Unsupported) if the scalars are not those of an MR volume.
[[nodiscard]] inline VolumeView view(vtkImageData &image, Axes axes = Axes::LPS) {
    vtkDataArray *scalars =
        image.GetPointData() == nullptr ? nullptr : image.GetPointData()->GetScalars();
    if (scalars == nullptr || scalars->GetNumberOfComponents() != 1) {
        throw Error(ErrorCode::Argument, "vtkImageData: expected scalars with one component");
    }
    int extent[6], dimensions[3];
    image.GetExtent(extent);
    image.GetDimensions(dimensions);
    double first[3];
    image.TransformIndexToPhysicalPoint(extent[0], extent[2], extent[4], first);
    VolumeView view;
    view.element = detail::vtk_element(scalars->GetDataType(), scalars->GetDataTypeSize());
    view.data = scalars->GetVoidPointer(0);
    view.axes = static_cast<std::uint32_t>(axes);
    std::int64_t stride = scalars->GetDataTypeSize();
    for (int axis = 0; axis < 3; ++axis) {
        view.size[axis] = static_cast<std::size_t>(dimensions[axis]);
        view.stride[axis] = stride;
        stride *= dimensions[axis];
        for (int column = 0; column < 3; ++column) {
            view.affine[4 * axis + column] =
                image.GetDirectionMatrix()->GetElement(axis, column) * image.GetSpacing()[column];
        }
        view.affine[4 * axis + 3] = first[axis];
    }
    view.affine[15] = 1.0;
    return view;
}

// The contours as closed polylines, a copy: double points in LPS mm (or RAS), each polyline ending
// in its first point. Cell data: "slice" (T1C's storage slice), "hole" (0 or 1), "parent" (index of
// the contour around a hole, -1 otherwise), "area_mm2".
[[nodiscard]] inline vtkSmartPointer<vtkPolyData> poly_data(const Contours &contours,
                                                            Axes axes = Axes::LPS) {
    const double sign = axes == Axes::RAS ? -1.0 : 1.0;
    auto points = vtkSmartPointer<vtkPoints>::New();
    points->SetDataTypeToDouble();
    auto lines = vtkSmartPointer<vtkCellArray>::New();
    const auto array = [](auto made, const char *name) {
        made->SetName(name);
        return made;
    };
    auto slices = array(vtkSmartPointer<vtkIntArray>::New(), "slice");
    auto holes = array(vtkSmartPointer<vtkIntArray>::New(), "hole");
    auto parents = array(vtkSmartPointer<vtkIntArray>::New(), "parent");
    auto areas = array(vtkSmartPointer<vtkDoubleArray>::New(), "area_mm2");
    for (const Contour &contour : contours.all()) {
        const vtkIdType first = points->GetNumberOfPoints();
        const std::size_t count = contour.point_count();
        lines->InsertNextCell(static_cast<vtkIdType>(count + 1));
        for (std::size_t at = 0; at < count; ++at) {
            const Point p = contour.point(at);
            lines->InsertCellPoint(points->InsertNextPoint(sign * p[0], sign * p[1], p[2]));
        }
        lines->InsertCellPoint(first);
        slices->InsertNextValue(static_cast<int>(contour.storage_slice));
        holes->InsertNextValue(contour.is_hole ? 1 : 0);
        parents->InsertNextValue(contour.parent ? static_cast<int>(*contour.parent) : -1);
        areas->InsertNextValue(contour.area_mm2);
    }
    auto data = vtkSmartPointer<vtkPolyData>::New();
    data->SetPoints(points);
    data->SetLines(lines);
    data->GetCellData()->AddArray(slices);
    data->GetCellData()->AddArray(holes);
    data->GetCellData()->AddArray(parents);
    data->GetCellData()->AddArray(areas);
    return data;
}

} // namespace nasoseg

#endif // NASOSEG_VTK_HPP
