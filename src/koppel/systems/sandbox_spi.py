"""The door for imitations: what a sandbox of a system is, and the made-up world it is seeded from.

A sandbox answers requests with a plain synchronous function and keeps its state in memory; one host (`koppel.sandbox`)
serves them all under one clock, counts calls and injects faults. A sandbox shares no code with the client it tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import msgspec

from koppel.model.values import Json
from koppel.systems.spi import Request, Response


class SeedPerson(msgspec.Struct, frozen=True):
    """A made-up contact."""

    first_name: str
    last_name: str
    email: str
    phone: str


class SeedCompany(msgspec.Struct, frozen=True):
    """A made-up company, in plain words, from which every sandbox makes its own records.

    `kind`: bv | nv | eenmanszaak | vof | stichting | vereniging | cooperatie. `shape` is what is special about it:
    plain | shielded | po_box | foreign | ended | no_branch. `in_erp`: whether the ERP's first division already knows it,
    and how: none | kvk (by KVK number) | vat (by VAT number only) | both | thrice (one number on three debtors).
    Dates are YYYY-MM-DD. `vat` is None for who has none.
    """

    kvk: str
    branch: str
    rsin: str | None
    vat: str | None
    name: str
    statutory_name: str | None
    kind: str
    shape: str
    street: str
    number: int
    letter: str | None
    addition: str | None
    postcode: str
    city: str
    country: str
    po_box: int | None
    phone: str
    email: str
    website: str
    sbi: tuple[tuple[str, str], ...]
    started_on: str
    ended_on: str | None
    successor: str | None
    employees: int
    do_not_mail: bool
    person: SeedPerson
    in_erp: str


class World(msgspec.Struct, frozen=True):
    """What the sandboxes of one host share. `now` gives epoch seconds of the host's clock."""

    seed: int
    companies: tuple[SeedCompany, ...]
    now: Callable[[], float]


class Sandbox(Protocol):
    """One imitation. All methods are synchronous and deterministic for a seed and a sequence of requests.

    `base_path` is where the host mounts it (`/exact`); `handle` receives the request with that prefix taken off the path
    but `url` kept absolute as the client called it (links in answers must point there).
    """

    name: str
    base_path: str

    def handle(self, path: str, request: Request) -> Response:
        """Answer one request; never raises for bad input."""
        ...

    def control(self, action: str, body: dict[str, Json]) -> dict[str, Json]:
        """Do something a person or the vendor would do (`edit`, `authorization_code`, `settings` …); for `/_sandbox/`.

        Raises ValueError for an unknown action or bad body.
        """
        ...

    def contract(self, base_url: str) -> dict[str, Json]:
        """This system's part of `koppel sandbox up --json`; `base_url` is the absolute address it is served at."""
        ...

    def snapshot(self) -> Json:
        """All mutable business state as JSON, in a stable order: what the state checksum is taken of."""
        ...


class Outgoing(msgspec.Struct, frozen=True):
    """A call the vendor makes by itself, such as a webhook."""

    number: int
    request: Request


@runtime_checkable
class Calling(Protocol):
    """A sandbox whose vendor also calls others. It cannot send: whoever serves it fetches what is due and tells the answer."""

    def outgoing(self) -> tuple[Outgoing, ...]:
        """What is due now and not answered yet."""
        ...

    def answered(self, number: int, status: int | None) -> None:
        """The status of the answer; None when there was none."""
        ...


MakeSandbox = Callable[[World], Sandbox]
