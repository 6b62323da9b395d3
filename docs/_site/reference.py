"""The reference: a page for each public name, in the chapter of the package it lives in.

What is public is said in one place, ``pofx.__all__``; a name that is added there has its page.
"""

from __future__ import annotations

import inspect
from pathlib import Path

import pofx

CHAPTERS = {  # package -> heading and what it holds
    "pofx.models": ("Models", "Every model is an estimator and, once fitted, a distribution."),
    "pofx.data": ("Rows", "Bytes in, rows out; what to know of them; and known distributions."),
    "pofx.evaluate": ("Judging", "Is a model good? Which one? Are two samples alike?"),
    "pofx.show": ("Showing", "Pictures and reports."),
    "pofx": ("Fitting and files", "The automatic choice, saved models, errors."),
    "pofx.core": ("The contract", "What a model is, and the laws that it keeps."),
}
BESIDE = {  # public, though not one of the names of the package itself
    "Density": ("pofx.core", "pofx.core.density"),
    "draw": ("pofx.show", "pofx.show.draw"),
}


def chapter_of(name: str) -> str:
    """Return the package whose chapter holds a public name."""
    if name in BESIDE:
        return BESIDE[name][0]
    module = pofx._PLACES[name].partition(":")[0]
    package = ".".join(module.split(".")[:2])
    return package if package in CHAPTERS and name != "load" else "pofx"


def page(name: str) -> str:
    """Return the page of a public name, in reStructuredText."""
    if name in BESIDE:
        module = BESIDE[name][1]
        value = getattr(__import__(module, fromlist=["_"]), name, None)
    else:
        module, value = "pofx", getattr(pofx, name)
    title = f"{module}.{name}" if value is not None else module
    lines = [title, "=" * len(title), ""]
    if value is None or inspect.ismodule(value):
        target = module if value is None else value.__name__
        return "\n".join([*lines, f".. automodule:: {target}", "   :members:", "   :show-inheritance:", ""])
    kind = "class" if inspect.isclass(value) else "function"
    options = ["   :members:", "   :inherited-members: BaseException"] if kind == "class" else []
    return "\n".join([*lines, f".. auto{kind}:: {module}.{name}", *options, ""])


def summary(name: str) -> str:
    """Return the first line of a public name's docstring."""
    if name in BESIDE:
        module = __import__(BESIDE[name][1], fromlist=["_"])
        value = getattr(module, name, module)
    else:
        value = getattr(pofx, name)
    return inspect.getdoc(value).partition("\n")[0]


def write(folder: Path) -> None:
    """Write one page per public name and their index; pages of names that are gone go too."""
    names = [name for name in pofx.__all__ if name != "__version__"]
    pages = {f"{name}.rst": page(name) for name in [*names, *BESIDE]}
    index = ["Reference", "=========", ""]
    index += ["Every public name, from its docstring. ``import pofx`` is all that is needed for most.", ""]
    for package, (heading, words) in CHAPTERS.items():
        found = sorted((n for n in [*names, *BESIDE] if chapter_of(n) == package), key=str.lower)
        index += [heading, "-" * len(heading), "", words, "", ".. list-table::", "   :widths: 25 75", ""]
        for name in found:
            index += [f"   * - :doc:`{name}`", f"     - {summary(name)}"]
        index += ["", ".. toctree::", "   :hidden:", "", *(f"   {name}" for name in found), ""]
    pages["index.rst"] = "\n".join(index)
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.rst"):
        if old.name not in pages:
            old.unlink()
    for file, text in pages.items():
        path = folder / file
        if not path.exists() or path.read_text(encoding="utf-8") != text:  # unchanged pages stay built
            path.write_text(text, encoding="utf-8")
