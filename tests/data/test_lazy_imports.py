"""Plain arrays and files need none of the DataFrame libraries."""

import subprocess
import sys

HEAVY = ("narwhals", "pandas", "polars", "pyarrow", "sklearn", "scipy.stats", "matplotlib")


def test_arrays_and_csv_import_no_dataframe_library(faithful):
    code = f"""
import sys, numpy
from pofx.data import read
from pofx.validation import rows_to_fit, rows_to_query
rows = rows_to_fit(read({str(faithful)!r}))
rows_to_query(numpy.ones((2, 2)), rows_to_fit(rows.values).columns, who="Model")
print([name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
