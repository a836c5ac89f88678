"""A user's program, which test_typing.py checks with mypy --strict. It is never run."""

from __future__ import annotations

from typing import Any

import nasoseg
import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type


def results(study: nasoseg.Study) -> None:
    with nasoseg.Engine(nasoseg.demo_bundle(), device="cpu") as engine:
        assert_type(engine, nasoseg.Engine)
    detection = nasoseg.detect(engine, study, slices=(8, 20), progress=report)
    assert_type(detection[0], nasoseg.DetectionSlice)
    assert_type(detection[np.int64(0)], nasoseg.DetectionSlice)
    assert_type(detection[0:3], list[nasoseg.DetectionSlice])
    assert_type([one.slice for one in detection], list[int])
    assert_type(detection[0].box, nasoseg.BoundingBox | None)
    assert_type(detection[0].statuses.words, str)
    assert_type(detection.trajectory(0).q, NDArray[np.float32])

    segmentation = nasoseg.segment(engine, study, detection)
    assert_type(segmentation[0], nasoseg.SegmentationSlice)
    assert_type(segmentation[0:3], list[nasoseg.SegmentationSlice])
    assert_type(segmentation.slices[0], nasoseg.SegmentationSlice)
    assert_type(segmentation.mask, NDArray[np.uint8])
    assert_type(segmentation.affine, NDArray[np.float64] | None)

    contours = nasoseg.contour(segmentation)
    assert_type(contours[0], nasoseg.Contour)
    assert_type(contours[0:3], list[nasoseg.Contour])
    assert_type(contours[0].points_mm, NDArray[np.float64])
    assert_type(nasoseg.to_dicom_seg(segmentation, "T1C"), Any)


def report(progress: nasoseg.Progress) -> bool:
    print(progress.stage_name, progress.done, progress.total)
    return True


def wrong(detection: nasoseg.Detection, contours: nasoseg.Contours) -> None:
    # An error that mypy does not find makes its comment an unused one, which is an error too.
    print(detection["first"])  # type: ignore[call-overload]
    print(detection[0].bounding_box)  # type: ignore[attr-defined]
    print(contours[0:3].points_mm)  # type: ignore[attr-defined]
    _: int = contours[0].points_mm  # type: ignore[assignment]
