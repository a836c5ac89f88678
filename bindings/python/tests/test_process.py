"""One process, many users: threads, engines, another ONNX Runtime; the import; the program."""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import nasoseg
import numpy as np
import pytest
from conftest import MICRO, NAMES, ROOT, check_golden, pipeline, python, volumes


def test_threads_on_one_engine(engine, results):
    study = nasoseg.Study(*volumes())
    start = threading.Barrier(8)

    def work(number):
        start.wait()
        mine = study if number % 2 else nasoseg.Study(*volumes())
        detection, segmentation, contours = pipeline(engine, mine, progress=lambda p: None)
        check_golden(detection, segmentation, contours)
        return segmentation.probability

    with ThreadPoolExecutor(8) as pool:
        for probability in pool.map(work, range(8)):
            assert np.array_equal(probability, results[1].probability)


def test_two_engines(engine, results, study):
    with (
        nasoseg.Engine(MICRO, device="cpu", threads=2, concurrent_runs=2) as second,
        nasoseg.Engine(nasoseg.demo_bundle(), device="cpu") as demo,
    ):
        assert second.model == engine.model != demo.model
        check_golden(*pipeline(second, study))
        detection = nasoseg.detect(demo, study, slices=(2, 4))
        with pytest.raises(nasoseg.Error, match="another study or engine"):
            nasoseg.segment(engine, study, detection)
        assert nasoseg.segment(demo, study, detection).shape == (6, 80, 72)
    check_golden(*pipeline(engine, study))


def test_the_gil_is_released():
    """While another thread opens a model, this one goes on."""
    opened = threading.Event()

    def work():
        nasoseg.Engine(nasoseg.demo_bundle(), device="cpu", threads=1)
        opened.set()

    thread = threading.Thread(target=work)
    begun = time.perf_counter()
    thread.start()
    longest, last = 0.0, begun
    while not opened.is_set():
        time.sleep(0.0005)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    thread.join()
    # One call holds the GIL for all of it, or not at all.
    assert longest < 0.7 * (last - begun), (longest, last - begun)


OTHER = """
import sys
import numpy as np
import nasoseg
from conftest import MICRO, check_golden, pipeline, volumes

def ours():
    engine = nasoseg.Engine(MICRO, device="cpu", threads=1)
    check_golden(*pipeline(engine, nasoseg.Study(*volumes())))

def theirs():
    import onnxruntime
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(MICRO / "q_head.onnx", providers=providers)
    rng = np.random.default_rng(1)
    feed = {}
    for i in session.get_inputs():
        shape = [2 if isinstance(n, str) else n for n in i.shape]
        feed[i.name] = rng.standard_normal(shape, np.float32)
    return session.run(None, feed)[0]

def both():
    first = theirs()
    ours()
    assert np.array_equal(first, theirs())
    return first
"""


@pytest.mark.parametrize("order", ["theirs(); both()", "ours(); both()", "both(); both()"])
def test_another_onnxruntime_in_the_same_process(order):
    run = python(OTHER + order + "\nprint('done')")
    assert (run.returncode, run.stdout, run.stderr) == (0, "done\n", "")


def test_an_onnxruntime_that_is_named(tmp_path):
    """The path, the folder and the variable come before the package; a second, other one is refused
    by name.
    """
    info = nasoseg.runtime_info()
    assert info.version[0] == "1" and os.path.isabs(info.path) and not info.has_cuda
    copy = tmp_path / os.path.basename(info.path)
    copy.symlink_to(info.path)
    run = python(
        "import nasoseg, sys; print(nasoseg.runtime_info(sys.argv[1] or None).path)\n"
        "nasoseg.Engine(sys.argv[2], device='cpu')\n"
        "try: nasoseg.Engine(sys.argv[2], onnxruntime='/nowhere')\n"
        "except nasoseg.Error as e: print(e.status.name)",
        tmp_path,
        MICRO,
    )
    assert run.stdout.splitlines() == [info.path, "ERROR_RUNTIME"], run.stderr


def test_the_import_is_quick():
    """Under 150 ms, numpy not yet imported: median of fresh processes, by the CPU's clock, since
    other programs may be busy.
    """
    script = """
import time
begun = time.process_time()
import nasoseg
ended = time.process_time()
import sys
print(ended - begun, "numpy" in sys.modules)
"""
    found = [python(script).stdout.split() for _ in range(7)]
    assert {numpy for _, numpy in found} == {"False"}
    assert statistics.median(float(seconds) for seconds, _ in found) < 0.150, found


def command(*arguments, **more):
    return subprocess.run(
        [sys.executable, "-m", "nasoseg", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        **more,
    )


def test_python_m_nasoseg_is_the_program(series, tmp_path):
    assert command("--version").stdout == f"nasoseg {nasoseg.__version__}\n"
    inputs = [word for name in NAMES for word in (f"--{name}", series["folder"] / name)]
    done = command("run", *inputs, "--bundle", MICRO, "--device", "cpu", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (tmp_path / "out" / "rtstruct.dcm").exists() and record["device"]["used"] == "cpu"
    codes = [
        (2, ["no-such-command"]),
        (
            2,
            [
                "run",
                *inputs,
                "--bundle",
                MICRO,
                "--out",
                tmp_path / "out2",
                "--slices",
                "0:99",
                "--device",
                "cpu",
            ],
        ),
        (
            3,
            [
                "run",
                *inputs[:-1],
                tmp_path / "missing",
                "--bundle",
                MICRO,
                "--out",
                tmp_path / "out2",
                "--device",
                "cpu",
            ],
        ),
        (5, ["info", tmp_path]),
        (6, ["doctor", "--onnxruntime", tmp_path, "--bundle", MICRO]),
    ]
    for code, arguments in codes:
        run = command(*arguments)
        assert run.returncode == code and run.stderr, (arguments, run)
    script = os.path.join(os.path.dirname(sys.executable), "nasoseg")
    assert (
        subprocess.run([script, "--version"], capture_output=True, text=True).stdout
        == f"nasoseg {nasoseg.__version__}\n"
    )


def test_the_program_finds_this_pythons_onnxruntime():
    environment = {
        k: v for k, v in os.environ.items() if k not in ("NASOSEG_ORT_DYLIB", "VIRTUAL_ENV")
    }
    run = command("doctor", "--bundle", nasoseg.demo_bundle(), "--device", "cpu", env=environment)
    assert run.returncode == 0 and nasoseg.runtime_info().path in run.stdout, run
    assert (
        (ROOT / "Cargo.toml")
        .read_text()
        .split('version = "')[1]
        .startswith(nasoseg.__version__ + '"')
    )
