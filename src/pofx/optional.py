"""The one doorway to packages that may not be installed."""

from __future__ import annotations

import importlib
from types import ModuleType

from pofx.errors import MissingExtraError

__all__ = ["need"]


def need(module: str, *, extra: str | None = None, why: str = "") -> ModuleType:
    """Import ``module`` or say in one sentence what to install.

    Parameters
    ----------
    module : the module's name, such as "torch"
    extra : the extra of pofx that brings it, if any
    why : what it is needed for, as the end of "... because"

    Raises
    ------
    MissingExtraError
        if it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        root = module.partition(".")[0]
        if (error.name or root).partition(".")[0] != root:
            raise  # it is installed, but something that it needs itself is not: that error names it
        package = f'"pofx[{extra}]"' if extra else root
        reason = f" because {why}" if why else ""
        raise MissingExtraError(
            f"{root} is needed{reason}, and it is not installed: pip install {package}"
        ) from None
