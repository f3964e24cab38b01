"""What happened, what waits, and why."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from koppel.app import worklists
from koppel.app.explaining import why
from koppel.app.naming import said
from koppel.app.numbers import read_numbers
from koppel.app.running import Running
from koppel.app.worklists import Which
from koppel.engine.explain import Explanation
from koppel.model.problem import UsageError
from koppel.model.values import Json, Ref
from koppel.store import observations, runs, streams, subjects, suppression, trail, work
from koppel.store.trail import Broken, Head, Recorded


class Looking(Running):
    """What is asked of the memory, and what people answer."""

    def runs(self, *, flow: str | None = None, limit: int = 20) -> list[runs.Run]:
        """The latest runs, newest first."""
        return self.store.run(runs.listed, flow=flow, limit=limit)

    def run_numbered(self, number: int) -> runs.Run:
        """One run. Raises UsageError when there is none of that number."""
        found = self.store.run(runs.get, number)
        if found is None:
            raise UsageError(f"There is no run {number}.", remedy="koppel runs lists them.")
        return found

    def log(self, *, run: int | None = None, limit: int = 50, newest_first: bool = True) -> list[Recorded]:
        """Entries of the trail; those of restricted people without what they say."""
        entries = self.store.run(trail.read, run=run, limit=limit, newest_first=newest_first)
        hidden = self.store.run(suppression.hidden_subjects)
        if hidden:
            entries = [msgspec.structs.replace(e, data=None) if e.subject in hidden else e for e in entries]
        return said(self, entries)

    def parked(self, *, flow: str | None = None) -> list[work.Item]:
        """What could not be done."""
        return worklists.parked(self, Which(flow))

    def retry(self, numbers: Sequence[int] = ()) -> list[work.Item]:
        """Make parked items due at the next run: these, or all. Raises UsageError for a number that is not parked."""
        return worklists.retry(self, numbers)

    def asks(self, *, flow: str | None = None) -> list[work.Item]:
        """What waits for a person's decision; also writes in doubt of which no vendor can tell what became of them."""
        return worklists.questions(self, Which(flow))

    def decide(self, number: int, answer: Json) -> work.Item:
        """Answer a question; the next run carries it out. Raises UsageError for an unknown number or an answer it does not offer."""
        return worklists.decide_many(self, {number: answer})[0]

    def why(self, ref: str, field: str | None = None) -> Explanation:
        """Why a record, or one of its fields, is as it is, or why nothing happened to it. `ref` = connection:resource:id; a KVK number alone is looked for on the left that cannot be listed, else among all records. Raises UsageError."""
        about = self._ref(ref)
        stream = self.store.run(streams.number, about.connection, about.resource)
        if self.store.run(suppression.hidden_among, stream, [about.native]):
            raise UsageError(
                f"{about} is restricted: it is only kept, and not shown.",
                remedy="koppel privacy list tells until when; koppel privacy export shows it to the person it is of.",
            )
        (explained,) = said(self, [why(self, about, field)])
        return explained

    def _ref(self, text: str) -> Ref:
        if ":" in text:
            try:
                return Ref.parse(text)
            except ValueError as error:
                raise UsageError(f"{error}.", remedy="For instance: register:companies:00100104") from None
        taken, refused, _ = read_numbers([text])
        if not taken:
            raise UsageError(f"{refused[text]}.", remedy="Or name a record: connection:resource:id")
        number = str(taken[0])
        ends = sorted({str(f.flow.left) for f in self.flows.values() if f.flow and f.flow.scope.take != "all"})
        if len(ends) == 1:
            return Ref.parse(f"{ends[0]}:{number}")
        found = self._carriers(number)
        if not found:
            raise UsageError(f"No record with number {number} was seen.", remedy="Or name one: connection:resource:id")
        if len(set(found.values())) > 1:
            named = ", ".join(str(ref) for ref in found)
            raise UsageError(
                f"Several records carry {number}, and they are not one thing.", remedy=f"Name one: {named}"
            )
        return next(iter(found))

    def _carriers(self, kvk: str) -> dict[Ref, str]:
        """The records of the flows' resources that carry this number, lefts first, each with the thing it is of."""
        flows = [loaded.flow for loaded in self.flows.values() if loaded.flow is not None]
        found: dict[Ref, str] = {}
        for end in dict.fromkeys([*(flow.left for flow in flows), *(flow.right for flow in flows)]):
            stream = self.store.run(streams.named, end.connection, end.resource)
            if stream is None:
                continue
            natives = self.store.run(observations.carriers, stream.id, [("kvk", kvk)])["kvk", kvk]
            members = self.store.run(subjects.of_records, stream.id, natives)
            for native in natives:
                ref = Ref(end.connection, end.resource, native)
                found[ref] = members[native].subject if native in members else str(ref)
        return found

    def audit_verify(self, *, against: Head | None = None) -> Broken | None:
        """Check the trail's chain, and that it passes through an exported head; None when it holds."""
        return self.store.run(trail.verify, against=against)

    def audit_head(self) -> Head:
        """The end of the chain, to be kept elsewhere: a cut-off tail can only be noticed against it."""
        return self.store.run(trail.head)

    def streams(self) -> tuple[streams.Stream, ...]:
        """What is read, and how far."""
        return self.store.run(streams.every)
