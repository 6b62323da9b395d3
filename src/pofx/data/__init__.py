"""From bytes to rows: the only part of pofx that reads files."""

from pofx.data.read import read
from pofx.data.table import Table

__all__ = ["Table", "read"]
