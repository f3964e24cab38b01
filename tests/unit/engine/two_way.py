"""The flow of the two toy systems that goes both ways, every way of owning a field among them; and somebody who works in both."""

from __future__ import annotations

from random import Random
from typing import Any

from koppel.mapping.flow import FieldRule, Owner
from koppel.testing.pair_desk import QUARTER, PairDesk, pair_flow
from koppel.testing.toy_servers import Row

OWNERS: dict[str, Owner] = {
    "name": "left",
    "kvk": "left",
    "phone": "newest",
    "email": "ask",
    "trade_name": "right",
    "statutory_name": "left",
    "website": "newest",
    "address": "left",
    "sbi": "union",
}


def two_sides(**flow: Any) -> PairDesk:
    """A desk with that flow, run by a timer every quarter of an hour."""
    rules = (FieldRule(path, owner, empty="clear") for path, owner in OWNERS.items())
    return PairDesk(pair_flow(*rules, **({"create_left": True} | flow)), pace=QUARTER)


def bakery(number: str = "42100001", **given: Any) -> Row:
    """A company with a value for every owner but one."""
    row: Row = {"nr": number, "title": "Bakker", "tel": "0205550001", "brand": "BAKKER", "legal": "Bakker BV"}
    return row | given


class Somebody:
    """A person with a seed, who works in both systems."""

    def __init__(self, desk: PairDesk, seed: int) -> None:
        self.desk, self.rnd, self.count = desk, Random(seed), 0

    def word(self) -> str:
        self.count += 1
        return f"{self.rnd.choice(('Ada', 'Bo', 'Cas', 'Dirk'))} {self.rnd.choice(('Bakt', 'Fietst', 'Schildert'))} {self.count:04} en zonen"

    def phone(self) -> str:
        self.count += 1
        return f"020555{self.count:04}"

    def row(self, number: str) -> Row:
        row: Row = {
            "nr": number,
            "title": self.word(),
            "tel": self.phone(),
            "brand": self.word(),
            "legal": f"{self.word()} Holding",
        }
        row |= {
            "mail": f"a{self.count}@firm.example",
            "place": {"street": self.word(), "number": "1", "city": "Zwolle"},
        }
        if self.rnd.random() < 0.5:
            row["codes"] = [{"code": str(self.rnd.randint(10000, 10009))}]
        return row

    def value(self, word: str) -> Any:
        if word == "tel":
            return self.phone()
        if word == "place":
            return {"street": self.word(), "number": "2", "city": "Assen"}
        if word == "codes":
            return [{"code": str(self.rnd.randint(10000, 10009))}]
        if word == "mail":
            self.count += 1
            return f"b{self.count}@firm.example"
        if word == "web":
            self.count += 1
            return f"www.firm{self.count}.example"
        return self.word()

    def founds(self, number: str) -> None:
        """A company: here, there, or in both and not alike."""
        row, where = self.row(number), self.rnd.random()
        if where < 0.7:
            self.desk.ledger.add(row)
        if where > 0.4:
            self.desk.till.add(row if self.rnd.random() < 0.5 else row | {"title": self.word(), "tel": self.phone()})

    def edits(self) -> None:
        server = self.rnd.choice((self.desk.ledger, self.desk.till))
        native = self.rnd.choice(sorted(server.rows))
        words = self.rnd.sample(
            ("title", "tel", "brand", "legal", "web", "place", "codes", "mail"), self.rnd.randint(1, 3)
        )
        server.edit(
            native, {word: None if self.rnd.random() < 0.1 and word != "title" else self.value(word) for word in words}
        )
        self.desk.later(self.rnd.uniform(1, 600))
