"""Checks the paper's claims of which system does better against our figures.

A claim names two systems and a figure. Over seeds: it `holds` or `does not hold` if the means
differ by more than the spread of a difference of two single training runs (the root of the sum of
both variances), else it is `within the seeds' spread`. With one seed each there is no spread, which
is stated.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .paper import TABLES
from .paper_tables import NOT_RUN, RunFiles, Value, demo_lines, over_seeds, subgroup
from .plots import read_log
from .report import table

Runs = dict[str, list[RunFiles]]


@dataclass(frozen=True)
class Measure:
    """A figure of a system."""

    name: str
    of: Callable[[Runs, str], Value | None]
    higher: bool = True  # is better
    share: bool = True  # shown in percent


@dataclass(frozen=True)
class Claim:
    """The paper's claim in `where`: `better` does better than `worse` in each of the measures."""

    where: str
    better: str
    worse: str
    measures: tuple[Measure, ...]


def _figure(name: str, *path: str, higher: bool = True, share: bool = True) -> Measure:
    return Measure(name, lambda runs, system: over_seeds(runs.get(system, []), path), higher, share)


DICE = (
    _figure("Dice, mean of slices", "segmentation", "slices", "dice", "mean"),
    _figure("Dice, pooled", "segmentation", "pooled", "dice"),
)
PRECISION = _figure("precision, pooled", "segmentation", "pooled", "precision")
RECALL = _figure("recall, pooled", "segmentation", "pooled", "recall")
HD = _figure("HD, px", "segmentation", "slices", "hd_px", "mean", higher=False, share=False)
BOX = {
    f"{name} {of}": _figure(f"box {name} {of}", "boxes", name, of)
    for name in ("recall", "iou")
    for of in ("min", "max", "mean")
}
BASELINE = "agent_priori_00"


def _per_log(
    runs: Runs, system: str, of: Callable[[dict[str, np.ndarray]], float | None]
) -> Value | None:
    found = [of(read_log(r.log)) for r in runs.get(system, []) if r.log]
    there = tuple(v for v in found if v is not None and not math.isnan(v))
    return Value(there) if there else None


def _last_loss(log: dict[str, np.ndarray]) -> float | None:
    loss = log["loss"][~np.isnan(log["loss"])]
    return float(loss[-max(1, len(loss) // 5) :].mean()) if len(loss) else None


def final_loss(runs: Runs, system: str) -> Value | None:
    """Mean loss of the last fifth of the epochs."""
    return _per_log(runs, system, _last_loss)


def epochs_to_level(runs: Runs, system: str) -> Value | None:
    """Epochs until the loss is first as low as plain epsilon-greedy's final one; one more than all
    epochs if it never is.
    """
    level = final_loss(runs, BASELINE)

    def epochs(log: dict[str, np.ndarray]) -> float | None:
        if level is None:
            return None
        below = np.flatnonzero(log["loss"] <= level.mean)
        return float(log["epoch"][below[0]] + 1 if len(below) else log["epoch"].max() + 2)

    return _per_log(runs, system, epochs)


def recall_on_the_way(runs: Runs, system: str) -> Value | None:
    """Mean box recall on validation slices over the whole training: high if it was high early."""
    return _per_log(
        runs,
        system,
        lambda log: (
            float(np.nanmean(log["recall"]))
            if "recall" in log and not np.isnan(log["recall"]).all()
            else None
        ),
    )


CONVERGENCE = (
    Measure(
        "epochs until the loss is ε-greedy's at its end", epochs_to_level, higher=False, share=False
    ),
    Measure("loss at the end", final_loss, higher=False, share=False),
    Measure("validation recall, mean over training", recall_on_the_way),
)


def _chain(where: str, measures: tuple[Measure, ...], *systems: str) -> list[Claim]:
    """Best first: every system above the next."""
    return [Claim(where, a, b, measures) for a, b in itertools.pairwise(systems)]


CLAIMS: tuple[Claim, ...] = (
    Claim("Fig. 5: the prior converges faster", "seqseg", BASELINE, CONVERGENCE),
    Claim(
        "Fig. 5: a large prior converges faster than a small one",
        "seqseg",
        "agent_priori_04",
        CONVERGENCE,
    ),
    *_chain(
        "Table 1: the more prior, the better the boxes",
        (BOX["recall mean"], BOX["recall min"], BOX["iou mean"]),
        "seqseg",
        "agent_priori_04",
        BASELINE,
    ),
    Claim("Table 1: except for the largest IoU", BASELINE, "seqseg", (BOX["iou max"],)),
    Claim(
        "Table 2: the agent's recall above Faster R-CNN's",
        "seqseg",
        "faster_rcnn",
        (BOX["recall mean"], BOX["recall min"]),
    ),
    Claim("Table 2: its IoU below", "faster_rcnn", "seqseg", (BOX["iou mean"], BOX["iou max"])),
    *_chain(
        "Table 3: cRAM + rRAM above cRAM above SE above plain",
        DICE,
        "unet_cram_rram",
        "unet_cram",
        "unet_se",
        "unet",
    ),
    *_chain(
        "Table 3: cRAM + rRAM above rRAM above SE", DICE, "unet_cram_rram", "unet_rram", "unet_se"
    ),
    Claim("Table 3: cRAM above SE in every figure", "unet_cram", "unet_se", (PRECISION, RECALL)),
    *_chain(
        "Table 4: DBW above Dice loss above cross entropy above category weights",
        DICE,
        "unet_dbw",
        "unet_dice",
        "unet",
        "unet_weighted",
    ),
    *[
        Claim("Table 4: DBW has the smallest HD", "unet_dbw", other, (HD,))
        for other in ("unet_dice", "unet", "unet_weighted")
    ],
    Claim(
        "Table 4: category weights have the highest recall", "unet_weighted", "unet_dbw", (RECALL,)
    ),
    Claim("Table 4: cross entropy has the highest precision", "unet", "unet_dbw", (PRECISION,)),
    *_chain(
        "Table 5: order of Dice",
        DICE,
        "ranet_weighted",
        "ranet",
        "attention_unet",
        "ddnn",
        "unet",
        "densenet",
    ),
    *_chain(
        "Table 5: order of HD",
        (HD,),
        "ranet_weighted",
        "ranet",
        "attention_unet",
        "ddnn",
        "unet",
        "densenet",
    ),
    Claim("Table 6: SeqSeg above RANet alone", "seqseg", "ranet_weighted", (*DICE, RECALL, HD)),
    Claim("Table 6: except in precision", "ranet_weighted", "seqseg", (PRECISION,)),
    *_chain("Table 6: order of Dice", DICE, "seqseg", "ranet_weighted", "lin", "tang", "mask_rcnn"),
    *[
        Claim("Table 6: SeqSeg above the others", "seqseg", other, (RECALL, HD))
        for other in ("mask_rcnn", "lin", "tang")
    ],
)


@dataclass(frozen=True)
class Outcome:
    """The result for one claim and measure."""

    claim: Claim
    measure: Measure
    better: Value | None
    worse: Value | None

    @property
    def verdict(self) -> str:
        a, b = self.better, self.worse
        if a is None or b is None:
            missing = [
                name for name, v in ((self.claim.better, a), (self.claim.worse, b)) if v is None
            ]
            return f"{NOT_RUN}: {', '.join(missing)}"
        lead = (a.mean - b.mean) * (1 if self.measure.higher else -1)
        spreads = [v.sd for v in (a, b) if v.sd is not None]
        if not spreads:
            return ("holds" if lead > 0 else "does not hold") + " (one seed each)"
        # A single training run compared with several is assumed to have their spread.
        if abs(lead) <= math.sqrt(sum(s * s for s in spreads) * 2 / len(spreads)):
            return "within the seeds' spread"
        return "holds" if lead > 0 else "does not hold"

    def shown(self, value: Value | None) -> str:
        if value is None:
            return "–"
        factor, unit = (100, " %") if self.measure.share else (1, "")
        spread = "" if value.sd is None else f" ± {value.sd * factor:.3g}"
        return f"{value.mean * factor:.4g}{spread}{unit}"


def outcomes(runs: Runs) -> list[Outcome]:
    """Every claim, measure by measure."""
    return [
        Outcome(c, m, m.of(runs, c.better), m.of(runs, c.worse)) for c in CLAIMS for m in c.measures
    ]


def _verdict(held: Sequence[bool]) -> str:
    """Of one test per seed."""
    if not held:
        return NOT_RUN
    if all(held):
        return "holds"
    return f"holds in {sum(held)} of {len(held)} seeds" if any(held) else "does not hold"


def subgroup_claims(runs: Runs) -> list[list[str]]:
    """Section 5: HD differs between the groups of Tables 7 and 8, Dice does not; per slice, seed by
    seed.
    """
    out = []
    for number, text in (
        (7, "chemotherapy-naive have a smaller HD"),
        (8, "early T categories have a smaller HD"),
    ):
        paper_table = next(t for t in TABLES if t.number == number)
        first, second = (row.label for row in paper_table.rows)
        smaller, alike = [], []
        for run in runs.get("seqseg", []):
            found, against = (
                subgroup(run.evaluation or {}, paper_table.covariate, label)
                for label in (first, second)
            )
            if not (found and against):
                continue
            (one, group), (other, _) = found, against
            known = one["hd_px"] is not None and other["hd_px"] is not None
            smaller.append(
                known
                and bool(group["slices"]["hd"]["significant"])
                and one["hd_px"] < other["hd_px"]
            )
            alike.append(group["slices"]["dice"]["significant"] is False)
        out.append([f"Table {number}: {text}", "P < 0.01", _verdict(smaller)])
        out.append([f"Table {number}: Dice does not differ", "P >= 0.01", _verdict(alike)])
    return out


def to_markdown(found: Sequence[Outcome], runs: Runs) -> str:
    """The list, claim by claim."""
    rows = []
    for o in found:
        pair = f"{o.claim.better} > {o.claim.worse}"
        rows.append(
            [o.claim.where, pair, o.measure.name, o.shown(o.better), o.shown(o.worse), o.verdict]
        )
    ran = [o for o in found if not o.verdict.startswith(NOT_RUN)]
    counted = {
        name: sum(o.verdict.startswith(name) for o in ran)
        for name in ("holds", "does not hold", "within")
    }
    return "\n".join(
        [
            "# The paper's orderings",
            "",
            *demo_lines(runs),
            f"{counted['holds']} hold, {counted['does not hold']} do not, {counted['within']} are "
            "within the seeds' spread, "
            f"{len(found) - len(ran)} were not run. `>` is better, which is lower for HD, loss "
            "and epochs; ± is the standard "
            "deviation over seeds.",
            "",
            *table(["claim", "better > worse", "figure", "better", "worse", "verdict"], rows),
            "",
            *table(["subgroups, per slice", "test", "verdict"], subgroup_claims(runs)),
            "",
        ]
    )
