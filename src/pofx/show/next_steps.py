"""What to do next, as commands that run as printed: in the reader's situation, from this directory."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from pofx.evaluate.compare import Comparison

__all__ = ["invocation", "next_steps"]

MOST_WORDS = 1_000  # characters that name the rows: a command with a thousand files in it is no help
KINDS = {"Gaussian": "gaussian", "GaussianMixture": "mixture", "KDE": "kde", "Histogram": "histogram"}


def invocation() -> str:
    """Return how pofx is started here: "pofx", "python3 go.py" from a checkout, or by its Python."""
    root = Path(__file__).resolve().parents[3]
    if Path(sys.prefix).resolve() == (root / ".venv").resolve() and (root / "go.py").is_file():
        return f"python3 {shlex.quote(os.path.relpath(root / 'go.py'))}"
    if shutil.which("pofx"):
        return "pofx"
    python = shutil.which("python3")
    same = python is not None and os.path.samefile(python, sys.executable)
    return f"{'python3' if same else shlex.quote(sys.executable)} -m pofx"


def next_steps(
    result: Comparison,
    source: str | None,
    words: Sequence[str] | None,
    command: str | None,
    choosing: Sequence[str] | None = None,
) -> list[tuple[str, str]]:
    """Return (purpose, command) pairs for the chosen model; in Python where no command could do it.

    Parameters
    ----------
    source : the file that the rows came from, if they did
    words : what stands after the verb to read the same rows again; by default the file
    command : how pofx is started; by default found out
    choosing : what stands after ``fit`` to choose among the same models in the same way again, for a best
        model that has no name of its own (a stack); None where it cannot be done
    """
    model = result.models[result.best_name]
    kind = KINDS.get(type(model).__name__)
    usual = not set(model._changed_parameters()) - {"random_state"}
    words = list(words or [source or ""])
    named = kind is not None and usual
    if source is None or not (named or choosing) or len(shlex.join(words)) > MOST_WORDS:
        return [
            ("Keep the model (in Python)", 'result.best.save("model.pofx")'),
            ("Score rows and draw new ones", "result.best.log_density(rows); result.best.sample(1000)"),
        ]
    start = command or invocation()
    stem = _stem(source)
    ends = (".pofx", "-drawn.csv", "-scores.csv", ".png", "-search.png")
    kept, drawn, scored, shown, searched = (shlex.quote(f"{stem}{end}") for end in ends)
    data = shlex.join(words)
    seed = f" --seed {result.random_state}" if result.random_state else ""
    weighed = f" --weight-kind {model.weight_kind}" if model.weight_kind else ""
    gaps = " --missing drop" if result.split.rows.dropped or getattr(result.data, "dropped", 0) else ""
    again = " (feed it the same rows)" if words[0] == "-" else ""
    fit = f"{data} --model {kind}" if named else shlex.join(choosing or ())
    chosen = [("See how its components were chosen", f"{start} plot {kept} --kind search -o {searched}")]
    return [
        (f"Keep the model{again}", f"{start} fit {fit}{seed}{weighed} -o {kept}"),
        (f"Look at it{again}", f"{start} plot {kept} {data} -o {shown}"),
        *(chosen if named and kind == "mixture" else []),
        (f"Judge it, curve by curve{again}", f"{start} check {kept} {data}"),
        (f"Find the rows that it calls unlikely{again}", f"{start} score {kept} {data}{gaps} -o {scored}"),
        ("Draw new rows from it", f"{start} sample {kept} -n 1000 -o {drawn}"),
    ]


def _stem(source: str) -> str:
    """What files made from this input are called."""
    if source == "-":
        return "stdin"
    name = Path(source.removeprefix("world:")).name if source.startswith("world:") else Path(source).name
    stem = re.split(r"[?&,]", name.partition(".")[0])[0]
    return re.sub(r"[*?\[\]]+", "", stem).strip("-_. ") or "data"
