"""A family judged by samples of its fit; the words of the verdict; copies, and everything else on demand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist

from pofx import KDE, Gaussian, GaussianMixture, check, compare, worlds
from pofx.evaluate.bootstrap import _column_counts, p_value, replicates
from pofx.evaluate.calibration import grid
from pofx.evaluate.check import LEVEL
from pofx.evaluate.curves import cells
from pofx.evaluate.verdict import Rule
from pofx.maths.energy import directions, sliced_energy
from pofx.validation import rows_to_fit


def test_in_one_column_the_sliced_distance_is_scipys() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 1)), rng.normal(0.3, 1.2, size=(333, 1))
    apart = stats.energy_distance(x[:, 0], y[:, 0]) ** 2
    between = 2.0 * np.abs(x - y.T).mean()
    assert sliced_energy(x, y, np.ones((1, 1))) == pytest.approx(np.sqrt(apart / between), rel=1e-12)


def test_averaged_over_directions_it_is_the_energy_distance() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) * [1.0, 1.7]
    unit = np.ptp(np.quantile(y, [0.25, 0.75], axis=0), axis=0)
    between = 2.0 * cdist(x / unit, y / unit).mean()
    apart = between - cdist(x / unit, x / unit).mean() - cdist(y / unit, y / unit).mean()
    assert sliced_energy(x, y, directions(2)) == pytest.approx(np.sqrt(apart / between), rel=0.02)
    assert np.linalg.norm(directions(7), axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_a_gaussian_fitted_again_is_the_fit(kind: str) -> None:
    x = worlds.correlated().sample(300, random_state=0)
    model, other = Gaussian(kind).fit(x), x[::-1][:200] * 2.0
    again = model._refitted(other)
    assert again.log_density(x) == pytest.approx(Gaussian(kind).fit(other).log_density(x), abs=1e-9)


@pytest.mark.parametrize("kind", ["full", "tied", "VEI"])
def test_a_mixture_fitted_again_is_as_good_as_the_search(kind: str) -> None:
    world = worlds.three_bumps()
    model = GaussianMixture(3, covariance_type=kind).fit(world.sample(400, random_state=0))
    other = world.sample(400, random_state=1)
    again = model._refitted(other)
    best = GaussianMixture(3, covariance_type=kind).fit(other)
    total = [m.log_density(other).sum() for m in (again, best)]
    assert total[0] == pytest.approx(total[1], abs=0.02)
    assert again.covariance_type_ == best.covariance_type_


@pytest.mark.parametrize("model", [GaussianMixture(2, noise=True), Gaussian(shrinkage=0.1), KDE()])
def test_what_is_no_family_of_few_parameters_has_no_bootstrap(model) -> None:  # type: ignore[no-untyped-def]
    x = worlds.moons().sample(80, random_state=0)
    assert replicates(model.fit(x), x, rows_to_fit(x).columns, np.random.default_rng(0), n_boot=3) is None


@pytest.mark.parametrize("decimals", [None, 0])
def test_the_family_keeps_its_level(decimals: int | None) -> None:
    """p-values of a right family are uniform, of rounded rows too: every place among B + 1 is as likely."""
    found = []
    for seed in range(60):
        x = 3.0 * worlds.correlated().sample(80, random_state=seed)
        x = x if decimals is None else np.round(x, decimals)
        columns = rows_to_fit(x).columns
        r = replicates(Gaussian().fit(x), x, columns, np.random.default_rng(seed), n_boot=19)
        found.append([p_value(values) for values in r.statistics.values()])
    p = np.array(found)
    assert p.shape == (60, 3)
    assert ((p.mean(axis=0) > 0.4) & (p.mean(axis=0) < 0.62)).all()
    assert ((p <= 0.1).mean(axis=0) < 0.22).all()


def test_spread_over_cells_is_the_mean_of_random_places() -> None:
    rng = np.random.default_rng(0)
    x = np.round(rng.normal(size=(150, 1)), 1)
    columns, model, z = rows_to_fit(x).columns, Gaussian().fit(x), grid(150)
    mean, sd = model.mean()[0], np.sqrt(model.covariance()[0, 0])
    low, high = (stats.norm.cdf(x[:, 0] + side, mean, sd) for side in (-0.05, 0.05))
    u = low + (high - low) * rng.random((2000, 150))
    expected = (u[:, :, None] <= z).sum(axis=1).mean(axis=0)
    counts = _column_counts(model, 0, x[:, 0], cells(columns, 0), z)
    np.testing.assert_allclose(counts, expected, atol=0.25)
    plain = _column_counts(model, 0, x[:, 0], None, z)
    u = stats.norm.cdf(x[:, 0], mean, sd)
    np.testing.assert_array_equal(plain, (u[:, None] <= z).sum(axis=0))


def test_fit_to_the_rows_is_known_to_follow_them() -> None:
    """Bands of a family are narrower than those of a known density: a fit takes the mean along."""
    x = worlds.gaussian(2).sample(300, random_state=3)
    fit = Gaussian().fit(x)
    family, known = check(fit, x), check(fit, x, new=True)
    assert family.case == "family"
    half = [max(c.half_width for c in found.columns) for found in (family, known)]
    assert half[0] < 0.75 * half[1]


def test_the_same_answer_whatever_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    x = worlds.moons().sample(120, random_state=0)
    fit = Gaussian().fit(x)
    found = []
    for threads in ("1", "2"):
        monkeypatch.setenv("POFX_NUM_THREADS", threads)
        found.append(check(fit, x).to_dict())
    assert found[0] == found[1]


# ---------------------------------------------------------------- words


def test_the_words_follow_their_rule() -> None:
    x = worlds.moons().sample(300, random_state=0)
    right, wrong = check(worlds.moons(), x), check(Gaussian().fit(x), x)
    assert (right.verdict.word, right.passed) == ("good", True)
    assert (wrong.verdict.word, wrong.passed) == ("fails", False)
    assert {use.name for use in right.verdict.uses} == {"sampling", "scoring"}
    lenient = replace(wrong, rule=Rule(usable_auc=1.0, usable_points=100.0))
    assert lenient.verdict.word == "usable"
    large = replace(wrong, n=10_000, rule=Rule(good_auc=1.0, good_points=100.0))
    assert large.verdict.word == "good"
    assert large.verdict.to_dict()["rule"]["good_auc"] == 1.0
    assert [round(region.mass, 2) for region in right.verdict.regions] == [0.5, 0.8, 0.95]
    assert wrong.p_value <= LEVEL < right.p_value


def test_overlapping_components_do_not_group() -> None:
    apart = GaussianMixture.from_params([0.5, 0.5], [-5.0, 5.0], [1.0, 1.0])
    near = GaussianMixture.from_params([0.5, 0.5], [-0.5, 0.5], [1.0, 1.0])
    words = []
    for truth in (apart, near):
        found = check(truth, truth.sample(200, random_state=0), new=True)
        words.append(next(use.word for use in found.verdict.uses if use.name == "grouping"))
    assert words == ["good", "fails"]


def test_a_comparison_says_whether_anything_is_adequate() -> None:
    x = worlds.moons().sample(400, random_state=0)
    poor = compare([Gaussian(), Gaussian("diag")], x)
    assert poor.adequate is False
    assert poor.sentence.startswith("No model here is adequate.")
    assert poor.verdict.word == "fails"
    fine = compare([Gaussian()], worlds.gaussian(2).sample(300, random_state=0))
    assert fine.adequate is True
    assert fine.sentence.startswith("Use Gaussian.")
    weighted = compare([Gaussian()], x, sample_weight=np.full(400, 2))
    assert (weighted.adequate, weighted.verdict) == (None, None)


# ---------------------------------------------------------------- copies, and everything else


class Copier(Gaussian):
    """Gives its training rows back."""

    kind = "none"
    rows: np.ndarray

    def _draw(self, params, n, rng):  # type: ignore[no-untyped-def]
        return params.units.to(self.rows[rng.integers(len(self.rows), size=n)])

    def _marginal(self, params, keep):  # type: ignore[no-untyped-def]
        raise self._has_no("marginal")


def test_a_copier_is_caught_and_an_honest_model_is_not() -> None:
    x = worlds.moons().sample(600, random_state=0)
    copier = Copier().fit(x[:300])
    Copier.rows = x[:300]
    found = check(copier, x[300:], train=x[:300])
    assert found.copies
    assert not found.passed
    assert found.verdict.word == "fails"
    assert "copies of training rows" in found.verdict.sentence
    honest = check(GaussianMixture(6).fit(x[:300]), x[300:], train=x[:300])
    assert honest.case == "new"
    assert not honest.copies
    assert honest.memory.heldout == 300


def test_the_training_rows_given_as_such_are_seen() -> None:
    x = worlds.moons().sample(200, random_state=0)
    found = check(KDE().fit(x), x, train=x[::-1])
    assert (found.case, found.memory.method) == ("seen", "training rows")
    few = check(Gaussian().fit(x[:10]), x[10:], train=x[:10])
    assert few.memory is None
    assert "copies of rows was not looked at" in str(few)


def test_everything_has_no_part_in_the_verdict() -> None:
    x = worlds.correlated().sample(150, random_state=0)
    model = Gaussian().fit(x)
    plain, more = check(model, x), check(model, x, everything=True)
    assert (plain.p_value, plain.verdict.word) == (more.p_value, more.verdict.word)
    data = json.loads(json.dumps(more.to_dict(), allow_nan=False))
    assert set(data["extras"]) == {"mmd", "sliced", "support", "rosenblatt"}
    assert data["memorisation"]["copied"] is False
    assert len(more.extras.sentences) == 4
    one = check(worlds.gaussian(), x[:, :1], everything=True)
    assert isinstance(one.extras.rosenblatt, str)
    assert "one column" in str(one)
