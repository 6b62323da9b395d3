"""Row weights: their sum is the sample size, or they are refused with the way out."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pofx.errors import ParameterError, WeightError
from pofx.validation import row_weights

POSITIVE = hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(1e-3, 1e3))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, -2, 3], r"1 of 3 are negative \(first: row 1"),
        ([1, np.nan, 3], r"1 of 3 are NaN \(first: row 1"),
        ([1, None, 3], "NaN"),
        ([1, np.inf, 3], "1 of 3 are infinite"),
        ([0, 0, 0], "every weight is zero"),
        ([1, 2], r"shape \(3,\), not \(2,\)"),
        (np.ones((3, 1)), r"ravel"),
        (np.ones((3, 2)), r"shape \(3,\), not \(3, 2\)"),
        (2.0, r"shape \(3,\), not \(\)"),
        (["1", "2", "3"], "text is not parsed"),
        (np.array(["1", 2, 3], dtype=object), "text is not parsed"),
        ([1j, 1, 1], "complex"),
        ([[1], [2, 3], 4], "one number per row"),
        (np.ma.masked_array([1, 2, 3], [0, 1, 0]), "masked"),
    ],
)
@pytest.mark.parametrize("kind", [None, "frequency", "importance"])
def test_refused_whatever_they_mean(weights, message, kind):
    with pytest.raises(WeightError, match=message):
        row_weights(weights, 3, weight_kind=kind)


def test_counts_are_whole_unless_said_otherwise():
    with pytest.raises(WeightError, match=r"not whole \(first: row 1, 2.5\).*weight_kind"):
        row_weights([1, 2.5, 3], 3, weight_kind=None)
    for weights in ([1e308] * 3, [2.0**53, 1, 1]):
        with pytest.raises(WeightError, match=r"beyond what can be counted.*importance"):
            row_weights(weights, 3, weight_kind=None)
    with pytest.raises(WeightError, match="not whole"):
        row_weights([5e-324] * 3, 3, weight_kind=None)
    assert row_weights([1, 2.5, 3], 3, weight_kind="frequency").tolist() == [1.0, 2.5, 3.0]


@pytest.mark.parametrize("weights", [[1e308] * 3, [5e-324] * 3])
def test_the_largest_and_smallest_weights_are_normalised_safely(weights):
    assert row_weights(weights, 3, weight_kind="importance") is None  # all alike: three rows
    with pytest.raises(WeightError, match="importance"):
        row_weights(weights, 3, weight_kind="frequency")
    mixed = row_weights([weights[0], weights[0], 0.0], 3, weight_kind="importance")
    assert mixed.tolist() == [1.0, 1.0, 0.0]


def test_ones_and_none_are_the_same():
    assert row_weights(None, 3, weight_kind=None) is None
    assert row_weights([1, 1, 1], 3, weight_kind=None) is None
    assert row_weights([True, False, True], 3, weight_kind=None).tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    "weights", [[1, 2, 3], (1, 2, 3), np.array([1, 2, 3], dtype=">i2"), pd.Series([1, 2, 3])]
)
def test_any_container(weights):
    assert row_weights(weights, 3, weight_kind=None).tolist() == [1.0, 2.0, 3.0]


def test_the_caller_keeps_their_array():
    mine = np.array([1.0, 2.0])
    theirs = row_weights(mine, 2, weight_kind="importance")
    assert mine.tolist() == [1.0, 2.0]
    assert not np.shares_memory(mine, theirs)
    assert not np.shares_memory(mine, row_weights(mine, 2, weight_kind=None))


def test_weights_follow_the_rows_that_are_kept():
    kept = np.array([True, False, True])
    assert row_weights([1, 2, 3], 3, weight_kind=None, kept=kept).tolist() == [1.0, 3.0]
    with pytest.raises(WeightError, match=r"shape \(3,\), not \(2,\)"):
        row_weights([1, 3], 2, weight_kind=None, kept=kept)
    with pytest.raises(WeightError, match="not dropped has weight zero"):
        row_weights([0, 2, 0], 3, weight_kind=None, kept=kept)


def test_the_kind_of_weight_is_checked_even_without_weights():
    with pytest.raises(ParameterError, match="Did you mean 'importance'"):
        row_weights(None, 3, weight_kind="importence")


@given(POSITIVE)
def test_importance_adds_up_to_kishs_effective_size(w):
    out = row_weights(w, len(w), weight_kind="importance")
    out = np.ones(len(w)) if out is None else out
    kish = w.sum() ** 2 / np.square(w).sum()
    assert out.sum() == pytest.approx(kish, rel=1e-12)
    np.testing.assert_allclose(out / out.sum(), w / w.sum(), rtol=1e-12)


@given(POSITIVE, st.sampled_from([7.0, 1e-300, 1e300, 2.0**-1000]))
def test_importance_does_not_depend_on_the_unit(w, factor):
    one = row_weights(w, len(w), weight_kind="importance")
    other = row_weights(w * factor, len(w), weight_kind="importance")
    one, other = (np.ones(len(w)) if v is None else v for v in (one, other))
    np.testing.assert_allclose(one, other, rtol=1e-12)
