"""Canonical paths: which there are for an entity, and what a record shows at one (`name`, `address.city`, `sbi.code`)."""

from __future__ import annotations

from functools import cache
from typing import get_args

import msgspec

from koppel.model.address import Address
from koppel.model.kinds import is_blank
from koppel.model.record import Record
from koppel.model.values import Json
from koppel.model.versions import ENTITIES

# Kinds of strong key each entity answers in `match_keys`, with the paths a key of that kind is read from (rule B17).
MATCH_KEYS: dict[str, dict[str, tuple[str, ...]]] = {
    "company": {"kvk": ("kvk",), "branch": ("branch",), "vat": ("vat_number", "vat_candidate"), "rsin": ("rsin",)},
    "contact": {
        "code": ("code",),
        "email_surname": ("email", "last_name"),
        "email_postcode": ("email", "address.postcode"),
    },
    "product": {"sku": ("code",), "ean": ("ean",)},
    "order": {"number": ("number",)},
    "invoice": {"number": ("number",)},
    "journal_entry": {"number": ("number", "journal")},
}
# Weak evidence a proposal can be built of; several are joined with "+".
EVIDENCE = ("name", "postcode", "city", "street", "email", "email_domain", "phone", "website")
# A VAT number derived from the RSIN may match and is never written (rule B4).
NEVER_WRITTEN = {"vat_candidate": "a VAT number derived from the RSIN is a guess until VIES confirms it"}


@cache
def canonical_paths(entity: str) -> frozenset[str]:
    """Every path of an entity, nested ones dotted. Raises KeyError for an unknown entity."""
    return frozenset(_paths(ENTITIES[entity], ""))


@cache
def roots(entity: str) -> frozenset[str]:
    """The entity's own fields, without what lies inside them."""
    return frozenset(path for path in canonical_paths(entity) if "." not in path)


@cache
def scalar_roots(entity: str) -> frozenset[str]:
    """The fields that hold one plain value: no address, no list."""
    return frozenset(
        root for root in roots(entity) if not any(p.startswith(f"{root}.") for p in canonical_paths(entity))
    )


def is_canonical(entity: str, path: str) -> bool:
    """Whether the path is ours; otherwise it is a vendor's own field."""
    return path.split(".", 1)[0] in roots(entity)


def overlap(one: str, other: str) -> bool:
    """Whether two paths name the same field or one lies inside the other."""
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def look_up(record: Record, path: str) -> Json:
    """What a record shows at a path: plain JSON, None for blank.

    A shielded or empty address shows nothing, whichever part is asked for (rule B3). A path into a list gives the list of
    the parts. What is not a field of the entity is a vendor's own field.
    """
    root, _, rest = path.partition(".")
    if root not in type(record.entity).__struct_fields__:
        return _blank_to_none(record.own.get(path))
    value = getattr(record.entity, root)
    if isinstance(value, Address) and value.is_empty():
        return None
    plain: Json = msgspec.to_builtins(value)
    for name in rest.split(".") if rest else ():
        plain = _step(plain, name)
    return _blank_to_none(plain)


def _step(value: Json, name: str) -> Json:
    if isinstance(value, dict):
        return value.get(name)
    if isinstance(value, (list, tuple)):
        return [part for item in value if not is_blank(part := _step(item, name))]
    return None


def _blank_to_none(value: Json) -> Json:
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, str) and not value.strip():
        return None
    return None if is_blank(value) else value


def _paths(struct: type[msgspec.Struct], prefix: str) -> list[str]:
    paths: list[str] = []
    for field in msgspec.structs.fields(struct):
        paths.append(f"{prefix}{field.name}")
        for inner in _structs_in(field.type):
            paths += _paths(inner, f"{prefix}{field.name}.")
    return paths


def _structs_in(annotation: object) -> list[type[msgspec.Struct]]:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return [annotation]
    return [struct for argument in get_args(annotation) for struct in _structs_in(argument)]
