"""The rows of the table: the truth, what was given, one Gaussian, kinds, who is dropped, and the stack."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import pofx
from pofx.core.density import Density
from pofx.errors import DataError, ParameterError, PofxWarning
from pofx.evaluate.heldout import paired
from pofx.evaluate.race import MANY

WORLD = pofx.worlds.moons()


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.asarray(WORLD.sample(400, random_state=0))


class Bound(pofx.Gaussian):
    """A lower bound on a Gaussian's log density, ``below`` nats under it."""

    kind = "bound"
    below = 0.5

    def _log_density(self, params: Any, x: np.ndarray) -> np.ndarray:
        return super()._log_density(params, x) - self.below


class High(Bound):
    below = -3.0


class Noisy(pofx.Gaussian):
    kind = "estimate"


class Sampler(pofx.Gaussian):
    kind = "none"


# ---------------------------------------------------------------- truth and given densities


def test_the_truth_is_shown_with_divergences_and_never_wins(rows: np.ndarray) -> None:
    result = pofx.compare([pofx.Gaussian(), pofx.KDE()], rows, truth=WORLD)
    truth = result["truth"]
    np.testing.assert_allclose(truth.held_out.log_density, WORLD.log_density(rows), rtol=1e-12)
    assert truth.role == "truth"
    assert truth.difference > 0
    assert not truth.close
    assert result.best_name == result.leader_name == "KDE"
    for name in ("Gaussian", "KDE"):
        gaps = WORLD.log_density(rows) - result[name].held_out.log_density
        assert result[name].kl == pytest.approx(gaps.mean(), rel=1e-12)
        assert result[name].kl_error == pytest.approx(gaps.std(ddof=1) / 20.0, rel=1e-12)
    assert "the truth, known" in str(result)
    assert "The truth itself gives" in result.sentence
    assert result.fitted("truth") is result.models["truth"]
    record = next(m for m in result.to_dict()["models"] if m["name"] == "truth")
    assert (record["role"], record["kl_from_truth"]) == ("truth", None)
    # the divergence of a fixed density, from new rows: within its error of the known one
    other = pofx.worlds.moons(noise=0.12)
    found = pofx.compare([other], rows, truth=WORLD).best_entry
    exact = float(WORLD.kl(other, n=100_000))
    assert found.kl is not None
    assert found.kl_error is not None
    assert abs(found.kl - exact) < 4 * found.kl_error


def test_what_is_given_is_judged_as_it_stands_and_may_win(rows: np.ndarray) -> None:
    given = pofx.Gaussian.from_params([0.0, 0.0], np.eye(2))
    frozen = multivariate_normal([0.0, 0.0], np.eye(2))
    result = pofx.compare({"given": given, "frozen": frozen, "world": WORLD, "kde": pofx.KDE()}, rows)
    assert result["given"].held_out.mean == pytest.approx(given.log_density(rows).mean(), rel=1e-12)
    assert result["frozen"].held_out.mean == pytest.approx(result["given"].held_out.mean, rel=1e-12)
    assert {name: result[name].role for name in ("given", "frozen", "world", "kde")} == {
        "given": "given",
        "frozen": "given",
        "world": "given",
        "kde": "candidate",
    }
    assert result.best_name == "world"
    assert result.best is WORLD
    assert result["given"].held_out.n_parameters == 0
    assert "as given, not fitted" in str(result)
    fitted = pofx.Gaussian().fit(rows[:50])  # but what was fitted is fitted anew
    assert pofx.compare([fitted], rows)["Gaussian"].role == "candidate"


@pytest.mark.parametrize("world", ["gaussian", "three_bumps", "moons", "student_t", "exponential"])
def test_the_truth_ranks_first_or_within_noise(world: str) -> None:
    truth = pofx.worlds.get(world)
    rows = truth.sample(300, random_state=1)
    models = {"truth itself": truth, "g": pofx.Gaussian(), "kde": pofx.KDE(), "h": pofx.Histogram()}
    result = pofx.compare(models, rows, rivals=False)
    entry = result["truth itself"]
    assert entry.difference >= -2 * entry.difference_error
    assert entry.held_out.mean == pytest.approx(
        -float(truth.entropy()), abs=4 * entry.held_out.standard_error
    )


@pytest.mark.parametrize(
    ("truth", "kind", "message"),
    [
        (pofx.Gaussian(), ParameterError, "known, not estimated"),
        (pofx.worlds.gaussian(), DataError, "1 columns; the rows have 2"),
        ("moons", ParameterError, "a world, Model.from_params"),
    ],
)
def test_what_is_no_truth(rows: np.ndarray, truth: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        pofx.compare([pofx.KDE()], rows, truth=truth)


# ---------------------------------------------------------------- one Gaussian, always


def test_one_gaussian_is_added_and_wins_only_where_it_was_listed() -> None:
    x = np.random.default_rng(0).normal(size=(400, 1))
    result = pofx.compare([pofx.Histogram()], x)
    added = result["Gaussian"]
    assert added.role == "baseline"
    assert added.difference > 0
    assert not added.close
    assert result.best_name == "Histogram"
    assert "But one Gaussian, which was not among them, gives unseen rows" in result.headline
    listed = pofx.compare([pofx.Histogram(), pofx.Gaussian()], x)
    assert listed.best_name == "Gaussian"
    assert listed["Gaussian"].held_out.mean == added.held_out.mean
    assert len(listed.table) == 2
    diagonal = pofx.compare([pofx.Gaussian("diag")], x)
    assert diagonal.baseline == "Gaussian"
    assert diagonal["Gaussian"].role == "baseline"
    taken = pofx.compare({"Gaussian": pofx.KDE()}, x)
    assert taken["Gaussian (added)"].role == "baseline"


def test_a_gaussian_that_cannot_be_fitted_breaks_nothing() -> None:
    x = np.random.default_rng(0).normal(size=(40, 1)) @ np.ones((1, 2))  # two equal columns
    result = pofx.compare([pofx.Gaussian("diag")], x)
    assert result["Gaussian"].held_out.failure
    assert result.gain is None or result.baseline != "Gaussian"
    assert result.best_name == "Gaussian(covariance_type='diag')"


# ---------------------------------------------------------------- kinds


def test_kinds_are_kept_apart(rows: np.ndarray) -> None:
    result = pofx.compare([pofx.KDE(), Bound(), Noisy(), Sampler()], rows)
    assert result.best_name == "KDE"
    assert "lower bound" in (result["Bound"].barred or "")
    assert "not ranked beside exact ones" in (result["Noisy"].barred or "")
    assert "no log density" in (result["Sampler"].held_out.failure or "")
    text = str(result)
    assert f"≥ {result['Bound'].held_out.mean:.3f}" in text
    assert f"≈ {result['Noisy'].held_out.mean:.3f}" in text
    assert {m["kind"] for m in result.to_dict()["models"]} == {"exact", "bound", "estimate", "none"}


def test_a_bound_above_exact_ones_leads(rows: np.ndarray) -> None:
    result = pofx.compare([pofx.KDE(), High()], rows)
    assert result.best_name == "High"
    assert not result["High"].barred
    alone = pofx.compare([Bound(), High()], rows)
    assert alone.best_name == "High"
    with pytest.raises(ParameterError, match="no other model is given that has one"):
        pofx.compare([Sampler()], rows)


def test_masses_come_in_bits_per_dimension() -> None:
    class Counts(Density):
        """Independent Poisson counts."""

        measure = "mass"

        def _fit(self, data: Any, rng: Any) -> Any:
            from pofx.core.fitting import Outcome

            x, _ = data.all()
            return {"rate": data.units.back(x).mean(axis=0)}, Outcome()

        def _log_density(self, params: Any, x: np.ndarray) -> np.ndarray:
            from scipy.stats import poisson

            log_p = poisson.logpmf(np.rint(params.units.back(x)), params.rate).sum(axis=1)
            return log_p - params.units.log_jacobian

        def _n_parameters(self, params: Any) -> int:
            return len(params.rate)

    x = np.random.default_rng(0).poisson(4.0, size=(200, 3)).astype(float)
    result = pofx.compare({"a": Counts()}, x)
    entry = result["a"]
    assert entry.bits_per_dim == pytest.approx(-entry.held_out.mean / (3 * math.log(2)), rel=1e-12)
    assert "bits/dim" in str(result)
    assert result.baseline is None  # a density is not ranked beside a mass
    assert pofx.compare([pofx.Gaussian()], x)["Gaussian"].bits_per_dim is None


# ---------------------------------------------------------------- columns of the table


def test_bic_and_icl_are_those_of_the_fit_to_all_rows(rows: np.ndarray) -> None:
    result = pofx.compare([pofx.Gaussian(), pofx.GaussianMixture(2), pofx.KDE()], rows)
    mixture = pofx.GaussianMixture(2).fit(rows)
    criteria = result["GaussianMixture(n_components=2)"].criteria
    assert criteria.bic == pytest.approx(mixture.bic(rows), rel=1e-12)
    assert criteria.icl == pytest.approx(mixture.icl(rows), rel=1e-12)
    one = pofx.GaussianMixture(1).fit(rows)
    assert result["Gaussian"].criteria.bic == pytest.approx(one.bic(rows), rel=1e-9)
    assert result["KDE"].criteria.bic is None
    assert result["KDE"].criteria.why_not
    records = {m["name"]: m for m in result.to_dict()["models"]}
    assert records["KDE"]["no_bic_because"]
    assert records["Gaussian"]["predicted_bytes"] == pofx.Gaussian()._bytes(400, 2)
    json.dumps(result.to_dict(), allow_nan=False)
    frame = result.to_frame("pandas").set_index("name")
    assert (frame.loc["Gaussian", "fits"], frame.loc["Gaussian", "seconds"] >= 0) == (5, True)


def test_warnings_belong_to_the_model_that_gave_them(rows: np.ndarray) -> None:
    class Warns(pofx.Gaussian):
        def _fit(self, data: Any, rng: Any) -> Any:
            import warnings

            warnings.warn(f"thin ice under {type(self).__name__}", PofxWarning, stacklevel=2)
            return super()._fit(data, rng)

    class Also(Warns):
        pass

    result = pofx.compare([Warns(), pofx.KDE(), Also()], rows)
    assert result["Warns"].held_out.doubts == ("thin ice under Warns (5 of 5 fits)",)
    assert result["Also"].held_out.doubts == ("thin ice under Also (5 of 5 fits)",)
    assert result["KDE"].held_out.doubts == ()
    with pytest.warns(PofxWarning, match="thin ice under Warns"):
        pofx.compare([Warns()], rows)


# ---------------------------------------------------------------- who is dropped


def bandwidths(count: int) -> dict[str, Any]:
    return {f"h = {h:.4f}": pofx.KDE(float(h)) for h in np.geomspace(0.02, 8.0, count)}


def test_hopeless_models_are_dropped_and_nothing_else_changes(rows: np.ndarray) -> None:
    x = np.asarray(WORLD.sample(1000, random_state=3))
    many = bandwidths(12)
    result = pofx.compare(many, x, rivals=False)
    gone = [entry for entry in result.table if entry.held_out.dropped]
    assert 4 <= len(gone) <= 11
    assert all(entry.held_out.fits < 5 and not entry.close for entry in gone)
    assert "dropped after fold 1 of 5: " in str(result)
    for entry in result.table:
        if entry.role == "baseline":
            continue
        alone = pofx.compare({entry.name: many[entry.name]}, x, rivals=False)[entry.name]
        shared = entry.held_out.used
        np.testing.assert_array_equal(entry.held_out.log_density[shared], alone.held_out.log_density[shared])
        if entry.held_out.dropped:  # it would not have come back
            full = paired(alone.held_out, result[result.leader_name].held_out)
            assert full.value < -2 * full.error
    assert result["Gaussian"].held_out.fits == 5
    listed = pofx.compare({**many, "one": pofx.Gaussian()}, x, rivals=False)
    assert listed["one"].held_out.fits == 5  # what everything is measured by
    few = pofx.compare(bandwidths(MANY), x, rivals=False)
    assert not any(entry.held_out.dropped for entry in few.table)
    small = pofx.compare(many, x[:90], rivals=False)
    assert not any(entry.held_out.dropped for entry in small.table)


def test_a_trial_on_few_rows_spares_the_folds_of_who_is_hopeless() -> None:
    x = np.asarray(WORLD.sample(3000, random_state=3))
    many = bandwidths(12)
    result = pofx.compare(many, x, rivals=False, truth=WORLD)
    tried = [entry for entry in result.table if entry.held_out.on_trial]
    assert len(tried) >= 4
    assert "dropped after a trial on 300 rows: " in str(result)
    for entry in tried:  # the folds would have said so too
        assert entry.kl is None
        alone = pofx.compare({entry.name: many[entry.name]}, x, rivals=False)[entry.name]
        full = paired(alone.held_out, result[result.leader_name].held_out)
        assert full.value < -5 * full.error
    assert result.fitted(tried[0].name).fit_.n_rows == 3000  # who wants it all the same
    pofx.figure(result)


def test_what_more_rows_may_still_mend_is_not_lost_on_trial() -> None:
    """A narrow KDE is hopeless with 400 rows of a wide world, and wins with all."""
    x = np.random.default_rng(0).uniform(size=(4000, 1)) * 50.0
    x = np.floor(x) + 0.1 * (x - np.floor(x))  # fifty narrow steps
    rivals = {f"wide {i}": pofx.KDE(5.0 + i) for i in range(MANY)}
    result = pofx.compare({"narrow": pofx.KDE(0.02), **rivals}, x, rivals=False)
    assert result.best_name == "narrow"


def test_who_was_dropped_for_a_leader_that_falls_comes_back() -> None:
    """The first leader knows the rows of the first fold by heart and calls another row impossible."""
    x = np.random.default_rng(0).normal(size=(600, 1))
    from pofx.evaluate.splits import split

    bad = x[split(x).part == 2][0, 0]

    class Falls(pofx.Gaussian):
        def _log_density(self, params: Any, z: np.ndarray) -> np.ndarray:
            out = super()._log_density(params, z) + 5.0
            out[params.units.back(z)[:, 0] == bad] = -np.inf
            return out

    models = {"falls": Falls(), **{f"g{i}": pofx.Gaussian("spherical") for i in range(MANY)}}
    result = pofx.compare(models, x, rivals=False)
    assert all(result[f"g{i}"].held_out.fits == 5 for i in range(MANY))
    assert not any(entry.held_out.dropped for entry in result.table)
    assert result.best_name.startswith("g")
    assert result["falls"].held_out.outside == 1


def test_threads_change_nothing(rows: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.asarray(WORLD.sample(700, random_state=5))
    models = {**bandwidths(10), "mixture": pofx.GaussianMixture(3, random_state=0)}
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("POFX_NUM_THREADS", threads)
        found.append(pofx.compare(models, x).to_dict())
    assert found[0] == found[1]


def test_a_budget_stops_taking_models(rows: np.ndarray) -> None:
    result = pofx.compare([pofx.KDE(), pofx.Histogram()], rows, budget=1e-6)
    assert result.best_name == "KDE"
    assert result["Histogram"].held_out.failure == "not tried: the budget of 1e-06 s was spent"
    assert result["Gaussian"].role == "baseline"
    assert "not tried" in str(result)
    plenty = pofx.compare([pofx.KDE(), pofx.Histogram()], rows, budget=1e6)
    assert plenty.to_dict() == pofx.compare([pofx.KDE(), pofx.Histogram()], rows).to_dict()
    with pytest.raises(ParameterError, match="budget"):
        pofx.compare([pofx.KDE()], rows, budget=0)


# ---------------------------------------------------------------- the stack


def two_worlds(n: int, seed: int) -> np.ndarray:
    """Half a smooth bump that a Gaussian has right, half a fine comb that only narrow bins see."""
    rng = np.random.default_rng(seed)
    comb = rng.integers(0, 12, size=n // 2) + 30.0 + rng.normal(scale=0.02, size=n // 2)
    return np.concatenate([rng.normal(0.0, 5.0, size=n - n // 2), comb])


def test_a_stack_joins_where_it_beats_each_model() -> None:
    x = two_worlds(1500, 0)
    models = {"smooth": pofx.KDE(2.5), "fine": pofx.KDE(0.02)}
    result = pofx.compare(models, x, stack=True)
    assert result.best_name == result.leader_name == "Stack"
    assert result.best_entry.role == "stack"
    for name in models:
        gap = paired(result["Stack"].held_out, result[name].held_out)
        assert gap.value > 2 * gap.error
    assert isinstance(result.best, pofx.Stack)
    assert result.best.weights_.sum() == pytest.approx(1.0, abs=1e-12)
    # its score is honest: about that of new rows
    new = result.best.log_density(two_worlds(1500, 1))
    error = math.hypot(result["Stack"].held_out.standard_error, new.std(ddof=1) / math.sqrt(len(new)))
    assert abs(new.mean() - result["Stack"].held_out.mean) < 4 * error
    assert result.fitted("Stack") is result.best
    refit = pofx.Stack(list(result.best.models), result.best.weights).fit(x)
    np.testing.assert_array_equal(refit.log_density(x[:5]), result.best.log_density(x[:5]))


def test_a_stack_that_gains_nothing_stays_away(rows: np.ndarray) -> None:
    x = np.random.default_rng(0).normal(size=(300, 2))
    result = pofx.compare([pofx.Gaussian(), pofx.Gaussian("diag"), pofx.KDE()], x, stack=True)
    assert all(entry.role != "stack" for entry in result.table)
    assert all(entry.role != "stack" for entry in pofx.compare([pofx.KDE()], rows, stack=True).table)
