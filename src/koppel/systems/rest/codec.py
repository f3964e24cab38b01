"""A described record made into an entity of ours, and our values made into its wire fields, by the description's field table.

A value that cannot be read is left out and named in a `Problem`, which never holds the value itself: it may be personal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import cast
from zoneinfo import ZoneInfo

import msgspec

from koppel.formats import InvalidNumber, branch, kvk, rsin, vat
from koppel.model.address import Address
from koppel.model.can import Field, Writable
from koppel.model.entity import Entity
from koppel.model.kinds import is_blank
from koppel.model.problem import Problem, UsageError
from koppel.model.record import Record
from koppel.model.values import Json
from koppel.model.versions import ENTITIES
from koppel.systems.rest.description import FieldText, ResourceText, Since, digest, kind_of, paths_of
from koppel.systems.rest.entities import ADDRESSES, LINES
from koppel.systems.rest.wire import Row, Unreadable, at, put
from koppel.systems.spi import Decoded, Item, Site

# --- stamps ---------------------------------------------------------------------------------------------------------


def instant(since: Since, value: Json) -> float | None:
    """A stamp as epoch seconds; None when there is none. Raises ValueError."""
    if value is None or value == "":
        return None
    if since.format == "epoch":
        return float(value)
    found = datetime.fromisoformat(str(value))
    return (found if found.tzinfo else found.replace(tzinfo=ZoneInfo(since.zone))).timestamp()


def stamp(since: Since, moment: float) -> str:
    """An instant as the vendor asks for it; never later than meant, so that whole seconds lose nothing.

    >>> stamp(Since(parameter="p", field="f"), 1_760_000_000.9)
    '2025-10-09T08:53:20+00:00'
    """
    whole = int(moment // 1)
    if since.format == "epoch":
        return str(whole)
    local = datetime.fromtimestamp(whole, UTC).astimezone(ZoneInfo(since.zone))
    return local.isoformat() if since.zone == "UTC" else local.replace(tzinfo=None).isoformat()


# --- items ----------------------------------------------------------------------------------------------------------


def item(resource: ResourceText, row: Row) -> Item:
    """A record as an item, holding only what is described. Raises Unreadable when it shows no key."""
    native = at(row, resource.key)
    if isinstance(native, bool) or not isinstance(native, (str, int)) or native == "":
        raise Unreadable(Problem("no_key", f"A record shows no key at {resource.key!r}.", field=resource.key))
    try:
        modified = instant(resource.since, at(row, resource.since.field)) if resource.since else None
    except ValueError:
        modified = None
    version = at(row, resource.version or (resource.since.field if resource.since else "\0"))
    kept = {path: value for path in paths_of(resource) if (value := _shown(row, path)) is not _MISSING}
    lines = resource.fields.get(LINES)
    if lines is not None and lines.field in kept:
        kept[lines.field] = _described_lines(lines, kept[lines.field])
    # A description that was edited reads the same record otherwise: without this it would pass for known.
    kept[DESCRIBED] = digest(resource)
    return Item(str(native), kept, "" if version is None else str(version), modified)


def whole_item(resource: ResourceText, row: Row) -> Item | None:
    """The item when everything described was shown; what an answer leaves out would read as a value dropped."""
    found = item(resource, row)
    return found if all(path in found.fields for path in paths_of(resource)) else None


DESCRIBED = "(description)"  # no path: a name in parentheses stands in no answer
_MISSING = object()


def _shown(row: Row, path: str) -> Json:
    way, _, last = path.rpartition(".")
    table = at(row, way)
    return cast("Row", table).get(last, _MISSING) if isinstance(table, dict) else _MISSING


def _described_lines(lines: FieldText, shown: Json) -> Json:
    """Of every line what is described; nothing else of it is kept (rule B13). What is no line is None, for `decode` to name."""
    if not isinstance(shown, list):
        return shown
    return [_described_line(lines, row) if isinstance(row, dict) else None for row in cast("list[Json]", shown)]


def _described_line(lines: FieldText, row: Row) -> Row:
    line: Row = {}
    for part in lines.parts.values():
        put(line, part.field, at(row, part.field))
    return line


# --- in -------------------------------------------------------------------------------------------------------------


def decode(resource: ResourceText, site: Site, shown: Item) -> Decoded:
    """The entity in a record, and what could not be read of it."""
    problems: list[Problem] = []
    values: dict[str, Json] = {}
    for path, field in resource.fields.items():
        given = shown.fields.get(field.field)
        value = _lines(field, given, problems) if path == LINES else _read(path, field, given, problems)
        if value is None:
            continue
        address, _, part = path.partition(".")
        if part:
            values.setdefault(address, {})[part] = value
        else:
            values[path] = value
    own = {
        name: _read(name, resource.own[name], shown.fields.get(resource.own[name].field), problems)
        for name in site.own
        if name in resource.own
    }
    return Decoded(Record(_entity(resource, values, problems), own), tuple(problems))


def _entity(resource: ResourceText, values: dict[str, Json], problems: list[Problem]) -> Entity:
    """The entity of these values; one that does not fit (a status nobody knows) is left out and named."""
    of = ENTITIES[resource.entity]
    fitting: dict[str, Json] = {}
    for field in msgspec.structs.fields(of):
        if field.name not in values:
            continue
        try:
            msgspec.convert(values[field.name], field.type)
        except msgspec.ValidationError:
            text = f"This is no {field.name} that is known; the description can translate it with `words`."
            problems.append(Problem("unreadable_value", text, field=resource.fields[field.name].field))
        else:
            fitting[field.name] = values[field.name]
    return msgspec.convert(fitting, of)


def _lines(lines: FieldText, value: Json, problems: list[Problem]) -> Json:
    """The lines of a document; when one cannot be read the field is left out: half a document is none."""
    if is_blank(value):
        return None
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in cast("list[Json]", value)):
        problems.append(Problem("unreadable_value", "This is no list of lines.", field=lines.field))
        return None
    found: list[Row] = []
    unread: list[Problem] = []
    for row in cast("list[Row]", value):
        parts = {
            name: _read(f"{LINES}.{name}", part, at(row, part.field), unread) for name, part in lines.parts.items()
        }
        found.append({name: part for name, part in parts.items() if part is not None})
    if unread:
        problems += [msgspec.structs.replace(problem, field=f"{lines.field}.{problem.field}") for problem in unread]
        return None
    return found


def _read(path: str, field: FieldText, value: Json, problems: list[Problem]) -> Json:
    if is_blank(value):
        return None
    try:
        return _meaning(path, field, value)
    except InvalidNumber as error:
        problems.append(Problem("number_invalid", f"This is no such number: {error.reason}.", field=field.field))
    except (ValueError, TypeError, ArithmeticError):
        problems.append(Problem("unreadable_value", f"This is no {kind_of(path, field)}.", field=field.field))
    return None


def _meaning(path: str, field: FieldText, value: Json) -> Json:
    """One of their values in our form. Raises ValueError, InvalidNumber."""
    kind = kind_of(path, field)
    if field.words:
        known_words: dict[Json, str] = {theirs: ours for ours, theirs in field.words.items()}
        if value not in known_words:
            raise ValueError("none of the words")
        return known_words[value]
    if kind == "bool":
        known: dict[Json, bool] = {field.true: True, field.false: False}
        if value not in known:
            raise ValueError("neither of the two words")
        return known[value]
    if kind == "int":
        return int(value)
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise TypeError("no plain value")
    text = written_out(path, value)
    if kind in {"decimal", "money"}:
        return _plain(text)
    if kind == "date":
        return _day(field, text)
    if path in _NUMBERS:
        return _NUMBERS[path](text)
    if path.endswith(".country") or kind == "country":
        return text.upper()
    return text


def _plain(text: str) -> str:
    """A number as it is said, without zeros that say nothing. Raises ValueError, ArithmeticError.

    >>> _plain("12.50"), _plain("1E+2")
    ('12.5', '100')
    """
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError("no number")
    return format(number.normalize(), "f")


def _day(field: FieldText, text: str) -> str:
    if field.date_format:
        return datetime.strptime(text, field.date_format).date().isoformat()  # noqa: DTZ007 - a date has no zone
    return datetime.fromisoformat(text).date().isoformat()


_NUMBERS: Mapping[str, Callable[[str], str]] = {
    "kvk": lambda text: kvk.read(text)[0],
    "branch": branch.validate,
    "vat_number": vat.validate,
    "rsin": rsin.validate,
}


# --- out ------------------------------------------------------------------------------------------------------------


def wire_fields(resource: ResourceText, path: str, value: Json) -> Row:
    """The wire fields one of our values becomes, by dotted path; null clears. Raises UsageError for what is not described."""
    if path in ADDRESSES:
        parts = {part: field for part, field in _parts(resource, path).items() if field.writable != "never"}
        if not parts:
            raise UsageError(f"{path} is not in the description.", remedy="Add its parts to the table of fields.")
        formed = address_form(resource, path, value)
        if formed is None and not is_blank(value):
            return {}  # a shielded address is written nowhere and wipes nothing (rule B3)
        shown = cast("Row", formed or {})
        return {field.field: _written(f"{path}.{part}", field, shown.get(part)) for part, field in parts.items()}
    field = resource.own.get(path) or resource.fields.get(path)
    if field is None or field.writable == "never":
        raise UsageError(f"{path} cannot be written.", remedy="The description does not name it, or says: never.")
    if field.parts:
        return {field.field: [_line(field, row) for row in cast("list[Row]", lines_form(field, value) or [])]}
    return {field.field: _written(path, field, text_form(path, field, value))}


def _line(lines: FieldText, row: Row) -> Row:
    written: Row = {}
    for name, part in lines.parts.items():
        if part.writable != "never" and row.get(name) is not None:
            put(written, part.field, _written(f"{LINES}.{name}", part, row[name]))
    return written


def _written(path: str, field: FieldText, value: Json) -> Json:
    if value is None:
        return None
    if field.as_number:
        return _number(path, value)
    if field.words:
        if value not in field.words:
            raise UsageError(
                f"{path}: {value!r} has no word at the vendor.", remedy=f"Known: {', '.join(field.words)}."
            )
        return field.words[value]
    kind = kind_of(path, field)
    if kind == "bool":
        return field.true if value else field.false
    if kind == "date" and field.date_format:
        return datetime.fromisoformat(str(value)).strftime(field.date_format)
    return value


def _number(path: str, value: Json) -> int | float:
    """A value as a JSON number. Raises UsageError."""
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        raise UsageError(f"{path}: {value!r} is no number.", remedy="Remove as_number from the description.") from None
    return int(number) if number == number.to_integral_value() else float(number)


def lines_form(lines: FieldText, value: Json) -> Json:
    """How the vendor keeps lines: what is described of each, numbers without empty zeros; who a part names is left as it is."""
    if is_blank(value):
        return None
    formed: list[Row] = []
    for row in cast("list[Row]", value):
        parts = {
            name: row.get(name) if part.refers_to else text_form(f"{LINES}.{name}", part, row.get(name))
            for name, part in lines.parts.items()
            if part.writable != "never"
        }
        formed.append({name: part for name, part in parts.items() if part is not None})
    return formed


def text_form(path: str, field: FieldText, value: Json) -> Json:
    """How the vendor keeps a value, in our words: without double spaces, cut to its length, a date only when whole."""
    if is_blank(value):
        return None
    if kind_of(path, field) in {"decimal", "money"}:
        try:
            return _plain(str(value))
        except (ValueError, ArithmeticError):
            return value
    if not isinstance(value, str):
        return value
    if kind_of(path, field) == "date" and len(value) != len("2018-03-01"):
        return None
    text = " ".join(value.split())
    if path in _NUMBERS:
        try:
            text = _NUMBERS[path](text)
        except InvalidNumber:
            return text
    return text[: field.max_length].rstrip() if field.max_length else text


def address_form(resource: ResourceText, path: str, value: Json) -> Json:
    """An address with the described parts only; None for a shielded or empty one (rule B3)."""
    if not isinstance(value, dict) or msgspec.convert(value, Address).is_empty():
        return None
    given = cast("Row", value)
    formed = {
        part: text_form(f"{path}.{part}", field, given.get(part)) for part, field in _parts(resource, path).items()
    }
    return {part: shown for part, shown in formed.items() if shown is not None} or None


def _parts(resource: ResourceText, path: str) -> dict[str, FieldText]:
    return {name.partition(".")[2]: field for name, field in resource.fields.items() if name.startswith(f"{path}.")}


# --- the field table ------------------------------------------------------------------------------------------------


def fields(resource: ResourceText) -> tuple[Field, ...]:
    """What `check`, the planner and the contract suite read, from the description."""
    plain = [_field(path, field) for path, field in resource.fields.items() if "." not in path]
    own = [_field(path, field, own=True) for path, field in resource.own.items()]
    addresses = [_address(resource, path) for path in ADDRESSES if _parts(resource, path)]
    return (*plain, *addresses, *own)


def _field(path: str, field: FieldText, *, own: bool = False) -> Field:
    return Field(
        path=path,
        kind=kind_of(path, field),
        vendor=(field.field,),
        writable=field.writable,
        required=field.required,
        max_length=field.max_length,
        values=tuple(field.words),
        own=own,
        lossy=f"What is longer than {field.max_length} characters is cut." if field.max_length else None,
        note=field.note,
        form=partial(lines_form, field) if field.parts else partial(text_form, path, field),
        refs=_refs(field),
    )


def _refs(field: FieldText) -> tuple[tuple[str, str], ...]:
    """What a field names: itself, or parts of its lines."""
    own = (("", field.refers_to),) if field.refers_to else ()
    return (*own, *((name, part.refers_to) for name, part in field.parts.items() if part.refers_to))


def _address(resource: ResourceText, path: str) -> Field:
    parts = _parts(resource, path)
    writable: tuple[Writable, ...] = tuple(dict.fromkeys(field.writable for field in parts.values()))
    lost = [part for part in ("street", "number", "suffix", "postcode", "city", "country") if part not in parts]
    return Field(
        path=path,
        kind="address",
        vendor=tuple(field.field for field in parts.values()),
        writable="always" if "always" in writable else writable[0],
        lossy=f"The description has no place for {', '.join(lost)}." if lost else None,
        form=partial(address_form, resource, path),
    )


_DIGITS = {"kvk": 8, "branch": 12, "rsin": 9}


def written_out(path: str, value: Json) -> str:
    """A value as text; a number that cannot hold its leading zeros gets them back.

    >>> written_out("kvk", 100104), written_out("kvk", "100104"), written_out("code", 7)
    ('00100104', '100104', '7')
    """
    whole = isinstance(value, int) and path in _DIGITS
    return f"{value:0{_DIGITS[path]}}" if whole else " ".join(str(value).split())


def comparable(path: str, value: Json) -> str:
    """What two spellings of one number share, to recognise a record in an answer."""
    text = written_out(path, value)
    try:
        return _NUMBERS[path](text) if path in _NUMBERS else text
    except InvalidNumber:
        return text
