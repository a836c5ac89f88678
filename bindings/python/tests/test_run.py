"""Progress, cancel and Ctrl-C."""

import threading
import time

import nasoseg
import pytest
from conftest import check_golden, pipeline, python, volumes
from nasoseg import Stage, Status


def calls(engine, folder):
    """Every call that reports, in the order of the pipeline; each takes progress and cancel, and
    keeps its result for the next.
    """
    kept = {"study": nasoseg.Study(*volumes())}

    def detect(**run):
        # A fresh sequence, so that aligning and preparing tick too.
        kept["study"].set("t1", volumes()[0])
        kept["detection"] = nasoseg.detect(engine, kept["study"], **run)

    def segment(**run):
        kept["segmentation"] = nasoseg.segment(engine, kept["study"], kept["detection"], **run)

    def contour(**run):
        kept["contours"] = nasoseg.contour(kept["segmentation"], **run)

    def preview(**run):
        kept["detection"].write_preview(
            kept["segmentation"], kept["contours"], folder / "preview.png", **run
        )

    return kept, [
        lambda **run: kept["study"].set("t1c", volumes()[1], **run),
        detect,
        segment,
        contour,
        preview,
        lambda **run: kept["segmentation"].write_mask(folder / "mask.nii.gz", **run),
        lambda **run: kept["segmentation"].write_record(folder / "run.json", **run),
        lambda **run: kept["detection"].write(folder / "detection.json", **run),
    ]


def by_false(stop):
    return {"progress": stop, "cancel": None}


def by_callable(stop):
    """The cancel callable is called at every tick too; it sees the progress callback's count."""
    wanted = []
    return {"progress": lambda p: wanted.append(stop(p)), "cancel": lambda: wanted[-1] is False}


def by_token(stop):
    token = nasoseg.CancelToken()

    def progress(p):
        if stop(p) is False:
            token.cancel()

    return {"progress": progress, "cancel": token}


@pytest.mark.parametrize("how", [by_false, by_callable, by_token])
def test_cancel_at_every_tick(engine, tmp_path, how):
    kept, all_calls = calls(engine, tmp_path)
    for number, call in enumerate(all_calls):
        at = 1
        while True:
            seen = []

            def stop(p, seen=seen, at=at):
                seen.append(p)
                return False if len(seen) == at else None

            try:
                call(**how(stop))
            except nasoseg.Cancelled as error:
                assert error.status is Status.CANCELLED and len(seen) == at
                at += 1
                continue
            break
        assert at == len(seen) + 1 and at > 1, number
        assert [p.stage for p in seen] == sorted(p.stage for p in seen)
        for before, after in zip(seen, seen[1:]):
            assert (
                after.done >= before.done
                if after.stage == before.stage
                else before.done == before.total
            )
        assert seen[-1].done == seen[-1].total
        if number == 1:
            assert at > 20 and {p.stage for p in seen} == {Stage.ALIGN, Stage.PREPARE, Stage.DETECT}
            assert seen[-1].stage_name == "detect"
    check_golden(kept["detection"], kept["segmentation"], kept["contours"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "detection.json",
        "mask.nii.gz",
        "preview.png",
        "run.json",
    ]


def test_an_exception_in_the_callback_comes_out_of_the_call(engine, study, capfd):
    class Mine(Exception):
        pass

    def progress(p):
        if p.stage is Stage.DETECT:
            raise Mine(p.done)

    for run in ({"progress": progress}, {"cancel": lambda: 1 / 0}):
        with pytest.raises((Mine, ZeroDivisionError)):
            nasoseg.detect(engine, study, **run)
    assert capfd.readouterr().err == ""
    check_golden(*pipeline(engine, study, progress=lambda p: None, cancel=lambda: False))
    for run in ({"progress": 3}, {"cancel": 3}):
        with pytest.raises(TypeError):
            nasoseg.detect(engine, study, **run)


def test_a_token_from_another_thread(study):
    engine = nasoseg.Engine(nasoseg.demo_bundle(), device="cpu", threads=1)
    token, started, stopped = nasoseg.CancelToken(), threading.Event(), []

    def progress(p):
        if p.stage is Stage.DETECT:
            started.set()

    def cancel():
        started.wait()
        stopped.append(time.perf_counter())
        token.cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(nasoseg.Cancelled):
        nasoseg.detect(engine, study, progress=progress, cancel=token)
    late = time.perf_counter() - stopped[0]
    canceller.join()
    rows = engine.work.trunk_rows
    # Within one model run, which has at most 8 rows here; the clock allows for a busy machine.
    assert rows <= 24 and late < 5
    assert token.cancelled
    with pytest.raises(nasoseg.Cancelled):
        nasoseg.detect(engine, study, cancel=token)
    token.reset()
    assert len(nasoseg.detect(engine, study, cancel=token)) == 6


def test_the_study_is_not_used_from_its_own_callback(engine, study):
    """The library would wait for its own lock; this says so instead."""
    uses = [
        lambda: study.warnings,
        lambda: nasoseg.detect(engine, study),
        lambda: study.set("t1", volumes()[0]),
    ]
    for use in uses:
        with pytest.raises(nasoseg.Error, match="after that call has returned"):
            nasoseg.detect(engine, study, progress=lambda p, use=use: use())
    other = nasoseg.Study(*volumes())
    found = []
    nasoseg.detect(
        engine,
        study,
        progress=lambda p: found.append(len(nasoseg.detect(engine, other))) if not found else None,
    )
    assert found == [6] and study.warnings == ()


INTERRUPT = """
import os, signal, sys, threading, time
# A shell's background job begins with it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
import nasoseg
from conftest import MICRO, check_golden, pipeline, volumes
engine = nasoseg.Engine(nasoseg.demo_bundle(), device="cpu", threads=1)
study = nasoseg.Study(*volumes())
"""

AFTER = """
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
micro = nasoseg.Engine(MICRO, device="cpu", threads=1)
check_golden(*pipeline(micro, study))
print("done")
"""


@pytest.mark.parametrize("at", [1, 2, 5, 9])
def test_ctrl_c_at_a_tick(at):
    run = python(
        INTERRUPT
        + f"""
ticks = []
def progress(p):
    ticks.append(p)
    if len(ticks) == {at}:
        os.kill(os.getpid(), signal.SIGINT)
try:
    nasoseg.detect(engine, study, progress=progress)
except KeyboardInterrupt:
    assert len(ticks) == {at}, ticks
else:
    raise SystemExit("not interrupted")
"""
        + AFTER
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "done\n", "")


@pytest.mark.parametrize(
    "progress", ["None", "lambda p: None", "lambda p: (sum(range(100000)), None)[1]"]
)
def test_ctrl_c_at_any_time(progress):
    """A signal from outside, in the middle of a model run or of a callback."""
    run = python(
        INTERRUPT
        + f"""
for number in range(4):
    rows = engine.work.trunk_rows
    sent = []
    def send():
        while engine.work.trunk_rows - rows < 5:
            time.sleep(0.0005)
        time.sleep(0.003 * number)
        sent.append((time.perf_counter(), engine.work.trunk_rows))
        os.kill(os.getpid(), signal.SIGINT)
    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        nasoseg.detect(engine, study, progress={progress})
    except KeyboardInterrupt:
        # Within one model run of at most 8 rows; `sent` may be a run old.
        assert engine.work.trunk_rows - sent[0][1] <= 16, (engine.work, sent)
        assert time.perf_counter() - sent[0][0] < 5
    else:
        raise SystemExit("not interrupted")
    sender.join()
"""
        + AFTER
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "done\n", "")


def test_a_programs_own_handler_is_left_alone():
    run = python(
        INTERRUPT
        + """
seen = []
signal.signal(signal.SIGINT, lambda *_: seen.append(1))
ticks = []
def progress(p):
    ticks.append(p)
    if len(ticks) == 3:
        os.kill(os.getpid(), signal.SIGINT)
assert len(nasoseg.detect(engine, study, progress=progress)) == 6 and seen == [1]
signal.signal(signal.SIGINT, signal.default_int_handler)
# Off the main thread nobody touches signals.
worker = threading.Thread(target=lambda: nasoseg.detect(engine, study))
worker.start()
worker.join()
"""
        + AFTER
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "done\n", "")
