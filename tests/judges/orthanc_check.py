"""Stores a structure set in an archive and finds it again with the images that it references.

In: a folder of images (--images) and their structure set (--rtstruct). Out: one line per step; exit
code 1 and the reason if one fails.

A private Orthanc (Debian: orthanc, orthanc-dicomweb, dcmtk) is started on free ports of this
machine, with an empty store that is removed afterwards:
1. images and structure set are stored by C-STORE and found by REST in one study, with every image
   that the structure set references;
2. the structure set is returned as it was sent, element by element;
3. deleted and sent again by REST, it is found again;
4. DICOMweb lists it as RTSTRUCT of the images' study, if the plug-in is installed.
"""

import argparse
import contextlib
import io
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pydicom

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Archive:
    """Orthanc by its REST interface."""

    def __init__(self, http, dicom):
        self.root, self.dicom = f"http://127.0.0.1:{http}", dicom

    def call(self, path, data=None, method=None, accept="application/json"):
        request = urllib.request.Request(
            self.root + path, data=data, method=method, headers={"Accept": accept}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def json(self, path, data=None):
        return json.loads(self.call(path, data))

    def find(self, level, **query):
        body = {"Level": level, "Query": query, "Expand": True}
        return self.json("/tools/find", json.dumps(body).encode())


@contextlib.contextmanager
def running():
    """A private Orthanc, ready to answer."""
    with tempfile.TemporaryDirectory() as folder:
        http, dicom = free_port(), free_port()
        settings = {
            "Name": "judge",
            "StorageDirectory": f"{folder}/store",
            "IndexDirectory": f"{folder}/store",
            "HttpPort": http,
            "DicomPort": dicom,
            "DicomAet": "JUDGE",
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowStore": True,
            "Plugins": [str(PLUGIN)] if PLUGIN.exists() else [],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        configuration, log = Path(folder, "orthanc.json"), Path(folder, "log")
        configuration.write_text(json.dumps(settings))
        with log.open("wb") as out:
            server = subprocess.Popen(
                ["Orthanc", str(configuration)], stdout=out, stderr=subprocess.STDOUT
            )
            try:
                archive = Archive(http, dicom)
                for _ in range(120):
                    if server.poll() is not None:
                        sys.exit(f"Orthanc ended: {log.read_text(errors='replace')[-2000:]}")
                    with contextlib.suppress(urllib.error.URLError, ConnectionError):
                        archive.json("/system")
                        break
                    time.sleep(0.5)
                else:
                    sys.exit(
                        "Orthanc did not answer within a minute: "
                        f"{log.read_text(errors='replace')[-2000:]}"
                    )
                yield archive
            finally:
                server.terminate()
                server.wait(30)


def check(condition, what):
    if not condition:
        sys.exit(f"Orthanc: {what}")


def named_images(rt):
    """Every image that the structure set references, in its series or for a contour."""
    series = (
        rt.ReferencedFrameOfReferenceSequence[0]
        .RTReferencedStudySequence[0]
        .RTReferencedSeriesSequence[0]
    )
    named = {image.ReferencedSOPInstanceUID for image in series.ContourImageSequence}
    for contour in getattr(rt.ROIContourSequence[0], "ContourSequence", []):
        named.update(image.ReferencedSOPInstanceUID for image in contour.ContourImageSequence)
    return named, series.SeriesInstanceUID


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--rtstruct", type=Path, required=True)
    arguments = parser.parse_args()
    missing = [program for program in ("Orthanc", "storescu") if not shutil.which(program)]
    if missing:
        print(
            f"SKIPPED: {' and '.join(missing)} not installed "
            "(Debian: orthanc, orthanc-dicomweb, dcmtk)"
        )
        return
    rt = pydicom.dcmread(arguments.rtstruct)
    named, series_uid = named_images(rt)
    with running() as archive:
        store = [
            "storescu",
            "--scan-directories",
            "--call",
            "JUDGE",
            "127.0.0.1",
            str(archive.dicom),
        ]
        for path in (arguments.images, arguments.rtstruct):
            sent = subprocess.run([*store, str(path)], capture_output=True, text=True)
            check(sent.returncode == 0, f"C-STORE of {path} failed: {sent.stdout}{sent.stderr}")

        def stored():
            found = archive.find("Instance", SOPInstanceUID=rt.SOPInstanceUID)
            check(len(found) == 1, f"{len(found)} instances have the structure set's UID")
            return found[0]["ID"]

        identity = stored()
        study = archive.json(f"/instances/{identity}/study")
        check(
            study["MainDicomTags"]["StudyInstanceUID"] == rt.StudyInstanceUID,
            "the structure set is in another study",
        )
        check(
            len(study["Series"]) == 2,
            f"{len(study['Series'])} series in the study; images and structure set were expected",
        )
        (images,) = archive.find("Series", SeriesInstanceUID=series_uid)
        check(images["ParentStudy"] == study["ID"], "the images are in another study")
        there = {
            archive.json(f"/instances/{i}")["MainDicomTags"]["SOPInstanceUID"]
            for i in images["Instances"]
        }
        check(
            named <= there,
            f"{len(named - there)} images that the structure set references are missing",
        )
        print(
            f"C-STORE: structure set and {len(there)} images in one study, among them all "
            f"{len(named)} images that it references"
        )

        back = pydicom.dcmread(
            io.BytesIO(archive.call(f"/instances/{identity}/file", accept="*/*"))
        )
        check(back == rt, "the structure set was changed")
        print(
            "REST: it is returned as it was sent, "
            f"{len(rt.ROIContourSequence[0].get('ContourSequence', []))} contours"
        )

        archive.call(f"/instances/{identity}", method="DELETE")
        check(
            not archive.find("Instance", SOPInstanceUID=rt.SOPInstanceUID),
            "it is still there after it was deleted",
        )
        answer = archive.json("/instances", arguments.rtstruct.read_bytes())
        check(answer["Status"] == "Success" and stored() == answer["ID"], f"REST upload: {answer}")
        check(
            archive.json(f"/instances/{answer['ID']}/study")["ID"] == study["ID"],
            "sent by REST, it is in another study",
        )
        print("REST: sent again, in the same study")

        if not PLUGIN.exists():
            print("SKIPPED: DICOMweb: the plug-in is not installed (Debian: orthanc-dicomweb)")
            return
        listed = archive.json(f"/dicom-web/studies/{rt.StudyInstanceUID}/series?Modality=RTSTRUCT")
        check(
            [s["0020000E"]["Value"] for s in listed] == [[rt.SeriesInstanceUID]],
            f"DICOMweb lists {listed}",
        )
        meta = archive.json(
            f"/dicom-web/studies/{rt.StudyInstanceUID}/series/{rt.SeriesInstanceUID}/metadata"
        )
        (regions,) = [m["30060020"]["Value"] for m in meta]
        check(
            regions[0]["30060026"]["Value"] == [rt.StructureSetROISequence[0].ROIName],
            "DICOMweb names another region",
        )
        print(f"DICOMweb: RTSTRUCT with region {rt.StructureSetROISequence[0].ROIName}")


main()
