"""Where torch is not installed: one sentence and the command to type; nothing else asks for it."""

from __future__ import annotations

import sys

import pytest

import pofx
from pofx.core.laws import law_data
from pofx.errors import MissingExtraError


@pytest.mark.parametrize("module", ["torch", "zuko"])
def test_a_flow_says_what_to_install(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if module == "zuko":
        pytest.importorskip("torch")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as caught:
        pofx.Flow().fit(law_data(2))
    assert str(caught.value) == (
        f"{module} is needed because Flow is a neural network, and it is not installed: "
        'pip install "pofx[torch]"'
    )


def test_everything_else_works_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "spline" in repr(pofx.Flow("spline", bins=6)) or "bins=6" in repr(pofx.Flow(bins=6))
    assert pofx.Gaussian().fit(law_data(2)).n_features_in_ == 2
