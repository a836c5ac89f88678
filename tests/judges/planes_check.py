"""Checks that structure sets lie on the original planes of any orientation, and that other programs
read the same mask from them.

In: a list of cases (JSON, written by tests/orientation), each in the form that rtstruct_check.py
requires, with the names of further judges. Out: a line for every case; exit code 1 if a judge
disagrees.

usage: planes_check.py CASES
"""

import json
import sys
from pathlib import Path

import pydicom
import rtstruct_check as judges


def check(case):
    rt = pydicom.dcmread(case["rtstruct"])
    print(case["name"])
    # Every image of the series is listed, and every contour references one of them (check_points
    # looks it up).
    (frame,) = rt.ReferencedFrameOfReferenceSequence
    (study,) = frame.RTReferencedStudySequence
    (series,) = study.RTReferencedSeriesSequence
    judges.same("referenced series", series.SeriesInstanceUID, case["series"])
    judges.same("frame of reference", frame.FrameOfReferenceUID, case["frame_of_reference"])
    listed = sorted(i.ReferencedSOPInstanceUID for i in series.ContourImageSequence)
    on_disk = sorted(
        pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID
        for f in Path(case["images"]).iterdir()
    )
    judges.same("listed images", listed, on_disk)
    failures = judges.check_points(case, rt)
    if "plastimatch" in case["judges"]:
        failures += judges.check_plastimatch(case, rt)
    if "dciodvfy" in case["judges"]:
        failures += judges.check_dciodvfy(case) + judges.check_drtdump(case)
    return failures


def main():
    sys.exit(1 if sum([check(case) for case in json.loads(Path(sys.argv[1]).read_text())]) else 0)


if __name__ == "__main__":
    main()
