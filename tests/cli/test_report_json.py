"""The report as data: its schema, what differs from one run to the next, and that nothing else does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import pofx
from pofx.cli.output import json_text
from pofx.cli.ran import Run, peak_memory
from pofx.evaluate.compare import Comparison
from pofx.show.report import SCHEMA, record, tell, to_dict

FILE = Path(pofx.__file__).parent / "show" / "report.schema.json"


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json.loads(FILE.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.fixture(scope="module")
def result() -> Comparison:
    root = Path(__file__).resolve().parents[2]
    models = [pofx.Gaussian(), pofx.GaussianMixture(range(1, 4), random_state=0), pofx.KDE()]
    return pofx.compare(models, pofx.read(root / "examples/faithful.csv"))


def as_read(made: dict[str, Any]) -> Any:
    """The record as whoever reads the JSON gets it."""
    return json.loads(json_text(made))


def test_record_follows_its_schema(result: Comparison, validator: Draft202012Validator) -> None:
    made = as_read(to_dict(result, source="faithful.csv", command="pofx", run=Run().record("x.html")))
    validator.validate(made)
    assert made["schema"] == SCHEMA == "pofx.report/1"
    assert made["title"] == "faithful.csv"
    assert made["data"]["columns"] == ["eruptions", "waiting"]
    assert made["data"]["fingerprint"] == result.best.fit_.fingerprint
    assert [check["model"] for check in made["checks"]] == [entry.name for entry in result.table]
    assert {check["check"]["schema"] for check in made["checks"]} == {"pofx.check/2"}
    assert made["comparison"] == {k: v for k, v in as_read(result.to_dict()).items() if k != "run"}
    assert made["verdict"]["best"] == result.best_name
    by_name = {check["model"]: check for check in made["checks"]}
    assert by_name["KDE"]["own"]["bandwidth_curve"]["rows"] == 272
    (mixture,) = (name for name in by_name if name.startswith("GaussianMixture"))
    candidates = by_name[mixture]["own"]["candidates"]
    assert [row["n_components"] for row in candidates] == [1, 2, 3]
    assert min(row["bic_behind"] for row in candidates) == 0.0
    assert [row["chosen"] for row in candidates].count(True) == 1
    assert "run" not in made["comparison"]
    assert len(made["next_steps"]) >= 2


@pytest.mark.parametrize("case", ["failed", "weights", "one column", "no points", "known only to Python"])
def test_every_kind_of_report_follows_the_schema(case: str, validator: Draft202012Validator) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 2))
    points = case != "no points"
    if case == "failed":
        result = pofx.compare([pofx.Gaussian(), pofx.Gaussian(covariance_type="diag")], rows[:3].repeat(3, 1))
        assert any(entry.held_out.failure for entry in result.table)
    elif case == "weights":
        result = pofx.compare([pofx.KDE()], rows, sample_weight=rng.integers(0, 3, 60))
    elif case == "one column":
        result = pofx.compare([pofx.Histogram()], rows[:, 0])
    else:
        result = pofx.compare({"mine": pofx.Gaussian()}, rows)
    made = as_read(to_dict(result, points=points))
    validator.validate(made)
    assert made["run"] is None
    if case == "no points":
        assert "more_rows_around" not in made["checks"][0]["check"]["energy"]


def test_schema_refuses_what_is_not_promised(result: Comparison, validator: Draft202012Validator) -> None:
    made = as_read(record(tell(result, title="x")))
    for spoil in (
        lambda r: r.update(more=1),
        lambda r: r["verdict"].update(word="fine"),
        lambda r: r.update(schema="pofx.report/2"),
        lambda r: r["data"].pop("rows"),
        lambda r: r["checks"][0]["check"].update(schema="pofx.check/9"),
    ):
        spoiled = json.loads(json.dumps(made))
        spoil(spoiled)
        assert not validator.is_valid(spoiled)


@pytest.mark.usefixtures("quick")
def test_command_line_prints_the_record_and_keeps_the_clock_out_of_the_page(
    run: Callable[..., Any], faithful: Path, tmp_path: Path, validator: Draft202012Validator
) -> None:
    few = tmp_path / "few.csv"
    few.write_text("\n".join(faithful.read_text().splitlines()[:61]) + "\n")
    runs = [run("report", "few.csv", "--json", "--no-points") for _ in range(2)]
    records = [json.loads(done.out) for done in runs]
    for done, made in zip(runs, records, strict=True):
        assert done.code == 0
        validator.validate(made)
        when = datetime.fromisoformat(made["run"]["date"])
        assert when.tzinfo is not None
        assert made["run"]["seconds"] > 0
        assert made["run"]["output"] == "few-report.html"
        assert re.search(r"pofx: \d{4}-\d\d-\d\d \d\d:\d\d UTC, \d+\.\d s", done.err)
    one, other = ({k: v for k, v in made.items() if k != "run"} for made in records)
    assert one == other
    page = (tmp_path / "few-report.html").read_text(encoding="utf-8")
    assert records[0]["run"]["date"][:10] not in page
    assert 'class="dots' not in page
    assert run("report", "few.csv", "--points").code == 0
    assert 'class="dots' in (tmp_path / "few-report.html").read_text(encoding="utf-8")


def test_peak_memory_is_that_of_this_process() -> None:
    before = peak_memory()
    if before is None:
        pytest.skip("this system does not say")
    held = np.ones(60_000_000 // 8)
    after = peak_memory()
    assert after is not None
    assert held.sum() > 0
    assert after >= before > 10_000_000
    assert after < before + 200_000_000
