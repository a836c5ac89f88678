"""The whole way, by the panel's buttons, on Slicer's core: what lies in the scene against what the
library gives for the same files.
"""

import threading
import time

import nasoseg
import numpy as np
import pytest
import slicer
import vtk
from conftest import MICRO, TRIO, phantom_folder
from NasoSegLib import scene
from NasoSegLib.session import THREADS
from NasoSegLib.volumes import ijk_to_ras, to_numpy
from standins import desktop, pythonqt


def mask_of(node, reference):
    """The segment's labelmap on the reference's whole grid, [k, j, i], and the place that the scene
    gives it, which must be the reference's.
    """
    image = node.GetSegmentation().GetSegment(scene.SEGMENT_ID).GetRepresentation("Binary labelmap")
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    ni, nj, nk = reference.GetImageData().GetDimensions()
    whole = np.zeros((nk, nj, ni), np.uint8)
    i0, i1, j0, j1, k0, k1 = image.GetExtent()
    if i1 >= i0:
        values = vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars()).reshape(
            k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1
        )
        whole[k0 : k1 + 1, j0 : j1 + 1, i0 : i1 + 1] = values
    np.testing.assert_allclose(to_numpy(matrix), ijk_to_ras(reference), atol=1e-9)
    return whole


def on_grid(mask, affine, reference):
    """A mask of a file's grid, [k, j, i], on the grid that Slicer's reader made of it: it turns
    axes round to keep the grid right-handed.
    """
    lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    turned = np.linalg.inv(affine) @ lps @ ijk_to_ras(reference)
    np.testing.assert_allclose(abs(turned[:3, :3]), np.eye(3), atol=1e-4)
    return mask[tuple(slice(None, None, -1 if turned[axis, axis] < 0 else 1) for axis in (2, 1, 0))]


def expected(files, slices=None):
    """The library's own result: its own readers, no scene."""
    engine = nasoseg.Engine(MICRO, device="cpu", threads=THREADS)
    study = nasoseg.Study(*files)
    detection = engine.detect(study, slices=slices)
    return detection, engine.segment(study, detection)


def choose(case, first, end):
    case.ui.firstSliceSpinBox.value = first
    case.ui.endSliceSpinBox.value = end


def test_a_real_trio_gives_the_librarys_mask_voxel_by_voxel(trio):
    choose(trio, 6, 14)
    trio.panel.run()
    node = trio.panel.node.segmentation
    mask = mask_of(node, trio.t1c)
    detection, segmentation = expected(
        [TRIO / f"{name}.nii.gz" for name in ("t1", "t1c", "t2")], (6, 14)
    )
    assert mask.sum() > 100
    np.testing.assert_array_equal(mask, on_grid(segmentation.mask, segmentation.affine, trio.t1c))
    # What places it for other modules: reference geometry, and the boxes in the patient.
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is trio.t1c
    for index, one in enumerate(detection):
        shown = trio.logic.boxes.corners_mm(index)
        assert (shown is None) == (one.corners_mm is None)
        if shown is not None:
            # The file's affine has single precision.
            np.testing.assert_allclose(shown, one.corners_mm, atol=1e-4)


def test_segment_npc_does_all_three(phantom):
    choose(phantom, 18, 26)
    phantom.panel.run()
    ui, node = phantom.ui, phantom.panel.node
    _detection, segmentation = expected(
        [phantom_folder() / name for name in ("T1", "T1C", "T2")], (18, 26)
    )
    np.testing.assert_array_equal(
        mask_of(node.segmentation, phantom.t1c),
        on_grid(segmentation.mask, segmentation.affine, phantom.t1c),
    )
    segment = node.segmentation.GetSegmentation().GetSegment(scene.SEGMENT_ID)
    assert (
        segment.GetName() == "DEMO_NOT_CLIN" and "DEMO, NOT CLINICAL" in node.segmentation.GetName()
    )
    tag = vtk.reference("")
    assert (
        segment.GetTag(segment.GetTerminologyEntryTagName(), tag)
        and "SCT^360955006^Nasopharynx" in str(tag)
        and "Neoplasm" not in str(tag)
    )
    # Beside T1C, under its study.
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    study = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(phantom.t1c))
    assert hierarchy.GetItemLevel(study) == "Study"
    for one in (node.segmentation, node.contours, node.box):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(one)) == study, one.GetName()
    # The surface, about as large as the voxels.
    surface = vtk.vtkPolyData()
    assert node.segmentation.GetClosedSurfaceRepresentation(scene.SEGMENT_ID, surface)
    edges = vtk.vtkFeatureEdges()
    edges.SetInputData(surface)
    edges.FeatureEdgesOff()
    edges.NonManifoldEdgesOff()
    edges.ManifoldEdgesOff()
    edges.Update()
    assert surface.GetNumberOfPolys() > 100 and edges.GetOutput().GetNumberOfCells() == 0, (
        "the surface is open"
    )
    measure = vtk.vtkMassProperties()
    triangles = vtk.vtkTriangleFilter()
    triangles.SetInputData(surface)
    measure.SetInputConnection(triangles.GetOutputPort())
    assert measure.GetVolume() == pytest.approx(segmentation.volume_mm3, rel=0.35)
    assert node.segmentation.GetDisplayNode().GetVisibility3D()
    ui.show3DButton.click()
    assert not node.segmentation.GetDisplayNode().GetVisibility3D() and not node.show3D
    # The contours lie on the slices, at the level of the probability.
    ribbon, contours = node.contours.GetPolyData(), segmentation.contour()
    assert ribbon.GetNumberOfCells() == sum(len(ring.points_mm) for ring in contours)
    np.testing.assert_allclose(
        np.mean([ribbon.GetPoint(0), ribbon.GetPoint(1)], 0),
        contours[0].points_mm[0] * [-1, -1, 1],
        atol=1e-3,
    )
    # And the panel says what it is.
    assert ui.demoLabel.visible and "synthetic images" in ui.demoLabel.text
    assert ui.demoLabel.text.startswith(f"{nasoseg.demo_words(nasoseg.DemoText.BANNER)} ")
    assert "Segmented on" in ui.statusLabel.text and ui.progressBar.value == 1
    assert ui.slicesTable.rowCount == 8 and ui.slicesTable.item(0, 0).text() == "18"


def test_stages_one_by_one_and_an_edited_box_changes_its_slice_alone(phantom):
    panel, ui, logic = phantom.panel, phantom.ui, phantom.logic
    choose(phantom, 19, 24)
    assert (
        not ui.segmentButton.enabled
        and not ui.contourButton.enabled
        and not ui.exportButton.enabled
    )
    panel.run("detectButton")
    assert panel.node.segmentation is None and ui.segmentButton.enabled
    panel.run("segmentButton")
    before = mask_of(panel.node.segmentation, phantom.t1c)
    panel.run("contourButton")
    assert ui.exportButton.enabled
    # The user drags the box of a slice to half its size.
    index = max(range(len(logic.boxes)), key=lambda at: logic.boxes.segmented(at)["pixels"])
    ui.sliceSlider.setValue(index)
    roi = panel.node.box
    size = roi.GetSize()
    old = logic.boxes.box(index)
    roi.SetSize(size[0] / 2, size[1] / 2, size[2])
    roi.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent)
    new = logic.boxes.box(index)
    assert new[2] - new[0] == pytest.approx((old[2] - old[0]) / 2, abs=0.01)
    assert (new[0] + new[2]) / 2 == pytest.approx((old[0] + old[2]) / 2, abs=0.01)
    assert (
        "box changed" in ui.sliceLabel.text and "box edited" in ui.slicesTable.item(index, 3).text()
    )
    # What was contoured is no longer what the boxes say.
    assert not ui.exportButton.enabled and not ui.contourButton.enabled
    panel.run("segmentButton")
    after = mask_of(panel.node.segmentation, phantom.t1c)
    changed = np.flatnonzero((before != after).any((1, 2)))
    assert changed.tolist() == [logic.boxes.slices[index]["storage_slice"]]
    assert "box changed" not in ui.sliceLabel.text and "box edited" in ui.sliceLabel.text
    # No lesion here; then the agent's box again.
    panel.press("noLesionButton")
    assert not panel.node.box.GetDisplayVisibility()
    panel.run("segmentButton")
    cleared = mask_of(panel.node.segmentation, phantom.t1c)
    assert not cleared[changed[0]].any() and "no lesion; box cleared" in ui.sliceLabel.text
    panel.press("newBoxButton")
    assert logic.boxes.box(index) is not None and panel.node.box.GetDisplayVisibility()
    panel.press("restoreButton")
    panel.run("segmentButton")
    np.testing.assert_array_equal(mask_of(panel.node.segmentation, phantom.t1c), before)


def test_a_dragged_box_stays_on_its_slice_and_in_the_image(trio):
    """T1C is oblique here."""
    panel, logic = trio.panel, trio.logic
    choose(trio, 8, 11)
    panel.run("detectButton")
    roi, index = panel.node.box, panel.node.currentSlice
    before, boxes = np.array(logic.boxes.box(index)), logic.boxes
    # Ten pixels along x, and far out of the plane.
    step = (boxes.axes(index)[0] * 10 + boxes.normal(index) * 30) * scene.LPS_TO_RAS
    roi.SetCenterWorld(*(np.array(roi.GetCenterWorld()) + step))
    np.testing.assert_allclose(boxes.box(index), before + np.array([10, 0, 10, 0]), atol=0.01)
    roi.InvokeEvent(slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent)
    np.testing.assert_allclose(
        np.array(roi.GetCenterWorld()) * scene.LPS_TO_RAS,
        boxes.corners_mm(index).mean(0),
        atol=1e-6,
    )
    # Far out of the image: cut at its edge, never empty.
    roi.SetCenterWorld(
        *(np.array(roi.GetCenterWorld()) + 5000 * boxes.axes(index)[0] * scene.LPS_TO_RAS)
    )
    x0, y0, x1, y1 = boxes.box(index)
    assert 0 <= x0 < x1 <= boxes.grid and 0 <= y0 < y1 <= boxes.grid and x1 == boxes.grid
    panel.run("segmentButton")
    assert "box at the image edge" in trio.ui.sliceLabel.text


def test_the_agents_trajectory_steps_through(phantom):
    panel, ui, logic = phantom.panel, phantom.ui, phantom.logic
    choose(phantom, 20, 23)
    panel.run("detectButton")
    index = panel.node.currentSlice
    trajectory = logic.boxes.trajectory(index)
    ui.trajectoryCheckBox.click()
    steps = len(trajectory.boxes) - 1
    assert ui.trajectorySlider.maximum == steps == ui.trajectorySlider.value
    assert f"step {steps} of {steps}: {trajectory.actions[-1]}" in ui.trajectoryLabel.text
    assert (
        panel.node.trajectory.GetDisplayVisibility()
        and panel.node.trajectory.GetPolyData().GetNumberOfCells() == 4 * (steps + 1)
    )
    ui.trajectorySlider.setValue(0)
    poly = panel.node.trajectory.GetPolyData()
    assert poly.GetNumberOfCells() == 4 and "start" in ui.trajectoryLabel.text
    # The first box is drawn where the agent began.
    middle = np.mean([poly.GetPoint(0), poly.GetPoint(1)], 0) * scene.LPS_TO_RAS
    np.testing.assert_allclose(
        middle, logic.boxes.corners_mm(index, trajectory.boxes[0])[0], atol=1e-3
    )
    # The last one is the slice's box.
    np.testing.assert_allclose(trajectory.boxes[-1], logic.boxes.box(index), atol=1e-9)
    ui.trajectoryCheckBox.click()
    assert not panel.node.trajectory.GetDisplayVisibility()


def test_cancel_returns_within_one_model_run(phantom):
    panel, ui, logic = phantom.panel, phantom.ui, phantom.logic
    panel.run("detectButton")  # The engine is open.
    kept = logic.boxes
    phantom.t1.Modified()
    engine = logic.session._engine
    before = engine.work.trunk_rows
    panel.press("applyButton")
    assert (
        ui.applyButton.text == "Cancel"
        and not ui.detectButton.enabled
        and not ui.inputsButton.enabled
    )
    until = time.monotonic() + 60
    while engine.work.trunk_rows < before + 16:
        panel.pump(0.005)
        assert panel.running and time.monotonic() < until
    panel.press("applyButton")
    at_cancel = engine.work.trunk_rows
    panel.finish()
    # A model run holds at most 8 boxes; one may have been counted only when it ended, and one may
    # have begun while the button was pressed.
    assert engine.work.trunk_rows - at_cancel <= 16
    assert (
        ui.applyButton.text == "Segment NPC"
        and ui.applyButton.enabled
        and "Cancelled" in ui.statusLabel.text
    )
    assert desktop.errors == [] and panel.node.segmentation is None and logic.boxes is kept
    panel.run("segmentButton")


def waited():
    """Seconds that this thread was ready to run and the machine was busy with others."""
    with open(f"/proc/self/task/{threading.get_native_id()}/schedstat") as file:
        return int(file.read().split()[1]) / 1e9


class Silence:
    """How long a timer of 5 ms did not come while a run lasted, ms: by the clock, less what the
    thread waited for a core, and what it worked itself.
    """

    def __init__(self, panel, button):
        from PySide6 import QtCore

        ticks, self.first = [], None
        timer = QtCore.QTimer()
        timer.setTimerType(QtCore.Qt.PreciseTimer)
        timer.timeout.connect(
            lambda: ticks.append((time.monotonic(), waited(), time.thread_time()))
        )
        timer.start(5)
        begun = time.monotonic()
        ticks.append((begun, waited(), time.thread_time()))
        panel.press(button)
        while panel.running:
            pythonqt.application.processEvents(QtCore.QEventLoop.AllEvents, 20)
            if self.first is None and panel.running and panel.logic.job.progress is not None:
                self.first = (time.monotonic() - begun) * 1e3
        timer.stop()
        ticks.append((time.monotonic(), waited(), time.thread_time()))
        clock, wait, work = np.diff(ticks, axis=0).T * 1e3
        self.clock, self.blocked, self.work = clock.max(), (clock - wait).max(), work.max()


def test_the_window_stays_live(phantom):
    """The bar is 50 ms. On a busy machine the main thread waits for a core like everybody; that is
    taken off, everything else counts.
    """
    panel = phantom.panel
    choose(phantom, 17, 27)
    panel.press("detectButton")  # Package and engine are loaded once.
    panel.finish()
    measured = []
    while len(measured) < 4 and (not measured or min(one.blocked for one in measured) >= 50):
        panel.logic.session.forget()
        measured.append(Silence(panel, "applyButton"))
        one = measured[-1]
        print(
            f"silence {one.clock:.0f} ms, without waiting for a core {one.blocked:.0f} ms, "
            f"own work {one.work:.0f} ms; first progress {one.first:.1f} ms"
        )
    assert min(one.work for one in measured) < 50
    assert min(one.blocked for one in measured) < 50
    assert min(one.first for one in measured) < 1000
    assert desktop.errors == []


def test_scrolling_a_view_steps_through_the_boxes(phantom, red):
    panel, ui, logic = phantom.panel, phantom.ui, phantom.logic
    choose(phantom, 19, 25)
    panel.run("detectButton")
    red.node.JumpSliceByOffsetting(*(logic.boxes.corners_mm(4).mean(0) * scene.LPS_TO_RAS))
    assert panel.node.currentSlice == 4 == ui.sliceSlider.value
    np.testing.assert_allclose(
        np.array(panel.node.box.GetCenterWorld()) * scene.LPS_TO_RAS,
        logic.boxes.corners_mm(4).mean(0),
        atol=1e-6,
    )
    # And the slider moves the view.
    ui.sliceSlider.setValue(1)
    assert scene.looked_at(red.node, logic.boxes) == 1
