"""Rows as they leave: JSON of OData v2 (verbose), Atom for who does not ask for JSON, and `$metadata`.

Rows are plain dicts that hold only what is filled; DateTimes are milliseconds of the Dutch wall clock written as if
UTC, Int64 are ints, Guids lower-case text. [KB-faq, dotnet fixtures]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from koppel.systems.exact.sandbox.table import EntityType

Row = Mapping[str, Any]
Expansion = Callable[[Row], dict[str, Any]]


def _date(value: int) -> str:
    return f"/Date({value})/"


_WIRE: dict[str, Callable[[Any], str]] = {"DateTime": _date, "Int64": str}


def key_literal(entity: EntityType, row: Row) -> str:
    """The key as it stands between parentheses: `guid'…'`, `123456`, `77L`, `Journal='70',Period=1,Year=2026`."""
    parts = [(name, literal(entity.properties[name].type, row.get(name))) for name in entity.keys]
    return parts[0][1] if len(parts) == 1 else ",".join(f"{name}={text}" for name, text in parts)


def literal(type_: str, value: Any) -> str:
    """A value as a literal of the query language."""
    if value is None:
        return "null"
    if type_ == "Guid":
        return f"guid'{value}'"
    if type_ == "Int64":
        return f"{value}L"
    if type_ == "DateTime":
        return f"datetime'{iso(value)}'"
    if type_ == "String":
        return "'" + str(value).replace("'", "''") + "'"
    return str(value).lower() if isinstance(value, bool) else str(value)


def iso(value: int) -> str:
    """Milliseconds of the wall clock as ISO text without zone."""
    return datetime.fromtimestamp(value / 1000, UTC).replace(tzinfo=None).isoformat()


def renderer(
    entity: EntityType, names: tuple[str, ...] | None, root: str, expansions: Mapping[str, Expansion]
) -> Callable[[Row], dict[str, Any]]:
    """A function that shows one row. `root` is the absolute address the entity set lives under."""
    plain: list[tuple[str, Any]] = []
    special: list[tuple[str, Callable[[Any], str]]] = []
    deferred: list[str] = []
    for name in entity.properties if names is None else names:
        found = entity.properties[name]
        if found.is_collection:
            if name not in expansions:
                deferred.append(name)
        elif found.type in _WIRE:
            special.append((name, _WIRE[found.type]))
            plain.append((name, None))
        else:
            plain.append((name, found.default))
    address = f"{root}/{entity.address}"

    def show(row: Row) -> dict[str, Any]:
        uri = f"{address}({key_literal(entity, row)})"
        out: dict[str, Any] = {"__metadata": {"uri": uri, "type": entity.clr}}
        for name, default in plain:
            out[name] = row.get(name, default)
        for name, wire in special:
            value = out[name]
            if value is not None:
                out[name] = wire(value)
        for name in deferred:
            out[name] = {"__deferred": {"uri": f"{uri}/{name}"}}
        for name, expand in expansions.items():
            out[name] = expand(row)
        return out

    return show


_ATOM = (
    '<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n'
    '<{tag} xmlns="http://www.w3.org/2005/Atom"'
    ' xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices"'
    ' xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">{inner}</{tag}>'
)


def _entry(entity: EntityType, names: tuple[str, ...] | None, root: str, row: Row) -> str:
    cells: list[str] = []
    for name in entity.properties if names is None else names:
        found = entity.properties[name]
        if found.is_collection:
            continue
        value = row.get(name, found.default)
        type_ = "" if found.type == "String" else f' m:type="Edm.{found.type}"'
        if value is None:
            cells.append(f'<d:{name}{type_} m:null="true" />')
            continue
        text = iso(value) if found.type == "DateTime" else str(value).lower() if isinstance(value, bool) else str(value)
        cells.append(f"<d:{name}{type_}>{escape(text)}</d:{name}>")
    uri = escape(f"{root}/{entity.address}({key_literal(entity, row)})")
    inner = f'<id>{uri}</id><category term="{entity.clr}" /><content type="application/xml">'
    return f"{inner}<m:properties>{''.join(cells)}</m:properties></content>"


def atom_entry(entity: EntityType, names: tuple[str, ...] | None, root: str, row: Row) -> bytes:
    """One record as an Atom entry."""
    return _ATOM.format(tag="entry", inner=_entry(entity, names, root, row)).encode()


def atom_feed(
    entity: EntityType, names: tuple[str, ...] | None, root: str, rows: list[Row], following: str | None
) -> bytes:
    """A page as an Atom feed."""
    entries = "".join(f"<entry>{_entry(entity, names, root, row)}</entry>" for row in rows)
    link = f'<link rel="next" href={quoteattr(following)} />' if following else ""
    title = f'<title type="text">{entity.name}</title><id>{escape(root)}/{entity.address}</id>'
    return _ATOM.format(tag="feed", inner=title + entries + link).encode()


def metadata(entities: Sequence[EntityType], related: Callable[[EntityType, str], EntityType | None]) -> bytes:
    """The EDMX document of one service: its entity types, their properties and what they are related to. [KB-odata]"""
    space = entities[0].clr.rpartition(".")[0]
    types, links, sets = [], [], []
    for entity in entities:
        name = entity.clr.rpartition(".")[2]
        keys = "".join(f'<PropertyRef Name="{key}" />' for key in entity.keys)
        cells: list[str] = []
        for found in entity.properties.values():
            if not found.is_collection:
                nullable = str(found.name not in entity.keys).lower()
                cells.append(f'<Property Name="{found.name}" Type="Edm.{found.type}" Nullable="{nullable}" />')
            elif (other := related(entity, found.name)) is not None:
                link = f"{name}_{found.name}"
                cells.append(
                    f'<NavigationProperty Name="{found.name}" Relationship="{space}.{link}" FromRole="{name}"'
                    f' ToRole="{found.name}" />'
                )
                links.append(
                    f'<Association Name="{link}"><End Role="{name}" Type="{entity.clr}" Multiplicity="*" />'
                    f'<End Role="{found.name}" Type="{other.clr}" Multiplicity="*" /></Association>'
                )
        key = f"<Key>{keys}</Key>" if keys else ""
        types.append(f'<EntityType Name="{name}">{key}{"".join(cells)}</EntityType>')
        sets.append(f'<EntitySet Name="{entity.name}" EntityType="{entity.clr}" />')
    return (
        '<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n'
        '<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx">'
        '<edmx:DataServices xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"'
        ' m:DataServiceVersion="2.0">'
        f'<Schema Namespace="{space}" xmlns="http://schemas.microsoft.com/ado/2008/09/edm">'
        f"{''.join(types)}{''.join(links)}"
        f'<EntityContainer Name="Container" m:IsDefaultEntityContainer="true">{"".join(sets)}'
        "</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"
    ).encode()
