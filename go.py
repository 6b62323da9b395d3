"""Run pofx from a fresh checkout with nothing but Python 3.11 and pip.

    python3 go.py report examples/faithful.csv     any command of pofx
    python3 go.py test [options of pytest]         ruff, mypy and pytest
    python3 go.py docs                             the pages of docs/ as a site, in build/docs/site

The first run makes .venv here; later runs reuse it until pyproject.toml or the Python changes.
"""

import contextlib
import hashlib
import importlib.util
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
HOME = ROOT / ".venv"
BIN = HOME / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")


def pip(*what):
    """Install into .venv with this Python's pip, or with one put inside where this Python has none."""
    ours = importlib.util.find_spec("pip") is not None
    if not ours and importlib.util.find_spec("ensurepip") is None:
        sys.exit("go.py: this Python has no pip; install it (Debian: apt install python3-pip) and run again.")
    if not ours:
        subprocess.run([PYTHON, "-m", "ensurepip"], stdout=sys.stderr, check=True)
    start = [sys.executable, "-m", "pip", "--python", PYTHON] if ours else [PYTHON, "-m", "pip"]
    quiet = ["install", "--quiet", "--disable-pip-version-check"]
    # standard output belongs to the command that follows
    done = subprocess.run([*start, *quiet, *what], stdout=sys.stderr, env={**os.environ, "PIP_USER": "0"})
    if done.returncode:
        sys.exit("go.py: setting up .venv failed, for the reason above; run the same command again to retry.")


def prepare(extra=None):
    """Make .venv hold pofx, and an extra's packages; stamps are written last, so half of one is redone."""
    import tomllib

    project = (ROOT / "pyproject.toml").read_bytes()
    facts = repr((sys.version, sys.base_prefix, str(ROOT))).encode()
    stamp = hashlib.sha256(project + facts).hexdigest()
    ready, more = HOME / "pofx-ready", HOME / f"pofx-ready-to-{extra}"

    def fresh(mark):
        return PYTHON.exists() and mark.exists() and mark.read_text() == stamp

    if fresh(ready) and (extra is None or fresh(more)):
        return
    # one at a time; the lock ends with the process that holds it, on every system
    with contextlib.closing(sqlite3.connect(ROOT / ".venv.lock", timeout=1800, isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        if not fresh(ready):
            print("go.py: setting up .venv (once, a minute or two) ...", file=sys.stderr)
            venv.create(HOME, clear=True, with_pip=False, symlinks=os.name != "nt")
            pip("--editable", str(ROOT))
            ready.write_text(stamp)
        if extra is not None and not fresh(more):
            print(f"go.py: adding what `go.py {extra}` needs (once) ...", file=sys.stderr)
            pip(*tomllib.loads(project.decode())["project"]["optional-dependencies"][extra])
            more.write_text(stamp)


def run(*command, cwd=None):
    """Run to the end and return the exit code; Ctrl-C is the command's to answer."""
    signal.signal(signal.SIGINT, lambda *_: None)
    code = subprocess.run([str(part) for part in command], cwd=cwd).returncode
    return code if code >= 0 else 128 - code


def site():
    """Build the site from nothing, every warning an error; what a failed build leaves is not the site."""
    folder, made = ROOT / "build" / "docs", ROOT / "build" / "docs" / "site"
    shutil.rmtree(folder, ignore_errors=True)
    new = folder / "new"
    sphinx = ["-m", "sphinx", "-W", "--keep-going", "-q", "-j", "auto", "-d", folder / "read"]
    code = run(PYTHON, *sphinx, ROOT / "docs", new, cwd=ROOT)
    if code == 0:
        new.rename(made)
        print(f"go.py: the site is {made / 'index.html'}")
    return code


def main(words):
    if sys.version_info < (3, 11):
        sys.exit(f"go.py: pofx needs Python 3.11 or newer; this is Python {sys.version.split()[0]}.")
    extra = words[0] if words and words[0] in ("test", "docs") else None
    prepare(extra)
    if extra is None:
        return run(PYTHON, "-m", "pofx", *words)
    if extra == "docs":
        return site()
    cores = [] if words[1:] else ["-n", str(min(os.cpu_count() or 1, 4))]
    return (
        run(PYTHON, "-m", "ruff", "check", cwd=ROOT)
        or run(PYTHON, "-m", "mypy", cwd=ROOT)
        or run(PYTHON, "-m", "pytest", *cores, *words[1:], cwd=ROOT)
    )


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
