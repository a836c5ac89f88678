"""The shared library: loaded, called, its handles owned.

In: nothing but the files of this package. Out: `lib` (every function of nasoseg.h, typed), `call`,
`Handle`, `lend` and `Error`. ctypes releases the GIL during every call, and takes it back for
callbacks.
"""

from __future__ import annotations

import ctypes
import operator
import os
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _abi

if TYPE_CHECKING:
    import numpy as np

FOLDER = Path(__file__).parent / "_native"


class Error(Exception):
    """A call that failed: one paragraph that names the input, what was expected and what to do.

    `code` is the number of nasoseg.h, stable between versions; `status` is the same as a `Status`
    (or the plain number, from a library newer than this package).
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = int(code)
        try:
            self.status: _abi.Status | int = _abi.Status(self.code)
        except ValueError:
            self.status = self.code

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, str(self))


class Cancelled(Error):
    """A call that was cancelled, by a token, a callable or a progress callback that returned False.
    Every object stays usable.
    """


def wrong(message: str) -> Error:
    """An argument that makes no sense."""
    return Error(_abi.Status.ERROR_ARGUMENT, message)


def _load() -> ctypes.CDLL:
    name = {"win32": "nasoseg.dll", "darwin": "libnasoseg.dylib"}.get(sys.platform, "libnasoseg.so")
    path = FOLDER / name
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise ImportError(
            f"{path}: nasoseg's library cannot be loaded ({error}). Install the wheel for this system again"
        ) from error
    library.nasoseg_abi_version.restype = ctypes.c_uint32
    found = library.nasoseg_abi_version()
    if found < _abi.ABI_VERSION or found // 100 != _abi.ABI_VERSION // 100:
        raise ImportError(
            f"{path}: has ABI {found}, this package was made for {_abi.ABI_VERSION}. Install the wheel again"
        )
    _abi.declare(library)
    return library


lib = _load()


def text(raw: bytes | None) -> str:
    """A string that the library lent."""
    return (raw or b"").decode("utf-8")


def encoded(value: str | os.PathLike[str], what: str) -> bytes:
    """A string or path for the library. ctypes would cut it at a NUL."""
    value = os.fspath(value)
    if not isinstance(value, str):
        raise TypeError(f"{what}: a str or a path was expected, not {type(value).__name__}")
    try:
        raw = value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise wrong(f"{what}: {value!r} cannot be written in UTF-8; rename it") from error
    if b"\0" in raw:
        raise wrong(f"{what}: {value!r} contains a NUL character")
    return raw


def check(code: int, error: Any) -> None:
    """Raises the library's error, and frees it."""
    if not code:
        return
    message = text(lib.nasoseg_error_message(error))
    lib.nasoseg_error_free(error)
    raise (Cancelled if code == _abi.Status.CANCELLED else Error)(code, message)


def call(function: Any, *arguments: Any) -> None:
    """Calls a function whose last parameter is the error."""
    error = ctypes.POINTER(_abi.nasoseg_error)()
    check(function(*arguments, ctypes.byref(error)), error)


def filled(struct: type[ctypes.Structure], function: Any, *arguments: Any) -> Any:
    """A struct that a getter fills."""
    out = struct()
    out.struct_size = ctypes.sizeof(struct)
    call(function, *arguments, ctypes.byref(out))
    return out


class Handle:
    """Owns one handle of the library: freed when the last object or array that needs it is gone,
    and never while a call uses it.
    """

    def __init__(self, pointer: Any, keep: tuple[object, ...] = ()) -> None:
        self.pointer = pointer
        # What must live as long: files that the library reads again, say.
        self.keep = keep
        free = getattr(lib, pointer._type_.__name__ + "_free")
        # Not at exit: a thread may be inside a call then, and the process gives the memory back
        # anyway.
        weakref.finalize(self, free, pointer).atexit = False


class Owner:
    """What owns a handle: closed explicitly, by `with`, or when nobody refers to it. Arrays that it
    lent stay valid for as long as they live.
    """

    _handle: Handle | None

    def close(self) -> None:
        """Gives the handle up; the memory is free once no array that was lent refers to it. Closing
        twice is legal.
        """
        self._handle = None

    @property
    def closed(self) -> bool:
        return self._handle is None

    def _pointer(self) -> Any:
        return self._held().pointer

    def _held(self) -> Handle:
        if self._handle is None:
            raise wrong(f"this {type(self).__name__} was closed; make a new one")
        return self._handle

    def __enter__(self) -> Any:
        self._held()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Lent:
    """Memory of a handle, as numpy sees it."""

    def __init__(self, handle: Handle, address: int, shape: tuple[int, ...], kind: str) -> None:
        self.handle = handle
        self.__array_interface__ = {
            "version": 3,
            "data": (address, True),
            "shape": shape,
            "typestr": kind,
        }


def lend(handle: Handle, pointer: Any, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """A read-only array of the handle's memory, without a copy; it keeps the handle alive."""
    import numpy as np

    if 0 in shape:
        return np.zeros(shape, dtype)
    address = ctypes.cast(pointer, ctypes.c_void_p).value or 0
    return np.asarray(_Lent(handle, address, shape, np.dtype(dtype).str))


def options(**settings: Any) -> Handle | None:
    """An options object; what is None stays at its default, and all defaults are no object at all."""
    settings = {name: value for name, value in settings.items() if value is not None}
    if not settings:
        return None
    pointer = ctypes.POINTER(_abi.nasoseg_options)()
    call(lib.nasoseg_options_new, ctypes.byref(pointer))
    handle = Handle(pointer)
    for name, value in settings.items():
        function = getattr(lib, f"nasoseg_options_set_{name}")
        values = value if isinstance(value, tuple) else (value,)
        values = tuple(encoded(v, name) if isinstance(v, (str, os.PathLike)) else v for v in values)
        try:
            call(function, pointer, *map(_in_range, function.argtypes[1:], values))
        except ctypes.ArgumentError as error:
            raise TypeError(f"{name}: {value!r} is of the wrong type") from error
    return handle


def _in_range(kind: Any, value: Any) -> Any:
    """ctypes would wrap a number that does not fit."""
    if kind in (ctypes.c_uint32, ctypes.c_size_t):
        number = operator.index(value)
        if not 0 <= number < 1 << (8 * ctypes.sizeof(kind)):
            raise wrong(
                f"{number}: a number from 0 to {(1 << (8 * ctypes.sizeof(kind))) - 1} was expected"
            )
        return number
    return value


def given(handle: Handle | None) -> Any:
    """The pointer of an optional handle."""
    return None if handle is None else handle.pointer
