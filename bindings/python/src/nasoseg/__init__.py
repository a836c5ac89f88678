"""nasoseg: finds and contours nasopharyngeal carcinoma in MR, in process.

    import nasoseg

    engine = nasoseg.Engine(nasoseg.demo_bundle())
    study = nasoseg.Study("patient/T1", "patient/T1C", "patient/T2")
    detection = nasoseg.detect(engine, study, slices=(8, 20), progress=print)
    segmentation = nasoseg.segment(engine, study, detection)
    contours = nasoseg.contour(segmentation)
    contours.write_rtstruct("rtstruct.dcm")

This is not a medical device. Show `engine.intended_use` beside every result, and never call the
result of a demo model (`engine.is_demo`) a target.

Patient coordinates are LPS, mm (x to the patient's left, y to the back, z to the head); arrays are
[k, j, i]; boxes are pixel edges on the model's square grid; slices count from 0, from inferior to
superior. Errors are `nasoseg.Error`. Objects may be closed, or left to the collector, in any order.
Many threads may use engines, studies and results at once; editing a detection's boxes requires
exclusive access to it.
"""

from __future__ import annotations

from ._abi import Axes, ContourKind, DemoText, Holes, Reslice, Sequence, SliceStatus, Stage, Status
from ._contours import Contour, Contours
from ._demo import demo_words, is_demo
from ._detection import BoundingBox, Detection, DetectionSlice, Trajectory
from ._dicom_seg import to_dicom_seg
from ._engine import Engine, RuntimeInfo, Slices, Work, demo_bundle, runtime_info
from ._inputs import Image, Volume
from ._model import ModelInfo
from ._native import Cancelled, Error
from ._native import lib as _lib
from ._run import Cancel, CancelToken, Progress, ProgressCallback
from ._segmentation import Segmentation, SegmentationSlice
from ._show import show
from ._status import words
from ._study import Study

__version__: str = _lib.nasoseg_version().decode()
abi_version: int = _lib.nasoseg_abi_version()
"""The ABI version of the library."""


def detect(
    engine: Engine,
    study: Study,
    *,
    slices: Slices | None = None,
    slices_mm: tuple[float, float] | None = None,
    force_geometry: bool = False,
    force_coverage: bool = False,
    reslice: Reslice | str = "never",
    reslice_step_mm: float | None = None,
    progress: ProgressCallback | None = None,
    cancel: Cancel | None = None,
) -> Detection:
    """Stage one: a box on every slice. See `Engine.detect`."""
    return engine.detect(
        study,
        slices=slices,
        slices_mm=slices_mm,
        force_geometry=force_geometry,
        force_coverage=force_coverage,
        reslice=reslice,
        reslice_step_mm=reslice_step_mm,
        progress=progress,
        cancel=cancel,
    )


def segment(
    engine: Engine,
    study: Study,
    detection: Detection,
    *,
    progress: ProgressCallback | None = None,
    cancel: Cancel | None = None,
) -> Segmentation:
    """Stage two: the mask in every box. See `Engine.segment`."""
    return engine.segment(study, detection, progress=progress, cancel=cancel)


def contour(
    segmentation: Segmentation,
    kind: ContourKind | str = "level",
    *,
    progress: ProgressCallback | None = None,
    cancel: Cancel | None = None,
) -> Contours:
    """Closed contours of a segmentation. See `Segmentation.contour`."""
    return segmentation.contour(kind, progress=progress, cancel=cancel)


__all__ = [
    "Axes",
    "BoundingBox",
    "Cancel",
    "CancelToken",
    "Cancelled",
    "Contour",
    "ContourKind",
    "Contours",
    "DemoText",
    "Detection",
    "DetectionSlice",
    "Engine",
    "Error",
    "Holes",
    "Image",
    "ModelInfo",
    "Progress",
    "ProgressCallback",
    "Reslice",
    "RuntimeInfo",
    "Segmentation",
    "SegmentationSlice",
    "Sequence",
    "SliceStatus",
    "Slices",
    "Stage",
    "Status",
    "Study",
    "Trajectory",
    "Volume",
    "Work",
    "abi_version",
    "contour",
    "demo_bundle",
    "demo_words",
    "detect",
    "is_demo",
    "runtime_info",
    "segment",
    "show",
    "to_dicom_seg",
    "words",
]
