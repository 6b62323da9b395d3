"""Whether the rows drift: consecutive blocks of rows that differ in a column.

References
----------
Kruskal and Wallis (1952), J. Am. Stat. Assoc. 47, 583, with the correction for ties.
Geyer (1992), Stat. Sci. 7, 473: the initial positive sequence of autocorrelations.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2, rankdata

from pofx.data.diagnose.finding import ALL, Finding, Quantity, percent, short

__all__ = ["drift"]

BLOCKS, PER_BLOCK = 10, 10  # consecutive blocks, and the fewest rows of one
LEVEL = 1e-4  # of the test, divided by the number of columns
SHARE = 0.01  # of the ranks' variance between blocks: less is no use to know
SORTED = 0.99  # rank correlation with the row number


def drift(x: np.ndarray, label: str, columns: int) -> tuple[Finding | None, float]:
    """Return a finding where a column changes from the first rows to the last, and its effective rows.

    Parameters
    ----------
    x : ndarray of shape (n,)
        The column in the order of the rows, without missing values.
    label : str
    columns : int
        How many columns are looked at.

    Returns
    -------
    finding : Finding or None
    effective : float
        As many independent rows would say as much about the column's mean rank; n where nothing was found.
    """
    n = len(x)
    blocks = min(BLOCKS, n // PER_BLOCK)
    if blocks < 2:
        return None, float(n)
    ranks = rankdata(x) - 0.5 * (n + 1)
    variance = float(ranks @ ranks) / n
    if variance == 0.0:
        return None, float(n)
    edges = np.linspace(0, n, blocks + 1).astype(int)
    sizes = np.diff(edges)
    means = np.add.reduceat(ranks, edges[:-1]) / sizes
    between = float(sizes @ means**2) / n / variance
    statistic = (n - 1) * between
    share = max(0.0, between - (blocks - 1) / (n - 1))
    if chi2.sf(statistic, blocks - 1) * columns > LEVEL or share < SHARE:
        return None, float(n)
    place = np.arange(n) - 0.5 * (n - 1)
    r = float(ranks @ place) / n / np.sqrt(variance * float(place @ place) / n)
    effective = _effective(ranks)
    lowest, highest = int(means.argmin()), int(means.argmax())
    if abs(r) >= SORTED:
        said = f"The rows are sorted by {short(label)}."
        consequence = (
            "Rows split by their position, such as the first and the last half, have nothing in common."
        )
    else:
        consequence = (
            "Rows were not drawn independently from one distribution, or somebody sorted them: the first "
            "rows are no sample of all, and errors that assume independence are too small."
        )
        said = (
            f"{short(label)} drifts with the row number: {percent(share)} of the variance of its ranks is "
            f"between {blocks} consecutive blocks of rows (lowest in rows {edges[lowest] + 1:,} to "
            f"{edges[lowest + 1]:,}, highest in rows {edges[highest] + 1:,} to {edges[highest + 1]:,}); its "
            f"mean rank is known as well as from {max(effective, 1.0):,.0f} independent rows."
        )
    finding = Finding(
        "drift",
        (label,),
        Quantity(share, "of the variance of ranks is between consecutive blocks of rows"),
        said,
        consequence,
        ALL,
        "note",
        "Shuffle rows before splitting them by position; if their order is time, compare the first half "
        "with the second before trusting one density for both.",
    )
    return finding, effective


def _effective(centred: np.ndarray) -> float:
    """Return n / (1 + 2 Σ ρ), the sum over lags until two neighbouring autocorrelations add up to less than
    zero."""
    n = len(centred)
    size = 1 << int(2 * n - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(centred, size)) ** 2
    rho = np.fft.irfft(spectrum, size)[:n]
    pairs = (rho[: n - n % 2] / rho[0]).reshape(-1, 2).sum(axis=1)
    last = int(np.argmax(pairs < 0.0)) if (pairs < 0.0).any() else len(pairs)
    return float(np.clip(n / max(2.0 * pairs[:last].sum() - 1.0, 1.0), 1.0, n))
