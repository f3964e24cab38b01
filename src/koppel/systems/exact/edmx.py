"""An account's own description of a service (`$metadata`, EDMX): which properties its resources have, and of which types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

from koppel.systems.exact import edm
from koppel.systems.exact.vendor_table import VendorResource


@dataclass(frozen=True, slots=True)
class Entity:
    """One type of record: its properties with their types (without `Edm.`), their stated lengths, its collections."""

    name: str
    types: dict[str, str]
    lengths: dict[str, int] = field(default_factory=dict[str, int])
    collections: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Service:
    """What one service describes: types by name, and which type each resource serves."""

    entities: dict[str, Entity]
    sets: dict[str, str]

    def of(self, path: str) -> Entity | None:
        """The type a resource serves, by the last part of its path; None when it is not described."""
        return self.entities.get(self.sets.get(path.rpartition("/")[2], ""))


def read(body: bytes) -> Service | None:
    """The description in an EDMX document; None when it cannot be read."""
    # A document type could declare entities that blow up while being read; the vendor's document has none.
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        return None
    try:
        root = ET.fromstring(body)  # noqa: S314 - no document type, so no entities, as checked above
    except ET.ParseError:
        return None
    elements = {element.get("Name", ""): element for element in _named(root.iter(), "EntityType")}
    entities = {name: _entity(name, elements) for name in elements}
    sets = {
        element.get("Name", ""): element.get("EntityType", "").rpartition(".")[2]
        for element in _named(root.iter(), "EntitySet")
    }
    return Service(entities, sets)


def _entity(name: str, elements: Mapping[str, ET.Element]) -> Entity:
    """A type with what it inherits."""
    line: list[ET.Element] = []
    at = elements.get(name)
    while at is not None and at not in line:
        line.append(at)
        at = elements.get(at.get("BaseType", "").rpartition(".")[2])
    properties = [found for element in reversed(line) for found in _named(element, "Property")]
    links = [found for element in reversed(line) for found in _named(element, "NavigationProperty")]
    lengths = {p.get("Name", ""): p.get("MaxLength", "") for p in properties}
    return Entity(
        name=name,
        types={p.get("Name", ""): p.get("Type", "").removeprefix("Edm.") for p in properties},
        lengths={name: int(length) for name, length in lengths.items() if length.isdecimal()},
        collections=frozenset(link.get("Name", "") for link in links),
    )


def _named(elements: Iterable[ET.Element], name: str) -> Iterable[ET.Element]:
    """The elements of that name, whichever edition of the schema they belong to."""
    return (element for element in elements if element.tag.rpartition("}")[2] == name)


def types(resource: VendorResource, entity: Entity | None) -> dict[str, str]:
    """The types to read single values by: ours, the account's where ours are not told, nothing the account does not have.

    Without a description of the account ours stand.
    """
    ours = {p.name: p.type for p in resource.properties.values() if not p.many}
    if entity is None:
        return ours
    told = {name: type_ for name, type_ in entity.types.items() if type_ in edm.TYPES}
    return {
        name: told.get(name, type_) if type_ == edm.UNKNOWN else type_
        for name, type_ in ours.items()
        if name in entity.types
    } | {name: type_ for name, type_ in told.items() if name not in ours}


def differences(resource: VendorResource, entity: Entity) -> tuple[str, ...]:
    """Where an account's description departs from our table, in words."""
    found: list[str] = []
    for name, property_ in resource.properties.items():
        if property_.many:
            continue  # how collections are described is in no source
        told = entity.types.get(name)
        if told is None:
            found.append(f"{name}: this account does not have it")
        elif property_.type not in {told, edm.UNKNOWN}:
            found.append(f"{name}: {told} in this account, {property_.type} in our table")
    found += [
        f"{name}: only in this account ({type_})"
        for name, type_ in entity.types.items()
        if name not in resource.properties
    ]
    return tuple(found)
