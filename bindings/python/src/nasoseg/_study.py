"""The three MR sequences of one patient."""

from __future__ import annotations

import ctypes
from typing import Any, Union

from . import _abi
from ._inputs import Image, StrPath, files_of, volume_of
from ._native import Handle, Owner, call, encoded, given, lib, options, text, wrong
from ._run import Cancel, ProgressCallback, not_from_a_callback, run

SequenceName = Union[_abi.Sequence, str]


def sequence_of(sequence: SequenceName) -> _abi.Sequence:
    if isinstance(sequence, _abi.Sequence):
        return sequence
    try:
        return _abi.Sequence[sequence.upper()]
    except (KeyError, AttributeError):
        raise wrong(f'sequence: found {sequence!r}, expected "t1", "t1c" or "t2"') from None


class Study(Owner):
    """T1, contrast-enhanced T1 (T1C) and T2 of one patient, each on its own grid. All results lie
    on T1C's.

    Each sequence is one of: a path (DICOM folder, NIfTI-1 or NRRD file), a list of the DICOM files
    of one series, a pydicom dataset or a list of them, a SimpleITK or nibabel image, `Volume(array,
    affine)`. Voxels are copied: later changes of an array do not matter.

        study = Study("patient/T1", "patient/T1C", "patient/T2")

    The sequences are validated and aligned by the first `detect`, and kept. Many threads may use a
    study.
    """

    def __init__(
        self,
        t1: Image | None = None,
        t1c: Image | None = None,
        t2: Image | None = None,
        *,
        progress: ProgressCallback | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        pointer = ctypes.POINTER(_abi.nasoseg_study)()
        call(lib.nasoseg_study_new, ctypes.byref(pointer))
        self._handle = Handle(pointer)
        # Temporary files of the sequences. Results may read them again.
        self._files: dict[_abi.Sequence, object] = {}
        for sequence, image in zip(_abi.Sequence, (t1, t1c, t2)):
            if image is not None:
                self.set(sequence, image, progress=progress, cancel=cancel)

    def set(
        self,
        sequence: SequenceName,
        image: Image,
        *,
        series_uid: str | None = None,
        pick: str | None = None,
        allow_gaps: bool = False,
        progress: ProgressCallback | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Sets or replaces a sequence ("t1", "t1c", "t2").

        For DICOM files only: `series_uid` chooses a series if they hold several. `pick` chooses
        images if a series holds several echoes, b-values, time points or stacks: "NAME=VALUE" as
        listed in the error message, several separated by semicolons ("Echo Time=80"). `allow_gaps`
        accepts a series in which slices are missing: the distances are kept, and a warning says
        where.
        """
        sequence, handle = sequence_of(sequence), self._held()
        chosen = {"series_uid": series_uid, "pick": pick, "allow_gaps": allow_gaps or None}
        volume = volume_of(image)
        if volume is not None:
            given_for_files = [name for name, value in chosen.items() if value is not None]
            if given_for_files:
                raise wrong(
                    f"{sequence.name}: found {' and '.join(given_for_files)} for an image in "
                    "memory, expected them for DICOM files only. Leave them out"
                )
            view, alive = volume.view()
            try:
                arguments = (handle.pointer, sequence, ctypes.byref(view), None)
                run(
                    lib.nasoseg_study_set_volume,
                    *arguments,
                    study=handle,
                    progress=progress,
                    cancel=cancel,
                )
            finally:
                del alive
            self._files.pop(sequence, None)
            return
        self._read(lib.nasoseg_study_load, sequence, image, options(**chosen), progress, cancel)

    def set_dicom_source(
        self,
        sequence: SequenceName,
        files: StrPath | list[StrPath] | object,
        *,
        series_uid: str | None = None,
        pick: str | None = None,
        allow_gaps: bool = False,
        progress: ProgressCallback | None = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Sets the DICOM files (or pydicom datasets) that a sequence in memory came from, so that
        it too yields an RT Structure Set.

        Sizes must be equal and every slice must lie within 0.01 mm of the files' (the slices may
        run the other way); otherwise this raises `Error`, and the sequence stays as it was.
        `series_uid`, `pick`, `allow_gaps`: as in `set`.
        """
        chosen = options(series_uid=series_uid, pick=pick, allow_gaps=allow_gaps or None)
        self._read(
            lib.nasoseg_study_set_dicom_source,
            sequence_of(sequence),
            files,
            chosen,
            progress,
            cancel,
        )

    def _read(
        self,
        function: Any,
        sequence: _abi.Sequence,
        source: object,
        chosen: Handle | None,
        progress: ProgressCallback | None,
        cancel: Cancel | None,
    ) -> None:
        handle, files = self._held(), files_of(source, sequence.name)
        paths = [encoded(path, sequence.name) for path in files.paths]
        array = (ctypes.c_char_p * len(paths))(*paths)
        run(
            function,
            handle.pointer,
            sequence,
            array,
            len(paths),
            given(chosen),
            study=handle,
            progress=progress,
            cancel=cancel,
        )
        self._files[sequence] = files.folder

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should see (sequences that look swapped, incomplete coverage, forced
        geometry); complete after `detect`.
        """
        handle = self._held()
        not_from_a_callback(handle)
        count = lib.nasoseg_study_warning_count(handle.pointer)
        return tuple(text(lib.nasoseg_study_warning(handle.pointer, at)) for at in range(count))

    def _keep(self) -> tuple[object, ...]:
        return tuple(folder for folder in self._files.values() if folder is not None)
