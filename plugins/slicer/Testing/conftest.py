"""The panel on a fresh scene of the real core, and the studies of the tests.

The package `nasoseg` must be importable: `make test-slicer` installs it. NASOSEG_PHANTOM is the
folder of a synthetic study (T1, T1C, T2 as DICOM).
"""

import functools
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import pydicom
import pytest
from standins import desktop, pythonqt

LOGIC = desktop.install()

import NasoSeg  # noqa: E402
import slicer  # noqa: E402

ROOT = Path(__file__).parents[3]
MICRO = ROOT / "tests" / "data" / "micro"
sys.path.insert(0, str(ROOT / "tests" / "data"))

import real_data  # noqa: E402

TRIO = real_data.folder("mr_trio_tcga")
SCREENSHOTS = ROOT / "plugins" / "slicer" / "Screenshots"


class Panel:
    """The module's panel, as a user sees it."""

    def __init__(self):
        from PySide6 import QtWidgets

        self.window = QtWidgets.QWidget()
        QtWidgets.QVBoxLayout(self.window)
        self.window.resize(440, 1000)
        self.widget = NasoSeg.NasoSegWidget(pythonqt.wrap(self.window))
        self.widget.setup()
        self.window.show()
        self.ui = self.widget.ui

    @property
    def logic(self):
        return self.widget.logic

    @property
    def node(self):
        return self.widget._parameterNode

    @property
    def running(self):
        return self.logic.job is not None

    def pump(self, seconds=0.0):
        """Processes Qt's events, as the desktop program's event loop does."""
        until = time.monotonic() + seconds
        pythonqt.application.processEvents()
        while time.monotonic() < until:
            pythonqt.application.processEvents()
            time.sleep(0.002)

    def finish(self, seconds=300):
        until = time.monotonic() + seconds
        while self.running:
            assert time.monotonic() < until, "the run did not end"
            pythonqt.application.processEvents()
            time.sleep(0.002)

    def press(self, name):
        """A real click, which a disabled button ignores."""
        button = getattr(self.ui, name)
        assert button.enabled, f"{name} is disabled"
        button.click()

    def select(self, t1, t1c, t2):
        self.ui.t1Selector.setCurrentNode(t1)
        self.ui.t1cSelector.setCurrentNode(t1c)
        self.ui.t2Selector.setCurrentNode(t2)

    def run(self, button="applyButton"):
        desktop.errors.clear()
        self.press(button)
        self.finish()
        assert desktop.errors == []


@pytest.fixture
def panel():
    slicer.mrmlScene.Clear(0)
    desktop.errors.clear()
    made = Panel()
    yield made
    made.widget.cleanup()
    made.window.close()
    slicer.mrmlScene.Clear(0)


def volumes_logic():
    return LOGIC.GetModuleLogic("Volumes")


def load(file, name):
    node = volumes_logic().AddArchetypeVolume(str(file), name, 0)
    assert node is not None, file
    return node


def phantom_folder():
    found = os.environ.get("NASOSEG_PHANTOM")
    if not found:
        pytest.fail("NASOSEG_PHANTOM names no folder; run these tests by `make test-slicer`")
    return Path(found)


class Archive:
    """Answers as Slicer's DICOM database does: with the file of a SOP instance."""

    def __init__(self):
        self.files = {}

    def __call__(self, uid):
        return self.files.get(uid, "")


@functools.cache
def read_series(folder):
    """Voxels [k, j, i], their affine (RAS), the data sets and their files, from inferior to
    superior.
    """
    files = sorted(
        folder.iterdir(),
        key=lambda file: float(
            pydicom.dcmread(file, stop_before_pixels=True).ImagePositionPatient[2]
        ),
    )
    sets = [pydicom.dcmread(file) for file in files]
    first, second = sets[:2]
    affine = np.eye(4)
    affine[:3, 0] = np.array(first.ImageOrientationPatient[:3], float) * float(
        first.PixelSpacing[1]
    )
    affine[:3, 1] = np.array(first.ImageOrientationPatient[3:], float) * float(
        first.PixelSpacing[0]
    )
    affine[:3, 2] = np.array(second.ImagePositionPatient, float) - np.array(
        first.ImagePositionPatient, float
    )
    affine[:3, 3] = first.ImagePositionPatient
    return (
        np.stack([one.pixel_array for one in sets]).astype(np.float32),
        np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine,
        sets,
        files,
    )


def load_dicom(folder, name, archive):
    """A series as Slicer's scalar volume plugin loads it: the volume, its instances, its place
    under patient and study.
    """
    voxels, affine, sets, files = read_series(folder)
    node, first = add_volume(name, voxels, affine), sets[0]
    node.SetAttribute("DICOM.instanceUIDs", " ".join(str(one.SOPInstanceUID) for one in sets))
    archive.files |= {str(one.SOPInstanceUID): str(file) for one, file in zip(sets, files)}
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    patient = hierarchy.GetItemByUID("DICOM", str(first.PatientID)) or hierarchy.CreateSubjectItem(
        hierarchy.GetSceneItemID(), str(first.PatientName)
    )
    hierarchy.SetItemUID(patient, "DICOM", str(first.PatientID))
    study = hierarchy.GetItemByUID(
        "DICOM", str(first.StudyInstanceUID)
    ) or hierarchy.CreateStudyItem(patient, "Study")
    hierarchy.SetItemUID(study, "DICOM", str(first.StudyInstanceUID))
    hierarchy.CreateItem(study, node)
    return node


def add_volume(name, voxels, ijk_to_ras):
    from NasoSegLib.volumes import to_vtk

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, voxels)
    node.SetIJKToRASMatrix(to_vtk(ijk_to_ras))
    node.CreateDefaultDisplayNodes()
    return node


@pytest.fixture
def phantom(panel):
    """A synthetic study from DICOM, selected in the panel, the micro model chosen."""
    archive = Archive()
    nodes = [load_dicom(phantom_folder() / name, name, archive) for name in ("T1", "T1C", "T2")]
    panel.select(*nodes)
    panel.logic.fileOf = archive
    panel.ui.bundlePath.currentPath = str(MICRO)
    return SimpleNamespace(
        panel=panel,
        ui=panel.ui,
        logic=panel.logic,
        t1=nodes[0],
        t1c=nodes[1],
        t2=nodes[2],
        archive=archive,
    )


@pytest.fixture
def trio(panel):
    """A real patient's three oblique sequences, each on its own grid."""
    if TRIO is None:
        pytest.skip(real_data.missing("mr_trio_tcga"))
    nodes = [load(TRIO / f"{name}.nii.gz", name) for name in ("t1", "t1c", "t2")]
    panel.select(*nodes)
    panel.ui.bundlePath.currentPath = str(MICRO)
    return SimpleNamespace(
        panel=panel, ui=panel.ui, logic=panel.logic, t1=nodes[0], t1c=nodes[1], t2=nodes[2]
    )


@pytest.fixture(scope="session")
def red_view():
    """One for all tests, as Slicer's views outlive its scenes."""
    from views import SliceView

    view = SliceView(LOGIC)
    yield view
    view.window.Finalize()


@pytest.fixture
def red(red_view, panel):
    """An axial slice view that the panel knows."""
    assert red_view.node.GetScene() is slicer.mrmlScene and red_view.node.GetID()
    red_view.node.SetOrientation("Axial")
    panel.widget.onSceneRenewed(None, None)
    return red_view
