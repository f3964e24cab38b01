"""The guard: counts above which a run stops before its first write, with a named reason and one explicit override."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from decimal import Decimal

import msgspec

from koppel.mapping.flow import Flow, SideName
from koppel.model.values import Money


class Counts(msgspec.Struct, frozen=True):
    """What a plan would do: `updates` counts records, `known` is the side's population, `vanished` what disappeared since last time of the `linked` records of that side (counted when many did), `renumbered`
    the linked records whose company number would be written over with another, `money` what documents it would book, per currency;
    `first`: no run of this flow has written yet."""

    creates: int = 0
    updates: int = 0
    archives: int = 0
    known: dict[SideName, int] = {}
    vanished: dict[SideName, int] = {}
    taken_in: int = 0
    renumbered: int = 0
    linked: dict[SideName, int] = {}
    money: dict[str, Decimal] = {}
    first: bool = False


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why the run stopped. `override` is the word that lets it pass; `also` are those of further brakes that hold it."""

    reason: str
    override: str
    also: tuple[str, ...] = ()

    @property
    def allow(self) -> str:
        """What has to be typed to let it pass."""
        return " ".join(f"--allow {word}" for word in (self.override, *self.also))

    @property
    def allow_applied(self) -> str:
        """What has to be typed to apply it as a stored plan: whoever applies one has looked at it."""
        return " ".join(f"--allow {word}" for word in (self.override, *self.also) if word != FIRST)


OTHERS = (
    3  # one linked record with another company's number is somebody's edit; several are other records under old ids
)
FIRST = "first"
SMALL = 10  # shares say nothing about a handful of records


def guard(flow: Flow, counts: Counts, *, allowed: Collection[str] = ()) -> Refusal | None:
    """None when the plan may go ahead. A brake named in `allowed` lets it pass; the others go on holding."""
    held = [refusal for refusal in _refusals(flow, counts) if refusal.override not in allowed]
    if not held:
        return None
    first, *others = held
    reasons = ". ".join(refusal.reason for refusal in held)
    return Refusal(
        reasons, first.override, tuple(dict.fromkeys(r.override for r in others if r.override != first.override))
    )


def _refusals(flow: Flow, counts: Counts) -> Iterator[Refusal]:
    brakes = flow.run.brakes
    sides: tuple[SideName, SideName] = ("left", "right")
    for side in sides:
        known, gone = counts.known.get(side, 0), counts.vanished.get(side, 0)
        linked = counts.linked.get(side, 0)
        cut = brakes.share is not None and gone > brakes.share * (linked or known + gone)
        if gone >= SMALL and (gone >= known or gone >= linked > 0 or cut):
            yield Refusal(
                f"{gone} records vanished from {flow.endpoint(side)}; {known} are left. A side that shows so much less is more often a wrong filter or right, or an environment that was overwritten, than a clean-up",
                "vanished",
            )
    if counts.renumbered >= OTHERS:
        yield Refusal(
            f"{counts.renumbered} linked records carry another company's number now, and would be written over. An environment that"
            " was overwritten with a copy of another is more often the cause than people's edits",
            "renumbered",
        )
    if brakes.creates is not None and counts.creates > brakes.creates:
        yield Refusal(f"{counts.creates} records would be created; the brake is {brakes.creates}", "creates")
    if brakes.deletes is not None and counts.archives > brakes.deletes:
        yield Refusal(f"{counts.archives} records would be archived; the brake is {brakes.deletes}", "deletes")
    known = counts.known.get("right", 0)
    if brakes.share is not None and known > SMALL and counts.updates > SMALL and counts.updates > brakes.share * known:
        yield Refusal(
            f"{counts.updates} of {known} known records would change; the brake is {brakes.share:.0%}", "share"
        )
    yield from _money(brakes.money, counts.money)
    if brakes.first and counts.first and flow.scope.take != "intake":
        writes = ", ".join(
            f"{number} to {word}"
            for word, number in (("create", counts.creates), ("update", counts.updates), ("archive", counts.archives))
            if number
        )
        if writes:
            yield Refusal(f"This flow has never written before ({writes}); a person looks at its first plan", FIRST)


def _money(brake: Money | None, moved: dict[str, Decimal]) -> Iterator[Refusal]:
    """Amounts are held against the brake in its own currency; another currency is never converted, so it holds."""
    for currency, amount in sorted(moved.items()) if brake is not None else ():
        assert brake is not None
        if currency not in {brake.currency, ""}:
            yield Refusal(
                f"{Money(amount, currency)} would be booked; the brake speaks of {brake.currency} only", "money"
            )
        elif amount > brake.amount:
            booked = Money(amount, brake.currency)
            yield Refusal(f"documents of {booked} in all would be booked or changed; the brake is {brake}", "money")
