"""A run on a worker thread, polled by the main thread.

In: a function that takes the job. Out: events that it posts (partial results), its progress, and in
the end its outcome. Only the main thread's `poll` reads them, so that MRML and Qt are used
nowhere else.
"""

import queue
import threading
from typing import Any, Callable, NamedTuple, Optional


class Tick(NamedTuple):
    stage: str
    """The stage's name, for example "detect"."""
    done: int
    total: int


class Job:
    def __init__(self, work: Callable[["Job"], None]) -> None:
        self._work = work
        self._stop = threading.Event()
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._tick: Optional[Tick] = None
        self.error: Optional[BaseException] = None
        # A daemon, so that Slicer can always be closed.
        self._thread = threading.Thread(target=self._run, name="NasoSeg", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work(self)
        except BaseException as error:  # Shown by the main thread.
            self.error = error

    # For the worker.

    def report(self, stage: str, done: int, total: int) -> None:
        self._tick = Tick(stage, done, total)

    def post(self, event: Any) -> None:
        self._events.put(event)

    @property
    def cancelled(self) -> bool:
        return self._stop.is_set()

    # For the main thread.

    def cancel(self) -> None:
        """The run ends within one model run."""
        self._stop.set()

    @property
    def progress(self) -> Optional[Tick]:
        return self._tick

    def poll(self) -> Any:
        """The next event; None if there is none."""
        try:
            return self._events.get_nowait()
        except queue.Empty:
            return None

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def wait(self, seconds: Optional[float] = None) -> bool:
        """Whether the run ended within the time."""
        self._thread.join(seconds)
        return not self._thread.is_alive()
