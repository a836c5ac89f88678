"""A model, opened and ready to run; ONNX Runtime, found and loaded."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Union

from . import _abi
from ._detection import Detection
from ._inputs import StrPath
from ._model import ModelInfo
from ._native import (
    FOLDER,
    Error,
    Owner,
    encoded,
    filled,
    given,
    lib,
    member,
    options,
    text,
    wrong,
)
from ._run import Cancel, ProgressCallback, run
from ._segmentation import Segmentation
from ._study import Study

# Canonical slice numbers, half open: (8, 20), range(8, 20) or slice(8, 20).
Slices = Union[tuple[int, int], range, slice]


class Work(NamedTuple):
    """What an engine has run since it was made."""

    trunk_rows: int
    """Boxes that the agent's trunk has evaluated: once for each distinct slice and box."""
    segmenter_rows: int
    """Slices that the segmenter has evaluated."""
    seconds: float
    """Seconds inside ONNX Runtime."""


class RuntimeInfo(NamedTuple):
    """The ONNX Runtime of this process."""

    version: str
    """For example "1.32.0"."""
    path: str
    """Absolute path of the library."""
    has_cuda: bool
    """Whether this build supports CUDA; it says nothing about a device."""


def demo_bundle() -> Path:
    """The folder of the demo model that comes with this package: trained on synthetic images only,
    for trying things out, never for a patient.
    """
    return FOLDER.parent / "demo"


def _wheel_folder() -> Path | None:
    """The folder of the `onnxruntime` package's library, found without importing it."""
    module = sys.modules.get("onnxruntime")
    places = list(getattr(module, "__path__", []))
    if not places:
        import importlib.util

        spec = importlib.util.find_spec("onnxruntime")
        places = list(spec.submodule_search_locations or []) if spec is not None else []
    folders = [Path(place) / "capi" for place in places]
    return next((folder for folder in folders if folder.is_dir()), None)


_loaded = False


def runtime_for(onnxruntime: StrPath | None) -> StrPath | None:
    """The runtime to name: the caller's; else this Python's package, unless the environment
    variable or an earlier engine decides.
    """
    if onnxruntime is not None or _loaded or os.environ.get("NASOSEG_ORT_DYLIB"):
        return onnxruntime
    if any("onnxruntime" in name for name in os.listdir(FOLDER)):
        return None  # One beside the library comes first.
    return _wheel_folder()


@contextlib.contextmanager
def _names_the_extra(runtime: StrPath | None) -> Iterator[None]:
    """Adds the extra that brings ONNX Runtime to the library's error, if none was found."""
    missing = runtime is None and not _loaded and not os.environ.get("NASOSEG_ORT_DYLIB")
    try:
        yield
    except Error as error:
        if not missing or error.code != _abi.Status.ERROR_RUNTIME:
            raise
        raise Error(
            error.code,
            f"{str(error).rstrip('.')}. The package onnxruntime comes with the extra `cpu`, "
            "onnxruntime-gpu with `cuda`. Run: pip install 'nasoseg[cpu]'",
        ) from None


def runtime_info(onnxruntime: StrPath | None = None) -> RuntimeInfo:
    """Loads ONNX Runtime if necessary, and reports its version and path."""
    global _loaded
    runtime = runtime_for(onnxruntime)
    chosen = options(onnxruntime=runtime)
    with _names_the_extra(runtime):
        info = filled(_abi.nasoseg_runtime_info, lib.nasoseg_runtime_info_get, given(chosen))
    _loaded = True
    return RuntimeInfo(text(info.version), text(info.path), bool(info.has_cuda))


class Engine(Owner):
    """A model bundle, opened on a device. Any number of threads may share one; results do not
    depend on that.

    `bundle`: folder of the bundle, for example `demo_bundle()`. `device`: "cpu", "cuda", "cuda:N"
    or "auto". An explicitly requested device that fails to start is an error; "auto" falls back to
    the CPU and says why in `device_fallback`. `onnxruntime`: path of ONNX Runtime's shared library,
    or its folder. By default the variable NASOSEG_ORT_DYLIB, then this Python's `onnxruntime`
    package. A process can use one ONNX Runtime only. `threads`: inside one model run; 0 is all
    cores. `concurrent_runs`: how many model runs may proceed at once, 1 to 64; each costs another
    copy of the weights. `progress`, `cancel`: as in `detect`; a cancel takes effect between
    checking the files and loading the graphs.
    """

    def __init__(
        self,
        bundle: StrPath,
        *,
        device: str = "auto",
        onnxruntime: StrPath | None = None,
        threads: int = 0,
        concurrent_runs: int = 1,
        progress: ProgressCallback | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        global _loaded
        runtime = runtime_for(onnxruntime)
        chosen = options(
            device=device, onnxruntime=runtime, threads=threads, concurrent_runs=concurrent_runs
        )
        arguments = (encoded(bundle, "bundle"), given(chosen))
        with _names_the_extra(runtime):
            self._handle = run(
                lib.nasoseg_engine_new,
                *arguments,
                result=_abi.nasoseg_engine,
                progress=progress,
                cancel=cancel,
            )
        _loaded = True

    @property
    def model(self) -> ModelInfo:
        """The model's name, version, hash and intended use."""
        engine = self._pointer()
        return ModelInfo(
            text(lib.nasoseg_engine_model_name(engine)),
            text(lib.nasoseg_engine_model_version(engine)),
            text(lib.nasoseg_engine_model_hash(engine)),
            text(lib.nasoseg_engine_intended_use(engine)),
            lib.nasoseg_engine_is_demo(engine),
        )

    @property
    def intended_use(self) -> str:
        """What the model may be used for. Show it beside every result."""
        return self.model.intended_use

    @property
    def is_demo(self) -> bool:
        """Whether this is a demonstration: none of its results may be called a target."""
        return self.model.is_demo

    @property
    def device(self) -> str:
        """The device in use: "cpu" or "cuda:N"."""
        return text(lib.nasoseg_engine_device(self._pointer()))

    @property
    def device_fallback(self) -> str:
        """Why device "auto" did not take CUDA; "" if it did, or was not requested."""
        return text(lib.nasoseg_engine_device_fallback(self._pointer()))

    @property
    def grid(self) -> int:
        """Side of the model's square grid, pixels: boxes lie within 0 .. grid."""
        return int(lib.nasoseg_engine_grid(self._pointer()))

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of the agent's actions, by their number in a trajectory."""
        engine = self._pointer()
        return tuple(
            text(lib.nasoseg_engine_action_name(engine, at))
            for at in range(lib.nasoseg_engine_action_count(engine))
        )

    @property
    def work(self) -> Work:
        """What the engine has run since it was made."""
        w = filled(_abi.nasoseg_work, lib.nasoseg_engine_get_work, self._pointer())
        return Work(w.trunk_rows, w.segmenter_rows, w.seconds)

    def detect(
        self,
        study: Study,
        *,
        slices: Slices | None = None,
        slices_mm: tuple[float, float] | None = None,
        force_geometry: bool = False,
        force_coverage: bool = False,
        reslice: _abi.Reslice | str = "never",
        reslice_step_mm: float | None = None,
        progress: ProgressCallback | None = None,
        cancel: Cancel | None = None,
    ) -> Detection:
        """Stage one: a box on every slice.

        `slices`: canonical slice numbers, from inferior to superior, half open. `slices_mm`: the
        slices whose centre has z (LPS, mm) from low up to, but not including, high. By default all
        slices, which a model trained without tumour-free slices refuses. `force_geometry`: continue
        if the sequences' frames of reference differ (recorded as a warning; another patient is
        never accepted). `force_coverage`: also process slices that T1 or T2 covers incompletely.
        `reslice="axial"`: if T1C's own slices are not axial, the model sees T1C resampled to axial
        slices, `reslice_step_mm` (0.5 to 10, by default 3) apart. Slice numbers, positions and
        boxes are then those of the axial slices; mask and contours lie on T1C's own.
        `progress`: called with a `Progress`, on this thread; returning False cancels. `cancel`: a
        `CancelToken`, or a callable that returns True to cancel. Ctrl-C stops the call within one
        model run, as KeyboardInterrupt.
        """
        if slices is not None and slices_mm is not None:
            raise wrong("slices and slices_mm: found both, expected one of them")
        mm = None if slices_mm is None else tuple(float(z) for z in slices_mm)
        forced = {
            "force_geometry": force_geometry or None,
            "force_coverage": force_coverage or None,
        }
        chosen = options(
            slices=_range(slices),
            slices_mm=mm,
            reslice=_reslice(reslice, reslice_step_mm),
            **forced,
        )
        arguments = (self._pointer(), study._pointer(), given(chosen))
        handle = run(
            lib.nasoseg_detect,
            *arguments,
            result=_abi.nasoseg_detection,
            study=study._held(),
            keep=study._keep(),
            progress=progress,
            cancel=cancel,
        )
        return Detection(handle, self)

    def read_detection(
        self,
        study: Study,
        file: StrPath,
        *,
        force_geometry: bool = False,
        reslice: _abi.Reslice | str = "never",
        reslice_step_mm: float | None = None,
        progress: ProgressCallback | None = None,
        cancel: Cancel | None = None,
    ) -> Detection:
        """Reads a (possibly edited) detection of the same study and model, from `Detection.write`
        or the program's detection.json. `reslice` must be as in that detection.
        """
        chosen = options(
            force_geometry=force_geometry or None, reslice=_reslice(reslice, reslice_step_mm)
        )
        arguments = (self._pointer(), study._pointer(), encoded(file, "file"), given(chosen))
        study_handle, keep = study._held(), study._keep()
        handle = run(
            lib.nasoseg_detection_read,
            *arguments,
            result=_abi.nasoseg_detection,
            study=study_handle,
            keep=keep,
            progress=progress,
            cancel=cancel,
        )
        return Detection(handle, self)

    def segment(
        self,
        study: Study,
        detection: Detection,
        *,
        progress: ProgressCallback | None = None,
        cancel: Cancel | None = None,
    ) -> Segmentation:
        """Stage two: the mask in every box of the detection, which may have been edited. Study and
        engine must be those that made it.
        """
        arguments = (self._pointer(), study._pointer(), detection._pointer(), None)
        study_handle, keep = study._held(), detection._held().keep
        handle = run(
            lib.nasoseg_segment,
            *arguments,
            result=_abi.nasoseg_segmentation,
            study=study_handle,
            keep=keep,
            progress=progress,
            cancel=cancel,
        )
        return Segmentation(handle, self.model)


def _reslice(reslice: _abi.Reslice | str, step_mm: float | None) -> tuple[int, float] | None:
    kind = member(_abi.Reslice, reslice, "reslice")
    if kind == _abi.Reslice.NEVER:
        if step_mm is not None:
            raise wrong(
                f'reslice_step_mm: found {step_mm}, expected none if reslice is "never". '
                'Set reslice="axial"'
            )
        return None
    return kind, 0.0 if step_mm is None else float(step_mm)


def _range(slices: Slices | None) -> tuple[int, int] | None:
    if isinstance(slices, (range, slice)):
        if slices.step not in (None, 1) or slices.start is None or slices.stop is None:
            raise wrong(
                f"slices: found {slices} with a step or an open end, expected the first slice and "
                "the end. Give, for example, (8, 20)"
            )
        return slices.start, slices.stop
    if slices is None:
        return None
    first, end = slices
    return first, end
