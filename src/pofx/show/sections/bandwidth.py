"""The curve of a kernel estimate's bandwidth: what narrower and wider bumps give rows that were held out."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pofx.core.density import Density
from pofx.core.estimator import unfitted
from pofx.errors import PofxError, PofxWarning
from pofx.evaluate.compare import Comparison, Entry
from pofx.show.figure import Axis, Band, Curve, Figure, Panel
from pofx.validation import Rows

__all__ = ["BandwidthCurve", "bandwidth_curve"]

Array = NDArray[np.float64]

DOUBLINGS = np.arange(-2.0, 2.25, 0.5)
ASKED = 500  # held-out rows
ALL_FOLDS = 20_000  # numbers (rows times columns) up to which every fold is asked; else the first
MOST = 1_000_000  # up to which any is: each width is a fit
MOST_ADAPTIVE = 2_000  # rows, up to which bumps that adapt are


@dataclass(frozen=True, eq=False)
class BandwidthCurve:
    """Held-out score with every bandwidth 2^``doublings`` times as wide, less that of the chosen one.

    ``gain`` and ``error`` (K,) are in nats per row, paired over ``rows`` held-out rows; gains of −inf, where
    a row was called impossible, are left out. What ties could give is taken off, as in the table.
    """

    doublings: Array
    gain: Array
    error: Array
    rows: int

    @property
    def sentence(self) -> str:
        """Whether another width would be better, in words."""
        k = int(np.argmax(self.gain))
        if self.gain[k] > 2.0 * self.error[k]:
            wide = 2.0 ** self.doublings[k]
            return (
                f"Bumps {wide:.2g} times as wide would give rows that were held out {self.gain[k]:.3f} ± "
                f"{self.error[k]:.3f} nats more."
            )
        told = [
            f"{word} as wide {self.gain[at]:+.3f} ± {self.error[at]:.3f}"
            for word, where in (("half", -1.0), ("twice", 1.0))
            for at in np.flatnonzero(self.doublings == where)
        ]
        against = f": {', '.join(told)} nats per row" if told else ""
        return f"On {self.rows:,} held-out rows no other width is better by more than chance{against}."

    def figure(self) -> Figure:
        """Return the picture: the curve with a band of one standard error on either side."""
        low, high = self.gain - self.error, self.gain + self.error
        shown = high > self.gain.max() - 6.0 * max(0.05, float(np.median(np.abs(self.gain))))
        x, y, low, high = (part[shown] for part in (self.doublings, self.gain, low, high))
        pad = 0.08 * max(float(high.max() - low.min()), 1e-3)
        panel = Panel(
            Axis("bandwidth, doublings of the chosen one", float(x.min()), float(x.max())),
            Axis("gain, nats per row", float(low.min()) - pad, float(high.max()) + pad),
            (
                Band(x, low, high, 0.68, "one standard error"),
                Curve(np.array([x.min(), x.max()]), np.zeros(2), "chosen", role="context"),
                Curve(x, y, "held-out gain"),
            ),
        )
        said = (
            "Held-out log density with narrower and wider bumps, less that with the chosen ones; ± one s.e."
        )
        return Figure("Bandwidth curve", said, (panel,))


def bandwidth_curve(result: Comparison, entry: Entry) -> BandwidthCurve | None:
    """Return the curve of a kernel estimate in the comparison; None for other models and too many rows."""
    fits, cut = entry.held_out.models, result.split
    n = len(cut.part)
    if not fits or type(fits[0]).__name__ != "KDE" or cut.rows.values.size > MOST:
        return None
    if fits[0].get_params()["adaptive"] and n > MOST_ADAPTIVE:
        return None
    rng = np.random.default_rng(0)
    folds = len(fits) if cut.rows.values.size <= ALL_FOLDS else 1
    asked = np.flatnonzero((cut.part >= 0) & (cut.part < folds))
    if len(asked) > ASKED:
        asked = np.sort(rng.choice(asked, ASKED, replace=False))
    scores = np.full((len(DOUBLINGS), n), math.nan)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PofxWarning)  # about widths that nobody chose
            for k, fit in enumerate(fits):
                mine = asked[cut.part[asked] == k]
                if len(mine):
                    for at, doubling in enumerate(DOUBLINGS):
                        scores[at, mine] = _scored(result, fit, k, mine, 2.0**doubling)
    except PofxError:
        return None
    found = scores[:, asked]
    w = None if cut.weights is None else cut.weights[asked]
    chosen = found[DOUBLINGS == 0.0][0]
    usable = np.isfinite(found).all(axis=1)
    if not np.isfinite(chosen).all() or usable.sum() < 3:
        return None
    gaps = found[usable] - chosen
    gain = np.average(gaps, axis=1, weights=w)
    error = np.sqrt(np.average((gaps - gain[:, None]) ** 2, axis=1, weights=w) / max(len(asked) - 1, 1))
    return BandwidthCurve(DOUBLINGS[usable], gain, error, len(asked))


def _scored(result: Comparison, fit: Density, k: int, rows: NDArray[np.intp], factor: float) -> Array:
    """Held-out log densities of some rows of part k, the fit's bandwidths ``factor`` times as wide."""
    h = np.asarray(fit.bandwidth_)
    wider = factor**2 * h if h.ndim == 2 else factor * h  # a matrix is a covariance
    model = result.split.fit(unfitted(fit).set_params(bandwidth=wider.tolist()), k)
    values = Rows(result.split.rows.values[rows], result.split.rows.columns, 0)
    return np.asarray(model.log_density(values) - result.split.steps.gain(model).nats)
