"""How a page of pofx looks: its style sheet, its numbers, its smallest pictures."""

from __future__ import annotations

import math
import re
from html import escape

from pofx.evaluate.compare import Entry

__all__ = [
    "CSS",
    "MARK",
    "MOST_POINTS",
    "Whiskers",
    "label",
    "minus",
    "number",
    "number_in_words",
    "pm",
    "short",
    "text",
]

MOST_POINTS = 2_000  # rows, above which only aggregates are drawn
MOST_TEXT = 2_000  # characters of one paragraph: names in it may be of any length

# By this a file is known as ours, and may be replaced by a newer report.
MARK = '<meta name="generator" content="pofx report">'

# Readable on a phone, on paper and in the dark; without it the page is plain headings, tables and lists.
CSS = """
:root { --ink: #1f2933; --muted: #5c6874; --line: #e1e6eb; --paper: #ffffff; --ground: #f6f7f9;
        --accent: #0b62a8; --r95: #e3eef8; --good: #12714b; --good-ground: #dcf3e7; --fair: #7a5200;
        --fair-ground: #fdf0d2; --bad: #a02c1c; --bad-ground: #fbe1dc; --more: #d9641c; --less: #3b7fc4;
        color-scheme: light dark; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
       font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans",
         sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2.2rem 1.4rem 4rem; }
h1, h2, h3, p, li, td, th { overflow-wrap: anywhere; }
h1 { font-size: 1.85rem; line-height: 1.2; margin: 0 0 .35rem; letter-spacing: -.015em; }
h2 { font-size: 1.18rem; margin: 2.7rem 0 .8rem; letter-spacing: -.005em; }
h3 { font-size: 1.02rem; margin: 0 0 .7rem; }
header p { margin: 0; color: var(--muted); font-size: .92rem; }
p { margin: 0 0 .6rem; }
a { color: inherit; text-decoration-color: var(--line); text-underline-offset: .18em; }
ul, ol { margin: .6rem 0; padding-left: 1.3rem; font-size: .93rem; }
li { margin: .35rem 0; }
small { font-size: .84em; color: var(--muted); font-weight: 400; }
.verdict, .card, .sheet { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; }
.verdict { margin: 1.5rem 0 0; padding: 1.1rem 1.35rem; border-left: 5px solid var(--good); }
.verdict.is-usable { border-left-color: var(--fair); }
.verdict.is-fails { border-left-color: var(--bad); }
.verdict .lead { font-size: 1.14rem; line-height: 1.45; font-weight: 600; }
.verdict p { font-size: .97rem; }
.verdict p:last-child, .card p:last-child { margin-bottom: 0; }
.sheet { padding: .2rem .4rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .5rem .6rem; text-align: left; vertical-align: middle; }
thead th { color: var(--muted); font-weight: 600; font-size: .84rem; line-height: 1.35;
           vertical-align: bottom; overflow-wrap: normal; }
tbody tr { border-top: 1px solid var(--line); }
tbody th { font-weight: 600; }
.sheet tbody th { min-width: 9.6rem; }
.n { text-align: right; }
td.n { white-space: nowrap; }
td.n .why { white-space: normal; display: inline-block; max-width: 15rem; }
.why { color: var(--muted); font-size: .87rem; }
.badge { display: inline-block; margin-left: .3rem; padding: .02rem .55rem; border-radius: 99px;
         font-size: .76rem; font-weight: 600; white-space: nowrap; }
.good { color: var(--good); background: var(--good-ground); }
.fair { color: var(--fair); background: var(--fair-ground); }
.bad { color: var(--bad); background: var(--bad-ground); }
.plain { color: var(--muted); background: var(--ground); border: 1px solid var(--line); }
.whisker { width: 130px; max-width: 100%; height: 18px; display: block; }
.whisker .zero { stroke: var(--line); stroke-width: 1.5; }
.whisker .se2 { stroke: var(--accent); stroke-width: 1.2; opacity: .55; }
.whisker .se1 { stroke: var(--accent); stroke-width: 3.4; opacity: .55; }
.whisker circle { fill: var(--accent); }
.findings { list-style: none; padding: 0; }
.findings li { padding: .55rem 0; margin: 0; border-top: 1px solid var(--line); }
.findings li:first-child { border-top: 0; }
.findings .badge { margin: 0 .4rem 0 0; }
.findings .why { display: block; margin-top: .15rem; }
.card { padding: 1.05rem 1.25rem; margin: 0 0 1rem; break-inside: avoid; }
.card > p { font-size: .95rem; }
.card > p.why { font-size: .87rem; }
.own { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 2fr); gap: 1.2rem; margin-top: .9rem; }
.own.table { grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); }
.own > * { min-width: 0; }
.own p { margin-bottom: .4rem; }
table.small { font-size: .82rem; align-self: start; }
table.small th, table.small td { padding: .22rem .4rem; overflow-wrap: normal; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .3rem 1.2rem; margin: 0;
     font-size: .9rem; }
dt { font-weight: 600; }
dd { margin: 0; color: var(--muted); }
dl + h3, ul + h3, p + h3 { margin: 1.2rem 0 .5rem; }
caption { text-align: left; color: var(--muted); font-size: .82rem; padding: 0 .5rem .2rem; }
.panels { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 1rem; margin: 0 0 .8rem; }
figure { margin: 0; min-width: 0; }
figure.two { grid-column: span 2; }
figcaption { color: var(--muted); font-size: .82rem; line-height: 1.4; margin-top: .25rem; }
.plot { display: block; width: 100%; height: auto; }
.plot text { font-size: 11px; fill: var(--muted); }
.plot .name { fill: var(--ink); font-size: 11.5px; }
.plot .ground { fill: var(--paper); }
.plot .axis { fill: none; stroke: var(--line); stroke-width: 1; }
.plot .region { fill: var(--accent); fill-opacity: .13; stroke: var(--accent); stroke-width: 1;
                stroke-opacity: .75; fill-rule: evenodd; }
.plot .dots { fill: none; stroke: var(--ink); stroke-width: 3; stroke-linecap: round; stroke-opacity: .5; }
.plot .dots.many { stroke-width: 2.1; stroke-opacity: .34; }
.plot .rug { fill: none; stroke: var(--ink); stroke-width: .8; stroke-opacity: .45; }
.plot .count { fill: var(--ink); }
.plot .bars { fill: var(--muted); fill-opacity: .32; stroke: var(--paper); stroke-width: .5; }
.plot .area { fill: var(--accent); fill-opacity: .16; }
.plot .curve { fill: none; stroke: var(--accent); stroke-width: 1.9; stroke-linejoin: round; }
.plot .curve.context { stroke: var(--muted); stroke-width: 1; }
.plot .band { fill: var(--accent); fill-opacity: .14; }
.plot .more1 { fill: var(--more); fill-opacity: .25; } .plot .less1 { fill: var(--less); fill-opacity: .25; }
.plot .more2 { fill: var(--more); fill-opacity: .55; } .plot .less2 { fill: var(--less); fill-opacity: .55; }
.plot .more3 { fill: var(--more); fill-opacity: 1; } .plot .less3 { fill: var(--less); fill-opacity: 1; }
details { margin-top: .8rem; }
summary { cursor: pointer; font-size: .93rem; }
details > .sheet { margin-top: .6rem; }
.steps { list-style: none; padding: 0; }
.steps li { margin: .7rem 0; }
code, pre { font: .87rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.how code { background: var(--paper); border: 1px solid var(--line); border-radius: 5px;
       padding: .05rem .35rem; overflow-wrap: anywhere; }
pre { margin: .25rem 0 0; padding: .5rem .8rem; background: var(--paper); border: 1px solid var(--line);
      border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere; }
.how { color: var(--muted); font-size: .92rem; }
@media screen and (max-width: 46rem) {
  main { padding: 1.4rem .8rem 3rem; }
  .panels, .own, .own.table, dl { grid-template-columns: minmax(0, 1fr); }
  figure.two { grid-column: auto; }
  .wide-only { display: none; }
  .sheet tbody th { min-width: 0; }
  th, td { padding: .45rem .35rem; }
  table { font-size: .84rem; }
  td.n { white-space: normal; }
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaef; --muted: #9aa7b4; --line: #323a43; --paper: #1b2127; --ground: #14181d;
          --accent: #6cb2ee; --good: #7fdcb1; --good-ground: #173a2b; --fair: #f2cf83; --fair-ground: #3d3216;
          --bad: #f3a496; --bad-ground: #44211b; --more: #f08a45; --less: #5aa0e6; }
}
@media print {
  details::details-content { content-visibility: visible; display: block; block-size: auto; }
  :root { --ink: #1f2933; --muted: #4c5660; --line: #c9d1d9; --paper: #ffffff; --ground: #ffffff;
          --accent: #0b62a8; --good: #12714b; --bad: #a02c1c; --fair: #7a5200; --more: #d9641c;
          --less: #3b7fc4; --good-ground: #dcf3e7; --fair-ground: #fdf0d2; --bad-ground: #fbe1dc; }
  main { max-width: none; padding: 0; }
  body { font-size: 11px; }
  h2, h3, summary { break-after: avoid; }
  figure, tr, .findings li, .steps li { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""


def minus(text: str) -> str:
    """Give negative numbers the sign that is as wide as a plus; names with hyphens keep theirs."""
    return re.sub(r"(?<![\w.])-(?=\d)", "−", text)


def text(words: str) -> str:
    """Return words as HTML: escaped, with minus signs, and of bounded length."""
    return escape(minus(short(words, MOST_TEXT)))


def short(words: str, most: int = 60) -> str:
    """Return words with the middle left out where they are too long."""
    return words if len(words) <= most else f"{words[: most - 16]}…{words[-15:]}"


def label(name: str, most: int = 60) -> str:
    """Return a name as it stands in the page: of bounded length, without control characters."""
    return short("".join(c if c.isprintable() else " " for c in name), most)


def number_in_words(value: float, width: float) -> str:
    """Return a number with as many digits as a place known to ``width`` has; three for 0."""
    if width > 0.0:
        places = max(0, -math.floor(math.log10(width)))
        if places < 9 and abs(value) < 1e7:
            return minus(f"{round(value, places) + 0.0:,.{places}f}")  # + 0.0: no -0
    return minus(f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value + 0.0:.3g}")


def number(value: float) -> str:
    """Return three decimals, or an infinity."""
    if math.isinf(value):
        return "−inf" if value < 0 else "inf"
    return f"{value:.3f}".replace("-", "−")


def pm(value: float, doubt: float) -> str:
    """Return a number with its standard error, where that is finite."""
    return number(value) if not math.isfinite(doubt) else f"{number(value)} <small>± {doubt:.3f}</small>"


class Whiskers:
    """Small pictures of the differences, all on one scale that ends at the leader."""

    wide, high, pad = 170.0, 18.0, 8.0

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
            line += (
                f'<line class="se{k}" {ends} y1="{y}" y2="{y}" stroke="#0b62a8" stroke-width="{5 - 2 * k}"/>'
            )
        ends = f'x1="{self.at(0)}" x2="{self.at(0)}" y1="0" y2="{self.high}"'
        zero = f'<line class="zero" {ends} stroke="#999"/>'
        return (
            f'<svg class="whisker" viewBox="0 0 {self.wide:g} {self.high:g}" width="{self.wide:g}" '
            f'height="{self.high:g}" aria-hidden="true">{zero}{line}'
            f'<circle cx="{self.at(gap)}" cy="{y}" r="3.4"/></svg>'
        )
