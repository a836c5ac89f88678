"""Images in every form: strides, types, axes, orientations, other packages' objects."""

import copy
import itertools

import nasoseg
import nibabel
import numpy as np
import pytest
import SimpleITK
from conftest import NAMES, SIZE, affine, check_golden, pipeline, volumes, voxels
from nasoseg import Status, Volume
from pydicom.uid import generate_uid

TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def bits(engine, images):
    """Probability as the library holds it, for comparing to the bit."""
    detection, segmentation, _ = pipeline(engine, nasoseg.Study(*images))
    return [s.box for s in detection], segmentation.probability.copy()


@pytest.fixture(scope="module")
def expected(engine):
    return bits(engine, volumes())


def same(found, expected):
    return found[0] == expected[0] and np.array_equal(found[1], expected[1])


@pytest.mark.parametrize(
    "kind",
    ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8", "i8", "u8", "f2", ">i2", ">f4", ">f8", "?"],
)
def test_types(engine, kind):
    """Voxels of few values, so that every type holds them: the bits are those of float32."""
    coarse = [np.round(voxels(s) / 10) for s in range(3)]
    if kind == "?":
        coarse = [array > 30 for array in coarse]
    expected = bits(engine, [Volume(array.astype("f4"), affine()) for array in coarse])
    assert same(bits(engine, [Volume(array.astype(kind), affine()) for array in coarse]), expected)


def strided():
    """The same voxels under other strides."""

    def gaps(array):
        wide = np.full((6, 160, 216), np.nan, np.float32)
        wide[:, ::2, ::3] = array
        return wide[:, ::2, ::3]

    def backwards(array):
        return np.ascontiguousarray(array[::-1, ::-1, ::-1])[::-1, ::-1, ::-1]

    def unaligned(array):
        record = np.zeros(array.shape, np.dtype([("pad", "u1"), ("value", "f4")]))
        record["value"] = array
        return record["value"]

    def read_only(array):
        array.flags.writeable = False
        return array

    return [
        np.asfortranarray,
        gaps,
        backwards,
        unaligned,
        read_only,
        lambda a: np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 0, 1)), 1, 0),
    ]


@pytest.mark.parametrize("change", strided())
def test_strides(engine, expected, change):
    changed = [change(voxels(s)) for s in range(3)]
    assert all(np.array_equal(array, voxels(s)) for s, array in enumerate(changed))
    # Nothing is copied on the way to the library.
    view, _ = Volume(changed[0], affine()).view()
    assert (
        view.data == changed[0].__array_interface__["data"][0]
        and tuple(view.stride) == changed[0].strides[::-1]
    )
    assert same(bits(engine, [Volume(array, affine()) for array in changed]), expected)


def test_axes_and_order(engine, expected):
    assert same(
        bits(engine, [Volume(voxels(s), TO_RAS @ affine(), axes="RAS") for s in range(3)]), expected
    )
    assert same(
        bits(
            engine,
            [
                Volume(voxels(s).T, TO_RAS @ affine(), axes=nasoseg.Axes.RAS, order="ijk")
                for s in range(3)
            ],
        ),
        expected,
    )
    origins = [(affine() @ [0, 0, k, 1])[:3] for k in range(SIZE[2])]
    lost = affine()
    lost[:3, 2:] = 0
    assert same(
        bits(engine, [Volume(voxels(s), lost, origins=origins) for s in range(3)]), expected
    )


def test_the_study_keeps_its_own_copy(engine, expected):
    arrays = [voxels(s) for s in range(3)]
    study = nasoseg.Study(*(Volume(array, affine()) for array in arrays))
    for array in arrays:
        array[:] = 0
    detection, segmentation, _ = pipeline(engine, study)
    assert same(([s.box for s in detection], segmentation.probability), expected)


@pytest.mark.parametrize(
    "order",
    list(itertools.permutations(range(3))),
    ids=lambda order: "".join("ijk"[axis] for axis in order),
)
def test_48_orientations_of_the_same_patient(engine, expected, order):
    """T1C stored along any axes in any direction, T1 and T2 each in another way: the same mask in
    the patient.
    """
    orientations = list(itertools.product([False, True], repeat=3))
    ijk = [voxels(s).T for s in range(3)]
    mask_expected = None
    for number, flips in enumerate(orientations):
        stored = []
        for sequence in range(3):
            # T1 and T2 in the order that follows, flipped as another member of the list.
            axes = order if sequence == 1 else np.roll(order, sequence + 1)
            flipped = flips if sequence == 1 else orientations[(number + sequence + 1) % 8]
            stored.append(turned(ijk[sequence], axes, flipped))
        study = nasoseg.Study(*(Volume(array, matrix, order="ijk") for array, matrix in stored))
        detection, segmentation, contours = pipeline(engine, study)
        check_golden_boxes(detection, expected)
        assert (
            np.array_equal(segmentation.affine, stored[1][1])
            and segmentation.shape == stored[1][0].shape[::-1]
        )
        back = np.transpose(
            segmentation.mask.T[tuple(slice(None, None, -1 if f else 1) for f in flips)],
            np.argsort(order),
        )
        if mask_expected is None:
            mask_expected = np.float32(segmentation.threshold) <= expected[1].T
        assert np.array_equal(back, mask_expected), (order, flips)
        lines = {(round(float(line.points_mm[0, 2])), len(line.points_mm)) for line in contours}
        assert {z for z, _ in lines} == {-9, -3, 3, 9, 15}


def turned(ijk, order, flips):
    """The array with its axes in another order and direction, and the affine that keeps every voxel
    where it was.
    """
    array = np.transpose(ijk, order)
    matrix = affine()
    matrix = np.column_stack([*(matrix[:, axis] for axis in order), matrix[:, 3]])
    for axis, flip in enumerate(flips):
        if flip:
            array = np.flip(array, axis)
            matrix[:3, 3] += matrix[:3, axis] * (array.shape[axis] - 1)
            matrix[:3, axis] *= -1
    return np.ascontiguousarray(array), matrix


def check_golden_boxes(detection, expected):
    assert [s.slice for s in detection] == list(range(6))
    assert np.allclose([s.box for s in detection], expected[0], atol=1e-9)


def test_simpleitk(engine, expected):
    images = []
    for s in range(3):
        image = SimpleITK.GetImageFromArray(voxels(s).astype(np.int16))
        image.SetSpacing((3, 3, 6))
        image.SetOrigin(affine()[:3, 3].tolist())
        images.append(image)
    assert same(bits(engine, images), expected)
    # Turned: the direction's columns are the axes.
    turned_images = [
        SimpleITK.Flip(SimpleITK.PermuteAxes(image, (2, 0, 1)), (True, False, True))
        for image in images
    ]
    segmentation = pipeline(engine, nasoseg.Study(*turned_images))[1]
    back = segmentation.to_simpleitk()
    for get in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert np.allclose(getattr(back, get)(), getattr(turned_images[1], get)())
    straight = SimpleITK.DICOMOrient(back, "LPS")
    assert np.array_equal(
        SimpleITK.GetArrayFromImage(straight), expected[1] >= np.float32(segmentation.threshold)
    )
    assert np.array_equal(
        SimpleITK.GetArrayFromImage(segmentation.to_simpleitk(probability=True)),
        segmentation.probability,
    )
    with pytest.raises(nasoseg.Error, match="scalar 3D"):
        nasoseg.Study(SimpleITK.Image((4, 4, 4), SimpleITK.sitkVectorUInt8))


def test_nibabel(engine, expected, tmp_path):
    images = [
        nibabel.Nifti1Image(voxels(s).T.astype(np.int16), TO_RAS @ affine()) for s in range(3)
    ]
    assert same(bits(engine, images), expected)
    for name, image in zip(NAMES, images):
        nibabel.save(image, tmp_path / f"{name}.nii.gz")
    paths = [tmp_path / f"{name}.nii.gz" for name in NAMES]
    assert same(bits(engine, [nibabel.load(path) for path in paths]), expected)
    assert same(bits(engine, paths), expected)
    segmentation = pipeline(engine, nasoseg.Study(*paths))[1]
    made = segmentation.to_nibabel()
    assert np.shares_memory(made.dataobj, segmentation.mask) and nasoseg.is_demo(
        description=made.header["descrip"].item().decode()
    )
    nibabel.save(made, tmp_path / "mask.nii.gz")
    segmentation.write_mask(tmp_path / "own.nii.gz")
    ours, theirs = (nibabel.load(tmp_path / name) for name in ("own.nii.gz", "mask.nii.gz"))
    assert np.array_equal(ours.dataobj, theirs.dataobj) and np.allclose(ours.affine, theirs.affine)
    descriptions = [image.header["descrip"].item().decode() for image in (ours, theirs)]
    mark = nasoseg.demo_words(nasoseg.DemoText.MARK)
    assert all(
        text.startswith(f"{mark} ") and nasoseg.is_demo(description=text) for text in descriptions
    ), descriptions
    with pytest.raises(nasoseg.Error, match="3D array"):
        nasoseg.Study(nibabel.Nifti1Image(np.zeros((4, 4, 4, 2), np.int16), np.eye(4)))


def test_dicom_files_and_datasets(engine, expected, series):
    folders = [series["folder"] / name for name in NAMES]
    assert same(bits(engine, folders), expected)
    files = [sorted(str(path) for path in folder.iterdir()) for folder in folders]
    assert same(bits(engine, files), expected)
    assert same(bits(engine, [series[name] for name in NAMES]), expected)
    detection = nasoseg.detect(engine, nasoseg.Study(*(series[name][::-1] for name in NAMES)))
    assert [s.sop_instance_uid for s in detection] == [d.SOPInstanceUID for d in series["t1c"]]
    # What was changed in memory counts, not what lies in the file.
    other = copy.deepcopy(series["t1"])
    for d in other:
        d.PatientID = "SOMEBODY ELSE"
    with pytest.raises(nasoseg.Error) as caught:
        nasoseg.detect(engine, nasoseg.Study(other, series["t1c"], series["t2"]))
    assert caught.value.status is Status.ERROR_IDENTITY
    bare = copy.deepcopy(series["t1"][0])
    del bare.file_meta
    with pytest.raises(nasoseg.Error, match="cannot be written as a DICOM file"):
        nasoseg.Study([bare])


def test_echoes_and_gaps_of_dicom_files(engine, expected, series):
    second = copy.deepcopy(series["t2"])
    for d in second:
        d.EchoTime, d.SOPInstanceUID = 20, generate_uid()
    first = copy.deepcopy(series["t2"])
    for d in first:
        d.EchoTime = 99
    both = [d for pair in zip(first, second) for d in pair]
    study = nasoseg.Study(series["t1"], series["t1c"])
    with pytest.raises(nasoseg.Error, match="Echo Time") as caught:
        study.set("t2", both)
    assert caught.value.status is Status.ERROR_IMAGE
    study.set("t2", both, pick="Echo Time=99")
    found = pipeline(engine, study)
    assert [s.box for s in found[0]] == expected[0]
    few = series["t1"][:2] + series["t1"][3:]
    with pytest.raises(nasoseg.Error, match="missing"):
        study.set("t1", few)
    study.set("t1", few, allow_gaps=True)
    nasoseg.detect(engine, study, force_coverage=True)
    assert any("missing" in warning for warning in study.warnings), study.warnings


def test_what_is_refused():
    good, matrix = voxels(0), affine()
    refused = [
        (lambda: Volume(good[0], matrix), "3D array"),
        (lambda: Volume(good, matrix[:3]), "4 x 4"),
        (lambda: Volume(good, matrix.T), "transposed"),
        (lambda: Volume(good, matrix, axes="LAS"), "axes"),
        (lambda: Volume(good, matrix, order="jki"), "order"),
        (lambda: Volume(good, matrix, origins=np.zeros((5, 3))), "origins"),
        (lambda: nasoseg.Study(Volume(good.astype(complex), matrix)), "complex"),
        (lambda: nasoseg.Study(Volume(good.astype(object), matrix)), "object"),
        (lambda: nasoseg.Study(Volume(np.ma.masked_less(good, 10), matrix)), "masked"),
        (lambda: nasoseg.Study(Volume(np.full_like(good, np.nan), matrix)), "finite"),
        (lambda: nasoseg.Study(Volume(good[:, :, :0], matrix)), "size"),
        (
            lambda: nasoseg.Study(Volume(good, np.zeros((4, 4)) + np.diag([0, 0, 0, 1]))),
            "degenerate",
        ),
    ]
    for call, word in refused:
        with pytest.raises(nasoseg.Error, match=word):
            call()
    for image in (3, [], good, [1, 2], [good], b"t1.nii"):
        with pytest.raises(TypeError, match=r"T1|paths"):
            nasoseg.Study(image)


def test_golden_from_dicom(engine, series):
    check_golden(*pipeline(engine, nasoseg.Study(*(series["folder"] / name for name in NAMES))))
