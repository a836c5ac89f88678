"""The words that people read beside the results of a demo model.

Records say whether a model is a demo and hold its statement of intended use: run.json in
`provenance`, evaluation.json in `bundle`, bundle.json in `intended_use`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The program's own banner, DEMO_BANNER in src/provenance.rs.
BANNER = "DEMO MODEL, NOT FOR CLINICAL USE."
# Above the report of one model, and above the tables of many.
OF_ONE = "Demo model, trained on synthetic images. Not for clinical use."
OF_MANY = (
    "Models trained on synthetic images: nothing here says how they would do on patients. Not for"
    " clinical use."
)
# Statements of intended use of exported bundles: trained on synthetic images, or on data set
# `name`.
SYNTHETIC = (
    "Demonstration. Trained on synthetic images only, for trying the software out. Not for clinical"
    " use: its outlines are no gross tumour volume."
)
RESEARCH = (
    "For research. Trained on {name}. Not a medical device: its outlines are no gross tumour volume"
    " until a person has checked them."
)


def warning(record: Mapping[str, Any]) -> str:
    """The banner and the statement of a record that holds `demo` and `statement`; empty for a model
    that is not a demo.
    """
    return f"{BANNER} {record['statement']}".rstrip() if record["demo"] else ""
