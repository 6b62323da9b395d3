"""How rare is a row? The probability mass that is less dense than it.

    rarity(x) = P(p(Y) <= p(x)),   p the model's density

with Y a draw of the model itself, or, where the model carries a :class:`Calibration`, Y a row of the data.
The second needs no right model. A judge that never saw the calibration rows ranks the new row x among them,

    rarity(x) = (1 + #{i : p(x_i) <= p(x)}) / (m + 1),

and if x comes from where the m rows come from, every rank is equally likely: P(rarity(x) <= alpha) <= alpha,
for any density p and any m (a conformal p-value; Vovk, Gammerman and Shafer 2005, *Algorithmic Learning in a
Random World*; Laxhammar and Falkman 2011 for anomalies). With several judges, each fitted without a part of
the rows, x is ranked by each judge among the rows of its own part and the counts are added up
(cross-conformal, Vovk 2015, *Ann. Math. Artif. Intell.* 74:9; CV+, Barber et al. 2021, *Ann. Stat.* 49:486).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError

if TYPE_CHECKING:
    from .density import Density

__all__ = ["Calibration", "Rarity", "own_rarity"]

Floats = NDArray[np.float64]

ROUNDING = 1e-9  # of a log density's size: what the batch decides; rows recorded alike must tie


class Rarity(NamedTuple):
    """The mass less dense than each row, shape (n,), and its standard error."""

    rarity: Floats
    standard_error: Floats


@dataclass(frozen=True, eq=False)
class Calibration:
    """Held-out rows as their log densities, and the fits that judge new rows as they judged those.

    Parameters
    ----------
    scores : tuple of ndarray
        For each judge the log densities (nats, data units) of the calibration rows it never saw, ascending.
    judges : tuple of Density
        As many; none where the one judge is the model itself.
    weights : tuple of ndarray or None
        How often each of these rows counts; None where every row counts once.
    how : str
        How the rows were held out, as the end of a sentence.
    """

    scores: tuple[Floats, ...]
    judges: tuple[Density, ...] = ()
    weights: tuple[Floats, ...] | None = None
    how: str = "held out"

    def __post_init__(self) -> None:
        parts = len(self.scores)
        weights = self.weights if self.weights is not None else tuple(np.ones(len(s)) for s in self.scores)
        right = (
            parts > 0
            and len(self.judges) in ((0, 1) if parts == 1 else (parts,))
            and len(weights) == parts
            and all(s.ndim == 1 and s.shape == w.shape for s, w in zip(self.scores, weights, strict=True))
            and not any(np.isnan(s).any() or (s[1:] < s[:-1]).any() for s in self.scores)
            and all(np.isfinite(w).all() and (w >= 0.0).all() for w in weights)
        )
        if not right or not self.size > 0.0:
            raise ParameterError("A calibration holds ascending log densities, at least one, of each judge.")

    @property
    def size(self) -> float:
        """How many rows calibrate (the sum of their weights)."""
        if self.weights is None:
            return float(sum(len(s) for s in self.scores))
        return float(sum(w.sum() for w in self.weights))

    @property
    def least(self) -> float:
        """The smallest rarity that a row can have: 1 / (m + 1)."""
        return 1.0 / (self.size + 1.0)

    @property
    def exact(self) -> bool:
        """Whether the promise is a theorem at alpha itself: one judge, that saw none of the rows."""
        return len(self.scores) == 1

    def level(self, alpha: float) -> float:
        """Return the largest rarity <= alpha that a row can have, 0 for none: the expected rate of alarms."""
        return float(np.floor(alpha * (self.size + 1.0) * (1.0 + 1e-12))) * self.least

    def rarity(self, model: Density, x: Floats) -> Rarity:
        """Return the rarity of rows x (n, d) in the order of the model's columns, data units."""
        count = np.ones(len(x))
        for k, scores in enumerate(self.scores):
            judge = self.judges[k] if self.judges else model
            asked = judge._log_density_rows(judge.params_, x)
            count += _below(scores, None if self.weights is None else self.weights[k], asked, judge.rtol)
        return _shares(count, self.size)

    @property
    def sentence(self) -> str:
        """What the promise rests on."""
        rows = f"{self.size:,.0f} row{'s' * (self.size != 1)} {self.how}"
        rest = "" if self.exact else ", as measured (for several judges the theorem says 2α)"
        return f"Calibrated on {rows}: an alarm at α is false with probability at most α{rest}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for a record; the log densities and the judges are left out."""
        return {"rows": self.size, "judges": len(self.scores), "how": self.how, "exact": self.exact}


def own_rarity(model: Density, log_p: Floats, *, n: int, rng: np.random.Generator) -> Rarity:
    """Return the rarity of log densities (k,), data units, among the model's own draws.

    In closed form where the model has one, without error; else from n draws, and never less than 1/(n + 1).
    """
    params = model.params_
    exact = model._rarity(params, log_p - params.units.log_jacobian)
    if exact is not None:
        return Rarity(exact, np.zeros(len(exact)))
    drawn = np.sort(model._log_density_rows(params, model._sample_rows(params, n, rng)))
    return _shares(1.0 + _below(drawn, None, log_p, model.rtol), float(n))


def _below(scores: Floats, weights: Floats | None, asked: Floats, rtol: float) -> Floats:
    """Return how many scores, ascending, are at most each asked one or equal to it up to rounding."""
    slack = ROUNDING * np.maximum(1.0, np.abs(asked)) + 2.0 * rtol
    with np.errstate(invalid="ignore"):
        below = np.searchsorted(scores, np.where(np.isinf(asked), asked, asked + slack), side="right")
    return below.astype(float) if weights is None else np.append(0.0, np.cumsum(weights))[below]


def _shares(count: Floats, m: float) -> Rarity:
    share = np.minimum(count / (m + 1.0), 1.0)
    return Rarity(share, np.sqrt(share * (1.0 - share) / (m + 1.0)))
