"""What the acts share: the stand, who plays which part, the two ERPs, and the counting."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from koppel.demo.report import Act, Grid, Heading, Line, Shown
from koppel.engine.flow import Result
from koppel.model.values import Json
from koppel.sandbox.host import SandboxHost
from koppel.store import flows, trail, work
from koppel.store.sql import Db
from koppel.systems.sandbox_spi import SeedCompany
from koppel.testing.stand import AFAS_FLOW, BOOKS, DEBTORS, FLOW, Stand

SEED, COMPANIES = 7, 90


@dataclass(frozen=True, kw_only=True)
class Erp:
    """One of the two ERPs: its system, how people call it, our flow into it, its connection and what it calls a debtor's id."""

    system: str
    title: str
    flow: str
    connection: str
    id: str

    def rows(self, at: Stand, kvk: str | None = None) -> list[dict[str, Json]]:
        """Its debtors, all or those with a KVK number."""
        return at.accounts(kvk) if self.system == "exact" else at.debtors(kvk)


EXACT = Erp(system="exact", title="Exact", flow=FLOW, connection=BOOKS, id="ID")
AFAS = Erp(system="afas", title="AFAS", flow=AFAS_FLOW, connection=DEBTORS, id="DbId")
ERPS = (EXACT, AFAS)
UNKNOWN = ("49999990", "49999991")  # the made-up register holds neither


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Which made-up company plays which part. `typed` are the 40 numbers as somebody typed them; `later` those of act 5."""

    typed: tuple[str, ...]
    companies: tuple[SeedCompany, ...]
    clash: SeedCompany
    busy: SeedCompany
    moved: SeedCompany
    renamed: SeedCompany
    ended: SeedCompany
    irrelevant: SeedCompany
    edited: SeedCompany
    later: tuple[SeedCompany, ...]


def cast(host: SandboxHost) -> Cast:
    """Choose the parts from a made-up world, by what the companies are."""
    world = host.world.companies
    taken, rest = world[: 40 - len(UNKNOWN)], world[40 - len(UNKNOWN) :]

    def first(*, after: int = 0, **wanted: Json) -> SeedCompany:
        return next(c for c in taken[after:] if all(getattr(c, name) == value for name, value in wanted.items()))

    known = [c for c in taken if c.kind in {"bv", "nv"} and c.shape == "plain" and c.in_erp in {"kvk", "both"}]
    clash = next(c for c in known if c.in_erp == "kvk" and c.vat == f"NL{c.rsin}B01")
    moved, renamed, ended, irrelevant = [c for c in known if c is not clash][:4]
    typed = [c.kvk for c in taken]
    typed[0] = f"{typed[0][:4]} {typed[0][4:]}"  # with a space: 0010 0104
    typed[1] = typed[1][1:]  # a spreadsheet dropped the first zero
    typed[2] = f"KvK-nr. {typed[2]}"
    return Cast(
        typed=(*typed, *UNKNOWN),
        companies=taken,
        clash=clash,
        busy=first(kind="vof", in_erp="none"),
        moved=moved,
        renamed=renamed,
        ended=ended,
        irrelevant=irrelevant,
        edited=taken[0],
        later=tuple(c for c in rest if c.in_erp == "none" and c.shape == "plain" and c.kind != "eenmanszaak")[:7],
    )


@dataclass(kw_only=True)
class Scene:
    """The stage of a running demo."""

    stand: Stand
    cast: Cast
    say: Callable[[Shown], object]
    acts: list[Act] = field(default_factory=list)
    taken: dict[str, None] = field(default_factory=dict)
    refused: set[tuple[str, str]] = field(default_factory=set)  # flow, number
    typed_in: dict[tuple[Erp, str], dict[str, Json]] = field(default_factory=dict)

    def title(self, title: str, text: str) -> None:
        """Begin an act."""
        self.say(Heading(len(self.acts) + 1, title, text))

    def note(self, text: str, kind: str = "note") -> None:
        """Say something."""
        self.say(Line(text, kind))

    def grid(
        self,
        title: str,
        columns: Sequence[str],
        rows: Sequence[tuple[str, ...]],
        foot: str = "",
        *,
        figures: Sequence[str] = (),
    ) -> None:
        """Show a table."""
        self.say(Grid(title, tuple(columns), tuple(rows), foot, frozenset(figures)))

    def take(self, numbers: Sequence[str]) -> dict[str, str]:
        """Take numbers in, into both ERPs; returns the notes about how they were read."""
        notes: dict[str, str] = {}
        for erp in ERPS:
            added = self.stand.workspace.take(numbers, to=erp.connection)
            self.taken |= dict.fromkeys(added.taken)
            notes |= added.notes
        return notes

    def sync(self, count: Counting) -> list[Result]:
        """Run both flows in one go: what they share is read once."""
        self.note("koppel sync --all --now", "command")
        with self.stand.workspace.together():
            return [count.ran(self.stand.workspace.sync(erp.flow)) for erp in ERPS]

    def keep(self, erp: Erp, kvk: str, name: str) -> None:
        """What a person typed there must be there at the end."""
        row = erp.rows(self.stand, kvk)[0]
        self.typed_in.setdefault((erp, str(row[erp.id])), {})[name] = row.get(name)

    def missing(self) -> list[str]:
        """Numbers taken in of which a flow can say nothing, and people's own values that are gone."""
        lost: list[str] = []
        for erp in ERPS:
            known = self.stand.workspace.store.run(_accounted, erp.flow)
            known |= {number for flow, number in self.refused if flow == erp.flow}
            lost += [f"{erp.system} {number}" for number in self.taken if number not in known]
            now = {str(row[erp.id]): row for row in erp.rows(self.stand)}
            for (where, native), typed in self.typed_in.items():
                if where == erp:
                    lost += [f"{erp.system} {native} {n}" for n, v in typed.items() if now.get(native, {}).get(n) != v]
        return lost


def _accounted(db: Db, flow: str) -> set[str]:
    """Register records that are linked to a debtor by this flow, or stand on a work list of it."""
    listed = {item.native for which in ("parked", "ask") for item in work.listed(db, which, flow=flow)}
    return listed | {left for left, _ in flows.pairs_of(db, flow)}


class Counting:
    """Counts one act over both ERPs: sandboxes and trail before and after, runs in between."""

    def __init__(self, scene: Scene, name: str) -> None:
        self.scene, self.name = scene, name
        self.unchanged = self.streams = 0
        self._refused: set[tuple[str, str]] = set()
        self._began = time.monotonic()
        self._calls, self._writes = scene.stand.calls(), scene.stand.writes()
        self._seq = scene.stand.workspace.audit_head().seq

    def ran(self, result: Result) -> Result:
        """Take a run into account."""
        self.unchanged += result.counts["unchanged"]
        self.streams += result.streams
        steps, flow = result.plan.steps, result.plan.flow
        refused = {(flow, p.step.left) for p in steps if p.step.kind == "refuse" and p.step.left}
        self._refused |= refused
        self.scene.refused |= refused
        return result

    def close(self) -> Act:
        """End the act."""
        stand = self.scene.stand
        entries = stand.workspace.store.run(trail.read, after=self._seq, limit=100_000)
        kinds = Counter(entry.kind for entry in entries)
        act = Act(
            name=self.name,
            created=kinds["created"],
            updated=kinds["updated"],
            linked=kinds["linked"],
            refused=len(self._refused) + kinds["refused"],
            parked=kinds["parked"] + kinds["refused"],
            asked=kinds["asked"],
            unchanged=self.unchanged,
            writes=stand.writes() - self._writes,
            calls={name: count - self._calls.get(name, 0) for name, count in stand.calls().items()},
            streams=self.streams,
            seconds=round(time.monotonic() - self._began, 3),
        )
        self.scene.acts.append(act)
        return act
