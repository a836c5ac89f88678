"""Volumes of the scene in the form that the library reads.

In: volume nodes. Out: `Input`: voxels [k, j, i] as a view, and their affine into the patient (RAS,
mm), parent transforms composed. Main thread.
"""

from typing import NamedTuple, Optional

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from NasoSegLib.errors import UserError


class Input(NamedTuple):
    """One sequence. The voxels are not copied here: the library copies them when the run begins."""

    name: str
    voxels: np.ndarray
    affine_ras: np.ndarray
    """[4, 4]: (i, j, k, 1) to the patient, RAS, mm."""
    moved: bool
    """Whether the volume is under a transform that moves it."""
    files: tuple
    """DICOM files that the volume was loaded from; () if there are none."""
    key: tuple
    """Changes with the voxels, their place or their files."""


def to_numpy(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def to_vtk(array) -> vtk.vtkMatrix4x4:
    matrix = vtk.vtkMatrix4x4()
    for row in range(4):
        for column in range(4):
            matrix.SetElement(row, column, float(array[row][column]))
    return matrix


def ijk_to_ras(node) -> np.ndarray:
    """[4, 4]: of the node itself, without its transform."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return to_numpy(matrix)


def to_world(node, what: str) -> np.ndarray:
    """[4, 4]: the node's parent transforms, composed."""
    parent = node.GetParentTransformNode()
    if parent is None:
        return np.eye(4)
    if not parent.IsTransformToWorldLinear():
        raise UserError(
            _(
                "{what} ({name}): found it under the transform {transform}, which is not linear; "
                "expected a linear transform. Harden it (Data module, right click on {name}, "
                "Harden transform) and try again."
            ).format(what=what, name=node.GetName(), transform=parent.GetName())
        )
    matrix = vtk.vtkMatrix4x4()
    parent.GetMatrixTransformToWorld(matrix)
    return to_numpy(matrix)


def read(node, what: str, files: tuple = ()) -> Input:
    """A sequence of the scene; `what` is its name for the user, such as T1C."""
    if node is None:
        raise UserError(
            _(
                "{what}: no volume is selected. Load the three sequences and select them under "
                "Inputs."
            ).format(what=what)
        )
    image = node.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None:
        raise UserError(
            _("{what} ({name}) has no voxels. Load it again, or select another volume.").format(
                what=what, name=node.GetName()
            )
        )
    if image.GetNumberOfScalarComponents() != 1:
        raise UserError(
            _(
                "{what} ({name}): found {count} values per voxel, expected a scalar volume. Select "
                "another one."
            ).format(what=what, name=node.GetName(), count=image.GetNumberOfScalarComponents())
        )
    moved = to_world(node, what)
    affine = moved @ ijk_to_ras(node)
    moves = not np.allclose(moved, np.eye(4), atol=1e-9)
    return Input(
        node.GetName(),
        slicer.util.arrayFromVolume(node),
        affine,
        moves,
        files,
        (*stamp(node), files),
    )


def stamp(node) -> tuple:
    """Changes with the node's voxels or place. Cheap."""
    if node is None or node.GetImageData() is None:
        return ()
    parent, matrix = node.GetParentTransformNode(), vtk.vtkMatrix4x4()
    if parent is not None and parent.IsTransformToWorldLinear():
        parent.GetMatrixTransformToWorld(matrix)
    return (
        node.GetID(),
        node.GetImageData().GetMTime(),
        (to_numpy(matrix) @ ijk_to_ras(node)).tobytes(),
    )


def one_patient(nodes) -> None:
    """Refuses volumes that the subject hierarchy (the DICOM files) gives to different patients."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    patients = {}
    for node in nodes:
        item = ancestor(
            hierarchy, node, slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMLevelPatient()
        )
        if item is not None:
            patients[item] = node.GetName()
    if len(patients) > 1:
        raise UserError(
            _(
                "{names} belong to different patients in the subject hierarchy (Data module). "
                "Select the sequences of one patient."
            ).format(names=", ".join(patients.values()))
        )


def ancestor(hierarchy, node, level: str) -> Optional[int]:
    """The subject hierarchy's item of a level ("Patient", "Study") above a node; None if there is
    none.
    """
    nothing = hierarchy.GetInvalidItemID()
    own = hierarchy.GetItemByDataNode(node) if node is not None else nothing
    item = hierarchy.GetItemAncestorAtLevel(own, level) if own != nothing else nothing
    return None if item == nothing else item
