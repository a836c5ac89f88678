"""Checks the attributes of a structure set, and that other programs read the same mask from it.

In: a case description (JSON, written by tests/rtstruct.rs): the structure set, its images, the
mask, the geometry. Out: one line for each judge with its finding; exit code 1 and the reason if
one of them disagrees. A judge that is not installed is named and skipped.

Judges: pydicom (attributes; rings rasterised here by the even-odd rule), SimpleITK (geometry of the
series), plastimatch, dcmrtstruct2nii, dciodvfy, drtdump.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

COPIED = [
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "OtherPatientIDs",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
]


def same(what, found, expected):
    if found != expected:
        raise SystemExit(f"{what}: found {found!r}, expected {expected!r}")


def check_attributes(case, rt):
    header = pydicom.dcmread(case["header"], stop_before_pixels=True)
    for name in COPIED:
        required = name not in (
            "IssuerOfPatientID",
            "OtherPatientIDs",
            "PatientAge",
            "PatientSize",
            "PatientWeight",
            "StudyDescription",
        )
        if name in header:
            same(name, getattr(rt, name, None), getattr(header, name))
        elif name != "SpecificCharacterSet" and required:
            same(name, getattr(rt, name), "")
    same("SOPClassUID", rt.SOPClassUID, "1.2.840.10008.5.1.4.1.1.481.3")
    same("Modality", rt.Modality, "RTSTRUCT")
    for uid in (rt.SOPInstanceUID, rt.SeriesInstanceUID):
        if not uid.startswith("2.25.") or not uid.is_valid:
            raise SystemExit(f"{uid} is not a valid UID of our own")
    same("Manufacturer", rt.Manufacturer, "nasoseg")
    if f"nasoseg {case['version']}" not in list(rt.SoftwareVersions):
        raise SystemExit(f"SoftwareVersions {rt.SoftwareVersions}")
    same("ApprovalStatus", rt.ApprovalStatus, "UNAPPROVED")
    same("FrameOfReferenceUID", rt.FrameOfReferenceUID, case["frame_of_reference"])
    same("OperatorsName", rt.OperatorsName, "")
    same("PositionReferenceIndicator", rt.PositionReferenceIndicator, "")
    name, label = ("DEMO_NOT_CLIN",) * 2 if case["demo"] else (case["roi_name"], case["label"])
    same("StructureSetLabel", rt.StructureSetLabel, label)
    for text in (rt.InstanceCreationDate, rt.StructureSetDate, rt.SeriesDate):
        if not re.fullmatch(r"\d{8}", text):
            raise SystemExit(f"date {text}")

    (frame,) = rt.ReferencedFrameOfReferenceSequence
    same("frame of reference", frame.FrameOfReferenceUID, case["frame_of_reference"])
    (study,) = frame.RTReferencedStudySequence
    same("referenced study", study.ReferencedSOPInstanceUID, header.StudyInstanceUID)
    (series,) = study.RTReferencedSeriesSequence
    same("referenced series", series.SeriesInstanceUID, case["series"])
    listed = [
        (i.ReferencedSOPClassUID, i.ReferencedSOPInstanceUID, "ReferencedFrameNumber" in i)
        for i in series.ContourImageSequence
    ]
    same(
        "listed images",
        sorted(listed),
        sorted({(case["sop_class"], s["uid"], False) for s in case["slices"]}),
    )

    (roi,) = rt.StructureSetROISequence
    (observation,) = rt.RTROIObservationsSequence
    same("ROIName", roi.ROIName, name)
    same("ROIObservationLabel", observation.ROIObservationLabel, name)
    same(
        "ROIGenerationAlgorithm",
        roi.ROIGenerationAlgorithm,
        "SEMIAUTOMATIC" if case["edited"] else "AUTOMATIC",
    )
    for part in (case["model"], case["hash"][:12]) + (
        ("NOT FOR CLINICAL USE",) if case["demo"] else ()
    ):
        if part not in roi.ROIDescription:
            raise SystemExit(f"ROIDescription {roi.ROIDescription!r} has no {part!r}")
    same("RTROIInterpretedType", observation.RTROIInterpretedType, "" if case["demo"] else "GTV")
    if not case["demo"]:
        same("identification", observation.RTROIIdentificationCodeSequence[0].CodeValue, "86049000")
        same("anatomic region", observation.AnatomicRegionSequence[0].CodeValue, "360955006")


def fill_holes(mask, corners):
    """Fills holes: outside is the background connected to the border, across corners or not."""
    filled = np.ones_like(mask)
    steps = [(y, x) for y in range(3) for x in range(3) if corners or 1 in (y, x)]
    for k, slice_ in enumerate(mask):
        background = np.pad(slice_ == 0, 1, constant_values=True)
        outside = np.zeros_like(background)
        outside[0, :] = outside[-1, :] = outside[:, 0] = outside[:, -1] = True
        while True:
            grown = np.pad(outside, 1)
            h, w = outside.shape
            grown = np.any([grown[y : y + h, x : x + w] for y, x in steps], axis=0) & background
            if (grown == outside).all():
                break
            outside = grown
        filled[k] = ~outside[1:-1, 1:-1]
    return filled


def expected_masks(case):
    """Voxels that must be inside, and voxels that may be: where a hole is closed by a corner alone,
    filling may take it or leave it.
    """
    ni, nj, nk = case["size"]
    mask = np.fromfile(case["mask"], np.uint8).reshape(nk, nj, ni)
    if case["holes"] == "fill":
        return fill_holes(mask, True) != 0, fill_holes(mask, False) != 0
    return mask != 0, mask != 0


def even_odd(rings, ni, nj):
    image = np.zeros((nj, ni), bool)
    for ring in rings:
        ends = np.roll(ring, -1, axis=0)
        for (x0, y0), (x1, y1) in zip(ring, ends):
            lo, hi = min(y0, y1), max(y0, y1)
            rows = np.arange(max(0, int(np.ceil(lo))), min(nj - 1, int(np.floor(hi))) + 1)
            rows = rows[(y0 <= rows) != (y1 <= rows)]
            for j in rows:
                x = x0 + (x1 - x0) * ((j - y0) / (y1 - y0))
                image[j, max(0, int(np.ceil(x))) :] ^= True
    return image


def check_points(case, rt):
    """Checks that every contour lies on its slice's plane and that the rings reproduce the mask at
    voxel centres.
    """
    ni, nj, nk = case["size"]
    axes = np.array([case["axis_i"], case["axis_j"]]).T
    slices = {(s["uid"], s["frame"]): k for k, s in enumerate(case["slices"])}
    rings = [[] for _ in range(nk)]
    farthest, points = 0.0, 0
    kind = "CLOSEDPLANAR_XOR" if case["holes"] == "xor" else "CLOSED_PLANAR"
    (roi,) = rt.ROIContourSequence
    for contour in getattr(roi, "ContourSequence", []):
        (image,) = contour.ContourImageSequence
        same("image class", image.ReferencedSOPClassUID, case["sop_class"])
        frame = image.get("ReferencedFrameNumber")
        k = slices[(image.ReferencedSOPInstanceUID, None if frame is None else int(frame))]
        same("geometric type", contour.ContourGeometricType, kind)
        texts = [str(v) for v in (contour.ContourData)]
        original = [getattr(v, "original_string", str(v)) for v in contour.ContourData]
        if max(map(len, original)) > 16:
            raise SystemExit("a decimal string is longer than 16 characters")
        xyz = np.array(texts, float).reshape(-1, 3)
        same("number of points", int(contour.NumberOfContourPoints), len(xyz))
        if len(xyz) < 3:
            raise SystemExit("a contour of fewer than three points")
        position = np.array(case["slices"][k]["position"], float)
        row, column = np.array(case["slices"][k]["orientation"], float).reshape(2, 3)
        normal = np.cross(row, column)
        normal /= np.linalg.norm(normal)
        farthest = max(farthest, float(np.abs((xyz - position) @ normal).max()))
        for n in range(3):
            if abs(row[n]) < 1e-9 and abs(column[n]) < 1e-9:
                same(
                    "the plane's coordinate",
                    {o.strip() for o in original[n::3]},
                    {case["slices"][k]["position"][n].strip()},
                )
        rings[k].append(np.linalg.lstsq(axes, (xyz - position).T, rcond=None)[0].T)
        points += len(xyz)
    if farthest > 0.001:
        raise SystemExit(f"a point lies {farthest:.4f} mm off its slice's plane")
    found = np.array([even_odd(r, ni, nj) for r in rings])
    least, most = expected_masks(case)
    different = int(((found & ~most) | (least & ~found)).sum())
    print(
        f"even-odd: {different} of {int(found.sum())} voxels different, {sum(map(len, rings))} "
        f"rings, {points} points, off plane {farthest:.5f} mm"
    )
    return different


def tool(name):
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name)


def check_dciodvfy(case):
    program = tool("dciodvfy")
    if not program:
        return print("dciodvfy: skipped, not installed") or 0
    run = subprocess.run(
        [program, "-new", case["rtstruct"]], capture_output=True, text=True, errors="replace"
    )
    lines = (run.stdout + run.stderr).splitlines()
    errors = [line for line in lines if line.startswith("Error")]
    warnings = sorted({line for line in lines if line.startswith("Warning")})
    print(f"dciodvfy: {len(errors)} errors, {len(warnings)} kinds of warning")
    for line in errors + [w for w in warnings if "PatientName" not in w]:
        print("  " + line)
    return len(errors)


def check_drtdump(case):
    program = tool("drtdump")
    if not program:
        return print("drtdump: skipped, not installed") or 0
    run = subprocess.run(
        [program, case["rtstruct"]], capture_output=True, text=True, errors="replace"
    )
    complaints = [
        line
        for line in (run.stdout + run.stderr).splitlines()
        if line.startswith(("W:", "E:", "F:"))
    ]
    print(f"drtdump: {len(complaints)} warnings")
    for line in complaints:
        print("  " + line)
    return len(complaints) + run.returncode


def check_plastimatch(case, rt):
    program = tool("plastimatch")
    if not program:
        return print("plastimatch: skipped, not installed") or 0
    if case["slices"][0]["frame"] is not None:
        return print("plastimatch: skipped, it reads no multi-frame images") or 0
    if not getattr(rt.ROIContourSequence[0], "ContourSequence", None):
        return print("plastimatch: skipped, nothing drawn") or 0
    if case["holes"] == "xor":
        return print("plastimatch: skipped, it leaves contours of type CLOSEDPLANAR_XOR out") or 0
    with tempfile.TemporaryDirectory() as folder:
        command = [
            program,
            "convert",
            "--input",
            case["rtstruct"],
            "--referenced-ct",
            case["images"],
            "--output-prefix",
            folder,
        ]
        command += ["--prefix-format", "nrrd", "--xor-contours"]
        run = subprocess.run(command, capture_output=True, text=True, errors="replace")
        files = sorted(Path(folder).glob("*.nrrd"))
        if run.returncode or len(files) != 1:
            raise SystemExit(f"plastimatch failed: {run.stdout[-600:]}{run.stderr[-600:]}")
        return different_on(case, sitk.ReadImage(str(files[0])), "plastimatch")


def check_dcmrtstruct2nii(case, rt):
    # It requires older versions of pydicom and numpy, so it has its own environment.
    program = os.environ.get("NASOSEG_DCMRTSTRUCT2NII") or tool("dcmrtstruct2nii")
    if not program:
        return print("dcmrtstruct2nii: skipped, not installed (make judges installs it)") or 0
    if case["slices"][0]["frame"] is not None:
        return print("dcmrtstruct2nii: skipped, it reads no multi-frame images") or 0
    if not getattr(rt.ROIContourSequence[0], "ContourSequence", None):
        return print("dcmrtstruct2nii: skipped, nothing drawn") or 0
    if case["holes"] == "xor":
        return (
            print("dcmrtstruct2nii: skipped, it leaves contours of type CLOSEDPLANAR_XOR out") or 0
        )
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "convert", "-r", case["rtstruct"], "-d", case["images"], "-o", folder]
        run = subprocess.run(command, capture_output=True, text=True, errors="replace")
        files = sorted(Path(folder).glob("mask_*.nii.gz"))
        if run.returncode or len(files) != 1:
            raise SystemExit(f"dcmrtstruct2nii failed: {run.stdout[-600:]}{run.stderr[-600:]}")
        return different_on(case, sitk.ReadImage(str(files[0])), "dcmrtstruct2nii")


def different_on(case, image, name):
    """Voxels of another program's mask that differ. It gives a series one spacing, so slices of
    uneven distance are compared where it places them right.
    """
    found = sitk.GetArrayFromImage(image)
    least, most = expected_masks(case)
    ni, nj, nk = case["size"]
    axis_i, axis_j = np.array(case["axis_i"]), np.array(case["axis_j"])
    j, i = np.meshgrid(np.arange(nj), np.arange(ni), indexing="ij")
    # Physical point -> index of the other image, all at once.
    direction = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    inverse = np.linalg.inv(direction)
    different, compared = 0, 0
    for k in range(nk):
        position = np.array(case["slices"][k]["position"], float)
        points = position + i[..., None] * axis_i + j[..., None] * axis_j
        index = (points - np.array(image.GetOrigin())) @ inverse.T
        nearest = np.rint(index).astype(int)
        if np.abs(index - nearest).max() > 0.05:
            continue
        x, y, z = nearest[..., 0], nearest[..., 1], nearest[..., 2]
        within = (
            (x >= 0)
            & (y >= 0)
            & (z >= 0)
            & (x < found.shape[2])
            & (y < found.shape[1])
            & (z < found.shape[0])
        )
        read = np.zeros((nj, ni), bool)
        read[within] = found[z[within], y[within], x[within]] != 0
        different += int(((read & ~most[k]) | (least[k] & ~read)).sum())
        compared += 1
    if not compared:
        raise SystemExit(f"{name}: none of the slices lies where the series' slices lie")
    print(
        f"{name}: {different} voxels different on {compared} of {nk} slices, "
        f"{int((found != 0).sum())} voxels read"
    )
    return different


def check_simpleitk(case, rt):
    """The series and its geometry as SimpleITK reads them: points go to its voxel indices, even-odd
    decides.
    """
    if case["slices"][0]["frame"] is not None:
        return print("SimpleITK: skipped, it gives a multi-frame file one stack of its own") or 0
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(case["images"], case["series"])
    image = sitk.ReadImage(names)
    ni, nj, nk = image.GetSize()
    same("SimpleITK's size", [ni, nj, nk], case["size"])
    rings, off = [[] for _ in range(nk)], 0.0
    for contour in getattr(rt.ROIContourSequence[0], "ContourSequence", []):
        xyz = np.array([float(v) for v in contour.ContourData]).reshape(-1, 3)
        index = np.array([image.TransformPhysicalPointToContinuousIndex(p.tolist()) for p in xyz])
        k = int(np.rint(index[0, 2]))
        off = max(off, np.abs(index[:, 2] - k).max())
        rings[k].append(index[:, :2])
    if off > 0.01:
        return print("SimpleITK: skipped, it gives slices of uneven distance one spacing") or 0
    found = np.array([even_odd(r, ni, nj) for r in rings])
    least, most = expected_masks(case)
    different = int(((found & ~most) | (least & ~found)).sum())
    print(f"SimpleITK: {different} of {int(found.sum())} voxels different")
    return different


def main():
    case = json.loads(Path(sys.argv[1]).read_text())
    rt = pydicom.dcmread(case["rtstruct"])
    check_attributes(case, rt)
    print("pydicom: every attribute as expected")
    rasterisers = [check_points, check_simpleitk, check_plastimatch, check_dcmrtstruct2nii]
    failures = (
        sum(check(case, rt) for check in rasterisers) + check_dciodvfy(case) + check_drtdump(case)
    )
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
