"""`nasoseg-train tables`: the paper's Tables 1 to 8, Fig. 5 and its orderings from finished
training runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..evaluation import orderings, plots
from ..evaluation import paper_tables as tables
from ..run.demo_words import warning
from ..run.files import write_text

FIG5 = {
    "ε_priori 0.8": "seqseg",
    "ε_priori 0.4": "agent_priori_04",
    "ε_priori 0": "agent_priori_00",
}


@dataclass
class Tables:
    """Print the paper's tables with the figures of finished training runs beside them."""

    runs: Path
    """Folder of <system>/seed<k>/evaluation/evaluation.json."""
    out: Path | None = None
    """Folder for tables.md, tables.csv, orderings.md and convergence.png; the runs' unless given.
    """

    def main(self) -> None:
        try:
            runs = tables.read_runs(self.runs)
        except (FileNotFoundError, ValueError) as error:
            raise SystemExit(f"nasoseg-train tables: {error}") from error
        out = self.out or self.runs
        out.mkdir(parents=True, exist_ok=True)
        text, claims = (
            tables.to_markdown(runs),
            orderings.to_markdown(orderings.outcomes(runs), runs),
        )
        warnings = [
            warning(r.evaluation["bundle"])
            for many in runs.values()
            for r in many
            if r.evaluation and r.evaluation["bundle"]["demo"]
        ]
        logs = {
            name: [r.log for r in runs.get(system, []) if r.log] for name, system in FIG5.items()
        }
        if plots.convergence(logs, out / "convergence.png", warnings[0] if warnings else ""):
            text += "\n## Fig. 5\n\n![convergence](convergence.png)\n"
        write_text(out / "tables.md", text)
        write_text(out / "tables.csv", tables.to_csv(runs))
        write_text(out / "orderings.md", claims)
        print(text)
        print(claims)
