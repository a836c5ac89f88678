"""The words of a slice's statuses, as the library has them."""

from __future__ import annotations

from ._native import lib, text


def words(statuses: int) -> str:
    """The statuses of a slice in words, for example "no lesion, step limit reached"; "ok" if there
    are none. A bit that this library does not know is named by its number.
    """
    value = int(statuses) & 0xFFFFFFFF
    bits = [1 << place for place in range(value.bit_length()) if value >> place & 1] or [0]
    return ", ".join(text(lib.nasoseg_slice_status_words(bit)) or f"status {bit}" for bit in bits)
