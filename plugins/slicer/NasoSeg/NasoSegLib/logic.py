"""The module's logic: the actions of its buttons, without the panel.

In: a parameter node. Out: nodes in the scene. Work goes to a thread (`job`); its results come back
in short pieces for the main thread.
"""

import json
from typing import Optional

import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from . import dicom, package, scene, volumes
from .boxes import Boxes, from_text, to_text
from .errors import UserError
from .job import Job
from .parameters import NasoSegParameterNode
from .session import CONTOUR, SEGMENT, Contoured, Detected, Request, Segmented, Session, Written


class NasoSegLogic(ScriptedLoadableModuleLogic):
    """Usable without the widget: set `parameters` and call `start`; call what `nextPiece` returns
    until the job has ended, then `finish`.
    """

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self.session = Session()
        self.job: Optional[Job] = None
        self.parameters: Optional[NasoSegParameterNode] = None
        self.boxes: Optional[Boxes] = None
        # The file of a SOP instance; a test, or a site with another archive, may set its own.
        self.fileOf = dicom.database_files
        self._pieces: list = []
        self._abandoned = False
        # T1C of the run, and the state of the volumes then.
        self._t1c = None
        self._stamps: Optional[tuple] = None

    def getParameterNode(self) -> NasoSegParameterNode:
        return NasoSegParameterNode(super().getParameterNode())

    # Runs.

    def request(self) -> Request:
        node = self.parameters
        inputs = {
            name: volumes.read(
                getattr(node, name), name.upper(), dicom.files(getattr(node, name), self.fileOf)
            )
            for name in ("t1", "t1c", "t2")
        }
        if len({getattr(node, name).GetID() for name in inputs}) < 3:
            raise UserError(
                _(
                    "Found the same volume twice, expected three different volumes as T1, T1C and "
                    "T2. Check the selection under Inputs."
                )
            )
        volumes.one_patient([node.t1, node.t1c, node.t2])
        slices = None
        if node.firstSlice or node.endSlice:
            # Slices are counted along the axis of T1C that is nearest to the patient's.
            axis = int(
                abs(
                    inputs["t1c"].affine_ras[2, :3]
                    / (inputs["t1c"].affine_ras[:3, :3] ** 2).sum(0) ** 0.5
                ).argmax()
            )
            count = inputs["t1c"].voxels.shape[::-1][axis]
            slices = (node.firstSlice, node.endSlice or count)
            if not 0 <= slices[0] < slices[1] <= count:
                raise UserError(
                    _(
                        "Slices: found {first} to {end}, expected a range within T1C's slices 0 to "
                        "{last}. Set First slice before End slice."
                    ).format(first=slices[0], end=slices[1], last=count - 1)
                )
        return Request(
            **inputs,
            slices=slices,
            device=node.device,
            bundle=node.bundle,
            folder=node.folder,
            force_geometry=node.forceGeometry,
            force_coverage=node.forceCoverage,
            boxes=None
            if self.boxes is None
            else Boxes(self.boxes.document, dict(self.boxes.edits)),
        )

    def start(self, stages: tuple) -> None:
        """Begins a run on a worker thread."""
        request = self.request()
        if CONTOUR in stages and SEGMENT not in stages and self._stamps != self._stampsNow():
            raise UserError(
                _("A volume was changed or moved since Segment. Press Segment again, then Contour.")
            )
        package.ensure(request.folder, request.device)
        self._t1c, self._stamps = self.parameters.t1c, self._stampsNow()
        self._begin(lambda job: self.session.run(job, stages, request))

    def startExport(self, file: str) -> None:
        dicom.refuse(self.parameters.t1c, self.fileOf)
        if self._stamps != self._stampsNow():
            raise UserError(
                _(
                    "A volume was changed or moved since the contours were made. "
                    "Press Segment NPC again, then export."
                )
            )
        self._begin(lambda job: self.session.write_structure_set(job, file))

    def _stampsNow(self) -> tuple:
        node = self.parameters
        return tuple(volumes.stamp(one) for one in (node.t1, node.t1c, node.t2))

    def _begin(self, work) -> None:
        self._abandoned = False
        self.job = Job(work)
        self.job.start()

    def nextPiece(self):
        """A short action for the main thread; None if there is none now."""
        if not self._pieces and self.job is not None:
            event = self.job.poll()
            if event is not None:
                self._pieces = self._piecesOf(event)
        if self._abandoned:
            self._pieces = []
        return self._pieces.pop(0) if self._pieces else None

    def abandon(self) -> None:
        """Drops the rest of a run after one of its pieces failed and the user has seen why."""
        self._abandoned = True
        self.job.cancel()

    def finish(self) -> Optional[BaseException]:
        """Ends a run whose thread has ended and whose pieces are done; returns its error."""
        error, self.job = self.job.error, None
        return None if self._abandoned else error

    def stop(self) -> None:
        """Cancels a run and waits until it has ended, within one model run."""
        if self.job is not None:
            self.job.cancel()
            self.job.wait()
            self.job, self._pieces = None, []

    def _piecesOf(self, event) -> list:
        if isinstance(event, Detected):
            return [lambda: self.takeDetected(event)]
        if isinstance(event, Segmented):
            node = self.parameters
            return [
                lambda: self._keep(event.document, event.text),
                lambda: setattr(
                    node,
                    "segmentation",
                    scene.show_mask(
                        node.segmentation, self.t1c(), event.mask, event.document["demo"]
                    ),
                ),
                lambda: scene.show_3d(node.segmentation, node.show3D),
            ]
        if isinstance(event, Contoured):
            return [lambda: self.takeContours(event)]
        if isinstance(event, Written):
            return []
        raise TypeError(event)

    # Results.

    def takeDetected(self, event: Detected) -> None:
        node = self.parameters
        node.edits = ""
        self._keep(event.document, event.text)
        if node.box is None:
            node.box = scene.new_box(_("NasoSeg box"))
            scene.place_beside(node.box, self.t1c())
        found = [index for index in range(len(self.boxes)) if self.boxes.box(index) is not None]
        node.currentSlice = found[len(found) // 2] if found else 0
        scene.show_box(node.box, self.boxes, node.currentSlice)

    def takeContours(self, event: Contoured) -> None:
        node = self.parameters
        node.contours = scene.show_contours(
            node.contours, self.t1c(), event.rings, self.boxes, self.boxes.document["demo"]
        )

    def t1c(self):
        """T1C of the run."""
        if self._t1c is None or self._t1c.GetScene() is None:
            raise UserError(
                _(
                    "T1C was removed from the scene during the run. Load it again and press "
                    "Segment NPC."
                )
            )
        return self._t1c

    def _keep(self, document: dict, text: str) -> None:
        node = self.parameters
        if node.detection is None:
            node.detection = slicer.mrmlScene.AddNewNodeByClass(
                "vtkMRMLTextNode", "NasoSeg detection"
            )
            # Kept in the scene file itself, so that no separate file can be lost.
            node.detection.SetForceCreateStorageNode(slicer.vtkMRMLTextNode.CreateStorageNodeNever)
            node.detection.SetHideFromEditors(True)
        node.detection.SetText(text)
        self.boxes = Boxes(document, from_text(node.edits))

    def readBoxes(self) -> None:
        """Reads the boxes that the scene keeps, after it was loaded."""
        node = self.parameters
        text = node.detection.GetText() if node is not None and node.detection is not None else ""
        self.boxes = Boxes(json.loads(text), from_text(node.edits)) if text else None

    def takeBox(self, roi) -> bool:
        """Sets the current slice's box from the ROI; False if it is unchanged."""
        index = self.parameters.currentSlice
        box = scene.read_box(roi, self.boxes, index)
        before = self.boxes.box(index)
        if before is not None and max(abs(a - b) for a, b in zip(box, before)) < 1e-3:
            return False
        self.boxes.set(index, box)
        self.keepEdits()
        return True

    def keepEdits(self) -> None:
        self.parameters.edits = to_text(self.boxes.edits)

    def changed(self) -> bool:
        """Whether a box was changed since Segment."""
        return self.boxes is None or any(
            self.boxes.stale(index) for index in range(len(self.boxes))
        )
