"""Laws of estimation: what may change the rows' form must not change the answer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ..fold import Blocks
from .case import Case, Law, NotApplicable, agree, agree_fits, demand

__all__ = ["FIT_LAWS"]


def _has_density(case: Case) -> None:
    if case.model.kind == "none":
        raise NotApplicable("the model has no density")


def affine(case: Case) -> None:
    """Fit to Y = fl(aX + b) and to (Y - b)/a: the second removes the rounding of the rows themselves."""
    _has_density(case)
    equivariance = getattr(case.model, "equivariance", "columns")
    if equivariance == "none":
        raise NotApplicable("the model says that it does not follow a change of units")
    scalar = equivariance == "scalar"
    for power, offset in ((-150.0, 0.0), (-3.3, 40.0), (2.7, -1e5), (150.0, 1.0)):
        a = np.full(case.d, 10.0**power) if scalar else 10.0**power * np.linspace(1.0, 3.7, case.d)
        b = offset * a * case.x.std(axis=0)
        a[case.counted], b[case.counted] = 1.0, 0.0
        y = a * case.x + b
        back = (y - b) / a
        plain, moved = case.fit(back), case.fit(y)
        queries = a * case.queries + b
        if case.random_starts:
            first, second = (
                plain.log_density(back).sum(),
                moved.log_density(y).sum() + len(y) * np.log(a).sum(),
            )
            demand(
                abs(first - second) <= 1e-3,
                f"total log-likelihoods differ by {abs(first - second):.3g} nats at a = {a[0]:.1e}",
            )
            continue
        got = moved.log_density(queries) + np.log(a).sum()
        # Rounding of the queries themselves, amplified by the slope in the far tail, is not the model's.
        expected = plain.log_density((queries - b) / a)
        agree(
            got,
            expected,
            1e-6,
            f"log p of aX + b at ax + b, plus log|a|, with a = {a[0]:.1e}, b = {b[0]:.1e}",
        )


def permutation(case: Case) -> None:
    _has_density(case)
    shuffled = case.x[np.random.default_rng(1).permutation(len(case.x))]
    agree_fits(case, case.fit(shuffled), case.model, case.queries, 1e-8, "rows in another order")


def batches(case: Case) -> None:
    _has_density(case)
    x, m = case.queries, case.model
    rtol = max(m.rtol, 1e-11)  # a model that says it is exact is so to rounding
    whole = m.log_density(x)
    singles = np.concatenate([m.log_density(x[i : i + 1]) for i in range(len(x))])
    agree(singles, whole, rtol, "row by row against all at once")
    agree(m.log_density(np.tile(x, (300, 1)))[: len(x)], whole, rtol, "in a large batch")
    demand(m.log_density(x[:0]).shape == (0,), "log_density of no rows has no shape (0,)")


def blocks(case: Case) -> None:
    _has_density(case)
    half = len(case.x) // 2
    cut = Blocks([case.x[:7], case.x[7:half], case.x[:0], case.x[half:]])
    agree(
        case.fit(cut).log_density(case.queries),
        case.model.log_density(case.queries),
        1e-12,
        "rows in blocks against whole",
    )


def repetition(case: Case) -> None:
    _has_density(case)
    w = np.random.default_rng(2).integers(0, 4, len(case.x))
    repeated = np.repeat(case.x, w, axis=0)
    agree_fits(
        case,
        case.fit(case.x, w),
        case.fit(repeated),
        case.queries,
        1e-8,
        "integer weights against repeated rows",
    )
    keep = w > 0
    agree_fits(
        case,
        case.fit(case.x, keep.astype(int)),
        case.fit(case.x[keep]),
        case.queries,
        1e-8,
        "zero weight against a deleted row",
    )
    x = case.queries[:20]
    demand(
        abs(case.fit(case.x, w).log_density(x) - case.model.log_density(x)).max() > 1e-12,
        "weights of 0 to 3 change nothing: they seem to be ignored",
    )


def importance(case: Case) -> None:
    _has_density(case)
    if "weight_kind" not in case.model.get_params():
        raise NotApplicable("the model has no weight_kind")
    w = np.random.default_rng(4).random(len(case.x)) + 0.1
    first, second = (case.fit(case.x, c * w, weight_kind="importance") for c in (1.0, 7.0))
    agree_fits(case, first, second, case.queries, 1e-8, "importance weights w against 7w")


@contextmanager
def _threads(n: int) -> Iterator[None]:
    before = os.environ.get("POFX_NUM_THREADS")
    os.environ["POFX_NUM_THREADS"] = str(n)
    try:
        yield
    finally:
        if before is None:
            del os.environ["POFX_NUM_THREADS"]
        else:
            os.environ["POFX_NUM_THREADS"] = before


def threads(case: Case) -> None:
    _has_density(case)
    x = np.tile(case.x, (30, 1))
    results = []
    for n in (1, 2, 4):
        with _threads(n):
            results.append(case.fit(case.x).log_density(x).tobytes())
    demand(len(set(results)) == 1, "the same seed gave other bits with another number of threads")


def never_decreases(case: Case) -> None:
    trace = np.array(case.model.fit_.trace)
    if len(trace) < 2:
        raise NotApplicable("the fit is not iterative")
    fall = float(-np.diff(trace).min())
    demand(fall <= 1e-9 * np.abs(trace).max(), f"the log-likelihood fell by {fall:.3g} nats in one pass")


def limits(case: Case) -> None:
    if not case.limits:
        raise NotApplicable("no limit was stated")
    for model, sibling in case.limits:
        a, b = model.fit(case.x), sibling.fit(case.x)
        agree(
            a.log_density(case.queries), b.log_density(case.queries), 1e-8, f"{model!r} against {sibling!r}"
        )


FIT_LAWS = (
    Law("affine", "log p of aX + b at ax + b is log p(x) minus sum log|a|, at any scale and offset", affine),
    Law("rows permute", "the order of the rows does not matter", permutation),
    Law("batches agree", "a row's log density does not depend on the rows asked with it", batches),
    Law("blocks agree", "rows in blocks and rows in one array give one fit", blocks),
    Law(
        "weights repeat rows", "an integer weight is a repeated row, a zero weight a deleted one", repetition
    ),
    Law("importance weights are relative", "w and 7w agree under weight_kind='importance'", importance),
    Law("threads do not matter", "one seed gives the same bits for any number of threads", threads),
    Law("log-likelihood never falls", "an iterative fit's trace does not decrease", never_decreases),
    Law("stated limits", "a model in the setting where an older sibling is exact agrees with it", limits),
)
