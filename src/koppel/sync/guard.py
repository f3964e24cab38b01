"""The guard: counts above which a run stops before its first write, with a named reason and one explicit override."""

from __future__ import annotations

import msgspec

from koppel.mapping.flow import Flow, SideName


class Counts(msgspec.Struct, frozen=True):
    """What a plan would do: `updates` counts records, `known` is the side's population, `vanished` what disappeared since last time of the `linked` records of that side (counted when many did), `renumbered`
    the linked records whose company number would be written over with another."""

    creates: int = 0
    updates: int = 0
    archives: int = 0
    known: dict[SideName, int] = {}
    vanished: dict[SideName, int] = {}
    taken_in: int = 0
    renumbered: int = 0
    linked: dict[SideName, int] = {}


class Refusal(msgspec.Struct, frozen=True):
    """Why the run stopped. `override` is the one word that lets it pass."""

    reason: str
    override: str


OTHERS = (
    3  # one linked record with another company's number is somebody's edit; several are other records under old ids
)
SMALL = 10  # shares say nothing about a handful of records


def guard(flow: Flow, counts: Counts) -> Refusal | None:
    """None when the plan may go ahead."""
    brakes = flow.run.brakes
    sides: tuple[SideName, SideName] = ("left", "right")
    for side in sides:
        known, gone = counts.known.get(side, 0), counts.vanished.get(side, 0)
        linked = counts.linked.get(side, 0)
        cut = brakes.share is not None and gone > brakes.share * (linked or known + gone)
        if gone >= SMALL and (gone >= known or gone >= linked > 0 or cut):
            return Refusal(
                f"{gone} records vanished from {flow.endpoint(side)}; {known} are left. A side that shows so much less is more often a wrong filter or right, or an environment that was overwritten, than a clean-up",
                "vanished",
            )
    if counts.renumbered >= OTHERS:
        return Refusal(
            f"{counts.renumbered} linked records carry another company's number now, and would be written over. An environment that"
            " was overwritten with a copy of another is more often the cause than people's edits",
            "renumbered",
        )
    if brakes.creates is not None and counts.creates > brakes.creates:
        return Refusal(f"{counts.creates} records would be created; the brake is {brakes.creates}", "creates")
    if brakes.deletes is not None and counts.archives > brakes.deletes:
        return Refusal(f"{counts.archives} records would be archived; the brake is {brakes.deletes}", "deletes")
    known = counts.known.get("right", 0)
    if brakes.share is not None and known > SMALL and counts.updates > SMALL and counts.updates > brakes.share * known:
        return Refusal(
            f"{counts.updates} of {known} known records would change; the brake is {brakes.share:.0%}", "share"
        )
    return None
