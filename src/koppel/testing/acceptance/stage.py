"""The stage a script is played on: a workspace over loopback against sandboxes, and everything its verbs can do there."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from koppel.app import Workspace, read_plan, write_plan
from koppel.config.workspace_file import FILE as WORKSPACE_FILE
from koppel.config.workspace_file import FLOWS
from koppel.engine.flow import Result
from koppel.model.problem import KoppelError, UsageError
from koppel.model.values import Json
from koppel.runtime.windows import ZONE
from koppel.sandbox.host import Fault, SandboxHost, build, contract
from koppel.sandbox.server import running
from koppel.systems import registry
from koppel.testing.acceptance import script as words
from koppel.testing.acceptance.script import Account, Action, Fixtures

# Where a sandbox lists its records, under which key, and what narrows it to one connection: (action, key, setting).
LISTS = {"exact": ("accounts", "accounts", "division"), "afas": ("debtors", "debtors", "environment")}
ID = {"exact": "ID", "afas": "DbId"}
ENDLESS = 1_000_000
CHILD_SECONDS = 120.0


class Ran(msgspec.Struct, frozen=True):
    """One run as it ended: a result's state, an error's family, or `killed`."""

    flow: str
    state: str
    message: str = ""
    turned_away: int = 0
    next_at: float | None = None


@dataclass(kw_only=True)
class Stage:
    """The workspace, the sandboxes, and what was said so far in the present step."""

    host: SandboxHost
    base_url: str
    folder: Path
    workspace: Workspace
    fixtures: Fixtures
    told: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)

    # --- looking ------------------------------------------------------------------------------------------------------

    def system(self, connection: str) -> str:
        """The system of a connection."""
        return self.fixtures.connections[connection].system

    def place(self, connection: str) -> dict[str, Json]:
        """What narrows a sandbox's actions to this connection's books."""
        setting = LISTS.get(self.system(connection), ("", "", ""))[2]
        if setting == "environment":
            return {"environment": self.fixtures.connections[connection].environment or "production"}
        if setting == "division":
            return {"division": int(self.workspace.config.connections[connection].settings["division"])}
        return {}

    def rows(self, connection: str, kvk: str | None = None) -> list[dict[str, Json]]:
        """Records in the vendor's books: all, or those with a KVK number. Raises UsageError for a vendor without books."""
        system = self.system(connection)
        if system not in LISTS:
            raise UsageError(f"{connection} ({system}) holds no records that could be looked at.")
        action, key, _ = LISTS[system]
        return list(self.host.control(system, action, {**self.place(connection), **({"kvk": kvk} if kvk else {})})[key])

    def writes(self) -> dict[str, int]:
        """Writes that took effect so far, by connection."""
        found: dict[str, int] = {}
        for name, account in self.fixtures.connections.items():
            if account.system not in LISTS:
                continue
            told = self.host.control(account.system, "writes", {})
            place = self.place(name)
            found[name] = sum(1 for write in told["writes"] if all(write.get(k) == v for k, v in place.items()))
        return found

    def now_text(self) -> str:
        """The wall clock."""
        return datetime.fromtimestamp(self.host.clock.now(), ZONE).strftime("%Y-%m-%d %H:%M")

    # --- doing --------------------------------------------------------------------------------------------------------

    def act(self, action: Action) -> None:
        """Do one thing. Raises UsageError for what the sandbox does not take."""
        try:
            self._act(action)
        except ValueError as error:
            raise UsageError(f"{type(action).__struct_config__.tag}: {error}.") from None

    def _act(self, action: Action) -> None:
        host = self.host
        match action:
            case words.TakeIn():
                for flow in action.flows or self.flows:
                    added = self.workspace.take(action.numbers, to=flow)
                    self.told += [*added.refused.values(), *(f"{n}: {note}" for n, note in added.notes.items())]
            case words.Sync():
                self.sync(action.flows, refresh=action.refresh, now=action.now, allow=action.allow)
            case words.PlanApply():
                self._guarded(action.flow, lambda: self._plan_apply(action))
            case words.KillAt():
                self._kill(action)
            case words.RegisterEdit():
                host.control("kvk", "edit", {"kvk": action.kvk, "set": action.set})
            case words.RegisterEnd():
                host.control("kvk", "end", {"kvk": action.kvk, "successor": action.successor})
            case words.RegisterShield():
                host.control("kvk", "shield", {"kvk": action.kvk})
            case words.RegisterUnavailable():
                host.control("kvk", "unavailable", {"kvk": action.kvk, "code": action.code, "seconds": action.seconds})
            case words.PersonEdits():
                self._person_edits(action)
            case words.PersonAdds():
                host.control(self.system(action.at), "add", {**self.place(action.at), "set": action.set})
            case words.PersonDeletes():
                host.control(self.system(action.at), "delete", {**self.place(action.at), "kvk": action.kvk})
            case words.Vendor():
                host.control(self.system(action.at), action.action, action.body)
            case words.ArmFault():
                host.add_fault(action.fault)
            case words.ClearFaults():
                host.clear_faults()
            case words.Outage():
                self._outage(action)
            case words.AdvanceClock():
                host.clock.advance(action.seconds if action.seconds is not None else self._until(action.until or ""))
            case words.ViesInvalidate():
                host.control("vies", "invalidate", {"vat": action.vat})
            case words.ViesValidate():
                host.control("vies", "validate", {"vat": action.vat})
            case words.ViesOutage():
                seconds = {} if action.seconds is None else {"seconds": action.seconds}
                host.control("vies", "outage", {"country": action.country, **seconds})
            case words.ViesLift():
                host.control("vies", "lift", {"country": action.country})
            case words.Decide():
                self.workspace.decide(self._question(action), action.answer)
            case words.Retry():
                self.workspace.retry()

    @property
    def flows(self) -> tuple[str, ...]:
        """Every flow of the workspace."""
        return tuple(sorted(self.workspace.flows))

    def sync(
        self, flows: Sequence[str] = (), *, refresh: bool = False, now: bool = False, allow: Sequence[str] = ()
    ) -> None:
        """Run flows in one go, as `koppel sync --all` does."""
        with self.workspace.together():
            for flow in flows or self.flows:
                self._guarded(
                    flow, lambda flow=flow: self.workspace.sync(flow, refresh=refresh, allow=allow, in_window=not now)
                )

    def _guarded(self, flow: str, run: object) -> None:
        assert callable(run)
        try:
            result = run()
        except UsageError:
            raise
        except KoppelError as error:
            self.ran.append(Ran(flow, type(error).__name__, str(error)))
            return
        assert isinstance(result, Result)
        turned_away = result.counts.get("refuse", 0)
        self.ran.append(Ran(flow, result.state, result.message, turned_away, result.next_at))

    def _plan_apply(self, action: words.PlanApply) -> Result:
        path = self.folder / "plan.json"
        write_plan(self.workspace.plan(action.flow), path)
        return self.workspace.apply(read_plan(path), allow=action.allow)

    def _kill(self, action: words.KillAt) -> None:
        command = [sys.executable, "-m", "koppel.testing.child", str(self.folder), action.flow, action.point, str(action.nth)]  # fmt: skip
        done = subprocess.run(command, check=False, capture_output=True, timeout=CHILD_SECONDS, text=True)  # noqa: S603 - our own module
        if done.returncode != -signal.SIGKILL:
            raise UsageError(
                f"kill_at: the run of {action.flow} never came by {action.point!r} for the {action.nth}. time; it ended by itself"
                f"{f': {done.stderr.strip()}' if done.stderr.strip() else ''}."
            )
        self.ran.append(Ran(action.flow, "killed", f"ended by SIGKILL at {action.point!r}"))

    def _person_edits(self, action: words.PersonEdits) -> None:
        rows = [row for row in self.rows(action.at, action.kvk) if holds(row, action.where)]
        if len(rows) != 1:
            raise UsageError(
                f"person_edits: {len(rows)} records of {action.at} fit {action.kvk} {action.where}, not one."
            )
        system = self.system(action.at)
        named = {"id": rows[0]["ID"]} if system == "exact" else {"debtor": rows[0]["DbId"]}
        self.host.control(system, "edit", {**self.place(action.at), **named, "set": action.set})

    def _outage(self, action: words.Outage) -> None:
        system = self.system(action.at)
        until = {"Retry-After": str(round(action.seconds))}
        fault = Fault(system=system, path=action.path, kind="status", status=503, headers=until, times=ENDLESS, lasts=action.seconds)  # fmt: skip
        self.host.add_fault(fault)

    def _until(self, clock: str) -> float:
        now = datetime.fromtimestamp(self.host.clock.now(), ZONE)
        then = now.replace(hour=int(clock[:2]), minute=int(clock[3:]), second=0, microsecond=0)
        if then <= now:
            then += timedelta(days=1)
        return then.timestamp() - now.timestamp()

    def _question(self, action: words.Decide) -> int:
        open_ = self.workspace.asks(flow=action.flow)
        found = [q for q in open_ if action.about in (q.native, q.body.get("label")) or action.about in str(q.body.get("text", ""))]  # fmt: skip
        if len(found) != 1:
            asked = "; ".join(f"{q.native}: {q.body.get('text', '')}" for q in open_) or "none"
            raise UsageError(f"decide: {len(found)} open questions are about {action.about!r}, not one. Open: {asked}")
        return found[0].id


def holds(row: dict[str, Json], wanted: dict[str, Json]) -> bool:
    """Whether a record has these values."""
    return all(value_of(row, name) == value for name, value in wanted.items())


def value_of(row: dict[str, Json], name: str) -> Json:
    """A field; a dot goes into a nested table."""
    value: Json = row
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


# --- setting it up ----------------------------------------------------------------------------------------------------


@contextmanager
def stage(fixtures: Fixtures, folder: Path | None = None) -> Generator[Stage, None, None]:
    """Everything as before the first step. `folder` is kept; without one a temporary folder is used. Raises UsageError."""
    names = sorted({account.system for account in fixtures.connections.values()})
    start = datetime.strptime(fixtures.start, "%Y-%m-%d %H:%M").replace(tzinfo=ZONE).timestamp()
    host = build(seed=fixtures.seed, companies=fixtures.companies, start=start, names=names)
    with tempfile.TemporaryDirectory(prefix="koppel-", ignore_cleanup_errors=True) as made, running(host) as base_url:
        path = folder or Path(made) / "workspace"
        told: list[str] = []
        with _signed_up(host, base_url, path, fixtures, told) as workspace:
            on = Stage(host=host, base_url=base_url, folder=path, workspace=workspace, fixtures=fixtures, told=told)
            for action in fixtures.prepare:
                on.act(action)
            host.reset_calls()
            yield on


def _signed_up(host: SandboxHost, base_url: str, folder: Path, fixtures: Fixtures, told: list[str]) -> Workspace:
    Workspace.create(folder, name="acceptance").close()
    file = folder / WORKSPACE_FILE
    clock = f'clock = "{base_url}/_sandbox/clock"\n'
    file.write_text(file.read_text(encoding="utf-8") + clock, encoding="utf-8")
    workspace = Workspace.open(folder, tell=told.append, actor="acceptance")
    contracts = contract(host, base_url)["systems"]
    for name, account in fixtures.connections.items():
        connect(workspace, name, account, contracts[account.system])
    for flow in fixtures.flows:
        file = workspace.add_flow(flow.ready_made, flow.connections)
        file.write_text(_edited(flow, file.read_text(encoding="utf-8")), encoding="utf-8")
    workspace.close()
    return Workspace.open(folder, tell=told.append, actor="acceptance")


def connect(workspace: Workspace, name: str, account: Account, told: dict[str, Json]) -> None:
    """Connect one account with what its sandbox tells. Raises UsageError, SetupError."""
    if account.environment is not None:
        told = {**told, **told["environments"][account.environment]}
    known = {setting.name for setting in msgspec.structs.fields(registry.load(account.system).settings)}
    settings = {key: told[key] for key in (account.take or sorted(known & told.keys()))}
    if account.environment is not None and "environment" in known:
        settings["environment"] = account.environment
    workspace.connect(name, system=account.system, settings=settings | account.set)
    if "authorization_code" in told:
        workspace.sign_in(name, told["authorization_code"])
    if "division" in known and "division" not in account.set:
        workspace.connect(name, settings={"division": int(workspace.accounts(name)[0][0])})


def _edited(flow: words.FlowText, text: str) -> str:
    for edit in flow.edits:
        if text.count(edit.find) != 1:
            raise UsageError(
                f"{flow.ready_made}: {edit.find!r} stands in the flow {text.count(edit.find)} times, not once."
            )
        text = text.replace(edit.find, edit.put)
    return f"{text}\n{flow.append}" if flow.append else text


def file_of(stage_: Stage, flow: str) -> Path:
    """A flow's file."""
    return stage_.folder / FLOWS / f"{flow}.toml"
