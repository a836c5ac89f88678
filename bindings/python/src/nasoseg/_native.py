"""The shared library: loaded, called, its handles owned.

In: nothing but the files of this package. Out: `lib` (every function of nasoseg.h, typed), `call`,
`Handle`, `view` and `Error`. ctypes releases the GIL during every call, and takes it back for
callbacks.
"""

from __future__ import annotations

import ctypes
import enum
import operator
import os
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from . import _abi

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Self = TypeVar("_Self", bound="Owner")
_Member = TypeVar("_Member", bound=enum.IntEnum)
FOLDER = Path(__file__).parent / "_native"


class Error(Exception):
    """A call that failed: one paragraph that names what was found, what was expected and what to
    do.

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
    """The error of an invalid argument."""
    return Error(_abi.Status.ERROR_ARGUMENT, message)


def _load() -> ctypes.CDLL:
    name = {"win32": "nasoseg.dll", "darwin": "libnasoseg.dylib"}.get(sys.platform, "libnasoseg.so")
    path = FOLDER / name
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise ImportError(
            f"{path}: found a library that cannot be loaded ({error}), expected one for this "
            "system. Install the wheel for this system again"
        ) from error
    library.nasoseg_abi_version.restype = ctypes.c_uint32
    found = library.nasoseg_abi_version()
    if found < _abi.ABI_VERSION or found // 100 != _abi.ABI_VERSION // 100:
        raise ImportError(
            f"{path}: found ABI {found}, expected {_abi.ABI_VERSION}. Install the wheel again"
        )
    _abi.declare(library)
    return library


lib = _load()


def text(raw: bytes | None) -> str:
    """A string of the library's memory, copied."""
    return (raw or b"").decode("utf-8")


def encoded(value: str | os.PathLike[str], what: str) -> bytes:
    """A string or path for the library. ctypes would cut it at a NUL."""
    value = os.fspath(value)
    if not isinstance(value, str):
        raise TypeError(
            f"{what}: found {type(value).__name__}, expected a str or a path. Give one of these"
        )
    try:
        raw = value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise wrong(
            f"{what}: found {value!r}, expected text that UTF-8 can encode. Rename it"
        ) from error
    if b"\0" in raw:
        raise wrong(f"{what}: found a NUL character in {value!r}, expected none. Remove it")
    return raw


def check(code: int, error: Any) -> None:
    """Raises the library's error, if there is one, and frees it."""
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
    """An object that owns a handle: closed explicitly, by `with`, or when nothing refers to it.
    Arrays that view its memory stay valid for as long as they live.
    """

    _handle: Handle | None

    def close(self) -> None:
        """Gives up the handle: its memory is freed once no array views it. May be called twice."""
        self._handle = None

    @property
    def closed(self) -> bool:
        return self._handle is None

    def _pointer(self) -> Any:
        return self._held().pointer

    def _held(self) -> Handle:
        if self._handle is None:
            raise wrong(
                f"found a {type(self).__name__} that was closed, expected an open one. "
                "Make a new one"
            )
        return self._handle

    def __enter__(self: _Self) -> _Self:
        self._held()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Memory:
    """Memory of a handle, as numpy sees it."""

    def __init__(self, handle: Handle, address: int, shape: tuple[int, ...], kind: str) -> None:
        self.handle = handle
        self.__array_interface__ = {
            "version": 3,
            "data": (address, True),
            "shape": shape,
            "typestr": kind,
        }


def view(handle: Handle, pointer: Any, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """A read-only view of the handle's memory, which it keeps alive."""
    import numpy as np

    if 0 in shape:
        return np.zeros(shape, dtype)
    address = ctypes.cast(pointer, ctypes.c_void_p).value or 0
    return np.asarray(_Memory(handle, address, shape, np.dtype(dtype).str))


# What a parameter's type is called in Python.
_PYTHON: dict[Any, str] = {
    ctypes.c_bool: "bool",
    ctypes.c_char_p: "str or a path",
    ctypes.c_double: "float",
    ctypes.c_float: "float",
    ctypes.c_size_t: "int",
    ctypes.c_uint32: "int",
}


def options(**settings: Any) -> Handle | None:
    """An options object. A setting of None keeps its default; if all are None, there is none."""
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
            # Without the options and the error.
            kinds = function.argtypes[1:-1]
            raise TypeError(
                f"{name}: found {value!r} of type {type(value).__name__}, expected "
                f"{' and '.join(_PYTHON.get(kind, kind.__name__) for kind in kinds)}. Convert it"
            ) from error
    return handle


def _in_range(kind: Any, value: Any) -> Any:
    """ctypes would wrap a number that does not fit."""
    if kind in (ctypes.c_uint32, ctypes.c_size_t):
        number = operator.index(value)
        if not 0 <= number < 1 << (8 * ctypes.sizeof(kind)):
            largest = (1 << (8 * ctypes.sizeof(kind))) - 1
            raise wrong(f"found {number}, expected a number from 0 to {largest}")
        return number
    return value


def given(handle: Handle | None) -> Any:
    """The pointer of an optional handle."""
    return None if handle is None else handle.pointer


_NO_SLICE = ctypes.c_size_t(-1).value
"""The library's number for "no such slice"."""


def storage_slice(number: int) -> int | None:
    """A storage slice of a getter; None if there is none."""
    return None if number == _NO_SLICE else number


def member(kind: type[_Member], value: _Member | str, what: str) -> _Member:
    """A member of an enumeration by itself or by its name in lower case."""
    if isinstance(value, kind):
        return value
    found = kind.__members__.get(value.upper()) if isinstance(value, str) else None
    if found is None:
        names = " or ".join(repr(name.lower()) for name in kind.__members__)
        raise wrong(f"{what}: found {value!r}, expected {names}")
    return found
