"""Row weights: after this door their sum is the sample size.

Frequencies (the default) say how often a row was seen, so they are whole; ``"frequency"`` allows any
non-negative number; ``"importance"`` weights are relative, and are rescaled to add up to Kish's
effective sample size (sum w)^2 / sum w^2 (L. Kish, *Survey Sampling*, Wiley 1965, section 11.7).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pofx.errors import WeightError
from pofx.validation.scalars import one_of

WEIGHT_KINDS = ("frequency", "importance")
_LEAST_TOTAL, _MOST_TOTAL = 1e-100, 1e100


def row_weights(
    sample_weight: Any, n: int, *, weight_kind: str | None, kept: NDArray[np.bool_] | None = None
) -> NDArray[np.float64] | None:
    """Return one weight per row, or None where every row counts once.

    Parameters
    ----------
    sample_weight : None, or one finite number >= 0 per row of X as it was given to ``fit``
    n : rows of X; where rows were dropped, ``kept`` tells both lengths
    weight_kind : None (whole numbers), "frequency" or "importance"
    kept : mask of the rows that were kept, if any was dropped

    Returns
    -------
    (n,) float64 of the kept rows, a fresh array whose sum is the sample size; None for all ones.

    Raises
    ------
    WeightError
        for negative, NaN, infinite, all-zero or text weights, a wrong length or shape, and weights that
        are not whole where ``weight_kind`` does not allow it.
    """
    if weight_kind is not None:
        one_of(weight_kind, "weight_kind", WEIGHT_KINDS)
    if sample_weight is None:
        return None
    w = _as_numbers(sample_weight, n if kept is None else len(kept))
    if kept is not None:
        w = w[kept]
    if not w.any():
        what = "every weight is zero" if kept is None else "every row that is not dropped has weight zero"
        raise WeightError(f"sample_weight: {what}, so there are no rows to fit.")
    if weight_kind == "importance":
        w /= w.max()  # between 0 and 1, so that neither 1e308 nor 5e-324 can overflow or vanish below
        w *= w.sum() / np.square(w).sum()
    elif weight_kind == "frequency":
        _check_total(w)
    else:
        _check_whole(w)
    return None if (w == 1.0).all() else w


def _as_numbers(sample_weight: Any, n: int) -> NDArray[np.float64]:
    if isinstance(sample_weight, np.ma.MaskedArray) and np.ma.is_masked(sample_weight):
        raise WeightError("sample_weight has masked entries; give every row a weight (0 leaves a row out).")
    try:
        raw = np.asarray(sample_weight)
    except ValueError as error:
        raise WeightError(f"sample_weight must be one number per row: {error}") from None
    if raw.shape != (n,):
        hint = " Use sample_weight.ravel()." if raw.shape in ((n, 1), (1, n)) and n > 1 else ""
        raise WeightError(f"sample_weight must have one number per row, shape ({n},), not {raw.shape}.{hint}")
    if raw.dtype.kind == "O" and not any(isinstance(v, (str, bytes)) for v in raw):
        try:
            raw = np.array([np.nan if v is None else v for v in raw.tolist()], dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise WeightError(f"sample_weight must be numbers: {error}") from None
    if raw.dtype.kind not in "fiub":
        raise WeightError(f"sample_weight must be numbers, not {raw.dtype} (text is not parsed).")
    with np.errstate(over="ignore"):  # a long double beyond float64 becomes inf and is named just below
        w = np.array(raw, dtype=np.float64)
    for bad, word in ((np.isnan(w), "NaN"), (np.isinf(w), "infinite"), (w < 0, "negative")):
        if bad.any():
            row = int(np.argmax(bad))
            raise WeightError(
                f"sample_weight must be finite numbers >= 0: {int(bad.sum())} of {n} are {word} "
                f"(first: row {row}, {w[row]})."
            )
    return w


def _check_whole(w: NDArray[np.float64]) -> None:
    """Frequencies count rows: whole, and few enough to add up exactly."""
    hint = (
        'Say what they are in the constructor: weight_kind="frequency" (they add up to the sample size) or '
        'weight_kind="importance" (only their ratios count).'
    )
    if (broken := w != np.rint(w)).any():
        row = int(np.argmax(broken))
        raise WeightError(
            f"sample_weight is not whole (first: row {row}, {w[row]:g}), so it cannot be how often each row "
            f"was seen. {hint}"
        )
    with np.errstate(over="ignore"):
        total = w.sum()
    if not total < 2.0**53:
        raise WeightError(f"sample_weight adds up to {total:g} rows, beyond what can be counted. {hint}")


def _check_total(w: NDArray[np.float64]) -> None:
    with np.errstate(over="ignore"):
        total = w.sum()
    if not _LEAST_TOTAL <= total <= _MOST_TOTAL:
        raise WeightError(
            f"sample_weight adds up to a sample size of {total:g}; expected {_LEAST_TOTAL:g} to "
            f'{_MOST_TOTAL:g}. If only the ratios count, use weight_kind="importance".'
        )
