"""Laws switched off, one at a time, for one world: what the simulation must notice.

Each is a patch of the engine as it really is; the name of what is patched is checked, so that a mutant of something that
was renamed away breaks loudly instead of proving nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import msgspec

from koppel.engine import (
    anchors,
    bases,
    entries,
    execute,
    fetch,
    flow,
    frame,
    leasing,
    pairs,
    plan,
    recover,
    send,
    settle,
)
from koppel.engine.hand import Hand
from koppel.model.problem import SetupError
from koppel.store import due, intents, observations, streams
from koppel.sync import merge
from koppel.sync.merge import Merged
from koppel.sync.shapes import Shape
from koppel.systems.spi import Page
from koppel.testing import toys

Change = tuple[Any, str, Callable[[Any], Any]]  # where, what, and what to make of it


@dataclass(frozen=True)
class Mutant:
    """A law switched off: `apply` patches it away while its context lasts; `kind` is the world that must notice."""

    law: int
    text: str
    apply: Callable[[], contextlib.AbstractContextManager[None]]
    kind: str = "pair"


MUTANTS: dict[str, Mutant] = {}


def _mutant(name: str, law: int, text: str, *changes: Change, kind: str = "pair") -> None:
    @contextlib.contextmanager
    def apply() -> Generator[None]:
        with contextlib.ExitStack() as stack:
            for where, what, make in changes:
                original = getattr(where, what)  # AttributeError: the mutant is out of date
                stack.callback(setattr, where, what, original)
                setattr(where, what, make(original))
            yield

    MUTANTS[name] = Mutant(law, text, apply, kind)


def _instead(value: Any) -> Callable[[Any], Any]:
    return lambda _original: value


# --- law 1 ----------------------------------------------------------------------------------------------------------


def _whole_plan(original: Any) -> Any:
    def allowed(self: Any, made: Any, number: int) -> Any:
        if self.stored is not None and number == 0:
            return self.stored.steps
        return original(self, made, number)

    return allowed


def _without_precondition(original: Any) -> Any:
    def lower(*given: Any, **options: Any) -> Any:
        planned = original(*given, **options)
        bare = tuple(msgspec.structs.replace(op, expect="") for op in planned.operations)
        return msgspec.structs.replace(planned, operations=bare)

    return lower


_Rounds = flow._Rounds  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
_mutant("apply ignores what moved", 1, "a stored plan is carried out as it was", (_Rounds, "_allowed", _whole_plan))
_mutant(
    "no precondition",
    1,
    "writes travel without the version they were decided on",
    (plan, "lower", _without_precondition),
)

_mutant(
    "old decision sent", 1, "who stood still between deciding and writing writes all the same",
    (execute, "TOO_OLD", _instead(float("inf"))),
    kind="graph",
)  # fmt: skip

# --- law 2 ----------------------------------------------------------------------------------------------------------


async def _no_probe(ports: Any, _sender: Any, frame_: Any, hand_run: tuple[int, str], ready: Any, result: Any) -> None:
    for intent in ready:
        hand = Hand(*hand_run, ports.clock.now())
        close = recover._settle_trace  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        await ports.store.durable(close, frame_, hand, intent, recover.NotLanded(), result)


_mutant(
    "intent not stored", 2, "the call leaves before its intent is committed",
    (settle, "open_operations", _instead(lambda *_given: None)), (intents, "close", _instead(lambda _db, ops, **_more: len(list(ops)))),
)  # fmt: skip
_mutant("blind repeat", 2, "what is in doubt is done again without asking", (recover, "_probe", _instead(_no_probe)))
_mutant(
    "impatient probe",
    2,
    "absence counts while the effect may still arrive",
    (recover, "_askable", _instead(lambda *_given: 0.0)),
)
_mutant(
    "keyless in doubt", 2, "a record without key is taken for new while a create is in doubt",
    (frame.Loader, "_waiting", lambda original: lambda self, *given: (self.unclear.clear(), original(self, *given))[1]),
)  # fmt: skip


async def _leaves_anyway(*_given: Any) -> None:
    """No second look at the lease."""


_mutant(
    "the frozen send", 2, "who slept past its lease sends what others have decided anew",
    (execute, "_departs", _instead(_leaves_anyway)),
)  # fmt: skip

# --- law 3 ----------------------------------------------------------------------------------------------------------


def _forgets_before(original: Any) -> Any:
    def record(db: Any, frame_: Any, hand: Any, kind: str, step: Any, **more: Any) -> int:
        return original(db, frame_, hand, kind, msgspec.structs.replace(step, before={}), **more)

    return record


def _all_settled(original: Any) -> Any:
    def merged(*given: Any, **options: Any) -> Any:
        found = original(*given, **options)
        return Merged(agreed=found.agreed)

    return merged


_mutant("before not kept", 3, "the trail does not hold what a write replaced", (entries, "record", _forgets_before))
_mutant("digest too early", 3, "a pair counts as settled while a field is not", (bases, "merge", _all_settled))
_mutant(
    "stale is settled", 3, "a write whose precondition failed is not looked at again",
    (anchors, "look_again", _instead(lambda *_given: None)), (flow.flows, "unsettled", _instead(lambda _db, _flow, _side, _stream, _natives: [])),
)  # fmt: skip

# --- law 4 ----------------------------------------------------------------------------------------------------------


def _raises_on_refusal(original: Any) -> Any:
    def settled(db: Any, frame_: Any, hand: Any, planned: Any, receipt: Any, **more: Any) -> str:
        if receipt.status == "refused":
            raise SetupError("a record was refused")
        return original(db, frame_, hand, planned, receipt, **more)

    return settled


def _forgets_refusal(original: Any) -> Any:
    def settled(db: Any, frame_: Any, hand: Any, planned: Any, receipt: Any, **more: Any) -> str:
        if receipt.status == "refused":
            intents.close(db, [receipt.op])
            return "refused"
        return original(db, frame_, hand, planned, receipt, **more)

    return settled


def _without_problems(original: Any) -> Any:
    def load(*given: Any, **options: Any) -> Any:
        return {
            native: msgspec.structs.replace(seen, problems=()) for native, seen in original(*given, **options).items()
        }

    return load


_mutant("refusal raises", 4, "one refused record ends the run", (settle, "settle_receipt", _raises_on_refusal))
_mutant("refusal forgotten", 4, "a refused record is not parked", (settle, "settle_receipt", _forgets_refusal))
_mutant(
    "unreadable is empty",
    4,
    "a value that cannot be read counts as an empty one",
    (observations, "load", _without_problems),
)

# --- laws 5 to 8 ------------------------------------------------------------------------------------------------------


def _one_form(original: Any) -> Any:
    def agreed(frame_: Any, base: Any, fields: Any, prov: Any) -> Any:
        return original(frame_, base, {key: (both[0], both[0]) for key, both in fields.items()}, prov)

    return agreed


def _gone_when_not_listed(original: Any) -> Any:
    def store(db: Any, connection: Any, resource: Any, stream: Any, page: Page, at: float) -> Any:
        taken = original(db, connection, resource, stream, page, at)
        if page.next is None and not page.complete and resource.entity:
            find = "select native from observations where stream = :s and gone = 0 and seen_at < :at"
            unlisted = [observations.Seen(row[0], None) for row in db.rows(find, s=stream.id, at=at)]
            observations.take_in(db, stream.id, unlisted, at=at)
        return taken

    return store


_PAGES = {"ledger_pages": "customers", "till_pages": "shops"}  # the resource a reading function lists


def _cursor_first(original: Any) -> Any:
    async def run(self: Any, connection: Any, exchange: Any) -> Any:
        name = exchange.gi_code.co_name
        page = await original(self, connection, exchange)
        if isinstance(page, Page) and name in _PAGES and not page.restart:
            stream = await self.ports.store.tx(streams.ensure, connection.name, _PAGES[name])
            await self.ports.store.tx(
                streams.move_cursor,
                stream.id,
                cursor=page.cursor,
                next_page=page.next,
                complete=False,
                at=self.ports.clock.now(),
            )
        return page

    return run


def _reads_all(original: Any) -> Any:
    def query(**given: Any) -> Any:
        return original(next=given.get("next"))

    return query


_mutant("reads all again", 5, "the cursor is not used: every run lists everything", (fetch, "Query", _reads_all))
_mutant(
    "own write is news",
    6,
    "what we wrote ourselves is taken for somebody's edit",
    (merge, "_pending", _instead(lambda _side, _key, _shape, _now, _written, base, *_rest: (base, False))),
)
_mutant("one form", 6, "what was agreed is kept as the left writes it only", (bases, "_agreed", _one_form))
_mutant(
    "followers own",
    6,
    "each of several records with one key speaks for its side",
    (Shape, "reaches", _instead(lambda _self, **_given: True)),
)
_mutant(
    "absent is gone",
    7,
    "what a listing of changes does not show is taken for deleted",
    (fetch, "_store_page", _gone_when_not_listed),
)
_mutant("cursor first", 8, "the cursor moves before the page is stored", (send.Sender, "run", _cursor_first))
_mutant(
    "doubt leaves the due set",
    8,
    "a record about which something is in doubt is not looked at again",
    (due, "add", _instead(lambda *_given, **_more: None)),
)

# --- laws 9 to 13 -----------------------------------------------------------------------------------------------------


def _free_for_logins(original: Any) -> Any:
    async def take(ports: Any, name: str, *, seconds: float) -> int | None:
        if name.startswith("login "):
            return 1
        return await original(ports, name, seconds=seconds)

    return take


def _tells_requests(original: Any) -> Any:
    async def sent(self: Any, connection: Any, call: Any, request: Any) -> Any:
        self.ports.tell(f"{request.method} {request.url} {request.headers}")
        return await original(self, connection, call, request)

    return sent


def _number_as_int(original: Any) -> Any:
    def read(row: Any) -> Any:
        number = row.get("nr")
        return original({**row, "nr": str(int(number))} if number else row)

    return read


_mutant("two refresh at once", 9, "nobody holds the login while it is refreshed", (leasing, "take", _free_for_logins))
_mutant("allowance not counted", 10, "nobody counts calls", (send, "_spend", _instead(lambda *_given: None)))
_mutant(
    "no slot", 11, "two flows may create from one record at once, and do not look again",
    (pairs, "made_meanwhile", _instead(lambda *_given: False)), (intents.Intent, "slot", _instead(property(lambda self: self.op))),
)  # fmt: skip
_mutant(
    "same thing by another flow",
    11,
    "a flow makes what another flow is making, or has just made, from another record of the same thing",
    (execute.once, "made_elsewhere", _instead(lambda *_given: frozenset())),
    kind="graph",
)
_mutant(
    "two runs at once",
    11,
    "a flow that is running is started again",
    (leasing, "take", lambda _original: _anybody),
    (execute.leases, "holds", _instead(lambda *_given: True)),
    (pairs, "made_meanwhile", _instead(lambda *_given: False)),
)
_mutant("requests in messages", 12, "what is sent is told, key and all", (send.Sender, "_send", _tells_requests))
_mutant("number as int", 13, "a KVK number is read as a number", (toys, "read_company", _number_as_int))


async def _anybody(_ports: Any, _name: str, *, seconds: float) -> int:
    _ = seconds
    return 1
