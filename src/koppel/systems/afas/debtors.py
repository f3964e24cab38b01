"""One debtor: its row as it came made into a Company, and our values made into the two records Profit keeps of it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from koppel.formats import InvalidNumber, kvk, vat
from koppel.model.company import Company
from koppel.model.kinds import is_blank
from koppel.model.problem import Problem, UsageError
from koppel.model.record import Record
from koppel.model.values import Json
from koppel.systems.afas import codec, fields
from koppel.systems.afas.settings import Settings
from koppel.systems.afas.wire import Row, Unreadable
from koppel.systems.spi import Decoded, Item, Site

# --- in -----------------------------------------------------------------------------------------------------------


def item(site: Site, row: Row, parts: Row | None = None) -> Item:
    """A row as an item, holding what is mapped and nothing else (rule B13). `parts`: the address, from its own feed.

    The stamp is the version and no part of the record: it moves without anything that we show. Raises Unreadable when
    the row has no DebtorId.
    """
    settings: Settings = site.settings
    native = codec.text(row.get("DebtorId"))
    if native is None:
        raise Unreadable(Problem("unreadable_answer", f"{settings.debtors} showed a row without a DebtorId."))
    stamp: Json = row.get(settings.debtors_modified) if settings.debtors_modified else None
    held: Row = {name: row[name] for name in fields.kept(site.own) if name in row}
    own_parts = parts if parts is not None else codec.parts_of(row)
    if own_parts is not None:
        held = {name: value for name, value in held.items() if name not in codec.LINES} | {codec.PARTS: own_parts}
    return Item(
        native=native,
        fields=held,
        version=stamp if isinstance(stamp, str) else "",
        modified_at=codec.instant(stamp),
    )


def decode(site: Site, shown: Item) -> Decoded:
    """The company in a debtor, and what could not be read of it. The organisation's number is always told (`BcCo`)."""
    row = shown.fields
    address, found = codec.read_address(row)
    problems = list(found)
    company = Company(
        name=codec.text(row.get("DebtorName")),
        kvk=_kvk(row, problems),
        vat_number=_vat(row, problems),
        blocked=codec.flag(row.get("Blocked")),
        address=address,
        phone=codec.text(row.get("TelNr")),
        email=codec.text(row.get("Email")),
        code=codec.text(row.get("DebtorId")),
    )
    own = {name: _own(name, row, problems) for name in site.own if fields.column(name) in row}
    own["BcCo"] = organisation_of(shown)
    return Decoded(Record(company, own), tuple(problems))


def organisation_of(shown: Item) -> str | None:
    """The number of the organisation behind a debtor."""
    return codec.text(shown.fields.get("BcCo"))


def _kvk(row: Row, problems: list[Problem]) -> str | None:
    shown = codec.text(row.get("ChOfCommNr"))
    if shown is None:
        return None
    try:
        number, _, note = kvk.read(shown)
    except InvalidNumber as error:
        problems.append(codec.invalid("ChOfCommNr", error))
        return None
    if note:
        problems.append(Problem("number_mended", f"The KVK number was read with a correction: {note}.", "ChOfCommNr"))
    return number


def _vat(row: Row, problems: list[Problem]) -> str | None:
    shown = codec.text(row.get("VatNr"))
    if shown is None:
        return None
    try:
        return vat.validate(shown)
    except InvalidNumber as error:
        problems.append(codec.invalid("VatNr", error))
        return None


def _own(name: str, row: Row, problems: list[Problem]) -> Json:
    field, value = fields.own_field(name), row[fields.column(name)]
    if field is not None and field.kind in {"date", "instant"}:
        return _time(name, value, codec.day if field.kind == "date" else _iso, problems)
    return field.form(value) if field is not None else codec.text(value)


def _time(name: str, value: Json, reader: Callable[[Json], str | None], problems: list[Problem]) -> str | None:
    try:
        return reader(value)
    except ValueError:
        problems.append(Problem("unreadable_value", "This is not a date.", field=name))
        return None


def _iso(value: Json) -> str | None:
    moment = codec.wall_clock(value)
    return None if moment is None else moment.isoformat()


# --- out ----------------------------------------------------------------------------------------------------------


class Wire(msgspec.Struct, frozen=True):
    """What one of our values becomes: fields of the sales relation, of the organisation, of its address."""

    debtor: Row = {}
    organisation: Row = {}
    address: Row = {}

    def __or__(self, other: Wire) -> Wire:
        return Wire(self.debtor | other.debtor, self.organisation | other.organisation, self.address | other.address)


def wire(path: str, value: Json) -> Wire:
    """The wire fields of one value. "" clears [MD update-connector]. Raises UsageError for what cannot be written."""
    if path == "address":
        return Wire(address=_address(value))
    field = fields.BY_PATH.get(path) if path in fields.COLUMNS else fields.own_field(path)
    if field is None or field.writable == "never":
        why = field.note if field is not None and field.note else "AFAS debtors have no such field to write."
        raise UsageError(f"{path} cannot be written to AFAS debtors.", remedy=why)
    shown = field.form(value)
    if is_blank(shown) and not is_blank(value):
        return Wire()  # what Profit cannot keep (a date known to the month) is left alone
    sent: Row = {field.vendor[0].removeprefix(fields.ORGANISATION): "" if is_blank(shown) else shown}
    if path in fields.ON_ORGANISATION or path.startswith(fields.ORGANISATION):
        return Wire(organisation=sent)
    return Wire(debtor=sent)


# The country is never cleared: an address needs one. PbAd says which kind of address it is and always travels.
_NO_ADDRESS: Row = {"Ad": "", "HmNr": "", "HmAd": "", "ZpCd": "", "Rs": ""}


def _address(value: Json) -> Row:
    try:
        parts = codec.address_parts(value)
    except ValueError as error:
        raise UsageError(
            f"This address cannot be written to AFAS: {error}.", remedy="Write it in Profit by hand."
        ) from None
    if parts is not None:
        return {**_NO_ADDRESS, **parts}
    # A shielded address is written nowhere (rule B3), and a mere country wipes nothing; only an empty value clears.
    return dict(_NO_ADDRESS) if is_blank(value) else {}


def same(field: str, sent: Json, shown: Json) -> bool:
    """Whether a value Profit shows is the one that was sent, whatever the spelling."""
    if isinstance(sent, bool) or isinstance(shown, bool):
        return bool(codec.flag(sent)) == bool(codec.flag(shown))
    if field in {"CcNr", "VaId"}:
        return codec.vat_form(sent) == codec.vat_form(shown)
    return codec.text(sent) == codec.text(shown)
