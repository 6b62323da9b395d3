"""The files around the package agree with each other: README, go.py, pyproject.toml, CI, examples."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import pofx


@pytest.fixture
def go(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """go.py as a module, with .venv in a temporary folder and installations only written down."""
    spec = importlib.util.spec_from_file_location("go", root / "go.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "pyproject.toml").write_bytes((root / "pyproject.toml").read_bytes())
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "HOME", tmp_path / ".venv")
    for name in ("BIN", "PYTHON"):
        there = getattr(module, name).relative_to(root)
        monkeypatch.setattr(module, name, tmp_path / there)
    return module


def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def test_readme_ci_and_go_agree_on_two_commands(root: Path) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    printed = [line.strip() for line in readme.splitlines() if re.match(r"\s*python3 go\.py ", line)]
    assert printed[:2] == ["python3 go.py report examples/faithful.csv", "python3 go.py test"]
    script = (root / ".ci" / "run").read_text(encoding="utf-8")
    for command in printed[:2]:
        assert re.search(rf"^{re.escape(command)}( |$)", script, re.MULTILINE)


def test_readme_first_block_runs_and_is_short(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (root / "README.md").read_text(encoding="utf-8")
    block = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert block is not None
    code = block.group(1)
    assert len([line for line in code.splitlines() if line.strip()]) < 10
    for verb in (".fit(", ".log_density(", ".sample("):
        assert verb in code
    # it reads examples/ and writes where it stands
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "faithful.csv").write_bytes((root / "examples" / "faithful.csv").read_bytes())
    here = {**os.environ, "PYTHONPATH": str(Path(pofx.__file__).parents[1])}
    subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, env=here, check=True, capture_output=True
    )


def test_every_runtime_dependency_is_used_and_every_import_is_declared(root: Path) -> None:
    metadata = project(root)["project"]
    entries = [*metadata["dependencies"], *metadata["optional-dependencies"]["torch"]]
    declared = {re.split(r"[<>=!~\[; ]", entry)[0] for entry in entries}
    used: set[str] = set()
    for path in (root / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                used |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                used.add(node.module.partition(".")[0])
    outside = used - set(sys.stdlib_module_names) - {"pofx"}
    # imported only if the caller already has it, to hand back what came in
    outside -= {"pandas", "polars"}
    named = {"sklearn": "scikit-learn"}  # where a package is called otherwise than what it holds
    assert {named.get(module, module) for module in outside} == declared


def test_version_has_one_source(root: Path) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", pofx.__version__)
    assert project(root)["tool"]["hatch"]["version"]["path"] == "src/pofx/__init__.py"
    assert f"## {pofx.__version__}" in (root / "CHANGELOG.md").read_text(encoding="utf-8")


def test_examples_are_as_distributed(root: Path) -> None:
    digests = {
        "faithful.csv": "5043db1e2c51c8e8fd67e0868c768ae589770cc76ad0ac0c5b7afd1fca31fc57",
        "galaxies.csv": "5c094d8beb8ecc980493de62e9fd4d2cf7f891b07aed6b1c55a5b42879f498d0",
        "iris.csv": "398fadb8f48750d386d670e0b15c65944919682373bcaba59650c33eb5474362",
    }
    for name, digest in digests.items():
        # a checkout on Windows may have turned the line ends
        data = (root / "examples" / name).read_bytes().replace(b"\r\n", b"\n")
        assert hashlib.sha256(data).hexdigest() == digest
        assert f"`{name}`" in (root / "examples" / "README.md").read_text(encoding="utf-8")


def test_go_makes_the_environment_once(go: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[tuple[str, ...]] = []
    monkeypatch.setattr(go, "pip", lambda *what: installed.append(what))
    go.prepare()
    assert installed == [("--editable", str(go.ROOT))]
    go.prepare()
    assert len(installed) == 1
    go.prepare("test")
    assert len(installed) == 2
    assert any(entry.startswith("pytest") for entry in installed[-1])
    go.prepare("test")
    assert len(installed) == 2


def test_go_redoes_half_an_environment(go: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*what: str) -> None:
        (go.HOME / "half").write_text("")
        raise KeyboardInterrupt

    monkeypatch.setattr(go, "pip", interrupted)
    with pytest.raises(KeyboardInterrupt):
        go.prepare()
    assert (go.HOME / "half").exists()
    monkeypatch.setattr(go, "pip", lambda *what: None)
    go.prepare()
    assert not (go.HOME / "half").exists()


def test_go_makes_one_environment_when_started_twice_at_once(
    go: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[tuple[str, ...]] = []

    def slowly(*what: str) -> None:
        time.sleep(0.3)
        installed.append(what)

    monkeypatch.setattr(go, "pip", slowly)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(go.prepare, [None, "test", None]))
    assert sorted(len(what) for what in installed)[0] == 2
    assert len(installed) == 2  # the project once, what the tests need once


def test_go_renews_the_environment_when_the_project_changes(
    go: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[tuple[str, ...]] = []
    monkeypatch.setattr(go, "pip", lambda *what: installed.append(what))
    go.prepare()
    with (go.ROOT / "pyproject.toml").open("a") as file:
        file.write("# another\n")
    go.prepare()
    assert len(installed) == 2


def test_go_passes_exit_codes_through(go: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(go, "prepare", lambda testing: None)
    monkeypatch.setattr(go, "PYTHON", sys.executable)
    monkeypatch.setattr(go.signal, "signal", lambda *what: None)
    assert go.run(sys.executable, "-c", "raise SystemExit(3)") == 3
    assert go.run(sys.executable, "-c", "pass") == 0
    assert go.main(["no-such-verb"]) == 2
