"""Everything that the module keeps in the scene, so that it survives saving and loading."""

from typing import Annotated

from slicer import (
    vtkMRMLMarkupsROINode,
    vtkMRMLModelNode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
    vtkMRMLTextNode,
)
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper


@parameterNodeWrapper
class NasoSegParameterNode:
    # Inputs.
    t1: vtkMRMLScalarVolumeNode
    t1c: vtkMRMLScalarVolumeNode
    t2: vtkMRMLScalarVolumeNode
    # Canonical slices, from inferior to superior, half open; an end of 0 is the last slice.
    firstSlice: Annotated[int, WithinRange(0, 100000)] = 0
    endSlice: Annotated[int, WithinRange(0, 100000)] = 0
    # Settings. Folders; "" is the demo model, and Slicer's own Python.
    bundle: str = ""
    device: Annotated[str, Choice(["auto", "cpu", "cuda"])] = "auto"
    folder: str = ""
    forceGeometry: bool = False
    forceCoverage: bool = False
    # Results: the detection's document, and the user's boxes by position ({position: box or null},
    # JSON).
    detection: vtkMRMLTextNode
    edits: str = ""
    currentSlice: Annotated[int, WithinRange(0, 100000)] = 0
    box: vtkMRMLMarkupsROINode
    segmentation: vtkMRMLSegmentationNode
    contours: vtkMRMLModelNode
    trajectory: vtkMRMLModelNode
    show3D: bool = True
