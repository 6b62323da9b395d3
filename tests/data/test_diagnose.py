"""diagnose: every culprit is found and named, normal data raise no alarm, units and order change nothing."""

import json

import numpy as np
import pandas as pd
import pytest

from pofx.data import Table, read
from pofx.data.diagnose import Diagnosis, diagnose
from pofx.data.diagnose.finding import ALL, SEVERITIES
from pofx.data.diagnose.tails import hill_shape, tail_shape
from pofx.errors import DataError, ParameterError

N = 1000


def frame(seed=0, n=N, **columns):
    """A normal column called "plain", and the given ones."""
    return pd.DataFrame({"plain": np.random.default_rng(seed + 1000).normal(size=n), **columns})


def culprits(n=N, seed=0):
    """What is wrong with column x -> (its values, the finding)."""
    rng = np.random.default_rng(seed)
    normal, plenty = rng.normal(size=n), rng.random(n)
    outlier, code, far = normal.copy(), 50 + 10 * normal, normal.copy()
    outlier[17] = 1e9
    code[:4] = -999.0
    far[: n // 10] += 30.0
    age = np.rint(45 + 15 * normal)
    return {
        "constant": (np.full(n, 3.25), "constant", "blocks"),
        "binary": ((plenty < 0.3).astype(float), "few_values", "warning"),
        "counts": (rng.poisson(0.8, size=n), "few_values", "warning"),
        "rounded": (np.rint(70 + 14 * normal), "rounding", "note"),
        "coarse": (np.rint(3 * normal) / 3, "rounding", "warning"),
        "fives": (5 * np.rint(14 + 8 * normal), "rounding", "note"),
        "heaped": (np.where(plenty < 0.4, 5 * np.rint(age / 5), age), "heaping", "warning"),
        "seconds": (np.round(np.rint((3 + normal) * 60) / 60, 3), "ties", "note"),
        "refilled": (rng.choice(normal, size=n), "ties", "note"),
        "zeros": (np.where(plenty < 0.3, 0.0, rng.gamma(3, size=n)), "spike", "warning"),
        "censored": (np.maximum(normal, -1.0), "spike", "warning"),
        "cauchy": (rng.standard_cauchy(n), "heavy_tails", "warning"),
        "t3": (rng.standard_t(3, size=n), "heavy_tails", "warning"),
        "outlier": (outlier, "outliers", "warning"),
        "code": (code, "outliers", "warning"),
        "far": (far, "far_group", "note"),
        "exponential": (rng.exponential(size=n), "bound", "warning"),
        "uniform": (5 + rng.uniform(size=n), "bound", "warning"),
    }


def kinds(found):
    return {(f.name, f.columns, f.severity) for f in found.findings}


@pytest.mark.parametrize("case", culprits())
def test_each_culprit_is_found_and_named(case):
    x, name, severity = culprits()[case]
    found = diagnose(frame(x=x))
    (finding,) = found.named(name)
    assert finding.severity == severity
    assert finding.columns == ("x",)
    assert finding.sentence.startswith("x ")
    assert not [f for f in found.findings if "plain" in f.columns]
    assert found.count("warning") <= (2 if case == "exponential" else 1)
    text = str(found)
    assert finding.sentence.split()[-1] in text
    assert f"Troubles {finding.troubles[0]}" in text


def test_what_the_sentences_say():
    def sentence(case):
        x, name, _ = culprits()[case]
        return diagnose(frame(x=x)).named(name)[0].sentence

    assert sentence("rounded").startswith("x is recorded in whole numbers (step 1); ")
    assert "in steps of 5: all values are multiples of 5" in sentence("fives")
    assert "are multiples of 5, where 20.0 % would be by chance" in sentence("heaped")
    assert "253 different values in 1,000 rows, recorded with 3 decimals" in sentence("seconds")
    assert "hold 0, its smallest value" in sentence("zeros")
    assert "x has 1 outlier (1e+09)" in sentence("outlier")
    assert "-999" in sentence("code")
    assert "missing" in sentence("code")
    assert "is never negative" in sentence("exponential")
    assert "ends abruptly at 5 and 5.99" in sentence("uniform")


def test_a_bound_is_given_as_code_that_runs():
    import pofx

    x = np.random.default_rng(4).exponential(size=N)
    (finding,) = diagnose(frame(x=x)).named("bound")
    assert "pofx.Transformed(model, {'x': (0, None)})" in finding.remedy
    pofx.Transformed(pofx.Gaussian(), {"x": (0, None)}).fit(frame(x=x))
    with_zero = np.round(x, 2)
    (finding,) = diagnose(with_zero).named("bound")
    assert "{0: (-0.005, None)}" in finding.remedy


@pytest.mark.parametrize(("n", "d"), [(100, 1), (100, 3), (500, 2), (2000, 2)])
def test_normal_data_raise_no_alarm(n, d):
    alarms = 0
    for seed in range(50):
        rng = np.random.default_rng([seed, n, d])
        x = rng.normal(size=(n, d)) * 10.0 ** rng.integers(-3, 4, size=d) + rng.normal(size=d)
        x[:, -1] += 0.5 * x[:, 0] / x[:, 0].std() * x[:, -1].std()
        found = diagnose(x)
        alarms += found.count("warning") + found.count("blocks") > 0
    assert alarms <= 1


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.laplace(size=N),
        lambda rng: np.where(rng.random(N) < 0.5, rng.normal(size=N), 6 + rng.normal(size=N)),
        lambda rng: -10 + rng.gamma(4, size=N),
        lambda rng: rng.normal(size=N).astype(np.float32),
        lambda rng: 1e6 + rng.normal(size=N),
    ],
)
def test_harmless_shapes_raise_no_alarm(draw):
    alarms = sum(len(diagnose(draw(np.random.default_rng(seed))).findings) for seed in range(10))
    assert alarms == 0


def test_units_change_nothing():
    columns = {case: x - 1000.0 for case, (x, _, _) in culprits().items()}  # away from zero, where a bound is
    before = pd.DataFrame(columns)
    after = before.copy()
    rng = np.random.default_rng(5)
    for name in after:
        after[name] = after[name] * (-1.0) ** rng.integers(2) * rng.uniform(0.01, 100.0) + rng.normal()
        after[name] -= after[name].max() + abs(after[name].max()) + 1.0
    assert kinds(diagnose(after)) == kinds(diagnose(before))


def test_the_order_of_rows_changes_no_bit():
    before = pd.DataFrame({case: x for case, (x, _, _) in culprits().items()})
    before["sum"] = before["rounded"] + before["t3"] + 1e-3 * before["seconds"]
    before = pd.concat([before, before[:200]], ignore_index=True)
    before = before.sample(frac=1.0, random_state=4)  # in the order that they were made, some columns drift
    after = before.sample(frac=1.0, random_state=3)
    one, other = diagnose(before), diagnose(after)
    assert one.to_dict() == other.to_dict()
    assert str(one) == str(other)
    assert kinds(one) >= {("duplicates", (), "warning")}


def test_collinear_columns_are_named():
    rng = np.random.default_rng(0)
    a, b, noise = rng.normal(size=(3, N))
    exact = diagnose(frame(a=a, b=b, c=2 * a - b + 7)).named("collinear")
    (finding,) = exact
    assert finding.severity == "blocks"
    assert set(finding.columns) == {"a", "b", "c"}
    assert "plain" not in finding.sentence
    near = diagnose(frame(a=a, c=a + 1e-3 * noise)).named("collinear")[0]
    assert (near.severity, near.columns) == ("warning", ("c", "a"))
    assert near.number.value == pytest.approx(1e-6, rel=0.2)
    assert diagnose(frame(a=a, c=a + 0.05 * noise)).named("collinear")[0].severity == "note"
    assert not diagnose(frame(a=a, c=a + 0.3 * noise)).findings


def test_outliers_do_not_make_columns_collinear():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 2))
    x[3] = 1e9
    found = diagnose(x)
    assert [f.name for f in found.findings] == ["outliers", "outliers"]


def test_many_columns_of_few_rows_are_no_relation():
    x = np.random.default_rng(0).normal(size=(60, 50))
    assert [f.name for f in diagnose(x).findings] == ["rows_against_columns"]


def test_copies_are_told_from_coincidences():
    rng = np.random.default_rng(0)
    fine, whole = rng.normal(size=N), np.rint(70 + 10 * rng.normal(size=N))
    rows = np.column_stack([fine, whole])
    copied = diagnose(np.concatenate([rows, rows[:300]]))
    (finding,) = copied.named("duplicates")
    assert finding.severity == "warning"
    assert "they are copies" in finding.sentence
    assert (copied.rows, copied.effective_rows) == (1300, 1000)
    assert not copied.named("ties")  # of the first column: the copies explain them
    chance = diagnose(np.column_stack([np.round(fine, 1), whole]))
    (finding,) = chance.named("duplicates")
    assert finding.severity == "note"
    assert "by chance" in finding.sentence
    assert chance.effective_rows == N
    assert not diagnose(rows).named("duplicates")


def test_missing_values_are_counted_and_named():
    x = frame(a=np.random.default_rng(1).normal(size=N))
    x.loc[:79, "a"] = np.nan
    found = diagnose(x)
    (finding,) = found.findings
    assert (finding.name, finding.severity, finding.columns) == ("missing", "warning", ("a",))
    assert "80 of 1,000 rows (8.0 %)" in finding.sentence
    assert (found.complete_rows, found.columns[1].missing, found.columns[1].distinct) == (920, 80, 920)
    (finding,) = diagnose(x, missing="drop").findings
    assert (finding.name, finding.number.value) == ("dropped", pytest.approx(0.08))
    x.loc[80:, "plain"] = np.nan
    assert diagnose(x).named("missing")[0].severity == "blocks"


def test_rows_against_columns():
    rng = np.random.default_rng(0)
    for shape, name, severity in (
        ((5, 8), "rows_against_columns", "blocks"),
        ((50, 8), "rows_against_columns", "warning"),
        ((82, 1), "few_rows", "note"),
        ((25, 2), "few_rows", "warning"),
        ((150, 4), "dimension", "note"),
        ((19_020, 10), "dimension", "warning"),
        ((1, 2), "rows_against_columns", "blocks"),
    ):
        found = {f.name: f.severity for f in diagnose(rng.normal(size=shape)).findings}
        assert found.get(name) == severity, shape
        assert set(found) <= {name, "dimension", "empty_cells"}
    assert "0.08 nats" in diagnose(rng.normal(size=82)).findings[0].consequence


def test_old_faithful(faithful):
    found = diagnose(faithful)
    assert found.count("warning") == found.count("blocks") == 0
    assert "waiting is recorded in whole numbers (step 1); 51 different values in 272 rows" in str(found)
    assert found.named("ties")[0].columns == ("eruptions",)
    assert "more than its recording with 3 decimals (step 0.001) explains" in found.named("ties")[0].sentence
    assert found.named("set_aside")[0].columns == ("rownames",)
    assert "rownames (counts rows" in found.named("set_aside")[0].sentence
    waiting = found.columns[1].to_dict()
    assert (waiting["decimals"], waiting["step"], waiting["distinct"]) == (0, 1.0, 51)
    x = read(faithful)["waiting"]
    quartiles = [waiting[name] for name in ("min", "lower_quartile", "median", "upper_quartile", "max")]
    assert quartiles == np.quantile(x, [0, 0.25, 0.5, 0.75, 1]).tolist()
    assert waiting["mean"] == pytest.approx(x.mean(), rel=1e-14)
    assert waiting["sd"] == pytest.approx(x.std(ddof=1), rel=1e-14)


def test_galaxies_and_iris(root):
    found = diagnose(root / "examples" / "galaxies.csv")
    assert {f.name for f in found.findings} == {"few_rows", "set_aside", "drift"}
    assert "only 82 rows" in str(found)
    iris = diagnose(root / "examples" / "iris.csv")
    assert {f.columns for f in iris.named("rounding")} == {(name,) for name in read(iris_path(root)).names}
    assert iris.count("warning") == 0


def iris_path(root):
    return root / "examples" / "iris.csv"


def test_for_programs(faithful):
    wild = pd.DataFrame({case: x for case, (x, _, _) in culprits().items()})
    for found in (diagnose(faithful), diagnose(wild), diagnose([[1.0], [1.7e308], [-1.7e308]])):
        record = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert record["schema"] == "pofx.diagnosis/1"
        assert len(record["columns"]) == len(found.columns)
        order = [SEVERITIES.index(f.severity) for f in found.findings]
        assert order == sorted(order)
        for finding in found.findings:
            assert set(finding.troubles) <= set(ALL)
            assert finding.sentence.endswith((".", "?"))
            assert finding.consequence.endswith(".")
            assert finding.remedy.endswith(".")
        table = found.to_frame()
        assert table["sentence"].tolist() == [f.sentence for f in found.findings]
        assert found.to_frame("columns", "polars")["name"].to_list() == [c.name for c in found.columns]
        assert found.to_frame(kind="pyarrow").num_rows == len(found.findings)
    assert all("KDE" in f.troubles for f in found.troubling("KDE"))
    with pytest.raises(ParameterError, match="what must be one of"):
        found.to_frame("rows")


def test_names_of_models_are_real():
    import pofx

    assert set(ALL) <= set(pofx.__all__)


def test_sources_and_options(faithful):
    table = read(faithful)
    assert diagnose(table).to_dict() == diagnose(faithful).to_dict()
    assert [c.name for c in diagnose(faithful, columns=["waiting"]).columns] == ["waiting"]
    one = diagnose(table, columns=["waiting"])
    assert one.named("set_aside")[0].columns == ("rownames",)
    assert isinstance(diagnose(table["waiting"]), Diagnosis)
    with pytest.raises(DataError, match="0 rows"):
        diagnose(table[[]])
    infinite = Table(np.array([[1.0], [np.inf]]), table[["waiting"]].columns)
    with pytest.raises(DataError, match="infinity"):
        diagnose(infinite)
    empty = Table(np.array([[1.0, np.nan], [2.0, np.nan]]), table.columns)
    with pytest.raises(DataError, match="no value"):
        diagnose(empty, missing="keep")
    assert diagnose(empty).columns[1].mean is None
    assert diagnose(empty).named("missing")[0].severity == "blocks"


def test_hostile_names_are_shown_harmless():
    x = np.random.default_rng(0).normal(size=N)
    found = diagnose(pd.DataFrame({"<b>&\x1b[31m": x, "y" * 5000: 3 * x, "<i>": np.ones(N)}))
    page, text = found._repr_html_(), str(found)
    assert "<b>&" not in page.replace("<b>Blocks", "")
    assert "<i>" not in page
    assert "\x1b" not in page + text
    assert len(text) < 4000
    assert len(found.findings) == 2


def test_two_hundred_columns_stay_readable():
    rng = np.random.default_rng(0)
    x = np.rint(10 * rng.normal(size=(400, 200)))
    found = diagnose(x)
    assert len(found.named("rounding")) == 200
    text = str(found)
    assert len(text.splitlines()) < 100
    assert "The same of 194 more" in text
    assert "… and 160 more columns" in text


def test_extreme_units():
    x = np.random.default_rng(0).normal(size=(200, 1))
    for scale in (1e-300, 1e-310, 1e300, 1e307):
        found = diagnose(x * scale)
        assert not found.findings
        assert found.columns[0].sd == pytest.approx(x.std(ddof=1) * scale, rel=1e-6)


def test_rounding_is_a_warning_once_the_step_hides_what_so_many_rows_could_show():
    rng = np.random.default_rng(0)
    for n, severity in ((300, "note"), (100_000, "warning")):
        (finding,) = diagnose(np.round(rng.normal(size=n), 1)).named("rounding")
        assert finding.severity == severity


@pytest.mark.parametrize(("per_row", "sign"), [(0.25, 1.0), (0.30, -1.0)])
def test_the_threshold_on_ties(per_row, sign):
    """Least-squares cross-validation at bandwidth zero: Silverman (1986), section 3.4, has 0.27."""
    n, h = 400, 1e-9
    x = np.random.default_rng(0).normal(size=n)
    pairs = int(per_row * n)
    x[:pairs] = x[pairs : 2 * pairs]
    gap = (x[:, None] - x[None, :]) / h
    smooth = np.exp(-(gap**2) / 4).sum() / (2 * np.sqrt(np.pi) * n * n * h)
    apart = (np.exp(-(gap**2) / 2).sum() - n) / (np.sqrt(2 * np.pi) * n * (n - 1) * h)
    assert np.sign(smooth - 2 * apart) == sign


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.5, 1.0])
def test_tail_shape_finds_the_shape_of_a_pareto_tail(shape):
    u = np.random.default_rng(0).random(4000)
    x = -np.log(u) if shape == 0 else (u**-shape - 1) / shape
    assert tail_shape(np.sort(x)) == pytest.approx(shape, abs=4 * (1 + abs(shape)) / 4000**0.5)
    assert tail_shape(np.sort(x) * 1e6) == pytest.approx(tail_shape(np.sort(x)), rel=1e-9)


def test_weights_are_not_passed_over_in_silence():
    rows = frame(times=np.random.default_rng(0).integers(1, 4, size=N))
    found = diagnose(rows, weights="times")
    assert [c.name for c in found.columns] == ["plain"]
    assert "whatever its weight" in str(found)


def test_a_heavy_tail_has_a_shape_with_an_error():
    within = 0
    for seed in range(40):
        z = np.sort(np.random.default_rng(seed).standard_cauchy(2_000))
        shape, error, used = hill_shape(z)
        assert used == 44
        assert error == pytest.approx(shape / 44**0.5)
        within += abs(shape - 1.0) < 2.0 * error
    assert within >= 35
    t3 = np.sort(np.random.default_rng(0).standard_t(3, size=20_000))
    assert hill_shape(t3)[0] == pytest.approx(1 / 3, abs=0.07)
    assert hill_shape(7.0 * t3 - 3.0)[0] == pytest.approx(hill_shape(t3)[0], rel=1e-9)
    assert hill_shape(np.repeat([-1.0, 0.0, 1.0], [10, 80, 10])) is None
    (finding,) = diagnose(frame(x=culprits()["t3"][0])).named("heavy_tails")
    assert "the tail's shape is 0." in finding.sentence
    assert "by Hill's estimate from the 31 outermost rows 0." in finding.sentence
    assert finding.sentence.count("±") == 2


def test_effective_rows_are_shown_where_there_are_fewer():
    rng = np.random.default_rng(3)
    walk = np.cumsum(rng.normal(size=N))
    found = diagnose(frame(walk=walk))
    assert "effective n" in str(found)
    assert "effective n" in found._repr_html_()
    effective = found.columns[1].effective
    assert effective < 50
    assert f"as well as from {effective:,.0f} independent rows" in found.named("drift")[0].sentence
    assert "effective n" not in str(diagnose(frame(x=rng.normal(size=N))))


def test_a_spike_of_most_rows_is_no_code_for_missing():
    rng = np.random.default_rng(4)
    zero = np.where(rng.random(N) < 0.9, 0.0, 1900.0 + 50.0 * rng.normal(size=N))
    (finding,) = diagnose(frame(x=zero)).named("spike")
    assert "missing value?" not in finding.sentence
    code = np.where(rng.random(N) < 0.1, 0.0, 1900.0 + 50.0 * rng.normal(size=N))
    (finding,) = diagnose(frame(x=code)).named("spike")
    assert "a code for a missing value?" in finding.sentence


@pytest.mark.parametrize("d", [2, 5, 10, 200])
def test_what_a_kernel_estimate_needs_is_said_in_round_numbers(d):
    rng = np.random.default_rng(5)
    found = diagnose(rng.normal(size=(max(10 * d, 15), d)))
    for finding in found.named("dimension"):
        assert "right to a third at its centre" in finding.sentence
        assert 0.0 < finding.number.value < 1.0
    text = str(diagnose(rng.normal(size=(19_020, 10)))) if d == 10 else ""
    assert d != 10 or "842,000 rows (Silverman 1986); to a tenth, 5.8 billion" in " ".join(text.split())
