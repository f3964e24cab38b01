"""`koppel doctor`: what is well with a connection, what is worth knowing, and what somebody must mend.

Nothing is written to a vendor and nothing is taken in: what a sample shows to be missing is said, and stays in the store as
it was. Each part is looked at by itself: one that fails says so and keeps no other from being looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial

import msgspec

from koppel.engine.ports import Connection, Ports
from koppel.engine.send import Sender
from koppel.mapping.check import check_flow
from koppel.mapping.flow import Flow, SideName
from koppel.mapping.positions import locate
from koppel.mapping.transforms import Transform
from koppel.model.can import Can, Field
from koppel.model.problem import Bug, KoppelError, RetryLater, SignInNeeded
from koppel.runtime import keeping
from koppel.runtime.windows import ZONE
from koppel.store import budgets, observations, streams, subjects
from koppel.store.sql import Db
from koppel.systems.spi import Absent, Found, Remark, Resource

SAMPLE = 20  # linked records that are asked for again, to see whether the list is cut
SKEW = 60.0  # seconds our clock may differ from the vendor's
LOW = 0.1  # of an allowance


@dataclass(frozen=True)
class Used:
    """A flow that uses a connection: its file, its text, what both sides can, and the transforms there are."""

    file: str
    text: str
    flow: Flow
    cans: dict[SideName, Can]
    transforms: Mapping[str, Transform]


class Examined(msgspec.Struct, frozen=True):
    """One connection: remarks in the order they were found, and what looking cost in calls."""

    connection: str
    system: str
    remarks: tuple[Remark, ...]
    calls: int = 0

    @property
    def well(self) -> bool:
        """Whether nobody has to act."""
        return all(remark.level != "attention" for remark in self.remarks)


def broken(name: str, system: str, error: KoppelError) -> Examined:
    """A connection that cannot even be made."""
    return Examined(name, system, (_as_remark(error),))


async def examine(ports: Ports, connection: Connection, used: Sequence[Used]) -> Examined:
    """Look at one connection."""
    sender = Sender(ports)
    said: list[Remark] = [*await _sign_in(ports, connection)]
    alive = True
    try:
        site = connection.site(ports.clock.now())
        said += await sender.run(connection, connection.system.status(site))
        if not sender.calls:
            said.append(
                Remark("note", "not_asked", "Nothing was asked: this system has no question that costs nothing.")
            )
    except Bug:
        raise
    except KoppelError as error:
        said.append(_as_remark(error))
        alive = isinstance(error, RetryLater)
    if alive:
        for part in (_fields, _rows):
            try:
                said += await part(ports, sender, connection, used)
            except Bug:
                raise
            except KoppelError as error:
                said.append(_as_remark(error))
    said += _kept(connection, used)
    said += _clock(sender, connection)
    said += await ports.store.tx(_budgets, connection, ports.clock.now())
    return Examined(connection.name, connection.system.name, _once(said), sender.calls.total())


def _as_remark(error: KoppelError) -> Remark:
    code = (
        "sign_in" if isinstance(error, SignInNeeded) else "unavailable" if isinstance(error, RetryLater) else "set_up"
    )
    return Remark("attention", code, f"{error.message.rstrip('.')}.", error.remedy)


def _once(said: Sequence[Remark]) -> tuple[Remark, ...]:
    return tuple(dict.fromkeys(said))


# --- signing in -------------------------------------------------------------------------------------------------------


async def _sign_in(ports: Ports, connection: Connection) -> Sequence[Remark]:
    remark = await ports.store.tx(keeping.standing, connection, ports.clock.now())
    return () if remark is None else (remark,)


# --- fields the flows need ----------------------------------------------------------------------------------------------


async def _fields(ports: Ports, sender: Sender, connection: Connection, used: Sequence[Used]) -> Sequence[Remark]:
    """What a flow needs of this account and the account, asked now, does not have."""
    if not used:
        return (Remark("note", "unused", "No flow uses this connection."),)
    sides: list[tuple[Used, SideName]] = [(one, side) for one in used for side in _sides(one.flow, connection.name)]
    if not sides:
        flows = ", ".join(one.flow.id for one in used)
        return (Remark("ok", "enriches", f"Asked by {flows} for what it adds."),)
    before = sender.calls.total()
    own = await sender.run(connection, connection.system.metadata(connection.site(ports.clock.now())))
    asked = sender.calls.total() > before
    found: list[Remark] = []
    for one, side in sides:
        positions = locate(one.text, file=one.file)
        left, right = one.cans["left"], one.cans["right"]
        live: dict[SideName, tuple[Field, ...]] = {side: own}
        look = partial(
            check_flow,
            one.flow,
            left=left,
            right=right,
            positions=positions,
            entity=one.flow.entity,
            transforms=one.transforms,
        )
        plain = set(look())
        for problem in look(own_fields=live if asked else None):
            if problem.severity == "error" or problem not in plain:
                level = "attention" if problem.severity == "error" else "note"
                text = f"{problem.file}:{problem.line}: {problem.message}."
                found.append(Remark(level, problem.code, text, problem.suggestion))
    if not any(remark.level == "attention" for remark in found):
        flows = ", ".join(dict.fromkeys(one.flow.id for one, _ in sides))
        how = "by the account's own list of fields" if asked else "by our table of its fields"
        found.append(Remark("ok", "fields", f"Every field that {flows} needs is there, {how}."))
    return found


def _sides(flow: Flow, connection: str) -> Iterator[SideName]:
    if flow.left.connection == connection:
        yield "left"
    if flow.right.connection == connection:
        yield "right"


# --- a list that is cut -------------------------------------------------------------------------------------------------


async def _rows(ports: Ports, sender: Sender, connection: Connection, used: Sequence[Used]) -> Sequence[Remark]:
    """Whether the list shows all it showed before: by what has vanished, and by asking for some linked records again."""
    ends = [one.flow.endpoint(side) for one in used for side in _sides(one.flow, connection.name)]
    found: list[Remark] = []
    for name in dict.fromkeys(end.resource for end in ends):
        resource = connection.resource(name)
        if not resource.can.list:
            continue
        known, gone, linked_gone, linked = await ports.store.tx(_counted, connection.name, name)
        where = f"{connection.name}:{name}"
        if not known and not gone:
            found.append(Remark("note", "not_read", f"{where} has not been read yet."))
            continue
        missing, asked = await _sampled(ports, sender, connection, resource, linked)
        if missing:
            text = (
                f"{where}: {len(missing)} of {asked} linked records that were asked for are not shown any more"
                f" (for instance {missing[0]})."
            )
            found.append(Remark("attention", "rows_missing", text, CUT))
        if linked_gone:
            text = (
                f"{where}: {gone} of {known + gone} records have vanished from the list, {linked_gone} of them linked."
            )
            found.append(Remark("attention", "rows_vanished", text, CUT))
        if not missing and not linked_gone:
            sample = f"; {asked} linked ones were asked for and are there" if asked else ""
            found.append(Remark("ok", "rows", f"{where}: {known} records{sample}."))
    return found


CUT = (
    "When nobody deleted them, the list is cut: by an authorisation filter, a right or a role of the user it is read with, or a"
    " filter in the connector. Mend that before the next run; the brakes hold what vanished."
)


def _counted(db: Db, connection: str, resource: str) -> tuple[int, int, int, list[str]]:
    stream = streams.ensure(db, connection, resource)
    gone, linked_gone = observations.vanished(db, stream.id)
    return observations.population(db, stream.id), gone, linked_gone, subjects.linked_natives(db, stream.id)


async def _sampled(
    ports: Ports, sender: Sender, connection: Connection, resource: Resource, linked: Sequence[str]
) -> tuple[list[str], int]:
    """Linked records that are not shown when asked for by id, and how many were asked for."""
    if resource.find is None or "native" not in resource.can.find or resource.can.prices or not linked:
        return [], 0
    step = max(1, len(linked) // SAMPLE)
    sample = tuple(linked[::step][:SAMPLE])
    size = max(1, resource.can.find_batch)
    missing: list[str] = []
    for start in range(0, len(sample), size):
        site = connection.site(ports.clock.now(), resource.name)
        answers = await sender.run(connection, resource.find(site, "native", sample[start : start + size]))
        missing += [
            native
            for native, answer in answers.items()
            if isinstance(answer, Absent) or (isinstance(answer, Found) and not answer.items)
        ]
    return missing, len(sample)


# --- what is kept of records ---------------------------------------------------------------------------------------------


GIVEN_UP = (
    "That gives up: finding people by name offline, present values in koppel why, what a gone record last said; and comparing,"
    " control totals and undo ask for what they need."
)


def _kept(connection: Connection, used: Sequence[Used]) -> Sequence[Remark]:
    """Flows of whose records here only digests stay (`cache = "hashes"`), and what that gives up."""
    flows: dict[str, dict[str, None]] = {}
    for one in used:
        for side in _sides(one.flow, connection.name):
            resource = one.flow.endpoint(side).resource
            if resource in connection.lets_go:
                flows.setdefault(resource, {})[one.flow.id] = None
    return [
        Remark(
            "note",
            "hashes",
            f'{connection.name}:{resource}: only digests are kept (cache = "hashes"), for {", ".join(ids)}. {GIVEN_UP}',
        )
        for resource, ids in flows.items()
    ]


# --- clock and budgets --------------------------------------------------------------------------------------------------


def _clock(sender: Sender, connection: Connection) -> Sequence[Remark]:
    """How far our clock is from the vendor's, by the date its last answer carried."""
    dated = sender.dated.get(connection.name)
    if dated is None:
        return ()
    try:
        theirs = parsedate_to_datetime(dated[0]).timestamp()
    except (TypeError, ValueError, IndexError):
        return ()
    ahead = dated[1] - theirs
    if abs(ahead) <= SKEW:
        return (Remark("ok", "clock", "This machine's clock agrees with the vendor's."),)
    text = f"This machine's clock is {abs(ahead):.0f} seconds {'ahead of' if ahead > 0 else 'behind'} the vendor's."
    remedy = "Let the machine set its clock by itself (NTP): tokens and reading by time depend on it."
    return (Remark("attention", "clock", text, remedy),)


def _budgets(db: Db, connection: Connection, now: float) -> Sequence[Remark]:
    """What is left of the vendor's allowances; those whose window has ended are whole again, and a pace is no allowance."""
    found: list[Remark] = []
    signing = connection.system.auth.allowance
    known = (*connection.system.budgets, *((signing,) if signing else ()))
    windows = {budget.name: budget.window for budget in known if budget.window != "second"}
    for account in budgets.listed(db, system=connection.system.name):
        if account.reset_at <= now or not account.allowed or account.name not in windows:
            continue
        short = account.remaining <= LOW * account.allowed and windows[account.name] in ("day", "month")
        until = datetime.fromtimestamp(account.reset_at, ZONE).strftime("%Y-%m-%d %H:%M")
        text = f"Allowance {account.name} ({account.key}): {account.remaining} of {account.allowed} left until {until}."
        remedy = "Runs wait until then by themselves; let fewer flows run, or ask the vendor for more." if short else ""
        found.append(Remark("attention" if short else "ok", "budget", text, remedy))
    return found
