"""Where in a TOML text each key stands, so that a mistake can be named by its line.

Rules:
1. Only a text that `tomllib` has taken is located: nothing is validated again here.
2. A key stands on the line where its name does; an element of an array on the line where it begins.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable

KeyPath = tuple[str | int, ...]
"""A key by its tables' names and its places in arrays: `("locks", 0, "id")`."""

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\])*"|\'[^\']*\'',
    re.DOTALL,
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]+")
_DOT = re.compile(r"[ \t]*\.[ \t]*")


def locate(text: str) -> dict[KeyPath, int]:
    """Return the line, from 1, of each table, key and array element of a valid TOML text."""
    return _Scanner(text).scan()


class _Scanner:
    """One walk over a text, left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[KeyPath, int] = {}
        self._counted = (0, 1)
        self._elements: dict[KeyPath, int] = {}

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip()
        while self._at < len(self._text):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)
            self._skip()
        return self._lines

    def _header(self) -> KeyPath:
        """Read `[table]` or `[[array of tables]]`."""
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        self._at += brackets
        self._skip()
        line, names = self._line(), self._names()
        self._skip()
        self._at += brackets
        path = self._resolve(names)
        if brackets == 1:
            self._lines.setdefault(path, line)
            return path
        self._lines.setdefault(path, line)
        count = self._elements.get(path, 0)
        self._elements[path] = count + 1
        self._lines[*path, count] = line
        return (*path, count)

    def _resolve(self, names: list[str]) -> KeyPath:
        """Add to each array of tables on the way the place of its last element, which is the one meant."""
        path: KeyPath = ()
        for name in names:
            if path in self._elements:
                path = (*path, self._elements[path] - 1)
            path = (*path, name)
        return path

    def _pair(self, table: KeyPath) -> None:
        """Read `key = value`."""
        line = self._line()
        path = table
        for name in self._names():
            path = (*path, name)
            self._lines.setdefault(path, line)
        self._skip()
        self._at += 1
        self._skip()
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        opening = self._text[self._at]
        if opening == "{":
            self._each("}", lambda _place: self._pair(path))
        elif opening == "[":
            self._each("]", lambda place: self._element((*path, place)))
        elif string := _STRING.match(self._text, self._at):
            self._at = string.end()
        else:
            self._take(_SCALAR)

    def _each(self, closing: str, read: Callable[[int], None]) -> None:
        """Read what stands between a bracket and its closing one, separated by commas."""
        self._at += 1
        place = 0
        self._skip()
        while not self._text.startswith(closing, self._at):
            read(place)
            place += 1
            self._skip()
            if self._text.startswith(",", self._at):
                self._at += 1
                self._skip()
        self._at += 1

    def _element(self, path: KeyPath) -> None:
        self._lines[path] = self._line()
        self._value(path)

    def _names(self) -> list[str]:
        """Read a key: names, bare or quoted, joined by dots."""
        names = [self._name()]
        while dot := _DOT.match(self._text, self._at):
            self._at = dot.end()
            names.append(self._name())
        return names

    def _name(self) -> str:
        if self._text[self._at] in "\"'":
            quoted = self._take(_STRING)
            return str(tomllib.loads(f"name = {quoted}")["name"])
        return self._take(_BARE_KEY)

    def _skip(self) -> None:
        self._take(_SPACE)

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise ValueError(f"not TOML at line {self._line()}")
        self._at = found.end()
        return found.group()

    def _line(self) -> int:
        """Return the line of where the walk is."""
        offset, line = self._counted
        line += self._text.count("\n", offset, self._at)
        self._counted = (self._at, line)
        return line
