"""Mutatieservice v1 as imitated: signals that something changed, listed by time, never with the new value. [kvk.md §5]"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from random import Random
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from koppel.model.values import Json
from koppel.systems.kvk.sandbox_register import branches, eigenaar
from koppel.systems.sandbox_spi import SeedCompany

_INSTANT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"

NEW = "SignaalNieuweInschrijving"
CHANGED = "SignaalGewijzigdeInschrijving"
BRANCH = "SignaalGewijzigdeVestiging"
ENDED = "SignaalBeeindiging_2025_01"
FORM = "SignaalRechtsvormwijziging_2025_01"
TRANSFER = "SignaalVoortzettingEnOverdracht_2025_01"
ADDRESS = "SignaalAdreswijziging_2025_01"
NAMES = "SignaalNaamgeving_2025_01"
ACTIVITIES = "SignaalActiviteitenWijziging_2025_01"


class Signal(msgspec.Struct, frozen=True):
    """One signal. `block` is the part that belongs to its type."""

    id: str
    at: float
    kvk: str
    type: str
    branch: str | None = None
    block: dict[str, Json] = {}


class SignalsRefusedError(ValueError):
    """The list was asked for in a way it is not given."""


class Signals:
    """The list of one subscription, oldest first."""

    def __init__(self, seed: int) -> None:
        self._random = Random(f"kvk signals {seed}")  # noqa: S311 -- ids that can be made again, not secrets
        self.client = self._uuid()
        self.subscription = self._uuid()
        self.contract = self._uuid()
        self.all: list[Signal] = []

    def _uuid(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def add(
        self, at: float, kvk: str, kind: str, *, branch: str | None = None, block: dict[str, Json] | None = None
    ) -> None:
        """Note that something changed."""
        self.all.append(Signal(self._uuid(), at, kvk, kind, branch, block or {}))
        if len(self.all) > 1 and self.all[-2].at > at:
            self.all.sort(key=lambda signal: signal.at)

    def subscriptions(self) -> dict[str, Json]:
        """The subscriptions of this customer: one. Its id never changes. [portal]"""
        subscription = {
            "id": self.subscription,
            "contract": {"id": self.contract},
            "startDatum": "2018-01-01T00:00:00Z",
            "actief": True,
        }
        return {"klantId": self.client, "abonnementen": [subscription]}

    def page(self, query: Iterable[tuple[str, str]], url: str, *, until: float) -> dict[str, Json]:
        """One page of the signals that are out by `until`.

        `vanaf` counts in, `tot` does not, and an empty list is no 404: unverified. Raises SignalsRefusedError.
        """
        asked = {name.lower(): value for name, value in query}
        if set(asked) - {"vanaf", "tot", "pagina", "aantal"}:
            raise SignalsRefusedError("IPD1999")
        start, end = _epoch(asked.get("vanaf"), float("-inf")), _epoch(asked.get("tot"), float("inf"))
        number, size = _count(asked.get("pagina"), 1, 1, 10**6), _count(asked.get("aantal"), 100, 10, 500)
        fits = [signal for signal in self.all if start <= signal.at < end and signal.at <= until]
        pages = -(-len(fits) // size)
        bounds = [(name, asked[name]) for name in ("vanaf", "tot") if name in asked]

        def at(page: int) -> str:
            return f"{url}?{urlencode([*bounds, ('pagina', page), ('aantal', size)])}"

        answer: dict[str, Json] = {"pagina": number, "aantal": size, "totaal": len(fits), "totaalPaginas": pages}
        if number < pages:
            answer["volgende"] = at(number + 1)
        if number > 1:
            answer["vorige"] = at(number - 1)
        answer["signalen"] = [_listed(signal) for signal in fits[(number - 1) * size : number * size]]
        return answer

    def find(self, number: str) -> Signal | None:
        """The signal with that id."""
        return next((signal for signal in self.all if signal.id == number), None)


def detail(signal: Signal, company: SeedCompany | None) -> dict[str, Json]:
    """One signal, whole. The names inside a type's own block are unverified. [§5]"""
    concerns: dict[str, Json] = {"kvkNummer": signal.kvk}
    if company is not None:
        owner = eigenaar(company, "", geo=False)
        concerns["totaalWerkzamePersonen"] = company.employees
        concerns["heeftAlsEigenaar"] = {name: owner[name] for name in ("rsin", "rechtsvorm") if name in owner}
        concerns["wordtUitgeoefendIn"] = [
            {"vestigingsnummer": branch.number, "isHoofdvestiging": branch.main} for branch in branches(company)
        ]
    stamp = _stamp(signal.at)
    body: dict[str, Json] = {
        "berichtId": signal.id,
        "signaalType": signal.type,
        "registratieId": signal.id,
        "registratieTijdstip": stamp,
        "heeftBetrekkingOp": concerns,
    }
    if signal.block:
        body[block_name(signal.type)] = signal.block
    return {"signaal": body}


def block_name(kind: str) -> str:
    """The key of a type's own block.

    >>> block_name("SignaalBeeindiging_2025_01")
    'beeindiging'
    """
    name = kind.removeprefix("Signaal").partition("_")[0]
    return name[0].lower() + name[1:]


def _listed(signal: Signal) -> dict[str, Json]:
    # `kvknummer` is in lower case here and nowhere else [§5]
    listed: dict[str, Json] = {
        "id": signal.id,
        "timestamp": _stamp(signal.at),
        "kvknummer": signal.kvk,
        "signaalType": signal.type,
    }
    if signal.branch:
        listed["vestigingsnummer"] = signal.branch
    return listed


def _stamp(at: float) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _epoch(text: str | None, default: float) -> float:
    if text is None:
        return default
    try:
        if not re.fullmatch(_INSTANT, text):
            raise SignalsRefusedError("IPD1998")
        return dt.datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise SignalsRefusedError("IPD1998") from error


def _count(text: str | None, default: int, low: int, high: int) -> int:
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,7}", text) or not low <= int(text) <= high:
        raise SignalsRefusedError("IPD1998")
    return int(text)
