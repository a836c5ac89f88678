"""Rows, their CSV, figures, subgroup tests, plots, and a small split through the `nasoseg`
program.
"""

import csv
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy import stats

from nasoseg_train.commands import demo
from nasoseg_train.commands.evaluate import Evaluate, parse_logs
from nasoseg_train.data.standin import StandIn
from nasoseg_train.evaluation import plots
from nasoseg_train.evaluation.case_figures import (
    box_figures,
    box_in_pixels,
    slice_rows,
    tumour_range,
)
from nasoseg_train.evaluation.nasoseg_run import Program
from nasoseg_train.evaluation.report import to_markdown
from nasoseg_train.evaluation.rows import CaseRow, SliceRow, read_csv, write_csv
from nasoseg_train.evaluation.subgroups import groups, mann_whitney, subgroups, two_by_two
from nasoseg_train.evaluation.summary import plain, summarise
from nasoseg_train.geometry import metrics as m
from nasoseg_train.phantom import Phantom, write_nifti
from nasoseg_train.run import demo_words
from nasoseg_train.run.nasoseg_program import find_program

MICRO = Path(__file__).resolve().parents[2] / "tests/data/micro"
UP = np.diag([-2.0, -2.0, 6.0, 1.0])  # RAS mm of an axial file in canonical order
AGENT = {"kind": "agent", "terminal": 10}
EMPTY, SQUARE = np.zeros((20, 20), dtype=bool), np.zeros((20, 20), dtype=bool)
SQUARE[5:15, 5:15] = True


def row(guess, truth, case="a", number=0, **more):
    f = m.compare_masks(guess, truth, (2.0, 2.0))
    return SliceRow(
        case=case,
        slice=number,
        storage_slice=number,
        status="ok",
        tumour=bool(truth.any()),
        area_mm2=4.0 * int(truth.sum()),
        found_mm2=4.0 * int(guess.sum()),
        **f.__dict__,
        **more,
    )


def half():
    out = SQUARE.copy()
    out[5:10] = False
    return out


def test_boxes_come_back_to_pixels_whatever_the_storage_order():
    # Pixel edges 3 .. 7 across and 4 .. 9 down: corners in LPS mm, the centre of pixel (0, 0) at
    # the origin.
    corners = [[5.0, 7.0, 0.0], [13.0, 7.0, 0.0], [13.0, 17.0, 0.0], [5.0, 17.0, 0.0]]
    assert box_in_pixels(corners, UP).tolist() == pytest.approx([3, 4, 7, 9])
    flipped = UP @ np.array(
        [[-1.0, 0, 0, 19], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    )  # columns run the other way
    assert box_in_pixels(corners, flipped).tolist() == pytest.approx([13, 4, 17, 9])


def test_box_figures():
    target, corners = np.array([3.0, 4, 7, 9]), [[5.0, 7.0, 0.0], [13.0, 17.0, 0.0]]
    entry = {"corners_mm": corners, "trajectory": {"actions": [3, 10]}}
    good = box_figures(entry, target, UP, AGENT)
    assert (good["box_recall"], good["box_iou"]) == (pytest.approx(1), pytest.approx(1))
    assert (good["steps"], good["stopped"], good["rewarded_stop"]) == (2, True, True)
    assert [good[n] for n in ("x0", "y0", "x1", "y1")] == pytest.approx([3, 4, 7, 9])
    walked_on = box_figures(entry | {"trajectory": {"actions": [3, 4]}}, target, UP, AGENT)
    assert (walked_on["stopped"], walked_on["rewarded_stop"]) == (False, False)
    # Half of the target is covered, and nothing else: recall and IoU 0.5, a stop that is not
    # rewarded.
    part = box_figures(entry, np.array([3.0, 4, 7, 14]), UP, AGENT)
    assert (part["box_recall"], part["box_iou"], part["rewarded_stop"]) == (
        pytest.approx(0.5),
        pytest.approx(0.5),
        False,
    )
    none = box_figures({"corners_mm": None, "trajectory": None}, target, UP, {"kind": "proposals"})
    assert none == {"box_recall": 0.0, "box_iou": 0.0}
    free = box_figures(entry, np.full(4, np.nan), UP, AGENT)
    assert "box_recall" not in free and "rewarded_stop" not in free and free["stopped"]
    assert box_figures(entry, target, UP, {"kind": "whole"}) == {}


def test_the_range_a_person_would_name():
    mask = np.zeros((8, 4, 4), dtype=bool)
    mask[[2, 4], 1, 1] = True
    assert tumour_range(mask, UP) == (2, 5)
    assert tumour_range(mask, UP * np.array([1, 1, -1, 1])) == (3, 6)  # stored from the head down
    assert tumour_range(np.zeros_like(mask), UP) is None


def test_rows_are_of_the_slices_looked_at_by_their_storage_index():
    truth = np.stack([EMPTY, SQUARE, EMPTY])
    guess = np.stack([EMPTY, half(), EMPTY])
    detection = {
        "slices": [
            {"slice": 1, "storage_slice": 1, "status": "ok", "corners_mm": None, "trajectory": None}
        ]
    }
    (only,) = slice_rows("a", guess, truth, UP, detection, {"kind": "proposals"}, (2.0, 2.0))
    assert (only.slice, only.tp, only.fn, only.fp, only.area_mm2) == (1, 50, 50, 0, 400.0)
    assert only.dice == pytest.approx(2 / 3) and only.box_recall == 0


def test_csv_round_trip(tmp_path):
    rows = [
        row(half(), SQUARE, steps=3, stopped=True, rewarded_stop=False, box_recall=1 / 3),
        row(EMPTY, SQUARE),
        row(EMPTY, EMPTY),
    ]
    cases = [
        CaseRow(
            "a", 3, 2, 1.5, 1, 2, 3, 24.0, dice=0.1, covariates={"T, category": "T2", "sex": "f"}
        ),
        CaseRow("b", error='T2: no such file, "x"\nsecond line', covariates={"sex": "m"}),
    ]
    for kind, written in ((SliceRow, rows), (CaseRow, cases)):
        path = tmp_path / f"{kind.__name__}.csv"
        write_csv(written, kind, path)
        back = read_csv(path, kind)
        assert repr(back) == repr(written)  # NaN is not equal to itself
    text = (tmp_path / "SliceRow.csv").read_text()
    (tmp_path / "SliceRow.csv").write_text(text.replace("hd95_mm", "hd90_mm", 1))
    with pytest.raises(ValueError, match=r"hd90_mm, hd95_mm|hd95_mm, hd90_mm"):
        read_csv(tmp_path / "SliceRow.csv", SliceRow)


def test_figures_by_hand():
    rows = [
        row(
            half(),
            SQUARE,
            "a",
            0,
            box_recall=0.5,
            box_iou=0.25,
            x0=1.0,
            steps=4,
            stopped=True,
            rewarded_stop=True,
        ),
        row(
            EMPTY,
            SQUARE,
            "a",
            1,
            box_recall=1.0,
            box_iou=0.75,
            x0=1.0,
            steps=15,
            stopped=False,
            rewarded_stop=False,
        ),
        row(EMPTY, EMPTY, "a", 2, stopped=True, steps=1),
        row(SQUARE, EMPTY, "b", 0, stopped=False, steps=15),
        row(
            SQUARE,
            SQUARE,
            "b",
            1,
            box_recall=0.0,
            box_iou=0.0,
            steps=2,
            stopped=True,
            rewarded_stop=False,
        ),
    ]
    cases = [
        CaseRow("a", 3, 2, 1.0, 50, 0, 150, 24.0, 0.4, 1.0, 0.25, 0.25, 4.8, 1.2, 0.0),
        CaseRow("b", 2, 1, 1.0, 100, 100, 0, 24.0, 2 / 3, 0.5, 1.0, 0.5, 2.4, 4.8, 2.4),
        CaseRow("c", error="T2: missing"),
    ]
    s = plain(summarise(rows, cases))
    assert s["cases"] == {
        "asked": 3,
        "evaluated": 2,
        "with_tumour": 2,
        "failed": [{"case": "c", "error": "T2: missing"}],
    }
    assert s["slices"] == {
        "evaluated": 5,
        "tumour": 3,
        "tumour_free": 2,
        "both_empty": 1,
        "missed": 1,
        "found_without_tumour": 1,
        "hd_undefined": 2,
    }
    mean = s["segmentation"]["slices"]
    assert mean["dice"]["mean"] == pytest.approx((2 / 3 + 0 + 1) / 3) and mean["dice"]["count"] == 3
    assert mean["cc"] == pytest.approx((3 * 5 / 9 - 2) / (5 / 9))
    assert mean["precision"]["mean"] == pytest.approx(2 / 3) and mean["recall"][
        "mean"
    ] == pytest.approx(0.5)
    assert (mean["hd_mm"]["mean"], mean["hd_mm"]["count"], mean["hd_mm"]["undefined"]) == (
        5.0,
        2,
        1,
    )
    assert mean["hd_px"]["mean"] == pytest.approx(2.5 * 384 / 20)
    assert mean["added_path_share"] == (18 + 36 + 0) / (3 * 36)
    pooled = s["segmentation"]["pooled"]
    assert (pooled["tp"], pooled["fp"], pooled["fn"]) == (150, 0, 150)
    assert (pooled["dice"], pooled["precision"], pooled["recall"]) == (pytest.approx(2 / 3), 1, 0.5)
    assert s["segmentation"]["pooled_all"]["fp"] == 100
    assert s["segmentation"]["slices_either"]["dice"]["mean"] == pytest.approx(
        (2 / 3 + 0 + 0 + 1) / 4
    )
    assert s["segmentation"]["patients"]["dice"]["mean"] == pytest.approx((0.4 + 2 / 3) / 2)
    box = s["boxes"]
    assert (box["recall"]["min"], box["recall"]["max"], box["recall"]["mean"]) == (0, 1, 0.5)
    assert (box["rewarded_stops"], box["stopped"], box["without_box"]) == (
        pytest.approx(1 / 3),
        pytest.approx(2 / 3),
        1,
    )
    assert box["steps_histogram"] == {"2": 1, "4": 1, "15": 1}
    assert (s["tumour_free"]["any_pixel"], s["tumour_free"]["stopped"]) == (0.5, 0.5)
    assert s["tumour_free"]["false_positive_ml_per_patient"]["mean"] == pytest.approx(1.2)
    assert s["volume"]["bias_ml"] == pytest.approx((-3.6 + 2.4) / 2)
    json.dumps(s, allow_nan=False)


def test_figures_of_nothing():
    s = plain(summarise([row(EMPTY, EMPTY)], [CaseRow("a", 1, 0, 1.0, voxel_mm3=1.0)]))
    assert (
        s["segmentation"]["slices"]["dice"]["count"] == 0
        and s["segmentation"]["pooled"]["dice"] is None
    )
    assert (
        s["segmentation"]["pooled"]["cc"] is None
        and s["boxes"] is None
        and s["tumour_free"]["any_pixel"] == 0
    )


def test_groups_of_covariates():
    staged, _ = groups({"a": "T1", "b": "T4a", "c": "T2", "d": "T3", "e": ""})
    assert staged == {"a": "T1+T2", "b": "T3+T4", "c": "T1+T2", "d": "T3+T4"}
    assert groups({"a": "N0", "b": "N2"})[0] == {"a": "N0+N1", "b": "N2+N3"}
    assert groups({"a": "0", "b": "1", "c": "0"})[0] == {"a": "0", "b": "1", "c": "0"}
    assert groups({"a": "40", "b": "50", "c": "61"})[0] == {
        "a": "up to 50",
        "b": "up to 50",
        "c": "above 50",
    }
    assert groups({"a": "x", "b": "y", "c": "z"}) == (
        None,
        "3 values that are neither numbers nor two groups",
    )
    assert groups({"a": "x", "b": "x"})[0] is None and groups({})[0] is None
    assert groups({"a": "1", "b": "2", "c": "nan"})[0] is None


def test_tests_against_known_answers():
    # Two separate samples of five: 2 of the 252 orders are as extreme.
    found = mann_whitney([1.0, 2, 3, 4, 5], [6.0, 7, 8, 9, 10, float("nan")])
    assert (
        found["u"] == 0
        and found["p"] == pytest.approx(2 / 252)
        and found["significant"]
        and found["n"] == [5, 5]
    )
    assert mann_whitney([1.0], [float("nan")])["p"] is None
    # Fisher's lady and her tea: 34 of the 70 orders are as extreme.
    tea = two_by_two([True] * 3 + [False], [True] + [False] * 3)
    assert (
        tea["test"] == "Fisher's exact"
        and tea["p"] == pytest.approx(34 / 70)
        and not tea["significant"]
    )
    # 30 of 50 against 10 of 50: chi-squared 100 (30 * 40 - 20 * 10)^2 / (40 * 60 * 50 * 50) =
    # 16.667.
    large = two_by_two([True] * 30 + [False] * 20, [True] * 10 + [False] * 40)
    assert (
        large["test"] == "chi-squared"
        and large["p"] == pytest.approx(stats.chi2.sf(100 * 1000**2 / 6e6, 1))
        and large["significant"]
    )
    assert two_by_two([True], [True])["test"] is None


def test_subgroups_are_of_slices_and_of_patients():
    cases, rows = [], []
    for n in range(12):
        category, case = ("T1", "T2", "T3", "T4")[n % 4], f"c{n}"
        early = n % 4 < 2
        for k in range(4):
            guess = SQUARE.copy()
            guess[5 : 6 + n % 2 + (0 if early else 6)] = False
            rows.append(row(guess, SQUARE, case, k))
        cases.append(
            CaseRow(
                case,
                4,
                4,
                dice=rows[-1].dice,
                hd_px=rows[-1].hd_px,
                covariates={"t_category": category, "site": "one"},
            )
        )
    cases.append(CaseRow("failed", error="x", covariates={"t_category": "T1"}))
    site, t = subgroups(rows, cases)
    assert (site["covariate"], site["left_out"]) == ("site", "all cases are in one group")
    assert [(r["group"], r["sample"], r["cases"]) for r in t["rows"]] == [
        ("T1+T2", 24, 6),
        ("T3+T4", 24, 6),
    ]
    early = [r.dice for r in rows if int(r.case[1:]) % 4 < 2]
    assert t["rows"][0]["dice"] == pytest.approx(np.mean(early))
    assert t["rows"][0]["cc"] == pytest.approx(m.conformity(np.mean(early)))
    assert t["slices"]["dice"]["n"] == [24, 24] and t["patients"]["dice"]["n"] == [6, 6]
    assert t["slices"]["hd"]["significant"] and t["slices"]["hd"]["p"] < t["patients"]["hd"]["p"]
    assert t["missed"]["test"] is None  # none was


def test_overlay_has_the_papers_colours():
    truth, found = SQUARE, np.roll(SQUARE, 3, axis=1)
    picture = plots.overlay(np.full((20, 20), 100.0), truth, found, opacity=1.0)
    assert (
        tuple(picture[10, 5]) == plots.TRUTH
        and tuple(picture[10, 16]) == plots.FOUND
        and tuple(picture[10, 10]) == plots.BOTH
    )
    assert tuple(picture[0, 0]) == (1, 1, 1)


def test_convergence_reads_logs(tmp_path):
    log = tmp_path / "detector.csv"
    log.write_text("epoch,loss,recall,note\n0,0.5,,x\n1,0.25,0.8,y\n")
    read = plots.read_log(log)
    assert (
        read["loss"].tolist() == [0.5, 0.25] and np.isnan(read["recall"][0]) and "note" not in read
    )
    other = tmp_path / "other.csv"
    other.write_text("epoch,loss\n0,0.5\n1,\n")
    assert plots.read_log(other)["epoch"].tolist() == [0, 1]
    assert parse_logs([f"a={log}", f"a={other}"]) == {"a": [log, other]}
    assert plots.convergence({"a": [log, other]}, tmp_path / "c.png", "A demo.")
    assert (tmp_path / "c.png").stat().st_size > 5000
    for bad in ("a", "a=nowhere.csv"):
        with pytest.raises(ValueError, match="NAME=FILE"):
            parse_logs([bad])
    (tmp_path / "bad.csv").write_text("epoch,value\n0,1\n")
    with pytest.raises(ValueError, match=r"bad\.csv: expected a training log with the columns"):
        plots.read_log(tmp_path / "bad.csv")


def test_the_program_is_looked_for(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="--nasoseg names"):
        find_program(tmp_path / "nasoseg")
    made = tmp_path / "nasoseg"
    made.write_text("#!/bin/sh\n")
    made.chmod(0o755)
    assert find_program(made) == made.resolve()
    monkeypatch.setenv("NASOSEG_PROGRAM", str(made))
    assert find_program() == made.resolve()
    monkeypatch.setenv("NASOSEG_PROGRAM", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="NASOSEG_PROGRAM names"):
        find_program()
    monkeypatch.delenv("NASOSEG_PROGRAM")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program() == made
    made.unlink()
    monkeypatch.setattr("nasoseg_train.run.nasoseg_program.REPOSITORY", tmp_path)
    with pytest.raises(
        FileNotFoundError, match="neither on PATH nor in target/release or target/debug"
    ):
        find_program()
    built = tmp_path / "target" / "debug" / "nasoseg"
    built.parent.mkdir(parents=True)
    built.write_text("#!/bin/sh\n")
    built.chmod(0o755)
    assert find_program() == built


@dataclass
class FolderCase:
    """A case as a dataset offers it."""

    id: str
    folder: Path
    covariates: dict
    spacing_mm: tuple = (6.0, 2.2, 2.2)
    split: str = "test"

    def file(self, name):
        return self.folder / f"{name}.nii.gz"

    def _read(self, name):
        return np.asarray(nibabel.load(self.file(name)).dataobj).transpose(2, 1, 0)

    def images(self):
        return np.stack([self._read("T1C").astype(np.float32)] * 3)  # pictures show T1C alone

    def mask(self):
        return self._read("truth") > 0


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """Three stand-ins, the last one without its T2, and one that is stored from the head down."""
    out = []
    for n in range(4):
        made, folder = StandIn(n), tmp_path_factory.mktemp(f"case{n}")
        up = n != 2
        affine = np.diag([-2.2, -2.2, 6.0 if up else -6.0, 1.0])
        affine[:3, 3] = [140, 140, 0 if up else 66]
        arrays = dict(zip(("T1", "T1C", "T2"), made.images(), strict=True)) | {
            "truth": made.mask().astype(np.uint8)
        }
        for name, array in arrays.items():
            stored = array if up else array[::-1]
            nibabel.save(
                nibabel.Nifti1Image(np.ascontiguousarray(stored.transpose(2, 1, 0)), affine),
                folder / f"{name}.nii.gz",
            )
        out.append(FolderCase(f"p{n}", folder, {"sex": "fm"[n % 2]}))
    out[3].file("T2").unlink()
    return out


def evaluated(bundle, cases, out, **more):
    return Evaluate(bundle, Path("unused"), out=out, workers=2, **more).evaluate(
        cases, {"name": "stand-ins", "hash": "h", "split": "test"}, out
    )


def test_a_split_through_the_program(cases, tmp_path):
    out = tmp_path / "evaluation"
    report = evaluated(MICRO, cases, out, keep_runs=True)
    assert report["cases"]["evaluated"] == 3
    (failed,) = report["cases"]["failed"]
    assert (
        failed["case"] == "p3"
        and "T2.nii.gz" in failed["error"]
        and "exit code 3" in failed["error"]
    )
    assert report == json.loads((out / "evaluation.json").read_text())
    rows, case_rows = read_csv(out / "slices.csv", SliceRow), read_csv(out / "cases.csv", CaseRow)
    assert len(rows) == 36 and [c.case for c in case_rows] == ["p0", "p1", "p2", "p3"]
    assert case_rows[1].covariates == {"sex": "m"} and case_rows[3].error == failed["error"]
    # Against the mask that the program wrote, and its own walk.
    for case in cases[:3]:
        found = (
            np.asarray(nibabel.load(out / "runs" / case.id / "mask.nii.gz").dataobj).transpose(
                2, 1, 0
            )
            > 0
        )
        detection = json.loads((out / "runs" / case.id / "detection.json").read_text())
        mine = {r.storage_slice: r for r in rows if r.case == case.id}
        assert [mine[k].tp + mine[k].fp for k in range(12)] == found.sum(axis=(1, 2)).tolist()
        assert [mine[k].tp + mine[k].fn for k in range(12)] == case.mask().sum(axis=(1, 2)).tolist()
        for entry in detection["slices"]:
            r = mine[entry["storage_slice"]]
            assert r.slice == entry["slice"] and r.steps == len(entry["trajectory"]["actions"])
            assert r.stopped == (entry["trajectory"]["actions"][-1] == 10)
            # fit `mm`, 2.96 mm a pixel about the centre of 128 x 128 pixels of 2.2 mm, grid 96.
            wanted = (np.array(entry["box"]) - 48) * 2.96 / 2.2 + 64
            assert [r.x0, r.y0, r.x1, r.y1] == pytest.approx(wanted.tolist(), abs=1e-3)
    whole = next(c for c in case_rows if c.case == "p2")
    assert whole.dice == pytest.approx(
        m.dice(*(sum(getattr(r, n) for r in rows if r.case == "p2") for n in ("tp", "fp", "fn")))
    )
    assert whole.volume_ml == pytest.approx(cases[2].mask().sum() * 6 * 2.2 * 2.2 / 1000)
    text = (out / "report.md").read_text()
    assert "Not for clinical use" in text and "p3: " in text and "| sex |" in text
    assert (
        "trained on data that its manifest does not name" in text
        and "figures are too good" not in text
    )
    report["bundle"]["data_hash"] = "another"
    assert "trained on another data set; whether" in to_markdown(report)
    report["bundle"]["data_hash"], report["dataset"]["split"] = "h", "validation"
    assert "the bundle was chosen on: the figures are too good" in to_markdown(report)
    # The demo's report is this one, with its goals.
    shutil.copytree(MICRO, tmp_path / "bundle")
    demo.report(out, tmp_path / "bundle")
    report = (tmp_path / "bundle" / "report.md").read_text()
    assert (
        "Not for clinical use" in report
        and "## Goals" in report
        and "## Segmentation" in report
        and "plots/" not in report
    )
    manifest = json.loads((tmp_path / "bundle" / "bundle.json").read_text())
    tumour = [r for r in rows if r.tumour]
    assert manifest["metrics"]["test"]["patients"] == 3
    assert manifest["metrics"]["test"]["box recall, smallest"] == pytest.approx(
        min(r.box_recall for r in tumour)
    )
    assert manifest["metrics"]["test"]["tumour slices missed altogether"] == pytest.approx(
        np.mean([r.tp == 0 for r in tumour])
    )
    assert (
        manifest["files"]["trunk.onnx"]
        == hashlib.sha256((MICRO / "trunk.onnx").read_bytes()).hexdigest()
    )
    measured = {
        name: (value, reached)
        for name, _, value, reached in demo.goals(
            json.loads((out / "evaluation.json").read_text()), rows
        )
    }
    assert measured["box recall, mean"][1] == (measured["box recall, mean"][0] >= 0.95)
    assert measured["tumour slices missed altogether"][1] == (
        measured["tumour slices missed altogether"][0] < 0.01
    )
    for name in ("bland_altman", "dice_area", "cases"):
        assert (
            out / "plots" / f"{name}.png"
        ).stat().st_size > 10_000 and f"plots/{name}.png" in text
    assert sorted(p.name for p in out.iterdir()) == [
        "cases.csv",
        "evaluation.json",
        "plots",
        "report.md",
        "runs",
        "slices.csv",
    ]


def test_a_phantom_through_the_program(tmp_path):
    """Sequences on their own grids, and a tumour that micro finds most of: masks and boxes lie
    where the truth does.
    """
    phantom, folder = Phantom(3_016_011), tmp_path / "phantom"
    write_nifti(phantom, folder)
    for name in ("T1", "T1C", "T2"):
        (folder / f"{name.lower()}.nii.gz").rename(folder / f"{name}.nii.gz")
    report = evaluated(
        MICRO, [FolderCase("p", folder, {}, phantom.spacing_mm)], tmp_path / "evaluation"
    )
    assert (
        report["segmentation"]["patients"]["dice"]["mean"] > 0.7
        and report["segmentation"]["pooled"]["precision"] > 0.8
    )
    assert report["boxes"]["recall"]["mean"] > 0.4 and report["boxes"]["iou"]["mean"] > 0.35
    assert report["segmentation"]["slices"]["hd_mm"]["mean"] < 20
    rows = read_csv(tmp_path / "evaluation" / "slices.csv", SliceRow)
    assert [r.storage_slice for r in rows if r.tumour] == phantom.tumour_slices
    assert [r.area_mm2 for r in rows if r.tumour] == pytest.approx(
        phantom.mask().sum((1, 2))[phantom.tumour_slices] * 0.74**2
    )


def test_a_bundle_of_tumour_slices_alone_sees_their_range(cases, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(MICRO, bundle)
    content = json.loads((bundle / "bundle.json").read_text())
    content["negatives_trained"] = False
    (bundle / "bundle.json").write_text(json.dumps(content))
    empty = FolderCase("empty", tmp_path / "empty", {})
    shutil.copytree(cases[0].folder, empty.folder)
    image = nibabel.load(empty.file("truth"))
    nibabel.save(
        nibabel.Nifti1Image(np.zeros(image.shape, dtype=np.uint8), image.affine),
        empty.file("truth"),
    )
    report = evaluated(bundle, [cases[2], empty], tmp_path / "evaluation")
    rows = read_csv(tmp_path / "evaluation" / "slices.csv", SliceRow)
    assert (
        sorted(r.storage_slice for r in rows)
        == np.flatnonzero(cases[2].mask().any(axis=(1, 2))).tolist()
    )
    assert all(r.tumour for r in rows) and report["slices"]["tumour_free"] == 0
    (failed,) = report["cases"]["failed"]
    assert failed["case"] == "empty" and "no tumour" in failed["error"]
    assert not (tmp_path / "evaluation" / "runs").exists()
    assert "range" in (tmp_path / "evaluation" / "report.md").read_text()


def test_a_program_that_cannot_start_is_the_cases_error(cases, tmp_path):
    broken = tmp_path / "nasoseg"
    broken.write_text("#!/nowhere/sh\n")
    broken.chmod(0o755)
    from nasoseg_train.evaluation.case_figures import score_case

    manifest = json.loads((MICRO / "bundle.json").read_text())
    result, rows = score_case(cases[0], Program(broken, MICRO), manifest, tmp_path / "run")
    assert "nasoseg" in result.error and rows == []


def test_a_broken_file_is_the_cases_error(cases, tmp_path):
    broken = FolderCase("broken", tmp_path / "broken", {})
    shutil.copytree(cases[0].folder, broken.folder)
    whole = broken.file("truth").read_bytes()
    broken.file("truth").write_bytes(whole[: len(whole) // 2])
    report = evaluated(MICRO, [broken, cases[1]], tmp_path / "evaluation")
    assert report["cases"]["evaluated"] == 1 and report["cases"]["failed"][0]["case"] == "broken"
    assert report["subgroups"][0]["left_out"] == "all cases are in one group"


def test_plots_of_too_little_are_left_out(tmp_path):
    assert not plots.bland_altman([CaseRow("a")], tmp_path / "a.png")
    assert not plots.dice_against_area([row(EMPTY, EMPTY)], tmp_path / "b.png")
    assert not plots.pictures([], tmp_path / "c.png") and not plots.convergence(
        {}, tmp_path / "d.png"
    )
    assert not list(tmp_path.iterdir())


def test_csv_is_plain(tmp_path):
    write_csv([row(half(), SQUARE)], SliceRow, tmp_path / "s.csv")
    with open(tmp_path / "s.csv") as f:
        (line,) = csv.DictReader(f)
    assert line["tumour"] == "True" and line["x0"] == "" and float(line["hd_mm"]) == 10.0


def test_a_demo_model_is_named_in_the_words_of_the_program():
    rust = (Path(__file__).resolve().parents[2] / "src/provenance.rs").read_text()
    assert f'DEMO_BANNER: &str = "{demo_words.BANNER}"' in rust
    assert demo_words.warning({"demo": True, "statement": "A."}) == f"{demo_words.BANNER} A."
    assert demo_words.warning({"demo": False, "statement": "A."}) == ""
    package = Path(demo_words.__file__).parents[1]
    sources = [p for p in package.rglob("*.py") if p != Path(demo_words.__file__)]
    for words in ("NOT FOR CLINICAL", "Not for clinical", "Demonstration."):
        assert not [p for p in sources if words in p.read_text()]


def test_a_plot_shows_the_whole_warning_of_a_demo_model(tmp_path):
    made = plots.figure(6.4, 4.4)
    made.subplots()
    warning = demo_words.warning({"demo": True, "statement": "Trained on synthetic images."})
    plots.save(made, tmp_path / "a.png", warning)
    assert [" ".join(t.get_text().split()) for t in made.texts] == [warning]
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
