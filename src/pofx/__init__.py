"""pofx reads "P of x": from observed rows to a probability distribution you can trust.

Public names are imported when first used (PEP 562), so that ``import pofx`` costs little.

>>> import pofx
>>> model = pofx.Gaussian().fit([[1.0, 2.0], [3.0, 1.0], [2.0, 4.0]])
>>> model.log_density([[2.0, 2.0]]).shape
(1,)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pofx import errors as errors
    from pofx.auto import fit as fit
    from pofx.core.laws import check_model as check_model
    from pofx.core.transformed import Transformed as Transformed
    from pofx.data import worlds as worlds
    from pofx.data.diagnose import diagnose as diagnose
    from pofx.data.read import read as read
    from pofx.data.table import Table as Table
    from pofx.evaluate.alarms import alarms as alarms
    from pofx.evaluate.calibrate import calibrate as calibrate
    from pofx.evaluate.check import check as check
    from pofx.evaluate.compare import compare as compare
    from pofx.evaluate.differ import differ as differ
    from pofx.models.elsewhere import from_scipy as from_scipy
    from pofx.models.elsewhere import from_sklearn as from_sklearn
    from pofx.models.elsewhere import to_sklearn as to_sklearn
    from pofx.models.flow import Flow as Flow
    from pofx.models.gaussian import Gaussian as Gaussian
    from pofx.models.grouped import Grouped as Grouped
    from pofx.models.histogram import Histogram as Histogram
    from pofx.models.kde import KDE as KDE
    from pofx.models.mixture import GaussianMixture as GaussianMixture
    from pofx.models.parametric import Parametric as Parametric
    from pofx.models.registry import load as load
    from pofx.models.stack import Stack as Stack
    from pofx.show.plot import figure as figure
    from pofx.show.plot import plot as plot
    from pofx.show.report import report as report

__version__ = "0.1.0"

# public name -> where it lives; "module" alone for a public module
_PLACES = {
    "Flow": "pofx.models.flow:Flow",
    "Gaussian": "pofx.models.gaussian:Gaussian",
    "GaussianMixture": "pofx.models.mixture:GaussianMixture",
    "Grouped": "pofx.models.grouped:Grouped",
    "Histogram": "pofx.models.histogram:Histogram",
    "KDE": "pofx.models.kde:KDE",
    "Parametric": "pofx.models.parametric:Parametric",
    "Stack": "pofx.models.stack:Stack",
    "Table": "pofx.data.table:Table",
    "Transformed": "pofx.core.transformed:Transformed",
    "alarms": "pofx.evaluate.alarms:alarms",
    "calibrate": "pofx.evaluate.calibrate:calibrate",
    "check": "pofx.evaluate.check:check",
    "check_model": "pofx.core.laws:check_model",
    "compare": "pofx.evaluate.compare:compare",
    "diagnose": "pofx.data.diagnose:diagnose",
    "differ": "pofx.evaluate.differ:differ",
    "errors": "pofx.errors",
    "figure": "pofx.show.plot:figure",
    "fit": "pofx.auto:fit",
    "from_scipy": "pofx.models.elsewhere:from_scipy",
    "from_sklearn": "pofx.models.elsewhere:from_sklearn",
    "load": "pofx.models.registry:load",
    "plot": "pofx.show.plot:plot",
    "read": "pofx.data.read:read",
    "report": "pofx.show.report:report",
    "to_sklearn": "pofx.models.elsewhere:to_sklearn",
    "worlds": "pofx.data.worlds",
}

__all__ = [
    "KDE",
    "Flow",
    "Gaussian",
    "GaussianMixture",
    "Grouped",
    "Histogram",
    "Parametric",
    "Stack",
    "Table",
    "Transformed",
    "__version__",
    "alarms",
    "calibrate",
    "check",
    "check_model",
    "compare",
    "diagnose",
    "differ",
    "errors",
    "figure",
    "fit",
    "from_scipy",
    "from_sklearn",
    "load",
    "plot",
    "read",
    "report",
    "to_sklearn",
    "worlds",
]


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        import difflib

        near = difflib.get_close_matches(name, _PLACES, n=1)
        hint = f"; did you mean pofx.{near[0]}?" if near else ""
        raise AttributeError(f"module 'pofx' has no attribute {name!r}{hint}")
    module_name, _, attribute = place.partition(":")
    found = importlib.import_module(module_name)
    value = getattr(found, attribute) if attribute else found
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
