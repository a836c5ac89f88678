"""Detect, segment and contour on a worker thread; engine and study are kept between runs.

In: a `Request`, made on the main thread. Out: events posted to the job: `Detected`, `Segmented`,
`Contoured`, `Written`. Neither MRML nor Qt.

The document of a run is plain JSON, so that the scene can keep it: the library's own detection
(`detection`), the corners of the model's grid on every slice (`grid_corners_mm`), the volumes'
affines (`affines_ras`), the words of every slice's statuses (`words`), the model, and the result of
Segment for every slice (`segmented`).
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np
from slicer.i18n import tr as _

from NasoSegLib import package
from NasoSegLib.boxes import Boxes
from NasoSegLib.errors import UserError
from NasoSegLib.job import Job
from NasoSegLib.volumes import Input

DETECT, SEGMENT, CONTOUR = "detect", "segment", "contour"
# Inside a model run: one core is left to the window if there are more than two. 0 is all.
CORES = os.cpu_count() or 1
THREADS = CORES - 1 if CORES > 2 else 0
# How far saving and loading a scene may move a voxel.
ROUNDED_MM = 1e-4


class Request(NamedTuple):
    t1: Input
    t1c: Input
    t2: Input
    slices: Optional[tuple]
    """(first, end) canonical, half open; None for all."""
    device: str
    bundle: str
    folder: str
    force_geometry: bool
    force_coverage: bool
    boxes: Optional[Boxes]
    """Of the earlier detection: what Segment starts from."""


class Detected(NamedTuple):
    document: dict
    text: str
    """The document as JSON."""


class Segmented(NamedTuple):
    document: dict
    text: str
    mask: np.ndarray
    """[k, j, i] uint8, a view of the library's memory that keeps it alive."""


class Contoured(NamedTuple):
    rings: list
    """Of [n, 3], LPS mm; the last point joins the first."""


class Written(NamedTuple):
    file: str


class Session:
    def __init__(self) -> None:
        self._engine: Any = None
        self._engine_key: Optional[tuple] = None
        self._study: Any = None
        self._study_key: Optional[tuple] = None
        self._notes: list = []
        self._segmentation: Any = None
        self._contours: Any = None
        self.no_structure_set = ""
        """Why the library rejects T1C's DICOM files; "" if it does not, or if there are none."""

    def forget(self) -> None:
        """Frees the study and its results, when the scene is closed."""
        self._study = self._study_key = self._segmentation = self._contours = None

    def forget_results(self) -> None:
        """Frees results that no longer fit the boxes."""
        self._segmentation = self._contours = None

    @property
    def segmented(self) -> bool:
        return self._segmentation is not None

    @property
    def contoured(self) -> bool:
        return self._contours is not None

    def run(self, job: Job, stages: tuple, request: Request) -> None:
        """Everything that the worker thread does. `stages`: of DETECT, SEGMENT, CONTOUR, in this
        order.
        """
        job.report("start", 0, 0)
        ready = package.load(request.folder, request.bundle)
        nasoseg = ready.module
        calls = {
            "progress": lambda p: job.report(p.stage_name, p.done, p.total),
            "cancel": lambda: job.cancelled,
        }
        _stop_if_cancelled(job, nasoseg)
        engine = self._open(ready, request)
        _stop_if_cancelled(job, nasoseg)
        inputs = {"t1": request.t1, "t1c": request.t1c, "t2": request.t2}
        if DETECT not in stages and request.boxes is not None:
            inputs = {
                name: _as_detected(one, request.boxes.document["affines_ras"][name])
                for name, one in inputs.items()
            }
        study = self._study_of(nasoseg, inputs, calls)
        _stop_if_cancelled(job, nasoseg)
        detection = document = None
        if DETECT in stages:
            self.forget_results()
            forced = {
                "force_geometry": request.force_geometry,
                "force_coverage": request.force_coverage,
            }
            detection = engine.detect(study, slices=request.slices, **forced, **calls)
            document = self._document(nasoseg, engine, study, detection, inputs)
            job.post(Detected(document, json.dumps(document)))
        if SEGMENT in stages:
            if detection is None:
                detection, document = self._read_back(engine, study, request, calls)
            self.forget_results()
            self._segmentation = engine.segment(study, detection, **calls)
            document = {**document, "segmented": _segmented(detection, self._segmentation)}
            job.post(Segmented(document, json.dumps(document), self._segmentation.mask))
        if CONTOUR in stages:
            if self._segmentation is None:
                raise UserError(
                    _("There is no segmentation of these boxes yet. Press Segment first.")
                )
            self._contours = self._segmentation.contour(**calls)
            job.post(Contoured([np.array(ring.points_mm) for ring in self._contours]))

    def write_structure_set(self, job: Job, file: str) -> None:
        if self._contours is None:
            raise UserError(
                _("There are no contours of these boxes yet. Press Segment, then Contour.")
            )
        if self.no_structure_set:
            raise UserError(self.no_structure_set)
        self._contours.write_rtstruct(
            file,
            progress=lambda p: job.report(p.stage_name, p.done, p.total),
            cancel=lambda: job.cancelled,
        )
        job.post(Written(file))

    def _open(self, ready: package.Package, request: Request) -> Any:
        key = (str(ready.bundle), request.device, str(ready.runtime))
        if self._engine_key != key:
            self._engine = self._engine_key = None
            self._engine = ready.module.Engine(
                ready.bundle, device=request.device, onnxruntime=ready.runtime, threads=THREADS
            )
            self._engine_key = key
        return self._engine

    def _study_of(self, nasoseg: Any, inputs: dict, calls: dict) -> Any:
        """The study of these volumes, made again only if one of them changed."""
        key = tuple(one.key for one in inputs.values())
        if self._study_key == key:
            return self._study
        self.forget()
        study, notes, refused = nasoseg.Study(), [], ""
        for name, one in inputs.items():
            study.set(name, nasoseg.Volume(one.voxels, one.affine_ras, axes="RAS"), **calls)
            # A moved volume is not at the place that its files give.
            if not one.files or one.moved:
                continue
            try:
                study.set_dicom_source(name, list(one.files), **calls)
            except nasoseg.Cancelled:
                raise
            except nasoseg.Error as error:
                why = _("{name} ({volume}) is not what its DICOM files hold: {error}").format(
                    name=name.upper(), volume=one.name, error=error
                )
                notes.append(why)
                refused = why if name == "t1c" else refused
        self._study, self._study_key, self._notes, self.no_structure_set = (
            study,
            key,
            notes,
            refused,
        )
        return study

    def _document(
        self, nasoseg: Any, engine: Any, study: Any, detection: Any, inputs: dict
    ) -> dict:
        with tempfile.TemporaryDirectory(prefix="nasoseg-") as folder:
            file = Path(folder) / "detection.json"
            detection.write(file)
            text = file.read_text(encoding="utf-8")
        model = engine.model
        slices = list(detection)
        return {
            "format": "nasoseg-slicer 1",
            "detection": json.loads(text),
            "affines_ras": {name: one.affine_ras.tolist() for name, one in inputs.items()},
            "grid_corners_mm": [one.grid_corners_mm.tolist() for one in slices],
            "words": [one.statuses.words for one in slices],
            "demo": self._demo_words(nasoseg) if model.is_demo else None,
            "model": f"{model.name} {model.version}",
            "intended_use": model.intended_use,
            "device": engine.device,
            "device_fallback": engine.device_fallback,
            "warnings": [*self._notes, *study.warnings],
            "segmented": None,
        }

    @staticmethod
    def _demo_words(nasoseg: Any) -> dict:
        """The words that mark a demo model's result, from the library."""
        return {
            which: nasoseg.demo_words(nasoseg.DemoText[which.upper()])
            for which in ("name", "banner", "prefix")
        }

    def _read_back(self, engine: Any, study: Any, request: Request, calls: dict) -> tuple:
        if request.boxes is None:
            raise UserError(_("There are no boxes yet. Press Detect first."))
        with tempfile.TemporaryDirectory(prefix="nasoseg-") as folder:
            file = Path(folder) / "detection.json"
            file.write_text(request.boxes.detection_text(), encoding="utf-8")
            detection = engine.read_detection(
                study, file, force_geometry=request.force_geometry, **calls
            )
        return detection, {
            **request.boxes.document,
            "device": engine.device,
            "device_fallback": engine.device_fallback,
        }


def _stop_if_cancelled(job: Job, nasoseg: Any) -> None:
    if job.cancelled:
        raise nasoseg.Cancelled(nasoseg.Status.CANCELLED, _("Cancelled."))


def _segmented(detection: Any, segmentation: Any) -> list:
    return [
        {
            "box": None if one.box is None else list(one.box),
            "words": made.statuses.words,
            "pixels": int(made.pixels),
            "area_mm2": float(made.area_mm2),
        }
        for one, made in zip(detection, segmentation.slices)
    ]


def _as_detected(one: Input, affine: list) -> Input:
    """A volume whose affine changed only by rounding since the boxes were found (saving a scene
    rounds it) gets the earlier affine, so that it is the same volume to the bit.
    """
    affine = np.array(affine)
    nk, nj, ni = one.voxels.shape
    corners = np.array([(i, j, k, 1) for i in (0, ni) for j in (0, nj) for k in (0, nk)]).T
    if np.abs((one.affine_ras - affine) @ corners).max() > ROUNDED_MM:
        return one
    return one._replace(affine_ras=affine, key=(*one.key[:2], affine.tobytes(), *one.key[3:]))
