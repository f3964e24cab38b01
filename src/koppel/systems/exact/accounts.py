"""One account: its row as it came made into a Company, and our values made into its wire fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from koppel.formats import InvalidNumber, rsin, vat
from koppel.model.address import Address
from koppel.model.company import Company
from koppel.model.kinds import is_blank
from koppel.model.problem import Problem, UsageError
from koppel.model.record import Record
from koppel.model.values import Json
from koppel.systems.exact import codec, fields
from koppel.systems.exact.wire import Row, Unreadable
from koppel.systems.spi import Decoded, Item, Site

# --- in -----------------------------------------------------------------------------------------------------------


def item(row: Row, names: tuple[str, ...]) -> Item:
    """A row as an item, holding `names` and nothing else: an answer to a POST shows everything, a BSN too (rule B13).

    Raises Unreadable when the row has no ID.
    """
    native = row.get("ID")
    if not isinstance(native, str) or not native:
        raise Unreadable(Problem("unreadable_answer", "Exact Online showed an account without an ID."))
    try:
        modified = codec.instant(row.get("Modified"))
    except ValueError:
        modified = None
    version = row.get("Timestamp")
    return Item(
        native=native.lower(),
        fields={name: row[name] for name in names if name in row},
        version="" if version is None else str(version),
        modified_at=modified,
    )


def whole_item(row: Row, names: tuple[str, ...]) -> Item | None:
    """The item when every one of `names` was shown; a missing one would read as a value the vendor dropped.

    Raises Unreadable when the row has no ID.
    """
    found = item(row, names)
    return found if all(name in row for name in names) else None


def decode(site: Site, shown: Item) -> Decoded:
    """The company in an account, and what could not be read of it."""
    row = shown.fields
    problems: list[Problem] = []
    ended_on = _read(problems, "EndDate", row, codec.day)
    address = _address(row, problems)
    company = Company(
        name=codec.text(row.get("Name")),
        kvk=_kvk(row, problems),
        vat_number=_number(problems, "VATNumber", row, vat.validate),
        rsin=_number(problems, "RSIN", row, rsin.validate),
        is_active=ended_on is None or ended_on > codec.day_in_amsterdam(site.as_of),
        ended_on=ended_on,
        role=codec.ROLES.get(codec.text(row.get("Status")) or "A"),
        is_supplier=_flag(row, "IsSupplier"),
        blocked=_flag(row, "Blocked"),
        address=address,
        phone=codec.text(row.get("Phone")),
        email=codec.text(row.get("Email")),
        website=codec.text(row.get("Website")),
        code=codec.text(row.get("Code")),
    )
    if company.role is None:
        problems.append(Problem("unknown_code", "This status is not one that Exact documents.", field="Status"))
    own = {name: _own(name, row, problems) for name in site.own if name in fields.OWN_NAMES and name in row}
    return Decoded(Record(company, own), tuple(problems))


def _read(problems: list[Problem], name: str, row: Row, reader: Callable[[Json], str | None]) -> str | None:
    try:
        return reader(row.get(name))
    except (ValueError, OverflowError):
        problems.append(Problem("unreadable_value", "This is not a date.", field=name))
        return None


def _kvk(row: Row, problems: list[Problem]) -> str | None:
    shown = codec.text(row.get("ChamberOfCommerce"))
    if shown is None:
        return None
    try:
        number, note = codec.read_kvk(shown)
    except InvalidNumber as error:
        problems.append(codec.invalid("ChamberOfCommerce", error))
        return None
    if note:
        problems.append(
            Problem("number_mended", f"The KVK number was read with a correction: {note}.", "ChamberOfCommerce")
        )
    return number


def _number(problems: list[Problem], name: str, row: Row, validate: Callable[[str], str]) -> str | None:
    shown = codec.text(row.get(name))
    if shown is None:
        return None
    try:
        return validate(shown)
    except InvalidNumber as error:
        problems.append(codec.invalid(name, error))
        return None


def _flag(row: Row, name: str) -> bool | None:
    value = row.get(name)
    return None if value is None else bool(value)


def _address(row: Row, problems: list[Problem]) -> Address | None:
    address, found = codec.read_address(row)
    problems.extend(found)
    return address


def _own(name: str, row: Row, problems: list[Problem]) -> Json:
    field, value = fields.BY_PATH[name], row[name]
    if field.kind in {"date", "instant"}:
        moment = codec.day if field.kind == "date" else _iso
        return _read(problems, name, row, moment)
    return field.form(value)


def _iso(value: Json) -> str | None:
    found = codec.wall_clock(value)
    return None if found is None else found.isoformat()


# --- out ----------------------------------------------------------------------------------------------------------


def wire_fields(path: str, value: Json) -> Row:
    """The wire fields one of our values becomes; None in it clears. Raises UsageError for what cannot be written.

    A cleared field is sent as null, not as "": null is what a field never filled holds, dates and GUIDs take nothing
    else, and the vendor's filters tell the two apart (fact sheet §5; that PUT takes null for every text is unverified).
    """
    field = fields.BY_PATH.get(path)
    if field is None or field.writable == "never":
        why = field.note if field is not None and field.note else "Exact Online accounts have no such field to write."
        raise UsageError(f"{path} cannot be written to Exact Online accounts.", remedy=why)
    if path == "address":
        return _address_fields(value)
    shown = field.form(value)
    if is_blank(shown):
        # What this vendor cannot keep (a date known to the month) is left alone; only an empty value clears.
        return {field.vendor[0]: None} if is_blank(value) else {}
    if path == "role" and shown not in codec.STATUSES:
        raise UsageError(f"{shown!r} is not a role.", remedy=f"Roles are {', '.join(codec.STATUSES)}.")
    if path == "role":
        shown = codec.STATUSES[shown]
    if field.kind == "date":
        shown = codec.date_for_wire(shown)
    return {field.vendor[0]: shown}


def _address_fields(value: Json) -> Row:
    # The country is never cleared: Exact fills it by itself.
    nothing: Row = {"AddressLine1": None, "Postcode": None, "City": None}
    shown = codec.address_form(value)
    if isinstance(shown, dict):
        return {**nothing, **cast("Row", shown)}
    # A shielded address is written nowhere (rule B3), and a mere country wipes nothing; only an empty value clears.
    return nothing if is_blank(value) else {}


def same_on_wire(sent: Json, shown: Json) -> bool:
    """Whether a value shown by the vendor is the one that was sent, padding and date notation aside."""
    if isinstance(shown, str) and shown.startswith("/Date("):
        try:
            return isinstance(sent, str) and codec.day(shown) == codec.day(sent)
        except ValueError:
            return False
    if isinstance(sent, bool) or isinstance(shown, bool):
        return bool(sent) == bool(shown)
    return codec.text(sent) == codec.text(shown)
