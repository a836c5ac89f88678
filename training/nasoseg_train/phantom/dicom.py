"""Writes a phantom as a folder of three DICOM MR series and the true mask as NIfTI.

out_dir/T1/*.dcm, T1C/*.dcm, T2/*.dcm    MR Image Storage, one frame of reference, one study
out_dir/truth.nii.gz                     uint8 mask on T1C's grid

Everything follows from the seed, UIDs included. File names are in no order: a reader has to sort by
position.
"""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from .nifti import write_truth
from .patient import Phantom
from .tissue import SEQUENCES, TR_TE_MS

_DESCRIPTION = {"T1": "AX T1 SE", "T1C": "AX T1 SE +C", "T2": "AX T2 SE"}
_DATE = "20120102"


def _uid(*parts: object) -> str:
    return generate_uid(entropy_srcs=["nasoseg phantom", *map(str, parts)])


def _common(phantom: Phantom, name: str) -> Dataset:
    """What all images of a series share."""
    number = SEQUENCES.index(name) + 1
    tr, te = TR_TE_MS[name]
    between, rows_mm, columns_mm = phantom.spacing_of(name)
    d = Dataset()
    d.SpecificCharacterSet = "ISO_IR 100"
    d.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    d.SOPClassUID = MRImageStorage
    d.StudyDate = d.SeriesDate = d.AcquisitionDate = d.ContentDate = _DATE
    d.StudyTime, d.SeriesTime = "090000", f"09{number:02d}00"
    d.AcquisitionTime = d.ContentTime = d.SeriesTime
    d.AccessionNumber = ""
    d.Modality = "MR"
    d.Manufacturer = "nasoseg phantom"
    d.ManufacturerModelName = "phantom"
    d.ReferringPhysicianName = ""
    d.StudyDescription = "Synthetic nasopharynx"
    d.SeriesDescription = _DESCRIPTION[name]
    d.PatientName = f"PHANTOM^{phantom.seed}"
    d.PatientID = f"PHANTOM{phantom.seed}"
    d.PatientBirthDate = ""
    d.PatientSex = "O"
    if name == "T1C":
        d.ContrastBolusAgent = "Gadopentetate dimeglumine"
        d.ContrastBolusRoute = "Intravenous"
    d.BodyPartExamined = "HEAD"
    d.ScanningSequence = "SE"
    d.SequenceVariant = "NONE"
    d.ScanOptions = ""
    d.MRAcquisitionType = "2D"
    d.SliceThickness = "5"
    d.RepetitionTime, d.EchoTime = str(tr), str(te)
    d.MagneticFieldStrength = "1.5"
    d.SpacingBetweenSlices = str(between)
    d.EchoTrainLength = "1"
    d.PatientPosition = "HFS"
    d.StudyInstanceUID = _uid(phantom.seed, "study")
    d.SeriesInstanceUID = _uid(phantom.seed, name)
    d.StudyID = str(phantom.seed)
    d.SeriesNumber = str(number)
    d.AcquisitionNumber = "1"
    d.FrameOfReferenceUID = _uid(phantom.seed, "frame of reference")
    d.PositionReferenceIndicator = ""
    d.SamplesPerPixel = 1
    d.PhotometricInterpretation = "MONOCHROME2"
    d.PixelSpacing = [str(rows_mm), str(columns_mm)]
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 12, 11, 0
    d.RescaleIntercept, d.RescaleSlope, d.RescaleType = "0", "1", "US"
    return d


def _decimal(value: float) -> str:
    """A DS value: at most 16 characters."""
    text = f"{value:.10f}"
    return text[:16] if "." in text[:15] else f"{value:.8e}"


def write_dicom(phantom: Phantom, out_dir: Path) -> None:
    """Write three series and the truth; `out_dir` is created if missing."""
    out_dir = Path(out_dir)
    for name in SEQUENCES:
        voxels, affine = phantom.sequence(name)
        folder = out_dir / name
        folder.mkdir(parents=True, exist_ok=True)
        common = _common(phantom, name)
        cosines = affine[:3, :2] / np.linalg.norm(affine[:3, :2], axis=0)
        common.ImageOrientationPatient = [_decimal(v) for v in cosines.T.ravel()]
        common.Rows, common.Columns = voxels.shape[1:]
        ceiling = float(np.percentile(voxels[:, ::4, ::4], 99.5))
        common.WindowCenter, common.WindowWidth = str(round(ceiling / 2.0)), str(round(ceiling))
        order = np.random.Generator(
            np.random.PCG64([phantom.seed, SEQUENCES.index(name)])
        ).permutation(len(voxels))
        normal = np.cross(*cosines.T)
        for k, plane in enumerate(voxels):
            d = Dataset()
            d.update(common)
            d.SOPInstanceUID = _uid(phantom.seed, name, k)
            d.InstanceNumber = str(k + 1)
            position = affine[:3, :3] @ np.array([0.0, 0.0, k]) + affine[:3, 3]
            d.ImagePositionPatient = [_decimal(v) for v in position]
            d.SliceLocation = _decimal(float(position @ normal))
            d.PixelData = plane.astype("<u2").tobytes()
            d["PixelData"].VR = "OW"
            meta = FileMetaDataset()
            meta.MediaStorageSOPClassUID = MRImageStorage
            meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID
            meta.TransferSyntaxUID = ExplicitVRLittleEndian
            meta.ImplementationVersionName = "NASOSEG_PHANTOM"
            path = folder / f"IM{int(order[k]):04d}.dcm"
            FileDataset(str(path), d, file_meta=meta, preamble=b"\0" * 128).save_as(
                str(path), enforce_file_format=True
            )
    write_truth(phantom, out_dir)
