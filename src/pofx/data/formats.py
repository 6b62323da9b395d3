"""What a file is, told by its first bytes; the suffix decides nothing but is compared with them."""

from __future__ import annotations

import gzip
import warnings
import zipfile
import zlib
from dataclasses import dataclass

from pofx.data.npy_file import MAGIC
from pofx.data.places import Place
from pofx.errors import FileError, PofxWarning

# what the first bytes say a file is, and the one line that makes it readable here
_SAVE = ".to_csv('data.csv', index=False)"
_ELSEWHERE: tuple[tuple[bytes, str, str], ...] = (
    (b"FEA1", "a Feather file of version 1", f"pandas.read_feather(path){_SAVE}"),
    (b"\x89HDF", "an HDF5 file", f"pandas.read_hdf(path){_SAVE}, or h5py"),
    (b"SIMPLE  =", "a FITS file", f"astropy.table.Table.read(path).to_pandas(){_SAVE}"),
    (b"RDX", "an R workspace", 'Rscript -e \'load("FILE"); write.csv(NAME, "data.csv", row.names=FALSE)\''),
    (b"X\n\0\0", "an R object", 'Rscript -e \'write.csv(readRDS("FILE"), "data.csv", row.names=FALSE)\''),
    (b"$FL", "an SPSS file", f"pandas.read_spss(path){_SAVE}"),
    (b"<stata_dta>", "a Stata file", f"pandas.read_stata(path){_SAVE}"),
    (b"\xc2\xea\x81\x60", "a SAS file", f"pandas.read_sas(path){_SAVE}"),
    (b"HEADER RECORD*******", "a SAS transport file", f"pandas.read_sas(path){_SAVE}"),
    (b"MATLAB 5.0", "a MATLAB file", "numpy.save('data.npy', scipy.io.loadmat(path)['NAME'])"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", f"pandas.read_excel(path){_SAVE}"),
    (b"SQLite format 3\0", "an SQLite database", "sqlite3 -header -csv FILE 'select * from NAME' > data.csv"),
    (b"ORC", "an ORC file", f"pandas.read_orc(path){_SAVE}"),
    (b"Obj\x01", "an Avro file", "polars.read_avro(path).write_csv('data.csv')"),
    (b"BZh", "a bzip2 archive", "bunzip2 FILE"),
    (b"\xfd7zXZ", "an xz archive", "unxz FILE"),
    (b"(\xb5/\xfd", "a zstd archive", "unzstd FILE"),
    (b"%PDF", "a PDF document", "its table, saved as CSV"),
    (b"\x89PNG", "a picture", "a table of numbers"),
    (b"\xff\xd8\xff", "a picture", "a table of numbers"),
    *(
        (
            b"\x80" + bytes([protocol]),
            "a pickle, which could run code when loaded",
            f"pandas.read_pickle(path){_SAVE}, if you trust it",
        )
        for protocol in (2, 3, 4, 5)
    ),
)
_BINARY = {
    "Parquet": (".parquet", ".pq"),
    "Arrow": (".feather", ".arrow", ".ipc", ".arrows"),
    "NPY": (".npy",),
    "NPZ": (".npz",),
}
_TEXT = (".csv", ".tsv", ".tab", ".txt", ".dat", ".data", ".asc", ".jsonl", ".ndjson")
_NEVER_TEXT = {
    **{suffix: kind for kind, suffixes in _BINARY.items() for suffix in suffixes},
    ".xlsx": "Excel",
    ".xls": "Excel",
    ".fits": "FITS",
    ".rds": "R",
    ".rda": "R",
    ".rdata": "R",
    ".sav": "SPSS",
    ".dta": "Stata",
    ".h5": "HDF5",
    ".hdf5": "HDF5",
    ".mat": "MATLAB",
    ".gz": "gzip",
}
_BEGINS = {"NPY": repr(MAGIC), "Parquet": "b'PAR1'", "Arrow": "b'ARROW1'", "NPZ": "b'PK'"}


@dataclass(frozen=True)
class Format:
    """``kind`` is "text", "JSON lines", "Parquet", "Arrow", "Arrow stream", "NPY" or "NPZ"."""

    kind: str
    gzipped: bool = False
    note: str = ""


def identify(place: Place) -> Format:
    """Return what a file is.

    Raises
    ------
    FileError
        for an empty file, and for a format that is not read here: with the one line that converts it.
    """
    try:
        with place.path.open("rb") as file:
            start = file.read(4096)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"{place.shown} cannot be read: {reason}.") from None
    if not start:
        raise FileError(f"{place.shown} is empty (0 bytes).")
    if start[8:].startswith(b'{"__metadata__"') and b'"pofx"' in start[:512]:
        raise FileError(
            f"{place.shown} is a saved model, not rows. `pofx sample` draws rows from it, and `pofx score` "
            "tells how likely rows of another file are under it."
        )
    gzipped = start.startswith(b"\x1f\x8b")
    if gzipped:
        start = _unpacked(place)
    kind = _kind(place, start, gzipped)
    suffixes = [suffix.lower() for suffix in place.path.suffixes]
    if place.name == "standard input" or not suffixes:
        return Format(kind, gzipped)
    suffix = suffixes[-2] if gzipped and suffixes[-1] == ".gz" and len(suffixes) > 1 else suffixes[-1]
    if kind in ("text", "JSON lines"):
        said = _NEVER_TEXT.get(suffix)
        if said and not (gzipped and suffix == ".gz"):
            begins = f": it does not begin with {_BEGINS[said]}" if said in _BEGINS else ": it holds text"
            raise FileError(
                f"{place.shown} is not the {said} file its name says{begins}. If it is a table of text, "
                "rename it to .csv; otherwise fetch it again."
            )
        return Format(kind, gzipped)
    right = _BINARY["Arrow" if kind.startswith("Arrow") else kind]
    if suffix in right or suffix not in (*_NEVER_TEXT, *_TEXT):
        return Format(kind, gzipped)
    note = f"{place.name} is not what its name says: its bytes are those of a file called {right[0]}"
    warnings.warn(f"{note}, and it was read as that.", PofxWarning, stacklevel=2)
    return Format(kind, gzipped, note)


def _unpacked(place: Place) -> bytes:
    try:
        with gzip.open(place.path, "rb") as file:
            return file.read(4096)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(f"{place.shown}: this gzip file is damaged or truncated: {error}") from None


def _kind(place: Place, start: bytes, gzipped: bool) -> str:
    binary = next(
        (
            kind
            for mark, kind in (
                (b"PAR1", "Parquet"),
                (b"ARROW1", "Arrow"),
                (b"\xff\xff\xff\xff", "Arrow stream"),
                (MAGIC, "NPY"),
            )
            if start.startswith(mark)
        ),
        "",
    )
    if start.startswith(b"PARE"):
        raise FileError(
            f"{place.shown} is an encrypted Parquet file, which is not read yet. Decrypt it first."
        )
    if start.startswith(b"PK\x03\x04"):
        binary = _zip(place)
    if binary and gzipped:
        raise FileError(f"{place.shown} is a gzip archive of a {binary} file: unpack it first, with gunzip.")
    if binary:
        return binary
    for mark, what, remedy in _ELSEWHERE:
        if start.startswith(mark):
            raise FileError(_converted(place, what, remedy))
    if start[8:12] == b"DUCK":
        remedy = "duckdb FILE \"copy NAME to 'data.csv'\""
        raise FileError(_converted(place, "a DuckDB database", remedy))
    if (
        start[:1] in (b"\x71", b"\x72", b"\x73")
        and start[1:2] in (b"\x01", b"\x02")
        and start[2:4] == b"\x01\0"
    ):
        raise FileError(_converted(place, "a Stata file", f"pandas.read_stata(path){_SAVE}"))
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] == b"<" and text[:5].lower() in (b"<!doc", b"<html", b"<?xml"):
        raise FileError(f"{place.shown} is a web page or XML, not a table: fetch the file that it links to.")
    if text.startswith(b"{"):
        return "JSON lines"
    if text.startswith((b"[{", b"[[")) or (text.startswith(b"[") and text[1:].lstrip()[:1] in (b"{", b"[")):
        remedy = "pandas.read_json(path).to_json('data.jsonl', orient='records', lines=True)"
        raise FileError(_converted(place, "a JSON document", remedy))
    return "text"


def _zip(place: Place) -> str:
    try:
        with zipfile.ZipFile(place.path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise FileError(
            f"{place.shown} is a zip archive (NPZ, XLSX) that is damaged or truncated: {error}"
        ) from None
    if any(name.startswith("xl/") for name in names):
        raise FileError(_converted(place, "an Excel workbook", f"pandas.read_excel(path){_SAVE}"))
    if names and all(name.endswith(".npy") for name in names):
        return "NPZ"
    shown = ", ".join(repr(name) for name in names[:3])
    raise FileError(_converted(place, f"a zip archive of {len(names)} files ({shown})", "unzip FILE"))


def _converted(place: Place, what: str, remedy: str) -> str:
    line = remedy.replace("FILE", str(place.path)).replace("(path)", f"({str(place.path)!r})")
    return f"{place.shown} is {what}, which is not read yet. Convert it: {line}"


__all__ = ["Format", "identify"]
