"""The world of two opposite systems kept in step both ways, people working in both."""

from __future__ import annotations

from random import Random

from koppel.mapping.flow import Brakes, Endpoint, FieldRule, Flow, Match, Missing, Owner, RunRules
from koppel.testing.toy_kept import kept
from koppel.testing.toy_verdict import Verdict
from koppel.testing.toy_world import ToyWorld

OWNERS: dict[str, Owner] = {
    "name": "left",
    "kvk": "left",
    "phone": "newest",
    "email": "ask",
    "trade_name": "right",
    "statutory_name": "left",
    "website": "newest",
    "legal_form": "right",
    "address": "left",
    "sbi": "union",
}
SECOND: dict[str, Owner] = {"employees": "left", "do_not_mail": "right"}
MISSING: tuple[Missing, ...] = ("ask", "unlink", "archive", "restore")


class PairWorld(ToyWorld):
    """Ledger on the left, Till on the right."""

    kind = "pair"

    def build(self) -> None:
        """Two servers, some companies in both, one or two flows."""
        ledger, till = self.add_ledger("left", "ledger"), self.add_till("right", "till")
        self.begin()
        self.missing: Missing = self.rnd.choice(MISSING)
        self.reconcile = Random(f"whole:{self.seed}").choice((None, "every 50 minutes"))  # noqa: S311
        self.flows = [self._flow("pair", OWNERS)]
        if self.mischief.has("second flow"):
            self.flows.append(self._flow("extra", SECOND))
        people = self.people
        for _ in range(self.rnd.randint(4, 9)):
            row = people.row()
            where = self.rnd.random()
            if where < 0.7:
                ledger.add(row)
            if where > 0.4:
                till.add(row if self.rnd.random() < 0.5 else row | {"title": people.word(), "tel": people.phone()})

        self._cache()

    def _cache(self) -> None:
        """How much is kept of each system's records: mostly everything, sometimes what flows use, or only digests."""
        rnd = Random(f"cache:{self.seed}")  # noqa: S311
        for place in self.places:
            mode = rnd.choices(("full", "mapped", "hashes"), (12, 4, 5))[0]
            connection = self.connections[place.connection]
            self.connections[place.connection] = kept(connection, mode, self.flows)

    def judge(self) -> None:
        """Everything that must hold once all is quiet."""
        Verdict(self).give()

    def _flow(self, name: str, owners: dict[str, Owner]) -> Flow:
        fields = tuple(
            FieldRule(path, owner, empty="clear" if path in ("website", "legal_form") else "keep")
            for path, owner in owners.items()
        )
        if name == "extra":  # whoever creates must give what the other side requires
            fields = (FieldRule("name", "left", when="create"), FieldRule("kvk", "left", when="create"), *fields)
        return Flow(
            id=name, title=name, entity="company", left=Endpoint("left", "customers"), right=Endpoint("right", "shops"), fields=fields, match=Match(keys=("kvk",)),
            create_left=name == "pair", create_right=True, missing_left=self.missing if name == "pair" else "unlink", missing_right=self.missing if name == "pair" else "unlink",
            run=RunRules(reconcile=self.reconcile, brakes=Brakes(None, None, None)), digest=name,
        )  # fmt: skip
