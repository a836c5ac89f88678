"""Segments one patient and saves the result: an RT Structure Set if T1C is DICOM, otherwise the
mask as NIfTI. Install the package with ONNX Runtime (`make wheel` in the repository, then
`pip install "$(ls dist/*.whl)[cpu]"`) and run it:

    python first_result.py study/T1 study/T1C study/T2 models/demo output
"""

import sys
from pathlib import Path

import nasoseg


def first_result(t1: str, t1c: str, t2: str, bundle: str, output: str) -> None:
    engine = nasoseg.Engine(bundle)
    if engine.is_demo:
        print(f"warning: DEMO MODEL, NOT FOR CLINICAL USE. {engine.intended_use}")

    # Each sequence may lie on a grid of its own; all results lie on T1C's. The study is validated
    # and aligned by detect.
    study = nasoseg.Study(t1, t1c, t2)
    detection = nasoseg.detect(engine, study)
    for warning in study.warnings:
        print(f"warning: {warning}")
    segmentation = nasoseg.segment(engine, study, detection)
    for s in segmentation.slices:
        print(f"slice {s.slice}: {s.area_mm2:.1f} mm2")
    print(f"volume: {segmentation.volume_mm3:.1f} mm3")

    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    # Only a DICOM image has a SOP Instance UID.
    if detection[0].sop_instance_uid:
        nasoseg.contour(segmentation).write_rtstruct(folder / "rtstruct.dcm")
        print("saved: rtstruct.dcm")
    else:
        segmentation.write_mask(folder / "mask.nii.gz")
        print("saved: mask.nii.gz")


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit("usage: first_result.py T1 T1C T2 BUNDLE OUTPUT")
    try:
        first_result(*sys.argv[1:])
    except (nasoseg.Error, OSError) as error:
        sys.exit(str(error))
