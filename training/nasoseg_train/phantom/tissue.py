"""Tissues and the spin-echo equation: relative signals of T1, T1C and T2 from relaxation times.

Times are milliseconds at 1.5 T, gadolinium is the added relaxation rate in 1/s a few minutes after
injection.
"""

from dataclasses import dataclass

import numpy as np

SEQUENCES = ("T1", "T1C", "T2")
TR_TE_MS = {"T1": (540.0, 11.8), "T1C": (540.0, 11.8), "T2": (4000.0, 99.0)}


@dataclass(frozen=True)
class Tissue:
    """Relaxation, and how uneven the tissue is: `texture` scales its signal, `fatty` mixes strands
    of fat into it.
    """

    t1: float
    t2: float
    pd: float
    gd: float = 0.0
    texture: float = 0.03
    fatty: float = 0.0


TISSUES = {
    "air": Tissue(1000.0, 50.0, 0.004, texture=0.0),
    "skin": Tissue(800.0, 45.0, 0.75, gd=0.25),
    "fat": Tissue(270.0, 82.0, 0.90, gd=0.05, texture=0.05),
    "muscle": Tissue(950.0, 40.0, 0.85, gd=0.15, texture=0.05, fatty=0.12),
    "tongue": Tissue(850.0, 52.0, 0.85, gd=0.35, texture=0.06, fatty=0.30),
    "cortex": Tissue(500.0, 8.0, 0.22, texture=0.05),
    "marrow": Tissue(400.0, 62.0, 0.72, gd=0.18, texture=0.08, fatty=0.15),
    "disc": Tissue(900.0, 55.0, 0.70, gd=0.03),
    "cartilage": Tissue(900.0, 38.0, 0.65, gd=0.10),
    "csf": Tissue(3800.0, 1200.0, 1.0, texture=0.02),
    "grey": Tissue(1050.0, 93.0, 0.84, gd=0.05),
    "white": Tissue(700.0, 76.0, 0.72, gd=0.03),
    "mucosa": Tissue(1100.0, 128.0, 0.92, gd=1.55, texture=0.07),
    "turbinate": Tissue(1100.0, 145.0, 0.92, gd=2.00, texture=0.08),
    "gland": Tissue(650.0, 82.0, 0.85, gd=0.65, texture=0.08, fatty=0.22),
    "thyroid": Tissue(850.0, 75.0, 0.85, gd=2.20),
    "node": Tissue(1000.0, 94.0, 0.88, gd=0.62, texture=0.05),
    "artery": Tissue(1400.0, 20.0, 0.25, gd=0.90, texture=0.10),
    "vein": Tissue(1500.0, 60.0, 0.45, gd=3.00, texture=0.08),
    "fluid": Tissue(2600.0, 420.0, 1.0, texture=0.02),
    "cells": Tissue(900.0, 40.0, 0.20, gd=0.30, texture=0.55),
    "vitreous": Tissue(3600.0, 700.0, 1.0, texture=0.01),
    "lens": Tissue(900.0, 25.0, 0.60),
    "tumour": Tissue(1000.0, 73.0, 0.90, gd=0.95, texture=0.045),
    "necrosis": Tissue(1500.0, 170.0, 0.95, gd=0.18, texture=0.05),
}
NAMES = tuple(TISSUES)
CODE = {name: code for code, name in enumerate(NAMES)}


def spin_echo(t1: float, t2: float, pd: float, tr: float, te: float) -> float:
    """S = PD (1 - exp(-TR/T1)) exp(-TE/T2); all times in ms."""
    return pd * (1.0 - np.exp(-tr / t1)) * np.exp(-te / t2)


def patient_tissues(rng: np.random.Generator) -> dict[str, Tissue]:
    """The tissues of one patient: every value scattered about the table's, the tumour kept apart
    from mucosa.

    The tumour's T2 stays below the mucosa's and above the muscle's, and it enhances less than the
    mucosa and more than muscle: no single sequence separates it everywhere, the three together do.
    """
    uptake = float(np.exp(rng.normal(0.0, 0.13)))
    tissues = {}
    for name, tissue in TISSUES.items():
        s1, s2, sp, sg = rng.normal(0.0, 1.0, 4)
        tissues[name] = Tissue(
            tissue.t1 * np.exp(0.05 * s1),
            tissue.t2 * np.exp(0.045 * s2),
            tissue.pd * np.exp(0.025 * sp),
            tissue.gd * uptake * np.exp(0.10 * sg),
            tissue.texture,
            tissue.fatty,
        )
    mucosa, muscle, tumour = tissues["mucosa"], tissues["muscle"], tissues["tumour"]
    weak = rng.random() < 0.2
    gd = tumour.gd * float(np.exp(rng.normal(0.0, 0.12))) * (rng.uniform(0.6, 0.8) if weak else 1.0)
    gd = float(np.clip(gd, muscle.gd + 0.32, 0.72 * mucosa.gd))
    t2 = float(np.clip(tumour.t2, 1.35 * muscle.t2, mucosa.t2 / 1.4))
    tissues["tumour"] = Tissue(tumour.t1, t2, tumour.pd, gd, tumour.texture, 0.0)
    return tissues


def signals(tissues: dict[str, Tissue]) -> np.ndarray:
    """Relative signal of each tissue [tissue, sequence], float32, in the orders of NAMES and
    SEQUENCES.
    """
    table = np.zeros((len(NAMES), len(SEQUENCES)), np.float32)
    for row, name in enumerate(NAMES):
        tissue = tissues[name]
        enhanced = 1.0 / (1.0 / tissue.t1 + tissue.gd / 1000.0)
        for column, sequence in enumerate(SEQUENCES):
            t1 = enhanced if sequence == "T1C" else tissue.t1
            table[row, column] = spin_echo(t1, tissue.t2, tissue.pd, *TR_TE_MS[sequence])
    return table
