"""The part of the panel in which the user steps through the boxes and edits them. Main thread.

In: the widget's `ui`, `logic` and parameter node; events of the sliders, the slice views and the
ROI. Out: edited boxes, the ROI and the agent's trajectory on the current slice.
"""

import slicer
import vtk
from slicer.i18n import tr as _

from NasoSegLib import scene


class BoxEditing:
    """A part of NasoSegWidget, which is a VTKObservationMixin and refreshes the table and the
    buttons.
    """

    def __init__(self) -> None:
        self._boxObserved = None
        # Set while the module itself moves the ROI, the views or the sliders.
        self._updating = False

    def observeBox(self, box) -> None:
        if self._boxObserved is not None:
            self.removeObserver(self._boxObserved, vtk.vtkCommand.ModifiedEvent, self.onBox)
            self.removeObserver(
                self._boxObserved, slicer.vtkMRMLMarkupsNode.PointModifiedEvent, self.onBox
            )
            self.removeObserver(
                self._boxObserved,
                slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent,
                self.onBoxLetGo,
            )
        self._boxObserved = box
        if box is not None:
            self.addObserver(box, vtk.vtkCommand.ModifiedEvent, self.onBox)
            self.addObserver(box, slicer.vtkMRMLMarkupsNode.PointModifiedEvent, self.onBox)
            self.addObserver(
                box, slicer.vtkMRMLMarkupsNode.PointEndInteractionEvent, self.onBoxLetGo
            )

    def onSlice(self, index: int) -> None:
        if self._updating or self._parameterNode is None:
            return
        self._parameterNode.currentSlice = index
        self.showSlice(jump=True)

    def onView(self, view, _event) -> None:
        """Shows the box of the slice that the user scrolled an axial view to."""
        boxes = self.logic.boxes
        if self._updating or boxes is None or view not in scene.across(boxes):
            return
        index = scene.looked_at(view, boxes)
        if index is not None and index != self._parameterNode.currentSlice:
            self._parameterNode.currentSlice = index
            self.showSlice(jump=False)

    def onBox(self, roi, _event) -> None:
        """Takes the box over while the user drags it."""
        boxes = self.logic.boxes
        if (
            self._updating
            or boxes is None
            or not roi.GetDisplayVisibility()
            or self.logic.job is not None
        ):
            return
        if self.logic.takeBox(roi):
            self.refreshTable()
            self.refreshButtons()

    def onBoxLetGo(self, roi, _event) -> None:
        """Moves the box back onto the slice and into the image when the user releases it."""
        self.onBox(roi, _event)
        self.showSlice(jump=False)

    def onBoxButton(self, what: str) -> None:
        boxes, index = self.logic.boxes, self._parameterNode.currentSlice
        if what == "borrow" and not boxes.borrow(index):
            half, quarter = boxes.grid / 2, boxes.grid / 8
            boxes.set(index, (half - quarter, half - quarter, half + quarter, half + quarter))
        elif what == "clear":
            boxes.clear(index)
        elif what == "restore":
            boxes.restore(index)
        self.logic.keepEdits()
        self.showSlice(jump=False)

    def showSlice(self, jump: bool) -> None:
        boxes, node = self.logic.boxes, self._parameterNode
        if boxes is None or node is None or not len(boxes):
            return
        index = min(node.currentSlice, len(boxes) - 1)
        self._updating = True
        try:
            self.ui.sliceSlider.setValue(index)
            if node.box is not None:
                scene.show_box(node.box, boxes, index)
            if jump and node.t1c is not None:
                scene.jump(boxes, index, node.t1c)
        finally:
            self._updating = False
        self.showTrajectory(last=True)
        self.refreshTable()
        self.refreshButtons()

    def showTrajectory(self, last: bool = False) -> None:
        boxes, node = self.logic.boxes, self._parameterNode
        if self._updating or boxes is None or node is None:
            return
        shown = bool(self.ui.trajectoryCheckBox.checked)
        here = shown and node.currentSlice < len(boxes)
        trajectory = boxes.trajectory(node.currentSlice) if here else None
        self.ui.trajectorySlider.enabled = trajectory is not None
        if not shown:
            self.ui.trajectoryLabel.text = ""
            if node.trajectory is not None:
                node.trajectory.SetDisplayVisibility(False)
            return
        steps = 0 if trajectory is None else len(trajectory.boxes) - 1
        self._updating = True
        try:
            self.ui.trajectorySlider.setRange(0, steps)
            if last:
                self.ui.trajectorySlider.setValue(steps)
        finally:
            self._updating = False
        step = self.ui.trajectorySlider.value
        node.trajectory = scene.show_trajectory(
            node.trajectory, node.t1c, boxes, node.currentSlice, step
        )
        node.trajectory.SetDisplayVisibility(True)
        if trajectory is None:
            self.ui.trajectoryLabel.text = _("No agent ran on this slice.")
        elif step == 0:
            self.ui.trajectoryLabel.text = _("start, {steps} steps follow").format(steps=steps)
        else:
            q = float(trajectory.q[step - 1].max())
            self.ui.trajectoryLabel.text = _("step {step} of {steps}: {action} (Q {q:.2f})").format(
                step=step, steps=steps, action=trajectory.actions[step - 1], q=q
            )
