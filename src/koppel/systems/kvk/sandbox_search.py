"""Zoeken v2 as the imitated register does it: what may be asked, which rows answer, one page of them. [kvk.md §2]"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from koppel.model.values import Json
from koppel.systems.kvk.sandbox_register import LEGAL_PERSONS, addresses, branches, display_name, ja
from koppel.systems.sandbox_spi import SeedCompany

REACHABLE = 1000  # results beyond are counted and never shown [OAS-zoeken]
NO_LINKS_BEFORE = "2010-05-22"  # deregistered earlier: no links [portal:release-notes]
TYPES = ("hoofdvestiging", "nevenvestiging", "rechtspersoon")

# parameter (lower case: names are matched whatever their case) -> pattern of its value, code when it does not fit
_PATTERNS: dict[str, tuple[str, str]] = {
    "kvknummer": (r"[0-9]{8}", "IPD0004"),
    "rsin": (r"[0-9]{9}", "IPD0010"),
    "vestigingsnummer": (r"[0-9]{12}", "IPD0006"),
    "naam": (r".*\S.*", "IPD1998"),
    "straatnaam": (r".*\S.*", "IPD1998"),
    "plaats": (r".*\S.*", "IPD1998"),
    "postcode": (r"[0-9]{4}[A-Za-z]{2}", "IPD1998"),
    "huisnummer": (r"[0-9]{1,5}", "IPD1998"),
    "huisletter": (r"[A-Za-z]", "IPD1998"),
    "postbusnummer": (r"[0-9]{1,9}", "IPD1998"),
    "type": ("|".join(TYPES), "IPD5203"),
    "inclusiefinactieveregistraties": (r"true|false", "IPD1998"),
    "pagina": (r"[1-9][0-9]{0,3}", "IPD1998"),
    "resultatenperpagina": (r"[1-9][0-9]{0,2}", "IPD1998"),
}
_CRITERIA = ("kvknummer", "rsin", "vestigingsnummer", "naam", "straatnaam", "plaats", "postcode")


class SearchRefusedError(ValueError):
    """The question is not one Zoeken takes; `code` is the register's."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Question(NamedTuple):
    """A search as understood: single values by lower-case name, and the types wanted."""

    values: dict[str, str]
    types: tuple[str, ...]

    @property
    def page(self) -> int:
        """Which page, from 1."""
        return int(self.values.get("pagina", "1"))

    @property
    def size(self) -> int:
        """Results a page."""
        return int(self.values.get("resultatenperpagina", "10"))

    @property
    def inactive_too(self) -> bool:
        """Whether ended registrations are wanted."""
        return self.values.get("inclusiefinactieveregistraties") == "true"


def understand(query: Iterable[tuple[str, str]]) -> Question:
    """Read a query. Raises SearchRefusedError."""
    pairs = [(name.lower(), value) for name, value in query]
    if any(name not in _PATTERNS for name, _ in pairs):
        raise SearchRefusedError("IPD1999")
    for name, value in pairs:
        pattern, code = _PATTERNS[name]
        if not re.fullmatch(pattern, value.lower() if name == "inclusiefinactieveregistraties" else value):
            raise SearchRefusedError(code)
    values = {name: value for name, value in pairs if name != "type"}
    if "inclusiefinactieveregistraties" in values:
        values["inclusiefinactieveregistraties"] = values["inclusiefinactieveregistraties"].lower()
    question = Question(values, tuple(value for name, value in pairs if name == "type"))
    paired = ("postcode" in values) == ("huisnummer" in values or "postbusnummer" in values)
    if not paired or ("huisletter" in values and "huisnummer" not in values):
        raise SearchRefusedError("IPD1998")
    # a search for nothing in particular is an input error: unverified
    if question.page > 1000 or question.size > 100 or not any(name in values for name in _CRITERIA):
        raise SearchRefusedError("IPD1998")
    return question


def words(text: str) -> set[str]:
    """The whole words of a name, which is how names are matched. [skill]"""
    return set(re.findall(r"\w+", text.lower()))


def rows(company: SeedCompany, question: Question, base: str) -> Iterator[dict[str, Json]]:
    """The rows by which a company answers a question; none when it does not fit."""
    if not _fits(company, question):
        return
    wanted = question.types or TYPES
    every = branches(company)
    if int(company.kvk) % 2:
        every = every[::-1]  # the order is not to be relied on: recorded with the nevenvestiging first
    for branch in every:
        kind = TYPES[0] if branch.main else TYPES[1]
        if kind in wanted and question.values.get("vestigingsnummer") in {None, branch.number}:
            yield _row(company, question, base, kind=kind, name=branch.name, branch=branch.number)
    # Recorded: a BV looked up by number gave its branches only, a foundation without one its rechtspersoon row. That the
    # row of a BV shows when it is asked for by type is unverified.
    alone = company.kind in LEGAL_PERSONS and (not every or TYPES[2] in question.types)
    if alone and TYPES[2] in wanted and "vestigingsnummer" not in question.values:
        yield _row(company, question, base, kind=TYPES[2], name=display_name(company), branch=None)


def _fits(company: SeedCompany, question: Question) -> bool:
    asked = question.values
    if company.ended_on and not question.inactive_too:
        return False
    if asked.get("kvknummer") not in {None, company.kvk} or asked.get("rsin") not in {None, company.rsin}:
        return False
    if "naam" in asked:
        own = words(f"{display_name(company)} {' '.join(branch.name for branch in branches(company))} {company.name}")
        if not words(asked["naam"]) <= own:
            return False
    return _fits_address(company, asked)


def _fits_address(company: SeedCompany, asked: Mapping[str, str]) -> bool:
    parts = {name: asked[name].lower() for name in ("straatnaam", "plaats", "postcode", "huisletter") if name in asked}
    numbers = {name: int(asked[name]) for name in ("huisnummer", "postbusnummer") if name in asked}
    if not parts and not numbers:
        return True
    # a shielded address has no parts, so nobody is found by it
    return any(
        all(str(address.get(name, "")).lower() == value for name, value in parts.items())
        and all(address.get(name) == value for name, value in numbers.items())
        for address in addresses(company, geo=False)
    )


def _row(
    company: SeedCompany, question: Question, base: str, *, kind: str, name: str, branch: str | None
) -> dict[str, Json]:
    row: dict[str, Json] = {"kvkNummer": company.kvk}
    if "rsin" in question.values:
        row["rsin"] = company.rsin
    if branch:
        row["vestigingsnummer"] = branch
    row["naam"] = name
    address = _address(company, question)
    if address:
        row["adres"] = address
    row["type"] = kind
    if question.inactive_too:
        row["actief"] = ja(company.ended_on is None)
    if company.ended_on is None or company.ended_on >= NO_LINKS_BEFORE:
        links = {"basisprofiel": {"href": f"{base}/api/v1/basisprofielen/{company.kvk}"}}
        if branch:
            links["vestigingsprofiel"] = {"href": f"{base}/api/v1/vestigingsprofielen/{branch}"}
        row["_links"] = links  # a map here, an array of rel and href in every other answer [§2]
    return row


def _address(company: SeedCompany, question: Question) -> dict[str, Json] | None:
    """The address of a row: street and town; number and postcode only when they were searched on. [portal:support/faq]"""
    first = addresses(company, geo=False)[0]
    if first["indAfgeschermd"] == "Ja":
        return None  # how a shielded row looks is unverified
    if "straatHuisnummer" in first:
        return {"buitenlandsAdres": {name: first[name] for name in ("straatHuisnummer", "postcodeWoonplaats", "land")}}
    searched = [name for name in ("huisnummer", "huisletter", "postbusnummer", "postcode") if name in question.values]
    kind = "bezoekadres" if first["type"] == "bezoekadres" else "postadres"
    shown = {name: first[name] for name in ("straatnaam", *searched, "plaats") if name in first}
    return {"binnenlandsAdres": {"type": kind, **shown}}


def page(question: Question, found: list[dict[str, Json]], base: str) -> dict[str, Json] | None:
    """One page of what was found, or None when it is empty (a 404 then). [cassette test_client_404]"""
    start = (question.page - 1) * question.size
    items = found[:REACHABLE][start : start + question.size]
    if not items:
        return None
    answer: dict[str, Json] = {"pagina": question.page, "resultatenPerPagina": question.size, "totaal": len(found)}
    if question.page > 1:
        answer["vorige"] = _url(question, base, question.page - 1)
    if start + question.size < min(len(found), REACHABLE):
        answer["volgende"] = _url(question, base, question.page + 1)
    answer["resultaten"] = items
    answer["_links"] = {"self": {"href": _url(question, base, question.page)}}
    return answer


def _url(question: Question, base: str, number: int) -> str:
    """The address of a page, with parameter names in lower case as recorded."""
    asked = [(name, value) for name, value in question.values.items() if name not in {"pagina", "resultatenperpagina"}]
    asked += [("type", kind) for kind in question.types]
    return f"{base}/api/v2/zoeken?{urlencode([*asked, ('pagina', number), ('resultatenperpagina', question.size)])}"
