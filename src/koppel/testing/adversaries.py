"""Who tries to break which law. A world draws its adversaries from its seed; each has a name, the laws it is aimed at, and
how often it strikes where it may.

`quiet` ends all of them: what is left afterwards must settle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import msgspec


class Adversary(msgspec.Struct, frozen=True):
    """`likely` is the chance at each place where it may strike, in a world that drew it. `apart`: it draws from a stream of its
    own, so that worlds it does not come to are as they were before it was thought of."""

    name: str
    laws: tuple[int, ...]
    text: str
    likely: float
    apart: bool = False


ADVERSARIES: dict[str, Adversary] = {
    a.name: a
    for a in (
        Adversary("killed", (2, 3, 8, 11), "the process dies at a named point and comes back a second later", 0.012),
        Adversary("killed by name", (2, 9), "the process dies, and another one with another name takes over", 0.4),
        Adversary("power loss", (2, 9), "with the process, everything not promised to the disk is lost", 0.3),
        Adversary("frozen", (2, 11), "a machine stands still for up to 40 minutes before a write, then goes on", 0.1),
        Adversary("lost request", (2,), "a request never arrives", 0.03),
        Adversary("lost reply", (2, 6), "a request takes effect, its answer is lost", 0.05),
        Adversary("late effect", (2,), "a request takes effect up to 25 s after our time-out", 0.07),
        Adversary("truncated", (2, 4, 8), "half of an answer arrives", 0.02),
        Adversary("throttled", (2, 10), "429 with a time", 0.03),
        Adversary("unavailable", (2,), "503 with Retry-After, before or after the effect", 0.03),
        Adversary("no connection", (2,), "the request surely never leaves", 0.02),
        Adversary("edit in flight", (1, 3), "a person edits the record between our reading and our write", 0.15),
        Adversary("both sides", (3,), "a person on each side types into the same field at the same moment", 0.3),
        Adversary("same company twice", (2, 11), "people make the same company on both sides at once", 0.3),
        Adversary("deleted", (3, 7), "people delete records, linked ones too", 0.3),
        Adversary("bad value", (4,), "a value the other side refuses", 0.3),
        Adversary("unreadable", (4,), "a value that cannot be read", 0.3),
        Adversary("no number", (2, 4), "records without any key", 0.3),
        Adversary("leading zero", (13,), "numbers that begin with zeros", 0.5),
        Adversary("renumbered", (7, 8), "the vendor renumbers its stream in the middle of things", 0.8),
        Adversary("deaf field", (6,), "a field takes a write and keeps the old value", 0.2),
        Adversary("stale plan", (1,), "a plan is stored, people go on working, then it is applied", 0.3),
        Adversary("second flow", (8, 11), "another flow reads the same streams and may create the same records", 0.5),
        Adversary("same worker", (9, 11), "both flows run at once in one process", 0.5),
        Adversary("impatient person", (11,), "a person starts the flow that is running already", 0.2),
        Adversary("webhook", (8,), "a record is named due while its flow is at work", 0.3),
        Adversary("copied number", (6, 11), "a person gives a record the number of another one", 0.2),
        Adversary("cleared", (3,), "a person empties a field", 0.2),
        Adversary("page in hand", (8,), "the process dies with a page read and not yet stored", 0.08, apart=True),
        Adversary(
            "half agreed",
            (3, 8),
            "the process dies when what agrees is settled and nothing is written",
            0.3,
            apart=True,
        ),
        Adversary(
            "overslept",
            (1, 3),
            "a machine stands still before a write; a person edits what it will write, and another flow reads that",
            0.15,
            apart=True,
        ),
    )
}


@dataclass
class Mischief:
    """The adversaries of one world."""

    on: frozenset[str]
    rnd: Random
    quiet: bool = False
    streams: dict[str, Random] = field(default_factory=dict[str, Random])

    def strikes(self, name: str) -> bool:
        """Whether it strikes here and now."""
        if self.quiet or name not in self.on:
            return False
        return self.streams.get(name, self.rnd).random() < ADVERSARIES[name].likely

    def has(self, name: str) -> bool:
        """Whether this world drew it."""
        return name in self.on


def draw(rnd: Random, *, exclude: frozenset[str] = frozenset()) -> Mischief:
    """The adversaries of a world: most of them in most worlds, so that they meet; all of them in some."""
    share = rnd.choice((0.35, 0.6, 0.8, 1.0))
    on = {name for name, each in ADVERSARIES.items() if not each.apart and rnd.random() < share and name not in exclude}
    made = Random(rnd.random())  # noqa: S311 -- replay, not secrecy
    apart = {name: Random(f"{rnd.random()}:{name}") for name, each in ADVERSARIES.items() if each.apart}  # noqa: S311
    on |= {name for name, own in apart.items() if own.random() < share and name not in exclude}
    return Mischief(frozenset(on), made, streams=apart)
