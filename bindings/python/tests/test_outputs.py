"""RT Structure Set, DICOM Segmentation, pictures: read by other people's programs."""

import copy
import gc
import subprocess
from pathlib import Path

import matplotlib.image
import nasoseg
import nibabel
import numpy as np
import pydicom
import pytest
from conftest import NAMES, ROOT, affine, dicom_errors, pipeline, program, volumes, voxels
from nasoseg import Status, Volume


@pytest.fixture(scope="module")
def dicom_results(engine, series):
    return pipeline(engine, nasoseg.Study(*(series["folder"] / name for name in NAMES)))


def check_rtstruct(file, contours, series):
    assert dicom_errors(file) == []
    rt = pydicom.dcmread(file)
    assert rt.StudyInstanceUID == series["t1c"][0].StudyInstanceUID and rt.PatientID == "T-1"
    (roi,) = rt.ROIContourSequence
    uids = {line.ContourImageSequence[0].ReferencedSOPInstanceUID for line in roi.ContourSequence}
    assert uids == {series["t1c"][line.storage_slice].SOPInstanceUID for line in contours}
    assert sum(int(line.NumberOfContourPoints) for line in roi.ContourSequence) == sum(
        len(line.points_mm) for line in contours
    )
    assert rt.StructureSetROISequence[0].ROIName == "DEMO_NOT_CLIN"


def test_rtstruct(dicom_results, series, tmp_path):
    _, _, contours = dicom_results
    contours.write_rtstruct(tmp_path / "rt.dcm", roi_name="GTVp", structure_set_label="Label")
    check_rtstruct(tmp_path / "rt.dcm", contours, series)
    contours.write_rtstruct(tmp_path / "few.dcm", holes="xor", simplify_mm=0.5)
    few = sum(
        int(line.NumberOfContourPoints)
        for line in pydicom.dcmread(tmp_path / "few.dcm").ROIContourSequence[0].ContourSequence
    )
    assert few < sum(len(line.points_mm) for line in contours)
    for refused in ({"holes": "drill"}, {"roi_name": "x" * 17}, {"simplify_mm": -1}):
        with pytest.raises(nasoseg.Error) as caught:
            contours.write_rtstruct(tmp_path / "never.dcm", **refused)
        assert caught.value.status is Status.ERROR_ARGUMENT
    assert not (tmp_path / "never.dcm").exists()


def test_rtstruct_of_datasets_and_of_a_viewers_buffer(engine, series, tmp_path):
    """The folder that datasets were written to lives as long as anything that was made from it."""
    study = nasoseg.Study(*(series[name] for name in NAMES))
    folder = study._files[nasoseg.Sequence.T1C].name
    contours = pipeline(engine, study)[2]
    del study
    contours.write_rtstruct(tmp_path / "datasets.dcm")
    check_rtstruct(tmp_path / "datasets.dcm", contours, series)
    assert Path(folder).exists()
    del contours
    gc.collect()
    assert not Path(folder).exists()

    flipped = affine()
    flipped[:3, 3] += flipped[:3, 2] * 5
    flipped[:3, 2] *= -1
    study = nasoseg.Study(volumes()[0], Volume(voxels(1)[::-1], flipped), volumes()[2])
    study.set_dicom_source("t1c", series["folder"] / "t1c")
    _, _, contours = pipeline(engine, study)
    contours.write_rtstruct(tmp_path / "viewer.dcm")
    assert dicom_errors(tmp_path / "viewer.dcm") == []
    with pytest.raises(nasoseg.Error):
        study.set_dicom_source("t1c", series["folder"] / "t1c" / "9.dcm")


def test_dicom_seg(dicom_results, series, tmp_path):
    _, segmentation, _ = dicom_results
    for number, source in enumerate(
        [
            series["folder"] / "t1c",
            series["t1c"][::-1],
            sorted((series["folder"] / "t1c").iterdir()),
        ]
    ):
        file = tmp_path / f"seg{number}.dcm"
        made = nasoseg.to_dicom_seg(segmentation, source, file)
        assert dicom_errors(file) == []
        assert (
            made.SegmentSequence[0].SegmentLabel == "DEMO_NOT_CLIN"
            and "NOT FOR CLINICAL USE" in made.ContentDescription
        )
        assert "synthetic" in made.SegmentSequence[0].SegmentDescription
        assert made.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Tissue"
        assert made.StudyInstanceUID == series["t1c"][0].StudyInstanceUID
        out = tmp_path / f"read{number}"
        out.mkdir()
        command = [
            program("segimage2itkimage"),
            "--inputDICOM",
            file,
            "--outputDirectory",
            out,
            "--outputType",
            "nii",
            "--prefix",
            "p",
        ]
        subprocess.run(command, check=True, capture_output=True)
        read = nibabel.load(next(out.glob("*.nii*")))
        # On whatever axes: every voxel where it lies in the patient.
        ours = nibabel.as_closest_canonical(segmentation.to_nibabel())
        theirs = nibabel.as_closest_canonical(read)
        assert np.allclose(ours.affine, theirs.affine, atol=1e-4)
        assert (
            np.array_equal(np.asarray(ours.dataobj), np.asarray(theirs.dataobj) != 0)
            and np.asarray(ours.dataobj).any()
        )
    assert sorted(path.name for path in tmp_path.glob("seg*")) == [
        "seg0.dcm",
        "seg1.dcm",
        "seg2.dcm",
    ]


def test_dicom_seg_on_a_multi_frame_image(dicom_results, series, tmp_path):
    """The same images as one Enhanced MR object, its frames out of order."""
    _, segmentation, _ = dicom_results
    frames = [series["t1c"][k] for k in (3, 0, 5, 1, 4, 2)]
    image = copy.deepcopy(frames[0])
    image.SOPClassUID, image.SOPInstanceUID = (
        pydicom.uid.EnhancedMRImageStorage,
        "1.2.826.0.1.3680043.10.4321.7.50",
    )
    image.file_meta.MediaStorageSOPClassUID, image.file_meta.MediaStorageSOPInstanceUID = (
        image.SOPClassUID,
        image.SOPInstanceUID,
    )
    image.NumberOfFrames = len(frames)

    def group(**sequences):
        out = pydicom.Dataset()
        for name, values in sequences.items():
            item = pydicom.Dataset()
            for keyword, value in values.items():
                setattr(item, keyword, value)
            setattr(out, name, [item])
        return out

    image.SharedFunctionalGroupsSequence = [
        group(
            PixelMeasuresSequence={"PixelSpacing": image.PixelSpacing, "SliceThickness": 5},
            PlaneOrientationSequence={"ImageOrientationPatient": image.ImageOrientationPatient},
        )
    ]
    image.PerFrameFunctionalGroupsSequence = [
        group(
            PlanePositionSequence={"ImagePositionPatient": frame.ImagePositionPatient},
            FrameContentSequence={
                "StackID": "1",
                "InStackPositionNumber": number + 1,
                "DimensionIndexValues": [1, number + 1],
            },
        )
        for number, frame in enumerate(frames)
    ]
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
    ):
        delattr(image, keyword)
    image.PixelData = b"".join(frame.PixelData for frame in frames)
    made = nasoseg.to_dicom_seg(segmentation, image, tmp_path / "seg.dcm")
    assert dicom_errors(tmp_path / "seg.dcm") == []
    positions = [
        float(f.PlanePositionSequence[0].ImagePositionPatient[2])
        for f in made.PerFrameFunctionalGroupsSequence
    ]
    for z, plane in zip(positions, made.pixel_array):
        k = int(np.argmin(np.abs(segmentation.origins[:, 2] - z)))
        assert np.array_equal(plane, segmentation.mask[k])
    assert sorted(positions) == segmentation.origins[:, 2].tolist() and made.pixel_array.any()


def test_dicom_seg_of_a_model_that_is_no_demo(dicom_results, series):
    _, segmentation, _ = dicom_results
    copy = nasoseg.Segmentation(
        segmentation._held(), segmentation.model._replace(is_demo=False, intended_use="For a test.")
    )
    made = nasoseg.to_dicom_seg(copy, series["t1c"])
    (segment,) = made.SegmentSequence
    assert (
        segment.SegmentLabel == "GTVp_SeqSeg"
        and segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "86049000"
    )
    assert (
        segment.SegmentAlgorithmType == "AUTOMATIC"
        and segment.AnatomicRegionSequence[0].CodeMeaning == "Nasopharynx"
    )


def test_dicom_seg_refuses_other_images(dicom_results, series, tmp_path):
    _, segmentation, _ = dicom_results
    shifted = copy.deepcopy(series["t1c"])
    shifted[2].ImagePositionPatient = [-106.4, -118.5, -3.0]
    for source, status in [
        (series["t1c"][:5], Status.ERROR_UNSUPPORTED),
        (shifted, Status.ERROR_UNSUPPORTED),
        (series["folder"], Status.ERROR_ARGUMENT),
    ]:
        with pytest.raises(nasoseg.Error) as caught:
            nasoseg.to_dicom_seg(segmentation, source, tmp_path / "never.dcm")
        assert caught.value.status is status, source
    assert not list(tmp_path.iterdir())


def test_show(results):
    detection, _, contours = results
    picture = nasoseg.show(detection, contours)
    png = picture._repr_png_()
    folder = ROOT / "out" / "python"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "show.png").write_bytes(png)
    seen = (matplotlib.image.imread(folder / "show.png")[..., :3] * 255).round().astype(int)

    def near(colour):
        return int((np.abs(seen - colour).max(-1) < 40).sum())

    # The final boxes, the contours, the demo's statement.
    assert near((255, 214, 10)) > 500 and near((255, 70, 90)) > 300 and near((255, 150, 60)) > 100
    texts = " ".join(text.get_text() for text in picture.texts)
    assert "NOT FOR CLINICAL USE" in texts and "synthetic" in texts.replace("\n", " ")
    titles = [axes.get_title() for axes in picture.axes]
    assert titles[0] == "0: z -15.0 mm, step limit reached" and len(titles) == 6
    step = nasoseg.show(detection, index=3, step=2, sequence="t2")
    name = detection.actions[detection.trajectory(3).actions[1]]
    assert (
        step.axes[0].get_title() == f"3: z 3.0 mm, step 2 of 15: {name}"
        and len(step.axes[0].patches) == 3
    )
    assert np.array_equal(step.axes[0].images[0].get_array(), detection.image(3)[2])
    assert len(nasoseg.show(detection, index=[0, 5]).axes[0].patches) == 17
    with pytest.raises(nasoseg.Error):
        nasoseg.show(detection, index=[])
