"""What benchmarks/kde.py writes: the bars, the tables and the picture, from the numbers of the sections."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from contract import Row
from kde_cases import IID, LOWEST, ONE_THREAD, Record

Store = dict[str, dict[str, Any]]

DIMENSIONS = (1, 2, 3, 5, 10, 30)
TOLERANT, EXACT = "scikit-learn rtol=1e-4", "scikit-learn rtol=0"
BAR_N = {1: 1_000_000, 2: 1_000_000, 3: 100_000, 5: 20_000, 10: 20_000, 30: 20_000}
TIMES = {
    1: {TOLERANT: 30_000.0}, 2: {TOLERANT: 5_000.0}, 3: {TOLERANT: 30.0},
    5: {EXACT: 10.0, "scipy": 5.0}, 10: {EXACT: 15.0, "scipy": 5.0}, 30: {EXACT: 25.0, "scipy": 5.0},
}  # fmt: skip
MOST_MB = 1000.0


def records_of(store: Store, *sections: str) -> list[Record]:
    """Return the records of these sections (of all, if none is named) that did not fail."""
    chosen = [store[name] for name in (sections or store) if name in store]
    return [record for part in chosen for record in part.get("records", ()) if "failed" not in record]


def pick(records: list[Record], library: str) -> Record | None:
    """Return the first record of this library."""
    return next((r for r in records if r["library"] == library), None)


def estimated(record: Record) -> str:
    """Return a mark where not all queries were asked."""
    return "" if record["asked"] == record["m"] else f" est. from {record['asked']:,}"


# ---------------------------------------------------------------- bars


def against(store: Store, d: int, section: str) -> Iterator[Row]:
    """How many times as fast as each of the peers at the size of the bar, and how exact."""
    records = records_of(store, section)
    n = max((r["n"] for r in records if r["library"].endswith(ONE_THREAD)), default=0)
    at, name = [r for r in records if r["n"] == n], "pofx" if d <= 3 else "pofx rtol=0"
    ours, one = pick(at, name), pick(at, name + ONE_THREAD)
    if ours is None:
        return
    judged = n == BAR_N[d]  # a quick run is not judged
    where = f"{d}-D{', a quarter of the queries in the tails' if section == 'tails3' else ''}, n = m = {n:,}"
    for library, bar in TIMES[d].items():
        peer = pick(at, library)
        if peer is None:
            yield f"{where}: speed beside {library}", f"≥ {bar:,.0f} ×", "not measured", None
            continue
        ratio = peer["call_s"] / ours["call_s"]
        text = f"{ratio:,.0f} × ({ours['call_s']:.3g} s; {number(peer['call_s'])} s{estimated(peer)}"
        text += f"; on one thread {peer['call_s'] / one['call_s']:,.0f} ×" if one else ""
        text += f"; the peer errs by up to {peer['error']:.2g} nats)" if peer["error"] > 0.01 else ")"
        yield f"{where}: speed beside {library}", f"≥ {bar:,.0f} ×", text, ratio >= bar if judged else None
    peak = ours["peak_mb"]
    yield f"{where}: peak memory of fit and call", f"< {MOST_MB:,.0f} MB", f"{peak:.0f} MB", peak < MOST_MB
    most = 1e-6 if d <= 3 else 1e-9
    yield f"{where}: largest error", f"≤ {most:g} nats", f"{ours['error']:.1e}", ours["error"] <= most


def of_small(store: Store) -> Iterator[Row]:
    """A hundred rows."""
    ms = {r["library"]: r["call_s"] * 1e3 for r in records_of(store, "small")}
    if "pofx" in ms and "scipy" in ms:
        text = ", ".join(f"{name} {value:.3f} ms" for name, value in ms.items())
        yield "1-D, n = m = 100: one call of log_density", "≤ 1 ms", text, ms["pofx"] <= 1.0
        text = f"{ms['pofx'] / ms['scipy']:.2f} of its time"
        yield "the same beside scipy's logpdf", "not slower", text, ms["pofx"] <= ms["scipy"]


def of_grid(store: Store) -> Iterator[Row]:
    """A density on a grid."""
    records = records_of(store, "grid")
    ours, peer = pick(records, "pofx grid"), pick(records, "KDEpy grid")
    if ours is None or peer is None:
        return
    what = f"1-D, n = {ours['n']:,}, density on 1,024 points"
    ratio, better = ours["call_s"] / peer["call_s"], peer["error"] / ours["error"]
    text = (
        f"{ratio:.2f} × ({ours['call_s']:.3f} s after {ours['fit_s']:.3f} s of fit; {peer['call_s']:.3f} s)"
    )
    ok = ratio <= 2.0 if ours["n"] == 1_000_000 else None
    yield f"{what}: time beside KDEpy's FFTKDE, its fit included", "≤ 2 ×", text, ok
    text = f"{better:,.0f} times smaller ({ours['error']:.1e}; {peer['error']:.1e})"
    yield f"{what}: largest relative error where > 1e-6 of the peak", "≥ 10,000", text, better >= 1e4


def of_heavy(store: Store) -> Iterator[Row]:
    """Data that one grid does not serve."""
    for r in records_of(store, "heavy"):
        plan = r["plan"]
        many = r["n"] >= 100_000 and r["kind"] != "rounded"
        grids = f", {plan['grids']} grid{'s' if plan['grids'] > 1 else ''}" if plan["grids"] else ""
        grids += " for all" if plan["whole"] else " and tiles" if plan["grids"] else ""
        text = f"{r['within']:.1e} of the tolerance"
        text += f" ({r['within_rounded']:.1e} with rounded rows)" if r["within"] > 1.0 else ""
        text += f", {r['peak_mb']:.0f} MB, {r['call_s']:.2g} s, "
        yield (
            f"{r['kind']}, {r['d']}-D, n = m = {r['n']:,}, against {r['reference']}",
            f"within rtol, < {MOST_MB:,.0f} MB" + (", no one grid for all" if many else ""),
            text + plan["engine"] + grids,
            r["within"] <= 1.0 and r["peak_mb"] < MOST_MB and not (many and plan["whole"]),
        )


def of_growth(store: Store) -> Iterator[Row]:
    """The slope of log time in log n."""
    for d in (1, 2):
        some = [r for r in records_of(store, "growth") if r["d"] == d]
        if some:
            ns, seconds = [r["n"] for r in some], [r["call_s"] for r in some]
            slope = float(np.polyfit(np.log(ns), np.log(seconds), 1)[0])
            text = f"{slope:.2f} ({', '.join(f'{s:.2g}' for s in seconds)} s)"
            ok = slope <= 1.15 if ns[-1] == 1_000_000 else None
            yield f"{d}-D, n = m = {ns[0]:,} to {ns[-1]:,}: slope of log time", "≤ 1.15", text, ok


def of_mlcv(store: Store) -> Iterator[Row]:
    """Likelihood cross-validation beside one evaluation."""
    some = records_of(store, "mlcv")
    if some:
        fit, call = (float(np.median([r[key] for r in some])) for key in ("fit_s", "call_s"))
        what = f"1-D, n = m = {some[0]['n']:,}: `KDE('likelihood_cv').fit` beside one evaluation"
        ok = fit / call < 30 if some[0]["n"] == 1_000_000 else None
        yield what, "< 30 ×", f"{fit / call:.1f} × ({fit:.2f} s; {call:.3f} s)", ok


def of_failures(store: Store) -> Iterator[Row]:
    """What of ours did not run at all, and whose bars are therefore missing above."""
    for section, part in store.items():
        for r in part.get("records", ()):
            if "failed" in r and r["library"].startswith("pofx"):
                what = f"{section}: {r['library']}, {r['kind']}, {r['d']}-D, n = m = {r['n']:,}"
                yield what, "runs", f"failed: {r['failed']}", False


def bars(store: Store) -> list[Row]:
    """Every bar that has been measured."""
    rows = [row for d in DIMENSIONS for row in against(store, d, f"speed{d}")]
    rows += against(store, 3, "tails3")
    for part in (of_small, of_grid, of_heavy, of_growth, of_mlcv, of_failures):
        rows += part(store)
    return rows + [(a, b, c, ok) for a, b, c, ok in store.get("bandwidths", {}).get("rows", ())]


# ---------------------------------------------------------------- tables


def number(value: float) -> str:
    """Three digits, without a needless exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 1e-4 else f"{value:.0e}"


def big_table(store: Store) -> Iterator[str]:
    """Time, memory and error per case and library."""
    yield "| d | n = m | Library | Fit, s | All queries, s | Peak, MB | Largest error, nats | Median |"
    yield "|---:|---:|---|---:|---:|---:|---:|---:|"
    for name in [*(f"speed{d}" for d in DIMENSIONS), "tails3"]:
        for r in store.get(name, {}).get("records", ()):
            head = f"| {r['d']}{'*' if name == 'tails3' else ''} | {r['n']:,} | {r['library']} | "
            if "failed" in r:
                yield f"{head}failed: {r['failed']} | | | | |"
                continue
            yield (
                f"{head}{number(r['fit_s'])} | {number(r['call_s'])}{estimated(r)} | {r['peak_mb']:.0f} | "
                f"{r['error']:.1e} | {r['typical']:.1e} |"
            )


def plan_table(store: Store) -> Iterator[str]:
    """Predicted and measured, for calls long enough to be timed."""
    some = [
        r for r in records_of(store, *(name for name in store if name != "growth"))
        if "plan" in r and r["library"] in ("pofx", "pofx rtol=0") and r["call_s"] > 2e-3
    ]  # fmt: skip
    if not some:
        return
    ratios = np.array([r["call_s"] / r["plan"]["seconds"] for r in some])
    low, middle, high = np.percentile(ratios, [0, 50, 100])
    yield f"Measured over predicted seconds: median {middle:.2g}, from {low:.2g} to {high:.2g}. Measured"
    yield "memory holds the answer and the queries in the model's own units, too; the prediction does not."
    yield ""
    yield "| Case | d | n = m | Plan | Predicted, s | Measured, s | Ratio | Predicted, MB | Measured, MB |"
    yield "|---|---:|---:|---|---:|---:|---:|---:|---:|"
    for r, ratio in zip(some, ratios, strict=True):
        plan = r["plan"]
        engine = plan["engine"] + (f", {plan['grids']} grids" if plan["grids"] > 1 else "")
        kind = r["kind"] + (" (rtol=0)" if r["library"].endswith("0") else "")
        yield (
            f"| {kind} | {r['d']} | {r['n']:,} | {engine} | {plan['seconds']:.2g} | {r['call_s']:.2g} | "
            f"{ratio:.2g} | {plan['mb']:.0f} | {r['call_mb']:.0f} |"
        )


PAGE = """# Kernel density estimation, side by side

Made by `{command}` on {made}; {versions}.

![Seconds for all queries against n = m, a panel per dimension](kde.png)

**What is measured.** A Gaussian mixture of three to six components, the points transformed to covariance 1
so that scipy's kernel is everybody's; one bandwidth for all, Scott's n^(-1/(d+4)), the standard deviation of
the kernel. Queries are as many new draws. Each library has a process of its own, which loads the rows, fits
and answers. Its first call gives the memory: how far resident memory rises over what it was before the fit.
Then the processes are called in turn for the time: the median of 5 calls, of 3 from half a second on, and the
first call alone where it takes longer than 8 s (peers: 2 s). *est.*: a peer that would need more than
{longest:g} s is timed on some queries, their number beside the time of all; its memory is then that of some,
too. The bars compare calls on fitted models. pofx uses both cores; the others cannot, so its speed on one
thread is beside it.

**Error**: largest and median |log density − reference| over {probes} queries, {lowest} of them those of
lowest true density. The reference visits all pairs by direct differences and logsumexp in float64; or with 50
digits (mpmath) where the row says so. The tolerance is 1e-6 + 8 eps |log density|: where log densities are
huge, float64 has no closer number. "With rounded rows": of that and of what moving query and row by eps times
the largest value costs.

## The bars

| What | Bar | Measured | Holds |
|---|---|---|---|
{bars}

## Every library

*: a quarter of the queries moved out to 2.5 times its distance. inf: a density of 0 where there is one.

{big}

## The planner

{plans}

Its words on the data that one grid does not serve:

{words}

## Left out

- d ≥ 5 with n = m = 1e6: 1e12 pairs, most of them near; no library here has less to do than visit them.
- KDEpy's FFTKDE beyond 3 columns (its grid grows as kᵈ), and at the queries themselves: it answers on a grid,
  so a linear interpolation from 2¹⁴, 512² or 64³ points is timed and judged with it; likewise statsmodels'
  KDEUnivariate, by FFT on 2¹⁴ points. Both fit anew in every call, which is what their speed consists in.
- KDEpy's NaiveKDE (slower than its TreeKDE). KDEpy adds 2e-16 to every density, and TreeKDE leaves out bumps
  below its default of 1e-3 of their height: hence their errors in the tails.
- scikit-learn with breadth_first=False: 3 to 8 times slower than its default up to 3 columns, the same above.
- Several processes for the peers: none offers them.
"""


def page(store: Store, command: str, longest: float) -> str:
    """The whole page."""
    packages = ("scikit-learn", "KDEpy", "statsmodels", "finufft", "mpmath")
    word = {True: "yes", False: "**no**", None: "–"}
    return PAGE.format(
        command=command,
        made=" / ".join(sorted({f"{part['machine']}; pofx at {part['commit']}" for part in store.values()})),
        versions=", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages),
        longest=longest,
        probes=IID + LOWEST,
        lowest=LOWEST,
        bars="\n".join(f"| {a} | {b} | {c} | {word[ok]} |" for a, b, c, ok in bars(store)),
        big="\n".join(big_table(store)),
        plans="\n".join(plan_table(store)),
        words="\n".join(
            f"- {r['kind']}, {r['d']}-D, {r['n']:,}: {r['plan']['text']}" for r in records_of(store, "heavy")
        ),
    )


# ---------------------------------------------------------------- the picture

STYLES = {  # the colours of Okabe and Ito
    "pofx": ("#000000", "o", "-", "pofx (rtol 1e-6)"),
    "pofx rtol=0": ("#F0E442", "s", "-", "pofx (rtol 0)"),
    "scikit-learn": ("#D55E00", "v", "-", "scikit-learn (rtol 1e-4; from d = 5 on: 0)"),
    "scipy": ("#0072B2", "^", "-", "scipy gaussian_kde"),
    "statsmodels KDEMultivariate": ("#CC79A7", "D", "-", "statsmodels KDEMultivariate"),
    "KDEpy TreeKDE": ("#E69F00", "P", "-", "KDEpy TreeKDE"),
    "KDEpy FFTKDE": ("#009E73", "X", ":", "KDEpy FFTKDE, interpolated"),
    "statsmodels KDEUnivariate": ("#56B4E9", "*", ":", "statsmodels KDEUnivariate, interpolated"),
}


def picture(store: Store, path: Path) -> None:
    """Seconds against n, a panel per dimension, a line per library; hollow marks are estimates."""
    if not records_of(store, *(f"speed{d}" for d in DIMENSIONS)):
        return
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    def style(name: str) -> dict[str, Any]:
        colour, mark, dash, _ = STYLES[name]
        edge = "#000000" if name.startswith("pofx") else colour
        line = {"linewidth": 3.2 if name == "pofx" else 1.5, "linestyle": dash}
        return line | {"color": colour, "marker": mark, "markeredgecolor": edge, "markersize": 6}

    figure, panels = plt.subplots(2, 3, figsize=(11, 7.6), sharex=True, sharey=True, layout="constrained")
    for d, panel in zip(DIMENSIONS, panels.flat, strict=True):
        for name in reversed(STYLES):
            names = (TOLERANT, EXACT) if name == "scikit-learn" else (name,)
            own = [r for r in records_of(store, f"speed{d}") if r["library"] in names]
            over = 4 + (name == "pofx rtol=0") if name.startswith("pofx") else 2
            look = style(name) | {"zorder": over}
            panel.plot([r["n"] for r in own], [r["call_s"] for r in own], **look | {"marker": ""})
            for r in own:
                fill = look["color"] if r["asked"] == r["m"] else "white"
                panel.plot(r["n"], r["call_s"], **look | {"linestyle": "", "markerfacecolor": fill})
        panel.set(xscale="log", yscale="log")
        panel.set_title(f"d = {d}", fontsize=11)
        panel.grid(color="#dddddd", linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[1]:
        panel.set_xlabel("rows n, and as many queries")
    for panel in panels[:, 0]:
        panel.set_ylabel("seconds for all queries")
    keys: list[Any] = [Line2D([], [], label=STYLES[name][3], **style(name)) for name in STYLES]
    keys.append(Line2D([], [], color="#555555", marker="o", linestyle="", markerfacecolor="white"))
    keys[-1].set_label("hollow: estimated from some queries")
    figure.legend(handles=keys, loc="outside lower center", ncols=3, frameon=False, fontsize=9.5)
    figure.savefig(path, dpi=150)
    plt.close(figure)
