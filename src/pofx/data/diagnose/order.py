"""Whether the rows drift: consecutive blocks of rows that differ in a column.

References
----------
Kruskal and Wallis (1952), J. Am. Stat. Assoc. 47, 583, with the correction for ties.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import chi2, rankdata

from pofx.data.diagnose.finding import ALL, Finding, Quantity, percent, short

__all__ = ["drift_findings"]

BLOCKS, PER_BLOCK = 10, 10  # consecutive blocks, and the fewest rows of one
LEVEL = 1e-4  # of the test, divided by the number of columns
SHARE = 0.01  # of the ranks' variance between blocks: less is no use to know
SORTED = 0.99  # rank correlation with the row number


def drift_findings(x: np.ndarray, label: str, columns: int) -> Iterator[Finding]:
    """Yield a finding where a column changes from the first rows to the last.

    Parameters
    ----------
    x : ndarray of shape (n,)
        The column in the order of the rows, without missing values.
    label : str
    columns : int
        How many columns are looked at.
    """
    n = len(x)
    blocks = min(BLOCKS, n // PER_BLOCK)
    if blocks < 2:
        return
    ranks = rankdata(x) - 0.5 * (n + 1)
    variance = float(ranks @ ranks) / n
    if variance == 0.0:
        return
    edges = np.linspace(0, n, blocks + 1).astype(int)
    sizes = np.diff(edges)
    means = np.add.reduceat(ranks, edges[:-1]) / sizes
    between = float(sizes @ means**2) / n / variance
    statistic = (n - 1) * between
    share = max(0.0, between - (blocks - 1) / (n - 1))
    if chi2.sf(statistic, blocks - 1) * columns > LEVEL or share < SHARE:
        return
    place = np.arange(n) - 0.5 * (n - 1)
    r = float(ranks @ place) / n / np.sqrt(variance * float(place @ place) / n)
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
            f"{edges[lowest + 1]:,}, highest in rows {edges[highest] + 1:,} to {edges[highest + 1]:,})."
        )
    yield Finding(
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
