"""The result of a check: curves, tests, sentences and the verdict, and its other forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from ..maths.energy import Energy
from .classifier import Told
from .curves import CalibrationCurve, p_text, percent
from .extras import Extras
from .frames import framed
from .mass import Mass
from .memory import Memorisation
from .verdict import RULE, Rule, Verdict, verdict_of

__all__ = ["SCHEMA", "TALE", "Check"]

SCHEMA = "pofx.check/2"

TALE = {
    "known": "The density was given, not fitted here, so this is a test. It is valid if the density was "
    "fixed without these rows.",
    "new": "The rows are taken to be new to the model. The test is of this very density, errors of its fit "
    "included: with as many new rows as it was fitted to, a right family fails it more often than 2 % "
    "(5.5 % for a Gaussian of two columns and 1,000 rows). If the model has seen these rows, say "
    "new=False.",
    "family": "The model was fitted to these rows, so what is tested is its family, with everything that the "
    "fit chose from data held: samples drawn from the fit and fitted again show what fitting does to every "
    "curve, and the rows are held against them (parametric bootstrap).",
    "seen": "The model was fitted to these rows, so clones of it were fitted in folds and each row was "
    "judged by one that had not seen it. This is no test: refits follow the rows, so a right model hardly "
    "ever leaves these bands and staying inside proves little, while leaving them is serious. Read the gaps "
    "as sizes; a p-value needs new rows.",
    "unknown": "Whether the model has seen these rows cannot be told, because its fit cannot be repeated. It "
    "was judged as it is, which flatters it if it has seen them. Say new=True or new=False.",
}


@dataclass(frozen=True, eq=False, repr=False)
class Check:
    """The result of :func:`check`.

    Attributes
    ----------
    columns : tuple of CalibrationCurve
        One per column.
    rank : CalibrationCurve or None
        Of log p(x) among the model's own draws; None for a model without a density.
    energy : Energy or None
        Rows against draws in all columns together; None in a single column.
    told : Told or None
        A classifier between rows and draws: its AUC, which rows it tells apart and where they lie; None for
        fewer than 50 rows.
    mass : Mass or None
        The total mass of a density made elsewhere; None for our own, which are held to one by a law.
    case : {"known", "new", "family", "seen", "unknown"}
        What the model has seen of the rows; :attr:`case_sentence` says what follows from it.
    n, n_given : int
        Rows judged, and rows that came (after dropping); fewer are judged where there are very many.
    folds, samples, draws : int
        Refits in folds, samples drawn from the fit and fitted again (0 where there were none), and draws of
        the model.
    level : float
        Everything together holds for the truth with probability ``1 - level``.
    p_values : dict of float
        Of the families of tests: "columns" (all of them), "rank", "energy" and "classifier"; empty where
        there is no test.
    memory : Memorisation or None
        Whether the model's draws are copies of the rows that it was fitted to, where these were given.
    extras : Extras or None
        Further comparisons, where they were asked for; they have no part in the verdict.
    overlap : float or None
        The mean probability that a row belongs to another component than its likeliest.
    rule : Rule
        What the words of the verdict mean.
    notes : tuple of str
        What else a reader should know.
    """

    model: str
    columns: tuple[CalibrationCurve, ...]
    rank: CalibrationCurve | None
    energy: Energy | None
    told: Told | None
    mass: Mass | None
    case: str
    n: int
    n_given: int
    folds: int
    samples: int
    draws: int
    level: float
    p_values: Mapping[str, float]
    overlap: float | None
    notes: tuple[str, ...]
    random_state: Any
    rule: Rule = RULE
    memory: Memorisation | None = None
    extras: Extras | None = None

    @property
    def curves(self) -> tuple[CalibrationCurve, ...]:
        """All curves, the rank curve last."""
        return self.columns if self.rank is None else (*self.columns, self.rank)

    @property
    def passed(self) -> bool:
        """Whether nothing was found that chance would not explain: every curve inside its band, energy
        distance and AUC below their limits, and a mass of one, if the density is not ours."""
        return (
            not self.curves_outside
            and self.together
            and not self.told_apart
            and (self.mass is None or self.mass.is_one)
            and not self.copies
        )

    @property
    def copies(self) -> bool:
        """Whether the model's draws are copies of its training rows, beyond what ties and a fit explain."""
        return self.memory is not None and self.memory.copied

    @property
    def together(self) -> bool:
        """Whether rows and draws, as two samples, differ no more than chance would explain."""
        return self.energy is None or _within(self.energy.share, self.energy.limit)

    @property
    def told_apart(self) -> bool:
        """Whether a classifier tells rows from draws better than chance would explain."""
        return self.told is not None and not _within(self.told.auc, self.told.limit)

    @property
    def p_value(self) -> float | None:
        """Of all families of tests together (Bonferroni); None where there is no test."""
        if not self.p_values:
            return None
        return min(1.0, len(self.p_values) * min(self.p_values.values()))

    @property
    def verdict(self) -> Verdict:
        """One word, "good", "usable" or "fails", with the numbers that it rests on."""
        return verdict_of(self, self.rule)

    @property
    def curves_outside(self) -> int:
        """How many curves leave their bands."""
        return sum(not curve.inside for curve in self.curves)

    @property
    def worst(self) -> CalibrationCurve:
        """The curve to look at: the one that leaves its band with the largest gap, else the largest gap."""
        return max(self.curves, key=lambda curve: (not curve.inside, abs(curve.gap)))

    @property
    def sentence(self) -> str:
        """The verdict: whether and where the density and the rows disagree."""
        worst, outside = self.worst, self.curves_outside
        p = "" if self.p_value is None else f" (p {p_text(self.p_value, '= ')})"
        if self.passed:
            shown, largest = (
                max(getattr(c, key) for c in self.curves) for key in ("half_width", "statistic")
            )
            return (
                f"{self.model}: nothing found that chance would not explain{p}. With {self.n:,} rows, gaps "
                f"of more than {percent(shown)} of the rows would have shown; the largest is "
                f"{percent(largest)}."
            )
        if self.mass is not None and not self.mass.is_one:
            return f"{self.model} is not what it should be: {self.mass.sentence}."
        if self.copies and self.memory is not None:
            return f"{self.model} copies rows that it was fitted to. {self.memory.sentence}"
        if not outside and self.told is not None and self.told_apart:
            return f"{self.model} does not agree with the rows{p}. {self.told_sentence}"
        if not outside and self.energy is not None:
            return f"{self.model} does not agree with the rows{p}: {self.energy_sentence}."
        rest = f"; {outside - 1} more of {len(self.curves)} curves leave their bands" if outside > 1 else ""
        return f"{self.model} does not agree with the rows{p}: {worst.sentence}{rest}."

    @property
    def energy_sentence(self) -> str:
        """Where rows and draws differ as two samples, in words; no verdict."""
        if self.energy is None:
            return ""
        more, fewer = (
            ", ".join(
                f"{curve.name} = {value + 0.0:.4g}"
                for curve, value in list(zip(self.columns, row, strict=True))[:4]
            )
            for row in (self.energy.more, self.energy.fewer)
        )
        return (
            f"in all columns together rows and draws are {percent(self.energy.share)} of the way from alike "
            f"to nothing in common (chance: up to {percent(self.energy.limit)}), with more rows than the "
            f"model expects around {more}, and fewer around {fewer}"
        )

    @property
    def told_sentence(self) -> str:
        """How well a classifier tells rows from draws, and where, in words; no verdict."""
        return "" if self.told is None else self.told.words("the data", "the model's draws")

    @property
    def case_sentence(self) -> str:
        """What the model has seen of these rows, and so what the bands mean."""
        return TALE[self.case]

    def _lines(self) -> list[tuple[str, str, str, str, str, str]]:
        head = ("curve", "largest gap", "band", "p", "", "by")
        shown = sorted(self.columns, key=lambda c: (c.inside, -c.statistic))[:12]
        shown = [curve for curve in self.columns if curve in shown] + ([self.rank] if self.rank else [])
        return (
            [head]
            + [
                (
                    curve.name,
                    percent(curve.statistic),
                    f"± {percent(curve.half_width)}",
                    "" if curve.p_value is None else p_text(curve.p_value),
                    "inside" if curve.inside else "outside",
                    curve.method,
                )
                for curve in shown
            ]
            + ([] if self.energy is None else [self._energy_line(self.energy)])
            + ([] if self.told is None else [self._told_line(self.told)])
        )

    def _told_line(self, told: Told) -> tuple[str, str, str, str, str, str]:
        p = p_text(self.p_values["classifier"]) if "classifier" in self.p_values else ""
        where = "outside" if self.told_apart else "inside"
        return "told apart", f"AUC {told.auc:.3f}", f"≤ {told.limit:.3f}", p, where, "classifier"

    def _energy_line(self, energy: Energy) -> tuple[str, str, str, str, str, str]:
        p = p_text(self.p_values["energy"]) if "energy" in self.p_values else ""
        where = "inside" if self.together else "outside"
        return (
            "all together",
            percent(energy.share),
            f"≤ {percent(energy.limit)}",
            p,
            where,
            "energy distance",
        )

    def _title(self) -> str:
        rows = f"{self.n:,} rows" if self.n == self.n_given else f"{self.n:,} of {self.n_given:,} rows"
        refits = f", refitted in {self.folds} folds" if self.folds else ""
        samples = f", {self.samples} samples of the fit fitted again" if self.samples else ""
        return f"{rows}, {self.draws:,} draws{refits}{samples}"

    def _remarks(self) -> list[str]:
        more = len(self.columns) - 12
        hidden = [f"{more} more columns with smaller gaps are not shown."] if more > 0 else []
        if self.told is not None and (self.told_apart or not self.passed):
            hidden.append(self.told_sentence)
        elif self.energy is not None and self.curves_outside:
            hidden.append(_begun(self.energy_sentence))
        if self.mass is not None and self.mass.is_one:
            hidden.append(_begun(self.mass.sentence))
        if self.memory is not None and not self.copies:
            hidden.append(self.memory.sentence)
        hidden += self.extras.sentences if self.extras is not None else []
        verdict = self.verdict
        uses = "; ".join(f"{use.name} {use.word}" for use in verdict.uses)
        return [
            *hidden,
            self.sentence,
            f"Verdict: {verdict.sentence}.{f' By use: {uses}.' if uses else ''}",
            self.case_sentence,
            *self.notes,
        ]

    def __str__(self) -> str:
        """Return the table as text: gaps in per cent of the rows."""
        lines = self._lines()
        widths = [max(len(line[i]) for line in lines) for i in range(5)]
        table = [
            "  ".join([line[0].ljust(widths[0]), *(line[i].rjust(widths[i]) for i in range(1, 5)), line[5]])
            for line in lines
        ]
        return "\n".join([self._title(), *(line.rstrip() for line in table), *self._remarks()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        names, *lines = self._lines()
        head = "".join(f"<th>{escape(cell)}</th>" for cell in names)
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines
        )
        remarks = "".join(f"<p>{escape(text)}</p>" for text in self._remarks())
        return (
            f'<div class="pofx-check"><p>{escape(self._title())}</p>'
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{remarks}</div>"
        )

    def to_frame(self, kind: str | None = None) -> Any:
        """Return the curves, the energy distance and the AUC as a DataFrame, one row each.

        Parameters
        ----------
        kind : "pandas", "polars" or "pyarrow"; by default pandas

        Raises
        ------
        MissingExtraError
            if that library is not installed.
        """
        rows: dict[str, list[Any]] = {
            key: [] for key in ("name", "statistic", "limit", "p_value", "inside", "by")
        }

        def add(*cells: Any) -> None:
            for key, cell in zip(rows, cells, strict=True):
                rows[key].append(cell)

        for curve in self.curves:
            inside, by = bool(curve.inside), curve.method
            add(curve.name, curve.statistic, curve.half_width, curve.p_value, inside, by)
        if self.energy is not None:
            p, e = self.p_values.get("energy"), self.energy
            add("all columns together", e.share, e.limit, p, self.together, "energy distance")
        if self.told is not None:
            p, t = self.p_values.get("classifier"), self.told
            add("told apart", t.auc, t.limit, p, not self.told_apart, "classifier")
        return framed(rows, kind)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data (schema pofx.check/2): numbers, or None where there is no finite one."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "passed": self.passed,
            "p_value": self.p_value,
            "p_values": dict(self.p_values),
            "verdict": self.verdict.to_dict(),
            "sentence": self.sentence,
            "case": self.case,
            "case_sentence": self.case_sentence,
            "rows": self.n_given,
            "rows_judged": self.n,
            "folds": self.folds,
            "samples": self.samples,
            "draws": self.draws,
            "level": self.level,
            "random_state": self.random_state if isinstance(self.random_state, int) else None,
            "notes": list(self.notes),
            "columns": [curve.to_dict() for curve in self.columns],
            "rank": None if self.rank is None else self.rank.to_dict(),
            "energy": self._energy_record(),
            "classifier": None
            if self.told is None
            else {**self.told.to_dict(), "sentence": self.told_sentence},
            "overlap": self.overlap,
            "memorisation": None if self.memory is None else self.memory.to_dict(),
            "extras": None if self.extras is None else self.extras.to_dict(),
            "mass": None if self.mass is None else self.mass.to_dict(),
        }

    def _energy_record(self) -> dict[str, Any] | None:
        energy = self.energy
        if energy is None:
            return None
        return {
            "share": energy.share,
            "limit": energy.limit,
            "inside": self.together,
            "p_value": self.p_values.get("energy"),
            "rows": energy.n,
            "draws": energy.m,
            "more_rows_around": energy.more.tolist(),
            "fewer_rows_around": energy.fewer.tolist(),
            "sentence": self.energy_sentence,
        }


def _within(value: float, limit: float) -> bool:
    """Whether a statistic is no more than its limit, which it may be to the last digit: ties are chance."""
    return value <= limit + 1e-12


def _begun(sentence: str) -> str:
    return f"{sentence[0].upper()}{sentence[1:]}."
