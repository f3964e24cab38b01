"""A workspace on sandboxes: a real folder, a real SQLite file, real HTTP over loopback, made-up vendors and a clock that follows.

What a customer would have after set-up: connections `register` (kvk) and `books-nl` (exact, its first division), the ready-made
flow `kvk-exact`, signed in. The demo, the torture and tests stand on it; whatever people and vendors do is done through it.
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
SYSTEMS = ("exact", "kvk")


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

    def account(self, kvk: str) -> dict[str, Json]:
        """The first debtor in the books with that KVK number. Raises LookupError."""
        found = self.accounts(kvk)
        if not found:
            raise LookupError(f"nobody in the books carries {kvk}")
        return found[0]

    def accounts(self, kvk: str | None = None) -> list[dict[str, Json]]:
        """Debtors in the books, all or those with a KVK number, by code."""
        return list(self.exact("accounts", **({} if kvk is None else {"kvk": kvk}))["accounts"])

    def fault(self, **fault: Any) -> int:
        """Arm a fault (see `koppel.sandbox.host.Fault`)."""
        return self.host.add_fault(Fault(**fault))

    def calls(self) -> dict[str, int]:
        """Calls so far, per system, as the sandboxes counted them."""
        return {name: entry["total"] for name, entry in self.host.calls()["systems"].items()}

    def writes(self) -> int:
        """Writes that took effect in the books so far, whoever's program made them."""
        return int(self.exact("writes")["count"])

    def duplicates(self) -> int:
        """KVK numbers that a program created twice, or created beside one that was there."""
        counted = self.exact("duplicates")
        return int(counted["count"]) + len(counted["existing"])

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
) -> Generator[Stand, None, None]:
    """Set everything up while the block runs; a `folder` is kept, a temporary one is removed.

    `prepare` may change the made-up world before Koppel sees any of it. Raises UsageError when the folder holds a workspace.
    """
    host = build(seed=seed, companies=companies, names=SYSTEMS)
    if prepare is not None:
        prepare(host)
    with running(host) as base_url, _folder(folder) as path, sign_up(host, base_url, path, actor, tell) as workspace:
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
    host: SandboxHost, base_url: str, folder: Path, actor: str = "koppel", tell: Callable[[str], None] = _silent
) -> Workspace:
    """Make a workspace for sandboxes served at `base_url`, as a customer would: init, connect twice, sign in, copy the flow."""
    told = contract(host, base_url)["systems"]
    Workspace.create(folder, name="demo").close()
    file = folder / WORKSPACE_FILE
    clock = f'clock = "{base_url}/_sandbox/clock"   # real accounts use real time: remove this line\n'
    file.write_text(file.read_text(encoding="utf-8") + clock, encoding="utf-8")
    workspace = Workspace.open(folder, tell=tell, actor=actor)
    exact, kvk = told["exact"], told["kvk"]
    workspace.connect(REGISTER, system="kvk", settings={"base_url": kvk["base_url"], "apikey": kvk["apikey"]})
    app = {name: exact[name] for name in ("base_url", "client_id", "client_secret", "redirect_uri")}
    workspace.connect(BOOKS, system="exact", settings=app | {"division": exact["divisions"][0]})
    workspace.add_flow(FLOW, {"register": REGISTER, "books-nl": BOOKS})
    workspace.sign_in(BOOKS, exact["authorization_code"])
    return workspace
