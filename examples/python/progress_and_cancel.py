"""Shows progress, and cancels from a second thread once the segmenter has run; then uses the same
engine and study again, which a cancel leaves intact. Install the package with ONNX Runtime
(`make wheel` in the repository, then `pip install "$(ls dist/*.whl)[cpu]"`) and run it:

    python progress_and_cancel.py study/T1 study/T1C study/T2 models/demo
"""

import sys
import threading
from typing import Callable, Optional

import nasoseg


def printer() -> Callable[[nasoseg.Progress], None]:
    """Prints progress whenever it has changed: callbacks come at least once per model run."""
    last: Optional[nasoseg.Progress] = None

    def show(p: nasoseg.Progress) -> None:
        nonlocal last
        if p != last:
            print(f"{p.stage_name} {p.done}/{p.total}")
            last = p

    return show


def segment(
    engine: nasoseg.Engine,
    study: nasoseg.Study,
    progress: Callable[[nasoseg.Progress], None],
    token: nasoseg.CancelToken,
) -> None:
    detection = nasoseg.detect(engine, study, progress=progress, cancel=token)
    segmentation = nasoseg.segment(engine, study, detection, progress=progress, cancel=token)
    print(f"volume: {segmentation.volume_mm3:.1f} mm3")


def progress_and_cancel(t1: str, t1c: str, t2: str, bundle: str) -> None:
    engine = nasoseg.Engine(bundle)
    study = nasoseg.Study(t1, t1c, t2)
    token, ran, cancelled = nasoseg.CancelToken(), threading.Event(), threading.Event()

    def cancel() -> None:
        ran.wait()
        token.cancel()
        cancelled.set()

    show = printer()

    def show_then_signal(p: nasoseg.Progress) -> None:
        show(p)  # a callback that returns False cancels too
        if p.stage == nasoseg.Stage.SEGMENT and p.done > 0:
            ran.set()
            # A real program returns at once; waiting makes this one print the same each time.
            cancelled.wait()

    threading.Thread(target=cancel, daemon=True).start()
    try:
        segment(engine, study, show_then_signal, token)
    except nasoseg.Cancelled:
        print("cancelled")

    # A token stays set until it is reset.
    token.reset()
    segment(engine, study, printer(), token)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: progress_and_cancel.py T1 T1C T2 BUNDLE")
    try:
        progress_and_cancel(*sys.argv[1:])
    except nasoseg.Error as error:
        sys.exit(str(error))
