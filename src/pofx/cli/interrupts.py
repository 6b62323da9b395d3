"""Ctrl-C: the verb unwinds, and if a long computation does not let it go, it is left.

The interrupt may not get through for seconds, as in one long call into C; once it has, Python waits at its
exit for the pieces that the pool's threads are still at. Nothing is lost by waiting for neither: files are
written whole at the end, or not at all.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

__all__ = ["leaving_soon"]

GRACE = 0.5  # seconds to unwind in


@contextlib.contextmanager
def leaving_soon(last_words: Callable[[], int]) -> Iterator[None]:
    """Within this, Ctrl-C ends the process after ``GRACE`` seconds if it has not ended by itself.

    Parameters
    ----------
    last_words : says what is to be said, and returns the exit code
    """
    main = threading.main_thread()
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if threading.current_thread() is not main or not usual:
        yield
        return
    unwound = threading.Event()

    def leave() -> None:
        if unwound.wait(GRACE):
            return
        while not unwound.is_set() and _is_writing(main.ident):
            time.sleep(0.05)
        if unwound.is_set():
            return
        _end(last_words())

    came = threading.Event()

    def interrupted(number: int, frame: FrameType | None) -> Any:
        came.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=leave, name="pofx-leave", daemon=True).start()
        return signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    except BaseException:  # click makes an Abort of it
        unwound.set()
        if came.is_set() and _computing():
            _end(last_words())
        raise
    finally:
        unwound.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(code: int) -> NoReturn:
    """End the process now, whatever its threads do."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    atexit._run_exitfuncs()  # temporary folders are removed
    os._exit(code)


def _computing() -> bool:
    """Tell whether threads of a pool are still at a piece that nobody waits for."""
    return any(thread.name.startswith("pofx_") for thread in threading.enumerate())


def _is_writing(thread: int | None) -> bool:
    """Tell whether a thread is about to put a file in its place, or to remove what there is of it."""
    from pofx.store import atomic

    frame = sys._current_frames().get(thread or 0)
    while frame is not None:
        if frame.f_code.co_filename == atomic.__file__:
            return True
        frame = frame.f_back
    return False
