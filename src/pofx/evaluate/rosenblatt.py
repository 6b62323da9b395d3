r"""The Rosenblatt transform as a check: is each column right, given the columns before it?

    u_1 = F(x_1),  u_2 = F(x_2 | x_1),  …,  u_d = F(x_d | x_1, …, x_{d−1})

are independent and uniform if and only if the rows come from the density (Rosenblatt 1952, *Ann. Math.
Stat.* 23, 470; Diebold, Hahn and Tay 1999, *Rev. Econ. Stat.* 81, 661). Three things are looked at: each u_j
by itself; the radius Σ Φ⁻¹(u_j)², which has a χ² distribution of d degrees of freedom; and all of them
together, as a sample beside uniform draws, by the energy distance. Another order of the columns gives other
values: here they stand as they are given.

*Recorded precision.* A recorded value stands for its cell, and conditioning on the middle of a cell is not
conditioning on the cell. So each row is first given unrounded values, drawn from the density within its
cells: if the rows are rounded draws of the density, these are draws of it again. They are drawn column by
column, several times over, from the value at hand and seven others spread evenly over the cell, each with a
chance in proportion to the density: a Markov chain with just that distribution (Tjelmeland 2004, *Using all
Metropolis-Hastings proposals to estimate mean values*).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import chi2

from ..errors import PofxError
from ..maths.energy import MOST_PAIRED, Energy, energy_test
from ..maths.rosenblatt import mixture_rosenblatt
from ..validation import Columns
from .calibration import band
from .curves import cells, log_density, p_text, percent

if TYPE_CHECKING:
    from ..core.density import Density

__all__ = ["Line", "Rosenblatt", "rosenblatt_test", "rosenblatt_values"]

Floats = NDArray[np.float64]

MOST_ROWS = 2_000  # whose conditionals have a formula
MOST_SLOW = 300  # whose conditionals are models of their own, one for each row and column
OTHERS, SWEEPS = 7, 4  # values that an unrounded one is chosen among, and times that each column has its turn
EDGE = 2.0**-53


@dataclass(frozen=True)
class Line:
    """One series of values that should be uniform.

    Attributes
    ----------
    name : str
        "eruptions", "waiting given eruptions", "radius".
    gap : float
        Observed minus expected share of rows with u <= ``at``, where their difference is largest.
    at : float
    limit : float
        The largest gap, up or down, that its band allows anywhere; all bands together hold with probability
        1 - level.
    inside : bool
        Whether the curve stays in its band everywhere.
    p_value : float
    """

    name: str
    gap: float
    at: float
    limit: float
    inside: bool
    p_value: float

    @property
    def sentence(self) -> str:
        """Where the values depart most from uniform."""
        word = "more" if self.gap > 0.0 else "fewer"
        return (
            f"{self.name}: {percent(abs(self.gap))} {word} rows than expected below the model's "
            f"{percent(self.at)} point (chance: up to {percent(self.limit)})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "name": self.name,
            "gap": self.gap,
            "at": self.at,
            "limit": self.limit,
            "inside": self.inside,
            "p_value": self.p_value,
        }


@dataclass(frozen=True, eq=False)
class Rosenblatt:
    """What the Rosenblatt transform of the rows says; p-values hold where the density was not fitted to them.

    Attributes
    ----------
    lines : tuple of Line
        One per column, given those before it.
    radius : Line
        Of Σ Φ⁻¹(u)², through the χ² distribution.
    joint : Energy
        All columns of u beside uniform draws.
    p_value : float
        Of all: three times the smallest of the three parts', the columns' being d times their smallest.
    level : float
    n : int
        Rows looked at.
    """

    lines: tuple[Line, ...]
    radius: Line
    joint: Energy
    p_value: float
    level: float
    n: int

    @property
    def together(self) -> bool:
        """Whether the columns of u are jointly uniform, as far as their energy distance shows."""
        return self.joint.share <= self.joint.limit

    @property
    def inside(self) -> bool:
        """Whether nothing was found that chance would not explain."""
        return self.together and all(line.inside for line in (*self.lines, self.radius))

    @property
    def sentence(self) -> str:
        """What was found, what chance would make of it, and what so many rows can show."""
        outside = [line for line in (*self.lines, self.radius) if not line.inside]
        p = f" (p {p_text(self.p_value, '= ')}, {self.n:,} rows)"
        if outside:
            worst = max(outside, key=lambda line: abs(line.gap) / line.limit)
            return f"Column by column, each given those before it, the density is wrong{p}; {worst.sentence}."
        if not self.together:
            return (
                "Over all rows each column has the right distribution given those before it, but not at each "
                f"value of those{p}: the transformed rows are {percent(self.joint.share)} of the way from "
                f"independent to nothing alike (chance: up to {percent(self.joint.limit)})."
            )
        shown = max(line.limit for line in self.lines)
        return (
            "Column by column, each given those before it, nothing was found that chance would not explain"
            f"{p}; gaps of more than {percent(shown)} of the rows would have shown, half of that with four "
            "times as many."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "columns": [line.to_dict() for line in self.lines],
            "radius": self.radius.to_dict(),
            "joint": {
                "share": self.joint.share,
                "limit": self.joint.limit,
                "inside": self.together,
                "p_value": self.joint.p_value,
            },
            "inside": self.inside,
            "p_value": self.p_value,
            "rows": self.n,
            "sentence": self.sentence,
        }


def rosenblatt_values(
    model: Density, x: Floats, rng: np.random.Generator, columns: Columns | None = None
) -> Floats | str:
    """Return u (m, d) of rows under a density, or the reason why there is none.

    Of more rows than the density can transform in a few seconds so many are taken at random: 2,000 for a
    Gaussian, a mixture and a Gaussian kernel estimate, which have a formula, 300 otherwise.

    Parameters
    ----------
    model : Density
        Fitted or known.
    x : ndarray (n, d)
        Data units, in the order of the model's columns.
    rng : Generator
        Takes the rows, and draws the unrounded values of recorded ones.
    columns : Columns, optional
        How the rows are recorded; by default as the model's.
    """
    d = x.shape[1]
    if d == 1:
        return "one column: the transform is its distribution function, which is judged already"
    gaussians = _gaussians(model)
    most = MOST_ROWS if gaussians is not None else MOST_SLOW
    if len(x) > most:
        x = x[np.sort(rng.choice(len(x), most, replace=False))]
    try:
        if gaussians is None:
            model.marginal([0])  # whatever has none says so at once
        x = _unrounded(model, x, columns or model.params_.columns, rng)
        if gaussians is not None:
            return mixture_rosenblatt(model.params_.units.to(x), *gaussians)
        return np.stack([_conditional(model, x, j) for j in range(d)], axis=1)
    except PofxError as error:
        return f"the rows could not be transformed: {error}"


def rosenblatt_test(
    u: Floats, names: Sequence[str], rng: np.random.Generator, level: float = 0.05
) -> Rosenblatt:
    """Judge transformed rows: each third of the level goes to the columns, the radius and all together.

    Parameters
    ----------
    u : ndarray (n, d)
        As :func:`rosenblatt_values` gives them; those of several models, one below the other, if each row was
        judged by one.
    names : d names of the columns
    rng : Generator
        Draws the uniform rows beside them, and the permutations.
    level : float
        All bands and limits together hold for the truth with probability ``1 - level``.
    """
    n, d = u.shape
    lines = [
        _line(name if j == 0 else f"{name} given {_before(names[:j])}", u[:, j], level / (3.0 * d))
        for j, name in enumerate(names)
    ]
    scores = ndtri(np.clip(u, EDGE, 1.0 - EDGE))
    radius = _line("radius", chi2.cdf((scores * scores).sum(axis=1), d), level / 3.0)
    some = u if n <= MOST_PAIRED else u[np.sort(rng.choice(n, MOST_PAIRED, replace=False))]
    joint = energy_test(some, rng.random(some.shape), rng, level / 3.0)
    columns = d * min(line.p_value for line in lines)
    p = min(1.0, 3.0 * min(columns, radius.p_value, joint.p_value))
    return Rosenblatt(tuple(lines), radius, joint, p, level, n)


def _before(names: Sequence[str]) -> str:
    return " and ".join(names) if len(names) < 3 else f"the {len(names)} columns before it"


def _line(name: str, u: Floats, level: float) -> Line:
    judge = band(len(u))
    counts = np.searchsorted(np.sort(u), judge.z, side="right")
    low, high = judge.limits(level)
    gaps = counts / len(u) - judge.z
    k = int(np.argmax(np.abs(gaps)))
    return Line(
        name=name,
        gap=float(gaps[k]),
        at=float(judge.z[k]),
        limit=float(np.maximum(high / len(u) - judge.z, judge.z - low / len(u)).max()),
        inside=bool(((counts >= low) & (counts <= high)).all()),
        p_value=judge.p_value(counts),
    )


# ---------------------------------------------------------------- the transform


def _gaussians(model: Density) -> tuple[Floats, Floats, Floats, Floats | None] | None:
    """Return (log weights, means, factors, scales), unit space, of what is a mixture of Gaussians."""
    from ..models.gaussian import Gaussian
    from ..models.kde import KDE
    from ..models.mixture import GaussianMixture

    params = model.params_
    if isinstance(model, Gaussian):
        covariance = model._covariance(params)
        return np.zeros(1), params.mean[None, :], np.linalg.cholesky(covariance), None
    if isinstance(model, GaussianMixture) and "noise_weight" not in params:
        with np.errstate(divide="ignore"):
            logs = np.log(params.weights)
        return logs, params.means, np.linalg.cholesky(model._own_covariances(params)), None
    if isinstance(model, KDE) and params.kernel == "gaussian" and "lower" not in params:
        h = params.bandwidth
        factor = np.diag(h) if h.ndim == 1 else np.linalg.cholesky(h)
        logs = params.log_weights
        logs = np.zeros(len(params.points)) if logs is None else logs
        return logs, params.points, factor, params.get("factors")
    return None


def _conditional(model: Density, x: Floats, j: int) -> Floats:
    """Return F(x_j | x_1, …, x_{j−1}) (n,) by the model's own marginals and conditionals."""
    part = model if j == x.shape[1] - 1 else model.marginal(list(range(j + 1)))
    if j == 0:
        return np.asarray(part.cdf(x[:, 0]))
    batch = part.condition({k: x[:, k] for k in range(j)})
    return np.concatenate([batch[i].cdf(x[i : i + 1, j]) for i in range(len(x))])


def _unrounded(model: Density, x: Floats, columns: Columns, rng: np.random.Generator) -> Floats:
    """Return rows drawn from the density within the cells that the recorded ones stand for."""
    ends = {}
    for j in range(x.shape[1]):
        cell = cells(columns, j)
        if cell is not None:
            low, high = cell(x[:, j])
            half = np.where(np.isfinite(high - x[:, j]), high - x[:, j], x[:, j] - low)
            ends[j] = x[:, j] - half, x[:, j] + half  # an open cell, at the end of a dtype, is closed
    out = x.copy()
    for j, (low, high) in ends.items():
        out[:, j] = rng.uniform(low, high)
    every = np.arange(len(x))
    for _ in range(SWEEPS if ends else 0):
        for j, (low, high) in ends.items():
            choice = rng.uniform(low[:, None], high[:, None], (len(x), OTHERS + 1))
            choice[:, 0] = out[:, j]
            rows = np.repeat(out, OTHERS + 1, axis=0)
            rows[:, j] = choice.ravel()
            logs = log_density(model, rows).reshape(choice.shape)
            chance = rng.gumbel(size=logs.shape) + np.maximum(logs, -np.finfo(float).max)
            out[:, j] = choice[every, chance.argmax(axis=1)]
    return out
