"""A normalising flow: exact density and draws through a learned one-to-one map to a simple base.

    log p(x) = log base(f(x)) + log |det ∂f/∂x|

Rezende and Mohamed 2015, "Variational inference with normalizing flows"; Durkan et al. 2019, "Neural spline
flows"; Papamakarios, Pavlakou and Murray 2017, "Masked autoregressive flow for density estimation".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.fitting import Outcome
from ..core.fold import Data
from ..core.params import Params
from ..errors import DataError, ParameterError, UnsupportedError
from ..maths.bijections import as_bijection
from ..maths.column_maps import ColumnMaps, spread_over_cells, tail_degrees
from ..validation import Columns, one_of, whole_number
from .learned import Learned, Split, by_prefix

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..nets.flows import FlowNet

__all__ = ["Flow"]


class Flow(Learned):
    """A normalising flow: rational-quadratic splines or affine layers, autoregressive or coupling.

    Parameters
    ----------
    layer : {"spline", "affine"}
        What a layer does to each column. Beyond ±5 standard deviations a spline leaves a column as it is; one
        that reaches further has a Student-t base with learned degrees of freedom there.
    structure : {"autoregressive", "coupling"}
        Coupling draws as fast as it evaluates; autoregressive, a draw takes as many passes as there are
        columns.
    n_layers : int
    hidden : sequence of int
        Widths of each layer's own network.
    bins : int
        Of a spline.
    given : sequence of names or column numbers, optional
        Model p(given) and p(rest | given), one flow each: ``condition`` on exactly these columns and
        ``marginal`` of them are then exact. Without it neither is.
    bounds : (low, high) or mapping of column to it, optional
        Open ends of a column's range, ``None`` for none: the flow then sees the logarithm of the distance to
        one bound, or the logit between two. In the data's units.
    max_steps, batch_size, learning_rate, patience, time_budget, checkpoint, device, verbose, random_state
        See :class:`pofx.models.learned.Learned`.
    missing, weight_kind
        See :class:`pofx.core.density.Density`.

    Notes
    -----
    Columns recorded in steps (whole numbers, two decimals) are spread evenly over their cells while training,
    so that ties make no spikes. ``fit_.trace`` is the best held-out log density so far, nats per row in the
    data's units; a tenth of the distinct rows is held out for it.

    *Pitfall.* A few hundred rows are few for a flow: compare it with a Gaussian mixture before believing it.

    Raises
    ------
    MissingExtraError
        At ``fit``, where torch or zuko is not installed: ``pip install "pofx[torch]"``.
    """

    def __init__(
        self,
        layer: str = "spline",
        *,
        structure: str = "autoregressive",
        n_layers: int = 4,
        hidden: Any = (64, 64),
        bins: int = 8,
        given: Any = None,
        bounds: Any = None,
        max_steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float = 2e-3,
        patience: int = 15,
        time_budget: float | None = None,
        checkpoint: str | None = None,
        device: str = "auto",
        verbose: bool = False,
        random_state: Any = None,
        missing: str = "error",
        weight_kind: str | None = None,
    ) -> None:
        super().__init__(
            max_steps=max_steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            patience=patience,
            time_budget=time_budget,
            checkpoint=checkpoint,
            device=device,
            verbose=verbose,
            random_state=random_state,
            missing=missing,
            weight_kind=weight_kind,
        )
        self.layer = layer
        self.structure = structure
        self.n_layers = n_layers
        self.hidden = hidden
        self.bins = bins
        self.given = given
        self.bounds = bounds

    def _check(self) -> None:
        super()._check()
        one_of(self.layer, "layer", ("spline", "affine"))
        one_of(self.structure, "structure", ("autoregressive", "coupling"))
        whole_number(self.n_layers, "n_layers", least=1)
        whole_number(self.bins, "bins", least=2)
        if isinstance(self.hidden, str) or not isinstance(self.hidden, Sequence):
            raise ParameterError(f"hidden must be widths such as (64, 64); got {self.hidden!r}.")
        for width in self.hidden:
            whole_number(width, "hidden", least=1)

    # ---------------------------------------------------------------- fit

    def _given_columns(self, columns: Columns) -> list[int]:
        if self.given is None:
            return []
        asked = [self.given] if isinstance(self.given, str | int) else list(self.given)
        numbers = [columns.index(key) for key in asked]
        if not 0 < len(set(numbers)) == len(numbers) < len(columns):
            raise ParameterError(
                f"given must be different columns and leave at least one; got {asked!r} of {len(columns)}."
            )
        return sorted(numbers)

    def _limits(self, data: Data) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds of each column in unit space."""
        ends = np.tile([-np.inf, np.inf], (data.d, 1))
        if self.bounds is not None:
            each = (
                self.bounds if isinstance(self.bounds, Mapping) else dict.fromkeys(range(data.d), self.bounds)
            )
            for key, pair in each.items():
                if isinstance(pair, str):
                    raise ParameterError(
                        f"bounds are pairs (low, high) with None for an open end; got {pair!r}."
                    )
                ends[data.columns.index(key)] = as_bijection(pair).domain
        with np.errstate(invalid="ignore"):
            low, high = (data.units.to(end) for end in ends.T)
        return low, high

    def _fit(self, data: Data, rng: np.random.Generator) -> tuple[Mapping[str, Any], Outcome]:
        self._need_torch("zuko")
        given = self._given_columns(data.columns)
        low, high = self._limits(data)
        decimals = data.columns.decimals
        steps = np.array([0.0 if k is None else 10.0**-k for k in decimals]) / data.units.scale
        split = self._split(data, rng, steps)
        self._inside(split, data, low, high, steps)
        still = spread_over_cells(split.x, steps, low, high, np.random.default_rng([split.seed, 3]))
        maps = ColumnMaps.fit(still, split.w, low, high)
        t, log_det = maps.forward(still)

        import torch

        from ..nets.flat import arrays_of, device_of, seeded
        from ..nets.flows import BOUND

        device = device_of(self.device)
        degrees = tail_degrees(t, BOUND) if self.layer == "spline" else np.full(data.d, np.inf)
        with seeded(split.seed):
            net = self._net(given, degrees).to(device)
        fixed = torch.tensor(t, dtype=torch.float32, device=device)

        def tensor(numbers: np.ndarray, rng: np.random.Generator) -> Tensor:
            if not steps.any():
                return fixed[torch.from_numpy(numbers).to(device)]
            rows = spread_over_cells(split.x[numbers], steps, low, high, rng)
            return torch.tensor(maps.forward(rows)[0], dtype=torch.float32, device=device)

        out = split.held_out
        weights = split.w[out] / split.w[out].sum()
        offset = float(weights @ log_det[out]) + data.units.log_jacobian
        rows_out = fixed[torch.from_numpy(out).to(device)]

        def criterion(net: nn.Module) -> float:
            log_p = torch.cat([-self._loss(net, part, rng) for part in rows_out.split(8192)])
            return float(weights @ log_p.double().cpu().numpy()) + offset

        trained = self._train(net, split, tensor, criterion)
        values: dict[str, Any] = {"low": low, "high": high, "centre": maps.centre, "scale": maps.scale}
        values["given"] = np.array(given, dtype=np.int64)
        for name, part in net.named_children():
            values[f"design_{name}"] = part.design.to_text()
            values.update({f"{name}.{key}": array for key, array in arrays_of(part).items()})
        return values, self._outcome(trained, split, data, _tail_notes(data, degrees))

    def _inside(self, split: Split, data: Data, low: np.ndarray, high: np.ndarray, steps: np.ndarray) -> None:
        """Raise a DataError for rows outside the bounds; a recorded value may lie on one."""
        on = steps > 0
        ok = np.where(on, (split.x >= low) & (split.x <= high), (split.x > low) & (split.x < high))
        if not ok.all():
            i, j = np.argwhere(~ok)[0]
            value = float(data.units.back(split.x[i])[j])
            raise DataError(
                f"{int((~ok.all(axis=1)).sum()):,} rows lie outside the bounds, such as one with "
                f"{data.label(int(j))} = {value:g}. Widen the bounds or leave them out."
            )

    def _net(self, given: list[int], degrees: np.ndarray) -> nn.Module:
        """Return ``rest`` of the columns that are not given and, where some are, ``first`` of those."""
        from ..nets.flows import Design, FlowNet, Pair

        rest = [j for j in range(len(degrees)) if j not in given]
        hidden = tuple(int(h) for h in self.hidden)

        def part(columns: list[int], context: int) -> FlowNet:
            heavy = tuple(bool(np.isfinite(degrees[j])) for j in columns)
            coupling = self.structure == "coupling"
            design = Design(
                len(columns), context, self.layer, coupling, self.n_layers, hidden, self.bins, heavy
            )
            return FlowNet(design, degrees[columns])

        return Pair(part(rest, len(given)), part(given, 0) if given else None, given, rest)

    def _loss(self, net: nn.Module, x: Tensor, rng: np.random.Generator) -> Tensor:
        out: Tensor = -net(x)
        return out

    # ---------------------------------------------------------------- the distribution

    def _log_density(self, params: Params, x: np.ndarray) -> np.ndarray:
        from ..nets.flat import one_torch_thread

        maps = _maps(params)
        out = np.full(len(x), -np.inf)
        inside = maps.inside(x)
        if inside.any():
            t, log_det = maps.forward(x[inside])
            given, rest = _parts(params)
            with one_torch_thread():
                log_p = _net_of(params, "rest").log_density(t[:, rest], _context(params, t, given))
                if given:
                    log_p = log_p + _net_of(params, "first").log_density(t[:, given])
            out[inside] = log_p + log_det
        return out

    def _draw(self, params: Params, n: int, rng: np.random.Generator) -> np.ndarray:
        from ..nets.flat import one_torch_thread

        given, rest = _parts(params)
        t = np.empty((n, len(given) + len(rest)))
        with one_torch_thread():
            if given:
                t[:, given] = _net_of(params, "first").draw(n, rng)
            t[:, rest] = _net_of(params, "rest").draw(n, rng, _context(params, t, given))
        return _maps(params).inverse(t)

    def _log_tail(self, params: Params, x: np.ndarray, upper: bool) -> np.ndarray:
        from ..nets.flat import one_torch_thread

        maps = _maps(params)
        rows = x[:, None]
        inside = maps.inside(rows)
        out = np.where((x >= maps.high[0]) == upper, -np.inf, 0.0)
        if not inside.any():
            return out
        t, _ = maps.forward(rows[inside])
        with one_torch_thread():
            out[inside] = _net_of(params, "rest").log_tail(t, _context(params, t, []), upper=upper)
        return out

    def _log_cdf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._log_tail(params, x, upper=False)

    def _log_sf(self, params: Params, x: np.ndarray) -> np.ndarray:
        return self._log_tail(params, x, upper=True)

    def _n_parameters(self, params: Params) -> int:
        networks = [
            v.size for k, v in params.items() if k.partition(".")[0] in ("rest", "first") and "." in k
        ]
        return sum(networks) + 2 * len(params.centre)

    # ---------------------------------------------------------------- parts

    def _marginal(self, params: Params, keep: list[int]) -> Mapping[str, Any]:
        given, rest = _parts(params)
        if keep == given or (not given and keep == rest):
            name = "first" if given else "rest"
            return self._some(params, keep, name)
        raise UnsupportedError(
            "A flow has no marginal distributions but of the columns that it was told with given=, in their "
            f"order. Fit a Flow to these columns alone{_or_given(params, given)}."
        )

    def _condition(self, params: Params, given: list[int], z: np.ndarray) -> Mapping[str, Any]:
        known, rest = _parts(params)
        if sorted(given) != known:
            raise UnsupportedError(
                "A flow conditions on exactly the columns that it was told with given=. "
                f"Fit Flow(given={_keys(params, sorted(given))!r}){_or_given(params, known)}."
            )
        row = np.empty((1, len(known)))
        row[0, [known.index(j) for j in given]] = z
        maps = _maps(params).select(known)
        if not maps.inside(row)[0]:
            raise DataError(
                f"Cannot condition on {params.units.select(known).back(row)[0]}: outside the bounds."
            )
        fixed = maps.forward(row)[0]
        return {**self._some(params, rest, "rest"), "context": fixed[0]}

    def _some(self, params: Params, columns: list[int], name: str) -> dict[str, Any]:
        """Return the parameters of one of the two flows, as those of a whole one."""
        maps = _maps(params).select(columns)
        back = params.units.select(columns).back
        values: dict[str, Any] = {
            "low": maps.low, "high": maps.high, "centre": maps.centre, "scale": maps.scale,
            "given": np.empty(0, dtype=np.int64), "design_rest": params[f"design_{name}"],
        }  # fmt: skip
        values.update({f"rest.{key}": array for key, array in by_prefix(params, name).items()})
        if "context" in params:
            values["context"] = params.context
        ends = zip(back(maps.low).tolist(), back(maps.high).tolist(), strict=True)
        bounds = {
            j: (low if np.isfinite(low) else None, high if np.isfinite(high) else None)
            for j, (low, high) in enumerate(ends)
            if np.isfinite(low) or np.isfinite(high)
        }
        values["__hyper__"] = {**self.get_params(deep=False), "given": None, "bounds": bounds or None}
        return values

    def _check_values(self, values: Mapping[str, Any], d: int) -> None:
        super()._check_values(values, d)
        maps = _maps(values)
        shapes = {a.shape for a in (maps.low, maps.high, maps.centre, maps.scale)}
        if shapes != {(d,)} or not (maps.scale > 0).all():
            raise ParameterError(f"A flow of {d} columns needs bounds, centres and positive scales of each.")
        given = np.asarray(values["given"])
        if given.dtype.kind != "i" or given.ndim != 1 or not set(given.tolist()) <= set(range(d)):
            raise ParameterError("given must be column numbers.")
        self._need_torch("zuko")
        from ..nets.flows import Design

        fixed = len(values["context"]) if "context" in values else len(given)
        rest = Design.from_text(values["design_rest"])
        right = rest.features == d - len(given) and rest.context == fixed
        if len(given):
            first = Design.from_text(values["design_first"])
            right = right and first.features == len(given) and first.context == 0
        if not right:
            raise ParameterError(f"The designs of the flow do not fit its {d} columns.")
        for name in ("rest", "first")[: 2 if len(given) else 1]:
            _build(values, name)


def _build(params: Mapping[str, Any], name: str) -> FlowNet:
    from ..nets.flows import Design, from_arrays

    return from_arrays(Design.from_text(params[f"design_{name}"]), by_prefix(params, name))


def _net_of(params: Params, name: str) -> FlowNet:
    net: FlowNet = params.derived(f"net_{name}", lambda: _build(params, name))
    return net


def _maps(params: Mapping[str, Any]) -> ColumnMaps:
    return ColumnMaps(params["low"], params["high"], params["centre"], params["scale"])


def _parts(params: Params) -> tuple[list[int], list[int]]:
    given = params.given.tolist()
    return given, [j for j in range(len(params.centre)) if j not in given]


def _context(params: Params, t: np.ndarray, given: list[int]) -> np.ndarray | None:
    """Return what the second flow is given for each row: other columns of it, or the same for all."""
    if "context" in params:
        return np.tile(params.context, (len(t), 1))
    return t[:, given] if given else None


def _keys(params: Params, columns: list[int]) -> list[Any]:
    names = params.columns.names
    return columns if names is None else [names[j] for j in columns]


def _or_given(params: Params, given: list[int]) -> str:
    return f", or ask for {_keys(params, given)!r}" if given else ""


def _tail_notes(data: Data, degrees: np.ndarray) -> tuple[str, ...]:
    names = [data.label(int(j)) for j in np.flatnonzero(np.isfinite(degrees))]
    if not names:
        return ()
    return (f"{', '.join(names[:5])}: reaches beyond the splines, so its base is a Student-t.",)
