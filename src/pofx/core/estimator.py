"""scikit-learn's protocol without scikit-learn: parameters, tags, representation.

``import sklearn.base`` takes longer than all of pofx, so the protocol is met by its methods alone:
``clone``, ``Pipeline``, ``GridSearchCV`` and ``check_estimator`` ask for nothing else.
"""

from __future__ import annotations

import inspect
from html import escape
from typing import Any

import numpy as np

from ..errors import ParameterError

__all__ = ["Estimator", "unfitted"]


class Estimator:
    """Constructor hyperparameters as scikit-learn knows them."""

    _estimator_type = "DensityEstimator"

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return sorted(
            p.name
            for p in inspect.signature(cls.__init__).parameters.values()
            if p.name != "self" and p.kind is not p.VAR_KEYWORD
        )

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the hyperparameters by name; with ``deep``, those of nested models as ``name__inner``."""
        params: dict[str, Any] = {}
        for name in self._parameter_names():
            value = getattr(self, name)
            if deep and hasattr(value, "get_params") and not isinstance(value, type):
                params.update((f"{name}__{inner}", v) for inner, v in value.get_params().items())
            params[name] = value
        return params

    def set_params(self, **params: Any) -> Any:
        """Set hyperparameters by name and return self. A fitted model keeps its fit.

        Raises
        ------
        ParameterError
            For a name that the model does not have.
        """
        names = self._parameter_names()
        for key in params:
            if key.partition("__")[0] not in names:
                raise ParameterError(
                    f"Invalid parameter {key!r} for estimator {type(self).__name__}. "
                    f"Valid parameters are: {', '.join(names)}."
                )
        nested: dict[str, dict[str, Any]] = {}
        for key, value in params.items():
            name, delimiter, inner = key.partition("__")
            if delimiter:
                nested.setdefault(name, {})[inner] = value
            else:
                setattr(self, name, value)
        for name, inner_params in nested.items():
            getattr(self, name).set_params(**inner_params)
        return self

    def _changed_parameters(self) -> dict[str, Any]:
        defaults = {n: p.default for n, p in inspect.signature(type(self).__init__).parameters.items()}
        changed = {}
        for name in self._parameter_names():
            value, default = getattr(self, name), defaults[name]
            if value is default or (type(value) is type(default) and _same(value, default)):
                continue
            changed[name] = value
        return changed

    def __repr__(self) -> str:
        with np.printoptions(threshold=6, edgeitems=2, precision=4):
            inner = ", ".join(
                f"{k}={' '.join(repr(v).split())}" for k, v in self._changed_parameters().items()
            )
        return f"{type(self).__name__}({inner})"

    def _repr_html_(self) -> str:
        fit = getattr(self, "fit_", None)
        state = "not fitted" if fit is None else escape(fit.message)
        return f'<div class="pofx-model"><code>{escape(repr(self))}</code><br><small>{state}</small></div>'

    def __sklearn_is_fitted__(self) -> bool:
        return "params_" in self.__dict__

    def _meets_gaps(self) -> bool:
        """Return whether rows may hold NaN, for missing values."""
        return False

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags

        return Tags(
            estimator_type="density_estimator",
            target_tags=TargetTags(required=False),
            transformer_tags=None,
            classifier_tags=None,
            regressor_tags=None,
            input_tags=InputTags(allow_nan=self._meets_gaps(), sparse=False),
        )


def unfitted(model: Any) -> Any:
    """Return a new, unfitted model with the same hyperparameters (nested models likewise)."""
    params = model.get_params(deep=False)
    return type(model)(**{k: unfitted(v) if isinstance(v, Estimator) else v for k, v in params.items()})


def _same(a: Any, b: Any) -> bool:
    try:
        return bool(np.all(np.asarray(a == b)))
    except (TypeError, ValueError):
        return False
