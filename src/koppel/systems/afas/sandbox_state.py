"""All that one imitation remembers: its environments, the switches, and what was written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from koppel.model.values import Json
from koppel.systems.afas.sandbox_books import Books, Key
from koppel.systems.afas.sandbox_signin import SignIn

MEMBER = "12345"  # customer numbers are 10000 to 99999 [MD concepts]
LETTERS = {"production": "O", "test": "T", "accept": "A"}


@dataclass
class Switches:
    """What a person, the vendor or bad luck may change; see `control("settings", …)`.

    `refuse`: KVK number or name -> the message such a write is refused with. `drop_field`: connector -> fields this tenant
    does not have. `lose`: fields a write accepts and does not keep. `joined_stamps`: an address change moves the debtor's
    stamp too. `needs_charset`: without `charset=utf-8` in the content type letters beyond ASCII become `?`. `in_flight`: calls of others under way (at most eight together). `largest`: cells an answer may hold.
    """

    authorisation_filter: bool = False
    refuse: dict[str, str] = field(default_factory=dict)
    hide_connector: frozenset[str] = frozenset()
    block_connector: frozenset[str] = frozenset()
    drop_field: dict[str, frozenset[str]] = field(default_factory=dict)
    lose: frozenset[str] = frozenset()
    unstable_order: bool = True
    maintenance: bool = False
    ip_restricted: bool = False
    timeout: bool = False
    in_flight: int = 0
    largest: int | None = None
    joined_stamps: bool = False
    needs_charset: bool = True
    empty_post: bool = False
    put_results: bool = False
    language: str = "nl"


@dataclass
class Environment:
    """One environment: its data, its tokens, and the answers it has just made (so that paging is cheap)."""

    name: str
    books: Books
    sign_in: SignIn
    lists: dict[tuple[Any, ...], list[Key]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """`O12345AA`: the first letter says which environment it is. [MD concepts]"""
        return f"{LETTERS[self.name]}{MEMBER}AA"


@dataclass(frozen=True, slots=True)
class Made:
    """A record the API created for a KVK number, and whether the environment had that number already."""

    environment: str
    kind: str
    kvk: str
    id: str
    existed: bool


@dataclass
class State:
    """One imitation's memory."""

    seed: int
    now: Callable[[], float]
    environments: dict[str, Environment]
    cities: dict[str, str] = field(default_factory=dict)  # compact postcode -> city
    switches: Switches = field(default_factory=Switches)
    writes: list[dict[str, Json]] = field(default_factory=list)
    refused: int = 0
    created: list[Made] = field(default_factory=list)
    references: int = 0

    def reference(self) -> str:
        """The next `profitLogReference`: 32 hex digits."""
        self.references += 1
        return hashlib.sha256(f"{self.seed}:log:{self.references}".encode()).hexdigest()[:32].upper()
