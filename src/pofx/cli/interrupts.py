"""Ctrl-C: the verb unwinds, and if a long computation does not let it go, it is left.

A computation in a pool of threads ends its current piece before the interrupt gets through, which may take
seconds. Nothing is lost by not waiting: files are written whole at the end, or not at all.
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
from typing import Any

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
        code = last_words()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        atexit._run_exitfuncs()  # temporary folders are removed
        os._exit(code)

    def interrupted(number: int, frame: FrameType | None) -> Any:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=leave, name="pofx-leave", daemon=True).start()
        return signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        unwound.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_writing(thread: int | None) -> bool:
    """Tell whether a thread is about to put a file in its place, or to remove what there is of it."""
    from pofx.store import atomic

    frame = sys._current_frames().get(thread or 0)
    while frame is not None:
        if frame.f_code.co_filename == atomic.__file__:
            return True
        frame = frame.f_back
    return False
