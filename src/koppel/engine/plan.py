"""The plan: what a run would do, as data. A dry run ends with it; `apply` does exactly that, step by step, or refuses (law 1)."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from hashlib import blake2b

import msgspec

from koppel.engine.frame import Frame
from koppel.engine.quota import Quota
from koppel.engine.references import Natives
from koppel.mapping.flow import SideName
from koppel.model.problem import UsageError
from koppel.model.values import Json
from koppel.model.versions import ENTITY_VERSIONS
from koppel.store.observations import Observation
from koppel.sync.guard import Refusal
from koppel.sync.steps import WRITES, Step
from koppel.systems.spi import Change, Operation

PLAN_FORMAT = 1
OP_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


class Planned(msgspec.Struct, frozen=True):
    """One step with the operations it is lowered to; `id` binds `apply` to the state it was decided on. `calls` is its price."""

    step: Step
    id: str
    operations: tuple[Operation, ...] = ()
    calls: int = 0


class LookUps(msgspec.Struct, frozen=True):
    """Look-ups a system charges for, that were made to make this plan."""

    system: str
    kind: str
    count: int
    euros: str | None = None
    source: str = ""
    tokens: int = 0


class Plan(msgspec.Struct, frozen=True):
    """A stored plan is this, as canonical JSON, mode 0600. `anchors`: the records it looked at, by side. `undo_of`: the run
    it takes back (0: none). `first`: what other flows would make before, because records of this plan name it. `quotas`:
    what its writes take of the vendors' allowances; `done_at`: when the last of them can leave when they have to wait for one.
    `read_by_id`: calls that were made for it to read values that are not kept (`cache = "hashes"`), by connection."""

    format: int
    workspace: str
    flow: str
    flow_digest: str
    entities: dict[str, int]
    made_at: float
    steps: tuple[Planned, ...]
    anchors: dict[str, tuple[str, ...]]
    counts: dict[str, int]
    calls: dict[str, int]
    look_ups: tuple[LookUps, ...] = ()
    guard: Refusal | None = None
    unchanged: int = 0
    undo_of: int = 0
    first: tuple[Plan, ...] = ()
    quotas: tuple[Quota, ...] = ()
    done_at: float | None = None
    read_by_id: dict[str, int] = {}

    def writes(self) -> tuple[Planned, ...]:
        """The steps that write."""
        return tuple(planned for planned in self.steps if planned.step.kind in WRITES)


def operation_id(flow: str, step: Step, stream: str, generation: int) -> str:
    """Deterministic, 20 base-32 characters (vendors' reference fields are short): the same decision has the same id, and
    re-creating after an unlink another."""
    about = step.source if step.kind == "create" else step.target
    digest = blake2b(
        msgspec.json.encode(
            [flow, stream, step.kind, about, step.values if step.kind != "create" else None, generation]
        ),
        digest_size=13,
    ).digest()
    number = int.from_bytes(digest, "big")
    return "".join(OP_ALPHABET[(number >> (5 * i)) & 31] for i in range(20))


def lower(
    frame: Frame,
    step: Step,
    target: Observation | None,
    *,
    generation: int,
    as_of: float,
    natives: Natives | None = None,
) -> Planned:
    """Turn a step into what would really be sent. Steps that write nothing have no operations. `natives` knows the ids of the
    records that values name."""
    if step.kind not in WRITES:
        return Planned(step, step.identity())
    connection, resource = frame.connections[step.side], frame.resources[step.side]
    op = operation_id(frame.flow.id, step, f"{connection.name}:{resource.name}", generation)
    change = Change(
        op,
        step.kind,  # type: ignore[arg-type]
        step.target,
        {path(key): value for key, value in (natives.values(step) if natives else step.values).items()},
        {path(key): value for key, value in (natives.before(step, target) if natives else step.before).items()},
        target.record if target else None,
        target.version if target else "",
    )
    operations = resource.lower(connection.site(as_of, resource.name), change)
    return Planned(step, step.identity(), operations, len(resource.group(operations)))


def under_the_ids_of(stored: Planned, now: Planned) -> Planned:
    """A stored step as it is lowered today, under the operation ids it was stored with: applied twice, it is known again."""
    if len(stored.operations) != len(now.operations):
        return now
    ids = {new.op: old.op for new, old in zip(now.operations, stored.operations, strict=True)}
    operations = tuple(
        msgspec.structs.replace(op, op=ids[op.op], needs=tuple(ids.get(need, need) for need in op.needs))
        for op in now.operations
    )
    return msgspec.structs.replace(now, operations=operations)


def path(key: str) -> str:
    """A rule key as the system knows it: `right:Remarks` is its own field `Remarks`."""
    side, _, name = key.partition(":")
    return name if side in ("left", "right") and name else key


def count(steps: tuple[Planned, ...]) -> dict[str, int]:
    """Steps by kind."""
    counted = Counter(planned.step.kind for planned in steps)
    return {
        kind: counted.get(kind, 0)
        for kind in ("create", "update", "archive", "link", "unlink", "ask", "park", "refuse", "agree")
    }


def price(frame: Frame, steps: tuple[Planned, ...]) -> dict[str, int]:
    """Calls the writes will cost, by connection; batches are counted as they will travel."""
    calls: dict[str, int] = {}
    sides: tuple[SideName, SideName] = ("left", "right")
    for side in sides:
        operations = tuple(op for planned in steps if planned.step.side == side for op in planned.operations)
        if operations:
            calls[frame.connections[side].name] = len(frame.resources[side].group(operations))
    return calls


def look_ups(frame: Frame, calls: Counter[tuple[str, str]]) -> tuple[LookUps, ...]:
    """What was looked up and what it cost, from the calls made and the prices the resources state."""
    asked = [(frame.connections[side].system.name, frame.resources[side]) for side in ("left", "right")]
    for line in frame.flow.enrich:  # what a third resource adds is paid for as well
        if line.source.connection in frame.sources:
            source = frame.sources[line.source.connection]
            asked.append((source.system.name, source.resource(line.source.resource)))
    prices = {(system, p.call): p for system, resource in asked for p in resource.can.prices}
    made: list[LookUps] = []
    for (system, kind), number in sorted(calls.items()):
        price_ = prices.get((system, kind))
        if price_ is not None:
            euros = str(Decimal(price_.euros) * number)
            made.append(LookUps(system, kind, number, euros, price_.source, price_.tokens * number))
    return tuple(made)


def entity_versions(frame: Frame) -> dict[str, int]:
    """Versions of the entities a plan speaks of."""
    return {frame.flow.entity: ENTITY_VERSIONS[frame.flow.entity]}


def encode(plan: Plan) -> bytes:
    """Canonical JSON."""
    return msgspec.json.format(msgspec.json.encode(plan, order="sorted"), indent=1) + b"\n"


def decode(data: bytes, *, file: str) -> Plan:
    """Read a stored plan. Raises UsageError when it is none, or of another format."""
    try:
        plan = msgspec.json.decode(data, type=Plan)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise UsageError(
            f"{file} is not a plan: {error}.", remedy="Make one with `koppel plan FLOW -o plan.json`."
        ) from None
    if plan.format != PLAN_FORMAT:
        raise UsageError(
            f"{file} is a plan of format {plan.format}; this Koppel reads {PLAN_FORMAT}.", remedy="Make the plan again."
        )
    return plan


def as_json(value: object) -> Json:
    """Plain JSON values of a struct."""
    return msgspec.to_builtins(value)
