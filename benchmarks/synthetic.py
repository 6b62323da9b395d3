"""Synthetic rows beside real ones: wine quality by colour and quality, adult's numbers by sex and income.

    .venv/bin/python benchmarks/synthetic.py [FOLDER] [--splits 3]

Writes benchmarks/results/synthetic.md. FOLDER holds winequality-red.csv.gz, winequality-white.csv.gz and
adult.data.gz (UCI, no part of this repository); by default ../shared/data. Without them nothing is measured.

Half of the rows, at random, train a generator; of it as many rows are drawn as the other half has. Boosted
trees (scikit-learn's, with its defaults, 5 folds) then learn to tell the drawn rows from the other half.
Their AUC is .5 where nothing tells them apart; between the two real halves it is the floor. Recorded values
lie on few points (most alcohol to one decimal, some to more; hours at 40 and 50), which alone tells real
rows from draws. So the AUC is taken once more with Gaussian noise of a tenth of each column's standard
deviation on both: what is left when digits are blurred.
"""

from __future__ import annotations

import argparse
import gzip
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from main_job import ROOT, machine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

import pofx
from pofx.validation import detect_decimals

PAGE = ROOT / "benchmarks" / "results" / "synthetic.md"
WINE = (
    "fixed acidity", "volatile acidity", "citric acid", "residual sugar", "chlorides", "free SO2",
    "total SO2", "density", "pH", "sulphates", "alcohol", "quality",
)  # fmt: skip
ADULT = ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week", "sex", "income")
ADULT_AT = (0, 2, 4, 10, 11, 12, 9, 14)
Generator = Callable[[pd.DataFrame, int, int], pd.DataFrame]  # training rows, how many, seed


class Data:
    """A table, what groups it, where its columns end and where they stand still."""

    def __init__(
        self,
        rows: pd.DataFrame,
        by: list[str],
        bounds: Mapping[str, Any],
        spikes: Mapping[str, Any],
        least: int,
    ) -> None:
        self.rows, self.by, self.bounds, self.spikes, self.least = rows, by, bounds, spikes, least


def wine(folder: Path) -> Data:
    """Return red and white wines: 11 measurements, quality and colour."""
    parts = []
    for colour in ("red", "white"):
        part = pd.read_csv(folder / f"winequality-{colour}.csv.gz", header=None, names=WINE)
        part["colour"] = colour
        parts.append(part)
    rows = pd.concat(parts, ignore_index=True)
    bounds = dict.fromkeys(WINE[:-1], (0.0, None))
    return Data(rows, ["colour", "quality"], bounds, {"citric acid": 0.0}, least=40)


def adult(folder: Path) -> Data:
    """Return the numbers of adult, with sex and income."""
    with gzip.open(folder / "adult.data.gz", "rt") as file:
        rows = pd.read_csv(file, header=None, skipinitialspace=True, usecols=sorted(ADULT_AT))
    rows = rows[list(ADULT_AT)].set_axis(list(ADULT), axis=1)
    bounds = {
        "age": (16.5, None), "fnlwgt": (0.0, None), "education-num": (0.5, 16.5),
        "capital-gain": (0.5, None), "capital-loss": (0.5, None), "hours-per-week": (0.5, 99.5),
    }  # fmt: skip
    spikes = {"capital-gain": [0, 99999], "capital-loss": 0, "hours-per-week": 40}
    return Data(rows, ["sex", "income"], bounds, spikes, least=40)


def grouped(model: Callable[[Data], Any], data: Data, *, spikes: bool = True) -> Generator:
    """Return a generator: one density per group."""

    def draw(train: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
        whole = pofx.Grouped(
            model(data), by=data.by, spikes=data.spikes if spikes else None, small="pool", least=data.least
        )
        return whole.fit(train).sample(n, random_state=seed)

    return draw


def independent(by: list[str] | None) -> Generator:
    """Return a generator of rows whose columns are drawn from the training rows one by one, within groups of
    ``by`` if any: every column by itself is right."""

    def draw(train: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        if by is None:
            return pd.DataFrame({name: rng.choice(train[name].to_numpy(), n) for name in train.columns})
        rows = train.iloc[rng.integers(len(train), size=n)]
        parts = []
        for _, part in rows.groupby(by):
            own = train[(train[by] == part[by].iloc[0]).all(axis=1)]
            parts.append(
                pd.DataFrame({name: rng.choice(own[name].to_numpy(), len(part)) for name in train.columns})
            )
        return pd.concat(parts, ignore_index=True)

    return draw


def snapped(generator: Generator) -> Generator:
    """Return a generator whose values are moved to the nearest that the training rows have in that
    column: the digits that people write, not which of them come together."""

    def draw(train: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
        out = generator(train, n, seed)
        for name in train.columns:
            if pd.api.types.is_numeric_dtype(train[name]):
                there = np.unique(train[name].to_numpy())
                at = np.clip(np.searchsorted(there, out[name]), 1, len(there) - 1)
                low, high = there[at - 1], there[at]
                values = np.where(out[name] - low < high - out[name], low, high)
                out[name] = values.astype(train[name].dtype)
        return out

    return draw


def generators(data: Data) -> dict[str, Generator]:
    """Return the generators by name."""

    def mixture(_: Data) -> Any:
        return pofx.GaussianMixture([1, 3, 6], covariance_type="full", n_init=1, random_state=0)

    bounded = grouped(lambda d: pofx.Transformed(mixture(d), dict(d.bounds)), data)
    kernels = grouped(lambda d: pofx.KDE(bounds=dict(d.bounds)), data)
    return {
        "the training half itself (floor)": lambda train, n, seed: train,
        "one Gaussian per group": grouped(lambda _: pofx.Gaussian(), data, spikes=False),
        "one mixture per group": grouped(mixture, data, spikes=False),
        "one mixture per group, spikes and bounds": bounded,
        "that mixture, each value the nearest that occurs in training": snapped(bounded),
        "one KDE per group, spikes and bounds": kernels,
        "that KDE, each value the nearest that occurs in training": snapped(kernels),
        "columns independent": independent(None),
        "columns independent within groups": independent(data.by),
    }


def auc(real: pd.DataFrame, other: pd.DataFrame, seed: int) -> float:
    """Return how often boosted trees put a real and another row in the right order, 5 folds."""
    rows = pd.concat([real, other], ignore_index=True)
    for name in rows.columns:
        if not pd.api.types.is_numeric_dtype(rows[name]):
            rows[name] = rows[name].astype("category").cat.codes
    truth = np.r_[np.zeros(len(real)), np.ones(len(other))]
    order = np.random.default_rng(seed).permutation(len(truth))
    trees = HistGradientBoostingClassifier(random_state=0)
    told = cross_val_predict(
        trees, rows.iloc[order].to_numpy(float), truth[order], cv=5, method="predict_proba"
    )
    return float(roc_auc_score(truth[order], told[:, 1]))


def blurred(rows: pd.DataFrame, train: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return rows with noise of a tenth of the training rows' standard deviation on measured columns."""
    rng, out = np.random.default_rng(seed), rows.copy()
    for name in train.columns:
        if pd.api.types.is_numeric_dtype(train[name]) and name != "quality":
            out[name] = out[name] + rng.normal(scale=0.1 * train[name].std(), size=len(out))
    return out


def form(rows: pd.DataFrame, train: pd.DataFrame, data: Data) -> str:
    """Say where the form of drawn rows differs from that of the training rows."""
    wrong = [] if list(rows.columns) == list(train.columns) else ["columns"]
    wrong += [] if list(rows.dtypes) == list(train.dtypes) else ["dtypes"]
    for name in train.columns:
        if not pd.api.types.is_numeric_dtype(train[name]):
            wrong += [] if set(rows[name]) <= set(train[name]) else [f"levels of {name}"]
            continue
        places = detect_decimals(train[name].to_numpy())
        values = rows[name].to_numpy()
        if places is not None and not np.array_equal(np.round(values, places), values):
            wrong.append(f"precision of {name}")
        if name in data.bounds:
            low = min(float(train[name].min()), data.bounds[name][0])
            beyond = np.count_nonzero(values < low)
            wrong += [f"{beyond:,} values of {name} below its bound"] if beyond else []
    return "; ".join(wrong[:3]) + (f"; and {len(wrong) - 3} more" if len(wrong) > 3 else "") or "all kept"


def measure(name: str, data: Data, splits: int) -> list[str]:
    """Return the lines of one table."""
    found: dict[str, list[float]] = {}
    blur: dict[str, list[float]] = {}
    copies: dict[str, list[float]] = {}
    forms: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for seed in range(splits):
        order = np.random.default_rng(seed).permutation(len(data.rows))
        half = len(order) // 2
        train = data.rows.iloc[order[:half]].reset_index(drop=True)
        held_out = data.rows.iloc[order[half:]].reset_index(drop=True)
        known = set(map(tuple, train.to_numpy().tolist()))
        for kind, generator in generators(data).items():
            started = time.perf_counter()
            drawn = generator(train, len(held_out), 1000 + seed)
            seconds[kind] = seconds.get(kind, 0.0) + time.perf_counter() - started
            found.setdefault(kind, []).append(auc(held_out, drawn, seed))
            coarse = auc(blurred(held_out, train, 2 * seed), blurred(drawn, train, 2 * seed + 1), seed)
            blur.setdefault(kind, []).append(coarse)
            copies.setdefault(kind, []).append(
                float(np.mean([tuple(row) in known for row in drawn.to_numpy().tolist()]))
            )
            forms.setdefault(kind, form(drawn, train, data))
            print(
                f"{name} {seed} {kind}: {found[kind][-1]:.3f} {blur[kind][-1]:.3f}",
                file=sys.stderr,
                flush=True,
            )
    lines = [
        f"## {name}",
        "",
        f"{len(data.rows):,} rows; grouped by {' and '.join(data.by)}; {splits} random halvings; mean ± "
        "standard deviation over them.",
        "",
        "| Generator | AUC against the held-out half | AUC, digits blurred "
        "| Columns, dtypes, precision, bounds | Rows equal to a training row | Seconds to fit and draw |",
        "|---|---|---|---|---|---|",
    ]
    for kind, values in found.items():
        lines.append(
            f"| {kind} | {_with_spread(values)} | {_with_spread(blur[kind])} "
            f"| {forms[kind]} | {100 * np.mean(copies[kind]):.1f} % | {seconds[kind] / splits:.1f} |"
        )
    return [*lines, ""]


def _with_spread(values: list[float]) -> str:
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--only", choices=("wine", "adult"))
    parser.add_argument("-o", "--page", type=Path, default=PAGE)
    asked = parser.parse_args()
    if not (asked.folder / "adult.data.gz").exists():
        sys.exit(f"{asked.folder} does not hold the data; nothing was measured.")
    warnings.simplefilter("ignore", pofx.errors.PofxWarning)
    text = [
        "# Synthetic rows, measured",
        "",
        f"Made by `python benchmarks/synthetic.py --splits {asked.splits}` on {machine()}.",
        "",
        " ".join((__doc__ or "").split("\n\n")[3].split()),
        "",
    ]
    for name, read in (("wine", wine), ("adult", adult)):
        if asked.only in (None, name):
            text += measure(name, read(asked.folder), asked.splits)
    asked.page.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
