"""What the scene keeps and what the module refuses: saving and loading, transforms, the structure
set, messages, installation.
"""

import json
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pydicom
import pytest
import slicer
from conftest import MICRO, phantom_folder
from NasoSegLib import dicom, distribution, package, wheelfile
from NasoSegLib.errors import UserError
from NasoSegLib.volumes import ijk_to_ras, to_vtk
from standins import desktop
from test_run import choose, mask_of


def save_scene(folder):
    """As Slicer saves: every node's data in a file of its own, then the scene."""
    scene = slicer.mrmlScene
    scene.SetRootDirectory(str(folder))
    for at in range(scene.GetNumberOfNodes()):
        node = scene.GetNthNode(at)
        if not node.IsA("vtkMRMLStorableNode") or not node.GetSaveWithScene():
            continue
        node.AddDefaultStorageNode()
        storage = node.GetStorageNode()
        if storage is not None:
            storage.SetFileName(
                str(folder / f"{node.GetID()}.{storage.GetDefaultWriteFileExtension()}")
            )
            assert storage.WriteData(node), node.GetName()
    file = folder / "scene.mrml"
    scene.SetURL(str(file))
    assert scene.Commit()
    return file


def test_the_scene_keeps_everything(phantom, tmp_path):
    panel, ui, logic = phantom.panel, phantom.ui, phantom.logic
    choose(phantom, 19, 23)
    ui.deviceComboBox.currentIndex = 1
    ui.forceCoverageCheckBox.click()
    panel.run()
    panel.press("show3DButton")
    ui.sliceSlider.setValue(2)
    logic.boxes.set(2, np.array(logic.boxes.box(2)) + np.array([2, 3, -1, -2]))
    logic.keepEdits()
    ui.sliceSlider.setValue(1)
    panel.press("noLesionButton")
    panel.run("segmentButton")
    mask = mask_of(panel.node.segmentation, phantom.t1c)
    boxes, words = (
        [logic.boxes.box(at) for at in range(4)],
        [logic.boxes.words(at) for at in range(4)],
    )
    file = save_scene(tmp_path)
    slicer.mrmlScene.Clear(0)
    assert panel.node.t1 is None and logic.boxes is None and ui.slicesTable.rowCount == 0
    slicer.mrmlScene.SetURL(str(file))
    assert slicer.mrmlScene.Connect()
    # The panel shows the scene again.
    node = panel.node
    assert [getattr(node, name).GetName() for name in ("t1", "t1c", "t2")] == ["T1", "T1C", "T2"]
    assert (
        ui.t1cSelector.currentNode() is node.t1c
        and ui.firstSliceSpinBox.value == 19
        and ui.endSliceSpinBox.value == 23
    )
    assert (
        node.device == "cpu"
        and ui.deviceComboBox.currentIndex == 1
        and node.forceCoverage
        and ui.bundlePath.currentPath == str(MICRO)
    )
    assert not node.show3D and not ui.show3DButton.checked and ui.sliceSlider.value == 1
    assert [panel.logic.boxes.box(at) for at in range(4)] == boxes and [
        panel.logic.boxes.words(at) for at in range(4)
    ] == words
    assert ui.demoLabel.visible
    np.testing.assert_array_equal(mask_of(node.segmentation, node.t1c), mask)
    # And works on: the box is live, Segment starts from the boxes that were kept.
    assert not ui.contourButton.enabled
    panel.run("segmentButton")
    np.testing.assert_array_equal(mask_of(panel.node.segmentation, panel.node.t1c), mask)
    ui.sliceSlider.setValue(3)
    before = panel.logic.boxes.box(3)
    size = panel.node.box.GetSize()
    panel.node.box.SetSize(size[0] / 2, *size[1:])
    assert panel.logic.boxes.box(3) != before


def transform(matrix, name="moved"):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    node.SetMatrixTransformToParent(to_vtk(matrix))
    return node


def turn(degrees, shift):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array(
        [[c, -s, 0, shift[0]], [s, c, 0, shift[1]], [0, 0, 1, shift[2]], [0, 0, 0, 1.0]]
    )


def test_transforms_of_t1_and_t2_are_composed(trio):
    choose(trio, 8, 12)
    trio.panel.run()
    straight = mask_of(trio.panel.node.segmentation, trio.t1c)
    # The same place, by a matrix and two nested transforms that undo it.
    first, second = turn(20, (5, -30, 12)), turn(-35, (0, 14, -3))
    for node in (trio.t1, trio.t2):
        node.SetIJKToRASMatrix(to_vtk(np.linalg.inv(first @ second) @ ijk_to_ras(node)))
        outer, inner = transform(first), transform(second)
        inner.SetAndObserveTransformNodeID(outer.GetID())
        node.SetAndObserveTransformNodeID(inner.GetID())
    trio.panel.run()
    # Matrices that are not exactly the same round a voxel or two to the other side.
    assert (mask_of(trio.panel.node.segmentation, trio.t1c) != straight).sum() <= 3
    # Where the transforms are left out, it is not.
    for node in (trio.t1, trio.t2):
        node.SetAndObserveTransformNodeID(None)
    trio.panel.press("applyButton")
    trio.panel.finish()
    assert (
        desktop.errors or (mask_of(trio.panel.node.segmentation, trio.t1c) != straight).sum() > 100
    )


def test_a_transform_that_bends_is_refused(phantom):
    bent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "warp")
    phantom.t2.SetAndObserveTransformNodeID(bent.GetID())
    phantom.panel.press("applyButton")
    assert not phantom.panel.running
    (message,) = desktop.errors
    assert "T2 (T2): found it under the transform warp, which is not linear; " in message
    assert "Harden it" in message


def test_a_moved_t1c_is_segmented_in_place_but_not_exported(phantom):
    choose(phantom, 20, 23)
    phantom.panel.run()
    straight = mask_of(phantom.panel.node.segmentation, phantom.t1c)
    moved = transform(turn(0, (10, 5, 0)))
    for node in (phantom.t1, phantom.t1c, phantom.t2):
        node.SetAndObserveTransformNodeID(moved.GetID())
    phantom.panel.run()
    assert phantom.panel.node.segmentation.GetTransformNodeID() == moved.GetID()
    np.testing.assert_array_equal(mask_of(phantom.panel.node.segmentation, phantom.t1c), straight)
    phantom.panel.press("exportButton")
    (message,) = desktop.errors
    assert (
        "T1C (T1C) is under the transform moved" in message
        and "Take T1C out of the transform" in message
    )


def test_what_changed_since_the_run_is_noticed(phantom):
    choose(phantom, 20, 22)
    phantom.panel.run()
    phantom.t2.SetIJKToRASMatrix(to_vtk(turn(0, (1, 0, 0)) @ ijk_to_ras(phantom.t2)))
    phantom.panel.press("contourButton")
    phantom.panel.widget.export("/nowhere/rtstruct.dcm")
    assert len(desktop.errors) == 2 and all(
        "changed or moved since" in message for message in desktop.errors
    )
    # Removed while the run lasts: a message, and the panel works on.
    desktop.errors.clear()
    slicer.mrmlScene.RemoveNode(phantom.panel.node.segmentation)
    slicer.mrmlScene.RemoveNode(phantom.panel.node.box)
    phantom.panel.press("applyButton")
    slicer.mrmlScene.RemoveNode(phantom.t1c)
    phantom.panel.finish()
    (message,) = desktop.errors
    assert "T1C was removed" in message and message in phantom.ui.statusLabel.text
    assert not phantom.panel.running and not phantom.ui.applyButton.enabled


def test_the_structure_set_is_on_the_original_images(phantom, tmp_path, monkeypatch):
    from standins import pythonqt

    choose(phantom, 20, 24)
    phantom.panel.run()
    file = tmp_path / "rtstruct.dcm"
    monkeypatch.setattr(pythonqt.QFileDialog, "getSaveFileName", lambda *_arguments: str(file))
    phantom.panel.run("exportButton")
    made = pydicom.dcmread(file)
    originals = {
        str(s.SOPInstanceUID): s
        for s in (
            pydicom.dcmread(f, stop_before_pixels=True)
            for f in (phantom_folder() / "T1C").iterdir()
        )
    }
    one = next(iter(originals.values()))
    assert made.StudyInstanceUID == one.StudyInstanceUID and made.PatientID == one.PatientID
    frame = made.ReferencedFrameOfReferenceSequence[0]
    assert frame.FrameOfReferenceUID == one.FrameOfReferenceUID
    series = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == one.SeriesInstanceUID
    assert made.StructureSetROISequence[0].ROIName == "DEMO_NOT_CLIN"
    items = made.ROIContourSequence[0].ContourSequence
    assert len(items) == len([ring for ring in phantom.logic.session._contours if not ring.is_hole])
    for item in items:
        image = originals[str(item.ContourImageSequence[0].ReferencedSOPInstanceUID)]
        normal = np.cross(image.ImageOrientationPatient[:3], image.ImageOrientationPatient[3:])
        points = np.array(item.ContourData, float).reshape(-1, 3) - np.array(
            image.ImagePositionPatient, float
        )
        assert abs(points @ normal).max() < 0.01


def test_a_structure_set_is_refused_with_what_to_do(trio):
    choose(trio, 8, 10)
    trio.panel.run()
    trio.panel.press("exportButton")
    (message,) = desktop.errors
    assert "t1c) was not loaded from DICOM" in message and "Import the DICOM files" in message


def test_files_that_are_gone_and_files_of_another_place(phantom):
    uids = phantom.t1c.GetAttribute("DICOM.instanceUIDs").split()
    del phantom.archive.files[uids[3]]
    assert "1 of the 36 DICOM files of T1C (T1C)" in dicom.why_no_structure_set(
        phantom.t1c, phantom.archive
    )
    assert dicom.files(phantom.t1c, phantom.archive) == ()
    assert dicom.files(phantom.t2, phantom.archive) == tuple(
        phantom.archive(uid) for uid in phantom.t2.GetAttribute("DICOM.instanceUIDs").split()
    )


def test_a_hardened_t1c_no_longer_lies_on_its_files(phantom):
    """The scene still says where it came from; the library sees that it is not there."""
    choose(phantom, 20, 22)
    for node in (phantom.t1, phantom.t1c, phantom.t2):
        node.SetIJKToRASMatrix(to_vtk(turn(0, (3, 0, 0)) @ ijk_to_ras(node)))
    phantom.panel.run()
    assert "T1C (T1C) is not what its DICOM files hold" in phantom.ui.statusLabel.text
    phantom.panel.widget.export("/nowhere/rtstruct.dcm")
    phantom.panel.finish()
    (message,) = desktop.errors
    assert "is not what its DICOM files hold" in message


def test_another_patient_is_refused(phantom):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    other = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "somebody else")
    hierarchy.SetItemParent(
        hierarchy.GetItemByDataNode(phantom.t2), hierarchy.CreateStudyItem(other, "Study")
    )
    phantom.panel.press("applyButton")
    (message,) = desktop.errors
    assert "belong to different patients" in message


@pytest.mark.parametrize(
    ("spoil", "wanted"),
    [
        (lambda case: case.panel.select(case.t1, case.t1c, case.t1c), "three different volumes"),
        (lambda case: choose(case, 30, 99), "T1C's slices 0 to 35"),
        (lambda case: setattr(case.ui.bundlePath, "currentPath", "/nowhere"), "/nowhere"),
        (lambda case: case.t2.SetAndObserveImageData(None), "T2 (T2) has no voxels"),
    ],
)
def test_errors_are_messages(phantom, spoil, wanted, caplog):
    spoil(phantom)
    phantom.panel.press("applyButton")
    phantom.panel.finish()
    (message,) = desktop.errors
    assert (
        wanted in message and "Traceback" not in message and message in phantom.ui.statusLabel.text
    )
    assert phantom.ui.applyButton.enabled and phantom.ui.applyButton.text == "Segment NPC"


def test_a_defect_is_a_message_too(phantom, monkeypatch):
    monkeypatch.setattr(phantom.logic.session, "_open", lambda *_arguments: 1 / 0)
    phantom.panel.press("applyButton")
    phantom.panel.finish()
    (message,) = desktop.errors
    assert message.startswith("NasoSeg failed: division by zero") and "Traceback" not in message


def test_the_package_is_installed_on_the_first_run_only(monkeypatch):
    from standins import pythonqt

    there, calls, wheel = [False], [], "/folder/nasoseg-0.1.0-py3-none-any.whl"

    def inspect():
        return distribution.State(there[0], True, "nothing")

    monkeypatch.setattr(distribution, "inspect", inspect)
    monkeypatch.setattr(distribution, "is_installed", lambda: False)
    monkeypatch.setattr(wheelfile, "problem", lambda _file: "")
    monkeypatch.setattr(pythonqt.QFileDialog, "getOpenFileName", lambda *_arguments: wheel)

    def ensure(requirements, requester=None):
        calls.append(([(one.name, one.extras, one.url) for one in requirements], requester))
        there[0] = True

    monkeypatch.setitem(sys.modules, "slicer.packaging", types.SimpleNamespace(pip_ensure=ensure))
    package.ensure("", "auto")
    package.ensure("", "auto")
    assert calls == [([("nasoseg", {"cpu"}, f"file://{wheel}")], "NasoSeg")]
    # An older Slicer: asked first, then pip_install.
    there[0] = False
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    answers, installed = [False, True], []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda *_arguments: answers.pop(0))
    monkeypatch.setattr(
        slicer.util,
        "pip_install",
        lambda requirements: installed.extend(requirements) or there.__setitem__(0, True),
    )
    with pytest.raises(UserError, match="declined to install"):
        package.ensure("", "cuda")
    package.ensure("", "cuda")
    assert installed == [f"{wheel}[cuda]"]
    # pip's own failure.
    there[0] = False
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda *_arguments: True)
    monkeypatch.setattr(slicer.util, "pip_install", lambda _requirement: 1 / 0)
    with pytest.raises(
        UserError, match=r"pip could not install .*: division by zero.*--target FOLDER"
    ):
        package.ensure("", "cpu")


def test_nothing_is_imported_with_the_module():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from standins import desktop; "
        "desktop.install(); import NasoSeg; "
        "sys.exit(any(name.split('.')[0] in ('nasoseg', 'onnxruntime') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent)]).returncode == 0


def test_an_offline_folder_is_taken_alone(tmp_path):
    """In a process of its own, whose Python cannot find the package."""
    import nasoseg
    import onnxruntime

    folder = tmp_path / "offline"
    folder.mkdir()
    with pytest.raises(UserError, match="found no folder `nasoseg`"):
        package.ensure(str(folder), "auto")
    (folder / "nasoseg").symlink_to(Path(nasoseg.__file__).parent)
    with pytest.raises(UserError, match="found no folder `onnxruntime`"):
        package.ensure(str(folder), "auto")
    (folder / "onnxruntime").symlink_to(Path(onnxruntime.__file__).parent)
    (folder / "model").symlink_to(MICRO)
    package.ensure(str(folder), "auto")
    code = """
import importlib.util, json, sys
sys.path.insert(0, sys.argv[1])
from standins import desktop
desktop.install()
from NasoSegLib import package
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name in ("nasoseg", "onnxruntime"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nothing())
found = package.load(sys.argv[2], "")
engine = found.module.Engine(found.bundle, device="cpu", onnxruntime=found.runtime)
print(json.dumps([engine.model.name, found.module.runtime_info().path]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), str(folder)],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    name, path = json.loads(ran.stdout.splitlines()[-1])
    assert (
        name == "nasoseg-micro"
        and Path(path).parent == (Path(onnxruntime.__file__).parent / "capi").resolve()
    )
    (folder / "another").symlink_to(MICRO)
    with pytest.raises(UserError, match="several models"):
        package.load(str(folder), "")


def test_the_modules_own_test_passes():
    import unittest

    import NasoSeg

    result = unittest.TestResult()
    NasoSeg.NasoSegTest("test_refusesWhatIsMissing").run(result)
    NasoSeg.NasoSegTest("test_boxesAreKept").run(result)
    assert result.testsRun == 2 and result.wasSuccessful(), result.errors + result.failures
