"""Imports go one way, cost little, and nothing in the package can run a stranger's code."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pofx

SOURCE = Path(pofx.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
IDS = [path.relative_to(SOURCE).as_posix() for path in FILES]

# A part may import parts on lower lines, and itself; never one beside it or above.
ORDER = [
    ["errors"],
    ["optional", "threads"],
    ["validation", "store"],
    ["maths"],
    ["core"],
    ["data", "nets"],
    ["models"],
    ["evaluate"],
    ["auto"],
    ["show"],
    ["cli", "lab"],
    ["__main__"],
]
LEVEL = {part: level for level, parts in enumerate(ORDER) for part in parts}

HEAVY = [
    "click",
    "finufft",
    "matplotlib",
    "narwhals",
    "pandas",
    "polars",
    "pyarrow",
    "rich",
    "safetensors",
    "sklearn",
    "torch",
    "zuko",
]
POSIX_ONLY = {"fcntl", "grp", "pwd", "pty", "resource", "termios", "tty", "syslog", "curses"}


def part_of(module: str) -> str:
    """The part of the package that a dotted name belongs to, through the lazy table where it names one."""
    pieces = module.split(".")
    if len(pieces) > 1 and pieces[1] not in LEVEL:
        pieces = pofx._PLACES.get(pieces[1], module).partition(":")[0].split(".")
    return pieces[1] if len(pieces) > 1 else "pofx"


def only_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def nodes(tree: ast.AST, *, top: bool = False) -> Iterator[ast.AST]:
    """Every node that runs; with ``top`` only those that run when the module is imported."""
    for node in ast.iter_child_nodes(tree):
        if only_for_types(node) or (
            top and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        ):
            continue
        yield node
        yield from nodes(node, top=top)


def imports(path: Path, *, top: bool = False) -> Iterator[tuple[int, str]]:
    here = ("pofx", *path.relative_to(SOURCE).with_suffix("").parts)
    for node in nodes(ast.parse(path.read_text(encoding="utf-8")), top=top):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(here[: len(here) - node.level]) if node.level else []
            module = ".".join(base + ([node.module] if node.module else []))
            if module == "pofx":
                yield from (
                    (node.lineno, f"pofx.{alias.name}") for alias in node.names if alias.name != "__version__"
                )
            else:
                yield node.lineno, module


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_imports_go_one_way(path: Path) -> None:
    mine = path.relative_to(SOURCE).with_suffix("").parts[0]
    if mine == "__init__":
        pytest.skip("the public names, imported when first used")
    assert mine in LEVEL, f"{mine} has no place in the order of imports"
    for line, module in imports(path):
        if module.split(".")[0] != "pofx" or module == "pofx":
            continue
        theirs = part_of(module)
        lower = LEVEL[theirs] < LEVEL[mine] or theirs == mine
        assert lower, f"{path.name}:{line}: {mine} imports {module}, which lies beside or above it"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_nothing_posix_only_and_nothing_heavy_when_imported(path: Path) -> None:
    part = path.relative_to(SOURCE).parts[0]
    allowed = {"cli": {"click"}, "nets": {"torch", "zuko"}}.get(part, set())
    for line, module in imports(path, top=True):
        first = module.split(".")[0]
        assert first not in POSIX_ONLY, (
            f"{path.name}:{line}: {first} is missing on Windows; import it where it is used"
        )
        assert first not in HEAVY or first in allowed, f"{path.name}:{line}: {first} is imported too early"
        assert part == "nets" or part_of(module) != "nets", f"{path.name}:{line}: {module} imports torch"


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_nothing_runs_code_from_data(path: Path) -> None:
    """No unpickling anywhere, and no evaluation of text; in-memory pickling needs neither."""
    for node in nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"eval", "exec", "compile", "__import__"}, (
                f"{path.name}:{node.lineno}: {called}"
            )
            for word in node.keywords:
                asked = word.arg == "allow_pickle" and not (
                    isinstance(word.value, ast.Constant) and word.value.value is False
                )
                assert not asked, f"{path.name}:{node.lineno}: allow_pickle"
    modules = {module.split(".")[0] for _, module in imports(path)}
    assert not modules & {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


def loaded_after(code: str) -> set[str]:
    """The top-level modules in memory after ``code`` ran in a new process."""
    script = f"import sys, json\n{code}\nprint(json.dumps(sorted({{n.split('.')[0] for n in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import pofx",
        "import pofx; pofx.Gaussian; pofx.GaussianMixture; pofx.KDE; pofx.Histogram; pofx.load; pofx.worlds",
        "import pofx; pofx.Gaussian().fit([[0.0, 1.0], [1.0, 0.5], [2.0, 2.0]]).log_density([[0.0, 0.0]])",
        "import pofx; pofx.Table; pofx.read; pofx.compare; pofx.report; pofx.fit; pofx.check_model",
    ],
)
def test_import_is_light(code: str) -> None:
    assert not loaded_after(code) & set(HEAVY)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["fit", "--help"], ["report", "--help"]])
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = f"""
sys.argv = ["pofx", *{words!r}]
from pofx.cli import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code"""
    assert not loaded_after(code) & ({*HEAVY, "numpy", "scipy"} - {"click"})


def test_public_names() -> None:
    assert sorted(pofx.__all__) == sorted({"__version__", *pofx._PLACES})
    assert dir(pofx) == sorted(pofx.__all__)
    for name in pofx.__all__:
        assert getattr(pofx, name) is not None
    with pytest.raises(AttributeError, match=r"did you mean pofx\.GaussianMixture"):
        pofx.GausianMixture


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_every_name_in_all_is_there(path: Path) -> None:
    if path.name == "__main__.py":
        pytest.skip("runs the command line")
    import importlib

    pieces = ("pofx", *path.relative_to(SOURCE).with_suffix("").parts)
    if "nets" in pieces:
        pytest.importorskip("zuko")
    module = importlib.import_module(".".join(piece for piece in pieces if piece != "__init__"))
    missing = [name for name in getattr(module, "__all__", []) if not hasattr(module, name)]
    assert not missing
