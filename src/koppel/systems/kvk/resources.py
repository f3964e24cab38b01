"""The register as a system: `companies` (one Basisprofiel a number), `search` (Zoeken, free, partial) and `signals`
(the Mutatieservice: what changed).

The register cannot be listed: records are found by number. A search result is not a company of the first resource,
because it lacks most fields and would overwrite what a profile told; so it is a resource of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal
from urllib.parse import parse_qsl

import msgspec

from koppel.formats import InvalidNumber, branch, kvk, postcode, rsin
from koppel.model.can import Can, Field, Price
from koppel.model.problem import Problem, UsageError
from koppel.model.values import Json
from koppel.systems.kvk import codec, signals, wire
from koppel.systems.kvk.auth import AUTH
from koppel.systems.kvk.settings import Settings, ca_bundle, hosts
from koppel.systems.kvk.status import remarks
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
    """Look numbers up, one paid call each. `native` and `kvk` are the same thing here: the KVK number. By `branch`, one branch
    is looked up: a record of its own, whose native id is `KVK number/branch number`.

    For a company that has ended one free search more proposes who may have taken it over.
    Raises UsageError for another kind of key.
    """
    if kind not in {"native", "kvk", "branch"}:
        raise UsageError(f"The register cannot be asked by {kind!r}.", remedy="Use a KVK number, or search by name.")
    findings: dict[str, Finding] = {}
    asked: dict[str, Finding] = {}
    for value in values:
        try:
            number, of = _read_key(kind, value)
        except InvalidNumber as error:
            findings[value] = Absent(Problem("number_invalid", f"{error}.", "branch" if kind == "branch" else "kvk"))
            continue
        key = f"{of}/{number}"
        if key not in asked:
            asked[key] = yield from (_find_company(site, number) if of is None else _find_branch(site, number, of))
        findings[value] = asked[key]
    return findings


def _read_key(kind: str, value: str) -> tuple[str, str | None]:
    """The number to ask for; for a branch also whose it must be ("" = anybody's). Raises InvalidNumber."""
    if kind == "branch":
        return branch.validate(value), ""
    if kind == "native" and "/" in value:
        of, _, number = value.partition("/")
        return branch.validate(number), kvk.validate(of)
    return kvk.read(value)[0], None


def _find_company(site: Site, number: str) -> Exchange[Finding]:
    call = wire.basisprofiel(site.settings, number)
    reply = yield call
    finding = _finding(site, number, call.request, reply)
    return (yield from _with_successor(site, finding)) if isinstance(finding, Found) else finding


def _find_branch(site: Site, number: str, of: str) -> Exchange[Finding]:
    call = wire.vestigingsprofiel(site.settings, number)
    reply = yield call
    if isinstance(reply, NoReply):
        return _silence(site)
    if reply.status == 200:
        profile = wire.read_json(reply)
        owner = str(profile.get("kvkNummer") or "") if profile else ""
        if profile is None or profile.get("vestigingsnummer") != number or not kvk.is_valid(owner):
            text = f"KVK's answer about branch {number} could not be read or was about another; it is asked again."
            return Unknown(wire.problem(reply, "answer_unreadable", text, retry_at=site.as_of + wire.OUTAGE_WAIT))
        if of not in {"", owner}:
            text = f"Branch {number} is no longer of {of}; it was carried over to {owner}."
            return Absent(Problem("branch_moved", text, "branch"))
        return Found((Item(f"{owner}/{number}", codec.without_hidden(profile)),))
    code = wire.read_fout(reply).code
    if code in wire.BEING_PROCESSED:
        return _being_processed(site, reply, code, number)
    if (reply.status, code) in {
        (404, wire.NOTHING_FOUND),
        (404, wire.BRANCH_NOT_DELIVERABLE),
        (400, wire.BRANCH_INVALID),
    }:
        text = f"KVK knows no branch {number}; check the number."
        return Absent(wire.problem(reply, "unknown_number", text, field="branch"))
    return _no_answer(site, call.request, reply, about=number)


def _finding(site: Site, number: str, request: Request, reply: Response | NoReply) -> Finding:
    if isinstance(reply, NoReply):
        return _silence(site)
    if reply.status == 200:
        profile = wire.read_json(reply)
        if profile is None or profile.get("kvkNummer") != number:
            text = f"KVK's answer about {number} could not be read or was about another number; it is asked again."
            return Unknown(wire.problem(reply, "answer_unreadable", text, retry_at=site.as_of + wire.OUTAGE_WAIT))
        return Found((Item(number, codec.without_hidden(profile)),))
    code = wire.read_fout(reply).code
    if code in wire.BEING_PROCESSED:
        return _being_processed(site, reply, code, number)
    if reply.status == 404 and code == wire.NOTHING_FOUND:
        return Absent(
            wire.problem(reply, "unknown_number", f"KVK knows no number {number}; check the number.", field="kvk")
        )
    if reply.status == 404 and code == wire.NOT_DELIVERABLE:
        text = f"KVK cannot deliver {number}: it was struck off long ago or never existed; check the number."
        return Absent(wire.problem(reply, "not_deliverable", text, field="kvk"))
    if reply.status == 400 and code == wire.NUMBER_INVALID:
        return Absent(
            wire.problem(reply, "number_invalid", f"KVK says {number} is no KVK number; check it.", field="kvk")
        )
    return _no_answer(site, request, reply, about=number)


def _being_processed(site: Site, response: Response, code: str, number: str) -> Unknown:
    text = f"KVK is processing a change of {number}; it is asked again."
    retry_at = site.as_of + wire.BEING_PROCESSED[code]
    return Unknown(wire.problem(response, "being_processed", text, retry_at=retry_at))


def _with_successor(site: Site, found: Found) -> Exchange[Found]:
    """Put the possible successor of an ended company beside its profile: who is registered at its address now, if that is
    exactly one other number.

    The Basisprofiel names no successor (rule B2 wants one proposed). An address proves nothing, so this is never more than a
    proposal that a person is asked about; certain ones are named by `signals`. What cannot be searched
    (shielded, foreign or P.O. box address), and a search without an answer, propose nobody.
    """
    item = found.items[0]
    criteria = codec.address_criteria(item.fields)
    if not (site.settings.successors and codec.ended(item.fields) and criteria):
        return found
    hits = yield from _search(site, criteria, limit=PAGE_SIZE)
    others = {str(hit.fields.get("kvkNummer")) for hit in hits.items} - {item.native}
    if hits.problem or hits.total > len(hits.items) or len(others) != 1:
        return found
    fields = item.fields | {codec.PROPOSED_SUCCESSOR: others.pop()}
    return Found((msgspec.structs.replace(item, fields=fields),))


def _no_answer(site: Site, request: Request, response: Response, *, about: str) -> Unknown:
    """What tells nothing about the number: limits, outages, rights, and requests KVK did not understand."""
    verdict = wire.verdict(request, response, site.as_of)
    if verdict.problem:
        return Unknown(verdict.problem)
    text = f"KVK did not understand the request about {about}; this is a fault in Koppel, please report it."
    return Unknown(wire.problem(response, "request_refused", text))


def _silence(site: Site) -> Unknown:
    text = "KVK did not answer; it is tried again by itself."
    return Unknown(Problem("unavailable", text, retry_at=site.as_of + wire.OUTAGE_WAIT))


def decode(site: Site, item: Item) -> Decoded:
    """Translate a company's or a branch's profile; see `codec`."""
    if codec.is_branch(item.fields):
        return codec.decode_branch(site.settings, item, site.own)
    return codec.decode_profile(site.settings, item, site.own)


# --- search: names and addresses --------------------------------------------------------------------------------------

MAX_RESULTS: Final = 1_000  # more cannot be reached [OAS-zoeken]
PAGE_SIZE: Final = 100
_NUMBERS: Final[Mapping[str, Json]] = {"kvkNummer": kvk, "rsin": rsin, "vestigingsnummer": branch, "postcode": postcode}
_PATTERNS: Final[Mapping[str, str]] = {
    "naam": r".+",
    "straatnaam": r".+",
    "plaats": r".+",
    "huisnummer": r"\d{1,5}",
    "huisletter": r"[A-Za-z]",
    "postbusnummer": r"\d{1,5}",
    "type": r"hoofdvestiging|nevenvestiging|rechtspersoon",
    "inclusiefInactieveRegistraties": r"true|false",
}
_CRITERIA: Final = {name.lower(): name for name in (*_NUMBERS, *_PATTERNS)}
_ADDRESS: Final = re.compile(r"(\d{4}\s?[A-Za-z]{2})[\s,]+(\d{1,5})\s?([A-Za-z])?")


class Hits(msgspec.Struct, frozen=True):
    """What a search found: up to the limit asked, and how many there are. `problem` says why there is no answer."""

    items: tuple[Item, ...] = ()
    total: int = 0
    problem: Problem | None = None


def read_criteria(text: str) -> tuple[tuple[str, str], ...]:
    """What a person types, as KVK's parameters: a name, a number, postcode + house number, or `naam=…&plaats=…`.

    >>> read_criteria("bakkerij korenaar")
    (('naam', 'bakkerij korenaar'),)
    >>> read_criteria("3451 BJ 12a")
    (('postcode', '3451BJ'), ('huisnummer', '12'), ('huisletter', 'a'))
    >>> read_criteria("naam=korenaar&plaats=Vleuten&type=hoofdvestiging")
    (('naam', 'korenaar'), ('plaats', 'Vleuten'), ('type', 'hoofdvestiging'))

    Raises UsageError when KVK would not take it.
    """
    text = text.strip()
    address = _ADDRESS.fullmatch(text)
    if "=" in text:
        pairs = parse_qsl(text, keep_blank_values=True)
    elif branch.is_valid(text):
        pairs = [("vestigingsnummer", text)]
    elif kvk.is_valid(text):
        pairs = [("kvkNummer", text)]
    elif address:
        pairs = [
            (name, part)
            for name, part in zip(("postcode", "huisnummer", "huisletter"), address.groups(), strict=True)
            if part
        ]
    else:
        pairs = [("naam", text)]
    return checked_criteria(pairs)


def checked_criteria(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The criteria in KVK's spelling, within KVK's rules. Raises UsageError: unknown names would cost us a 400 [IPD1999]."""
    checked: list[tuple[str, str]] = []
    for typed, value in pairs:
        name = _CRITERIA.get(typed.strip().lower())
        if name is None:
            raise UsageError(f"KVK cannot be searched by {typed!r}.", remedy=f"Use {', '.join(_CRITERIA.values())}.")
        checked.append((name, _checked_value(name, value.strip())))
    names = {name for name, _ in checked}
    # The pairing rules of Zoeken v2 [OAS-zoeken].
    if "postcode" in names and not names & {"huisnummer", "postbusnummer"}:
        raise UsageError(
            "A postcode alone is not searched by KVK.", remedy="Add the house number or the P.O. box number."
        )
    if names & {"huisnummer", "postbusnummer"} and "postcode" not in names:
        raise UsageError("A house or P.O. box number alone is not searched by KVK.", remedy="Add the postcode.")
    if "huisletter" in names and "huisnummer" not in names:
        raise UsageError("A house letter alone is not searched by KVK.", remedy="Add the house number.")
    if not names - {"type", "inclusiefInactieveRegistraties"}:
        raise UsageError("There is nothing to search for.", remedy="Give a name, a number or an address.")
    return tuple(checked)


def _checked_value(name: str, value: str) -> str:
    if name in _NUMBERS:
        try:
            return _NUMBERS[name].validate(value)
        except InvalidNumber as error:
            raise UsageError(f"{error}.") from None
    if not re.fullmatch(_PATTERNS[name], value):
        raise UsageError(f"{value!r} cannot be a {name}.", remedy=f"KVK takes {_PATTERNS[name]}.")
    return value


def search(site: Site, *, limit: int = PAGE_SIZE, **criteria: str) -> Exchange[Hits]:
    """Search by KVK's own parameter names, e.g. `search(site, naam="korenaar", plaats="Vleuten")`; free of charge.

    KVK matches whole words only: `koophand` does not find `koophandel`. Raises UsageError for criteria it would refuse.
    """
    return (yield from _search(site, checked_criteria(criteria.items()), limit=limit))


def _search(site: Site, criteria: tuple[tuple[str, str], ...], *, limit: int) -> Exchange[Hits]:
    items: list[Item] = []
    wanted, page = min(limit, MAX_RESULTS), 0
    while True:
        page += 1
        call = wire.zoeken(site.settings, criteria, pagina=page, resultatenPerPagina=min(PAGE_SIZE, wanted))
        reply = yield call
        if isinstance(reply, NoReply):
            return Hits(problem=_silence(site).problem)
        if reply.status == 404 and wire.read_fout(reply).code == wire.NOTHING_FOUND:
            return Hits(tuple(items), len(items))
        body = wire.read_json(reply) if reply.status == 200 else None
        if body is None:
            return Hits(problem=_no_answer(site, call.request, reply, about="a search").problem)
        rows = codec.read_rows(body)
        items += [_hit(row) for row in rows]
        total = max(codec.read_count(body.get("totaal")) or 0, len(items))
        # Pages are counted, not followed: a link in an answer must not decide where our key goes.
        if not rows or len(items) >= min(wanted, total):
            return Hits(tuple(items[:wanted]), total)


def _hit(row: dict[str, Json]) -> Item:
    fields = codec.without_hidden(row)
    parts = [str(fields[key]) for key in ("kvkNummer", "vestigingsnummer") if fields.get(key)]
    return Item("/".join(parts), fields)


def find_text(site: Site, kind: str, values: tuple[str, ...]) -> Exchange[dict[str, Finding]]:
    """Search for what people type (see `read_criteria`). More hits than KVK shows is no answer: Unknown, narrow it."""
    if kind != "text":
        raise UsageError(f"A search cannot be asked by {kind!r}.", remedy="Use the kind `text`.")
    findings: dict[str, Finding] = {}
    for value in values:
        try:
            criteria = read_criteria(value)
        except UsageError as error:
            findings[value] = Unknown(Problem("search_refused", str(error)))
            continue
        hits = yield from _search(site, criteria, limit=MAX_RESULTS)
        findings[value] = _hits_finding(value, hits)
    return findings


def _hits_finding(value: str, hits: Hits) -> Finding:
    if hits.problem:
        return Unknown(hits.problem)
    if hits.total > len(hits.items):
        text = f"KVK finds {hits.total} companies for {value!r} and shows {MAX_RESULTS} at most; narrow the search."
        return Unknown(Problem("too_many", text))
    return Found(hits.items) if hits.items else Absent()


def decode_hit(site: Site, item: Item) -> Decoded:
    """Translate a search result; see `codec`."""
    del site
    return codec.decode_hit(item)


# --- what can be done ---------------------------------------------------------------------------------------------------

_Kind = Literal["text", "name", "kvk", "vat", "url", "bool", "int", "date", "code", "address", "set"]


def _read_only(path: str, kind: _Kind, *vendor: str, lossy: str | None = None, note: str | None = None) -> Field:
    return Field(path=path, kind=kind, vendor=vendor, writable="never", lossy=lossy, note=note)


def _own(name: str, kind: _Kind = "text", note: str | None = None) -> Field:
    return Field(path=name, kind=kind, vendor=(name,), writable="never", own=True, note=note)


_ADDRESS_LOSS = "toevoegingAdres (such as '3e etage') has no place in an address"
_FIELDS = (
    _read_only(
        "name", "name", "eersteHandelsnaam", "statutaireNaam", note="which of the two: the connection's setting `name`"
    ),
    _read_only("trade_name", "name", "eersteHandelsnaam", "handelsnamen", "naam"),
    _read_only("statutory_name", "name", "statutaireNaam"),
    _read_only("kvk", "kvk", "kvkNummer"),
    _read_only("branch", "code", "vestigingsnummer", note="of the main branch"),
    _read_only("rsin", "code", "rsin", note="legal persons only"),
    _read_only(
        "vat_candidate", "vat", "rsin", note="NL + RSIN + B01: may match, is never written; KVK holds no VAT numbers"
    ),
    _read_only("vat_state", "code"),
    _read_only("legal_form", "text", "rechtsvorm"),
    _read_only("sbi", "set", "sbiActiviteiten"),
    _read_only("is_active", "bool", "datumEinde", "datumUitschrijving"),
    _read_only("started_on", "date", "datumAanvang", note="cut to what is known, e.g. 2018-03"),
    _read_only("ended_on", "date", "datumEinde", "datumUitschrijving", note="cut to what is known, e.g. 2018-03"),
    _read_only(
        "successor", "kvk", note="a proposal: the one other company registered at an ended company's address now"
    ),
    _read_only("do_not_mail", "bool", "indNonMailing"),
    _read_only("employees", "int", "totaalWerkzamePersonen"),
    _read_only("personal", "bool", "rechtsvorm"),
    _read_only("address", "address", "bezoekadres", lossy=_ADDRESS_LOSS, note="shielded addresses hold nothing"),
    _read_only("postal_address", "address", "correspondentieadres", lossy=_ADDRESS_LOSS),
    _read_only("website", "url", "websites", lossy="the first of several"),
    _own("naam", note="the display name"),
    _own("uitgebreideRechtsvorm"),
    _own("formeleRegistratiedatum", note="YYYYMMDD, unknown parts 0"),
    _own("indCommercieleVestiging", note="Ja or Nee"),
    _own("voltijdWerkzamePersonen", "int"),
    _own("deeltijdWerkzamePersonen", "int"),
)
_HIT_FIELDS = (
    _read_only("name", "name", "naam"),
    _read_only("kvk", "kvk", "kvkNummer"),
    _read_only("branch", "code", "vestigingsnummer"),
    _read_only("is_active", "bool", "actief"),
    _read_only("address", "address", "adres", lossy="house number and postcode come only when searched for"),
    _read_only("postal_address", "address", "adres"),
)

COMPANIES = Resource(
    name="companies",
    entity="company",
    can=Can(
        list=False,
        find=("native", "kvk", "branch"),
        find_batch=1,
        parallel=8,
        never_skips="unlisted",
        probe="none",
        prices=(
            Price(call="basisprofiel", euros="0.02", source="third party, unverified; KVK's own price list is leading"),
            Price(call="zoeken", euros="0.00", source="third party, unverified"),
        ),
        gap="Without the Mutatieservice what changed is seen only when a number is asked again.",
        fields=_FIELDS,
    ),
    find=find,
    decode=decode,
    signals="signals",
    signals_on=lambda settings: settings.signals,
)
SEARCH = Resource(
    name="search",
    entity="company",
    can=Can(
        list=False,
        find=("text",),
        find_batch=1,
        parallel=4,
        never_skips="unlisted",
        probe="none",
        prices=(Price(call="zoeken", euros="0.00", source="third party, unverified"),),
        gap="At most 1,000 results; whole words only.",
        fields=_HIT_FIELDS,
    ),
    find=find_text,
    decode=decode_hit,
)

SIGNALS = Resource(
    name="signals",
    entity="company",
    can=Can(
        list=True,
        since=True,
        find=(),
        page=signals.PAGE_SIZE,
        never_skips="signal_time",
        probe="none",
        gap="A signal comes up to 15 minutes after the change; it says what changed, not how.",
        fields=(
            _read_only("kvk", "kvk", "kvkNummer"),
            _read_only(
                "successor", "kvk", "kvkNummer", note="who continued it, or to whom it was transferred, as registered"
            ),
        ),
    ),
    pages=signals.pages,
    decode=signals.decode,
)

SYSTEM = System(
    name="kvk",
    title="KVK Handelsregister",
    settings=Settings,
    resources=(COMPANIES, SEARCH, SIGNALS),
    auth=AUTH,
    verdict=wire.verdict,
    budgets=wire.BUDGETS,
    status=remarks,
    hosts=hosts,
    ca_bundle=ca_bundle,
    sandbox="koppel.systems.kvk.sandbox:make",
)
