"""Progress and cancel of a long call.

In: a progress callable, a cancel token or callable. Out: the call's result, or what stopped it:
`Cancelled`, an exception of the callable, or KeyboardInterrupt. The callables run on the calling
thread, between two model runs.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Union

from . import _abi
from ._native import Handle, Owner, call, check, lib, text, wrong


class Progress(NamedTuple):
    """How far a stage is: `done` of `total` units (sequences, slices or files). `done` never
    decreases within a stage of one call.
    """

    stage: _abi.Stage | int
    done: int
    total: int

    @property
    def stage_name(self) -> str:
        """For example "detect"."""
        return text(lib.nasoseg_stage_name(int(self.stage)))


class CancelToken(Owner):
    """A flag that any thread may set: calls that use it end with `Cancelled` within one model run.
    It stays set until it is reset.
    """

    def __init__(self) -> None:
        pointer = ctypes.POINTER(_abi.nasoseg_cancel_token)()
        call(lib.nasoseg_cancel_token_new, ctypes.byref(pointer))
        self._handle = Handle(pointer)

    def cancel(self) -> None:
        lib.nasoseg_cancel_token_cancel(self._pointer())

    def reset(self) -> None:
        """Makes the token usable again after a cancel."""
        lib.nasoseg_cancel_token_reset(self._pointer())

    @property
    def cancelled(self) -> bool:
        return bool(lib.nasoseg_cancel_token_is_cancelled(self._pointer()))


ProgressCallback = Callable[[Progress], Union[bool, None]]
Cancel = Union[CancelToken, Callable[[], bool]]

# The studies that this thread's calls work on, while a callback runs.
_busy = threading.local()


def not_from_a_callback(study: Handle) -> None:
    """The library holds the study's lock while it reports: a call on it from the callback would
    never return.
    """
    if study in getattr(_busy, "studies", ()):
        raise wrong(
            "this study is in use by the call that reports progress. "
            "Use it after that call has returned"
        )


class _Ticks:
    """The callback of one call, and how it ended."""

    def __init__(self, progress: ProgressCallback | None, cancel: Cancel | None) -> None:
        self.progress = progress
        self.asked = cancel if callable(cancel) else None
        self.interrupted = False
        self.raised: BaseException | None = None

    def __call__(self, progress: Any, _user_data: Any) -> bool:
        # Python's own signal handlers run here, on the first bytecode: `interrupted` may change on
        # any line.
        try:
            if self.interrupted:
                return False
            p = progress.contents
            if self.progress is not None:
                try:
                    stage: _abi.Stage | int = _abi.Stage(p.stage)
                except ValueError:
                    stage = p.stage
                wanted = self.progress(Progress(stage, p.done, p.total))
                if wanted is not None and not wanted:
                    return False
            if self.asked is not None and self.asked():
                return False
            return not self.interrupted
        except BaseException as exception:
            # Nothing may unwind into the library: it is raised again after the call.
            self.raised = exception
            return False

    def interrupt(self, _signal: int, _frame: object) -> None:
        self.interrupted = True


@contextlib.contextmanager
def _interruptible(ticks: _Ticks) -> Iterator[None]:
    """Ctrl-C stops the call at its next tick.

    Python's default handler would raise at the callback's first bytecode, before any `except` of
    ours, and ctypes would drop that. A handler that the program itself has set is left alone.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, ticks.interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def run(
    function: Any,
    *before: Any,
    progress: ProgressCallback | None,
    cancel: Cancel | None,
    result: Any = None,
    study: Handle | None = None,
    keep: tuple[object, ...] = (),
) -> Any:
    """Calls a long function with `before`, the run, a place for the `result` if it has one, and
    the error. Returns the result's handle.
    """
    if progress is not None and not callable(progress):
        raise TypeError(f"progress: found {type(progress).__name__}, expected a callable")
    if cancel is not None and not callable(cancel) and not isinstance(cancel, CancelToken):
        raise TypeError(
            f"cancel: found {type(cancel).__name__}, expected a CancelToken or a callable"
        )
    if study is not None:
        not_from_a_callback(study)
    pointer = ctypes.POINTER(_abi.nasoseg_run)()
    call(lib.nasoseg_run_new, ctypes.byref(pointer))
    handle = Handle(pointer)
    ticks = _Ticks(progress, cancel)
    callback = _abi.nasoseg_progress_callback(ticks)
    call(lib.nasoseg_run_set_progress, pointer, callback, None)
    if isinstance(cancel, CancelToken):
        call(lib.nasoseg_run_set_cancel, pointer, cancel._pointer())
    out = () if result is None else (ctypes.POINTER(result)(),)
    error = ctypes.POINTER(_abi.nasoseg_error)()
    outer = getattr(_busy, "studies", ())
    _busy.studies = outer if study is None else (*outer, study)
    try:
        with _interruptible(ticks):
            code = function(*before, handle.pointer, *map(ctypes.byref, out), ctypes.byref(error))
    finally:
        _busy.studies = outer
    # Owned first: the result of a call that was interrupted is freed too.
    made = Handle(out[0], keep) if out and not code else None
    if ticks.raised is not None or ticks.interrupted:
        lib.nasoseg_error_free(error)
        raise ticks.raised if ticks.raised is not None else KeyboardInterrupt
    check(code, error)
    return made
