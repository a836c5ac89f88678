"""The pipeline: golden numbers, views, edited boxes, outputs, errors."""

import gc
import json
import pickle
import weakref

import nasoseg
import numpy as np
import pytest
from conftest import (
    MICRO,
    PIXEL_MM,
    SIZE,
    STEP_MM,
    affine,
    check_golden,
    close,
    pipeline,
    volumes,
    voxels,
)
from nasoseg import Status


def test_golden(results):
    check_golden(*results)


def test_the_arrays_agree_with_each_other(results):
    _, segmentation, contours = results
    mask, probability = segmentation.mask, segmentation.probability
    assert mask.shape == probability.shape == segmentation.shape == SIZE[::-1]
    assert mask.dtype == np.uint8 and probability.dtype == np.float32
    assert (
        np.array_equal(mask, probability >= np.float32(segmentation.threshold))
        and 0 < mask.sum() < mask.size
    )
    assert close(segmentation.volume_mm3, mask.sum() * PIXEL_MM**2 * STEP_MM)
    assert np.array_equal(segmentation.affine, affine()) and not segmentation.edited
    assert np.array_equal(segmentation.affine_ras, np.diag([-1, -1, 1, 1]) @ affine())
    assert np.array_equal(
        segmentation.origins, [(affine() @ [0, 0, k, 1])[:3] for k in range(SIZE[2])]
    )
    assert segmentation.axis_i.tolist() == [PIXEL_MM, 0, 0] and segmentation.axis_j.tolist() == [
        0,
        PIXEL_MM,
        0,
    ]
    for line in contours:
        i, j = line.points_index.T
        points = (affine() @ [i, j, np.full_like(i, line.storage_slice), np.ones_like(i)])[:3].T
        assert np.allclose(points, line.points_mm, atol=1e-9)
        turns = np.sum(i * np.roll(j, -1) - np.roll(i, -1) * j)
        assert (turns < 0) == line.is_hole and (line.parent is not None) == line.is_hole
        assert close(abs(turns) / 2 * PIXEL_MM**2, line.area_mm2)


def test_results_are_views_that_keep_their_handle_alive(engine, study):
    detection, segmentation, contours = pipeline(engine, study)
    arrays = [
        segmentation.mask,
        segmentation.probability,
        segmentation.origins,
        *detection.trajectory(2)[:3],
        detection.image(2),
        contours[0].points_mm,
        contours[0].points_index,
    ]
    again = [segmentation.mask, segmentation.probability]
    assert all(np.shares_memory(a, b) for a, b in zip(arrays, again))
    copies = [array.copy() for array in arrays]
    handles = [weakref.ref(owner._handle) for owner in (detection, segmentation, contours)]
    for array in arrays:
        assert not array.flags.owndata and not array.flags.writeable
    for owner in (contours, segmentation, detection, study):
        owner.close()
        owner.close()
        assert owner.closed
    del detection, segmentation, contours, study, again, owner
    gc.collect()
    assert all(handle() is not None for handle in handles)
    # Whatever is made now would take the place of memory that had been freed.
    pipeline(engine, nasoseg.Study(*volumes()))
    assert all(np.array_equal(array, copy) for array, copy in zip(arrays, copies))
    # Views of views too.
    part, array = arrays[0][2:4].T, None
    del arrays
    gc.collect()
    assert [handle() is None for handle in handles] == [True, False, True]
    assert np.array_equal(part, copies[0][2:4].T)
    del part
    gc.collect()
    assert all(handle() is None for handle in handles)


def test_context_managers_and_use_after_close():
    with (
        nasoseg.Engine(MICRO, device="cpu", threads=1) as engine,
        nasoseg.Study(*volumes()) as study,
        nasoseg.detect(engine, study) as detection,
    ):
        assert len(detection) == SIZE[2]
    for use in (
        lambda: engine.device,
        lambda: study.warnings,
        lambda: len(detection),
        lambda: engine.detect(study),
    ):
        with pytest.raises(nasoseg.Error, match="was closed") as caught:
            use()
        assert caught.value.status is Status.ERROR_ARGUMENT


def test_edited_boxes_change_their_own_slices_only(engine, study):
    detection, before, _ = pipeline(engine, study)
    detection.set_box(2, (30.5, 25.0, 60.0, 70.25))
    detection.clear_box(3)
    assert detection[2].box == (30.5, 25.0, 60.0, 70.25) and detection[2].edited
    assert (
        detection[3].box is None
        and detection[3].corners_mm is None
        and detection[3].edited
        and not detection[-1].edited
    )
    after = nasoseg.segment(engine, study, detection)
    same = [np.array_equal(a, b) for a, b in zip(before.probability, after.probability)]
    assert same == [True, True, False, False, True, True]
    assert (
        after.edited
        and after.slices[3].statuses == nasoseg.SliceStatus.NO_LESION
        and after.slices[3].pixels == 0
    )
    assert nasoseg.words(after.slices[3].statuses) == "no lesion" and nasoseg.words(0) == "ok"
    assert after.slices[3].statuses.words == "no lesion"
    assert nasoseg.words(3 | 64) == "no lesion, box at the image edge, status 64"
    for box in (
        (60, 25, 30, 70),
        (-1, 0, 10, 10),
        (0, 0, detection.grid + 1, 10),
        (0, 0, float("nan"), 10),
    ):
        with pytest.raises(nasoseg.Error, match="box"):
            detection.set_box(0, box)
    with pytest.raises(IndexError):
        detection.set_box(6, (0, 0, 10, 10))
    assert [s.slice for s in detection[1:3]] == [1, 2] and detection[-1].slice == 5


def test_boxes_in_the_patient(engine, study):
    detection = nasoseg.detect(engine, study)
    assert detection.grid == engine.grid == 96
    for index, s in enumerate(detection):
        x0, y0, x1, y1 = s.box
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        assert np.allclose(detection.to_mm(index, corners), s.corners_mm, atol=1e-9)
        assert np.allclose(detection.to_grid(index, s.corners_mm), corners, atol=1e-9)
        assert np.allclose(s.corners_mm[:, 2], s.position_mm)
    # A region of interest of a viewer: other order, thicker than the slice, on a slice without a
    # box.
    detection.clear_box(3)
    box = np.array([[-30.0, -40.0, -4.0], [21.0, 10.0, 11.0]])
    detection.set_box_mm(3, box[::-1])
    assert np.allclose(detection[3].corners_mm[[0, 2], :2], box[:, :2]) and np.allclose(
        detection[3].corners_mm[:, 2], detection[3].position_mm
    )
    detection.set_box_mm(3, [[-1e4, -40, 0], [21, 10, 0]])
    assert (
        detection[3].box.x0 == 0 and detection[3].statuses & nasoseg.SliceStatus.BOX_AT_IMAGE_EDGE
    )
    with pytest.raises(nasoseg.Error, match="two points"):
        detection.set_box_mm(3, [0, 0, 0])


def test_the_image_that_the_model_sees(results, engine):
    detection, _, _ = results
    image = detection.image(3)
    assert (
        image.shape == (3, 96, 96)
        and image.dtype == np.float32
        and image.min() >= 0
        and 0.9 < image.max() <= 1
    )
    # The lesion's middle is brighter than muscle on T1C, and where the grid says it is.
    x, y = detection.to_grid(3, [-4.6, -8.0, detection[3].position_mm])
    mx, my = detection.to_grid(3, [40.0, 20.0, detection[3].position_mm])
    assert image[1, int(y), int(x)] > 1.5 * image[1, int(my), int(mx)]
    assert len(engine.actions) == 11 and engine.actions[-1] == "stop"


def test_outputs_and_reading_back(engine, study, tmp_path):
    detection, segmentation, contours = pipeline(engine, study)
    segmentation.write_mask(tmp_path / "mask.nii.gz")
    segmentation.write_probability(str(tmp_path / "probability.nii.gz"))
    segmentation.write_record(tmp_path / "run.json")
    detection.write(tmp_path / "detection.json")
    detection.write_preview(segmentation, contours, tmp_path / "preview.png")
    assert json.loads((tmp_path / "run.json").read_text())["device"]["used"] == "cpu"
    assert (tmp_path / "preview.png").read_bytes().startswith(b"\x89PNG")
    again = engine.read_detection(study, tmp_path / "detection.json")
    assert np.array_equal(nasoseg.segment(engine, study, again).mask, segmentation.mask)
    with pytest.raises(nasoseg.Error) as caught:
        contours.write_rtstruct(tmp_path / "rtstruct.dcm")
    assert (
        caught.value.status is Status.ERROR_UNSUPPORTED and not (tmp_path / "rtstruct.dcm").exists()
    )
    with pytest.raises(nasoseg.Error) as caught:
        segmentation.write_mask(tmp_path / "no" / "such" / "mask.nii.gz")
    assert caught.value.status is Status.ERROR_WRITE


def test_options(engine, study):
    assert [s.slice for s in nasoseg.detect(engine, study, slices=(1, 3))] == [1, 2]
    assert [s.slice for s in nasoseg.detect(engine, study, slices=range(2, 4))] == [2, 3]
    assert [s.position_mm for s in nasoseg.detect(engine, study, slices_mm=(-4, 10))] == [-3, 3, 9]
    segmentation = nasoseg.segment(engine, study, nasoseg.detect(engine, study))
    voxel = nasoseg.contour(segmentation, "voxel")
    assert all(
        np.array_equal(line.points_index * 2 % 2, np.ones_like(line.points_index)) for line in voxel
    )
    assert len(nasoseg.contour(segmentation, nasoseg.ContourKind.VOXEL)) == len(voxel)
    refused = [
        lambda: nasoseg.detect(engine, study, slices=(3, 3)),
        lambda: nasoseg.detect(engine, study, slices=(0, 99)),
        lambda: nasoseg.detect(engine, study, slices=(-1, 3)),
        lambda: nasoseg.detect(engine, study, slices=slice(None, 3)),
        lambda: nasoseg.detect(engine, study, slices=(0, 3), slices_mm=(0, 3)),
        lambda: nasoseg.contour(segmentation, "both"),
        lambda: nasoseg.detect(engine, study, reslice="coronal"),
        lambda: nasoseg.detect(engine, study, reslice_step_mm=3),
        lambda: nasoseg.detect(engine, study, reslice="axial", reslice_step_mm=50),
        lambda: nasoseg.Study().set("t1", volumes()[0], pick="Echo Time=80", allow_gaps=True),
        lambda: nasoseg.Engine(MICRO, device="gpu"),
        lambda: nasoseg.Engine(MICRO, threads=-1),
        lambda: nasoseg.Engine(MICRO, threads=2**32),
        lambda: nasoseg.Engine(MICRO, concurrent_runs=65),
    ]
    for call in refused:
        with pytest.raises(nasoseg.Error) as caught:
            call()
        assert caught.value.status is Status.ERROR_ARGUMENT, caught.value
    for call in (
        lambda: nasoseg.Engine(MICRO, threads=1.5),
        lambda: nasoseg.Engine(MICRO, device=3),
        lambda: nasoseg.Engine(3),
    ):
        with pytest.raises(TypeError):
            call()


def test_a_tilted_patient_is_resliced_and_comes_back(engine, tmp_path):
    angle = np.deg2rad(8)
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    study = nasoseg.Study(
        *(nasoseg.Volume(voxels(sequence), tilt @ affine()) for sequence in range(3))
    )
    oblique = nasoseg.detect(engine, study)
    assert [s.storage_slice for s in oblique] == list(range(6))
    detection = nasoseg.detect(
        engine, study, reslice="axial", reslice_step_mm=4, force_coverage=True
    )
    assert len(detection) > 6 and np.allclose(np.diff([s.position_mm for s in detection]), 4)
    # The model's slices are axial now: all corners of one lie at its position.
    assert all(np.allclose(s.grid_corners_mm[:, 2], s.position_mm) for s in detection)
    assert {s.storage_slice for s in detection} == {None}
    assert any("axial" in warning for warning in study.warnings)
    segmentation = nasoseg.segment(engine, study, detection)
    assert {s.storage_slice for s in segmentation.slices} == {None}
    assert (
        segmentation.shape == SIZE[::-1]
        and segmentation.mask.any()
        and np.allclose(segmentation.affine, tilt @ affine())
    )
    file = tmp_path / "detection.json"
    detection.write(file)
    again = engine.read_detection(study, file, reslice=nasoseg.Reslice.AXIAL, reslice_step_mm=4)
    assert [s.box for s in again] == [s.box for s in detection]


def test_errors(engine, tmp_path):
    cases = [
        (Status.ERROR_BUNDLE, lambda: nasoseg.Engine(tmp_path)),
        (Status.ERROR_READ, lambda: nasoseg.Study(tmp_path / "missing")),
        (Status.ERROR_ARGUMENT, lambda: nasoseg.detect(engine, nasoseg.Study())),
        (Status.ERROR_ARGUMENT, lambda: nasoseg.Study("a\0b")),
        (Status.ERROR_ARGUMENT, lambda: nasoseg.Study().set("flair", volumes()[0])),
        (Status.ERROR_ARGUMENT, lambda: nasoseg.Engine(MICRO, device="cuda:x")),
        (Status.ERROR_RUNTIME, lambda: nasoseg.Engine(MICRO, onnxruntime=tmp_path)),
    ]
    for status, call in cases:
        with pytest.raises(nasoseg.Error) as caught:
            call()
        error = caught.value
        assert (
            error.status is status
            and error.code == int(status)
            and len(str(error)) > 20
            and "\n" not in str(error)
        )
        copy = pickle.loads(pickle.dumps(error))
        assert (copy.code, str(copy), type(copy)) == (error.code, str(error), type(error))
    assert nasoseg.Error(99, "later").status == 99
    other = nasoseg.Study(*volumes())
    detection = nasoseg.detect(engine, other)
    other.set("t1", volumes()[0])
    with pytest.raises(nasoseg.Error, match="Detect again, then segment"):
        nasoseg.segment(engine, other, detection)


def test_messages_say_what_was_found_what_was_expected_and_what_to_do(engine, study):
    detection, segmentation, contours = pipeline(engine, study)
    closed = nasoseg.Study(*volumes())
    closed.close()
    cases = [
        (lambda: detection[len(detection)], r"slice index: found 6, expected .* 6 slices\. Give "),
        (lambda: contours[len(contours)], r"contour index: found \d+, expected .*\. Give "),
        (lambda: segmentation[-7], r"slice index: found -7, expected .* 6 slices\. Give "),
        (
            lambda: detection.set_box_mm(0, [[0, 0, 0]]),
            r"found shape \(1, 3\), expected .*\. Give ",
        ),
        (lambda: closed.warnings, r"found a Study that was closed, expected .*\. Make a new one"),
        (
            lambda: nasoseg.Study("a\0b"),
            r"found a NUL character in 'a.*b', expected none\. Remove ",
        ),
        (lambda: nasoseg.Study("a\ud800"), r"found 'a.*', expected text .* UTF-8 .*\. Rename it"),
        (
            lambda: nasoseg.Engine(MICRO, device=3),
            r"device: found 3 of type int, expected str or a ",
        ),
    ]
    for call, words in cases:
        with pytest.raises((nasoseg.Error, IndexError, TypeError), match=words):
            call()


def test_the_demo_bundle_is_inside():
    with nasoseg.Engine(nasoseg.demo_bundle(), device="cpu", threads=1) as engine:
        assert (
            engine.is_demo
            and "synthetic" in engine.intended_use
            and engine.model.name == "seqseg-demo"
        )
        assert engine.grid == 384 and engine.device == "cpu" and engine.device_fallback == ""
        assert engine.work == (0, 0, 0.0)
    with nasoseg.Engine(nasoseg.demo_bundle(), threads=1) as engine:
        # "auto" on whatever this machine has; a fallback gives its reason.
        assert engine.device.startswith("cuda") or (
            engine.device == "cpu" and engine.device_fallback
        )


def test_results_are_sequences(results):
    """By index from either end, by slice, by iteration; IndexError beyond."""
    for sequence, kind in zip(
        results, (nasoseg.DetectionSlice, nasoseg.SegmentationSlice, nasoseg.Contour)
    ):
        items = list(sequence)
        assert len(items) == len(sequence) > 2 and all(type(item) is kind for item in items)
        assert sequence[-1][0] == items[-1][0] and sequence[np.int64(1)][0] == items[1][0]
        assert [item[0] for item in sequence[-3:]] == [item[0] for item in items[-3:]]
        for beyond in (len(items), -len(items) - 1):
            with pytest.raises(IndexError):
                sequence[beyond]
        with pytest.raises(TypeError):
            sequence["first"]
