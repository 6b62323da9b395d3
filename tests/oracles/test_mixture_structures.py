"""No cell of mclust's tables is likelier than ours, and no structure less likely than its special cases.

The numbers are BIC values of R 4.2.2, mclust 6.0.0, negated (smaller is better), for 2, 3 and 4 components.
The same structure and number of components may do better, never worse; all 42 of each are regular optima.
"""

from __future__ import annotations

import numpy as np
import pytest

import pofx
from pofx.models.mixture.structures import STRUCTURES, structure

MCLUST = {
    "faithful": {
        "EII": [3452.998452, 3377.701344, 3230.263639],
        "VII": [3458.304986, 3336.597954, 3242.825967],
        "EEI": [2354.600644, 2323.014411, 2323.672591],
        "VEI": [2350.606810, 2332.686501, 2331.284342],
        "EVI": [2352.617554, 2332.204761, 2334.749266],
        "VVI": [2346.064924, 2342.365809, 2343.486144],
        "EEE": [2325.219937, 2314.316296, 2331.222561],
        "VEE": [2322.971928, 2322.103490, 2340.172594],
        "EVE": [2324.272741, 2342.318710, 2361.821198],
        "VVE": [2320.432980, 2336.271035, 2362.486760],
        "EEV": [2329.115443, 2325.321742, 2351.522805],
        "VEV": [2325.416446, 2329.648259, 2361.084086],
        "EVV": [2327.597829, 2339.983073, 2344.686224],
        "VVV": [2322.191959, 2349.696256, 2351.493229],
    },
    "iris": {
        "EII": [1123.411741, 878.764986, 893.614046],
        "VII": [1012.235180, 853.814407, 812.604758],
        "EEI": [1042.967917, 813.050433, 827.403612],
        "VEI": [956.282269, 779.156560, 748.452882],
        "EVI": [1007.308224, 797.834201, 837.545168],
        "VVI": [857.551494, 744.638183, 751.019770],
        "EEE": [688.097220, 632.964732, 646.025763],
        "VEE": [656.327006, 605.398248, 604.837147],
        "EVE": [657.226280, 666.549150, 705.543478],
        "VVE": [605.184094, 636.425867, 639.707803],
        "EEV": [644.599699, 644.781018, 699.868417],
        "VEV": [561.728462, 562.552237, 602.010383],
        "EVV": [658.330631, 656.035936, 725.292489],
        "VVV": [574.017832, 580.839630, 630.599959],
    },
}
COLUMNS = {"faithful": (1, 2), "iris": (1, 2, 3, 4)}
CHOSEN = {"faithful": ("tied", 3), "iris": ("VEV", 2)}  # mclust's choices too


@pytest.fixture(scope="module", params=sorted(MCLUST))
def searched(request, root):
    path = root / "examples" / f"{request.param}.csv"
    x = np.loadtxt(path, delimiter=",", skiprows=1, usecols=COLUMNS[request.param])
    return request.param, len(x), pofx.GaussianMixture(range(1, 5), covariance_type="all").fit(x)


def test_every_cell_is_as_likely_as_mclusts(searched):
    name, n, model = searched
    table = {(row["covariance_type"], row["n_components"]): row for row in model.fit_.search}
    assert len(table) == 56
    for letters, values in MCLUST[name].items():
        for k, bic in enumerate(values, start=2):
            row = table[structure(letters).name, k]
            theirs = 0.5 * (row["n_parameters"] * np.log(n) - bic)
            assert row["regular"], (letters, k)
            assert row["log_likelihood"] >= theirs - 1e-3, (letters, k)
    assert (model.covariance_type_, model.n_components_) == CHOSEN[name]


def test_the_table_is_nesting_safe(searched):
    _, _, model = searched
    found = {
        (structure(row["covariance_type"]), row["n_components"]): row["log_likelihood"]
        for row in model.fit_.search
        if row["regular"]
    }
    assert len(found) == 56
    for (s, k), value in found.items():
        assert value >= found.get((s, k - 1), -np.inf) - 1e-9, (s, k)
        for special in STRUCTURES:
            if s.contains(special):
                assert value >= found[special, k] - 1e-9, (s, special, k)
