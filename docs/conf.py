"""How Sphinx builds the site: `python3 go.py docs`. Nothing is fetched, by the build or by its pages."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT / "src"), str(HERE / "_site")]

import gallery  # noqa: E402
import links  # noqa: E402
import reference  # noqa: E402

import pofx  # noqa: E402

project = "pofx"
author = "the pofx authors"
copyright = author
release = version = pofx.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = ["_site", "_static"]
nitpicky = False

# ---------------------------------------------------------------- pages that run

nb_execution_mode = "force"  # every cell, at every build; nothing is cached
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True
# Kernels start at the root of the checkout, so that "examples/faithful.csv" is what a reader would write.
os.environ["IPYTHONDIR"] = str(ROOT / "build" / "docs" / "ipython")
os.environ["MATPLOTLIBRC"] = str(HERE / "_site" / "matplotlibrc")
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
)
startup = Path(os.environ["IPYTHONDIR"], "profile_default", "startup", "00-root.py")
startup.parent.mkdir(parents=True, exist_ok=True)
startup.write_text(f"import os\nos.chdir({str(ROOT)!r})\ndel os\n", encoding="utf-8")

# ---------------------------------------------------------------- words and formulas

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["misc.highlighting_failure"]
# MathJax 3.2.2 is in _static with its fonts: the menu would offer parts that are not.
mathjax_path = "mathjax/tex-chtml.js"
mathjax3_config = {
    "options": {"enableMenu": False},
    "chtml": {"scale": 1.0, "mtextInheritFont": True},
}

# ---------------------------------------------------------------- the reference

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # types stand in the docstrings, in words
autodoc_class_signature = "mixed"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

# ---------------------------------------------------------------- how it looks

html_theme = "furo"
html_title = "pofx"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "footer_icons": [],
    "light_css_variables": {"color-brand-primary": "#1f5fa8", "color-brand-content": "#1f5fa8"},
    "dark_css_variables": {"color-brand-primary": "#86b7f0", "color-brand-content": "#86b7f0"},
}


def setup(app):
    """Write the pages that are made of docstrings and of measured tables."""
    reference.write(HERE / "api")
    links.copy_tables(ROOT / "benchmarks" / "results", HERE / "measured")
    app.connect("source-read", links.to_tables)
    gallery.register(app)
