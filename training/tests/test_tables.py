"""Tables 1 to 8 and the orderings from made-up evaluations: every figure in its cell."""

import csv
import io
import json

import pytest

from nasoseg_train.commands.tables import Tables
from nasoseg_train.evaluation import orderings
from nasoseg_train.evaluation import paper_tables as tables
from nasoseg_train.evaluation.paper import TABLES


def evaluation(base, demo=True, **more):
    """An evaluation whose every figure differs from every other: base plus a small share of its
    own.
    """
    names = ("dice", "precision", "recall", "iou")
    segmentation = {
        "slices": {n: {"count": 9, "mean": base + i / 100} for i, n in enumerate(names)}
        | {
            "cc": base - 0.3,
            "hd_px": {"mean": 100 * base, "undefined": 2},
            "hd_mm": {"mean": 50 * base},
        },
        "pooled": {n: base + 0.05 + i / 100 for i, n in enumerate(names)} | {"cc": None},
    }
    return {
        "bundle": {"demo": demo, "statement": "Made up."},
        "dataset": {"name": "made-up", "hash": "h", "split": "test"},
        "cases": {"asked": 4, "evaluated": 4, "failed": []},
        "segmentation": segmentation,
        "boxes": {
            n: {"min": base - 0.1 + s, "max": base + 0.2 + s, "mean": base + s}
            for n, s in (("recall", 0.0), ("iou", -0.2))
        },
        "subgroups": [],
    } | more


def subgroup(covariate, groups, hd_p, dice=0.5):
    row = {"precision": 0.61, "recall": 0.62, "cc": 0.63, "hd_mm": 7.0, "cases": 3}
    rows = [
        row | {"group": g, "dice": dice + i / 10, "hd_px": 10.0 + i, "sample": 20 + i}
        for i, g in enumerate(groups)
    ]
    tests = {
        "dice": {"p": 0.4, "significant": False},
        "hd": {"p": hd_p, "significant": hd_p < 0.01},
    }
    return {"covariate": covariate, "rows": rows, "slices": tests, "patients": tests}


def write(runs, system, seed, content, log=None):
    folder = runs / system / f"seed{seed}"
    (folder / "evaluation").mkdir(parents=True)
    if content:
        (folder / "evaluation" / "evaluation.json").write_text(json.dumps(content))
    if log:
        (folder / "detector.csv").write_text(
            "epoch,loss,recall\n" + "".join(f"{e},{v},{r}\n" for e, (v, r) in enumerate(log))
        )


@pytest.fixture
def runs(tmp_path):
    chemo, stage = (
        subgroup("chemotherapy", ("0", "1"), 0.02),
        subgroup("t_category", ("T1+T2", "T3+T4"), 0.0004, dice=0.55),
    )
    sex = subgroup(
        "sex", ("0", "1"), 0.5, dice=0.1
    )  # has the groups' names of Table 7, and is not it
    for seed, base in enumerate((0.80, 0.82)):
        write(
            tmp_path,
            "seqseg",
            seed,
            evaluation(base, subgroups=[sex, chemo, stage]),
            [(0.5, 0.5), (0.1, 0.9), (0.1, 0.9), (0.1, 0.9)],
        )
        write(tmp_path, "ranet_weighted", seed, evaluation(base - 0.001))
        write(tmp_path, "unet", seed, evaluation(base - 0.2))
        write(
            tmp_path,
            "agent_priori_00",
            seed,
            None,
            [(0.5, 0.4), (0.4, 0.5), (0.3, 0.6), (0.2, 0.7)],
        )
    write(tmp_path, "faster_rcnn", 0, evaluation(0.7))
    write(tmp_path, "unet_dbw", 0, evaluation(0.4))
    return tmp_path


def cells(text, number):
    """The rows of one table: list of lists of cells."""
    part = text.split(f"## Table {number}\n")[1].split("## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:1] + lines[2:]]


def test_every_printed_row_is_there_in_order(runs):
    text = tables.to_markdown(tables.read_runs(runs))
    for t in TABLES:
        head, *body = cells(text, t.number)
        assert head[2 : 2 + len(t.columns)] == list(t.columns)
        assert [line[0] for line in body if line[1] == "paper"] == [r.label for r in t.rows]
        assert all(len(line) == len(head) for line in body)
        assert all(len(r.printed) == len(t.columns) for r in t.rows)
    assert "Not for clinical use" in text


def test_the_printed_figures_agree_with_themselves_as_far_as_the_paper_does():
    """CC = (3 Dice - 2) / Dice in every printed row: a slip of the pen here would show."""
    odd = []
    for t in TABLES:
        if "CC" not in t.columns:
            continue
        for r in t.rows:
            printed = dict(zip(t.columns, r.printed, strict=True))
            if abs((3 * printed["Dice"] - 2) / printed["Dice"] - printed["CC"]) > 0.002:
                odd.append((t.number, r.label))
    # What the paper itself contradicts, and nothing else.
    assert odd == [(3, "U-Net+cRAM+rRAM"), (5, "Att Unet")]
    for number, label in odd:
        row = next(r for t in TABLES if t.number == number for r in t.rows if r.label == label)
        dice = row.also.get("Dice", (row.printed[0],))[0]
        assert (3 * dice - 2) / dice == pytest.approx(row.printed[3], abs=0.005), (number, label)


def test_ours_stand_below_the_paper_in_the_same_columns(runs):
    text = tables.to_markdown(tables.read_runs(runs))
    six = cells(text, 6)
    ours = [line for line in six if line[0] == "SeqSeg (Ours)"]
    assert ours[0][2:] == ["80.32%", "75.53%", "87.57%", "51.00%", "12.25"]
    # 0.80 and 0.82: mean 0.81, standard deviation 0.0141.
    assert ours[1][1:] == [
        "ours, mean of slices (2 seeds)",
        "81.00% ± 1.41",
        "82.00% ± 1.41",
        "83.00% ± 1.41",
        "51.00% ± 1.41",
        "81.00 ± 1.41 (40.50 mm; no HD on 2)",
    ]
    assert ours[2][1:] == [
        "ours, pooled (2 seeds)",
        "86.00% ± 1.41",
        "87.00% ± 1.41",
        "88.00% ± 1.41",
        "–",
        "–",
    ]
    assert [line[1:] for line in six if line[0] == "Mask R-CNN"][1] == [
        "ours: not run",
        "–",
        "–",
        "–",
        "–",
        "–",
    ]
    two = cells(text, 2)
    assert two[2][1:] == [
        "ours (2 seeds)",
        "71.00% ± 1.41",
        "101.00% ± 1.41",
        "81.00% ± 1.41",
        "51.00% ± 1.41",
        "81.00% ± 1.41",
        "61.00% ± 1.41",
    ]
    assert two[4][1:] == ["ours", "60.00%", "90.00%", "70.00%", "40.00%", "70.00%", "50.00%"]
    # A detector's log alone is no row of Table 1.
    assert [line[1] for line in cells(text, 1) if line[0] == "ε-greedy"] == [
        "paper",
        "ours: not run",
    ]


def test_both_figures_where_the_paper_disagrees_with_itself(runs):
    text = tables.to_markdown(tables.read_runs(runs))
    assert (
        next(line for line in cells(text, 5) if line[0] == "Att Unet")[2]
        == "73.43% (or 72.91%: text)"
    )
    assert (
        next(line for line in cells(text, 3) if line[0] == "U-Net+cRAM+rRAM")[2]
        == "72.31% (or 72.70%: from its own P, R and CC)"
    )


def test_subgroups_find_their_covariate(runs):
    text = tables.to_markdown(tables.read_runs(runs))
    seven, eight = cells(text, 7), cells(text, 8)
    assert (
        seven[2][:3] == ["0", "ours, mean of slices (2 seeds)", "50.00% ± 0.00"]
        and seven[4][2] == "60.00% ± 0.00"
    )
    assert (seven[1][7], seven[2][7], seven[4][7]) == ("235", "20", "21")
    assert eight[2][2:] == [
        "55.00% ± 0.00",
        "61.00% ± 0.00",
        "62.00% ± 0.00",
        "63.00% ± 0.00",
        "10.00 ± 0.00 (7.00 mm)",
        "20",
    ]
    assert "seed1: per slice Dice 0.400, HD <0.001" in text.split("## Table 8")[1]


def test_cases_without_the_covariate_are_told_from_no_run(tmp_path):
    assert [line[1] for line in cells(tables.to_markdown(tables.read_runs(tmp_path)), 7)[1:3]] == [
        "paper",
        "ours: not run",
    ]
    write(tmp_path, "seqseg", 0, evaluation(0.5))
    assert cells(tables.to_markdown(tables.read_runs(tmp_path)), 7)[2][1] == "ours: no such cases"


def test_csv_holds_the_same(runs):
    found = {
        (r["table"], r["row"], r["source"], r["column"]): r
        for r in csv.DictReader(io.StringIO(tables.to_csv(tables.read_runs(runs))))
    }
    ours = found["6", "SeqSeg (Ours)", "slices", "HD"]
    assert (
        float(ours["mean"]) == pytest.approx(81)
        and ours["seeds"] == "2"
        and ours["system"] == "seqseg"
    )
    assert float(found["6", "SeqSeg (Ours)", "slices", "HD mm"]["mean"]) == pytest.approx(40.5)
    assert float(found["5", "Att Unet", "paper, text", "Dice"]["mean"]) == 0.7291
    assert ("5", "DDNN", "not run", "") in found


def test_runs_of_other_cases_are_told(runs):
    assert "cannot be compared" not in "".join(tables.heading(tables.read_runs(runs))[:6]).replace(
        "Only the order of rows can be compared", ""
    )
    other = evaluation(
        0.5, demo=False, cases={"asked": 4, "evaluated": 3, "failed": [{"case": "x", "error": "y"}]}
    )
    write(runs, "ddnn", 0, other)
    head = "\n".join(tables.heading(tables.read_runs(runs)))
    assert "were not evaluated on the same cases" in head and "ddnn/seed0 1" in head


def test_a_broken_evaluation_is_named(runs):
    (runs / "unet" / "seed1" / "evaluation" / "evaluation.json").write_text('{"format": 1}')
    with pytest.raises(
        ValueError,
        match=r"unet/seed1/evaluation/evaluation\.json: not what nasoseg-train evaluate writes",
    ):
        tables.read_runs(runs)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        tables.read_runs(runs / "nowhere")


def test_orderings(runs):
    found = orderings.outcomes(tables.read_runs(runs))

    def verdict(better, worse, measure):
        return next(
            o
            for o in found
            if (o.claim.better, o.claim.worse, o.measure.name) == (better, worse, measure)
        ).verdict

    # 0.1 points apart at 1.4 points of spread.
    assert verdict("seqseg", "ranet_weighted", "Dice, mean of slices") == "within the seeds' spread"
    assert verdict("seqseg", "ranet_weighted", "HD, px") == "within the seeds' spread"
    assert verdict("unet", "unet_dbw", "precision, pooled") == "holds"
    # A box recall 11 points above one run of Faster R-CNN, and an IoU that is above too.
    assert verdict("seqseg", "faster_rcnn", "box recall mean") == "holds"
    assert verdict("faster_rcnn", "seqseg", "box iou mean") == "does not hold"
    assert verdict("unet_dbw", "unet", "HD, px") == "holds"  # 40 against 61: less is better
    assert verdict("unet_cram", "unet_se", "Dice, pooled") == "not run: unet_cram, unet_se"
    # Plain epsilon-greedy ends at 0.2, where the prior is after its second epoch and it itself
    # after its fourth.
    assert (
        verdict("seqseg", "agent_priori_00", "epochs until the loss is ε-greedy's at its end")
        == "holds"
    )
    runs_read = tables.read_runs(runs)
    assert orderings.epochs_to_level(runs_read, "seqseg").seeds == (2, 2)
    assert orderings.epochs_to_level(runs_read, "agent_priori_00").seeds == (4, 4)
    assert orderings.final_loss(runs_read, "agent_priori_00").seeds == (0.2, 0.2)
    subgroups = {line[0]: line[2] for line in orderings.subgroup_claims(runs_read)}
    assert subgroups["Table 8: early T categories have a smaller HD"] == "holds"
    assert subgroups["Table 7: chemotherapy-naive have a smaller HD"] == "does not hold"
    assert subgroups["Table 7: Dice does not differ"] == "holds"
    text = orderings.to_markdown(found, runs_read)
    assert (
        "Not for clinical use" in text
        and "| seqseg > faster_rcnn | box recall mean | 81 ± 1.41 % | 70 % | holds |" in text
    )


def test_one_seed_has_no_spread(tmp_path):
    write(tmp_path, "ranet", 0, evaluation(0.7))
    write(tmp_path, "attention_unet", 0, evaluation(0.6))
    found = orderings.outcomes(tables.read_runs(tmp_path))
    assert {
        o.verdict for o in found if (o.claim.better, o.claim.worse) == ("ranet", "attention_unet")
    } == {
        "holds (one seed each)",
        "does not hold (one seed each)",
    }  # HD grows with Dice in what is made up here


def test_the_command_writes_what_it_prints(runs, tmp_path, capsys):
    out = tmp_path / "out"
    Tables(runs, out).main()
    printed = capsys.readouterr().out
    assert (out / "tables.md").read_text() in printed and (
        out / "orderings.md"
    ).read_text() in printed
    assert sorted(p.name for p in out.iterdir()) == [
        "convergence.png",
        "orderings.md",
        "tables.csv",
        "tables.md",
    ]
