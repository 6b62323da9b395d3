"""Flow: its limits, its parts, files, interruption and bad input."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest

import pofx
from pofx.core.laws import check_model, law_data
from pofx.errors import DataError, DegenerateError, FileError, ParameterError, PofxError, UnsupportedError

torch = pytest.importorskip("torch")
pytest.importorskip("zuko")

SMALL = {"max_steps": 20, "n_layers": 2, "hidden": (8,), "bins": 4}
MIDDLE = {"max_steps": 400, "n_layers": 2, "hidden": (32,), "batch_size": 128}


def rows_of(world, n: int, seed: int = 0) -> np.ndarray:
    return np.asarray(world.sample(n, random_state=seed, exact=True), dtype=float).reshape(n, -1)


# ---------------------------------------------------------------- laws and limits


@pytest.mark.parametrize(
    ("d", "options"), [(1, {}), (2, {"given": [0]}), (3, {"layer": "affine", "structure": "coupling"})]
)
def test_laws(d: int, options: dict) -> None:
    verdicts = check_model(lambda: pofx.Flow(**SMALL, **options), law_data(d))
    assert sum(v == "holds" for v in verdicts.values()) >= 16


def test_laws_of_the_distribution() -> None:
    names = ["normalised", "samples follow the density", "batches agree", "save and load", "affine"]
    for options in ({}, {"structure": "coupling"}, {"layer": "affine"}):
        verdicts = check_model(lambda options=options: pofx.Flow(**SMALL, **options), law_data(2), laws=names)
        assert set(verdicts.values()) == {"holds"}


def test_an_affine_flow_of_gaussian_rows_is_a_gaussian() -> None:
    truth = pofx.Gaussian.from_params([3.0, -50.0], [[2.0, 12.0], [12.0, 100.0]])
    rows = rows_of(truth, 4_000)
    flow = pofx.Flow("affine", n_layers=2, hidden=(16,), max_steps=400).fit(rows)
    gaussian = pofx.Gaussian().fit(rows)
    assert gaussian.kl(flow) < 0.005
    np.testing.assert_allclose(np.cov(rows_of(flow, 20_000).T), truth.covariance(), rtol=0.06)


@pytest.mark.parametrize("name", ["moons", "checkerboard"])
def test_no_density_above_the_truth(name: str) -> None:
    truth = pofx.worlds.get(name)
    flow = pofx.Flow(**MIDDLE).fit(rows_of(truth, 2_000))
    fresh = rows_of(truth, 4_000, seed=1)
    gap = truth.log_density(fresh) - flow.log_density(fresh)
    assert gap.mean() > -3.0 * gap.std() / np.sqrt(len(gap))
    assert gap.mean() < truth.kl(pofx.Gaussian().fit(rows_of(truth, 2_000))) - 0.1  # and it has learned


# ---------------------------------------------------------------- columns: tails, bounds, steps


def test_tails_beyond_the_splines() -> None:
    truth = pofx.worlds.cauchy()
    rows = rows_of(truth, 3_000)
    flow = pofx.Flow(max_steps=500, n_layers=1, batch_size=256).fit(rows)
    assert any("Student-t" in note for note in flow.fit_.notes)
    fresh = rows_of(truth, 4_000, seed=1)
    gap = truth.log_density(fresh) - flow.log_density(fresh)
    assert -0.02 < gap.mean() < 0.08
    far = np.array([1e3, 1e6, -1e6])  # where a Gaussian base would say minus a million nats
    np.testing.assert_allclose(flow.log_density(far), truth.log_density(far), atol=6.0)
    light = pofx.Flow(**SMALL).fit(rows_of(pofx.worlds.moons(), 300))
    assert light.fit_.notes == ()


def test_a_bounded_column_keeps_its_mass_inside_and_its_units() -> None:
    rows = np.random.default_rng(0).beta(0.7, 2.0, 800)
    for scale in (1.0, 1e4):
        flow = pofx.Flow(**MIDDLE, bounds=(0.0, scale)).fit(rows * scale)
        edges = np.concatenate([np.geomspace(1e-9, 0.5, 4_000), 1.0 - np.geomspace(0.5, 1e-9, 4_000)[1:]])
        mass = np.sum(flow.density(scale * (edges[1:] + edges[:-1]) / 2) * np.diff(edges) * scale)
        assert mass == pytest.approx(1.0, abs=0.01)
        assert (flow.log_density([-0.1 * scale, 1.1 * scale, 0.0]) == -np.inf).all()
        draws = flow.sample(500, random_state=0, exact=True)
        assert ((draws > 0) & (draws < scale)).all()
        assert flow.cdf([scale]) == flow.sf([0.0]) == 1.0
    half = pofx.Flow(**SMALL, bounds={0: (None, 1.0)}).fit(rows[:, None])
    assert (half.log_density([[1.5], [-3.0]]) == -np.inf).tolist() == [True, False]


def test_recorded_values_are_spread_over_their_cells() -> None:
    """The density integrates over a cell to the probability of its value; ties make no spikes."""
    rng = np.random.default_rng(0)
    counts = np.column_stack([rng.poisson(3.0, 3_000), rng.poisson(3.0, 3_000)])
    flow = pofx.Flow(max_steps=500, n_layers=2, hidden=(16,)).fit(counts[:, :1])
    assert flow.sample(5, random_state=0).dtype == counts.dtype
    for k in range(7):
        mass = flow.cdf([k + 0.5]) - flow.cdf([k - 0.5])
        share = (counts[:, 0] == k).mean()
        assert mass[0] == pytest.approx(share, abs=0.035)
    assert flow.log_density(np.arange(7.0)[:, None]).max() < 0.5  # a spike would be far above log 0.22
    on_the_edge = pofx.Flow(**SMALL, bounds={0: (0, None)}).fit(counts)
    assert np.isfinite(on_the_edge.score(counts[counts[:, 0] > 0]))


def test_few_far_rows_do_not_squeeze_the_rest() -> None:
    rng = np.random.default_rng(1)
    rows = np.concatenate([rng.standard_normal(1_000), [1e4, -3e4, 1e6]])
    flow = pofx.Flow(**MIDDLE).fit(rows)
    middle = rng.standard_normal(2_000)
    assert flow.score(middle) > pofx.worlds.gaussian().log_density(middle).mean() - 0.1


# ---------------------------------------------------------------- given


def test_given_columns_make_conditionals_and_their_marginal_exact() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal(3_000)
    table = {"y": np.sin(2 * a) + 0.2 * rng.standard_normal(3_000), "a": a, "b": a**2 + rng.random(3_000)}
    table = {"b": table["b"], "a": table["a"], "y": table["y"]}
    flow = pofx.Flow(given=["a"], max_steps=500, hidden=(32,), n_layers=2).fit(pandas.DataFrame(table))
    frame = pandas.DataFrame(table)
    part = flow.marginal(["a"])
    for i in range(10):
        row = frame.iloc[i : i + 1]
        conditional = flow.condition({"a": float(row["a"].iloc[0])})
        joint = part.log_density(row[["a"]]) + conditional.log_density(row[["b", "y"]])
        np.testing.assert_allclose(joint, flow.log_density(row), rtol=1e-9)
    draws = np.asarray(flow.condition({"a": 0.7}).sample(2_000, random_state=0, exact=True))
    assert draws[:, 1].mean() == pytest.approx(np.sin(1.4), abs=0.1)
    assert 0.17 < draws[:, 1].std() < 0.3  # marginally it is 0.7
    batch = flow.condition({"a": [0.7, -0.7]})
    assert np.asarray(batch.sample(3, random_state=0)).shape == (2, 3, 2)
    for wrong in ({"b": 1.0}, {"a": 0.0, "b": 1.0}):
        with pytest.raises(UnsupportedError, match=r"given="):
            flow.condition(wrong)
    with pytest.raises(UnsupportedError, match="no marginal"):
        flow.marginal(["y"])


def test_one_column_given_another_has_a_distribution_function(tmp_path: Path) -> None:
    rows = rows_of(pofx.worlds.correlated(), 400)
    flow = pofx.Flow(**SMALL, given=[0], bounds={1: (-50.0, None)}).fit(rows)
    one = flow.condition({0: 0.4})
    q = np.array([0.01, 0.3, 0.99])
    np.testing.assert_allclose(one.cdf(one.quantile(q)), q, atol=1e-8)
    assert one.log_density([-51.0]) == -np.inf
    one.save(tmp_path / "one.pofx")
    assert (
        pofx.load(tmp_path / "one.pofx").log_density(rows[:9, 1]).tobytes()
        == one.log_density(rows[:9, 1]).tobytes()
    )
    assert one.fit(rows[:, 1]).n_features_in_ == 1  # what came of it can be fitted again


def test_a_plain_flow_says_what_to_do_for_a_conditional() -> None:
    flow = pofx.Flow(**SMALL).fit(law_data(2))
    with pytest.raises(UnsupportedError, match=r"Flow\(given=\[0\]\)"):
        flow.condition({0: 1.0})


# ---------------------------------------------------------------- files, interruption


def test_a_file_holds_no_row(tmp_path: Path) -> None:
    rows = law_data(3)
    flow = pofx.Flow(**SMALL).fit(rows)
    path = tmp_path / "flow.pofx"
    flow.save(path)
    data = path.read_bytes()
    again = pofx.load(path)
    for held in (rows, flow.params_.units.to(rows)):
        for kind in (np.float64, np.float32):
            values = held.astype(kind)
            assert sum(data.count(v.tobytes()) for v in values.ravel()[:100]) <= 3  # a shift may be a median
            assert not any(row.tobytes() in data for row in values)
    assert again.log_density(rows).tobytes() == flow.log_density(rows).tobytes()
    assert again.n_parameters_ == flow.n_parameters_ > 100


@pytest.mark.parametrize(
    "text", ["", "[]", '{"features": 2}', '{"features": 9999999, "context": 0}', "spline"]
)
def test_a_file_with_another_design_is_refused(tmp_path: Path, text: str) -> None:
    from pofx import store

    path = tmp_path / "flow.pofx"
    pofx.Flow(**SMALL).fit(law_data(2)).save(path)
    manifest, arrays = store.read(path)
    manifest["params"]["values"]["design_rest"] = {"plain": text}
    store.write(path, manifest, arrays)
    with pytest.raises(FileError, match="design of a flow"):
        pofx.load(path)


def test_a_file_with_other_numbers_is_refused(tmp_path: Path) -> None:
    from pofx import store

    path = tmp_path / "flow.pofx"
    pofx.Flow(**SMALL).fit(law_data(2)).save(path)
    manifest, arrays = store.read(path)
    name = next(n for n in arrays if n.endswith("weight"))
    for wrong in (arrays[name].T[:1], np.full_like(arrays[name], np.inf), arrays[name].astype(int)):
        store.write(path, manifest, {**arrays, name: wrong})
        with pytest.raises(FileError):
            pofx.load(path)
    manifest["params"]["values"]["scale"] = {"array": name}
    store.write(path, manifest, arrays)
    with pytest.raises(FileError, match="scales"):
        pofx.load(path)


KILLED = """
import sys
from dataclasses import replace
import numpy as np
import pofx
from pofx.models.flow import Flow

settings = Flow._settings
Flow._settings = lambda self, split: replace(settings(self, split), checkpoint_seconds=0.0)
rows = np.load(sys.argv[1])
Flow(checkpoint=sys.argv[2], verbose=True, max_steps=100, n_layers=2, hidden=(8,)).fit(rows)
"""


def test_a_killed_fit_goes_on_to_the_same_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SIGKILL between two looks, then the same fit again: parameters as if nothing had happened."""
    rows = np.random.default_rng(0).standard_normal((400, 2)).round(1)  # rounded: the steps draw noise too
    np.save(tmp_path / "rows.npy", rows)
    path = tmp_path / "run.pofx"
    here = {**os.environ, "PYTHONPATH": str(Path(pofx.__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "rows.npy"), str(path)],
        stderr=subprocess.PIPE,
        text=True,
        env=here,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "step 45 of 100" in line:
            process.kill()
    assert process.wait() == -signal.SIGKILL
    process.stderr.close()
    assert path.exists()
    options = {"max_steps": 100, "n_layers": 2, "hidden": (8,)}
    resumed = pofx.Flow(checkpoint=str(path), verbose=True, **options).fit(rows)
    said = capsys.readouterr().err
    assert "step 0 " not in said
    assert "step 50 of 100" in said
    whole = pofx.Flow(**options).fit(rows)
    for name, value in whole.params_.items():
        if isinstance(value, np.ndarray):
            assert value.tobytes() == resumed.params_[name].tobytes(), name
    assert whole.fit_.trace == resumed.fit_.trace
    assert not path.exists()
    assert not list(tmp_path.glob(".pofx-*"))


def test_ctrl_c_keeps_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def loss(self, net, x, rng):
        calls.append(1)
        if len(calls) == 30:
            raise KeyboardInterrupt
        return -net(x)

    monkeypatch.setattr(pofx.Flow, "_loss", loss)
    flow = pofx.Flow(**SMALL | {"max_steps": 200}).fit(law_data(2))
    assert not flow.fit_.converged
    assert "Interrupted" in flow.fit_.message
    assert np.isfinite(flow.score(law_data(2)))
    short = pofx.Flow(max_steps=10_000, time_budget=0.01).fit(law_data(1))
    assert "time budget" in short.fit_.message


def test_fits_side_by_side_are_those_one_after_the_other() -> None:
    from concurrent.futures import ThreadPoolExecutor

    def weights(seed: int) -> bytes:
        params = pofx.Flow(**SMALL, random_state=seed).fit(law_data(2)).params_
        return b"".join(v.tobytes() for v in params.values() if isinstance(v, np.ndarray))

    alone = [weights(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(weights, range(4))) == alone
    assert len(set(alone)) == 4


def test_a_fit_leaves_torchs_random_stream_as_it_was() -> None:
    before = torch.random.get_rng_state()
    flow = pofx.Flow(**SMALL).fit(law_data(2))
    flow.sample(3, random_state=0)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_rows_that_break_a_step_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def loss(self, net, x, rng):
        out = -net(x)
        return torch.where((x[:, 0] == x[:, 0].max()) & torch.tensor(torch.is_grad_enabled()), torch.nan, out)

    monkeypatch.setattr(pofx.Flow, "_loss", loss)
    flow = pofx.Flow(**SMALL).fit(law_data(1))
    assert any("went back to an earlier state 5 times; rows such as" in note for note in flow.fit_.notes)
    assert not flow.fit_.converged


# ---------------------------------------------------------------- bad input


def test_bad_rows() -> None:
    with pytest.raises(DataError, match="at least 8 rows"):
        pofx.Flow().fit(law_data(2)[:7])
    with pytest.raises(DataError, match="at least 8 different rows"):
        pofx.Flow().fit(np.repeat(law_data(2)[:5], 10, axis=0))
    rows = law_data(3)
    rows[:, 1] = 4.0
    with pytest.raises(DegenerateError, match="column 1"):
        pofx.Flow().fit(rows)
    with pytest.raises(DataError, match=r"outside the bounds.*column 0"):
        pofx.Flow(bounds={0: (0.0, 1.0)}).fit(law_data(2))
    assert pofx.Flow(**SMALL, batch_size=10_000).fit(law_data(1)[:30]).n_features_in_ == 1


@pytest.mark.parametrize(
    "options",
    [
        {"layer": "spine"},
        {"structure": "couple"},
        {"n_layers": 0},
        {"bins": 1},
        {"hidden": "64"},
        {"hidden": (64, -1)},
        {"given": [0, 0]},
        {"given": [0, 1]},
        {"given": [7]},
        {"bounds": (1.0, 0.0)},
        {"bounds": "log"},
        {"max_steps": 0},
        {"batch_size": 2.5},
        {"learning_rate": -1.0},
        {"learning_rate": float("nan")},
        {"patience": 0},
        {"time_budget": 0},
        {"checkpoint": 3},
        {"device": "tpu"},
        {"device": 1},
        {"missing": "marginal"},
    ],
)
def test_bad_settings(options: dict) -> None:
    with pytest.raises(ParameterError):
        pofx.Flow(**options).fit(law_data(2))


def test_errors_are_pofxs_own() -> None:
    assert issubclass(ParameterError, PofxError)
    with pytest.raises(ParameterError, match="no column"):
        pofx.Flow(given=["waiting"]).fit(law_data(2))
