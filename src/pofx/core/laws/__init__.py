"""The laws that every model keeps, as checks that anybody can run.

    from pofx.core.laws import check_model
    check_model(lambda: MyModel())

needs neither pytest nor hypothesis. Every failure names its law and says what was expected and what came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ...errors import ParameterError, UnsupportedError
from ..density import Density
from .case import Case, Law, LawBroken, NotApplicable
from .of_density import DENSITY_LAWS
from .of_fit import FIT_LAWS
from .of_manners import MANNERS_LAWS

__all__ = ["LAWS", "Law", "LawBroken", "check_model", "law_data"]

LAWS: tuple[Law, ...] = (*DENSITY_LAWS, *FIT_LAWS, *MANNERS_LAWS)


def law_data(d: int, n: int = 150, seed: int = 0) -> np.ndarray:
    """Return rows (n, d) on which the laws are tried by default: two groups, correlated columns of different
    units, not centred."""
    rng = np.random.default_rng([seed, d])
    z = rng.standard_normal((n, d)) + np.where(rng.random((n, 1)) < 0.4, -1.7, 1.7)
    mix = np.eye(d) + 0.4 * np.tri(d, k=-1)
    return (z @ mix.T) * np.geomspace(0.5, 20.0, d) + np.linspace(3.0, -40.0, d)


def check_model(
    make: Callable[[], Density],
    data: np.ndarray | Iterable[np.ndarray] | None = None,
    *,
    laws: Sequence[str] | None = None,
    skip: Sequence[str] = (),
    truth: Any = None,
    limits: Sequence[tuple[Density, Density]] = (),
) -> dict[str, str]:
    """Try every law on a model.

    Parameters
    ----------
    make : callable
        Returns a fresh, unfitted model each time.
    data : array (n, d), or several, optional
        Rows to fit; by default :func:`law_data` in one, two and three columns.
    laws : names, optional
        Only these laws. ``LAWS`` lists them.
    skip : names
        Not these, for a model that is excused: a fixed bandwidth cannot follow a change of units.
    truth : density, optional
        The known distribution that ``data`` came from; a bound is checked against it.
    limits : pairs of unfitted models, optional
        Each pair must agree on the data: a model in the setting where an older sibling is exact.

    Returns
    -------
    dict of law name to "holds", or to why it does not apply

    Raises
    ------
    LawBroken
        Naming every law that is broken.
    """
    known = [law.name for law in LAWS]
    for name in [*(laws or ()), *skip]:
        if name not in known:
            raise ParameterError(f"There is no law {name!r}. The laws: {', '.join(known)}.")
    if data is None:
        sets = [law_data(d) for d in (1, 2, 3)]
    elif isinstance(data, np.ndarray):
        sets = [data]
    else:
        sets = [np.asarray(rows, dtype=float) for rows in data]
    verdicts: dict[str, str] = {}
    broken: list[str] = []
    for rows in sets:
        case = Case(make, rows if rows.ndim == 2 else rows[:, None], truth, tuple(limits))
        for law in LAWS:
            if law.name in skip or (laws is not None and law.name not in laws):
                continue
            try:
                law.check(case)
            except NotApplicable as why:
                verdicts.setdefault(law.name, f"does not apply: {why}")
            except UnsupportedError as why:
                verdicts.setdefault(law.name, f"does not apply: {why}")
            except Exception as failure:  # a model that raises where the law asks breaks the law
                kind = "" if isinstance(failure, LawBroken) else f"{type(failure).__name__}: "
                broken.append(f"{law.name} (d = {case.d}): {kind}{failure}\n    The law: {law.statement}")
            else:
                verdicts[law.name] = "holds"
    if broken:
        raise LawBroken(f"{make()!r} breaks {len(broken)} law(s):\n- " + "\n- ".join(broken))
    return verdicts
