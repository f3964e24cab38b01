"""Reading any of the vendor's resources by name: its answer page by page, made into typed rows.

Pages are followed one after the other, within our own site; a collection that came
along and goes on elsewhere is followed too [picqer #546].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import msgspec

from koppel.model.anything import Column, Described, Doing, Kind, Question, Sheet, Shown, Trait
from koppel.model.problem import UsageError
from koppel.systems.exact import catalogue, edm, edmx, references, rows_of, wire
from koppel.systems.exact.asking import Asked, Onward, address, begin, narrowed, service_of, understood, ways
from koppel.systems.exact.settings import Settings
from koppel.systems.exact.vendor_table import VendorResource, resources
from koppel.systems.exact.wire import Unreadable
from koppel.systems.spi import Call, Exchange, NoReply, Request, Site


def described(site: Site, resource: VendorResource) -> Exchange[edmx.Entity | None]:
    """The account's own description of a resource; None when it gives none."""
    service = service_of(resource.path)
    # No Accept header: JSON does not exist for it and `application/xml` is refused. [chef OData notes; craft]
    reply = yield Call(Request("GET", address(site.settings, f"{service}/$metadata")), kind=f"{service}/$metadata")
    if isinstance(reply, NoReply) or reply.status != 200:
        return None
    found = edmx.read(reply.body)
    return None if found is None else found.of(resource.path)


# --- what there is --------------------------------------------------------------------------------------------------

_DOES: dict[str, Doing] = {"GET": "read", "POST": "create", "PUT": "update", "DELETE": "delete"}


def kinds(_settings: Settings) -> tuple[Kind, ...]:
    """Every resource the vendor's reference lists."""
    return tuple(Kind(path, _does(facts), len(facts.properties)) for path, facts in resources().items())


def _does(facts: VendorResource) -> tuple[Doing, ...]:
    return tuple(word for method, word in _DOES.items() if method in facts.methods)


def describe(site: Site, name: str) -> Exchange[Described]:
    """A resource in full, our table laid beside the account's own description. Raises UsageError for an unknown name."""
    facts = catalogue.found(name)
    entity = yield from described(site, facts)
    notes = [_NOTES[path] for path in (facts.path,) if path in _NOTES]
    if not facts.methods:
        notes.append("No listing tells what may be done with it; reading is tried, writing is not.")
    if entity is None:
        notes.append("This account gives no description of it, so the table stands alone.")
    types = edmx.types(facts, entity)
    traits = tuple(
        Trait(
            name=p.name,
            type=p.type if p.many else types.get(p.name, p.type),
            key=p.name in facts.key,
            many=p.many,
            required=p.mandatory,
            create=p.posts,
            update=p.puts,
            filters=p.filters if any(other.filters for other in facts.properties.values()) else None,
            obsolete=p.obsolete,
            names=references.target(facts, p.name),
            account="lacks" if entity is not None and not p.many and p.name not in entity.types else "",
        )
        for p in facts.properties.values()
    )
    added = tuple(Trait(name=n, type=t, account="adds") for n, t in types.items() if n not in facts.properties)
    return Described(
        name=facts.path,
        does=_does(facts),
        key=facts.key,
        traits=traits + added,
        ways=ways(facts) if "GET" in facts.methods or not facts.methods else (),
        given=catalogue.PARAMETERS.get(facts.path, {}),
        notes=tuple(notes),
        differences=edmx.differences(facts, entity) if entity is not None else (),
    )


# What surprises those who know the rest. (fact sheet §6, §10)
_NOTES = {
    **dict.fromkeys(catalogue.FLATTENED, "Headers and lines in one list: line 0 is the header."),
    **dict.fromkeys(catalogue.REPLACED, "Replaced by two lists, of headers and of lines; it may be gone."),
    "sync/Deleted": "Exact keeps two months of it.",
    "financial/FinancialPeriods": "Whether a period is open stands in read/financial/JournalStatusList.",
    "salesinvoice/SalesInvoices": "Status 50 means processed, not paid: see cashflow/Receivables.",
    "read/financial/ReceivablesList": "What is not in it is paid, or not yet processed.",
}


# --- reading ------------------------------------------------------------------------------------------------------


def read(site: Site, question: Question) -> Exchange[Sheet]:
    """One page of an answer, typed. Raises UsageError for what cannot be asked, SetupError, RetryLater."""
    asked = understood(question)
    if question.next is not None:
        onward = msgspec.json.decode(question.next, type=Onward)
        return (yield from _page(site, narrowed(asked, onward.without), onward))
    onward = begin(site.settings, question, asked)
    if any(asked.resource.properties[name].type == edm.UNKNOWN for name in asked.columns):
        told = edmx.types(asked.resource, (yield from described(site, asked.resource)))
        onward = msgspec.structs.replace(onward, told={name: told[name] for name in asked.columns if name in told})
    try:
        return (yield from _page(site, asked, onward))
    except UsageError:
        # Columns nobody asked for by name must not make a question fail: those this account lacks are left out.
        without = (yield from _lacking(site, asked)) if asked.unasked else ()
        if not without:
            raise
        fewer = narrowed(asked, without)
        again = msgspec.structs.replace(begin(site.settings, question, fewer), told=onward.told, without=without)
        return (yield from _page(site, fewer, again))


def _lacking(site: Site, asked: Asked) -> Exchange[tuple[str, ...]]:
    entity = yield from described(site, asked.resource)
    return () if entity is None else tuple(name for name in asked.columns if name not in entity.types)


def _page(site: Site, asked: Asked, onward: Onward) -> Exchange[Sheet]:
    settings: Settings = site.settings
    types = {name: asked.resource.properties[name].type for name in asked.columns} | onward.told
    reader = _Reader(types, {name: _inner_types(asked, name) for name in asked.nested})
    try:
        link = wire.own_link(settings, onward.links[0])
        page = rows_of.rows((yield wire.get(link, onward.endpoint)))
        raw: list[wire.Row] = []
        for row in page.rows[: onward.left]:
            whole = yield from rows_of.whole(settings, row, tuple(asked.nested), onward.endpoint)
            raw.append(whole)
        further = (wire.own_link(settings, page.next),) if page.next is not None else ()
    except Unreadable as error:
        raise rows_of.failure(error.problem, site.as_of) from None
    rows = tuple(reader.row(row) for row in raw)
    left = None if onward.left is None else onward.left - len(rows)
    links = (*further, *onward.links[1:])
    following = None
    if links and left != 0:
        following = msgspec.json.encode(msgspec.structs.replace(onward, links=links, left=left)).decode()
    shown = tuple(types) if asked.resource.properties else tuple(dict.fromkeys(name for row in rows for name in row))
    lacks = (f"{', '.join(onward.without)}: this account does not have it",) if onward.without else ()
    return Sheet(
        name=asked.resource.path,
        endpoint=onward.endpoint,
        columns=(
            *(Column(name, types.get(name, edm.UNKNOWN)) for name in shown),
            *(Column(name, asked.resource.properties[name].type) for name in asked.nested),
        ),
        rows=rows,
        next=following,
        notes=(*lacks, *reader.notes()),
    )


def _inner_types(asked: Asked, name: str) -> dict[str, str]:
    child = catalogue.child_of(asked.resource, name)
    known = {} if child is None else {p.name: p.type for p in child.properties.values() if not p.many}
    chosen = asked.nested[name] or tuple(known)
    return {inner: known.get(inner, edm.UNKNOWN) for inner in chosen}


@dataclass(slots=True)
class _Reader:
    """Makes rows typed. What cannot be read is left out and counted, never guessed."""

    types: dict[str, str]
    nested: dict[str, dict[str, str]]
    unread: dict[str, int] | None = None

    def row(self, row: wire.Row) -> Shown:
        if not self.types:
            names = [
                name for name, value in row.items() if name != "__metadata" and not isinstance(value, (dict, list))
            ]
            return {name: self._value(name, edm.UNKNOWN, row[name]) for name in names}
        found: Shown = {name: self._value(name, type_, row[name]) for name, type_ in self.types.items() if name in row}
        for name, types in self.nested.items():
            inside = cast("list[object]", row.get(name) or [])
            found[name] = tuple(
                self._inner(name, types, cast("wire.Row", one)) for one in inside if isinstance(one, dict)
            )
        return found

    def _inner(self, name: str, types: dict[str, str], row: wire.Row) -> Shown:
        chosen = types or {inner: edm.UNKNOWN for inner, value in row.items() if not isinstance(value, (dict, list))}
        return {
            inner: self._value(f"{name}/{inner}", type_, row[inner]) for inner, type_ in chosen.items() if inner in row
        }

    def _value(self, name: str, type_: str, shown: object) -> edm.Value:
        try:
            return edm.decode(type_, shown)
        except ValueError:
            self.unread = self.unread or {}
            self.unread[name] = self.unread.get(name, 0) + 1
            return None

    def notes(self) -> tuple[str, ...]:
        """What could not be read, by name; never the value itself, which may be personal."""
        return tuple(
            f"{name}: could not be read in {count} row(s), and is left out"
            for name, count in (self.unread or {}).items()
        )
