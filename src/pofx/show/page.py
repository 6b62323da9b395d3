"""How a page of pofx looks: its style sheet, its numbers, its smallest pictures."""

from __future__ import annotations

import math
import re

from pofx.evaluate.compare import Entry

__all__ = ["CSS", "MARK", "Whiskers", "minus", "number", "pm"]

# By this a file is known as ours, and may be replaced by a newer report.
MARK = '<meta name="generator" content="pofx report">'

# Readable on a phone, on paper and in the dark.
CSS = """
:root { --ink: #1f2933; --muted: #66727f; --line: #e3e7ec; --paper: #ffffff; --ground: #f7f8fa;
        --accent: #0b62a8; --good: #12714b; --good-ground: #dcf3e7; --fair: #7a5200; --fair-ground: #fdf0d2;
        --bad: #a02c1c; --bad-ground: #fbe1dc; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
       font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans",
         sans-serif; }
main { max-width: 58rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .35rem; letter-spacing: -.015em;
     overflow-wrap: anywhere; }
h2 { font-size: 1.12rem; margin: 2.6rem 0 .8rem; }
header p { margin: 0; color: var(--muted); font-size: .92rem; }
p { margin: 0 0 .6rem; }
ul, ol { margin: .6rem 0; padding-left: 1.3rem; font-size: .93rem; }
li { margin: .3rem 0; }
small { font-size: .82em; color: var(--muted); font-weight: 400; }
.verdict { margin: 1.6rem 0 0; padding: 1.1rem 1.3rem; background: var(--paper);
           border: 1px solid var(--line); border-left: 5px solid var(--good); border-radius: 8px;
           font-size: 1.05rem; }
.verdict p + p, .verdict ul { color: var(--muted); font-size: .92rem; }
.verdict p:last-child { margin: 0; }
.wide { overflow-x: auto; background: var(--paper); border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; font-variant-numeric: tabular-nums; }
th, td { padding: .55rem .75rem; text-align: left; vertical-align: middle; white-space: nowrap; }
thead th { color: var(--muted); font-weight: 600; font-size: .85rem; vertical-align: bottom; }
tbody tr { border-top: 1px solid var(--line); }
tbody th { font-weight: 600; }
.n { text-align: right; }
.why { color: var(--muted); font-size: .85rem; white-space: normal; }
.badge { display: inline-block; margin-left: .4rem; padding: .02rem .55rem; border-radius: 99px;
         font-size: .76rem; font-weight: 600; }
.good { color: var(--good); background: var(--good-ground); }
.fair { color: var(--fair); background: var(--fair-ground); }
.bad { color: var(--bad); background: var(--bad-ground); }
.whisker { width: 180px; height: 18px; display: block; }
.whisker .zero { stroke: var(--line); stroke-width: 1.5; }
.whisker .se2 { stroke: var(--accent); stroke-width: 1.2; opacity: .55; }
.whisker .se1 { stroke: var(--accent); stroke-width: 3.4; opacity: .55; }
.whisker circle { fill: var(--accent); }
figure { margin: 0; padding: 1rem 1.2rem 1.1rem; background: #fff; border: 1px solid var(--line);
         border-radius: 8px; }
figure svg { display: block; width: 100%; height: auto; }
figure svg text { font-family: inherit !important; }
figcaption { color: #66727f; font-size: .88rem; margin-top: .5rem; }
code { font: .88em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
       background: var(--paper); border: 1px solid var(--line); border-radius: 5px; padding: .1rem .4rem;
       overflow-wrap: anywhere; }
details { margin-top: 2.6rem; color: var(--muted); font-size: .93rem; }
summary { font-size: 1.12rem; font-weight: 700; color: var(--ink); cursor: pointer; margin-bottom: .6rem; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaef; --muted: #9aa7b4; --line: #323a43; --paper: #1b2127; --ground: #14181d;
          --accent: #6cb2ee; --good: #7fdcb1; --good-ground: #173a2b; --fair: #f2cf83; --fair-ground: #3d3216;
          --bad: #f3a496; --bad-ground: #44211b; }
}
@media print { body { background: #fff; } main { max-width: none; padding: 0; }
  figure, .wide, .verdict { margin: 1.6rem 0 0; padding: 1.1rem 1.3rem; background: var(--paper);
           border: 1px solid var(--line); border-left: 5px solid var(--good); border-radius: 8px;
           font-size: 1.05rem; } }
"""


def minus(text: str) -> str:
    """Give negative numbers the sign that is as wide as a plus; names with hyphens keep theirs."""
    return re.sub(r"(?<![\w.])-(?=\d)", "−", text)


def number(value: float) -> str:
    """Return three decimals, or an infinity."""
    if math.isinf(value):
        return "−∞" if value < 0 else "∞"
    return f"{value:.3f}".replace("-", "−")


def pm(value: float, doubt: float) -> str:
    """Return a number with its standard error, where that is finite."""
    return number(value) if not math.isfinite(doubt) else f"{number(value)} <small>± {doubt:.3f}</small>"


class Whiskers:
    """Small pictures of the differences, all on one scale that ends at the leader."""

    wide, high, pad = 180.0, 18.0, 8.0

    def __init__(self, table: tuple[Entry, ...]) -> None:
        ends = [e.difference - 2 * e.difference_error for e in table if math.isfinite(e.difference_error)]
        tops = [e.difference + 2 * e.difference_error for e in table if math.isfinite(e.difference_error)]
        self.low, self.top = min(ends, default=0.0), max([0.0, *tops])
        self.span = (self.top - self.low) or 1.0

    def at(self, value: float) -> float:
        """Return where a difference lies, in pixels."""
        return round(self.pad + (value - self.low) / self.span * (self.wide - 2 * self.pad), 1)

    def draw(self, entry: Entry) -> str:
        """Return a dot with bars of one and two standard errors, as SVG."""
        if not math.isfinite(entry.difference_error):
            return ""
        y, gap, doubt = self.high / 2, entry.difference, entry.difference_error
        line = ""
        for k in (2, 1) if doubt else ():
            ends = f'x1="{self.at(gap - k * doubt)}" x2="{self.at(gap + k * doubt)}"'
            line += f'<line class="se{k}" {ends} y1="{y}" y2="{y}"/>'
        zero = f'<line class="zero" x1="{self.at(0)}" x2="{self.at(0)}" y1="0" y2="{self.high}"/>'
        return (
            f'<svg class="whisker" viewBox="0 0 {self.wide:g} {self.high:g}" aria-hidden="true">{zero}{line}'
            f'<circle cx="{self.at(gap)}" cy="{y}" r="3.4"/></svg>'
        )
