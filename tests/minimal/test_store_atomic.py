"""A save that fails, is interrupted or killed leaves the old file or the new one, never neither."""

from __future__ import annotations

import errno
import os
import random
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pofx import store
from pofx.errors import FileError

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
OLD = {"version": "old"}
NEW = {"version": "new"}
SMALL = {"a": np.arange(4.0), "b": np.arange(3)}


def version(path: Path) -> str:
    return store.read(path)[0]["version"]


def only(path: Path) -> bool:
    """No litter: ``path`` is alone in its directory."""
    return list(path.parent.iterdir()) == [path]


# ------------------------------------------------------------------------- a failure at the n-th system call

CALLS = (
    "open",
    "write",
    "fsync",
    "close",
    "chmod",
    "replace",
    "link",
    "unlink",
    "lstat",
    "access",
    "urandom",
)


class Saboteur:
    """Counts the system calls of a save and raises at the n-th, before or after it was done."""

    def __init__(self, n: int, error: BaseException, after: bool) -> None:
        self.left, self.error, self.after = n, error, after
        self.struck: str | None = None

    def wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left != 0:
                return call(*args, **kwargs)
            self.struck = name
            if self.after or name == "close":  # a close that fails has closed
                call(*args, **kwargs)
            raise self.error

        return wrapped


def save_with_fault(
    path: Path, n: int, error: BaseException, after: bool, overwrite: bool = True
) -> Saboteur:
    saboteur = Saboteur(n, error, after)
    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            if hasattr(os, name):
                patch.setattr(os, name, saboteur.wrap(name, getattr(os, name)))
        try:
            store.write(path, NEW, SMALL, overwrite=overwrite)
        except FileError:
            assert isinstance(error, OSError)
        except KeyboardInterrupt:
            assert isinstance(error, KeyboardInterrupt)
    return saboteur


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EIO, "I/O error"), KeyboardInterrupt()],
    ids=["full", "io", "ctrl-c"],
)
@pytest.mark.parametrize("kind", ["replace", "new", "no-overwrite"])
def test_a_fault_at_the_nth_system_call(tmp_path, kind, error, after):
    path = tmp_path / "m.pofx"
    struck = []
    for n in range(1, 100):
        if kind == "replace":
            store.write(path, OLD, SMALL)
        else:
            path.unlink(missing_ok=True)
        saboteur = save_with_fault(path, n, error, after, overwrite=kind != "no-overwrite")
        if kind == "replace":
            assert version(path) in ("old", "new")
            assert only(path), (n, saboteur.struck)
        elif path.exists():
            assert version(path) == "new"
            assert only(path), (n, saboteur.struck)
        else:
            assert not list(tmp_path.iterdir()), (n, saboteur.struck)
        if saboteur.struck is None:
            assert version(path) == "new"
            break
        struck.append(saboteur.struck)
    else:
        pytest.fail("the save never ended")
    placing = "link" if kind == "no-overwrite" and hasattr(os, "link") else "replace"
    assert {"open", "write", "fsync", "close", placing} <= set(struck)


def test_a_short_write_is_continued(tmp_path, monkeypatch):
    honest = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: honest(fd, bytes(data[:7])))
    store.write(tmp_path / "m.pofx", NEW, SMALL)
    assert version(tmp_path / "m.pofx") == "new"


def test_a_full_disk_is_named_with_path_and_bytes(tmp_path):
    path = tmp_path / "m.pofx"
    with pytest.MonkeyPatch.context() as patch:

        def full(fd: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(os, "write", full)
        with pytest.raises(FileError, match=r"m\.pofx': no room for its [0-9,]+ bytes .* free space"):
            store.write(path, NEW, SMALL)
    assert not list(tmp_path.iterdir())


LIMITED = """
import resource, signal, sys
import numpy as np
from pofx import store
from pofx.errors import FileError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    store.write(sys.argv[1], {"version": "new"}, {"a": np.zeros(100_000)})
except FileError as error:
    print(error)
"""


@posix
def test_a_limit_on_the_size_of_files(tmp_path):
    path = tmp_path / "m.pofx"
    store.write(path, OLD, SMALL)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    )
    assert "no room for its 800," in done.stdout
    assert str(path) in done.stdout
    assert version(path) == "old"
    assert only(path)


SAVING = """
import sys
import numpy as np
from pofx import store
arrays = {"a": np.zeros(300_000)}
print("ready", flush=True)
for i in range(10**9):
    store.write(sys.argv[1], {"version": "new", "i": i}, arrays)
"""


def test_a_killed_save_leaves_a_whole_file(tmp_path):
    path = tmp_path / "m.pofx"
    store.write(path, OLD, SMALL)
    rng = random.Random(0)
    for _ in range(5):
        child = subprocess.Popen(
            [sys.executable, "-c", SAVING, str(path)], stdout=subprocess.PIPE, env=environment()
        )
        try:
            assert child.stdout is not None
            assert child.stdout.readline().strip() == b"ready"
            time.sleep(rng.uniform(0, 0.05))
        finally:
            child.kill()
            child.communicate()
        assert version(path) in ("old", "new")
        # a killed process cannot tidy up; what it leaves is hidden, named as ours, and never in the way
        assert all(
            p == path or (p.name.startswith(".pofx-") and p.suffix == ".tmp") for p in tmp_path.iterdir()
        )


def environment() -> dict[str, str]:
    """The environment of a child that finds the same pofx."""
    return {**os.environ, "PYTHONPATH": str(Path(store.__file__).parent.parent.parent)}


# ------------------------------------------------------------------------------------- places and permissions


def test_an_existing_file_is_kept_without_overwrite(tmp_path):
    path = tmp_path / "m.pofx"
    store.write(path, OLD, {}, overwrite=False)
    with pytest.raises(FileError, match="the file exists"):
        store.write(path, NEW, {}, overwrite=False)
    assert version(path) == "old"
    assert only(path)


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_file_that_appears_during_the_save_is_kept(tmp_path, monkeypatch, links):
    path = tmp_path / "m.pofx"
    honest = os.fsync

    def another_process_is_faster(fd: int) -> None:
        path.write_bytes(b"theirs")
        honest(fd)

    def no_links(*args: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fsync", another_process_is_faster)
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(FileError, match="the file exists"):
        store.write(path, NEW, SMALL, overwrite=False)
    assert path.read_bytes() == b"theirs"
    assert only(path)


def test_a_file_system_without_links(tmp_path, monkeypatch):
    def no_links(*args: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    store.write(tmp_path / "m.pofx", NEW, SMALL, overwrite=False)
    assert version(tmp_path / "m.pofx") == "new"
    assert only(tmp_path / "m.pofx")


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(FileError, match=r"directory '.*absent' does not exist. Create it first"):
        store.write(tmp_path / "absent" / "m.pofx", NEW, SMALL)
    with pytest.raises(FileError, match=r"is a directory\. Give a file name in it"):
        store.write(tmp_path, NEW, SMALL)
    with pytest.raises(FileError, match="is a directory"):
        store.write(str(tmp_path) + os.sep, NEW, SMALL)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(FileError, match="cannot write"):
        store.write(tmp_path / "file" / "m.pofx", NEW, SMALL)
    with pytest.raises(FileError, match="cannot write"):
        store.write(tmp_path / ("m" * 300 + ".pofx"), NEW, SMALL)
    with pytest.raises(FileError, match="cannot write"):
        store.write("a\0b", NEW, SMALL)
    with pytest.raises(FileError, match="path is empty"):
        store.write("", NEW, SMALL)
    assert only(tmp_path / "file")


def test_the_longest_name_works(tmp_path):
    # the temporary file has a short name of its own, so a name at the limit of the system can be saved
    path = tmp_path / ("m" * 250 + ".pofx")
    try:
        path.write_bytes(b"")
    except OSError:
        pytest.skip("this file system has shorter names")
    store.write(path, NEW, SMALL)
    assert version(path) == "new"


def test_a_bare_name_is_written_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store.write("m.pofx", NEW, SMALL)
    assert version(tmp_path / "m.pofx") == "new"


@posix
def test_a_symbolic_link_is_not_written_but_read(tmp_path):
    path, link = tmp_path / "m.pofx", tmp_path / "link.pofx"
    store.write(path, OLD, SMALL)
    link.symlink_to(path)
    with pytest.raises(FileError, match=r"symbolic link\. Name the file it points to"):
        store.write(link, NEW, SMALL)
    assert link.is_symlink()
    assert version(link) == "old"


@posix
def test_permissions_of_a_replaced_file_are_kept(tmp_path):
    path = tmp_path / "m.pofx"
    for mode in (0o600, 0o640, 0o664, 0o755):
        store.write(path, OLD, SMALL)
        path.chmod(mode)
        store.write(path, NEW, SMALL)
        assert stat.S_IMODE(path.stat().st_mode) == mode


@posix
def test_a_new_file_follows_the_umask(tmp_path):
    for mask, mode in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
        before = os.umask(mask)
        try:
            store.write(tmp_path / f"{mask}", NEW, SMALL)
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / f"{mask}").stat().st_mode) == mode


@posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write everywhere")
def test_without_permission(tmp_path):
    path = tmp_path / "m.pofx"
    store.write(path, OLD, SMALL)
    path.chmod(0o400)
    with pytest.raises(FileError, match="write-protected"):
        store.write(path, NEW, SMALL)
    path.chmod(0o000)
    with pytest.raises(FileError, match="cannot read"):
        store.read(path)
    path.chmod(0o600)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(FileError, match="no permission to write in"):
            store.write(path, NEW, SMALL)
        assert version(path) == "old"
        assert only(path)
    finally:
        tmp_path.chmod(0o700)


def test_a_protected_file_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "m.pofx"
    store.write(path, OLD, SMALL)
    monkeypatch.setattr(os, "access", lambda *args: False)  # what a user other than root sees
    with pytest.raises(FileError, match="write-protected"):
        store.write(path, NEW, SMALL)
    assert version(path) == "old"
    assert only(path)
