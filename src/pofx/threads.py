"""One place that decides about threads.

NumPy releases the interpreter's lock, so our own pool of threads over blocks of rows is the only
parallelism: BLAS and LAPACK are held to one thread while pofx computes, because their products and
factorisations differ in the last bits between one thread and two. The limit is process-wide, so
concurrent fits share it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import scipy.linalg  # noqa: F401  (loads SciPy's own BLAS, so that the controller below sees it)

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["OneThread", "map_ordered", "one_blas_thread", "thread_count"]

A = TypeVar("A")
B = TypeVar("B")

_here = threading.local()


def thread_count() -> int:
    """Return how many threads pofx uses: ``POFX_NUM_THREADS``, else the processors it may run on; one inside
    an item of :func:`map_ordered`, where the others are already in use."""
    if getattr(_here, "in_pool", False):
        return 1
    asked = os.environ.get("POFX_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def _set_number(library: Any, number: int) -> None:
    library.set_num_threads(number)


class OneThread:
    """Holds libraries to one thread, as long as anybody in any thread is :meth:`inside`.

    Parameters
    ----------
    libraries : function without arguments
        Returns those that are there, each with ``get_num_threads()``; asked whenever the first comes in.
    set_number : function of a library and a number, optional
        By default the library's ``set_num_threads(number)``.
    """

    def __init__(
        self, libraries: Callable[[], list[Any]], set_number: Callable[[Any, int], None] = _set_number
    ) -> None:
        self._libraries, self._set_number = libraries, set_number
        # reentrant: an abandoned hold may be collected, and left, inside _apply
        self._lock = threading.RLock()
        self._holds: set[Any] = set()  # one locked lock for everybody inside
        self._before: list[tuple[Any, int]] | None = None  # what the libraries had, while they are held

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Hold the libraries.

        Ctrl-C may come between any two lines. So nobody is counted in and out: being inside *is* holding a
        lock, which C code takes and gives back in one step, and whoever leaves last restores what was there
        before.
        """
        hold = threading.Lock()
        try:
            with hold:
                self._holds.add(hold)
                self._apply()
                yield
        finally:
            try:
                self._apply()
            except BaseException:  # Ctrl-C in the middle of giving back: do that first
                self._apply()
                raise

    def _apply(self) -> None:
        """Set the libraries to one thread if anybody is inside, else to what they had before."""
        with self._lock:
            # A hold that comes in or is left meanwhile is neither lost nor brought back.
            self._holds.difference_update([hold for hold in tuple(self._holds) if not hold.locked()])
            before = self._before
            if before is None:
                if not self._holds:
                    return
                before = [(library, library.get_num_threads()) for library in self._libraries()]
            self._before = before  # kept until every library has its own number back
            for library, number in before:
                self._set_number(library, 1 if self._holds else number)
            if not self._holds:
                self._before = None


_blas_libraries: list[Any] = []


def _blas() -> list[Any]:
    if not _blas_libraries:
        from threadpoolctl import ThreadpoolController

        _blas_libraries[:] = ThreadpoolController().select(user_api="blas").lib_controllers
    return _blas_libraries


def _set_blas(library: Any, number: int) -> None:
    # From 3.8 on, threadpoolctl obeys only the thread that first set a limit of OpenBLAS and silently ignores
    # all others, until that thread is cleared; a fit in a second thread would have other bits.
    clear = getattr(library, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)
    library.set_num_threads(number)
    if clear is not None:
        clear(force=True)


one_blas_thread = OneThread(_blas, _set_blas).inside


def map_ordered(function: Callable[[A], B], items: Iterable[A], *, most: int | None = None) -> Iterator[B]:
    """Yield ``function(item)`` in the order of ``items``, computed by threads, few items in flight.

    The order of the results does not depend on the number of threads, and no more than twice that
    many items are held at once, so a stream of blocks keeps its memory bounded. Inside an item, further
    calls go one by one: the processors are already in use. ``most`` limits the threads where each item needs
    much memory.

    The calling thread takes items too. It is awake and on a processor; where it only waits, two fresh threads
    are often put onto one processor and stay there for milliseconds, as long as a whole pass over a million
    rows (measured: 1.0 instead of 1.8 times one thread).
    """
    threads = thread_count() if most is None else min(thread_count(), most)
    iterator = iter(items)
    first = list(islice(iterator, 2))
    if threads == 1 or len(first) < 2:
        for item in first:
            yield function(item)
        for item in iterator:
            yield function(item)
        return
    from collections import deque
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(threads - 1, thread_name_prefix="pofx", initializer=_enter_pool)
    waiting: deque[_Item[A, B]] = deque()
    try:
        for item in chain(first, islice(iterator, 2 * threads - len(first))):
            waiting.append(_Item(item, pool.submit(function, item)))
        while waiting:
            while not waiting[0].future.done() and any(ahead.taken(function) for ahead in waiting):
                pass
            result = waiting.popleft().future.result()
            for item in islice(iterator, 1):
                waiting.append(_Item(item, pool.submit(function, item)))
            yield result
    finally:
        # After an error or Ctrl-C nobody waits for the items under way: their results go nowhere. They may
        # end after BLAS has its threads back, and share nothing with a later fit but those threads' number,
        # which that fit sets again.
        pool.shutdown(wait=False, cancel_futures=True)


def _enter_pool() -> None:
    _here.in_pool = True


class _Item(Generic[A, B]):
    """An item that waits for a thread of the pool, or for the calling thread."""

    def __init__(self, item: A, future: Future[B]) -> None:
        self.item, self.future = item, future

    def taken(self, function: Callable[[A], B]) -> bool:
        """Do the item here and now, unless another thread has it. Its error is raised in its turn."""
        if not self.future.cancel():
            return False
        from concurrent.futures import Future

        self.future = Future()
        _here.in_pool = True
        try:
            self.future.set_result(function(self.item))
        except Exception as error:
            self.future.set_exception(error)
        finally:
            _here.in_pool = False
        return True
