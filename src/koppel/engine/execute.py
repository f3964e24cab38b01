"""Doing a plan: chunk by chunk, intents committed before their calls leave, receipts matched by operation id.

One durable transaction settles the previous chunk and opens the next, so that at most one chunk is ever in doubt and a chunk
costs one disk flush. Wherever this is killed, `recover` knows what to ask.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import msgspec
from sqlalchemy.exc import IntegrityError

from koppel.engine import anchors, known, once, pairs, settle
from koppel.engine.frame import Frame
from koppel.engine.hand import Hand
from koppel.engine.plan import Planned, path
from koppel.engine.ports import Ports
from koppel.engine.preconditions import Preconditions
from koppel.engine.quiet import settle_quietly
from koppel.engine.send import Sender, gather_limited
from koppel.mapping.flow import SideName
from koppel.model.problem import KoppelError, Problem, RetryLater
from koppel.store import intents, leases
from koppel.store.sql import Db
from koppel.sync.steps import WRITES
from koppel.systems.spi import Batch, Receipt

SIDES: tuple[SideName, SideName] = ("left", "right")
TOO_OLD = 600.0  # a decision that has waited so long is made anew: what it was made on may have been edited since
PROMPT = 1.0  # a write that leaves so soon after its chunk was opened needs no second look
WINDOW = 20  # batches per chunk


class Outcome(msgspec.Struct):
    """What a run did: `done` counts steps by kind, `refused` and `unknown` what the vendor refused or left in doubt."""

    done: Counter[str] = msgspec.field(default_factory=Counter)
    refused: int = 0
    unknown: int = 0
    stale: int = 0
    touched: set[SideName] = msgspec.field(default_factory=set)
    natives: dict[str, str] = msgspec.field(default_factory=dict)
    told: set[str] = msgspec.field(default_factory=set)
    refusals: set[str] = msgspec.field(default_factory=set)

    def learn(self, planned: Planned, receipt: Receipt) -> None:
        """Count a part that was done; a step of several operations counts once, with its first."""
        self.touched.add(planned.step.side)
        native = receipt.native or planned.step.target
        if native is not None:
            self.natives[receipt.op] = native
        if planned.id not in self.told:
            self.told.add(planned.id)
            self.done[planned.step.kind] += 1

    def ready(self, planned: Planned) -> Planned | None:
        """The part with the id its need made; None when what it needs was not done."""
        operation = planned.operations[0]
        if any(need not in self.natives for need in operation.needs):
            return None
        if operation.native is not None or not operation.needs:
            return planned
        native = self.natives[operation.needs[0]]
        step = msgspec.structs.replace(planned.step, **{planned.step.side: native})
        return Planned(step, planned.id, (msgspec.structs.replace(operation, native=native),), planned.calls)


class Fence(msgspec.Struct, frozen=True):
    """The flow's lease as this worker holds it; checked in the transaction that opens intents."""

    name: str
    worker: str
    fence: int
    seconds: float = 600.0


async def execute(
    ports: Ports,
    sender: Sender,
    frame: Frame,
    hand_run: tuple[int, str],
    steps: Sequence[Planned],
    fence: Fence | None = None,
    *,
    outcome: Outcome | None = None,
) -> Outcome:
    """Do steps in order: what writes to nobody first, then the writes, side by side in chunks.

    When a limit, a dead sign-in or a wrong set-up ends it half-way, what was answered is settled, what surely did not leave
    stays due, and then the error is raised; `outcome`, when given, has counted what was done.
    """
    outcome = Outcome() if outcome is None else outcome
    error: Exception | None = None
    run, actor = hand_run
    quiet = [p for p in steps if p.step.kind not in WRITES]
    for part in _parts(quiet, 200):
        await ports.store.tx(_settle_quiet, frame, Hand(run, actor, ports.clock.now()), part, outcome)
        await ports.point("quiet steps settled")
    rows = [split(p) for p in steps if p.step.kind in WRITES]
    writes = [row[n] for n in range(max(map(len, rows), default=0)) for row in rows if n < len(row)]  # all firsts first
    lacking = await known.lacking(ports, sender, frame, writes)
    preconditions = Preconditions(ports, sender, frame)
    settled: list[tuple[Planned, Receipt]] = []
    chunks = list(_chunks(frame, writes))
    for number, chunk in enumerate(chunks):
        if ports.stopping():
            error = RetryLater(
                "Stopped between two chunks; what was left is done by the next run.", at=ports.clock.now()
            )
            break
        try:
            failing = await preconditions.failing(chunk)
        except KoppelError as raised:
            error = raised
            break
        opened = await ports.store.durable(
            _turn, frame, Hand(run, actor, ports.clock.now()), settled, chunk, outcome, fence, failing
        )
        if opened is None:
            at = ports.clock.now() + 60
            raise RetryLater("Another worker took this flow over; nothing of what was left was begun.", at=at)
        await ports.point("chunk opened")
        sender.before_writing = partial(_departs, ports, fence, ports.clock.now())
        settled, error = await _send_chunk(ports, sender, frame, opened, lacking)
        await ports.point("chunk answered")
        if error is not None:
            break
        await preconditions.learn(settled)
        if len(chunks) > 1:
            ports.tell(f"{min(sum(len(c) for c in chunks[: number + 1]), len(writes))} of {len(writes)} writes done")
    if settled:
        await ports.store.durable(_turn, frame, Hand(run, actor, ports.clock.now()), settled, [], outcome, None)
        await ports.point("last chunk settled")
    if error is not None:
        raise error
    return outcome


async def _departs(ports: Ports, fence: Fence | None, opened_at: float, ops: tuple[str, ...]) -> None:
    """Just before a write leaves: only under a lease that is still ours, and counted from now when it waited its turn.

    Who slept (a stopped machine, a long wait for an allowance) may have been taken over: its operations have been asked
    about and decided anew, so that sending them now would do them twice. And what was decided too long ago is not sent even
    when nobody took over: where no precondition travels, it would overwrite what people did meanwhile. Raises RetryLater.
    """
    looked, now = opened_at, ports.clock.now()
    if now - opened_at > TOO_OLD:
        raise RetryLater("This waited so long to be sent that it is decided anew.", at=now)
    while now - looked > PROMPT:  # until the look itself was prompt: a machine can stand still during it, too
        if not await ports.store.durable(_still_ours, fence, ops, now):
            raise RetryLater("Another worker took this flow over; what had not left stays here.", at=now + 60)
        looked, now = now, ports.clock.now()


def _still_ours(db: Db, fence: Fence | None, ops: tuple[str, ...], now: float) -> bool:
    if fence is not None and not leases.holds(db, fence.name, fence.worker, fence.fence):
        return False
    if fence is not None:
        leases.take(db, fence.name, fence.worker, at=now, seconds=fence.seconds)
    return intents.departs(db, ops, at=now) == len(ops)


def _settle_quiet(db: Db, frame: Frame, hand: Hand, part: Sequence[Planned], outcome: Outcome) -> None:
    for planned in part:
        if settle_quietly(db, frame, hand, planned.step):
            outcome.done[planned.step.kind] += 1


def _turn(
    db: Db,
    frame: Frame,
    hand: Hand,
    settled: Sequence[tuple[Planned, Receipt]],
    chunk: Sequence[Planned],
    outcome: Outcome,
    fence: Fence | None,
    failing: frozenset[str] = frozenset(),
) -> list[Planned] | None:
    """Settle what was answered, open what comes next: one transaction. Returns what was opened (None: the flow is not ours
    any more); a step whose slot another flow holds, or that is `failing`, stays out, to be decided again later."""
    for planned, receipt in settled:
        status = settle.settle_receipt(db, frame, hand, planned, receipt)
        if status == "done":
            outcome.learn(planned, receipt)
        elif status == "refused":
            outcome.refused += 1
            outcome.refusals.add(planned.id)  # the same decision is not sent twice in one run
        elif status == "stale":
            outcome.stale += 1
        else:
            outcome.unknown += 1
    if chunk and fence is not None:
        if not leases.holds(db, fence.name, fence.worker, fence.fence):
            return None
        leases.take(db, fence.name, fence.worker, at=hand.at, seconds=fence.seconds)  # still ours, and needed longer
    opened: list[Planned] = []
    elsewhere = once.made_elsewhere(db, frame, chunk)
    for planned in chunk:
        ready = outcome.ready(planned)
        if ready is None:
            continue  # what it needs was not done: the rest is decided anew, by ordinary merge
        made = planned.id in elsewhere | failing or pairs.made_meanwhile(db, frame, ready.step)
        if made or not pairs.paired(db, frame, ready.step):
            anchors.look_again(db, frame, hand, ready.step)
            outcome.stale += 1
            continue
        try:
            with db.savepoint():
                settle.open_operations(db, frame, hand, [ready])
            opened.append(ready)
        except IntegrityError:
            anchors.look_again(db, frame, hand, ready.step)
            outcome.stale += 1
    return opened


async def _send_chunk(
    ports: Ports, sender: Sender, frame: Frame, chunk: Sequence[Planned], lacking: Mapping[str, Problem]
) -> tuple[list[tuple[Planned, Receipt]], Exception | None]:
    """Send a chunk's operations, grouped as the vendor takes them; what a reply does not mention is unknown. What would write
    a field that is `lacking` is refused here.

    The first error stops what has not begun; it comes back beside the receipts of what was answered.
    """
    by_op = {op.op: planned for planned in chunk for op in planned.operations}
    receipts = {op: Receipt(op, "refused", problem=lacking[op]) for op in by_op if op in lacking}
    errors: list[Exception] = []
    sides: tuple[SideName, SideName] = ("right", "left")
    for side in sides:
        mine = [op for p in chunk if p.step.side == side for op in p.operations if op.op not in lacking]
        batches = frame.resources[side].group(tuple(mine))
        if batches:
            for answers in await _answers(ports, sender, frame, side, batches, errors):
                receipts |= {receipt.op: receipt for receipt in answers if receipt.op in by_op}
    found = [(planned, receipts.get(op, Receipt(op, "unknown"))) for op, planned in by_op.items()]
    return found, errors[0] if errors else None


async def _answers(
    ports: Ports, sender: Sender, frame: Frame, side: SideName, batches: Sequence[Batch], errors: list[Exception]
) -> list[tuple[Receipt, ...]]:
    connection, resource = frame.connections[side], frame.resources[side]
    send = resource.send
    assert send is not None

    async def one(batch: Batch) -> tuple[Receipt, ...]:
        if not errors:
            try:
                return await sender.run(connection, send(connection.site(ports.clock.now(), resource.name), batch))
            except Exception as error:  # noqa: BLE001 - raised again, once the neighbours' receipts are settled
                errors.append(error)
        # what surely never left is decided anew; what may have left is asked about
        return tuple(Receipt(op.op, "unknown" if sender.out[op.op] else "stale") for op in batch.operations)

    return await gather_limited(resource.can.parallel, [one(batch) for batch in batches])


def split(planned: Planned) -> tuple[Planned, ...]:
    """One part per operation, each with the fields its operation covers; receipts, trail and base are kept per part.

    What follows a create's first operation is an update of the record it made.
    """
    if len(planned.operations) < 2:
        return (planned,)
    parts: list[Planned] = []
    for number, operation in enumerate(planned.operations):
        step = planned.step
        if operation.covers:
            kept = {key: value for key, value in step.values.items() if path(key) in operation.covers}
            before = {key: value for key, value in step.before.items() if key in kept}
            step = msgspec.structs.replace(step, values=kept, before=before)
            if not number and step.kind == "create":
                later = {key: value for key, value in planned.step.values.items() if key not in kept}
                step = msgspec.structs.replace(step, later=later)
        if number and step.kind == "create":
            step = msgspec.structs.replace(step, kind="update", takes_over="")
        parts.append(Planned(step, planned.id, (operation,), 1))
    return tuple(parts)


def _chunks(frame: Frame, writes: Sequence[Planned]) -> Iterator[Sequence[Planned]]:
    """Chunks of the size the vendor takes, times the window; two steps about one record never share a chunk (P4)."""
    size = WINDOW * max(1, min(frame.resources[p.step.side].can.batch for p in writes)) if writes else WINDOW
    chunk: list[Planned] = []
    about: set[tuple[str, str | None]] = set()
    for planned in writes:
        keys = {("left", planned.step.left), ("right", planned.step.right)} - {("left", None), ("right", None)}
        if len(chunk) >= size or keys & about:
            yield chunk
            chunk, about = [], set()
        chunk.append(planned)
        about |= keys
    if chunk:
        yield chunk


def _parts(steps: Sequence[Planned], size: int) -> Iterator[Sequence[Planned]]:
    for start in range(0, len(steps), size):
        yield steps[start : start + size]
