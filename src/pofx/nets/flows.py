"""Normalising flows: a base density pulled through invertible layers of zuko.

    log p(x | c) = Σ_j log t(z_j; ν_j) + log |det ∂z/∂x|,   z = f(x; c)

The layers are masked autoregressive (Papamakarios, Pavlakou and Murray 2017) or coupling; what they do to
a coordinate is affine or a monotonic rational-quadratic spline on [-5, 5] (Durkan et al. 2019, "Neural
spline flows"), which leaves what lies outside as it is. There the base alone decides, so a column that
reaches beyond may have a Student-t with learned degrees of freedom ν instead of the Gaussian.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy.special import log_ndtr, stdtr
from torch import Tensor, nn
from zuko.flows import MAF
from zuko.transforms import MonotonicAffineTransform, MonotonicRQSTransform

from ..errors import ParameterError
from .flat import load_arrays, seeded

__all__ = ["BOUND", "Design", "FlowNet", "Pair", "from_arrays"]

BOUND = 5.0  # splines act on [-BOUND, BOUND]
SLOPE = 1e-3  # the least slope of a spline or an affine layer
LIVELY = 4.0  # a degree of freedom moves so many times as fast as other parameters
MOST_ENTRIES = 10**8  # of a network that a file may ask for


@dataclass(frozen=True)
class Design:
    """All that a flow's network is made from, but its numbers.

    Parameters
    ----------
    features, context : int
        Columns that are modelled, and columns that are given.
    layer : {"spline", "affine"}
    coupling : bool
        Coupling layers instead of autoregressive ones.
    layers : int
    hidden : tuple of int
        Widths of each layer's own network.
    bins : int
        Of a spline.
    heavy : tuple of bool
        Which columns have a Student-t base.
    """

    features: int
    context: int
    layer: str
    coupling: bool
    layers: int
    hidden: tuple[int, ...]
    bins: int
    heavy: tuple[bool, ...]

    def to_text(self) -> str:
        """Return the design as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: Any) -> Design:
        """Return the design from its JSON.

        Raises
        ------
        ParameterError
            Where it is none, or asks for a network too large to be one.
        """
        try:
            data = dict(json.loads(text))
            data["hidden"], data["heavy"] = tuple(data["hidden"]), tuple(data["heavy"])
            design = cls(**data)
            numbers = [design.features, design.context, design.layers, design.bins, *design.hidden]
            whole = all(type(v) is int and v >= 0 for v in numbers) and len(design.heavy) == design.features
            right = whole and min(design.features, design.layers, design.bins, *design.hidden, 1) >= 1
            widths = (design.features + design.context, *design.hidden, 3 * design.features * design.bins)
            size = design.layers * sum(a * b for a, b in pairwise(widths)) if whole else 0
        except (TypeError, ValueError, KeyError) as error:
            raise ParameterError(f"Not the design of a flow: {text!r:.200}.") from error
        if not right or design.layer not in ("spline", "affine") or size > MOST_ENTRIES:
            raise ParameterError(f"Not the design of a flow: {text!r:.200}.")
        return design


class _Squashed(nn.Module):
    """Inputs of a layer's own network: beyond ±BOUND only their logarithm grows, lest one far value in a
    column decides what the spline of another looks like."""

    def forward(self, x: Tensor) -> Tensor:
        far = x.abs().clamp(min=BOUND)
        return torch.where(x.abs() <= BOUND, x, x.sign() * BOUND * (1.0 + torch.log(far / BOUND)))


class FlowNet(nn.Module):
    """The network of a :class:`Design`.

    ``degrees`` (d,) are those of each column's base to begin with; infinite for a Gaussian.
    """

    def __init__(self, design: Design, degrees: np.ndarray | None = None) -> None:
        super().__init__()
        self.design = design
        univariate: Any = partial(MonotonicAffineTransform, slope=SLOPE)
        shapes: list[tuple[int, ...]] = [(), ()]
        if design.layer == "spline":
            univariate = partial(MonotonicRQSTransform, bound=BOUND, slope=SLOPE)
            shapes = [(design.bins,), (design.bins,), (design.bins - 1,)]
        # One column that depends on nothing takes no settings of a network.
        single = design.features == 1 and design.context == 0
        inside: dict[str, Any] = {} if single else {"hidden_features": design.hidden, "activation": nn.SiLU}
        if design.features > 1:
            inside["passes"] = 2 if design.coupling else None
        flow = MAF(
            design.features,
            design.context,
            transforms=design.layers,
            univariate=univariate,
            shapes=shapes,
            **inside,
        )
        self.layers = flow.transform
        _almost_identity(self.layers)
        if design.layer == "spline" and not single:
            for layer in flow.transform.transforms:
                layer.hyper = nn.Sequential(_Squashed(), layer.hyper)
        self.tails: nn.Parameter | None = None  # log ν / LIVELY
        if any(design.heavy):
            start = np.ones(design.features) if degrees is None else np.where(design.heavy, degrees, 1.0)
            self.tails = nn.Parameter(torch.tensor(np.log(start) / LIVELY, dtype=torch.float32))
        self.register_buffer("heavy", torch.tensor(design.heavy), persistent=False)

    def degrees(self) -> Tensor | None:
        """Return ν of each column (d,); None where all are Gaussian."""
        return None if self.tails is None else (LIVELY * self.tails).exp()

    def to_base(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return z = f(x; c) (n, d) and log |det ∂z/∂x| (n,)."""
        z, log_det = self.layers(context).call_and_ladj(x)
        return z, log_det if log_det.ndim == 1 else log_det.sum(dim=-1)

    def from_base(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Return x with f(x; c) = z."""
        x: Tensor = self.layers(context).inv(z)
        return x

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return log p(x | c), shape (n,)."""
        z, log_det = self.to_base(x, context)
        gauss = -0.5 * z * z - 0.5 * math.log(2.0 * math.pi)
        nu = self.degrees()
        if nu is not None:
            half = 0.5 * (nu + 1.0)
            constant = torch.lgamma(half) - torch.lgamma(0.5 * nu) - 0.5 * torch.log(nu * math.pi)
            gauss = torch.where(self.heavy, constant - half * torch.log1p(z * z / nu), gauss)
        return gauss.sum(dim=-1) + log_det

    # ---------------------------------------------------------------- with arrays, float64

    @torch.no_grad()
    def log_density(self, x: np.ndarray, context: np.ndarray | None = None) -> np.ndarray:
        """Return log p(x | c) (n,); -inf where it is below every number."""
        out: np.ndarray = self(torch.from_numpy(x), _tensor(context)).numpy()
        return np.where(np.isnan(out) & ~np.isfinite(np.square(x)).all(axis=1), -np.inf, out)

    @torch.no_grad()
    def draw(self, n: int, rng: np.random.Generator, context: np.ndarray | None = None) -> np.ndarray:
        """Return n rows (n, d)."""
        z = rng.standard_normal((n, self.design.features))
        nu = self.degrees()
        if nu is not None:
            heavy = np.array(self.design.heavy)
            z[:, heavy] /= np.sqrt(
                rng.chisquare(nu.numpy()[heavy], (n, int(heavy.sum()))) / nu.numpy()[heavy]
            )
        return self.from_base(torch.from_numpy(z), _tensor(context)).numpy()

    @torch.no_grad()
    def log_tail(self, x: np.ndarray, context: np.ndarray | None, *, upper: bool) -> np.ndarray:
        """Return log P(X > x) or log P(X ≤ x) of a flow of one column (n,): f is increasing."""
        z = self.to_base(torch.from_numpy(x), _tensor(context))[0].numpy()[:, 0]
        z = -z if upper else z
        nu = self.degrees()
        if nu is None or not self.design.heavy[0]:
            return np.asarray(log_ndtr(z))
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(stdtr(float(nu[0]), z)))


class Pair(nn.Module):
    """A flow of the columns ``rest``, given others where there are any, and a flow ``first`` of those.

    log p(x) = log first(x_given) + log rest(x_rest | x_given)
    """

    def __init__(self, rest: FlowNet, first: FlowNet | None, given: list[int], columns: list[int]) -> None:
        super().__init__()
        self.rest = rest
        if first is not None:
            self.first = first
        self.given, self.columns = given, columns

    def forward(self, x: Tensor) -> Tensor:
        """Return log p of each row (n,)."""
        if not self.given:
            out: Tensor = self.rest(x)
            return out
        context = x[:, self.given]
        out = self.first(context) + self.rest(x[:, self.columns], context)
        return out


def _tensor(context: np.ndarray | None) -> Tensor | None:
    return None if context is None else torch.from_numpy(np.ascontiguousarray(context))


@torch.no_grad()
def _almost_identity(layers: nn.Module) -> None:
    """Begin near the identity, which after standardising is near the Gaussian: last layers a tenth."""
    for module in layers.modules():
        last = module[-1] if isinstance(module, nn.Sequential) else module
        if isinstance(module, nn.Sequential | nn.ParameterList):
            for p in last.parameters():
                p.mul_(0.1)


def from_arrays(design: Design, arrays: Mapping[str, np.ndarray]) -> FlowNet:
    """Return the network of a fitted flow, on the CPU and in float64: densities to rounding, exact inverses.

    Raises
    ------
    ParameterError
        Where the arrays are not those of the design.
    """
    with seeded(0):  # what it begins with is drawn, and replaced
        net = FlowNet(design)
    load_arrays(net, arrays)
    return net.double().eval()
