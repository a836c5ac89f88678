import logging
from typing import Optional

import qt
import slicer
import vtk
from NasoSegLib import dicom, panel, scene
from NasoSegLib.boxes import Boxes
from NasoSegLib.editing import BoxEditing
from NasoSegLib.errors import UserError
from NasoSegLib.logic import NasoSegLogic
from NasoSegLib.parameters import NasoSegParameterNode
from NasoSegLib.session import CONTOUR, DETECT, SEGMENT
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

#
# NasoSeg
#


class NasoSeg(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("NasoSeg")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["Segmentations", "Markups", "SubjectHierarchy"]
        self.parent.contributors = ["The nasoseg authors"]
        self.parent.helpText = _(
            "Finds nasopharyngeal carcinoma in MR (T1, contrast-enhanced T1, T2) and contours it: "
            "an editable box per slice, a segmentation, an RT Structure Set. This is not a medical "
            "device. The demo model was trained on synthetic images only."
        )
        self.parent.acknowledgementText = _(
            "The method is SeqSeg: Tao et al., Medical Image Analysis 78, 2022, doi "
            "10.1016/j.media.2022.102381. Please cite it."
        )


#
# NasoSegWidget
#


class NasoSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin, BoxEditing):
    POLL_MS = 30

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        BoxEditing.__init__(self)
        self._message = ""

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/NasoSeg.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = NasoSegLogic()

        self._timer = qt.QTimer()
        self._timer.setInterval(self.POLL_MS)
        self._timer.connect("timeout()", self.onTick)

        ui = self.ui
        ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        ui.detectButton.connect("clicked(bool)", lambda _checked=False: self.start((DETECT,)))
        ui.segmentButton.connect("clicked(bool)", lambda _checked=False: self.start((SEGMENT,)))
        ui.contourButton.connect("clicked(bool)", lambda _checked=False: self.start((CONTOUR,)))
        ui.exportButton.connect("clicked(bool)", self.onExportButton)
        ui.noLesionButton.connect("clicked(bool)", lambda _checked=False: self.onBoxButton("clear"))
        ui.restoreButton.connect(
            "clicked(bool)", lambda _checked=False: self.onBoxButton("restore")
        )
        ui.newBoxButton.connect("clicked(bool)", lambda _checked=False: self.onBoxButton("borrow"))
        ui.sliceSlider.connect("valueChanged(int)", self.onSlice)
        ui.trajectoryCheckBox.connect(
            "toggled(bool)", lambda _checked=False: self.showTrajectory(last=True)
        )
        ui.trajectorySlider.connect("valueChanged(int)", lambda _value=0: self.showTrajectory())
        ui.slicesTable.connect(
            "cellClicked(int,int)", lambda row, _column: ui.sliceSlider.setValue(row)
        )
        ui.show3DButton.connect("toggled(bool)", self.onShow3D)
        for widget, name in ((ui.bundlePath, "bundle"), (ui.folderPath, "folder")):
            widget.connect(
                "currentPathChanged(QString)", lambda path, name=name: self._set(name, path)
            )

        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneRenewed)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneRenewed)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        self._timer.stop()
        self.logic.stop()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self) -> None:
        self.initializeParameterNode()

    def exit(self) -> None:
        pass

    def onSceneStartClose(self, _caller, _event) -> None:
        self.logic.stop()
        self.logic.session.forget()
        self.setParameterNode(None)

    def onSceneRenewed(self, _caller, _event) -> None:
        self.setParameterNode(None)
        self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        if self._parameterNode is None:
            self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, node: Optional[NasoSegParameterNode]) -> None:
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(
                self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameters
            )
        self.observeBox(None)
        self._parameterNode = self.logic.parameters = node
        if node is None:
            return
        self._parameterNodeGuiTag = node.connectGui(self.ui)
        self.addObserver(node.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameters)
        self.observeBox(node.box)
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            if not self.hasObserver(view, vtk.vtkCommand.ModifiedEvent, self.onView):
                self.addObserver(view, vtk.vtkCommand.ModifiedEvent, self.onView)
        self.logic.readBoxes()
        self.refresh()

    def onParameters(self, _caller=None, _event=None) -> None:
        self.refreshButtons()

    def _set(self, name: str, value) -> None:
        if self._parameterNode is not None and getattr(self._parameterNode, name) != value:
            setattr(self._parameterNode, name, value)

    # Runs.

    def onApplyButton(self, _checked: bool = False) -> None:
        if self.logic.job is not None:
            self.logic.job.cancel()
            self.ui.applyButton.enabled = False
            self.ui.progressBar.setFormat(_("cancelling"))
            return
        self.start((DETECT, SEGMENT, CONTOUR))

    def start(self, stages: tuple) -> None:
        self.say("")
        if not self.guarded(lambda: self.logic.start(stages)):
            return
        self.ui.progressBar.setRange(0, 0)
        self.ui.progressBar.setFormat(_("starting"))
        self._timer.start()
        self.refreshButtons()

    def onExportButton(self, _checked: bool = False) -> None:
        if not self.guarded(lambda: dicom.refuse(self._parameterNode.t1c, self.logic.fileOf)):
            return
        file = qt.QFileDialog.getSaveFileName(
            slicer.util.mainWindow(),
            _("Export RT Structure Set"),
            "rtstruct.dcm",
            _("DICOM (*.dcm)"),
        )
        if file:
            self.export(file)

    def export(self, file: str) -> None:
        self.say("")
        if self.guarded(lambda: self.logic.startExport(file)):
            self._timer.start()
            self.refreshButtons()

    def onTick(self) -> None:
        """Called every 30 ms during a run. Handles at most one piece of a result per tick, so that
        the window stays live in between.
        """
        job = self.logic.job
        if job is None:
            self._timer.stop()
            return
        tick = job.progress
        if tick is not None and not job.cancelled:
            self.ui.progressBar.setRange(0, tick.total)
            self.ui.progressBar.setValue(tick.done)
            self.ui.progressBar.setFormat(panel.progress(tick))
        ended = not job.running
        piece = self.logic.nextPiece()
        if piece is not None:
            if not self.guarded(piece):
                self.logic.abandon()
            return
        if not ended:
            return
        self._timer.stop()
        error = self.logic.finish()
        self.ui.progressBar.setRange(0, 1)
        self.ui.progressBar.setValue(0 if error is not None else 1)
        self.ui.progressBar.setFormat("")
        if error is not None:
            self.complain(error)
        self.observeBox(self._parameterNode.box)
        self.refresh()

    # Messages.

    def guarded(self, action) -> bool:
        """Runs an action and shows its error; False if it failed."""
        try:
            action()
            return True
        except Exception as error:
            self.complain(error)
            return False

    def complain(self, error: BaseException) -> None:
        """Shows an error in words. A traceback goes to the log only."""
        if type(error).__name__ == "Cancelled":
            self.say(_("Cancelled. The step that was running changed nothing."))
            return
        known = isinstance(error, UserError) or (
            type(error).__module__.startswith("nasoseg") and type(error).__name__ == "Error"
        )
        if known:
            text = str(error)
        else:
            text = _(
                "NasoSeg failed: {error}. Please report it with Slicer's log (Help, Report a bug)."
            ).format(error=str(error) or type(error).__name__)
        logging.error("NasoSeg: %s", text, exc_info=None if known else error)
        self.say(text)
        slicer.util.errorDisplay(text, windowTitle=_("NasoSeg"))

    def say(self, text: str) -> None:
        self._message = text
        self.refreshStatus()

    # The panel.

    def onShow3D(self, shown: bool) -> None:
        if self._parameterNode is None or self._updating:
            return
        self._parameterNode.show3D = bool(shown)
        if self._parameterNode.segmentation is not None:
            self.guarded(lambda: scene.show_3d(self._parameterNode.segmentation, bool(shown)))

    def refresh(self) -> None:
        node, boxes = self._parameterNode, self.logic.boxes
        if node is None:
            return
        self._updating = True
        try:
            self.ui.bundlePath.currentPath = node.bundle
            self.ui.folderPath.currentPath = node.folder
            self.ui.show3DButton.checked = node.show3D
            self.ui.sliceSlider.setRange(0, max(len(boxes) - 1, 0) if boxes is not None else 0)
        finally:
            self._updating = False
        self.refreshStatus()
        self.refreshTable()
        self.refreshButtons()
        self.showSlice(jump=boxes is not None)

    def refreshButtons(self) -> None:
        node, boxes, ui = self._parameterNode, self.logic.boxes, self.ui
        if node is None:
            return
        running = self.logic.job is not None
        ready = not running and None not in (node.t1, node.t1c, node.t2)
        ui.applyButton.text = _("Cancel") if running else _("Segment NPC")
        ui.applyButton.enabled = ready or running
        ui.applyButton.toolTip = "" if ready or running else _("Select T1, T1C and T2 first.")
        ui.detectButton.enabled = ready
        ui.segmentButton.enabled = ready and boxes is not None
        ui.contourButton.enabled = (
            ready and self.logic.session.segmented and not self.logic.changed()
        )
        ui.exportButton.enabled = (
            ready and self.logic.session.contoured and not self.logic.changed()
        )
        index = node.currentSlice
        here = not running and boxes is not None and index < len(boxes)
        ui.noLesionButton.enabled = here and boxes.box(index) is not None
        ui.restoreButton.enabled = here and boxes.edited(index)
        ui.newBoxButton.enabled = here and boxes.box(index) is None
        for widget in (ui.sliceSlider, ui.trajectoryCheckBox, ui.slicesTable):
            widget.enabled = boxes is not None
        for widget in (ui.inputsButton, ui.settingsButton):
            widget.enabled = not running
        ui.show3DButton.enabled = node.segmentation is not None

    def refreshStatus(self) -> None:
        boxes = self.logic.boxes
        warning = panel.demo(boxes)
        self.ui.demoLabel.text = warning
        self.ui.demoLabel.visible = bool(warning)
        self.ui.statusLabel.text = "\n".join(
            ([self._message] if self._message else []) + panel.status(boxes)
        )

    def refreshTable(self) -> None:
        boxes = self.logic.boxes
        panel.fill(self.ui.slicesTable, boxes)
        if boxes is None:
            self.ui.sliceLabel.text = ""
            return
        index = min(self._parameterNode.currentSlice, len(boxes) - 1)
        self.ui.slicesTable.selectRow(index)
        self.ui.sliceLabel.text = panel.one_slice(boxes, index)


#
# NasoSegTest
#


class NasoSegTest(ScriptedLoadableModuleTest):
    """Tests that need no model. Testing runs the whole module on Slicer's core."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()

    def runTest(self) -> None:
        self.setUp()
        self.test_refusesWhatIsMissing()
        self.test_boxesAreKept()

    def test_refusesWhatIsMissing(self) -> None:
        logic = NasoSegLogic()
        logic.parameters = logic.getParameterNode()
        with self.assertRaises(UserError):
            logic.start((DETECT,))
        self.assertIsNone(logic.job)

    def test_boxesAreKept(self) -> None:
        corners = [[[0, 0, z], [10, 0, z], [10, 10, z], [0, 10, z]] for z in (0, 5)]
        slices = [
            {"slice": k, "position_mm": 5.0 * k, "box": [1, 1, 4, 4], "trajectory": None}
            for k in (0, 1)
        ]
        boxes = Boxes(
            {
                "detection": {"grid": 10, "slices": slices, "actions": []},
                "grid_corners_mm": corners,
                "words": ["ok", "ok"],
                "segmented": None,
            }
        )
        roi = scene.new_box("box")
        scene.show_box(roi, boxes, 1)
        roi.SetSize(5.0, 3.0, 5.0)
        for found, wanted in zip(scene.read_box(roi, boxes, 1), (0.0, 1.0, 5.0, 4.0)):
            self.assertAlmostEqual(found, wanted)
