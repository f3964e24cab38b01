"""A question about any resource understood: every name and value checked, the address that answers chosen, its URLs made.

Pure. A resource's records may be read by up to three addresses; the first that has every property asked for and takes the
options is asked. What the vendor would refuse is refused here, with the remedy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from koppel.model.anything import Question
from koppel.model.problem import UsageError
from koppel.systems.exact import catalogue, conditions, edm, odata, wire
from koppel.systems.exact.odata import Condition, Term
from koppel.systems.exact.settings import Settings, division
from koppel.systems.exact.vendor_table import VendorResource, resources

PAGE = 60  # rows of a plain page; bulk and sync give 1000 [KB-best]
MOST_CONDITIONS = 40  # in one filter; ours, as for accounts
# What a filter must be on where a sync twin exists is ticked in the reference; `Modified` is ticked wherever we could look.
_ALL_OF_IT = "(Modified ge datetime'1753-01-01T00:00:00' or Modified eq null)"


# --- addresses ----------------------------------------------------------------------------------------------------


def address(settings: Settings, path: str, query: str = "") -> str:
    """Where a resource stands: before the division for `current/Me`, with `beta/` in front for beta ones.

    A path may carry a key: `crm/Accounts(guid'…')`. Raises SetupError when a division is needed and none chosen.
    """
    facts = resources().get(path.partition("(")[0])
    if facts is not None and facts.site:
        return wire.url(settings, path, query=query)
    if path.startswith("beta/"):
        return wire.url(settings, "beta", division(settings), path.removeprefix("beta/"), query=query)
    return wire.url(settings, division(settings), path, query=query)


def service_of(path: str) -> str:
    """What is described together: `crm` for crm/Accounts, `sync/CRM` for its twin."""
    return path.rpartition("/")[0]


# --- what is asked --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """A question understood: the resource as named, its columns and collections, and the rest ready for a URL."""

    resource: VendorResource
    columns: tuple[str, ...]
    nested: dict[str, tuple[str, ...]]
    wanted: conditions.Wanted | None
    order: tuple[str, ...]
    given: dict[str, Term]
    unasked: bool  # whether the columns are ours to choose: nobody named them

    @property
    def names(self) -> frozenset[str]:
        """Every property the twin that answers must have."""
        ordered = {word.partition(" ")[0] for word in self.order}
        filtered = self.wanted.names if self.wanted else frozenset[str]()
        return frozenset({*self.columns, *self.nested, *ordered, *filtered})


def understood(question: Question) -> Asked:
    """A question with its names and values checked against the table. Raises UsageError."""
    resource = catalogue.found(question.name)
    if resource.methods and "GET" not in resource.methods:
        raise UsageError(
            f"{resource.path} cannot be read: it takes only {' and '.join(sorted(resource.methods))}.",
            remedy="It is an action; what it made is read elsewhere.",
        )
    if question.top is not None and question.top < 1:
        raise UsageError("--top must be 1 or more.", remedy="Leave it out to read everything.")
    nested: dict[str, tuple[str, ...]] = {}
    for name in question.expand:
        nested.setdefault(_collection(resource, name), ())
    columns: list[str] = []
    for word in question.select:
        head, slash, tail = word.partition("/")
        if slash:
            name = _collection(resource, head)
            child = catalogue.child_of(resource, name)
            nested[name] = (*nested.get(name, ()), catalogue.property_of(child, tail).name if child else tail)
        elif word == "*":
            columns += [p.name for p in resource.properties.values() if catalogue.shown_unasked(p)]
        else:
            found = catalogue.property_of(resource, word)
            if found.many:
                nested.setdefault(found.name, ())
            else:
                columns.append(found.name)
    for name, inner in nested.items():
        child = catalogue.child_of(resource, name)
        if not inner and child is not None:
            nested[name] = catalogue.usual_columns(child)
    return Asked(
        resource=resource,
        columns=tuple(dict.fromkeys(columns or catalogue.usual_columns(resource))),
        nested=nested,
        wanted=conditions.read(question.where, resource) if question.where.strip() else None,
        order=tuple(_order(resource, word) for word in question.order),
        given=_parameters(resource, question.given),
        unasked=not columns or "*" in question.select,
    )


def narrowed(asked: Asked, without: tuple[str, ...]) -> Asked:
    """The same question for fewer columns; those that were named stay named."""
    return replace(asked, columns=tuple(name for name in asked.columns if name not in without))


def _collection(resource: VendorResource, typed: str) -> str:
    found = catalogue.property_of(resource, typed)
    if not found.many:
        several = [p.name for p in resource.properties.values() if p.many]
        raise UsageError(
            f"{found.name} of {resource.path} is a single value and cannot be expanded.",
            remedy=f"Collections: {', '.join(several) or 'none'}.",
        )
    return found.name


def _order(resource: VendorResource, typed: str) -> str:
    name, _, way = typed.strip().partition(" ")
    down = name.startswith("-") or way.strip().lower() == "desc"
    if way.strip().lower() not in {"", "asc", "desc"}:
        raise UsageError(f"{typed!r} is no order.", remedy="Write the property, with ` desc` behind it for downwards.")
    found = catalogue.property_of(resource, name.removeprefix("-"))
    if found.many:
        raise UsageError(f"{found.name} is a collection; rows cannot be put in its order.")
    return f"{found.name} desc" if down else found.name


def _parameters(resource: VendorResource, given: dict[str, str]) -> dict[str, Term]:
    """The parameters of a resource's own. Raises UsageError for a missing or unreadable one."""
    known = catalogue.PARAMETERS.get(resource.path, {})
    spelled = {name.casefold(): name for name in known}
    found: dict[str, Term] = {}
    for typed, text in given.items():
        name = spelled.get(typed.casefold(), typed)
        if known and name not in known:
            raise UsageError(f"{resource.path} takes no parameter {typed!r}.", remedy=f"It takes {', '.join(known)}.")
        try:
            odata.prop(name)
            found[name] = (
                edm.literal(known[name], edm.typed(known[name], text)) if name in known else _by_its_look(text)
            )
        except ValueError as error:
            raise UsageError(f"Parameter {name}: {error}.", remedy="Write --given NAME=VALUE.") from None
    missing = [f"{name} ({edm.WORDS[type_].partition(',')[0]})" for name, type_ in known.items() if name not in found]
    if missing:
        raise UsageError(
            f"{resource.path} needs {' and '.join(missing)}.",
            remedy=" ".join(f"--given {name}=…" for name in known if name not in found),
        )
    return found


def _by_its_look(text: str) -> Term:
    """A parameter whose type is in no source: a GUID, a date, a number, or else text."""
    for type_ in ("Guid", "Int32", "DateTime"):
        try:
            return edm.literal(type_, edm.typed(type_, text))
        except ValueError:
            continue
    return odata.text(text)


# --- the address that answers -----------------------------------------------------------------------------------------


def ways(resource: VendorResource) -> tuple[str, ...]:
    """The addresses a resource's records can be read by, best first: sync, bulk, plain."""
    twins = (catalogue.twin(resource.path, "sync"), catalogue.twin(resource.path, "bulk"))
    return (*(path for path in twins if path is not None), resource.path)


def _chosen(asked: Asked, *, few: bool) -> VendorResource:
    """The first way that has every property asked for and takes these options. `few`: less than a page is wanted."""
    able = [path for path in ways(asked.resource)[:-1] if asked.names <= resources()[path].properties.keys()]
    for path in able:
        facts = resources()[path]
        if few and catalogue.kind(path) == "sync" and path != able[-1]:
            continue  # a sync page cannot be cut at the vendor's side; a bulk one can, and needs no filter either
        # Only Timestamp may be filtered on a sync resource, and its pages come in that order [Pi].
        if catalogue.kind(path) == "sync" and (
            asked.nested or asked.order or (asked.wanted and asked.wanted.names - {"Timestamp"})
        ):
            continue
        return facts
    return asked.resource


def _filters(asked: Asked, endpoint: VendorResource, room: int) -> tuple[Condition | None, ...]:
    """The filters to ask with, one call's worth each. Raises UsageError where the endpoint takes none such."""
    if catalogue.kind(endpoint.path) == "sync":
        others = sorted((asked.wanted.names if asked.wanted else frozenset[str]()) - {"Timestamp"})
        if others or asked.order or asked.nested:
            plain = next((path for path in resources() if catalogue.twin(path, "sync") == endpoint.path), "")
            raise UsageError(
                f"{endpoint.path} takes no condition but on Timestamp, no order and no collections.",
                remedy=f"Read {plain} instead." if plain else "Read it whole and choose afterwards.",
            )
        since = odata.compare(odata.prop("Timestamp"), "gt", odata.int64(1))
        return (conditions.render(asked.wanted.node) if asked.wanted else since,)
    if asked.wanted is not None:
        return asked.wanted.batches(room=room, most=MOST_CONDITIONS)
    return (Condition(_ALL_OF_IT) if _wants_a_filter(endpoint) else None,)


def _wants_a_filter(endpoint: VendorResource) -> bool:
    """Whether a list without any filter is refused: it has a sync twin of whatever shape. [KB-limits]"""
    if catalogue.kind(endpoint.path) != "plain" or "Modified" not in endpoint.properties:
        return False
    wanted = f"sync/{endpoint.path}".casefold()
    return catalogue.twin(endpoint.path, "sync") is not None or any(path.casefold() == wanted for path in resources())


class Onward(msgspec.Struct, frozen=True):
    """Where a reading goes on: the page that follows, the filters still to be asked, and how many rows may still come."""

    endpoint: str
    links: tuple[str, ...]
    left: int | None
    told: dict[str, str] = {}  # types the account told of properties whose type our table does not know
    without: tuple[str, ...] = ()  # columns it does not have


def begin(settings: Settings, question: Question, asked: Asked) -> Onward:
    """The URLs that together answer the question. Raises UsageError for one the vendor would not take, SetupError."""
    few = question.top is not None and question.top <= PAGE
    endpoint = _chosen(asked, few=few)
    selected = (*asked.columns, *(f"{name}/{inner}" for name, some in asked.nested.items() for inner in some))
    selected += tuple(name for name, some in asked.nested.items() if not some)
    # What takes parameters shows one shape and may take no options; asked for by name they are passed on.
    if not asked.resource.properties or (asked.given and not question.select):
        selected = ()
    at_once = few and catalogue.kind(endpoint.path) != "sync"

    def link(where: Condition | None) -> str:
        query = odata.options(
            where=where,
            select=selected,
            expand=asked.nested,
            orderby=asked.order,
            top=question.top if at_once else None,
            more=asked.given,
        )
        return address(settings, endpoint.path, query)

    links = tuple(
        link(where) for where in _filters(asked, endpoint, wire.URL_ROOM - len(link(None)) - len("&$filter="))
    )
    longest = max(map(len, links))
    if longest > wire.URL_ROOM:
        raise UsageError(
            f"The question is too long: {longest} characters, and Exact Online takes {wire.URL_ROOM}.",
            remedy="Ask for fewer columns, or with a shorter condition.",
        )
    if len(links) > 1 and asked.order:
        raise UsageError(
            "A list of values this long is asked in parts, which cannot be put in one order.",
            remedy="Leave out --order.",
        )
    return Onward(endpoint.path, links, question.top)
