"""KVKBase as a system: `companies` (one look-up a number) and `search` (by name, partial).

The register cannot be listed here either: records are found by KVK number. A search result is a resource of its own, because
it lacks most fields and would overwrite what a look-up told.
"""

from __future__ import annotations

from typing import Final, Literal

from koppel.formats import InvalidNumber, kvk
from koppel.model.can import Can, Field, Price
from koppel.model.problem import Problem, UsageError
from koppel.systems.kvkbase import codec, wire
from koppel.systems.kvkbase.auth import AUTH
from koppel.systems.kvkbase.settings import Settings, hosts
from koppel.systems.spi import (
    Absent,
    Decoded,
    Exchange,
    Finding,
    Found,
    Item,
    NoReply,
    Request,
    Resource,
    Response,
    Site,
    System,
    Unknown,
)

# --- companies: one number, one call --------------------------------------------------------------------------------


def find(site: Site, kind: str, values: tuple[str, ...]) -> Exchange[dict[str, Finding]]:
    """Look numbers up, one paid call each. `native` and `kvk` are the same thing here: the KVK number.

    Raises UsageError for another kind of key.
    """
    if kind not in {"native", "kvk"}:
        raise UsageError(f"KVKBase cannot be asked by {kind!r}.", remedy="Use a KVK number, or search by name.")
    findings: dict[str, Finding] = {}
    asked: dict[str, Finding] = {}
    for value in values:
        try:
            number, _, _ = kvk.read(value)
        except InvalidNumber as error:
            findings[value] = Absent(Problem("number_invalid", f"{error}.", "kvk"))
            continue
        if number not in asked:
            call = wire.lookup(site.settings, number)
            reply = yield call
            asked[number] = _finding(site, number, call.request, reply)
        findings[value] = asked[number]
    return findings


def _finding(site: Site, number: str, request: Request, reply: Response | NoReply) -> Finding:
    if isinstance(reply, NoReply):
        return _silence(site)
    if reply.status == 200:
        company = wire.read_json(reply)
        if company is None or company.get("kvkNumber") != number:
            text = f"KVKBase's answer about {number} could not be read or was about another number; it is asked again."
            return Unknown(wire.problem(reply, "answer_unreadable", text, retry_at=site.as_of + wire.OUTAGE_WAIT))
        return Found((Item(number, company),))
    code, _ = wire.error_of(reply)
    if reply.status == 404 and code == wire.NOT_FOUND:
        text = f"KVKBase knows no number {number}; check the number."
        return Absent(wire.problem(reply, "unknown_number", text, field="kvk"))
    if reply.status == 400 and code == wire.NUMBER_INVALID:
        text = f"KVKBase says {number} is no KVK number; check it."
        return Absent(wire.problem(reply, "number_invalid", text, field="kvk"))
    return _no_answer(site, request, reply, about=number)


def _no_answer(site: Site, request: Request, response: Response, *, about: str) -> Unknown:
    """What tells nothing: limits, outages, rights, a 404 that is not the vendor's, and requests it did not understand."""
    verdict = wire.verdict(request, response, site.as_of)
    if verdict.problem:
        return Unknown(verdict.problem)
    text = (
        f"KVKBase gave no answer about {about} that Koppel understands; it is asked again. If it stays so, report it."
    )
    return Unknown(wire.problem(response, "answer_unreadable", text, retry_at=site.as_of + wire.OUTAGE_WAIT))


def _silence(site: Site) -> Unknown:
    text = "KVKBase did not answer; it is tried again by itself."
    return Unknown(Problem("unavailable", text, retry_at=site.as_of + wire.OUTAGE_WAIT))


def decode(site: Site, item: Item) -> Decoded:
    """Translate a look-up; see `codec`."""
    return codec.decode_company(site.settings, item, site.own)


# --- search -----------------------------------------------------------------------------------------------------------

PAGE_SIZE: Final = 50  # unverified; what it does not hold is told by `total`
MIN_LENGTH: Final = 2  # a shorter `q` is INVALID_REQUEST [web page errors]


def find_text(site: Site, kind: str, values: tuple[str, ...]) -> Exchange[dict[str, Finding]]:
    """Search for what people type, one paid call each. More hits than fit is no answer: Unknown, narrow it.

    Raises UsageError for another kind of key than `text`.
    """
    if kind != "text":
        raise UsageError(f"A search cannot be asked by {kind!r}.", remedy="Use the kind `text`.")
    findings: dict[str, Finding] = {}
    for value in values:
        q = " ".join(value.split())
        if len(q) < MIN_LENGTH:
            findings[value] = Unknown(Problem("search_refused", "KVKBase searches for two characters or more."))
            continue
        call = wire.search(site.settings, q, pageSize=PAGE_SIZE)
        reply = yield call
        findings[value] = _hits(site, value, call.request, reply)
    return findings


def _hits(site: Site, value: str, request: Request, reply: Response | NoReply) -> Finding:
    if isinstance(reply, NoReply):
        return _silence(site)
    body = wire.read_json(reply) if reply.status == 200 else None
    if body is None or not isinstance(body.get("results"), list):
        code, _ = wire.error_of(reply)
        if reply.status == 404 and code == wire.NOT_FOUND:
            return Absent(wire.problem(reply, "nothing_found", f"KVKBase finds nothing for {value!r}."))
        return _no_answer(site, request, reply, about="a search")
    items = tuple({item.native: item for item in map(_hit, codec.read_rows(body))}.values())
    total = body.get("total")
    if isinstance(total, int) and total > len(codec.read_rows(body)):
        text = f"KVKBase finds {total} companies for {value!r} and shows {len(items)}; narrow the search."
        return Unknown(Problem("too_many", text))
    return Found(items) if items else Absent()


def _hit(row: dict[str, object]) -> Item:
    parts = [str(row[key]) for key in ("kvkNumber", "branchNumber") if row.get(key)]
    return Item("/".join(parts), row)


def decode_hit(site: Site, item: Item) -> Decoded:
    """Translate a search result; see `codec`."""
    del site
    return codec.decode_hit(item)


# --- what can be done ---------------------------------------------------------------------------------------------------

_Kind = Literal["text", "name", "kvk", "vat", "bool", "int", "date", "instant", "code", "address", "set"]


def _read_only(path: str, kind: _Kind, *vendor: str, values: tuple[str, ...] = (), note: str | None = None) -> Field:
    return Field(path=path, kind=kind, vendor=vendor, writable="never", values=values, note=note)


def _own(name: str, kind: _Kind = "text", note: str | None = None) -> Field:
    return Field(path=name, kind=kind, vendor=(name,), writable="never", own=True, note=note)


_FULL = "full details only"
_FIELDS = (
    _read_only("name", "name", "statutoryName", "name", note="which of the two: the connection's setting `name`"),
    _read_only("trade_name", "name", "tradingNames", "name"),
    _read_only("statutory_name", "name", "statutoryName"),
    _read_only("kvk", "kvk", "kvkNumber"),
    _read_only("branch", "code", "mainBranchNumber", note="of the main branch"),
    _read_only("vat_number", "vat", "vat.number", note=f"confirmed in VIES; {_FULL}"),
    _read_only("vat_candidate", "vat", "vat.number", note="not confirmed: may match, is never written"),
    _read_only("vat_state", "code", "vat.valid", "vat.status", values=("confirmed", "invalid", "unknown", "candidate")),
    _read_only("legal_form", "text", "legalForm", note=_FULL),
    _read_only("sbi", "set", "activities", note=_FULL),
    _read_only("is_active", "bool", "isActive", note="empty when KVKBase does not know"),
    _read_only("started_on", "date", "registrationDate"),
    _read_only("employees", "int", "employees.total", note=_FULL),
    _read_only("personal", "bool", "legalForm", note="yes, too, when nothing tells a legal person"),
    _read_only("address", "address", "address"),
    _own("insolvency", note=f"kind and date, as far as told; {_FULL}"),
    _own("vat.validatedAt", "instant", note="when VIES was asked"),
    _own("name", note="the name it shows"),
)
_HIT_FIELDS = (
    _read_only("name", "name", "name"),
    _read_only("kvk", "kvk", "kvkNumber"),
    _read_only("branch", "code", "branchNumber"),
    _read_only("is_active", "bool", "isActive"),
    _read_only("address", "address", "city", note="the city only"),
)

# Prices are in tokens (facts.toml, help.md); what a token costs is the customer's plan, so no euros are stated.
PRICE_LIST = "KVKBase's own pages, unverified; what a token costs is your plan's"
COMPANIES = Resource(
    name="companies",
    entity="company",
    can=Can(
        list=False,
        find=("native", "kvk"),
        find_batch=1,
        parallel=4,
        never_skips="unlisted",
        probe="none",
        prices=(
            Price(call="lookup", euros="0", source=PRICE_LIST, tokens=1),
            Price(call="lookup_enriched", euros="0", source=PRICE_LIST, tokens=5),
        ),
        gap="KVKBase tells nothing by itself: what changed is seen when a number is asked again.",
        fields=_FIELDS,
    ),
    find=find,
    decode=decode,
)
SEARCH = Resource(
    name="search",
    entity="company",
    can=Can(
        list=False,
        find=("text",),
        find_batch=1,
        parallel=2,
        never_skips="unlisted",
        probe="none",
        prices=(Price(call="search", euros="0", source=PRICE_LIST, tokens=1),),
        gap=f"At most {PAGE_SIZE} results; a longer list is no answer.",
        fields=_HIT_FIELDS,
    ),
    find=find_text,
    decode=decode_hit,
)

SYSTEM = System(
    name="kvkbase",
    title="KVKBase",
    settings=Settings,
    resources=(COMPANIES, SEARCH),
    auth=AUTH,
    verdict=wire.verdict,
    budgets=wire.BUDGETS,
    readings=wire.readings,
    hosts=hosts,
    sandbox="koppel.systems.kvkbase.sandbox:make",
)
