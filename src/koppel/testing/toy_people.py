"""People who work in the toy systems: what they type, make and delete, and how they get in each other's way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

import msgspec

from koppel.model.values import Json
from koppel.systems.spi import Request
from koppel.testing import toys
from koppel.testing.adversaries import Mischief
from koppel.testing.toy_servers import LedgerServer, Row, Server, TillServer

T = TypeVar("T")
_SYLLABLES = ("ba", "de", "ko", "li", "mo", "nu", "pe", "ra", "si", "to", "vu", "wa", "ze")


class People:
    """Everybody who works in any of `servers`. `named` is called when a webhook names a record; `deleted` is the book of what
    they deleted, as it stood then; `copied` are the numbers they gave to records of other companies."""

    def __init__(
        self,
        seed: int,
        rnd: Random,
        mischief: Mischief,
        servers: Sequence[Server],
        named: Callable[[Server, str], None] = lambda _server, _native: None,
    ) -> None:
        self.seed, self.rnd, self.mischief, self.servers, self.named = seed, rnd, mischief, servers, named
        self.deleted: dict[tuple[str, str], Row] = {}
        self.copied: set[str] = set()
        self.numbers = self.words = 0

    # --- what they type ---------------------------------------------------------------------------------------------

    def word(self) -> str:
        """A word nobody else ever types."""
        self.words += 1
        return "".join(self.rnd.choice(_SYLLABLES) for _ in range(3)).title() + f" {self.words:04}"

    def phone(self) -> str:
        """A telephone number nobody else ever types."""
        self.words += 1
        return f"020555{self.words:04}"

    def number(self) -> str:
        """A company's number."""
        self.numbers += 1
        head = "000" if self.mischief.has("leading zero") and self.rnd.random() < 0.5 else "421"
        return f"{head}{self.seed % 97:02}{self.numbers:03}"

    def row(self) -> Row:
        """A whole company, mostly with a number."""
        rnd = self.rnd
        row: Row = {
            "title": self.word(),
            "tel": self.phone(),
            "mail": f"{self.word().replace(' ', '').lower()}@firm.example",
            "brand": self.word(),
        }
        row |= {
            "legal": f"{self.word()} Holding",
            "form": rnd.choice(("BV", "NV", "Stichting")),
            "place": {"street": self.word(), "number": "1", "city": "Zwolle"},
        }
        if rnd.random() < 0.7:
            row["web"] = f"www.{self.word().replace(' ', '').lower()}.example"
        if rnd.random() < 0.5:
            row["codes"] = [{"code": str(rnd.randint(10000, 10009))}]
        if rnd.random() < 0.6:
            row |= {"staff": rnd.randint(1, 500), "nomail": rnd.random() < 0.5}
        if not (self.mischief.has("no number") and rnd.random() < 0.4):
            row["nr"] = self.number()
        return row

    def value(self, word: str, server: Server, native: str) -> Json:
        """What they type into a field: sometimes nothing, or what the other side refuses, or what cannot be read."""
        if self.mischief.strikes("cleared"):
            return None if word in ("web", "form", "tel", "mail") else self.plain(word, server, native)
        if word in ("title", "brand", "legal") and self.mischief.strikes("bad value"):
            return f"nee:{self.word()}"
        if word in ("tel", "legal") and self.mischief.strikes("unreadable"):
            return f"??{self.word()}"
        return self.plain(word, server, native)

    def plain(self, word: str, server: Server, native: str) -> Json:
        """A new value anybody can read."""
        rnd = self.rnd
        match word:
            case "tel":
                return self.phone()
            case "mail":
                return f"{self.word().replace(' ', '').lower()}@firm.example"
            case "web":
                return f"www.{self.word().replace(' ', '').lower()}.example"
            case "place":
                return {"street": self.word(), "number": str(rnd.randint(1, 99)), "city": "Zwolle"}
            case "codes":
                return [*server.rows[native].get("codes", []), {"code": str(rnd.randint(10010, 99999))}]
            case "staff":
                return rnd.randint(501, 99999)
            case "nomail":
                return not server.rows[native].get("nomail", False)
            case "legal":
                return f"{self.word()} {rnd.choice(('BV', 'Beheer en Vastgoed', 'Holding'))}"
            case _:
                return self.word()

    # --- what they do -----------------------------------------------------------------------------------------------

    def act(self) -> None:
        """Somebody edits, adds or deletes, somewhere."""
        rnd, roll = self.rnd, self.rnd.random()
        server = rnd.choice(self.servers)
        if roll < 0.12 or not server.rows:
            self._add(server)
            return
        native = rnd.choice(sorted(server.rows))
        if roll < 0.2 and self.mischief.strikes("deleted"):
            self.deleted[server.name, native] = server.rows[native]
            server.delete(native)
            return
        ledgers = [s for s in self.servers if isinstance(s, LedgerServer)]
        if roll < 0.23 and self.mischief.strikes("renumbered") and ledgers:
            self._one(ledgers).renumber()
            return
        if roll < 0.25 and self.mischief.strikes("copied number"):
            number = server.rows[rnd.choice(sorted(server.rows))].get("nr")
            if number:
                self.copied.add(str(number))
                server.edit(native, {"nr": number})
            return
        tills = [s for s in self.servers if isinstance(s, TillServer)]
        if roll < 0.28 and self.mischief.strikes("deaf field") and tills:
            till = self._one(tills)
            till.deaf.add((rnd.choice(sorted(till.rows) or ["0"]), rnd.choice(("title", "legal"))))
        if roll < 0.35 and self.mischief.strikes("webhook"):
            self.named(server, native)
        word = rnd.choice(sorted(toys.PATH.keys() - {"nr"}))
        server.edit(native, {word: self.value(word, server, native)})
        if self.mischief.strikes("both sides"):
            self._type_there_too(server, native, word)

    def _add(self, server: Server) -> None:
        row = self.row()
        server.add(row)
        if self.mischief.strikes("same company twice") and "nr" in row:
            self._one(self._others(server)).add(row | {"title": self.word()})

    def _type_there_too(self, server: Server, native: str, word: str) -> None:
        number = server.rows[native].get("nr")
        for other in self._others(server):
            twin = next((n for n, row in other.rows.items() if number and row.get("nr") == number), None)
            if twin is not None:
                other.edit(twin, {word: self.value(word, other, twin)})
                return

    def _others(self, server: Server) -> list[Server]:
        return [other for other in self.servers if other is not server]

    def _one(self, of: Sequence[T]) -> T:
        return of[0] if len(of) == 1 else self.rnd.choice(of)

    def quicker(self, server: Server, request: Request) -> None:
        """Between our reading and our write, somebody edits a field that the write is about."""
        body = msgspec.json.decode(request.body)
        if isinstance(body, dict):
            native, words = request.url.rpartition("/")[2], sorted(body["fields"])
        else:
            line = self.rnd.choice(body)
            native, words = line["id"], sorted(line["fields"])
        if native in server.rows and words:
            word = self.rnd.choice(words)
            if word != "nr":
                server.edit(native, {word: self.plain(word, server, native)})

    def overtake(self, server: Server, native: str, words: Sequence[str]) -> None:
        """Somebody edits one of the fields that a stored plan is about to write, or does not."""
        if native in server.rows and words and self.rnd.random() < 0.5:
            word = self.rnd.choice(words)
            server.edit(native, {word: self.plain(word, server, native)})
