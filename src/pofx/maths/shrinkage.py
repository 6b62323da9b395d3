"""How far to shrink a covariance towards its diagonal, from the data.

Both rules work on columns divided by their standard deviations (target: the identity), so that the answer
does not depend on units: Ledoit and Wolf (2004), J. Multivariate Analysis 88:365; Chen, Wiesel, Eldar
and Hero (2010), IEEE Trans. Signal Processing 58:5016 (OAS).
"""

from __future__ import annotations

import numpy as np

__all__ = ["ledoit_wolf", "oas"]


def ledoit_wolf(correlation: np.ndarray, fourth: float, n: float) -> float:
    """Return the Ledoit–Wolf intensity in [0, 1].

    Parameters
    ----------
    correlation : ndarray (d, d)
        The maximum-likelihood correlation matrix S.
    fourth : float
        Mean over rows of ``|z|⁴``, z the standardised rows.
    n : float
        Sample size.

    Notes
    -----
    ``δ² = |S − I|²/d``, ``β² = (mean |z|⁴ − |S|²)/(n d)``, intensity ``min(β², δ²)/δ²`` (squared
    Frobenius norms).
    """
    d = len(correlation)
    off = correlation - np.eye(d)
    delta = float((off * off).sum()) / d
    beta = (fourth - float((correlation * correlation).sum())) / (n * d)
    return 0.0 if delta == 0.0 else float(min(max(beta, 0.0), delta) / delta)


def oas(correlation: np.ndarray, n: float) -> float:
    """Return the oracle-approximating intensity in [0, 1] (Chen et al. 2010, eq. 23).

    With trace(S) = d: ``((1 − 2/d) tr S² + d²) / ((n + 1 − 2/d)(tr S² − d))``, at most 1.
    """
    d = len(correlation)
    square = float((correlation * correlation).sum())
    numerator = (1.0 - 2.0 / d) * square + d * d
    denominator = (n + 1.0 - 2.0 / d) * (square - d)
    return 1.0 if denominator <= 0.0 else float(min(1.0, numerator / denominator))
