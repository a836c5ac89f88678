"""Stores a DICOM series in other legal encodings.

In: a folder of single-frame files. Out, under OUT: one folder for each encoding,
with the same images.

usage: recode.py PATH OUT
"""

import sys
from pathlib import Path

import numpy as np
import pydicom
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)


def syntax(uid):
    def change(ds):
        ds.file_meta.TransferSyntaxUID = uid

    return change


def compressed(uid, fragments=1):
    def change(ds):
        ds.compress(uid, generate_instance_uid=False)
        if fragments > 1:
            frame = next(generate_frames(ds.PixelData, number_of_frames=1))
            ds.PixelData = encapsulate([frame], fragments_per_frame=fragments, has_bot=False)

    return change


def monochrome1(ds):
    ds.PhotometricInterpretation = "MONOCHROME1"


def signed(ds):
    ds.PixelData = (ds.pixel_array.astype(np.int32) - 500).astype("<i2").tobytes()
    ds.PixelRepresentation, ds.BitsStored, ds.HighBit = 1, 16, 15


def bytes8(ds):
    ds.PixelData = (ds.pixel_array & 255).astype(np.uint8).tobytes()
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds["PixelData"].VR = "OB"


WAYS = {
    "implicit": syntax(ImplicitVRLittleEndian),
    "big_endian": syntax(ExplicitVRBigEndian),
    "deflated": syntax(DeflatedExplicitVRLittleEndian),
    "rle": compressed(RLELossless),
    "jpeg2000": compressed(JPEG2000Lossless),
    "jpeg2000_fragments": compressed(JPEG2000Lossless, fragments=5),
    "monochrome1": monochrome1,
    "signed": signed,
    "signed_rle": lambda ds: (signed(ds), compressed(RLELossless)(ds)),
    "signed_jpeg2000": lambda ds: (signed(ds), compressed(JPEG2000Lossless)(ds)),
    "bytes": bytes8,
    "bytes_rle": lambda ds: (bytes8(ds), compressed(RLELossless)(ds)),
    "bytes_jpeg2000": lambda ds: (bytes8(ds), compressed(JPEG2000Lossless)(ds)),
}


def main():
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    for name, change in WAYS.items():
        (out / name).mkdir()
        for file in sorted(source.iterdir()):
            ds = pydicom.dcmread(file)
            assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
            ds.remove_private_tags()
            change(ds)
            target = ds.file_meta.TransferSyntaxUID
            if target == ExplicitVRBigEndian:
                ds.PixelData = ds.pixel_array.astype(
                    ds.pixel_array.dtype.newbyteorder(">")
                ).tobytes()
                ds["PixelData"].VR = "OW"
            # A data set remembers the encoding that it was read in; its elements, decoded, do not.
            fresh = pydicom.Dataset()
            fresh.update({element.tag: element for element in ds})
            fresh.file_meta = ds.file_meta
            fresh.save_as(out / name / file.name, enforce_file_format=True)


main()
