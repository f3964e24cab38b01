"""The door: what a system is.

A system is a *value* (`System`), found by entry point `koppel.systems`. It translates between a vendor's wire and our
records without I/O. Whatever needs the wire is an *exchange*: a generator that yields `Call`s and receives `Reply`s,
so that one body serves production, tests and simulation. Time comes in as `as_of`; nothing here reads a clock.

What an exchange may count on from whoever drives it (`engine.send`):
- a call is authorised, paid from the vendor's budgets and sent once; after 429 it is sent again (that surely had no
  effect); after 5xx or silence it is sent again only when `carries` is empty;
- 401 leads to one refresh and one repetition; a dead login or a missing right ends the exchange from outside;
- `NoReply` is received only for calls that carry operations: for them nobody can know whether the effect took place.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec

from koppel.model.anything import Described, Draft, Kind, Prepared, Question, Sheet, Written
from koppel.model.can import Can, Field
from koppel.model.problem import Problem
from koppel.model.record import Record
from koppel.model.values import Cursor, Json

SPI_VERSION = 1
T = TypeVar("T")

# --- the wire ---------------------------------------------------------------------------------------------------


class Request(msgspec.Struct, frozen=True):
    """One HTTP request; `url` is absolute, query included. Header names are written as the vendor documents them."""

    method: str
    url: str
    headers: dict[str, str] = {}
    body: bytes = b""

    def __repr__(self) -> str:
        # Headers carry keys and tokens once a request is signed; bodies carry codes and personal data (law 12).
        return f"Request({self.method} {self.url.partition('?')[0]}, {len(self.body)} bytes)"


class Response(msgspec.Struct, frozen=True):
    """One HTTP response; header names are lower-case."""

    status: int
    headers: dict[str, str] = {}
    body: bytes = b""


class NoReply(msgspec.Struct, frozen=True):
    """Silence: we cannot know whether the request arrived."""

    reason: str = ""


Reply: TypeAlias = Response | NoReply


class Call(msgspec.Struct, frozen=True):
    """A request to be sent, and the operation ids it has an effect for. `kind` names it for prices and metrics (`basisprofiel`)."""

    request: Request
    carries: tuple[str, ...] = ()
    kind: str = ""


Exchange: TypeAlias = Generator[Call, Reply, T]

# --- reading ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where a resource function works: one connection's settings and facts, at one instant (`as_of`, epoch seconds).

    `settings` is the system's settings struct; `facts` is its facts.toml; `own` lists vendor fields that flows use.
    """

    connection: str
    settings: Any
    facts: Mapping[str, Json]
    as_of: float
    own: tuple[str, ...] = ()


class Query(msgspec.Struct, frozen=True):
    """What to list: everything after `cursor` (None = from the start), or the page that `next` names."""

    cursor: Cursor | None = None
    next: str | None = None
    size: int | None = None


class Item(msgspec.Struct, frozen=True):
    """One record as it came, undecoded. `version` is the vendor's (row version, modified stamp); empty when there is none.

    `modified_at` is the vendor's own stamp of the record as an instant (epoch seconds), when it has one.
    """

    native: str
    fields: dict[str, Json]
    version: str = ""
    modified_at: float | None = None


class Page(msgspec.Struct, frozen=True):
    """One page of a listing.

    `gone`: (resource, native) of records the vendor says are deleted; `hints`: (resource, native or key) that changed,
    without values. `next` names the following page; `cursor` is stored *with* this page; `complete` is True on the last
    page of a listing that began at the start, i.e. what was not seen does not exist.
    """

    items: tuple[Item, ...] = ()
    gone: tuple[tuple[str, str], ...] = ()
    hints: tuple[tuple[str, str], ...] = ()
    next: str | None = None
    cursor: Cursor | None = None
    complete: bool = False
    restart: bool = False  # the vendor renumbered its stream (Exact: a moved division): read all again


class Found(msgspec.Struct, frozen=True):
    """Every record that carries the value looked for."""

    items: tuple[Item, ...]


class Absent(msgspec.Struct, frozen=True):
    """Surely not there: licenses a create. `problem` says why, when the vendor said more than nothing."""

    problem: Problem | None = None


class Unknown(msgspec.Struct, frozen=True):
    """Cannot tell now; never licenses a create. `problem.retry_at` says when to ask again."""

    problem: Problem


Finding: TypeAlias = Found | Absent | Unknown


class Decoded(msgspec.Struct, frozen=True):
    """A translated record and what was odd about it (a value that could not be read is left out and named)."""

    record: Record
    problems: tuple[Problem, ...] = ()


# --- writing ----------------------------------------------------------------------------------------------------

ChangeKind = Literal["create", "update", "archive"]


class Change(msgspec.Struct, frozen=True):
    """What a step wants of one record, in our words, before it is lowered.

    `values`: canonical path or vendor-own name -> new value (plain JSON), only what differs. `current` is the record as
    last seen (None for a create), `before` the values it shows now for the same paths. `op` is the base operation id.
    """

    op: str
    kind: ChangeKind
    native: str | None
    values: dict[str, Json]
    before: dict[str, Json] = {}
    current: Record | None = None
    version: str = ""


class Operation(msgspec.Struct, frozen=True):
    """One write that will really be sent, in the vendor's words.

    `fields`: vendor field -> wire value. `needs`: operations that must be done first (a two-call create); when `native`
    is None and `needs` is set, the id comes from the first need. `keys`: natural keys (kind, value) a probe can look for.
    `expect`: what must still be so when it is written (a version, or `TakeOver.expect` of a create); empty = no condition.
    `covers`: the canonical paths and own names it carries out, when a change takes several operations; empty = all of them.
    """

    op: str
    kind: ChangeKind
    resource: str
    native: str | None
    fields: dict[str, Json]
    before: dict[str, Json] = {}
    keys: tuple[tuple[str, str], ...] = ()
    expect: str = ""
    needs: tuple[str, ...] = ()
    covers: tuple[str, ...] = ()


class TakeOver(msgspec.Struct, frozen=True):
    """What stands where a create would write: a record the vendor takes into use for it, or nothing (`named` is empty).

    `named` says to people what is taken over (`organisation 100023`); `before` holds what it shows of the paths that are
    written over. `expect` binds the write to this very answer, also to the answer that there is nothing: the engine puts it
    in `Operation.expect`, and `send` answers *stale* when it finds another in the moment before.
    """

    expect: str
    named: str = ""
    before: dict[str, Json] = {}


class Batch(msgspec.Struct, frozen=True):
    """Operations that travel in one request."""

    operations: tuple[Operation, ...]


class Receipt(msgspec.Struct, frozen=True):
    """What became of one operation, matched by `op`, never by order.

    done: it took effect (`native`, and `item` when the vendor showed the record); refused: it surely did not, and the
    record must be mended; stale: its precondition failed; unknown: nobody can tell, probe it. `before`: values, by canonical
    path or own name, that stood where this write wrote as seen in the moment before, when a create took over something
    the vendor had already (law 3): what no plan could show, and what the plan showed as well.
    """

    op: str
    status: Literal["done", "refused", "stale", "unknown"]
    native: str | None = None
    item: Item | None = None
    problem: Problem | None = None
    before: dict[str, Json] = {}


class Landed(msgspec.Struct, frozen=True):
    """A probe found the effect; `item` is the record as it is now."""

    native: str
    item: Item | None = None


class NotLanded(msgspec.Struct, frozen=True):
    """A probe proved that there was no effect; `item` is the record as it is now, when the vendor showed it."""

    item: Item | None = None


class CannotTell(msgspec.Struct, frozen=True):
    """No means to tell: a person must look (never a guess)."""

    problem: Problem


Trace: TypeAlias = Landed | NotLanded | CannotTell

# --- what one resource offers -------------------------------------------------------------------------------------


def _no_pages(site: Site, query: Query) -> Exchange[Page]:
    raise NotImplementedError
    yield  # pragma: no cover


def _no_lower(site: Site, change: Change) -> tuple[Operation, ...]:
    raise NotImplementedError


def one_by_one(operations: tuple[Operation, ...]) -> tuple[Batch, ...]:
    """The grouping of vendors that take one record a call."""
    return tuple(Batch((operation,)) for operation in operations)


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A kind of record inside a system. What `can` denies is never called.

    `entity` is the canonical entity's name, or "" for a feed that carries none (tombstones). `tombstones` names the
    resource whose pages list this one's deletions, `signals` the one whose pages hint at changes of this one's records (for
    a resource that cannot be listed), where `signals_on` says that the account has that feed. `takes_over` tells, when a plan
    is made and in bulk, what creates would write over, by operation id (one it leaves out has nothing to be asked by); `Unknown`
    licenses no create. `link` gives a web address for a person to open the record.
    """

    name: str
    entity: str
    can: Can
    pages: Callable[[Site, Query], Exchange[Page]] = _no_pages
    find: Callable[[Site, str, tuple[str, ...]], Exchange[dict[str, Finding]]] | None = None
    decode: Callable[[Site, Item], Decoded] | None = None
    lower: Callable[[Site, Change], tuple[Operation, ...]] = _no_lower
    group: Callable[[tuple[Operation, ...]], tuple[Batch, ...]] = one_by_one
    send: Callable[[Site, Batch], Exchange[tuple[Receipt, ...]]] | None = None
    probe: Callable[[Site, tuple[Operation, ...]], Exchange[dict[str, Trace]]] | None = None
    takes_over: Callable[[Site, tuple[Operation, ...]], Exchange[dict[str, TakeOver | Unknown]]] | None = None
    tombstones: str | None = None
    signals: str | None = None
    signals_on: Callable[[Any], bool] = field(default=lambda settings: True)
    link: Callable[[Site, str], str] | None = None


# --- signing in ---------------------------------------------------------------------------------------------------


class Tokens(msgspec.Struct, frozen=True):
    """A login's secrets as stored (encrypted). Times are epoch seconds; `extra` holds what the system must remember."""

    access: str
    refresh: str = ""
    obtained_at: float = 0.0
    expires_at: float | None = None
    extra: dict[str, Json] = {}

    def __repr__(self) -> str:
        return f"Tokens(***, obtained_at={self.obtained_at}, expires_at={self.expires_at})"


class Refreshed(msgspec.Struct, frozen=True):
    """A new pair: to be stored durably before first use."""

    tokens: Tokens


class StillGood(msgspec.Struct, frozen=True):
    """The vendor says it is too early: the stored token is good, read it again."""


class Dead(msgspec.Struct, frozen=True):
    """Only a person can mend it."""

    reason: str


RefreshOutcome: TypeAlias = Refreshed | StillGood | Dead


@dataclass(frozen=True, kw_only=True)
class MailedCode:
    """A key that is had with a code by e-mail; both exchanges are sent unsigned.

    `asks`: (name, title, secret) of what the vendor wants to know; the answers are used and never kept. `request` has the
    code sent, `redeem` gives the settings to keep for it. `advice` says what it means when no e-mail comes.
    """

    asks: tuple[tuple[str, str, bool], ...]
    request: Callable[[Any, Mapping[str, str]], Exchange[None]]
    redeem: Callable[[Any, Mapping[str, str], str], Exchange[dict[str, Json]]]
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class Auth:
    """How a login signs its requests.

    `due` says whether the tokens can be used (`fresh`), must be refreshed first (`refresh`) or are past saving (`dead`).
    `sign_in_url` and `redeem` serve the code flow; a key-only system leaves them None and `tokens_from` turns settings
    into tokens, or gives None when these settings hold no key; `spare` gives the next key, where the settings hold one, to be
    used from when the vendor refuses the first. `by_mail` is the way to a key by e-mail. `lapses` tells when stored tokens die by themselves unless
    they are used or renewed before, where the vendor says so. `allowance`: how many sign-in calls the vendor takes for one
    login; its `reserve` is kept for people who sign in. `unattended`: then `refresh` gets the first token too, from
    empty Tokens, because nobody has to sign in (client credentials).
    """

    kind: Literal["key", "oauth_code"]
    authorize: Callable[[Any, Tokens, Request], Request]
    due: Callable[[Tokens, float], Literal["fresh", "refresh", "dead"]]
    refresh: Callable[[Any, Tokens, float], Exchange[RefreshOutcome]] | None = None
    sign_in_url: Callable[[Any, str], str] | None = None
    redeem: Callable[[Any, str, float], Exchange[RefreshOutcome]] | None = None
    tokens_from: Callable[[Any], Tokens | None] | None = None
    spare: Callable[[Any], Tokens | None] | None = None
    by_mail: MailedCode | None = None
    lapses: Callable[[Tokens], float | None] = lambda tokens: None
    allowance: Budget | None = None
    unattended: bool = False
    login: Callable[[Any], str] = field(default=lambda settings: "")  # connections with one login share its tokens


class Remark(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something to say about an account (`koppel doctor`).

    ok: looked at and well · note: worth knowing · attention: somebody must act, as `remedy` says. `code` is ours and stable;
    `ends_at` (epoch seconds) is when something stops working by itself: a token, a licence.
    """

    level: Literal["ok", "note", "attention"]
    code: str
    text: str
    remedy: str = ""
    ends_at: float | None = None


# --- limits and verdicts ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Budget:
    """One allowance as the vendor counts it. `key` scopes a request to an account of that allowance, or None when it is
    not counted. Windows are the vendor's: clock minute, clock hour, clock day (in `zone`), calendar month."""

    name: str
    limit: int
    window: Literal["second", "minute", "hour", "day", "month"]
    key: Callable[[Request], str | None]
    counts: Literal["calls", "errors"] = "calls"
    reserve: int = 0  # kept for interactive work
    zone: str = "UTC"


class BudgetReading(msgspec.Struct, frozen=True):
    """What a response said of an allowance; it corrects our own count."""

    name: str
    key: str
    remaining: int
    limit: int
    reset_at: float


class Verdict(msgspec.Struct, frozen=True):
    """What a response means to whoever sent it, by what must be done.

    ok: the exchange reads it (business refusals included) · throttled: surely no effect, again at `retry_at` (None: ask the
    budgets) · unavailable: again at `retry_at`, unless it carried operations · sign_in: the token is not accepted ·
    setup: a right, scope or licence is missing. `budget` names the allowance that was exceeded.
    """

    kind: Literal["ok", "throttled", "unavailable", "sign_in", "setup"]
    problem: Problem | None = None
    retry_at: float | None = None
    budget: str | None = None
    counts_as_error: bool = False


def _no_readings(request: Request, response: Response, as_of: float) -> tuple[BudgetReading, ...]:
    return ()


def _no_metadata(site: Site) -> Exchange[tuple[Field, ...]]:
    return ()
    yield  # pragma: no cover


def _no_accounts(site: Site) -> Exchange[tuple[tuple[str, str], ...]]:
    return ()
    yield  # pragma: no cover


def _no_status(site: Site) -> Exchange[tuple[Remark, ...]]:
    return ()
    yield  # pragma: no cover


@dataclass(frozen=True, kw_only=True)
class Anything:
    """Every resource of a system by the vendor's own name, for people and for what no entity covers (decision 20).

    `kinds` lists them and costs nothing. `read` gives a page; `Sheet.next` names the following one. `prepare` only reads: it
    checks a draft whole and raises UsageError before anything could be sent. `write` sends one prepared write, once, for the
    operation id given; `read_back` says what was kept of one that is done, `look` what can be seen of one whose answer was lost.
    """

    kinds: Callable[[Any], tuple[Kind, ...]]
    describe: Callable[[Site, str], Exchange[Described]]
    read: Callable[[Site, Question], Exchange[Sheet]]
    prepare: Callable[[Site, Draft], Exchange[Prepared]] | None = None
    write: Callable[[Site, Prepared, str], Exchange[Written]] | None = None
    read_back: Callable[[Site, Prepared, Written], Exchange[Written]] | None = None
    look: Callable[[Site, Prepared], Exchange[Trace]] | None = None


@dataclass(frozen=True, kw_only=True)
class System:
    """A product we can talk to. `settings` is a msgspec struct the set-up form is drawn from (field `metadata` carries
    title, secret, choices); `sandbox` is a dotted name `module:function`, loaded only when served. `metadata` lists the
    vendor-own fields this account really has; `accounts` lists what one login can reach as (id, title), e.g. divisions;
    `status` says what is worth knowing of this account before anything is read (rights, ends of tokens), at no cost.
    `fields_first`: what `metadata` says is worth asking before writing (once a day), because the vendor answers a field it
    lacks with a failure; `metadata` then lists canonical fields too, as the sign that the account really described them. `tailored` makes the system of one account, where settings say what it offers (a described REST API): ask `for_settings`.
    `anything`: all its resources can be read, and perhaps written, by the vendor's names.
    """

    name: str
    title: str
    settings: type[msgspec.Struct]
    resources: tuple[Resource, ...]
    auth: Auth
    verdict: Callable[[Request, Response, float], Verdict]
    budgets: tuple[Budget, ...] = ()
    readings: Callable[[Request, Response, float], tuple[BudgetReading, ...]] = _no_readings
    metadata: Callable[[Site], Exchange[tuple[Field, ...]]] = _no_metadata
    accounts: Callable[[Site], Exchange[tuple[tuple[str, str], ...]]] = _no_accounts
    status: Callable[[Site], Exchange[tuple[Remark, ...]]] = _no_status
    hosts: Callable[[Any], tuple[str, ...]] = field(default=lambda settings: ())
    ca_bundle: Callable[[Any], str | None] = field(default=lambda settings: None)
    sandbox: str | None = None
    fields_first: bool = False
    tailored: Callable[[Any], System] | None = None
    anything: Anything | None = None
    spi: int = SPI_VERSION

    def for_settings(self, settings: Any) -> System:
        """The system as an account with these settings has it: itself, unless its settings say what it offers."""
        return self.tailored(settings) if self.tailored else self

    def resource(self, name: str) -> Resource:
        """The resource of that name. Raises KeyError."""
        for resource in self.resources:
            if resource.name == name:
                return resource
        raise KeyError(name)


def drive(exchange: Exchange[T], answer: Callable[[Call], Reply]) -> T:
    """Run an exchange against a plain function: for tests and for sandboxes in the same process."""
    try:
        call = next(exchange)
        while True:
            call = exchange.send(answer(call))
    except StopIteration as done:
        return done.value
