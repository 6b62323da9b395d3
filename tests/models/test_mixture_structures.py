"""The fourteen covariance structures: each M-step against brute force, their nesting, and the laws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

import pofx
from pofx.core.laws import check_model
from pofx.errors import DegenerateError, ParameterError
from pofx.maths.moments import Moments
from pofx.models.mixture.batch import Segments
from pofx.models.mixture.em import Mixtures, climb
from pofx.models.mixture.frame import Frame
from pofx.models.mixture.rows import CachedRows
from pofx.models.mixture.starts import state_from_labels
from pofx.models.mixture.structures import AUTO, STRUCTURES, structure
from pofx.models.mixture.structures.base import FlooredStructure

NAMES = [s.mclust for s in STRUCTURES]


def plain_frame(d: int, floor: float = 1e-9) -> Frame:
    """Columns of different units: what is a sphere in the data is not one here."""
    one = np.ones(d)
    return Frame(0 * one, one, one, np.array([1.0, 2.5, 7.0, 1.5])[:d], 0.0, floor)


def own_covariances(d, sizes, seed=0):
    rng = np.random.default_rng([seed, d])
    m = sum(sizes)
    a = rng.standard_normal((m, d, d + 3)) * np.exp(0.7 * rng.standard_normal((m, d, 1)))
    v = np.moveaxis(a @ np.swapaxes(a, 1, 2), 0, 2) / (d + 3)
    return rng.exponential(size=m) * 50 + 1.0, v


def solved(s, n, v, segments, frame):
    """Covariances as (d, d, M), whatever the structure."""
    i = np.arange(len(v))
    cov, low = s.solve(n, v[i, i] if s.diagonal else v, segments, frame)
    if s.diagonal:
        full = np.zeros_like(v)
        full[i, i] = cov
        cov = full
    return cov, low


def expected(n, v, cov):
    """Σ_k n_k E log N per component, constants left out."""
    s, c = np.moveaxis(v, 2, 0), np.moveaxis(cov, 2, 0)
    return -0.5 * n * (np.linalg.slogdet(c)[1] + np.trace(np.linalg.solve(c, s), axis1=1, axis2=2))


# ---------------------------------------------------------------- each structure is what its letters say


def family(name, d, k):
    """The family by its definition Σ_k = λ_k D_k A_k D_kᵀ: (number of free numbers, numbers to covariances).

    With redundant numbers none: shapes have d − 1, orientations d (d − 1) / 2.
    """
    volume, shape, orientation = name
    turns = d * (d - 1) // 2
    sizes = [
        {"E": 1, "V": k}[volume],
        {"I": 0, "E": d - 1, "V": k * (d - 1)}[shape],
        {"I": 0, "E": turns, "V": k * turns}[orientation],
    ]

    def member(theta):
        level, form, turn = np.split(theta, np.cumsum(sizes)[:-1])
        level = np.broadcast_to(level, k)
        form = np.broadcast_to(form.reshape(-1, d - 1), (k, d - 1)) if len(form) else np.zeros((k, d - 1))
        form = np.column_stack([form, -form.sum(axis=1)])
        turn = np.broadcast_to(turn.reshape(-1, turns), (k, turns)) if len(turn) else np.zeros((k, turns))
        # Two columns turn about a third axis.
        vector = turn.copy() if d == 3 else np.column_stack([np.zeros((k, 2)), turn])
        axes = Rotation.from_rotvec(vector).as_matrix()[:, :d, :d]
        return np.einsum("kij,kj,klj->ilk", axes, np.exp(level[:, None] + form), axes)

    return sum(sizes), member


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("d", "k"), [(2, 3), (3, 2)])
def test_solve_is_the_maximum_over_the_family(name, d, k):
    n, v = own_covariances(d, [k], seed=3)
    s, frame = structure(name), plain_frame(d)
    cov, low = solved(s, n, v, Segments([k]), frame)
    assert not low.any()
    ours = expected(n, v, cov).sum()
    count, member = family(name, d, k)
    assert count == s.n_covariance_parameters(k, d)
    # The family in the data's units, seen from the columns' own.
    unit = np.sqrt(frame.sphere)

    def loss(theta):
        return -expected(n, v, member(theta) * np.multiply.outer(unit, unit)[:, :, None]).sum()

    rng = np.random.default_rng(0)
    found = [minimize(loss, 0.5 * rng.standard_normal(count)) for _ in range(2)]
    best = -min(f.fun for f in found)
    assert ours == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize(("d", "k"), [(1, 3), (2, 1), (2, 4), (4, 3), (7, 2)])
def test_parameters_are_counted_as_mclust_does(d, k):
    p, o = d * (d + 1) // 2, d * (d - 1) // 2
    counts = {
        "EII": 1, "VII": k, "EEI": d, "VEI": k + d - 1, "EVI": 1 + k * (d - 1), "VVI": k * d, "EEE": p,
        "VEE": k + p - 1, "EVE": 1 + k * (d - 1) + o, "VVE": k * d + o, "EEV": d + k * o,
        "VEV": k + d - 1 + k * o, "EVV": 1 + k * (p - 1), "VVV": k * p,
    }  # fmt: skip
    assert set(counts) == set(NAMES)
    for name, count in counts.items():
        assert structure(name).n_parameters(k, d) == (k - 1) + k * d + count


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_a_special_case_is_never_likelier(d):
    segments, frame = Segments([1, 2, 2, 3, 5]), plain_frame(d)
    for seed in range(3):
        n, v = own_covariances(d, segments.sizes, seed)
        value = {s: segments.sum(expected(n, v, solved(s, n, v, segments, frame)[0])) for s in STRUCTURES}
        pairs = [(a, b) for a in STRUCTURES for b in STRUCTURES if a.contains(b)]
        assert len(pairs) == 61
        for general, special in pairs:
            assert (value[general] >= value[special] - 1e-9).all(), (general, special)
            for k in (1, 2, 5):
                assert general.n_parameters(k, d) >= special.n_parameters(k, d)


def test_what_contains_what():
    def inside(name):
        return {s.mclust for s in STRUCTURES if structure(name).contains(s)}

    assert inside("VVV") == set(NAMES) - {"VVV"}
    assert inside("EII") == set()
    assert inside("VEE") == {"EII", "VII", "EEI", "VEI", "EEE"}
    assert inside("EVE") == {"EII", "EEI", "EVI", "EEE"}
    assert inside("EEV") == {"EII", "EEI", "EEE"}


@pytest.mark.parametrize("name", NAMES)
def test_mixtures_side_by_side_are_solved_as_each_alone(name):
    segments, frame, s = Segments([1, 2, 2, 4]), plain_frame(3), structure(name)
    n, v = own_covariances(3, segments.sizes, 5)
    together, _ = solved(s, n, v, segments, frame)
    for b, start in enumerate(segments.starts):
        mine = slice(start, start + segments.sizes[b])
        alone, _ = solved(s, n[mine], v[..., mine], Segments(segments.sizes[[b]]), frame)
        np.testing.assert_allclose(together[..., mine], alone, rtol=1e-9, atol=1e-12)
    again, _ = solved(s, n, together, segments, frame)
    np.testing.assert_allclose(again, together, rtol=1e-7, atol=1e-10)  # a member is its own maximum


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("d", [1, 2, 3])
def test_degenerate_components_are_held_above_the_floor_within_the_structure(name, d):
    segments, frame, s = Segments([2, 3, 3]), plain_frame(d, 1e-4), structure(name)
    n, v = own_covariances(d, segments.sizes, 7)
    v[..., 0] = 0.0  # all rows in one point
    v[..., 2] *= 1e-9
    v[..., 3] = np.ones((d, d))  # all rows on a line
    v[..., 5] = -np.eye(d)  # what an extrapolation may ask for
    n[5] = 1e-250
    n[6] = 1e-250
    if isinstance(s, FlooredStructure):
        v[..., 6] = np.nan
    cov, low = solved(s, n, v, segments, frame)
    assert np.isfinite(cov).all()
    assert np.linalg.eigvalsh(np.moveaxis(cov, 2, 0)).min() >= 1e-4 * (1 - 1e-9)
    assert low.dtype == bool
    if name[0] == "V":
        assert low[0]
        assert low[2]
    if isinstance(s, FlooredStructure):
        again, _ = solved(s, np.maximum(n, 1.0), cov, segments, frame)
        np.testing.assert_allclose(again, cov, rtol=1e-6, atol=1e-9)


def test_columns_of_very_different_units_keep_their_digits():
    """A change of units to the data's, there and back, with six orders between the columns."""
    d, segments = 3, Segments([3])
    n, v = own_covariances(d, [3], 9)
    one = np.ones(d)
    wide = Frame(0 * one, one, one, np.array([1.0, 1e6, 1e11]), 0.0, 1e-9)
    for name in ("EVE", "VVE", "EEV", "VEV"):
        s = structure(name)
        cov, _ = s.solve(n, v, segments, wide)
        again, _ = s.solve(n, cov, segments, wide)
        np.testing.assert_allclose(again, cov, rtol=1e-5, atol=1e-6)


# ---------------------------------------------------------------- EM


def groups(n=240, d=2, seed=0):
    rng = np.random.default_rng([seed, d])
    means = np.array([[0.0, 0.0, 0.0], [5.0, 1.0, -3.0], [1.0, 6.0, 3.0]])[:, :d]
    shapes = rng.standard_normal((3, d, d)) / np.sqrt(d) + np.eye(d)
    label = np.arange(n) % 3
    return means[label] + np.einsum("nij,nj->ni", shapes[label], rng.standard_normal((n, d)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("d", [2, 3])
def test_plain_em_never_decreases(name, d):
    x, s = groups(d=d), structure(name)
    x = x * np.array([1.0, 30.0, 0.2])[:d]
    w = np.ones(len(x))
    frame = Frame.of(Moments.of(x, w), np.zeros(d, dtype=np.int64), diagonal=s.diagonal)
    rows = CachedRows(frame.rows(x), w, frame, diagonal=s.diagonal)
    rng = np.random.default_rng(1)
    state = state_from_labels(rows, rng.integers(0, 3, (1, len(x))), 3)
    mixtures = Mixtures([3], [s])
    last = -np.inf
    for _ in range(60):
        cov, low = mixtures.m_step(state, rows)
        assert not low.any()
        value, state = rows.e_step(
            np.log(state[0] / rows.total), state[1 : 1 + d], cov, mixtures.segments, centred=True
        )
        assert value[0] >= last - 1e-9
        last = value[0]
    out = climb(mixtures, state, rows, tol=1e-6, max_iter=500)
    assert out.log_likelihood[0] >= last - 1e-9
    assert (np.diff(out.traces[0]) >= 0).all()


def two_far_groups(d):
    """Few rows on which EM takes few passes: laws fit some thirty times."""
    rng = np.random.default_rng(d)
    x = rng.standard_normal((50, d)) @ (np.eye(d) + 0.3)
    x[20:] = 9.0 + x[20:] * np.linspace(0.7, 1.6, d)
    return x


@pytest.mark.parametrize("name", [n for n in NAMES if structure(n).name not in AUTO])
def test_laws(name):
    check_model(lambda: pofx.GaussianMixture(2, covariance_type=name, n_init=1), two_far_groups(2))


def test_laws_in_three_columns():
    check_model(lambda: pofx.GaussianMixture(2, covariance_type="EEV", n_init=1), two_far_groups(3))


@pytest.mark.parametrize("name", NAMES)
def test_units_do_not_matter(name):
    x = groups(150, seed=6)
    s = structure(name)
    a = np.full(2, -1e-150) if s.in_data_units else np.array([-1e-150, 3e80])
    model = pofx.GaussianMixture(3, covariance_type=name)
    assert model.equivariance == ("scalar" if s.in_data_units else "columns")
    here, there = model.fit(x).log_density(x), pofx.GaussianMixture(3, covariance_type=name).fit(x * a)
    gap = there.log_density(x * a) + np.log(np.abs(a)).sum() - here
    assert np.abs(gap).max() < 1e-4


def test_structures_in_data_units_do_depend_on_them():
    x = groups(150, seed=6)
    for name in ("EEV", "VVE"):
        here = pofx.GaussianMixture(2, covariance_type=name).fit(x).score(x)
        there = pofx.GaussianMixture(2, covariance_type=name).fit(x * [1.0, 30.0]).score(x * [1.0, 30.0])
        assert abs(here - there - np.log(30.0)) > 1e-4


def test_axes_in_incomparable_units_are_refused_or_left_out():
    x = groups(60) * [1e-8, 1e8]
    with pytest.raises(DegenerateError, match=r"scales differ by more than 1e6\. Use covariance_type='full'"):
        pofx.GaussianMixture(2, covariance_type="VEV").fit(x)
    model = pofx.GaussianMixture(2, covariance_type=["VEV", "VVV", "EVE"]).fit(x)
    assert model.covariance_type_ == "full"
    assert any("'VEV', 'EVE' were left out" in note for note in model.fit_.notes)


def test_nearly_collinear_columns_in_data_units():
    """Search space is whitened here, which the structure must not notice."""
    x = groups(200)
    near = np.column_stack([x[:, 0], x[:, 0] + 0.01 * x[:, 1]])
    for name in ("VEV", "VVE"):
        model = pofx.GaussianMixture(2, covariance_type=name).fit(near)
        pofx.GaussianMixture.from_params(
            model.weights_, model.means_, model.covariances_, covariance_type=name
        )  # checks that they are of the structure


# ---------------------------------------------------------------- names and use


def test_names():
    assert [structure(name).mclust for name in ("full", "tied", "diag", "spherical")] == [
        "VVV", "EEE", "VVI", "VII",
    ]  # fmt: skip
    assert structure("VEV").name == "VEV"
    assert repr(structure("VEV")) == "VEV"
    assert len(STRUCTURES) == 14
    with pytest.raises(ParameterError, match=r"'all'.*'full' \(VVV\).*'VEV'.*Did you mean 'VEV'"):
        pofx.GaussianMixture(2, covariance_type="VEVV").fit(groups(30))


def test_all_and_auto_are_what_is_compared():
    x = groups(90)
    everything = pofx.GaussianMixture([1, 2], covariance_type="all", n_init=2).fit(x)
    table = {(r["covariance_type"], r["n_components"]): r for r in everything.fit_.search}
    assert len(table) == 28
    for (name, k), row in table.items():
        for other in STRUCTURES:
            if structure(name).contains(other) and row["regular"]:
                assert row["log_likelihood"] >= table[other.name, k]["log_likelihood"] - 1e-6
    wide = np.random.default_rng(0).normal(size=(40, 11))
    four = pofx.GaussianMixture([1, 2], n_init=1).fit(wide)
    assert {r["covariance_type"] for r in four.fit_.search} == set(AUTO)


def test_auto_finds_what_all_finds_and_says_what_it_left_out():
    x = groups(90)
    auto, everything = (pofx.GaussianMixture([1, 2, 3], covariance_type=t).fit(x) for t in ("auto", "all"))
    assert auto.bic(x) <= everything.bic(x) + 1e-4
    assert len(auto.fit_.search) == len(everything.fit_.search) == 42
    left_out = [r for r in auto.fit_.search if r["log_likelihood"] is None]
    assert left_out
    assert all("contains it" in r["why"] for r in left_out)
    # What was left out could not have won: the table of all candidates agrees.
    table = {(r["covariance_type"], r["n_components"]): r["bic"] for r in everything.fit_.search}
    assert all(table[r["covariance_type"], r["n_components"]] > auto.bic(x) - 1e-4 for r in left_out)


def test_one_column_has_two_structures():
    x = groups(90)
    line = pofx.GaussianMixture([1, 2], covariance_type="all", n_init=2).fit(x[:, 0])
    assert {r["covariance_type"] for r in line.fit_.search} == {"full", "tied"}


@pytest.mark.parametrize("name", NAMES)
def test_a_fitted_model_is_one_that_can_be_given_kept_and_taken_apart(name, tmp_path):
    x, s = groups(d=3), structure(name)
    model = pofx.GaussianMixture(3, covariance_type=name, n_init=2).fit(x)
    assert model.covariance_type_ == s.name
    assert model.n_parameters_ == s.n_parameters(3, 3)
    assert model.covariances_.shape == s.covariances_shape(3, 3)
    given = pofx.GaussianMixture.from_params(
        model.weights_, model.means_, model.covariances_, covariance_type=name
    )
    np.testing.assert_allclose(given.log_density(x), model.log_density(x), rtol=1e-9)
    again = pofx.GaussianMixture(
        covariance_type=name, weights_init=model.weights_, means_init=model.means_,
        covariances_init=model.covariances_,
    ).fit(x)  # fmt: skip
    np.testing.assert_allclose(again.log_density(x), model.log_density(x), atol=1e-3)
    model.save(tmp_path / "m.pofx")
    assert (pofx.load(tmp_path / "m.pofx").log_density(x) == model.log_density(x)).all()
    part, rest = model.marginal([2, 0]), model.condition({2: x[0, 2], 0: x[0, 0]})
    assert part.covariance_type_ == rest.covariance_type_ == structure(s.part).name
    joint = part.log_density(x[:1, [2, 0]]) + rest.log_density(x[:1, [1]])
    np.testing.assert_allclose(joint, model.log_density(x[:1]), rtol=1e-10)
    # What is said of a part is true of it.
    pofx.GaussianMixture.from_params(
        part.weights_, part.means_, part.covariances_, covariance_type=part.covariance_type_
    )
    turned = model.marginal([2, 0, 1])
    assert turned.covariance_type_ == s.name
    draws = model.sample(4000, random_state=0, exact=True)
    np.testing.assert_allclose(np.cov(draws.T), model.covariance(), rtol=0.15, atol=0.3)


def test_covariances_that_are_not_of_the_structure_are_refused():
    free = np.array([np.diag([1.0, 2.0]), np.diag([3.0, 4.0])])
    for name in ("VEE", "EVE", "EEV", "VEV", "EVV"):
        with pytest.raises(ParameterError, match=rf"covariance_type='{name}' shares.*'full'"):
            pofx.GaussianMixture.from_params([0.5, 0.5], [[0, 0], [1, 1]], free, covariance_type=name)
    pofx.GaussianMixture.from_params([0.5, 0.5], [[0, 0], [1, 1]], free, covariance_type="VVE")
    with pytest.raises(ParameterError, match="'EII' shares"):
        pofx.GaussianMixture.from_params([0.5, 0.5], [[0, 0], [1, 1]], [1.0, 2.0], covariance_type="EII")
