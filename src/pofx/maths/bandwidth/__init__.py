r"""Bandwidth rules: how wide a kernel to put on every row, from the rows themselves.

Every rule gives one bandwidth per column: the standard deviation of the kernel, in the units of the
column. With n = Σw rows in d columns, column sd σ_j (n - 1 in the divisor) and interquartile range IQR_j:

================  =====================================================================================
scott             σ_j n^(-1/(d+4))                                                  (Scott 1992)
silverman         0.9 c_d min(σ_j, IQR_j/1.34) n^(-1/(d+4)),
                  c_d = (4/(d+2))^(1/(d+4)) / (4/3)^(1/5); R's ``bw.nrd0`` in 1-D   (Silverman 1986)
normal_reference  the same with 1.06 for 0.9; R's ``bw.nrd`` in 1-D                 (Scott 1992)
isj               the improved Sheather-Jones plug-in of each column alone, times
                  n^(1/5 - 1/(d+4)) for the rate that d columns need   (Botev, Grotowski, Kroese 2010)
================  =====================================================================================

Where IQR_j = 0, as on heavily tied data, R's ``bw.nrd0`` falls back to σ_j and so do both rules here
(R's ``bw.nrd`` then returns 0). R goes on to |x_1| and 1 when σ_j = 0 as well; those numbers are artefacts
of the origin and the units, so a constant column is left to the caller to refuse.

The rules were derived for the Gaussian kernel. Other kernels *of the same standard deviation* have a best
bandwidth within a few per cent of the Gaussian's for smooth densities, so no factor is applied.

References
----------
D. W. Scott, *Multivariate Density Estimation*, Wiley 1992, section 6.5.
B. W. Silverman, *Density Estimation for Statistics and Data Analysis*, Chapman & Hall 1986, 3.4 and 4.3.
Z. I. Botev, J. F. Grotowski and D. P. Kroese, Kernel density estimation via diffusion, *Annals of
Statistics* 38 (2010) 2916-2957.
A. Akinshin, Weighted quantile estimators, 2023 (arXiv:2304.07265): quantiles with fractional weights.
"""

from __future__ import annotations

from pofx.maths.bandwidth.auto import Auto, LeastSquaresCV
from pofx.maths.bandwidth.cross_validation_1d import BiasedCV
from pofx.maths.bandwidth.isj import ImprovedSheatherJones
from pofx.maths.bandwidth.likelihood_cv import LikelihoodCV
from pofx.maths.bandwidth.normal_scale import NormalScale
from pofx.maths.bandwidth.plug_in import PlugIn, PlugInDiagonal
from pofx.maths.bandwidth.reference import NormalReference, Scott, Silverman
from pofx.maths.bandwidth.rule import Choice, Rule
from pofx.maths.bandwidth.scales import tie_step, weighted_quantile, weighted_sd
from pofx.maths.bandwidth.sheather_jones import DirectPlugIn, SheatherJones
from pofx.maths.bandwidth.smoothed_cv import SmoothedCV, SmoothedCVDiagonal
from pofx.validation import one_of

__all__ = [
    "RULES",
    "Auto",
    "BiasedCV",
    "Choice",
    "DirectPlugIn",
    "ImprovedSheatherJones",
    "LeastSquaresCV",
    "LikelihoodCV",
    "NormalReference",
    "NormalScale",
    "PlugIn",
    "PlugInDiagonal",
    "Rule",
    "Scott",
    "SheatherJones",
    "Silverman",
    "SmoothedCV",
    "SmoothedCVDiagonal",
    "rule_named",
    "tie_step",
    "weighted_quantile",
    "weighted_sd",
]

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Auto(),
        Scott(),
        Silverman(),
        NormalReference(),
        NormalScale(),
        SheatherJones(),
        DirectPlugIn(),
        ImprovedSheatherJones(),
        PlugIn(),
        PlugInDiagonal(),
        SmoothedCV(),
        SmoothedCVDiagonal(),
        LeastSquaresCV(),
        BiasedCV(),
        LikelihoodCV(),
    )
}
"""The bandwidth rules by their short names."""


def rule_named(rule: str | Rule) -> Rule:
    """Return the rule of this name (ParameterError for a word that is none); a rule is returned as it is."""
    return rule if isinstance(rule, Rule) else RULES[one_of(rule, "bandwidth", RULES)]
