"""What the commands print for people: tables, times, colours."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import typer

from bridge.cli.boundary import colour


@dataclass(frozen=True, slots=True)
class Cell:
    """A table's cell, with a colour that says again what its words say."""

    text: str
    colour: str | None = None


def table(header: Sequence[str], rows: Sequence[Sequence[str | Cell]]) -> list[str]:
    """Return the lines of a table; as wide as its contents, so that what reads it by line misses nothing."""
    cells = [[each if isinstance(each, Cell) else Cell(each) for each in row] for row in (header, *rows)]
    widths = [max(_width(row[place].text) for row in cells) for place in range(len(header))]
    return [_line(row, widths) for row in cells]


def line(row: Sequence[str | Cell], widths: Sequence[int]) -> str:
    """Return one line of a table whose rows are not known yet; a wider cell pushes the others aside."""
    return _line([each if isinstance(each, Cell) else Cell(each) for each in row], widths)


def moment(text: str | None) -> str:
    """Return an RFC 3339 time as the clock on the wall shows it."""
    if not text:
        return "-"
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"


def safe(text: object) -> str:
    """Return a text from the air or from upstream as a terminal may see it: no control characters."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in _CONTROLS else c for c in str(text))


_CONTROLS = ("Cc", "Cf", "Cs")


def _line(row: Sequence[Cell], widths: Sequence[int]) -> str:
    return "  ".join(_padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _padded(cell: Cell, width: int) -> str:
    chosen = colour(cell.colour)
    text = typer.style(cell.text, fg=chosen) if chosen else cell.text
    return text + " " * (width - _width(cell.text))


def _width(text: str) -> int:
    """Return the columns that a text takes on a terminal."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)
