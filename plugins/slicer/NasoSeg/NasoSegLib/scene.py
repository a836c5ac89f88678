"""What the views show: the box of the current slice, the segmentation, the contours, the agent's
trajectory. Main thread.

In: boxes and results, LPS mm. Out: nodes of the scene, beside T1C in the subject hierarchy. Only
this file converts LPS to RAS.
"""

from typing import Optional

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util import numpy_support

from NasoSegLib import volumes
from NasoSegLib.boxes import Boxes

SEGMENT_ID = "NasoSeg"
LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])
# Colours of the current step of the trajectory, and of the earlier ones.
CURRENT, EARLIER = (110, 220, 255), (50, 120, 215)
# SNOMED CT, in Slicer's serialization: category, type, modifier, then region. A demo's result is
# tissue, never a neoplasm.
_REGION = "Anatomic codes - DICOM master list~SCT^360955006^Nasopharynx~^^"
_TYPES = "Segmentation category and type - DICOM master list"
_NEOPLASM = "SCT^49755003^Morphologically Altered Structure~SCT^86049000^Neoplasm, Primary~^^"
_TISSUE = "SCT^85756007^Tissue~SCT^85756007^Tissue~^^"
TERMINOLOGY = {
    False: "~".join((_TYPES, _NEOPLASM, _REGION)),
    True: "~".join((_TYPES, _TISSUE, _REGION)),
}


# The box.


def new_box(name: str):
    """An ROI that can be moved and resized but not rotated: a box keeps to the pixels' axes."""
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", name)
    roi.CreateDefaultDisplayNodes()
    display = roi.GetDisplayNode()
    display.SetHandlesInteractive(True)
    display.SetTranslationHandleVisibility(True)
    display.SetScaleHandleVisibility(True)
    display.SetRotationHandleVisibility(False)
    display.SetFillVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    display.SetSelectedColor(1.0, 0.9, 0.1)
    display.SetColor(1.0, 0.9, 0.1)
    return roi


def show_box(roi, boxes: Boxes, index: int) -> None:
    """Puts the ROI on a slice's box, as thick as the slice; hides it if there is none."""
    corners = boxes.corners_mm(index)
    if corners is None:
        roi.SetDisplayVisibility(False)
        return
    x, y, normal = corners[1] - corners[0], corners[3] - corners[0], boxes.normal(index)
    matrix = np.eye(4)
    for column, axis in enumerate((x / np.linalg.norm(x), y / np.linalg.norm(y), normal)):
        matrix[:3, column] = axis * LPS_TO_RAS
    matrix[:3, 3] = corners.mean(0) * LPS_TO_RAS
    was = roi.StartModify()
    try:
        roi.SetROIType(slicer.vtkMRMLMarkupsROINode.ROITypeBox)
        if roi.GetNumberOfControlPoints() == 0:
            roi.AddControlPointWorld(vtk.vtkVector3d(*matrix[:3, 3]))
        roi.SetAndObserveObjectToNodeMatrix(volumes.to_vtk(matrix))
        roi.SetSize(float(np.linalg.norm(x)), float(np.linalg.norm(y)), boxes.thickness())
        roi.SetDisplayVisibility(True)
    finally:
        roi.EndModify(was)


def read_box(roi, boxes: Boxes, index: int) -> tuple:
    """The box (x0, y0, x1, y1) of the ROI on a slice: around its corners, projected onto the
    slice's plane.
    """
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(roi.GetObjectToWorldMatrix())
    world, half = volumes.to_numpy(matrix), np.array(roi.GetSize()) / 2
    signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    corners_ras = (world[:3, :3] @ (signs * half).T).T + world[:3, 3]
    points = boxes.to_grid(index, corners_ras * LPS_TO_RAS)
    return (*points.min(0), *points.max(0))


# Results.


def place_beside(node, t1c) -> None:
    """Moves a node under T1C's study (or the folder of T1C)."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    level = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMLevelStudy()
    parent = volumes.ancestor(hierarchy, t1c, level)
    if parent is None:
        beside = hierarchy.GetItemByDataNode(t1c)
        parent = hierarchy.GetItemParent(beside) if beside else hierarchy.GetSceneItemID()
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, parent)
    else:
        hierarchy.CreateItem(parent, node)


def show_mask(node, t1c, mask: np.ndarray, demo: Optional[dict]):
    """The segmentation node with the mask on T1C's own grid; `node` None makes one. It follows
    T1C's transform.
    """
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    name = t1c.GetName() + " " + _("segmentation")
    node.SetName(f"{demo['prefix']} {name}" if demo else name)
    node.SetReferenceImageGeometryParameterFromVolumeNode(t1c)
    node.SetAndObserveTransformNodeID(t1c.GetTransformNodeID())
    segmentation = node.GetSegmentation()
    segment = segmentation.GetSegment(SEGMENT_ID)
    if segment is None:
        segment = slicer.vtkSegment()
        segment.SetColor(0.9, 0.2, 0.15)
        segmentation.AddSegment(segment, SEGMENT_ID)
    segment.SetName(demo["name"] if demo else "GTVp_SeqSeg")
    segment.SetTag(segment.GetTerminologyEntryTagName(), TERMINOLOGY[bool(demo)])
    # `show_3d` makes it again, in a step of its own.
    segmentation.RemoveRepresentation("Closed surface")
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(_labelmap(t1c, mask), node, SEGMENT_ID, logic.MODE_REPLACE)
    place_beside(node, t1c)
    return node


def _labelmap(t1c, mask: np.ndarray):
    nk, nj, ni = mask.shape
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(ni, nj, nk)
    image.SetImageToWorldMatrix(volumes.to_vtk(volumes.ijk_to_ras(t1c)))
    scalars = numpy_support.numpy_to_vtk(mask.ravel(), deep=True, array_type=vtk.VTK_UNSIGNED_CHAR)
    image.GetPointData().SetScalars(scalars)
    return image


def has_voxels(node) -> bool:
    segment = node.GetSegmentation().GetSegment(SEGMENT_ID) if node is not None else None
    labelmap = segment.GetRepresentation("Binary labelmap") if segment is not None else None
    return (
        labelmap is not None
        and labelmap.GetNumberOfPoints() > 0
        and labelmap.GetScalarRange()[1] > 0
    )


def show_3d(node, shown: bool) -> None:
    """The closed surface in the 3D views. An empty segmentation has none."""
    if shown and has_voxels(node):
        # Surface nets take half the time of the default, so the window stays live.
        rule = slicer.vtkBinaryLabelmapToClosedSurfaceConversionRule
        node.GetSegmentation().SetConversionParameter(rule.GetConversionMethodParameterName(), "1")
        node.CreateClosedSurfaceRepresentation()
        node.GetDisplayNode().SetPreferredDisplayRepresentationName3D("Closed surface")
    display = node.GetDisplayNode()
    display.SetVisibility(True)
    display.SetVisibility3D(shown)


# Rings on slices.


def show_contours(node, t1c, rings: list, boxes: Boxes, demo: Optional[dict]):
    """The contours of every slice, in the slice views; `node` None makes one."""
    name = t1c.GetName() + " " + _("contours")
    node = _ring_model(node, f"{demo['prefix']} {name}" if demo else name, (1.0, 0.15, 0.1), 2)
    node.SetAndObservePolyData(_ribbons(rings, boxes.normal(0), boxes.thickness()))
    place_beside(node, t1c)
    return node


def show_trajectory(node, t1c, boxes: Boxes, index: int, step: int):
    """The agent's boxes on a slice up to a step, the current one brightest; `node` None makes
    one.
    """
    trajectory = boxes.trajectory(index)
    node = _ring_model(node, _("NasoSeg agent"), (0.3, 0.65, 1.0), 2)
    shown = [] if trajectory is None else trajectory.boxes[: step + 1]
    rings = [boxes.corners_mm(index, box) for box in shown]
    poly = _ribbons(rings, boxes.normal(index), boxes.thickness())
    colors = vtk.vtkUnsignedCharArray()
    colors.SetName("step")
    colors.SetNumberOfComponents(3)
    for at, ring in enumerate(rings):
        for _corner in range(2 * (len(ring) + 1)):
            colors.InsertNextTuple3(*(CURRENT if at == len(rings) - 1 else EARLIER))
    poly.GetPointData().SetScalars(colors)
    display = node.GetDisplayNode()
    display.SetActiveScalarName("step")
    display.SetScalarRangeFlag(slicer.vtkMRMLDisplayNode.UseDirectMapping)
    display.SetScalarVisibility(True)
    node.SetAndObservePolyData(poly)
    place_beside(node, t1c)
    return node


def _ring_model(node, name: str, color: tuple, width: int):
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode")
    node.SetName(name)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        display.SetColor(*color)
        display.SetVisibility2D(True)
        # The 3D views show the segmentation's surface instead.
        display.SetVisibility3D(False)
        display.SetSliceIntersectionThickness(width)
    return node


def _ribbons(rings: list, normal: np.ndarray, thickness: float) -> vtk.vtkPolyData:
    """Rings as walls as high as a slice is thick, so that a slice view anywhere within the slice
    cuts them.
    """
    points, cells = [], vtk.vtkCellArray()
    # A little less than the slice, so that a plane on the border of two cuts only one.
    up = normal * thickness / 2 * 0.999
    count = 0
    for ring in rings:
        closed = np.concatenate([ring, ring[:1]])
        points.append(np.stack([closed - up, closed + up], 1).reshape(-1, 3) * LPS_TO_RAS)
        for at in range(len(ring)):
            cells.InsertNextCell(4)
            for corner in (2 * at, 2 * at + 1, 2 * at + 3, 2 * at + 2):
                cells.InsertCellPoint(count + corner)
        count += 2 * len(closed)
    poly = vtk.vtkPolyData()
    where = vtk.vtkPoints()
    where.SetDataTypeToDouble()
    if points:
        where.SetData(
            numpy_support.numpy_to_vtk(np.concatenate(points), deep=True, array_type=vtk.VTK_DOUBLE)
        )
    poly.SetPoints(where)
    poly.SetPolys(cells)
    return poly


# Slice views.


def across(boxes: Boxes) -> list:
    """The slice nodes whose normal is within about 45 degrees of the slices' normal."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    normal = boxes.normal(0) * LPS_TO_RAS
    return [
        node for node in nodes if abs(volumes.to_numpy(node.GetSliceToRAS())[:3, 2] @ normal) > 0.75
    ]


def jump(boxes: Boxes, index: int, t1c) -> None:
    """Moves axial slice views to a slice, on T1C's own plane (the boxes of an oblique T1C are
    rectangles only there).
    """
    corners = boxes.corners_mm(index)
    corners = (
        boxes.corners_mm(index, (0, 0, boxes.grid, boxes.grid)) if corners is None else corners
    )
    point = corners.mean(0) * LPS_TO_RAS
    for node in across(boxes):
        if (
            abs(volumes.to_numpy(node.GetSliceToRAS())[:3, 2] @ (boxes.normal(index) * LPS_TO_RAS))
            < 1 - 1e-9
        ):
            node.RotateToVolumePlane(t1c)
        node.JumpSliceByOffsetting(*point)


def looked_at(node, boxes: Boxes) -> Optional[int]:
    """The slice that a slice view shows."""
    return boxes.nearest(volumes.to_numpy(node.GetSliceToRAS())[:3, 3] * LPS_TO_RAS)
