"""A segmentation as a DICOM Segmentation object, through highdicom.

In: a `Segmentation` and the images that T1C came from. Out: a binary SEG on these images' planes,
frame of reference and study.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _abi
from ._abi import DemoText
from ._demo import demo_words
from ._extras import require
from ._inputs import StrPath, files_of
from ._native import Error, encoded, lib, text, wrong

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ._segmentation import Segmentation

SAME_PLACE_MM = 0.01


def to_dicom_seg(
    segmentation: Segmentation,
    source: object,
    file: StrPath | None = None,
    *,
    label: str = "GTVp_SeqSeg",
    series_number: int = 1000,
    omit_empty_frames: bool = False,
) -> Any:
    """The mask as a DICOM Segmentation (highdicom.seg.Segmentation, which is a pydicom dataset);
    also written to `file`, if one is given.

    `source`: the images that T1C came from: the folder or the files of one series, or pydicom
    datasets (single-frame, or one multi-frame). `label`: of the segment; a demo model's result is
    always called DEMO_NOT_CLIN, and never a neoplasm. `omit_empty_frames`: leave out slices without
    any mask; by default all are kept, so that readers restore T1C's own grid.

    Requires the extra `seg` (highdicom).
    """
    require("highdicom", "to_dicom_seg", extra="seg")
    import highdicom
    import numpy as np

    images = _images(source)
    order = _planes(images, segmentation)
    mask = segmentation.mask
    if len(images) == 1 and "NumberOfFrames" in images[0]:
        mask = mask[order]
    else:
        images = [images[at] for at in np.argsort(order)]
    model = segmentation.model
    content = demo_words(DemoText.BANNER) if model.is_demo else "nasoseg segmentation"
    made = highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=np.ascontiguousarray(mask),
        segmentation_type="BINARY",
        segment_descriptions=[_description(segmentation, label)],
        series_instance_uid=highdicom.UID(),
        series_number=series_number,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="nasoseg",
        manufacturer_model_name=f"nasoseg, model {model.name}"[:64],
        software_versions=f"nasoseg {text(lib.nasoseg_version())}",
        device_serial_number=model.hash[:12],
        content_label=demo_words(DemoText.NAME) if model.is_demo else "NASOSEG",
        content_description=content,
        series_description=f"{demo_words(DemoText.NAME) if model.is_demo else label} nasoseg"[:64],
        omit_empty_frames=omit_empty_frames,
    )
    if file is not None:
        _write(made, file)
    return made


def _description(segmentation: Segmentation, label: str) -> Any:
    """The segment: what it shows, and the model that made it."""
    import highdicom
    from highdicom.sr.coding import CodedConcept

    model = segmentation.model
    neoplasm = (
        CodedConcept("86049000", "SCT", "Neoplasm, Primary"),
        CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure"),
    )
    tissue = CodedConcept("85756007", "SCT", "Tissue"), CodedConcept("85756007", "SCT", "Tissue")
    kind, category = tissue if model.is_demo else neoplasm
    automatic = not segmentation.edited
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=f"nasoseg {model.name}"[:64],
        family=CodedConcept("123109", "DCM", "Artificial Intelligence"),
        version=f"{model.version} {model.hash[:12]}",
        source="nasoseg",
    )
    description = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label=demo_words(DemoText.NAME) if model.is_demo else label,
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type="AUTOMATIC" if automatic else "SEMIAUTOMATIC",
        algorithm_identification=algorithm,
        anatomic_regions=[CodedConcept("360955006", "SCT", "Nasopharynx")],
    )
    warning = f"{demo_words(DemoText.BANNER)} " if model.is_demo else ""
    description.SegmentDescription = (
        f"{warning}{model.intended_use} Model {model.name} {model.version} {model.hash[:12]}"[:1024]
    )
    return description


def _images(source: object) -> list[Any]:
    """The datasets, without their pixels."""
    import pydicom

    if isinstance(source, pydicom.Dataset):
        return [source]
    if (
        isinstance(source, (list, tuple))
        and source
        and all(isinstance(item, pydicom.Dataset) for item in source)
    ):
        return list(source)
    paths = [Path(path) for path in files_of(source, "source").paths]
    if len(paths) == 1 and paths[0].is_dir():
        paths = sorted(path for path in paths[0].iterdir() if path.is_file())
    images = []
    for path in paths:
        try:
            images.append(pydicom.dcmread(path, stop_before_pixels=True))
        except pydicom.errors.InvalidDicomError:
            continue
    images = [
        image
        for image in images
        if "ImagePositionPatient" in image or "PerFrameFunctionalGroupsSequence" in image
    ]
    series = {str(image.SeriesInstanceUID) for image in images}
    if len(series) != 1:
        raise wrong(
            f"source: found {len(series)} series, expected the DICOM images of one. "
            "Give the files of one"
        )
    return images


def _planes(images: list[Any], segmentation: Segmentation) -> NDArray[np.intp]:
    """The k of the segmentation that lies on each image (or frame); every k must have one."""
    import numpy as np

    found = []
    for image in images:
        for frame in image.get("PerFrameFunctionalGroupsSequence", [image]):
            shared = image.get("SharedFunctionalGroupsSequence", [image])[0]
            position = frame.PlanePositionSequence[0] if "PlanePositionSequence" in frame else frame
            measures, orientation = (
                next((part[name][0] for part in (frame, shared) if name in part), image)
                for name in ("PixelMeasuresSequence", "PlaneOrientationSequence")
            )
            row, column = np.reshape(np.array(orientation.ImageOrientationPatient, float), (2, 3))
            down, right = (float(step) for step in measures.PixelSpacing)
            found.append(
                (np.array(position.ImagePositionPatient, float), row * right, column * down)
            )
    nk, nj, ni = segmentation.shape
    positions = np.array([position for position, _, _ in found])
    distance = np.linalg.norm(positions[:, None] - segmentation.origins[None], axis=2)
    order: NDArray[np.intp] = distance.argmin(1)
    sizes = {(int(image.Rows), int(image.Columns)) for image in images}
    # At the far corner, where a rotated or scaled plane is farthest away.
    off = [
        np.abs((i - segmentation.axis_i) * (ni - 1)).max()
        + np.abs((j - segmentation.axis_j) * (nj - 1)).max()
        for _, i, j in found
    ]
    fits = (
        sizes == {(nj, ni)}
        and sorted(order) == list(range(nk))
        and distance.min(1).max() < SAME_PLACE_MM
        and max(off) < SAME_PLACE_MM
    )
    if not fits:
        raise Error(
            _abi.Status.ERROR_UNSUPPORTED,
            f"source: found {len(found)} planes of {sorted(sizes)} pixels, expected the {nk} "
            f"planes of {nj} x {ni} pixels that T1C was read from, each at its own place. "
            "Give T1C's own DICOM images",
        )
    return order


def _write(dataset: Any, file: StrPath) -> None:
    """Whole, or not at all."""
    target = Path(os.fsdecode(encoded(file, "file")))
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
        try:
            dataset.save_as(name)
            # The mode of a new file, not that of mkstemp.
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(name, 0o666 & ~mask)
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise Error(_abi.Status.ERROR_WRITE, f"{target}: cannot be written: {error}") from error
