"""Makes the seeds of fuzzing.

In: nothing, or a folder of real files (by default the real images of the tests, if they exist;
docs/reference/test-data.md).
Out: fuzz/seeds/{dicom,nifti,nrrd,bundle}, small files that every reader takes: a synthetic enhanced
MR image of two frames in every transfer syntax, NIfTI and NRRD in every sample type and encoding,
the project's own manifests; of real files those that are small, and the beginnings of the others.

usage: seeds.py [DATA]
"""

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
    RLELossless,
)

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "data"))

import real_data  # noqa: E402

LARGEST = 64 << 10


def group(**attributes):
    item = pydicom.Dataset()
    for name, value in attributes.items():
        setattr(item, name, value)
    return [item]


def image(frames=2, rows=12, columns=16):
    """An enhanced image whose frames lie 3 mm apart."""
    ds = pydicom.Dataset()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = EnhancedMRImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "1.2.3.4"
    ds.SpecificCharacterSet, ds.Modality, ds.PatientName, ds.PatientID = (
        "ISO_IR 192",
        "MR",
        "A^B",
        "1",
    )
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2.1", "1.2.2", "1.2.5"
    ds.ImageType, ds.SeriesDescription = ["ORIGINAL", "PRIMARY", "M", "NONE"], "t1"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.NumberOfFrames, ds.Rows, ds.Columns = frames, rows, columns
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.SharedFunctionalGroupsSequence = group(
        PlaneOrientationSequence=group(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        PixelMeasuresSequence=group(PixelSpacing=[0.5, 0.75]),
        MREchoSequence=group(EffectiveEchoTime=12.5),
        PixelValueTransformationSequence=group(RescaleIntercept=0, RescaleSlope=2),
    )
    ds.PerFrameFunctionalGroupsSequence = [
        group(
            PlanePositionSequence=group(ImagePositionPatient=[-10.5, 20, 3 * n]),
            FrameContentSequence=group(
                StackID="1", InStackPositionNumber=n + 1, TemporalPositionIndex=1
            ),
        )[0]
        for n in range(frames)
    ]
    k, j, i = np.indices((frames, rows, columns))
    ds.PixelData = ((17 * k + 5 * j + 3 * i) % 800).astype("<u2").tobytes()
    return ds


def dicom(out, data):
    def save(name, ds):
        ds.save_as(out / f"{name}.dcm", enforce_file_format=True)

    save("explicit", image())
    for name, uid in [
        ("implicit", ImplicitVRLittleEndian),
        ("deflated", DeflatedExplicitVRLittleEndian),
    ]:
        ds = image()
        ds.file_meta.TransferSyntaxUID = uid
        save(name, ds)
    ds = image()
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    ds["PixelData"].VR = "OW"
    save("big_endian", ds)
    for name, uid in [("rle", RLELossless), ("jpeg2000", JPEG2000Lossless)]:
        # The wavelets of JPEG 2000 require 32 pixels.
        ds = image(rows=40, columns=48)
        ds.compress(uid, generate_instance_uid=False)
        save(name, ds)
    ds = image()
    ds.PhotometricInterpretation, ds.PixelRepresentation = "MONOCHROME1", 1
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.PixelData = (np.frombuffer(ds.PixelData, "<u2") & 255).astype("u1").tobytes()
    ds["PixelData"].VR = "OB"
    save("bytes", ds)
    single = image(1)
    del (
        single.PerFrameFunctionalGroupsSequence,
        single.SharedFunctionalGroupsSequence,
        single.NumberOfFrames,
    )
    single.SOPClassUID = single.file_meta.MediaStorageSOPClassUID = MRImageStorage
    single.ImagePositionPatient, single.ImageOrientationPatient, single.PixelSpacing = (
        [0, 0, 0],
        [1, 0, 0, 0, 1, 0],
        [1, 1],
    )
    save("single", single)

    for program, name, options in [
        ("dcmcjpeg", "jpeg_sv1", ["+e1"]),
        ("dcmcjpeg", "jpeg_fragments", ["+e1", "+fs", "1"]),
        ("dcmcjpeg", "jpeg_extended", ["+ee"]),
        ("dcmcjpls", "jpeg_ls", ["+el"]),
        ("dcmcjpls", "jpeg_ls_near", ["+en"]),
    ]:
        if not shutil.which(program):
            print(f"skipped: {program} is not installed (Debian: dcmtk)")
            continue
        subprocess.run(
            [program, *options, str(out / "explicit.dcm"), str(out / f"{name}.dcm")],
            check=True,
            capture_output=True,
        )
    real(out, sorted(data.rglob("*.dcm")) if data else [])


def real(out, files):
    """Copies small files, and the beginnings of large ones, which hold the header."""
    for n, file in enumerate(files):
        raw = file.read_bytes()
        # A truncated gzip file is useless; the last four bytes of a whole one give its inflated
        # length.
        if file.suffix == ".gz" and (
            len(raw) > LARGEST or int.from_bytes(raw[-4:], "little") > 4 << 20
        ):
            continue
        (out / f"real_{n:03}").write_bytes(raw[:LARGEST])


def nifti(out, data):
    import nibabel

    voxels = np.arange(60).reshape(5, 4, 3)
    for kind in ["u1", "i2", "i4", "f4", "f8", "i1", "u2", "u4", "i8", "u8"]:
        for order in "<>":
            header = nibabel.Nifti1Header(endianness=order)
            header.set_data_dtype(np.dtype(order + kind))
            made = nibabel.Nifti1Image(
                voxels.astype(order + kind), np.diag([-2.0, -3, 4, 1]), header
            )
            nibabel.save(made, out / f"{kind}_{'little' if order == '<' else 'big'}.nii")
    made = nibabel.Nifti1Image(voxels.astype("i2"), None)
    made.set_qform(np.array([[0, 2.0, 0, 1], [3, 0, 0, 2], [0, 0, -4, 3], [0, 0, 0, 1]]), 1)
    made.header["scl_slope"], made.header["scl_inter"] = 0.5, 10
    nibabel.save(made, out / "qform.nii.gz")
    (out / "zeros.nii.gz").write_bytes(
        gzip.compress((out / "f4_little.nii").read_bytes()[:352] + bytes(240))
    )
    real(out, sorted(data.rglob("*.nii.gz")) if data else [])


def nrrd(out, data):
    head = (
        "NRRD0004\ntype: {}\ndimension: 3\nspace: {}\nsizes: 2 3 2\n"
        "space directions: (2,0,0) (0,3,0) (0,0,4)\nendian: {}\nspace origin: (1,2,3)\n"
        "encoding: {}\n{}\n"
    )
    voxels = np.arange(12)
    for kind, code in [
        ("uchar", "u1"),
        ("short", "i2"),
        ("float", "f4"),
        ("double", "f8"),
        ("int64", "i8"),
    ]:
        for endian, order in [("little", "<"), ("big", ">")]:
            raw = voxels.astype(order + code).tobytes()
            (out / f"{kind}_{endian}_raw.nrrd").write_bytes(
                head.format(kind, "left-posterior-superior", endian, "raw", "").encode() + raw
            )
            (out / f"{kind}_{endian}_gz.nrrd").write_bytes(
                head.format(kind, "RAS", endian, "gzip", "").encode() + gzip.compress(raw)
            )
    text = head.format(
        "short", "LAS", "little", "ascii", "key:=value\n# comment\n"
    ).encode() + b" ".join(b"%d" % v for v in voxels)
    (out / "text.nrrd").write_bytes(text)
    (out / "tail.nrrd").write_bytes(
        head.format("uchar", "LPS", "little", "raw", "byte skip: -1\n").encode()
        + b"before"
        + bytes(range(12))
    )
    (out / "skip.nrrd").write_bytes(
        head.format("uchar", "LPS", "little", "raw", "line skip: 1\nbyte skip: 2\n").encode()
        + b"line\nxx"
        + bytes(12)
    )
    real(out, sorted(data.rglob("*.nrrd")) if data else [])


def bundle(out, _):
    for manifest in [
        *HERE.parent.glob("models/*/bundle.json"),
        *HERE.parent.glob("tests/data/*/bundle.json"),
    ]:
        (out / f"{manifest.parent.name}.json").write_bytes(manifest.read_bytes())


def main():
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else real_data.root()
    if data is None:
        print(f"no real files: {real_data.DEFAULT} is missing (docs/reference/test-data.md)")
    elif not data.is_dir():
        sys.exit(f"{data}: not a folder, expected a folder of real files. Correct the path")
    for make in (dicom, nifti, nrrd, bundle):
        out = HERE / "seeds" / make.__name__
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        make(out, data)
        files = list(out.iterdir())
        print(f"{make.__name__}: {len(files)} seeds, {sum(f.stat().st_size for f in files)} bytes")


main()
