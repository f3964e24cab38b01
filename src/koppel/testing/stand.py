"""A workspace on sandboxes: a real folder, a real SQLite file, real HTTP over loopback, made-up vendors and a clock that follows.

What a customer would have after set-up: connections `register` (kvk) and `books-nl` (exact, its first division), the ready-made
flow `kvk-exact`, signed in. Asked for, also `debtors-afas` (afas, production) with the flow `kvk-afas`, and the register's
change signals. The demo, the torture and tests stand on it; whatever people and vendors do is done through it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from koppel.app import Workspace
from koppel.config.workspace_file import FILE as WORKSPACE_FILE
from koppel.model.values import Json
from koppel.sandbox.host import Fault, SandboxHost, build, contract
from koppel.sandbox.server import running

REGISTER, BOOKS, FLOW = "register", "books-nl", "kvk-exact"
DEBTORS, AFAS_FLOW = "debtors-afas", "kvk-afas"
SYSTEMS = ("exact", "kvk")
ERPS = ("exact", "afas")
# What a customer with a subscription to the Mutatieservice adds to a flow: a successor that is registered, not proposed.
SUCCESSORS = """[enrich]
successor = {{ from = "{register}:signals", by = "kvk", gives = ["successor"] }}

"""


def _silent(_text: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True, kw_only=True)
class Stand:
    """Handles to both sides of the wire: the workspace, and the host of the sandboxes it talks to."""

    host: SandboxHost
    base_url: str
    folder: Path
    workspace: Workspace
    division: int

    def kvk(self, action: str, **body: Json) -> dict[str, Json]:
        """Let the register's clerks act. Raises ValueError."""
        return self.host.control("kvk", action, body)

    def exact(self, action: str, **body: Json) -> dict[str, Json]:
        """Let people act in the books. Raises ValueError."""
        return self.host.control("exact", action, body)

    def afas(self, action: str, **body: Json) -> dict[str, Json]:
        """Let people act in Profit. Raises ValueError."""
        return self.host.control("afas", action, body)

    def account(self, kvk: str) -> dict[str, Json]:
        """The first debtor in the books with that KVK number. Raises LookupError."""
        found = self.accounts(kvk)
        if not found:
            raise LookupError(f"nobody in the books carries {kvk}")
        return found[0]

    def accounts(self, kvk: str | None = None) -> list[dict[str, Json]]:
        """Debtors in the books, all or those with a KVK number, by code."""
        return list(self.exact("accounts", **({} if kvk is None else {"kvk": kvk}))["accounts"])

    def debtor(self, kvk: str) -> dict[str, Json]:
        """The first debtor in Profit with that KVK number. Raises LookupError."""
        found = self.debtors(kvk)
        if not found:
            raise LookupError(f"no debtor in Profit carries {kvk}")
        return found[0]

    def debtors(self, kvk: str | None = None) -> list[dict[str, Json]]:
        """Debtors in Profit, all or those with a KVK number, by number."""
        return list(self.afas("debtors", **({} if kvk is None else {"kvk": kvk}))["debtors"])

    @property
    def erps(self) -> tuple[str, ...]:
        """The systems that are written to here."""
        return tuple(name for name in ERPS if name in self.host.sandboxes)

    def fault(self, **fault: Any) -> int:
        """Arm a fault (see `koppel.sandbox.host.Fault`)."""
        return self.host.add_fault(Fault(**fault))

    def calls(self) -> dict[str, int]:
        """Calls so far, per system, as the sandboxes counted them."""
        return {name: entry["total"] for name, entry in self.host.calls()["systems"].items()}

    def writes(self, *erps: str) -> int:
        """Writes that took effect so far in these ERPs, or in all of them, whoever's program made them."""
        return sum(int(self.host.control(erp, "writes", {})["count"]) for erp in erps or self.erps)

    def duplicates(self) -> int:
        """KVK numbers that a program created twice, or created beside one that was there; in each ERP by itself."""
        counted = [self.host.control(erp, "duplicates", {}) for erp in self.erps]
        return sum(int(found["count"]) + len(found["existing"]) for found in counted)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.host.clock.advance(seconds)

    def reopen(self, *, tell: Callable[[str], None] = _silent, actor: str | None = None) -> Workspace:
        """The same workspace once more, as another process would open it; the caller closes it."""
        return Workspace.open(self.folder, tell=tell, actor=actor)


@contextmanager
def stand(
    folder: Path | None = None,
    *,
    seed: int = 1,
    companies: int = 40,
    actor: str = "koppel",
    tell: Callable[[str], None] = _silent,
    prepare: Callable[[SandboxHost], object] | None = None,
    afas: bool = False,
    signals: bool = False,
    database: str | None = None,
) -> Generator[Stand, None, None]:
    """Set everything up while the block runs; a `folder` is kept, a temporary one is removed.

    `afas` adds AFAS Profit and its flow; `signals` reads what the register says has changed, and names successors by it.
    `database` is the address of another store than a file in the folder.
    `prepare` may change the made-up world before Koppel sees any of it. Raises UsageError when the folder holds a workspace.
    """
    host = build(seed=seed, companies=companies, names=(*SYSTEMS, *(("afas",) if afas else ())))
    if prepare is not None:
        prepare(host)
    with (
        running(host) as base_url,
        _folder(folder) as path,
        sign_up(host, base_url, path, actor, tell, signals=signals, database=database) as workspace,
    ):
        division = int(workspace.config.connections[BOOKS].settings["division"])
        yield Stand(host=host, base_url=base_url, folder=path, workspace=workspace, division=division)


@contextmanager
def _folder(kept: Path | None) -> Generator[Path, None, None]:
    if kept is not None:
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="koppel-", ignore_cleanup_errors=True) as made:
        yield Path(made) / "workspace"


def sign_up(
    host: SandboxHost,
    base_url: str,
    folder: Path,
    actor: str = "koppel",
    tell: Callable[[str], None] = _silent,
    *,
    signals: bool = False,
    database: str | None = None,
) -> Workspace:
    """Make a workspace for sandboxes served at `base_url`, as a customer would: init, connect, sign in, copy the flows."""
    told = contract(host, base_url)["systems"]
    Workspace.create(folder, name="demo", database=database).close()
    file = folder / WORKSPACE_FILE
    clock = f'clock = "{base_url}/_sandbox/clock"   # real accounts use real time: remove this line\n'
    file.write_text(file.read_text(encoding="utf-8") + clock, encoding="utf-8")
    workspace = Workspace.open(folder, tell=tell, actor=actor)
    exact, kvk = told["exact"], told["kvk"]
    register = {"base_url": kvk["base_url"], "apikey": kvk["apikey"]} | ({"signals": True} if signals else {})
    workspace.connect(REGISTER, system="kvk", settings=register)
    app = {name: exact[name] for name in ("base_url", "client_id", "client_secret", "redirect_uri")}
    workspace.connect(BOOKS, system="exact", settings=app | {"division": exact["divisions"][0]})
    flows = [workspace.add_flow(FLOW, {"register": REGISTER, "books-nl": BOOKS})]
    if "afas" in told:
        profit = {name: told["afas"][name] for name in ("base_url", "client_id", "client_secret")}
        workspace.connect(DEBTORS, system="afas", settings=profit)
        flows.append(workspace.add_flow(AFAS_FLOW, {"register": REGISTER, "profit": DEBTORS}))
    if signals:
        for flow in flows:
            _name_successors(flow)
        workspace.close()
        workspace = Workspace.open(folder, tell=tell, actor=actor)
    workspace.sign_in(BOOKS, exact["authorization_code"])
    return workspace


def _name_successors(flow: Path) -> None:
    """Edit a flow as a customer would: a successor comes from the signals."""
    text = flow.read_text(encoding="utf-8")
    flow.write_text(text.replace("[create]", SUCCESSORS.format(register=REGISTER) + "[create]", 1), encoding="utf-8")
