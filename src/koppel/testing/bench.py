"""The bench on which a system is tried: one resource, its sandbox, a person who edits there, and a courier.

The courier does for an exchange what the door (`koppel.systems.spi`) promises, no more: it signs, waits, repeats what
surely had no effect, and hands over silence for calls that carry operations. It keeps everything it sent, so that a test
can look for secrets and count calls. It is a second, simple reading of that promise, apart from the engine's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import msgspec

from koppel.model.problem import SignInNeeded
from koppel.model.record import Record
from koppel.model.values import Cursor, Json
from koppel.sandbox.host import SandboxHost
from koppel.systems.spi import (
    Call,
    Change,
    Exchange,
    Finding,
    Found,
    Item,
    NoReply,
    Operation,
    Page,
    Query,
    Receipt,
    Refreshed,
    Reply,
    Request,
    Resource,
    Response,
    Site,
    StillGood,
    System,
    Tokens,
    Verdict,
    drive,
)

T = TypeVar("T")
Loss = Literal["request", "reply", "outage", "effect", "half"]
TOOK_EFFECT: frozenset[Loss] = frozenset({"reply", "effect", "half"})
TRIES = 6
ENDLESS = 500  # pages; no sandbox holds as many
WINDOWS = {"second": 1.0, "minute": 60.0, "hour": 3_600.0, "day": 86_400.0, "month": 31 * 86_400.0}


class RefusedByVerdict(Exception):
    """A verdict ended the exchange; `verdict` says why."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.kind)
        self.verdict = verdict


@dataclass(kw_only=True)
class Bench:
    """How to try one resource of one system. Everything after `settings` has a sensible default or skips its tests.

    `tokens`: what a login holds at the start (a key-only system takes them from its settings). `secrets`: made-up secrets
    that must never show (those of the settings are known by themselves).
    `present` and `absent`: kind of key -> values the sandbox knows, and values it does not; for a resource that can be
    listed, `native` and every key of the records are known by themselves.
    A person in the sandbox: `edit(native, text)` gives a record the name `text`, `add(text)` makes one and returns its id,
    `delete(native)` removes one, `refuse(text)` makes the vendor refuse whatever is called `text`; `late(native, text)` edits
    as `edit` does, with a stamp a little older than what the vendor showed already (a save that was committed late).
    `values(n)` are the canonical values of the n-th record to create; `natives()` tells which records really exist.
    `called`: the canonical field that those texts are written in.
    `page`: asks the client for pages of that size, so that a small world has several.
    """

    system: System
    resource_name: str
    host: SandboxHost
    settings: Any
    tokens: Tokens | None = None
    facts: Mapping[str, Json] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    present: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    absent: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    edit: Callable[[str, str], object] | None = None
    add: Callable[[str], str] | None = None
    delete: Callable[[str], object] | None = None
    refuse: Callable[[str], object] | None = None
    late: Callable[[str, str], object] | None = None
    values: Callable[[int], dict[str, Json]] | None = None
    natives: Callable[[], set[str]] | None = None
    called: str = "name"
    page: int | None = None
    pays: bool = False  # keeps the declared budgets, as the engine does

    sent: list[tuple[Call, Request]] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    _lose: Loss | None = None
    _operations: int = 0
    _paid: Counter[tuple[str, str, float]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Try the system as an account with these settings has it."""
        self.system = self.system.for_settings(self.settings)

    @property
    def resource(self) -> Resource:
        """The resource under test."""
        return self.system.resource(self.resource_name)

    @property
    def site(self) -> Site:
        """Where its functions work, now."""
        return Site(connection="bench", settings=self.settings, facts=self.facts, as_of=self.host.clock.now())

    # --- the courier ------------------------------------------------------------------------------------------------

    def run(self, exchange: Exchange[T]) -> T:
        """Drive an exchange. Raises RefusedByVerdict when a verdict ends it from outside."""
        return drive(exchange, self._carry)

    def lose(self, what: Loss) -> None:
        """Spoil the next call that carries operations: it never arrives, or only its reply is lost; it is answered with an
        outage before or after it took effect; or half its answer is missing."""
        self._lose = what

    def signed(self, call: Call) -> Request:
        """The call as it leaves the house; the tokens are refreshed first when that is due."""
        auth = self.system.auth
        if self.tokens is None:
            assert auth.tokens_from, "a system with a code flow needs `tokens` on its bench"
            # Of an unattended login nothing is known yet, and `due` says that it wants a refresh.
            self.tokens = auth.tokens_from(self.settings) or Tokens("")
        state = auth.due(self.tokens, self.host.clock.now())
        if state == "refresh":
            self._renew()
        elif state == "dead":
            raise SignInNeeded("The tokens on the bench are dead.")
        return auth.authorize(self.settings, self.tokens, call.request)

    def _renew(self) -> None:
        auth = self.system.auth
        assert auth.refresh, "only a system that can refresh may say that it is due"
        assert self.tokens
        outcome = drive(auth.refresh(self.settings, self.tokens, self.host.clock.now()), self._bare)
        if isinstance(outcome, Refreshed):
            self.tokens = outcome.tokens
        elif not isinstance(outcome, StillGood):
            raise SignInNeeded(outcome.reason)

    def _bare(self, call: Call) -> Reply:
        self.sent.append((call, call.request))
        return self.host.handle(call.request)

    def _carry(self, call: Call) -> Reply:
        renewed = False
        for _ in range(TRIES):
            self._pay(call.request)
            request = self.signed(call)
            reply = self._deliver(call, request)
            if isinstance(reply, NoReply):
                if call.carries:
                    return reply
                continue
            verdict = self.system.verdict(request, reply, self.host.clock.now())
            self.verdicts.append(verdict)
            if verdict.kind == "ok" or (verdict.kind == "unavailable" and call.carries):
                return reply
            if verdict.kind == "sign_in" and not renewed and self.system.auth.refresh:
                renewed = True
                self._renew()
            elif verdict.kind in {"throttled", "unavailable"}:
                self._wait(verdict)
            else:
                raise RefusedByVerdict(verdict)
        raise RefusedByVerdict(self.verdicts[-1] if self.verdicts else Verdict("unavailable"))

    def _deliver(self, call: Call, request: Request) -> Reply:
        self.sent.append((call, request))
        lost, self._lose = (self._lose, None) if call.carries else (None, self._lose)
        if lost == "request":
            return NoReply("lost on the way there")
        if lost == "outage":
            return Response(503)
        reply = self.host.handle(request)
        match lost:
            case "reply":
                return NoReply("lost on the way back")
            case "effect":
                return Response(503)
            case "half" if isinstance(reply, Response):
                return Response(reply.status, reply.headers, reply.body[: len(reply.body) // 2])
            case _:
                return reply

    def _pay(self, request: Request) -> None:
        """Wait until every declared allowance of calls has one left, and take it."""
        if not self.pays:
            return
        for budget in self.system.budgets:
            key, size = budget.key(request), WINDOWS[budget.window]
            if key is None or budget.counts != "calls" or budget.window == "month":
                continue
            now = self.host.clock.now()
            if self._paid[budget.name, key, now // size] >= budget.limit - budget.reserve:
                now = self.host.clock.advance((now // size + 1) * size - now)
            self._paid[budget.name, key, now // size] += 1

    def _wait(self, verdict: Verdict) -> None:
        now = self.host.clock.now()
        budget = next((budget for budget in self.system.budgets if budget.name == verdict.budget), None)
        until = verdict.retry_at or now + (WINDOWS[budget.window] if budget else 60.0)
        self.host.clock.advance(max(0.0, until - now))

    # --- reading ----------------------------------------------------------------------------------------------------

    def pages(
        self,
        cursor: Cursor | None = None,
        *,
        between: Callable[[int], object] | None = None,
        resource: str | None = None,
    ) -> list[Page]:
        """List to the end; `between` happens after each page (given its number) but the last."""
        listed = self.system.resource(resource) if resource else self.resource
        found: list[Page] = []
        query = Query(cursor=cursor, size=self.page)
        while True:
            page = self.run(listed.pages(self.site, query))
            found.append(page)
            if page.next is None:
                return found
            if len(found) >= ENDLESS:
                raise AssertionError(f"the listing does not end after {ENDLESS} pages")
            if between:
                between(len(found))
            query = Query(cursor=cursor, next=page.next, size=self.page)

    def items(self) -> list[Item]:
        """Every record of a whole listing."""
        return [item for page in self.pages() for item in page.items]

    def record(self, item: Item) -> Record:
        """The record, decoded."""
        assert self.resource.decode, "a resource with an entity decodes it"
        return self.resource.decode(self.site, item).record

    def find(self, kind: str, *values: str) -> dict[str, Finding]:
        """Find by key, within what one exchange takes."""
        assert self.resource.find
        size = max(1, self.resource.can.find_batch)
        chunks = [values[start : start + size] for start in range(0, len(values), size)]
        return {
            key: found
            for chunk in chunks
            for key, found in self.run(self.resource.find(self.site, kind, chunk)).items()
        }

    def read(self, native: str) -> tuple[Item, Record]:
        """One record by its id, as it is now."""
        found = self.find("native", native)[native]
        assert isinstance(found, Found), f"{native} is not found by its id: {found}"
        assert len(found.items) == 1, f"{native} names {len(found.items)} records"
        return found.items[0], self.record(found.items[0])

    def settle(self) -> None:
        """Let what was written become visible."""
        self.host.clock.advance(self.resource.can.settles_after)

    # --- writing ----------------------------------------------------------------------------------------------------

    def new_op(self) -> str:
        """An operation id as long as the engine's, 22 characters."""
        self._operations += 1
        return f"bench{self._operations:017}"

    def create(self, values: dict[str, Json]) -> Change:
        """The wish to create a record with these values."""
        return Change(self.new_op(), "create", None, values)

    def update(self, native: str, values: dict[str, Json]) -> Change:
        """The wish to change a record, with what it shows now."""
        item, record = self.read(native)
        shown = record.builtins()
        before = {path: shown.get(path) for path in values}
        return Change(self.new_op(), "update", native, values, before, record, item.version)

    def lower(self, *changes: Change) -> tuple[Operation, ...]:
        """What will really be sent."""
        return tuple(operation for change in changes for operation in self.resource.lower(self.site, change))

    def send(self, operations: tuple[Operation, ...]) -> dict[str, Receipt]:
        """Send them as the engine would: needs first, in the resource's batches; what a failed need blocks is not sent."""
        assert self.resource.send, "a resource that can write sends"
        receipts: dict[str, Receipt] = {}
        left = list(operations)
        while left:
            ready = [operation for operation in left if all(need in receipts for need in operation.needs)]
            assert ready, f"operations wait for what never comes: {[operation.needs for operation in left]}"
            left = [operation for operation in left if operation not in ready]
            able = [
                operation for operation in ready if all(receipts[need].status == "done" for need in operation.needs)
            ]
            named = [
                msgspec.structs.replace(operation, native=receipts[operation.needs[0]].native)
                if operation.native is None and operation.needs
                else operation
                for operation in able
            ]
            for batch in self.resource.group(tuple(named)):
                receipts |= {receipt.op: receipt for receipt in self.run(self.resource.send(self.site, batch))}
        return receipts

    def written(self, *changes: Change) -> dict[str, Receipt]:
        """Lower and send."""
        return self.send(self.lower(*changes))

    # --- looking on ---------------------------------------------------------------------------------------------------

    def reading_call(self) -> Call:
        """The call that brings the records when the resource reads (not one it makes on the way there)."""
        before = len(self.sent)
        if self.resource.can.list:
            self.run(self.resource.pages(self.site, Query(size=self.page)))
        else:
            kind, values = next(iter(self.present.items()))
            self.find(kind, values[0])
        assert len(self.sent) > before, "reading made no call"
        return self.sent[-1][0]

    def answer(self, call: Call) -> tuple[Request, Response]:
        """Sign a call and let the sandbox answer it, whatever it says."""
        request = self.signed(call)
        self.sent.append((call, request))
        reply = self.host.handle(request)
        assert isinstance(reply, Response), "the sandbox was silent"
        return request, reply

    def all_secrets(self) -> tuple[str, ...]:
        """Every secret in the settings, the tokens and on the bench."""
        marked = [str(getattr(self.settings, name)) for name in secret_fields(type(self.settings))]
        tokens = [self.tokens.access, self.tokens.refresh] if self.tokens else []
        return tuple(secret for secret in (*marked, *tokens, *self.secrets) if len(secret) > 3)


def secret_fields(settings: type[msgspec.Struct]) -> tuple[str, ...]:
    """The settings marked `extra={"secret": True}`, which the set-up form hides."""
    info = msgspec.inspect.type_info(settings)
    assert isinstance(info, msgspec.inspect.StructType)
    return tuple(
        each.name
        for each in info.fields
        if isinstance(each.type, msgspec.inspect.Metadata) and (each.type.extra or {}).get("secret")
    )
