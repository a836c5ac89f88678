"""`nasoseg-train export`: writes the bundle of a training run's best checkpoints and compares it
with PyTorch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ..run.demo_words import RESEARCH, SYNTHETIC
from ..run.training_run import TrainingRun
from .train import tumour_free_of

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..data.slice_set import SliceSet


@dataclass
class Export:
    """Write a training run's bundle: graphs, golden case, manifest (docs/reference/bundle.md)."""

    run: Path
    """Folder of the training run, such as runs/seqseg/seed1."""
    dataset: Path
    """The data set that it was trained on; biases and threshold are chosen on its validation
    patients.
    """
    out: Path | None = None
    """Folder of the bundle; RUN/bundle unless given."""
    name: str | None = None
    """Name of the bundle; the system unless given."""
    version: str = "0.1.0"
    """Version of the bundle."""
    licence: str = "Apache-2.0"
    """Licence of the weights; your data's terms may require another."""
    statement: str | None = None
    """Intended use, shown beside every result."""
    note: str | None = None
    """Remark on this training run for readers of the manifest."""
    calibrate: bool | None = None
    """Whether to choose the agent's two biases on validation slices (calibration.py); the setting
    detector.calibrate unless given.
    """
    choose_threshold: bool = False
    """Choose the probability threshold on the whole validation patients (threshold.py) instead of
    the settings' own, for bundles that will also see slices without tumour. Takes minutes.
    """
    golden_from_data: bool = False
    """Take the golden case's images from the data set's validation patients. They become part of
    the bundle, visible to everyone who gets it; otherwise a synthetic patient is used.
    """
    workers: int = 2
    """Processes that prepare slices."""

    def main(self) -> None:
        from ..data.dataset import Dataset

        run = TrainingRun.open(self.run)
        try:
            data = Dataset.open(self.dataset)
        except (OSError, ValueError) as error:
            raise SystemExit(str(error)) from error
        if data.hash != run.dataset["hash"]:
            raise SystemExit(
                f"{self.dataset}: is not the data set of this training run "
                f"({run.dataset['name']}, {run.dataset['hash'][:12]}). Give the one that it was "
                "trained on"
            )
        if self.choose_threshold and (
            run.settings.segmenter_kind != "crop"
            or run.settings.ranet.network in ("box", "mask_rcnn")
        ):
            raise SystemExit(
                f"--choose-threshold: system {run.system} has no network on crops with a "
                "probability. Leave the option out"
            )
        out = self.out or run.folder / "bundle"
        out.parent.mkdir(parents=True, exist_ok=True)
        # The bundle is complete or does not exist; other files in the folder stay.
        with TemporaryDirectory(prefix=".bundle-", dir=out.parent) as beside:
            figures = self.write(run, data, Path(beside))
            put(Path(beside), out)
        print(json.dumps({"bundle": str(out), **figures}, indent=2))

    def write(self, run: TrainingRun, data: Dataset, out: Path) -> dict[str, Any]:
        """Write the bundle; returns the differences between its graphs and the networks."""
        from ..bundle.graph_parity import check_graphs
        from ..bundle.reference_parity import check_bundle
        from ..bundle.writer import write_bundle
        from ..data.slice_set import build_cache, patient_seeds, phantom_patient

        p = run.settings
        # The golden case of a volume's segmenter is neighbouring slices, so every slice is needed.
        every = p.segmenter_kind == "volume"
        validation = data.slices(
            "validation", p.input, None if every else tumour_free_of(p), self.workers
        )
        detector, segmenter, metrics = networks_of(
            run, validation, p.detector.calibrate if self.calibrate is None else self.calibrate
        )
        if self.golden_from_data or is_synthetic(data):
            images, voxel_mm = golden_images(detector, validation, data.cases().__getitem__, p)
        else:
            seeds, kept = patient_seeds("validation", 1, 1), None if every else 0
            with TemporaryDirectory() as folder:
                slices = build_cache(
                    Path(folder), seeds, data.input(p.input), kept, 1, phantom_patient
                )
                images, voxel_mm = golden_images(detector, slices, phantom_patient, p)
        write_bundle(out, detector, segmenter, p, images, self.text(run, data), metrics, voxel_mm)
        figures: dict[str, Any] = {"networks": check_graphs(out, detector, segmenter, p)}
        if p.detector_kind in ("agent", "whole") and p.segmenter_kind == "crop":
            figures |= check_bundle(out)
            if self.choose_threshold:
                from ..bundle.threshold import set_threshold

                cases = data.cases("validation")
                figures["threshold"] = set_threshold(
                    out, ((c.images(), c.mask(), c.spacing_mm) for c in cases), len(cases)
                )
        return figures

    def text(self, run: TrainingRun, data: Dataset) -> Any:
        from ..bundle.writer import BundleText

        p, counts = (
            run.settings,
            {split: len(data.cases(split)) for split in ("train", "validation")},
        )
        synthetic = is_synthetic(data)
        statement = self.statement or (SYNTHETIC if synthetic else RESEARCH.format(name=data.name))
        # A network on volumes is trained on whole patients, including tumour-free slices.
        negatives = p.segmenter_kind == "volume" or all(
            (p.detector.tumour_free_share, p.segmenter.tumour_free_share)
        )
        training = {
            "system": run.system,
            "seed": run.seed,
            "preset": json.loads(json.dumps(p.to_dict())),
            "data": f"{data.name}: {data.record['source']['kind']}; {counts['train']} for "
            f"training, {counts['validation']} for choosing"
            " checkpoints and what is calibrated",
            "data_hash": run.dataset["hash"],
            **({"note": self.note} if self.note else {}),
        }
        name = self.name or run.system.replace("_", "-")
        # Distances of neighbouring slices' centres in the training data, mm.
        gaps = [case.spacing_mm[0] for case in data.cases("train")]
        seen = (math.floor(round(min(gaps), 2) * 10) / 10, math.ceil(round(max(gaps), 2) * 10) / 10)
        return BundleText(
            name, self.version, self.licence, synthetic, statement, negatives, training, seen
        )


def put(written: Path, out: Path) -> None:
    """Move a finished bundle's files to their place, the manifest last: until then the old one's
    hashes reject the new files.
    """
    files = [path.relative_to(written) for path in written.rglob("*") if path.is_file()]
    for name in sorted(files, key=lambda name: name.name == "bundle.json"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (written / name).replace(out / name)


def networks_of(
    run: TrainingRun, validation: SliceSet, calibrated: bool
) -> tuple[Any, Any, dict[str, Any]]:
    """Detector, segmenter and their validation figures from a training run's best checkpoints, of
    every kind.
    """
    import numpy as np

    from ..agent.deep_q_learning import load_agent
    from ..bundle.calibration import calibrate
    from ..networks import Segmenter
    from ..segmenter.crop_training import load_segmenter

    p, figures = run.settings, {}
    if p.segmenter_kind == "volume":
        from ..segmenter.volume_training import load_volume

        box, net, figures["segmenter"] = load_volume(best(run, "volume"), p)
        return box, net, {"validation": figures}
    detector: Any = None
    if p.detector_kind == "agent":
        detector, figures["detector"] = load_agent(best(run, "detector"), p)
    elif p.detector_kind == "proposals":
        from ..networks.rcnn import MaskSegmenter
        from ..segmenter.rcnn_training import load_proposals

        detector, figures["detector"] = load_proposals(best(run, "proposals"), p)
        if p.ranet.network == "mask_rcnn":
            return detector, MaskSegmenter(detector), {"validation": figures}
    if p.ranet.network == "box":
        # A detector alone: the mask is the box, without any training.
        segmenter = Segmenter(p.ranet).eval()
    else:
        pair = (detector, figures["detector"].get("epoch")) if p.detector_kind == "agent" else ()
        segmenter, figures["segmenter"] = load_segmenter(best(run, "segmenter"), p, *pair)
    if p.detector_kind == "agent" and calibrated:
        # Last: it changes the agent, and load_segmenter checks the uncalibrated one.
        figures["detector"]["calibration"] = calibrate(
            detector, validation, np.arange(len(validation)), p
        )
    return detector, segmenter, {"validation": figures}


def best(run: TrainingRun, name: str) -> Path:
    """The best checkpoint of a finished stage of the training run."""
    path = run.folder / f"{name}.pt"
    if not path.exists():
        raise SystemExit(
            f"{path}: is missing, as training has not finished. Resume it with nasoseg-train "
            f"train all --system {run.system}"
        )
    return path


def is_synthetic(data: Dataset) -> bool:
    """Whether the data set holds only phantoms."""
    return data.record.get("split", {}).get("by") == "phantom"


def golden_images(
    detector: Any, validation: SliceSet, patient_of: Callable[[int], Any], preset: Any
) -> tuple[Any, tuple[float, float, float]]:
    """The golden slices and their voxel size in mm; `patient_of` gives a patient of the slices,
    with shape and spacing.
    """
    import numpy as np

    from ..agent.trajectories import run_agent
    from ..bundle.golden import golden_slices
    from ..data.atlas_box import grid_mm
    from ..networks import QNetwork

    rows = np.flatnonzero(validation.tumour)[:2]
    if isinstance(detector, QNetwork):
        trajectories = run_agent(detector, validation, np.arange(len(validation)), preset)
        rows = golden_slices(validation, trajectories.boxes, trajectories.stopped)
    if preset.segmenter_kind == "volume":
        # Neighbouring slices of one patient, from inferior to superior.
        patient = validation.patient[rows[0]]
        rows = np.flatnonzero(validation.patient == patient)
        middle = np.flatnonzero(validation.tumour[rows])[0]
        rows = rows[max(middle - 2, 0) : middle + 3]
    patient = patient_of(int(validation.patient[rows[0]]))
    return validation.images[rows], grid_mm(patient.shape[1:], patient.spacing_mm, preset.input)
