"""The command line: ``pofx diagnose | fit | check | differ | compare | sample | score | plot | report``.

Data go to standard output or to ``-o``, everything else to standard error. A file that exists is replaced
only with ``--force``. Exit codes: 0 done; 1 done, but the answer is "no" (``check``, ``differ``, or any verb
under ``--strict``); 2 wrong use; 3 input that cannot be read or does not fit, or output that cannot be
written; 4 a fit did not converge, under ``--strict``; 5 an optional part is missing; 70 a defect of pofx; 130
interrupted. Nothing heavy is imported before a verb runs.
"""

from __future__ import annotations

from pofx.cli.run import main, pofx

__all__ = ["main", "pofx"]
