"""Which classes a file may name: pofx's own models, and those of installed packages.

A package adds a model through an entry point of the group ``pofx.models`` whose name is the class's name.
A file names a class, never a module, and only what is listed here is ever imported for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from .. import store
from ..core.density import Density
from ..core.persist import decode
from ..errors import FileError

__all__ = ["BUILT_IN", "GROUP", "load", "model_names", "resolve"]

GROUP = "pofx.models"
BUILT_IN = {
    "Flow": "pofx.models.flow",
    "Gaussian": "pofx.models.gaussian",
    "GaussianMixture": "pofx.models.mixture",
    "Grouped": "pofx.models.grouped",
    "Histogram": "pofx.models.histogram",
    "KDE": "pofx.models.kde",
    "Parametric": "pofx.models.parametric",
    "Stack": "pofx.models.stack",
    "Transformed": "pofx.core.transformed",
    "World": "pofx.data.worlds",
}


def model_names() -> list[str]:
    """Return the names of all models that are there: built in, then installed."""
    return [*BUILT_IN, *sorted({e.name for e in entry_points(group=GROUP)} - set(BUILT_IN))]


def resolve(name: str, classes: Sequence[type[Density]] = ()) -> type[Density]:
    """Return the model class of this name.

    Raises
    ------
    FileError
        Where no such model is built in, installed, or among ``classes``.
    """
    for cls in classes:
        if cls.__name__ == name:
            return cls
    if name in BUILT_IN:
        found = getattr(import_module(BUILT_IN[name]), name)
    else:
        points = [e for e in entry_points(group=GROUP) if e.name == name]
        if not points:
            raise FileError(
                f"The file holds a model called {name!r:.80}, which is neither one of pofx's own "
                f"({', '.join(BUILT_IN)}) nor in an installed package. Install the package that provides it "
                f"(entry point group {GROUP!r}), or pass its class: pofx.load(path, classes=[...])."
            )
        try:
            found = points[0].load()
        except Exception as error:  # whatever a stranger's module raises when imported
            raise FileError(
                f"The file holds a model called {name!r}, whose installed module {points[0].module!r} "
                f"cannot be imported ({type(error).__name__}: {error}). Install it again or upgrade it."
            ) from error
    if not (isinstance(found, type) and issubclass(found, Density)):
        raise FileError(f"{name!r} is registered in {GROUP!r} but is not a pofx model.")
    return found


def load(path: str | Path, *, classes: Sequence[type[Density]] = ()) -> Density:
    """Read a model from a file written by ``model.save``.

    Parameters
    ----------
    path : str or Path
    classes : sequence of model classes, optional
        Further classes to trust, beside pofx's own and those of installed packages.

    Raises
    ------
    FileError
        Where the file is damaged, truncated, from a later version, hostile, or names an unknown model.
    """
    manifest, arrays = store.read(path)
    return decode(manifest, arrays, lambda name: resolve(name, classes))
