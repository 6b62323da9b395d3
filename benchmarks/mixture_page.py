"""What benchmarks/mixture.py measured, as a page and a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["page", "picture"]

Store = dict[str, Any]

BARS = {(1_000_000, 2): (25, 50), (500_000, 10): (12, 25), (200_000, 16): (10, 20), (100_000, 64): (6, 12)}
SMALL = (1.0, 2.0)  # ratios of per-iteration and whole-fit times for few rows
MEMORY_MB, OUT_OF_CORE = 64.0, 1.5
TOGETHER, SAME = 3.5, 1e-12
DEFAULTS = {"faithful": "EEE,3", "iris": "VEV,2", "diabetes": "VVV,3", "acidity": "EEE,2"}


MOST_COUNTED = 1_500  # iterations of plain EM; then the count is a lower bound


def median(values: list[float]) -> float:
    return float(np.median(values))


def ratios(record: dict[str, Any]) -> tuple[float, float]:
    """Return how many times faster an iteration is, and the whole way."""
    per = median([a / b for a, b in record["pairs"]])
    if "peer_to" in record:
        return per, median([a / b for a, b in zip(record["peer_to"], record["seconds_to"], strict=True)])
    theirs = median([a for a, _ in record["pairs"]]) * record["iterations"]
    return per, theirs / median(record["seconds_to"])


def verdict(holds: bool) -> str:
    return "yes" if holds else "no"


def speed_lines(records: list[dict[str, Any]]) -> Iterator[str]:
    yield "| n, d, K | scikit-learn, s per iteration | pofx | ratio (bar) | scikit-learn's iterations to the optimum | pofx, s to it | ratio (bar) | share of dgemm's rate | holds |"  # noqa: E501
    yield "|---|---|---|---|---|---|---|---|---|"
    for r in records:
        bar = BARS.get((r["n"], r["d"]), SMALL)
        per, whole = ratios(r)
        ours = median([b for _, b in r["pairs"]])
        holds = per >= bar[0] and whole >= bar[1] and r["short"] <= 1e-6
        yield (
            f"| {r['n']:,}, {r['d']}, {r['k']} | {median([a for a, _ in r['pairs']]):.4g} | {ours:.4g} | "
            f"{per:.1f} × ({bar[0]:g}) | {r['iterations']} | {median(r['seconds_to']):.4g} "
            f"({median(r['seconds_whole']):.4g}) | "
            f"{whole:.1f} × ({bar[1]:g}) | {r['flops'] / ours / r['dgemm']:.0%} | {verdict(holds)} |"
        )
    yield ""
    worst = max(r["short"] for r in records)
    same = [r for r in records if r["same_steps"] <= 1e-6]
    others = ", ".join(f"{r['n']:,} × {r['d']} (by {r['same_steps']:.2g})" for r in records if r not in same)
    yield (
        f"Every run of pofx ended no more than {max(worst, 0.0):.1e} nats per row below the limit of the "
        "basin that plain EM reaches from the same start (allowed: 1e-6). scikit-learn's iterations are "
        "counted by plain EM. After four of them its log-likelihood per row is that of scikit-learn to "
        f"{max((r['same_steps'] for r in same), default=0.0):.1e}"
        + (f"; not at {others}, where a component goes below the floor on its way" if others else "")
        + f". The count ends at {MOST_COUNTED:,}."
    )


def shared_lines(records: list[dict[str, Any]]) -> Iterator[str]:
    yield "| Candidates | one by one, s | together, s | ratio (bar) | log-likelihoods differ by | holds |"
    yield "|---|---|---|---|---|---|"
    for r in records:
        ratio = median([a / b for a, b in r["pairs"]])
        holds = ratio >= TOGETHER and r["differ"] <= SAME
        yield (
            f"| {r['name']}, {r['n']:,} × 10 | {median([a for a, _ in r['pairs']]):.3g} | "
            f"{median([b for _, b in r['pairs']]):.3g} | {ratio:.2f} × ({TOGETHER}) | {r['differ']:.1e} | "
            f"{verdict(holds)} |"
        )


def memory_lines(records: list[dict[str, Any]]) -> Iterator[str]:
    yield "| Rows × 4 | from | s, 6 passes | µs per row | extra memory, MB (bar) | holds |"
    yield "|---|---|---|---|---|---|"
    arrays = {r["n"]: r for r in records if r["kind"] == "array" and "failed" not in r}
    for r in records:
        if "failed" in r:
            yield f"| {r['n']:,} | {r['kind']} | failed: {r['failed']} | | | no |"
            continue
        holds = r["extra"] <= MEMORY_MB
        note = ""
        if r["kind"] == "file" and r["n"] in arrays:
            slower = r["seconds"] / arrays[r["n"]]["seconds"]
            holds &= slower <= OUT_OF_CORE
            agree = abs(r["value"] / arrays[r["n"]]["value"] - 1.0)
            holds &= agree <= 1e-9
            note = f" ({slower:.2f} × in memory; log-likelihoods agree to {agree:.0e})"
        yield (
            f"| {r['n']:,} | {r['kind']} | {r['seconds']:.3g}{note} | {1e6 * r['seconds'] / r['n']:.3g} | "
            f"{r['extra']:.0f} ({MEMORY_MB:.0f}) | {verdict(holds)} |"
        )


def reference_lines(records: list[dict[str, Any]]) -> Iterator[str]:
    yield "| Data | cells | short of mclust by more than 1e-3 | nesting violations | default choice | s, all cells | s, default | holds |"  # noqa: E501
    yield "|---|---|---|---|---|---|---|---|"
    for r in records:
        wanted = DEFAULTS.get(r["name"], r["chosen"])
        optima = all(have >= least - 1e-4 for have, least in r["optima"])
        holds = not r["behind"] and not r["violations"] and r["chosen"] == wanted and optima
        yield (
            f"| {r['name']} | {r['cells']} | {', '.join(r['behind']) or 'none'} | {r['violations']} | "
            f"{r['chosen']} | {r['seconds']:.1f} | {r['auto_seconds']:.1f} | {verdict(holds)} |"
        )
    count = sum(len(r["optima"]) for r in records)
    missed = [o for r in records for o in r["optima"] if o[0] < o[1] - 1e-4]
    yield ""
    yield f"em_optima.csv: {count - len(missed)} of {count} reached to 1e-4 nats."


def pomegranate_lines(store: Store) -> Iterator[str]:
    ours = {(r["n"], r["d"]): median([b for _, b in r["pairs"]]) for r in store["speed"]["records"]}
    yield "| n, d, K | pomegranate, s per iteration | pofx | ratio |"
    yield "|---|---|---|---|"
    for r in store["pomegranate"]["records"]:
        mine = ours.get((r["n"], r["d"]))
        if "failed" in r or mine is None:
            yield f"| {r['n']:,}, {r['d']}, {r['k']} | {r.get('failed', '')} | | |"
        else:
            yield (
                f"| {r['n']:,}, {r['d']}, {r['k']} | {r['seconds']:.3g} | {mine:.3g} | "
                f"{r['seconds'] / mine:.1f} × |"
            )


def page(store: Store) -> str:
    """Return the page in Markdown."""
    machines = " / ".join(dict.fromkeys(section["machine"] for section in store.values()))
    lines = [
        "# Gaussian mixtures, side by side",
        "",
        f"Made by `python benchmarks/mixture.py` on {machines}.",
        "",
        *(["![Seconds per iteration](mixture.png)", ""] if "speed" in store else []),
    ]
    if "speed" in store:
        lines += [
            "## Speed",
            "",
            "Float64, full covariances, all libraries from the same initial parameters. Per iteration: the "
            "median of five interleaved pairs (three for the two largest); "
            "pofx's are passes of the accelerated algorithm, everything "
            "beside the pass included. To the optimum: within 1e-6 nats per row of the limit of the basin "
            "that plain EM reaches; scikit-learn's time is its iterations times its time for one, pofx's "
            "is from the call of `fit`, checks of the rows included, to the pass that arrives there, and "
            "from its last pass to the fitted model (median as before); in brackets the whole call, which "
            "goes on until it knows that it has arrived. Of few rows scikit-learn's is a whole fit of so "
            "many iterations. The last column counts the multiply-adds of both products alone, 4 p K a row "
            "with p = 1 + d + d (d + 1) / 2, against this machine's dgemm in the same process; where most "
            "responsibilities vanish, pofx does fewer.",
            "",
            *speed_lines(store["speed"]["records"]),
            "",
        ]
    if store.get("pomegranate", {}).get("records") and "speed" in store:
        lines += ["## Beside pomegranate", "", *pomegranate_lines(store), ""]
    if "shared" in store:
        lines += [
            "## Shared passes",
            "",
            "Ten passes of plain EM from the same states, all candidates in one batch against one after "
            "another by the same engine; the median of five pairs.",
            "",
            *shared_lines(store["shared"]["records"]),
            "",
        ]
    if "memory" in store:
        lines += [
            "## Memory, and rows from a file",
            "",
            "Four components, full covariances, six passes on all rows; processes of their own. Extra "
            "memory: how far the peak of resident memory rises over what it was with the rows loaded.",
            "",
            *memory_lines(store["memory"]["records"]),
            "",
        ]
    if store.get("reference", {}).get("records"):
        lines += [
            "## mclust's tables",
            "",
            "Fourteen structures × 1 … 9 components; every finite cell of R's mclust 6.0.0 but diabetes "
            "EVV,8, which is not regular. Nesting: no richer structure below its special case, no K + 1 "
            "below K, among regular optima.",
            "",
            *reference_lines(store["reference"]["records"]),
            "",
        ]
    return "\n".join(lines)


def picture(store: Store, path: Path) -> None:
    """Draw seconds per iteration of both libraries, and what the optimum takes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    records = store.get("speed", {}).get("records", [])
    if not records:
        return
    labels = [f"{r['n']:,}\n× {r['d']}\nK = {r['k']}" for r in records]
    at = np.arange(len(records))
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    per = [[median([p[i] for p in r["pairs"]]) for r in records] for i in (0, 1)]
    whole = [
        [
            median(r["peer_to"]) if "peer_to" in r else p * r["iterations"]
            for r, p in zip(records, per[0], strict=True)
        ],
        [median(r["seconds_to"]) for r in records],
    ]
    for axis, (theirs, ours), title in zip(
        axes, (per, whole), ("seconds per iteration", "seconds to the optimum"), strict=True
    ):
        axis.bar(at - 0.2, theirs, 0.38, color="#b9bec7", label="scikit-learn")
        axis.bar(at + 0.2, ours, 0.38, color="#1f6f8b", label="pofx")
        for x, a, b in zip(at, theirs, ours, strict=True):
            axis.text(x + 0.2, b * 1.12, f"{a / b:.0f} ×" if a / b >= 10 else f"{a / b:.1f} ×", ha="center")
        axis.set_yscale("log")
        axis.set_ylim(top=axis.get_ylim()[1] * 8.0)  # room for the legend
        axis.set_xticks(at, labels)
        axis.set_title(title, loc="left")
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, loc="upper right", ncols=2)
    figure.savefig(path, dpi=150)
    plt.close(figure)
