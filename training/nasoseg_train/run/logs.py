"""The log of a training loop: a CSV file and, on request, TensorBoard files.

The CSV is rewritten with every row, to a temporary name that is then renamed: a resumed loop drops
the rows after its checkpoint, and a column that appears late is in every row.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from .extras import advice
from .files import replacing


class Log:
    """Rows of figures, numbered by their column `epoch` or `step`."""

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
        """Append a row to the file and print it."""
        self.rows.append(row)
        columns = list(dict.fromkeys(name for one in self.rows for name in one))
        with replacing(self.path) as partial, partial.open("w", newline="") as f:
            table = csv.DictWriter(f, columns, lineterminator="\n")
            table.writeheader()
            table.writerows(self.rows)
        if self.writer is not None:
            for name, value in row.items():
                if name != self.key:
                    self.writer.add_scalar(name, value, row[self.key])
            self.writer.flush()
        print(" ".join(f"{k}={v:.4g}" for k, v in row.items()), flush=True)
