"""The records that the contract's tests read, make up and compare."""

from __future__ import annotations

import msgspec

from koppel.formats import rsin, vat
from koppel.model.can import Field
from koppel.model.company import Company
from koppel.model.kinds import normalise
from koppel.model.record import Record
from koppel.model.values import Json
from koppel.systems.spi import Found, Item
from koppel.testing.bench import Bench


def some_items(bench: Bench) -> list[Item]:
    """Every record, or those known by key of a resource that cannot be listed."""
    if bench.resource.can.list:
        return bench.items()
    kind = bench.resource.can.find[0]
    found = bench.find(kind, *known(bench, kind)).values()
    return [item for each in found if isinstance(each, Found) for item in each.items]


def reading(bench: Bench) -> dict[str, dict[str, Json]]:
    """Everything the resource shows, by id."""
    return {item.native: bench.record(item).builtins() for item in some_items(bench)}


def known(bench: Bench, kind: str) -> tuple[str, ...]:
    """Values of a kind of key that exist: named on the bench, else taken from the records."""
    if kind in bench.present:
        return tuple(bench.present[kind])
    if not bench.resource.can.list:
        return ()
    if kind == "native":
        return tuple(item.native for item in bench.items())
    keys = (key for item in bench.items() for key in bench.record(item).entity.match_keys())
    return tuple(dict.fromkeys(value for name, value in keys if name == kind))


def named(bench: Bench, item: Item) -> Json:
    """The record's name, normalised."""
    return normalise("name", bench.record(item).builtins().get(bench.called))


def field_of(bench: Bench, path: str) -> Field:
    """The field; a value for a path that is not in the table is a mistake on the bench."""
    field = bench.resource.can.field(path)
    assert field, f"{path} is not in the field table"
    return field


def writable(bench: Bench, path: str, when: str) -> bool:
    """Whether the field can be written then, and read back."""
    field = bench.resource.can.field(path)
    return bool(
        field and field.writable in {"always", when} and field.readable and path not in bench.resource.can.unread
    )


def same(field: Field, left: Json, right: Json) -> bool:
    """Whether two forms are one value."""
    return normalise(field.kind, left) == normalise(field.kind, right)


def differences(bench: Bench, values: dict[str, Json], record: Record) -> dict[str, tuple[Json, Json]]:
    """Fields the record does not show as they were sent, each in the resource's own form: (sent, shown)."""
    shown = record.builtins()
    found: dict[str, tuple[Json, Json]] = {}
    for path, value in values.items():
        field = field_of(bench, path)
        if path in bench.resource.can.unread or not field.readable:
            continue
        sent, kept = field.form(value), field.form(shown.get(path))
        if not same(field, sent, kept):
            found[path] = (sent, kept)
    return found


def created(bench: Bench, values: dict[str, Json]) -> str:
    """Create a record and return its id."""
    change = bench.create(values)
    receipts = bench.written(change)
    assert {receipt.status for receipt in receipts.values()} == {"done"}, receipts
    native = receipts[change.op].native
    assert native, "a create that is done names the record"
    bench.settle()
    return native


def a_record(bench: Bench) -> tuple[str, dict[str, Json]]:
    """A record to change: created when that is possible, else the first that exists."""
    if bench.resource.can.create:
        values = sample(bench, 1)
        return created(bench, values), values
    return known(bench, "native")[0], {}


def sample(bench: Bench, number: int) -> dict[str, Json]:
    """Made-up values for what the resource lets us write: the bench's own, else a company's."""
    if bench.values:
        return bench.values(number)
    assert bench.resource.entity == "company", "give the bench `values` for this entity"
    return {path: value for path, value in company_values(number).items() if writable(bench, path, "create")}


def company_values(number: int) -> dict[str, Json]:
    """A made-up company's canonical values, different for each number in every field."""
    rsin_number = made_up_rsin(number)
    values: dict[str, Json] = {
        "name": f"Voorbeeld {number} B.V.",
        "kvk": f"{90_100_000 + number:08}",
        "vat_number": vat.from_rsin(rsin_number),
        "rsin": rsin_number,
        "address": {
            "street": "Dorpsstraat",
            "number": str(number),
            "suffix": "A",
            "postcode": f"{1000 + number}AB",
            "city": f"Plaats {number}",
            "country": "NL",
        },
        "phone": f"+3120{5_550_000 + number}",
        "email": f"info{number}@voorbeeld.example",
        "website": f"https://voorbeeld{number}.example",
    }
    assert msgspec.convert(values, Company)
    return values


def made_up_rsin(number: int) -> str:
    """The number-th RSIN of a made-up range, with a check digit that fits."""
    found = (
        f"{body}{check}"
        for body in range(82_100_000, 82_200_000)
        for check in range(10)
        if rsin.is_valid(f"{body}{check}")
    )
    return next(value for position, value in enumerate(found) if position == number)


def assert_no_secret(bench: Bench, text: str) -> None:
    """No secret of the bench stands in the text; the failure names which, not what."""
    for position, secret in enumerate(bench.all_secrets()):
        assert secret not in text, f"secret {position} of the bench shows in a text of {len(text)} characters"
