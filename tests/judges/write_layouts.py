"""Writes DICOM series of one image in any storage order, with pydicom.

In: a description (JSON, written by tests/orientation): voxels, size, affine to LPS mm and words for
each series. Out: one folder for each series; its file names are not in slice order.

usage: write_layouts.py DESCRIPTION
"""

import json
import sys
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from pydicom.valuerep import DS

ROOT = "1.2.826.0.1.3680043.10.4321"


def numbers(values):
    return [DS(float(v), auto_format=True) for v in values]


def write(series):
    ni, nj, nk = series["size"]
    voxels = np.fromfile(series["voxels"], "<u2").reshape(nk, nj, ni)
    affine = np.array(series["affine"], float)
    axis_i, axis_j, axis_k, origin = affine[:3].T
    spacing_i, spacing_j, spacing_k = (
        float(np.linalg.norm(axis)) for axis in (axis_i, axis_j, axis_k)
    )
    folder = Path(series["folder"])
    folder.mkdir(parents=True)
    for k in range(nk):
        ds = FileDataset(None, {}, preamble=b"\0" * 128)
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = MRImageStorage
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = (
            f"{ROOT}.{series['number']}.{k + 1}"
        )
        ds.StudyInstanceUID, ds.FrameOfReferenceUID = f"{ROOT}.0", f"{ROOT}.9"
        ds.SeriesInstanceUID = f"{ROOT}.{series['number']}"
        ds.Modality, ds.SeriesDescription = "MR", series["name"]
        ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = (
            "TEST^PATIENT",
            "T-1",
            "19700101",
            "O",
        )
        ds.StudyDate, ds.StudyTime, ds.StudyID, ds.SeriesNumber = (
            "20260101",
            "120000",
            "1",
            series["number"],
        )
        ds.AccessionNumber, ds.ReferringPhysicianName, ds.PositionReferenceIndicator = "", "", ""
        ds.PatientPosition = series["patient_position"]
        ds.InstanceNumber = k + 1
        ds.ImagePositionPatient = numbers(origin + k * axis_k)
        ds.ImageOrientationPatient = numbers([*(axis_i / spacing_i), *(axis_j / spacing_j)])
        ds.PixelSpacing = numbers([spacing_j, spacing_i])
        ds.SliceThickness = numbers([spacing_k])[0]
        # Some writers put the sign of the direction here; readers must use the positions.
        ds.SpacingBetweenSlices = numbers([series["sign"] * spacing_k])[0]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.Rows, ds.Columns = nj, ni
        ds.BitsAllocated = ds.BitsStored = 16
        ds.HighBit, ds.PixelRepresentation = 15, 0
        ds.PixelData = voxels[k].tobytes()
        pydicom.dcmwrite(folder / f"{(k * 7 + 3) % 101:03}.dcm", ds, enforce_file_format=True)


def main():
    for series in json.loads(Path(sys.argv[1]).read_text()):
        write(series)


main()
