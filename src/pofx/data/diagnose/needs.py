"""How many rows a histogram and a kernel estimate need in so many columns, for a stated relative error ε.

*Histogram.* A constant density in k bins per column has k^d cells, and the error of a count asks for 1/ε²
rows in each.

*Kernel estimate.* At the centre of a normal density, with a normal kernel of bandwidth h (in standard
deviations) and in units of the density there ::

    bias = 1 - (1 + h²)^(-d/2),      n · variance = (h² (2 + h²))^(-d/2) - (1 - bias)²

Silverman (1986, *Density Estimation*, table 4.2) asks for the fewest rows at which some h has bias² +
variance below 0.1, errors of about a third: 4, 19, 67, 223, 768, 2,790, 10,700, 43,700, 187,000 and 842,000
rows in one to ten columns.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["THIRD", "log10_histogram_rows", "log10_kernel_rows", "rows_text"]

THIRD = math.sqrt(0.1)  # Silverman's relative error


def log10_histogram_rows(d: int, error: float, bins: int) -> float:
    """Return log10 of the rows for ``bins`` bins per column, each with this relative error."""
    return d * math.log10(bins) - 2.0 * math.log10(error)


def log10_kernel_rows(d: int, error: float) -> float:
    """Return log10 of the rows for this relative error (root mean square) at a normal density's centre."""
    bias = error * np.linspace(0.0, 1.0, 2_002)[1:-1]  # to each bias belongs one bandwidth
    h2 = np.expm1(-2.0 / d * np.log1p(-bias))
    second = -0.5 * d * np.log(h2 * (2.0 + h2))
    log_variance = second + np.log1p(-np.exp(2.0 * np.log1p(-bias) - second))
    return float((log_variance - np.log(error * error - bias * bias)).min() / math.log(10.0))


def rows_text(log10: float) -> str:
    """Return a number of rows in words that claim three digits: "842,000", "5.8 billion", "1e+25"."""
    if log10 >= 12.0:
        return f"1e+{log10:.0f}"
    value = 10.0**log10
    if value >= 1e9:
        return f"{float(f'{value / 1e9:.2g}'):,g} billion"  # 480, not 4.8e+02
    if value < 1e3:
        return f"{math.ceil(value - 1e-9):,}"
    digits = math.floor(log10) - 2
    return f"{round(value / 10**digits) * 10**digits:,}"
