"""The acceptance file: what it may say, and reading it. Every word it does not know is an error with file and line."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from koppel.mapping.positions import KeyPath, Positions, locate
from koppel.model.problem import UsageError
from koppel.model.values import Json
from koppel.sandbox.host import Fault

FORMAT = 1
Name = Annotated[str, msgspec.Meta(min_length=1)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table whose every key is known."""


class _Verb(_Strict, frozen=True, tag_field="verb"):
    """Something that is done in a step."""


# --- the world before the first step ------------------------------------------------------------------------------


class Account(_Strict, frozen=True, kw_only=True):
    """One connection: its settings are what the sandbox tells (`take` names them; default: all that fit), then `set`.

    `environment` chooses one of several that a sandbox serves.
    """

    system: Name
    environment: str | None = None
    take: tuple[str, ...] = ()
    set: dict[str, Json] = {}


class Edit(_Strict, frozen=True, kw_only=True):
    """An edit of a flow's text: `find` must stand in it exactly once."""

    find: Name
    put: str


class FlowText(_Strict, frozen=True, kw_only=True):
    """A ready-made flow with names filled in, edits, and lines added at its end (such as `[enrich]`)."""

    ready_made: Name
    connections: dict[str, str]
    edits: tuple[Edit, ...] = ()
    append: str = ""


class Fixtures(_Strict, frozen=True, kw_only=True):
    """The made-up world, its clock (`start`, wall clock of the Netherlands) and the workspace."""

    seed: int
    companies: Annotated[int, msgspec.Meta(ge=1)]
    start: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\d \d\d:\d\d$")]
    connections: dict[str, Account]
    flows: tuple[FlowText, ...]
    prepare: tuple[Action, ...] = ()


# --- what is done ---------------------------------------------------------------------------------------------------


class TakeIn(_Verb, frozen=True, tag="take_in"):
    """Numbers, as people type them, are handed to flows (default: all)."""

    numbers: tuple[str, ...]
    flows: tuple[str, ...] = ()


class Sync(_Verb, frozen=True, tag="sync"):
    """`koppel sync`: flows in one go (default: all). `now` passes their windows, `refresh` looks everything up anew."""

    flows: tuple[str, ...] = ()
    refresh: bool = False
    now: bool = False
    allow: tuple[str, ...] = ()


class PlanApply(_Verb, frozen=True, tag="plan_apply"):
    """`koppel plan -o`, then `koppel apply` of exactly that."""

    flow: Name
    allow: tuple[str, ...] = ()


class KillAt(_Verb, frozen=True, tag="kill_at"):
    """A run in a process of its own that ends itself with SIGKILL when it comes by a named point for the nth time."""

    flow: Name
    point: Name
    nth: int = 1


class RegisterEdit(_Verb, frozen=True, tag="register_edit"):
    """The register's clerks change a company."""

    kvk: Name
    set: dict[str, Json]


class RegisterEnd(_Verb, frozen=True, tag="register_end"):
    """A company ends, perhaps continued under another number."""

    kvk: Name
    successor: str | None = None


class RegisterShield(_Verb, frozen=True, tag="register_shield"):
    """A company's address is shielded from now on."""

    kvk: Name


class RegisterUnavailable(_Verb, frozen=True, tag="register_unavailable"):
    """A registration is being worked on and cannot be given."""

    kvk: Name
    code: str = "IPD1002"
    seconds: float = 600


class PersonEdits(_Verb, frozen=True, kw_only=True, tag="person_edits"):
    """A person overtypes fields of a record, by the vendor's names."""

    at: Name
    kvk: str | None = None
    where: dict[str, Json] = {}
    set: dict[str, Json]


class PersonAdds(_Verb, frozen=True, tag="person_adds"):
    """A person makes a record."""

    at: Name
    set: dict[str, Json]


class PersonDeletes(_Verb, frozen=True, tag="person_deletes"):
    """A person removes a record."""

    at: Name
    kvk: Name


class Vendor(_Verb, frozen=True, tag="vendor"):
    """Anything else a vendor, or a person there, does: an action of the connection's sandbox."""

    at: Name
    action: Name
    body: dict[str, Json] = {}


class ArmFault(_Verb, frozen=True, tag="fault"):
    """Something goes wrong on the wire for the next calls that match; see the sandboxes' faults."""

    fault: Fault


class ClearFaults(_Verb, frozen=True, tag="clear_faults"):
    """The wire is well again."""


class Outage(_Verb, frozen=True, tag="outage"):
    """A vendor answers 503 for so long."""

    at: Name
    seconds: Annotated[float, msgspec.Meta(gt=0)]
    path: str | None = None


class AdvanceClock(_Verb, frozen=True, tag="advance_clock"):
    """Time passes: so many seconds, or until the wall clock shows `until` (HH:MM) next."""

    seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None
    until: Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None = None

    def __post_init__(self) -> None:
        if (self.seconds is None) == (self.until is None):
            raise ValueError("give either `seconds` or `until`")


class ViesInvalidate(_Verb, frozen=True, tag="vies_invalidate"):
    """A tax office withdraws a VAT number."""

    vat: Name


class ViesValidate(_Verb, frozen=True, tag="vies_validate"):
    """A tax office gives out a VAT number."""

    vat: Name


class ViesOutage(_Verb, frozen=True, tag="vies_outage"):
    """A member state's register does not answer VIES; without `seconds` until it is lifted."""

    country: Name = "NL"
    seconds: float | None = None


class ViesLift(_Verb, frozen=True, tag="vies_lift"):
    """It answers again."""

    country: Name = "NL"


class Decide(_Verb, frozen=True, tag="decide"):
    """A person answers the one open question of a flow that is about this record or holds this text."""

    flow: Name
    about: Name
    answer: Json


class Retry(_Verb, frozen=True, tag="retry"):
    """`koppel parked retry`."""


Action: TypeAlias = (
    TakeIn
    | Sync
    | PlanApply
    | KillAt
    | RegisterEdit
    | RegisterEnd
    | RegisterShield
    | RegisterUnavailable
    | PersonEdits
    | PersonAdds
    | PersonDeletes
    | Vendor
    | ArmFault
    | ClearFaults
    | Outage
    | AdvanceClock
    | ViesInvalidate
    | ViesValidate
    | ViesOutage
    | ViesLift
    | Decide
    | Retry
)
VERBS = tuple(kind.__struct_config__.tag for kind in Action.__args__)


# --- what must be seen ----------------------------------------------------------------------------------------------


State = Literal["done", "stopped", "failed", "waiting", "killed", "SignInNeeded", "SetupError", "RetryLater"]


class Counts(_Strict, frozen=True, kw_only=True):
    """What a step brought, from the trail; `refused` by the vendor, `turned_away`: numbers with a reason."""

    created: int | None = None
    updated: int | None = None
    archived: int | None = None
    linked: int | None = None
    unlinked: int | None = None
    asked: int | None = None
    parked: int | None = None
    refused: int | None = None
    turned_away: int | None = None


class CallCount(_Strict, frozen=True, kw_only=True):
    """Calls to a connection's system in this step, those whose path holds `path` (ids read `{id}`)."""

    at: Name
    path: str = ""
    method: str | None = None
    exactly: int | None = None
    at_most: int | None = None

    def __post_init__(self) -> None:
        if (self.exactly is None) == (self.at_most is None):
            raise ValueError("give either `exactly` or `at_most`")


class Records(_Strict, frozen=True, kw_only=True):
    """Records as the vendor holds them now, by KVK number; `where` narrows by fields.

    `count`: how many there are. Of each: `fields` have these values, `absent` are empty, `kept` are as before the step.
    A dot goes into a nested table: `Adr.Ad`.
    """

    at: Name
    kvk: Name
    where: dict[str, Json] = {}
    count: int | None = None
    fields: dict[str, Json] = {}
    absent: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


class Told(_Strict, frozen=True, kw_only=True):
    """`koppel why` of a record must say this."""

    ref: Name
    field: str | None = None
    says: Name


class OpenWork(_Strict, frozen=True, kw_only=True):
    """What lies open for people after the step, in all flows."""

    asks: int | None = None
    parked: int | None = None


class Expect(_Strict, frozen=True, kw_only=True):
    """What must be seen after a step. What is not listed is not looked at, but see `runner`: some things always are."""

    state: dict[str, State] = {}
    counts: dict[str, Counts] = {}
    writes: dict[str, int] = {}
    calls: tuple[CallCount, ...] = ()
    records: tuple[Records, ...] = ()
    open: OpenWork = OpenWork()
    says: tuple[str, ...] = ()
    nowhere: tuple[Annotated[str, msgspec.Meta(min_length=4)], ...] = ()
    why: tuple[Told, ...] = ()


class Step(_Strict, frozen=True, kw_only=True):
    """One step: in words, what is done, what must be seen."""

    words: Name
    do: tuple[Action, ...]
    expect: Expect


class _Document(_Strict, frozen=True, kw_only=True):
    acceptance: Literal[1]
    title: Name
    about: str = ""
    fixtures: Fixtures
    step: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1)]


class Script(msgspec.Struct, frozen=True):
    """A file, read and checked; `lines` says where each step begins."""

    file: str
    title: str
    about: str
    fixtures: Fixtures
    steps: tuple[Step, ...]
    lines: tuple[int, ...]


# --- reading ----------------------------------------------------------------------------------------------------------


def read_script(path: Path) -> Script:
    """Read an acceptance file. Raises UsageError with file and line for anything it must not say."""
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", remedy="Name an acceptance file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}.", remedy="Mend the file.") from None
    places = locate(text, file=str(path))
    try:
        read = msgspec.convert(document, _Document)
    except msgspec.ValidationError as error:
        raise _misread(path, places, str(error)) from None
    _names_exist(path, places, read)
    lines = tuple(places.key("step", number).line for number in range(len(read.step)))
    return Script(str(path), read.title, read.about, read.fixtures, read.step, lines)


_PART = re.compile(r"\.(\w[\w-]*)|\[(\d+|\.\.\.)\]")
_WHERE = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?`?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")


def _misread(path: Path, places: Positions, said: str) -> UsageError:
    match = _WHERE.match(said)
    assert match is not None
    at: list[str | int] = []
    for name, number in _PART.findall(match["path"] or ""):
        if number == "...":
            break
        at.append(name or int(number))
    what = match["what"]
    unknown = _UNKNOWN.search(what)
    if unknown:
        at.append(unknown[1])
        what = f"nothing here is called {unknown[1]!r}"
    elif at and at[-1] == "verb":
        what = f"{what[:1].lower()}{what[1:]}; the verbs are {', '.join(VERBS)}"
    return _error(path, places, tuple(at), what)


def _error(path: Path, places: Positions, at: KeyPath, what: str) -> UsageError:
    place = places.value(*at)
    return UsageError(f"{path}:{place.line}:{place.column}: {what}.", remedy="Mend the file.")


def _names_exist(path: Path, places: Positions, read: _Document) -> None:
    """Flows and connections that steps speak of are those of the fixtures. Raises UsageError."""
    flows = {flow.ready_made for flow in read.fixtures.flows}
    connections = set(read.fixtures.connections)

    def known(names: Any, among: set[str], kind: str, at: KeyPath) -> None:
        for name in names:
            if name not in among:
                raise _error(path, places, at, f"there is no {kind} {name!r}; there are {', '.join(sorted(among))}")

    for number, flow in enumerate(read.fixtures.flows):
        known(flow.connections.values(), connections, "connection", ("fixtures", "flows", number, "connections"))
    for number, action in enumerate(read.fixtures.prepare):
        if isinstance(action, (TakeIn, Sync, PlanApply, KillAt, Decide, Retry)):
            raise _error(path, places, ("fixtures", "prepare", number), "before the first step no flow runs")
    for number, step in enumerate(read.step):
        here: KeyPath = ("step", number)
        for place, action in enumerate(step.do):
            named = getattr(action, "flows", None) or [name for name in [getattr(action, "flow", None)] if name]
            known(named, flows, "flow", (*here, "do", place))
            known([name for name in [getattr(action, "at", None)] if name], connections, "connection", (*here, "do", place))  # fmt: skip
        expect = step.expect
        known(expect.state, flows, "flow", (*here, "expect", "state"))
        known(expect.counts, flows, "flow", (*here, "expect", "counts"))
        known(expect.writes, connections, "connection", (*here, "expect", "writes"))
        known([call.at for call in expect.calls], connections, "connection", (*here, "expect", "calls"))
        known([one.at for one in expect.records], connections, "connection", (*here, "expect", "records"))
