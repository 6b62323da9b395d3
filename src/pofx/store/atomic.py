"""Bytes -> a file, atomically: at any moment the old file or the new one is there, whole."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Sequence

from pofx.errors import FileError, ParameterError

__all__ = ["file_name", "write"]


def write(target: str, pieces: Sequence[bytes | memoryview], *, overwrite: bool = True) -> None:
    """Write ``pieces`` one after the other to ``target``.

    They go to a temporary file in the same directory, which is synced and renamed. Only a killed process can
    leave its ``.pofx-*.tmp`` behind. The permissions of a replaced file are kept.

    Raises
    ------
    FileError
        The file cannot be written, or exists and ``overwrite`` is False; what was there before is intact.
    """
    size = sum(len(piece) for piece in pieces)
    try:
        mode = _mode_to_keep(target, overwrite)
        _replace(target, pieces, mode, overwrite)
    except FileError:
        raise
    except (OSError, ValueError) as error:
        raise FileError(_why_not_written(target, size, error)) from error


def file_name(path: str | os.PathLike[str]) -> str:
    """Return ``path`` as text; ParameterError if it is no path, FileError if it is empty."""
    if not isinstance(path, (str, os.PathLike)):
        raise ParameterError(f"path must be text or a path object, got {type(path).__name__}.")
    text = os.fsdecode(os.fspath(path))
    if not text:
        raise FileError("the path is empty. Give a file name, for example 'model.pofx'.")
    return text


def _mode_to_keep(target: str, overwrite: bool) -> int | None:
    """Look at what is at ``target``: refuse what must not be replaced, return a file's permissions."""
    try:
        found = os.lstat(target)
    except FileNotFoundError:
        parent = os.path.dirname(target) or "."
        if not os.path.isdir(parent):
            raise FileError(
                f"cannot write {target!r}: the directory {parent!r} does not exist. Create it first."
            ) from None
        return None
    if stat.S_ISLNK(found.st_mode):
        raise FileError(f"cannot write {target!r}: it is a symbolic link. Name the file it points to.")
    if stat.S_ISDIR(found.st_mode):
        raise FileError(f"cannot write {target!r}: it is a directory. Give a file name in it.")
    if not stat.S_ISREG(found.st_mode):
        raise FileError(f"cannot write {target!r}: it is a device, pipe or socket, not a regular file.")
    if not overwrite:
        raise FileError(_exists(target))
    if not os.access(target, os.W_OK):  # a rename would go round the protection on POSIX, not on Windows
        raise FileError(f"cannot write {target!r}: the file there is write-protected.")
    return stat.S_IMODE(found.st_mode)


def _replace(target: str, pieces: Sequence[bytes | memoryview], mode: int | None, overwrite: bool) -> None:
    """Write to a new temporary file beside ``target``, sync it, put it in place, or leave no trace."""
    parent = os.path.dirname(target) or "."
    temporary = os.path.join(parent, f".pofx-{os.urandom(8).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    fd: int | None = None
    try:
        # private until it gets the permissions of the file it replaces; the umask decides for a new one
        fd = os.open(temporary, flags, 0o666 if mode is None else 0o600)
        for piece in pieces:
            _write_all(fd, memoryview(piece))
        os.fsync(fd)
        done, fd = fd, None  # close() must not be tried twice, whatever it answers
        os.close(done)
        if mode is not None:
            os.chmod(temporary, mode)
        _put_in_place(temporary, target, overwrite)
    except BaseException:  # Ctrl-C too
        if fd is not None:
            with contextlib.suppress(OSError):
                os.close(fd)
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_directory(parent)


def _write_all(fd: int, piece: memoryview) -> None:
    done = 0
    while done < piece.nbytes:
        done += os.write(fd, piece[done : done + 2**26])  # some systems stop at 2 GiB a call


def _put_in_place(temporary: str, target: str, overwrite: bool) -> None:
    if overwrite:
        os.replace(temporary, target)
        return
    try:
        os.link(temporary, target)  # unlike a rename on POSIX, refuses a file that appeared meanwhile
    except FileExistsError:
        raise FileError(_exists(target)) from None
    except OSError as error:  # a file system without links
        if os.path.lexists(target):
            raise FileError(_exists(target)) from error
        os.replace(temporary, target)
        return
    os.unlink(temporary)


def _sync_directory(parent: str) -> None:
    """Make the rename durable where the system can; either way the old or the new file is there, whole."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    with contextlib.suppress(OSError):
        fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _exists(target: str) -> str:
    return f"cannot write {target!r}: the file exists. Choose another name or allow overwriting."


def _why_not_written(target: str, size: int, error: Exception) -> str:
    parent = os.path.dirname(target) or "."
    reason = getattr(error, "strerror", None) or str(error)
    code = getattr(error, "errno", None)
    if code in (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return (
            f"cannot write {target!r}: no room for its {size:,} bytes ({reason}). "
            "The file that was there before, if any, is intact; free space or choose another place."
        )
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"cannot write {target!r}: no permission to write in {parent!r} ({reason})."
    return f"cannot write the {size:,} bytes of {target!r}: {reason}."
