"""What can be said of all texts of a column at once.

Belongs here: the longest text of a column, whether any holds a control character, the distinct texts of
a part of it. Does not belong here: which row holds them (the rules' expressions), what is allowed
(``contract.py``, ``rules/``).

A column's texts lie behind each other in memory. One look at those bytes tells of millions of texts
that none breaks a rule, where a test of each takes many times as long; only a column that the look
does not clear is tested text by text. The look may see more than the rows hold (values of items that
a missing list hides), never less.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from quality.expressions import CONTROL_CODES

_FIRST_PRINTABLE = 0x20
_DELETE = 0x7F
_FORBIDDEN = np.isin(np.arange(256), CONTROL_CODES)


@dataclass(frozen=True)
class Texts:
    """Of all texts in a column: bytes of the longest, and whether any holds a control character."""

    longest: int = 0
    control: bool = False


class Glance:
    """A frame's columns as seen at a glance; each is looked at once, when it is first asked for."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame
        self._seen: dict[str, Texts] = {}

    def texts(self, name: str) -> Texts:
        """What is seen of a column's texts, those inside lists and structures too."""
        if name not in self._seen:
            self._seen[name] = _seen(self._frame[name])
        return self._seen[name]

    def distinct(self, name: str, part: str) -> pl.Series:
        """Distinct texts of one part of a list's items, such as the family of each name."""
        found = _inside(_inside(self._frame[name].to_arrow(compat_level=pl.CompatLevel.newest())).field(part))
        return pl.Series(part, found, dtype=pl.String()).unique()


def _inside(array: Any) -> Any:
    """The items of an array of lists, lists of lists too."""
    return _inside(array.values) if pa.types.is_large_list(array.type) else array


def _seen(column: pl.Series) -> Texts:
    if column.null_count() == column.len():
        return Texts()
    found = [_texts(array) for array in _text_arrays(column.to_arrow(compat_level=pl.CompatLevel.oldest()))]
    return Texts(max((texts.longest for texts in found), default=0), any(texts.control for texts in found))


def _text_arrays(array: Any) -> Iterator[Any]:
    """Every array of texts inside an array."""
    if pa.types.is_large_list(array.type):
        yield from _text_arrays(array.values)
    elif pa.types.is_struct(array.type):
        for place in range(array.type.num_fields):
            yield from _text_arrays(array.field(place))
    elif pa.types.is_large_string(array.type):
        yield array


def _texts(array: Any) -> Texts:
    _, offsets, values = array.buffers()
    if values is None or values.size == 0:
        return Texts()
    ends = np.frombuffer(offsets, np.int64)
    return Texts(int(np.diff(ends).max(initial=0)), _holds_control(np.frombuffer(values, np.uint8)))


def _holds_control(content: npt.NDArray[np.uint8]) -> bool:
    # In UTF-8 every byte of a character beyond ASCII is 0x80 or above: negative, were it a signed number.
    if content.min() >= _FIRST_PRINTABLE:
        return bool(content.view(np.int8).max() == _DELETE)
    return bool(_FORBIDDEN[content].any())
