"""A line added to a table of a flow file, or changed in it; every comment and blank stays where it stands."""

from __future__ import annotations

import json
import re
import tomllib

from koppel.mapping.positions import BOM, Positions, locate
from koppel.model.problem import UsageError
from koppel.model.values import Json

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def with_line(text: str, table: str, code: str, value: str) -> str:
    """A flow file that can be read, with `code = value` in [tables.TABLE]; a code that has a line gets the new value.

    The value is a text, or where the table holds nothing but numbers or switches one of those. Raises UsageError when the file
    has no such table, or the value is of another kind than the table's.
    """
    document = tomllib.loads(text.removeprefix(BOM))
    tables: dict[str, dict[str, Json]] = document.get("tables", {})
    if table not in tables:
        raise UsageError(f"The flow has no table {table!r}.", remedy=f"It has: {', '.join(tables) or 'none'}.")
    lines = tables[table]
    places = locate(text, file="")
    written = _toml(_read(value, [line for name, line in lines.items() if name != code], table))
    if ("tables", table, code) in places.values:
        place = places.values["tables", table, code]
        return text[: place.begin] + written + text[place.end :]
    return _inserted(text, places, table, list(lines), f"{_key(code)} = {written}")


def _inserted(text: str, places: Positions, table: str, codes: list[str], line: str) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    whole = places.values.get(("tables", table))
    if whole is not None and text[whole.begin] == "{":  # written on one line
        inside = text[whole.begin + 1 : whole.end - 1].strip()
        return f"{text[: whole.begin]}{{ {f'{inside}, ' if inside else ''}{line} }}{text[whole.end :]}"
    last = places.values["tables", table, codes[-1]] if codes else places.keys["tables", table]
    head = places.keys["tables", table]
    if text[head.begin - 1 : head.begin] != "[":
        raise UsageError(
            f"The lines of the table {table!r} are written as tables.{table}.CODE.", remedy=f"Add it by hand: {line}"
        )
    end = text.find("\n", last.end)
    if end < 0:
        return f"{text}{newline}{line}{newline}"
    return f"{text[: end + 1]}{line}{newline}{text[end + 1 :]}"


def _read(value: str, others: list[Json], table: str) -> Json:
    """The value as the other lines of its table are: text, unless all of them are something else."""
    kinds = {type(other) for other in others}
    if not kinds or kinds & {str, list}:
        return value
    if kinds == {bool} and value in ("true", "false"):
        return value == "true"
    if kinds <= {int, float} and _NUMBER.fullmatch(value):
        return int(value) if "." not in value else float(value)
    what = "true or false" if kinds == {bool} else "numbers"
    raise UsageError(f"{value!r} does not fit the table {table!r}, which holds {what}.", remedy="Nothing was written.")


def _toml(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(code: str) -> str:
    return code if _BARE.fullmatch(code) else _toml(code)
