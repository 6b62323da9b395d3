"""One place that decides about threads.

NumPy releases the interpreter's lock, so our own pool of threads over blocks of rows is the only
parallelism: BLAS and LAPACK are held to one thread while pofx computes, because their products and
factorisations differ in the last bits between one thread and two. The limit is process-wide, so
concurrent fits count themselves in and out.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

import scipy.linalg  # noqa: F401  (loads SciPy's own BLAS, so that the controller below sees it)

__all__ = ["map_ordered", "one_blas_thread", "thread_count"]

A = TypeVar("A")
B = TypeVar("B")

_lock = threading.Lock()
_inside = 0
_controller: Any = None
_limiter: Any = None


def thread_count() -> int:
    """Return how many threads pofx uses: ``POFX_NUM_THREADS``, else the processors it may run on."""
    asked = os.environ.get("POFX_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS and LAPACK to one thread; nested and concurrent uses are counted."""
    global _inside, _controller, _limiter
    with _lock:
        _inside += 1
        if _inside == 1:
            if _controller is None:
                from threadpoolctl import ThreadpoolController

                _controller = ThreadpoolController().select(user_api="blas")
            _take_control()
            _limiter = _controller.limit(limits=1)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                limiter, _limiter = _limiter, None
                _take_control()
                limiter.restore_original_limits()
                _take_control()


def _take_control() -> None:
    """Let whichever thread comes first and whichever leaves last set the limit.

    From 3.8 on, threadpoolctl obeys only the thread that first set a limit of OpenBLAS and silently ignores
    all others; a fit in a second thread would then use other bits.
    """
    for library in _controller.lib_controllers:
        clear = getattr(library, "clear_controlling_thread", None)
        if clear is not None:
            clear(force=True)


def map_ordered(function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """Yield ``function(item)`` in the order of ``items``, computed by the pool, few items in flight.

    The order of the results does not depend on the number of threads, and no more than twice that
    many items are held at once, so a stream of blocks keeps its memory bounded.
    """
    threads = thread_count()
    iterator = iter(items)
    first = list(islice(iterator, 2))
    if threads == 1 or len(first) < 2:
        for item in first:
            yield function(item)
        for item in iterator:
            yield function(item)
        return
    from collections import deque
    from concurrent.futures import Future, ThreadPoolExecutor

    with ThreadPoolExecutor(threads, thread_name_prefix="pofx") as pool:
        waiting: deque[Future[B]] = deque(pool.submit(function, item) for item in first)
        try:
            for item in islice(iterator, 2 * threads - len(first)):
                waiting.append(pool.submit(function, item))
            while waiting:
                result = waiting.popleft().result()
                for item in islice(iterator, 1):
                    waiting.append(pool.submit(function, item))
                yield result
        finally:
            for future in waiting:
                future.cancel()
