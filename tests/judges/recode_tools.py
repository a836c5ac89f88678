"""Stores a DICOM series with DCMTK's and GDCM's programs.

In: a folder of MR images. Out, under OUT: one folder for each encoding, with the same voxels at the
same positions (`near_` in its name: within 3 grey levels). A line that begins with "skipped" for
every program that is not installed.

usage: recode_tools.py PATH OUT
"""

import shutil
import subprocess
import sys
from pathlib import Path

# Arguments of the DCMTK programs; "+fs 1" cuts frames into fragments of 1 KiB.
DCMTK = {
    "implicit": ["dcmconv", "+ti"],
    "big_endian": ["dcmconv", "+tb"],
    "deflated": ["dcmconv", "+td"],
    "no_meta": ["dcmconv", "-F", "+ti"],
    "group_lengths": ["dcmconv", "+te", "+g", "+e"],
    "open_sequences": ["dcmconv", "+te", "-e"],
    "padded": ["dcmconv", "+te", "+p", "512", "16"],
    "rle": ["dcmcrle"],
    "rle_fragments": ["dcmcrle", "+fs", "1"],
    "jpeg_lossless_sv1": ["dcmcjpeg", "+e1"],
    "jpeg_lossless_fragments": ["dcmcjpeg", "+e1", "+fs", "1"],
    "jpeg_lossless_sv6": ["dcmcjpeg", "+el", "+sv", "6"],
    "jpeg_ls": ["dcmcjpls", "+el"],
    "jpeg_ls_fragments_no_table": ["dcmcjpls", "+el", "-ot"],
    "near_jpeg_ls": ["dcmcjpls", "+en", "+md", "3"],
}

GDCM = {
    "implicit": "ImplicitVRLittleEndian",
    "big_endian": "ExplicitVRBigEndian",
    "rle": "RLELossless",
    "jpeg_lossless": "JPEGLosslessProcess14_1",
    "jpeg_ls": "JPEGLSLossless",
    "jpeg2000": "JPEG2000Lossless",
}


def dcmtk(files, out):
    for name, (program, *options) in DCMTK.items():
        if not shutil.which(program):
            print(f"skipped: {program} is not installed (Debian: dcmtk)")
            continue
        folder = out / f"dcmtk_{name}"
        folder.mkdir()
        for file in files:
            subprocess.run(
                [program, *options, str(file), str(folder / file.name)],
                check=True,
                capture_output=True,
            )


def gdcm(files, out):
    try:
        import gdcm
    except ImportError:
        print("skipped: python-gdcm is not installed")
        return
    for name, syntax in GDCM.items():
        folder = out / f"gdcm_{name}"
        folder.mkdir()
        for file in files:
            reader = gdcm.ImageReader()
            reader.SetFileName(str(file))
            assert reader.Read(), file
            change = gdcm.ImageChangeTransferSyntax()
            change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
            change.SetInput(reader.GetImage())
            assert change.Change(), f"{file} to {syntax}"
            writer = gdcm.ImageWriter()
            writer.SetFileName(str(folder / file.name))
            writer.SetFile(reader.GetFile())
            writer.SetImage(change.GetOutput())
            assert writer.Write(), f"{file} as {syntax}"


def main():
    files, out = sorted(p for p in Path(sys.argv[1]).iterdir() if p.is_file()), Path(sys.argv[2])
    dcmtk(files, out)
    gdcm(files, out)


main()
