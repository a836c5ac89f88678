"""Figures of an epoch or of some steps in, a CSV file and, when asked, TensorBoard's out.

The CSV is written anew with every row, beside and renamed: a run that goes on from a checkpoint
first forgets the rows that came after it, and a column that appears late stands in every row.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from .extras import advice


class Log:
    """Rows of figures under the name of one of their columns, `epoch` or `step`."""

    def __init__(self, path: Path, key: str, tensorboard: Path | None = None) -> None:
        self.path, self.key, self.rows = path, key, []  # type: Path, str, list[dict[str, float]]
        self.writer: Any = None
        if tensorboard is not None:
            try:
                from tensorboardX import SummaryWriter
            except ImportError as error:
                raise SystemExit(f"--tensorboard: {advice('tensorboardX')}") from error
            self.writer = SummaryWriter(str(tensorboard / path.stem))

    def add(self, row: dict[str, float]) -> None:
        """One more row, in the file and on the terminal."""
        self.rows.append(row)
        columns = list(dict.fromkeys(name for one in self.rows for name in one))
        partial = self.path.with_suffix(".part")
        with partial.open("w", newline="") as f:
            table = csv.DictWriter(f, columns, lineterminator="\n")
            table.writeheader()
            table.writerows(self.rows)
        partial.replace(self.path)
        if self.writer is not None:
            for name, value in row.items():
                if name != self.key:
                    self.writer.add_scalar(name, value, row[self.key])
            self.writer.flush()
        print(" ".join(f"{k}={v:.4g}" for k, v in row.items()), flush=True)
