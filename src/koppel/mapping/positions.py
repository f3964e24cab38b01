"""Where things stand in a TOML text: key path to line and column, so that every problem points at its place.

`tomllib` gives values without positions. This walks the same text once more and notes where each key and each value
begins. It trusts that the text is valid TOML (`tomllib` has read it); on anything else it gives up and keeps what it has.
A key path is a tuple of names and, inside arrays, positions: `("scope", "left", 0, "field")`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TypeAlias

import msgspec

KeyPath: TypeAlias = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"[ \t]*")
_FILLER = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRINGS = (
    re.compile(r'"""(?:\\.|[^\\])*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"(?:\\.|[^"\\\n])*"'),
    re.compile(r"'[^'\n]*'"),
)
_PLAIN = re.compile(r"[^,\]}\n#]+")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}
_ESCAPE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([btnfr"\\]))')


class Place(msgspec.Struct, frozen=True):
    """A line and column, from one, and the offsets of the text that stands there."""

    line: int
    column: int
    begin: int = 0
    end: int = 0


START = Place(1, 1)
BOM = "\ufeff"  # some editors put it in front; it is no part of the text


class Positions(msgspec.Struct, frozen=True):
    """Where the keys and values of one file stand."""

    file: str
    keys: dict[KeyPath, Place] = {}
    values: dict[KeyPath, Place] = {}

    def key(self, *path: str | int) -> Place:
        """Where that key stands, or the nearest enclosing one that is written."""
        return _nearest(self.keys, path)

    def value(self, *path: str | int) -> Place:
        """Where that value begins, or its key, or the nearest enclosing key that is written."""
        return self.values.get(path) or _nearest(self.keys, path)


def locate(text: str, *, file: str) -> Positions:
    """Find every key and value of a TOML text. Never raises: what cannot be walked is left out."""
    walk = _Walk(text)
    with suppress(_LostError, RecursionError):
        walk.document()
    return Positions(file, walk.keys, walk.values)


def _nearest(places: dict[KeyPath, Place], path: KeyPath) -> Place:
    for length in range(len(path), 0, -1):
        if place := places.get(path[:length]):
            return place
    return START


class _LostError(Exception):
    """The text is not what this walk expects."""


class _Walk:
    """One pass over the text; `at` is the offset reached."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 1 if text.startswith(BOM) else 0
        self.keys: dict[KeyPath, Place] = {}
        self.values: dict[KeyPath, Place] = {}
        self._counts: dict[KeyPath, int] = {}
        self._starts = [0, *(m.end() for m in re.finditer("\n", text))]

    def document(self) -> None:
        table: KeyPath = ()
        while True:
            self._skip(_FILLER)
            if self.at >= len(self.text):
                return
            if self._next("[["):
                table = self._header(repeated=True)
            elif self._next("["):
                table = self._header(repeated=False)
            else:
                self._pair(table)

    def _header(self, *, repeated: bool) -> KeyPath:
        begin = self.at
        names = self._dotted()
        if not self._next("]]" if repeated else "]"):
            raise _LostError
        path = self._inside(names[:-1], begin)
        if repeated:
            list_path = (*path, names[-1])
            count = self._counts.get(list_path, 0)
            self._counts[list_path] = count + 1
            self._note(self.keys, list_path, begin)
            path = (*list_path, count)
        else:
            path = (*path, names[-1])
        self._note(self.keys, path, begin)
        return path

    def _inside(self, names: tuple[str, ...], begin: int) -> KeyPath:
        """The path of a header's parents: the last element of every list of tables on the way."""
        path: KeyPath = ()
        for name in names:
            path = (*path, name)
            self._note(self.keys, path, begin, first=True)
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
        return path

    def _pair(self, table: KeyPath) -> None:
        begin = self.at
        names = self._dotted()
        if not self._next("="):
            raise _LostError
        for length in range(1, len(names) + 1):
            self._note(self.keys, (*table, *names[:length]), begin, first=True)
        self._value((*table, *names))

    def _value(self, path: KeyPath) -> None:
        self._skip(_BLANK)
        begin = self.at
        if self._next("["):
            self._array(path)
        elif self._next("{"):
            self._inline(path)
        elif not any(self._skip(pattern) for pattern in _STRINGS):
            self._skip(_PLAIN)
            self.at = begin + len(self.text[begin : self.at].rstrip())
            if self.at == begin:
                raise _LostError
        self._note(self.values, path, begin)

    def _array(self, path: KeyPath) -> None:
        index = 0
        while True:
            self._skip(_FILLER)
            if self._next("]"):
                return
            self._value((*path, index))
            index += 1
            self._skip(_FILLER)
            self._next(",")

    def _inline(self, path: KeyPath) -> None:
        while True:
            self._skip(_FILLER)
            if self._next("}"):
                return
            self._pair(path)
            self._skip(_FILLER)
            self._next(",")

    def _dotted(self) -> tuple[str, ...]:
        names: list[str] = []
        while True:
            self._skip(_BLANK)
            names.append(self._name())
            self._skip(_BLANK)
            if not self._next("."):
                return tuple(names)

    def _name(self) -> str:
        begin = self.at
        if self._skip(_STRINGS[3]):
            return self.text[begin + 1 : self.at - 1]
        if self._skip(_STRINGS[2]):
            return _ESCAPE.sub(_unescape, self.text[begin + 1 : self.at - 1])
        if self._skip(_BARE):
            return self.text[begin : self.at]
        raise _LostError

    def _note(self, places: dict[KeyPath, Place], path: KeyPath, begin: int, *, first: bool = False) -> None:
        if first and path in places:
            return
        line = self._line_of(begin)
        places[path] = Place(line, begin - self._starts[line - 1] + 1, begin, self.at)

    def _line_of(self, offset: int) -> int:
        low, high = 0, len(self._starts)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._starts[middle] <= offset else (low, middle)
        return low + 1

    def _next(self, token: str) -> bool:
        if not self.text.startswith(token, self.at):
            return False
        self.at += len(token)
        return True

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        match = pattern.match(self.text, self.at)
        if match is None or match.end() == self.at:
            return False
        self.at = match.end()
        return True


def _unescape(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    return chr(int(code, 16)) if code else _ESCAPES[match[3]]
