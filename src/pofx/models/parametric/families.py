"""The continuous families of scipy.stats, by name from a fixed list.

A name, from a file too, is looked up here and nowhere else, so that it can import nothing. Left out of
scipy.stats: families of whole-number shapes (erlang, irwinhall, ksone, kstwo), those that are distributions
of test statistics (kstwobign, studentized_range), those whose density is itself an integral taken numerically
(levy_stable, gausshyper), one whose scale is among its shapes (dpareto_lognorm), other names of one family
(erlang, reciprocal, trapz), and vonmises, whose density on the
line has no end (vonmises_line has).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ive, kve, log1p

from ...errors import ParameterError
from ...maths.gaussian import LOG_2PI

__all__ = ["FAMILIES", "Family", "family_named", "name_of"]

Floats = NDArray[np.float64]

FAMILIES = (
    "alpha",
    "anglit",
    "arcsine",
    "argus",
    "beta",
    "betaprime",
    "bradford",
    "burr",
    "burr12",
    "cauchy",
    "chi",
    "chi2",
    "cosine",
    "crystalball",
    "dgamma",
    "dweibull",
    "expon",
    "exponnorm",
    "exponpow",
    "exponweib",
    "f",
    "fatiguelife",
    "fisk",
    "foldcauchy",
    "foldnorm",
    "gamma",
    "genexpon",
    "genextreme",
    "gengamma",
    "genhalflogistic",
    "genhyperbolic",
    "geninvgauss",
    "genlogistic",
    "gennorm",
    "genpareto",
    "gibrat",
    "gompertz",
    "gumbel_l",
    "gumbel_r",
    "halfcauchy",
    "halfgennorm",
    "halflogistic",
    "halfnorm",
    "hypsecant",
    "invgamma",
    "invgauss",
    "invweibull",
    "jf_skew_t",
    "johnsonsb",
    "johnsonsu",
    "kappa3",
    "kappa4",
    "landau",
    "laplace",
    "laplace_asymmetric",
    "levy",
    "levy_l",
    "loggamma",
    "logistic",
    "loglaplace",
    "lognorm",
    "loguniform",
    "lomax",
    "maxwell",
    "mielke",
    "moyal",
    "nakagami",
    "ncf",
    "nct",
    "ncx2",
    "norm",
    "norminvgauss",
    "pareto",
    "pearson3",
    "powerlaw",
    "powerlognorm",
    "powernorm",
    "rayleigh",
    "rdist",
    "recipinvgauss",
    "rel_breitwigner",
    "rice",
    "semicircular",
    "skewcauchy",
    "skewnorm",
    "t",
    "trapezoid",
    "triang",
    "truncexpon",
    "truncnorm",
    "truncpareto",
    "truncweibull_min",
    "tukeylambda",
    "uniform",
    "vonmises_line",
    "wald",
    "weibull_max",
    "weibull_min",
    "wrapcauchy",
)


def name_of(family: Any) -> Any:
    """Return the name of one of SciPy's families, and anything else as it is."""
    name = getattr(family, "name", None)
    if isinstance(family, str) or not isinstance(name, str) or not hasattr(family, "logpdf"):
        return family
    if name not in FAMILIES:
        return family
    return name if type(family) is type(_dist(name)) else family


def family_named(family: Any) -> Family:
    """Return the family of this name.

    Raises
    ------
    ParameterError
        For a name that is not on the list, with the nearest ones; for anything that is no name.
    """
    if isinstance(family, str) and family in FAMILIES:
        return _family(family)
    if isinstance(family, str):
        near = difflib.get_close_matches(family, FAMILIES, n=3)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ParameterError(
            f"family must be a continuous family of scipy.stats, such as 'gamma'; got {family!r:.60}.{hint}"
        )
    if hasattr(family, "dist") and hasattr(family, "logpdf"):
        raise ParameterError(
            f"family must be a family, not one distribution of it. "
            f"Parametric.from_params({family.dist.name!r}, …) is a known distribution; Parametric("
            + repr(family.dist.name)
            + ") is fitted."
        )
    raise ParameterError(
        "family must be one of scipy.stats' continuous families or its name, such as 'gamma'; got "
        f"{getattr(family, 'name', family)!r:.80}."
    )


def _dist(name: str) -> Any:
    import scipy.stats

    found = getattr(scipy.stats, name, None)  # of FAMILIES alone
    if found is None:
        raise ParameterError(f"This version of SciPy has no scipy.stats.{name}; a later one has.")
    return found


@cache
def _family(name: str) -> Family:
    return Family(name, _dist(name))


class Family:
    """One family in its standard position: loc 0, scale 1.

    Attributes
    ----------
    shapes : tuple of str
        The names of its shape parameters; ``names`` adds "loc" and "scale".
    domains : tuple of (float, float)
        The open interval that each shape lies in.
    """

    def __init__(self, name: str, dist: Any) -> None:
        self.name, self.dist = name, dist
        self.shapes: tuple[str, ...] = tuple(s.strip() for s in dist.shapes.split(",")) if dist.shapes else ()
        self.names = (*self.shapes, "loc", "scale")
        # An open end comes as the number next to it: 0 as 5e-324, 1 as 1 + 2e-16.
        self.domains = tuple(
            (float(np.round(i.domain[0], 12)), float(np.round(i.domain[1], 12))) for i in dist._shape_info()
        )

    def log_density(self, t: Floats, shapes: Floats) -> Floats:
        """Return log f(t), NaN where the shapes are impossible."""
        with np.errstate(all="ignore"):
            exact = LOGS.get(self.name)
            out = np.asarray(self.dist.logpdf(t, *shapes), dtype=float)
            if exact is None or not np.isneginf(out).any():
                return out
            # SciPy takes the log of a density that has underflowed here.
            low, high = self.support(shapes)
            inside = np.isneginf(out) & (t > low) & (t < high)
            out[inside] = exact(t[inside], *shapes)
            return out

    def support(self, shapes: Floats) -> tuple[float, float]:
        """Return the ends of the support, NaN where the shapes are impossible."""
        low, high = self.dist.support(*shapes)
        return float(low), float(high)


# ---------------------------------------------------------------- logs that SciPy takes too late


def _johnson(z: Floats, log_slope: Floats, b: float) -> Floats:
    return np.log(b) - 0.5 * (LOG_2PI + z * z) + log_slope


def _norminvgauss(t: Floats, a: float, b: float) -> Floats:
    # a K1(a q) / (π q) exp(γ + b t), q = √(1 + t²), γ = √(a² − b²)
    q = np.hypot(1.0, t)
    return np.log(a * kve(1, a * q) / (np.pi * q)) - a * q + np.sqrt(a * a - b * b) + b * t


LOGS: dict[str, Callable[..., Floats]] = {
    "foldnorm": lambda t, c: np.logaddexp(-0.5 * (t - c) ** 2, -0.5 * (t + c) ** 2) - 0.5 * LOG_2PI,
    "hypsecant": lambda t: np.log(2.0 / np.pi) - np.abs(t) - log1p(np.exp(-2.0 * np.abs(t))),
    "invweibull": lambda t, c: np.log(c) - (c + 1.0) * np.log(t) - t**-c,
    "johnsonsb": lambda t, a, b: _johnson(a + b * (np.log(t) - log1p(-t)), -np.log(t) - log1p(-t), b),
    "johnsonsu": lambda t, a, b: _johnson(a + b * np.arcsinh(t), -np.log(np.hypot(1.0, t)), b),
    "laplace": lambda t: -np.abs(t) - np.log(2.0),
    "levy": lambda t: -0.5 * (LOG_2PI + 3.0 * np.log(t) + 1.0 / t),
    "levy_l": lambda t: -0.5 * (LOG_2PI + 3.0 * np.log(-t) - 1.0 / t),
    "moyal": lambda t: -0.5 * (LOG_2PI + t + np.exp(-t)),
    "norminvgauss": _norminvgauss,
    "rice": lambda t, b: np.log(t) - 0.5 * (t - b) ** 2 + np.log(ive(0, t * b)),
}
