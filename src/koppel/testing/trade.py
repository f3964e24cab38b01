"""A trade to test on: a CRM and a shop, two administrations of the made-up "Voorbeeld API", described by one file.

Customers, their people, articles and orders that name them by each side's own ids, and one flow per kind of record. What people
do at either side goes through `add`, `edit` and `rows`; what Koppel does through the workspace.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from koppel.app import Workspace
from koppel.config.workspace_file import FILE as WORKSPACE_FILE
from koppel.engine.ports import NotSent
from koppel.model.values import Json
from koppel.sandbox.host import SandboxHost, build, contract
from koppel.systems.spi import NoReply, Request, Response

DESCRIPTION = (files("koppel.testing") / "trade.toml").read_text("utf-8")
INSIDE = "http://127.0.0.1:9"  # where the sandboxes are, for a workspace in the same process
TABLES = {
    "customers": "",
    "contacts": "contacten",
    "products": "artikelen",
    "orders": "orders",
    "tickets": "bonnen",
    "entries": "boekingen",
}

_FLOW = """koppel = 1
id     = "{name}"
title  = "{title}"
entity = "{entity}"
left   = "crm:{name}"
right  = "shop:{name}"

[match]
keys = [{keys}]

[create]
right = true

[run]
brakes = {{ first = false }}

[fields]
{fields}
"""


def flow(name: str, entity: str, keys: str, *fields: str) -> str:
    """A flow file from the CRM to the shop."""
    title = f"{name.capitalize()} from the CRM into the shop"
    return _FLOW.format(name=name, title=title, entity=entity, keys=keys, fields="\n".join(fields))


FLOWS = {
    "customers": flow("customers", "company", '"kvk"', 'name = { owner = "left" }', 'kvk = { owner = "left" }'),
    "contacts": flow(
        "contacts",
        "contact",
        '"email_surname"',
        'first_name = { owner = "left" }',
        'last_name = { owner = "left" }',
        'email = { owner = "left" }',
        'company = { owner = "left" }',
    ),
    "products": flow(
        "products",
        "product",
        '"sku"',
        'code = { owner = "left" }',
        'name = { owner = "left" }',
        'price = { owner = "left" }',
    ),
    "orders": flow(
        "orders",
        "order",
        '"number"',
        'number = { owner = "left" }',
        'date = { owner = "left" }',
        'customer = { owner = "left" }',
        'reference = { owner = "newest" }',
        'lines = { owner = "left" }',
    ),
}


class Inside:
    """Carries requests to sandboxes of this process, without a socket."""

    def __init__(self, host: SandboxHost) -> None:
        self.host = host

    async def send(self, request: Request, *, timeout: float) -> Response | NoReply | NotSent:  # noqa: ASYNC109
        """Send once."""
        _ = timeout
        return self.host.handle(request)


class Trade:
    """Both administrations and the workspace between them."""

    def __init__(self, host: SandboxHost, workspace: Workspace) -> None:
        self.host, self.ws = host, workspace

    def add(self, where: str, table: str, **values: Json) -> int:
        """Somebody makes a record there; returns its number."""
        return self._act(where, table, "add", set=values)["id"]

    def edit(self, where: str, table: str, number: int, **values: Json) -> None:
        """Somebody changes it."""
        self._act(where, table, "edit", id=number, set=values)

    def delete(self, where: str, table: str, number: int) -> None:
        """Somebody removes it."""
        self._act(where, table, "delete", id=number)

    def rows(self, where: str, table: str) -> list[dict[str, Any]]:
        """What is there."""
        action, word = ("relations", "relations") if table == "customers" else ("rows", "rows")
        return self._act(where, table, action)[word]

    def _act(self, where: str, table: str, action: str, **body: Json) -> dict[str, Any]:
        name = {"table": TABLES[table]} if TABLES[table] else {}
        return self.host.control("rest", action, {"administration": where, **name, **body})

    def writes(self) -> dict[str, int]:
        """Writes that reached the shop since the counters began, by table."""
        found = {
            table: self.host.count("rest", "POST", rf"/adm/shop/api/pagina/{word or 'relaties'}")
            + self.host.count("rest", "PATCH", rf"/adm/shop/api/pagina/{word or 'relaties'}")
            for table, word in TABLES.items()
        }
        return {table: number for table, number in found.items() if number}

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.host.clock.advance(seconds)

    def change_flow(self, name: str, old: str, new: str) -> None:
        """Edit a flow file. Raises LookupError when the text is not in it."""
        file = self.ws.config.path / "flows" / f"{name}.toml"
        text = file.read_text("utf-8")
        if old not in text:
            raise LookupError(f"{old!r} is not in {file.name}")
        file.write_text(text.replace(old, new), "utf-8")
        self.reopen()

    def reopen(self) -> None:
        """Open the workspace once more, as the next command would."""
        transport, folder = self.ws.transport, self.ws.config.path
        self.ws.close()
        self.ws = Workspace.open(folder, actor="koppel")
        self.ws.transport = transport


@contextmanager
def trade(folder: Path, *, base_url: str = "", host: SandboxHost | None = None) -> Generator[Trade, None, None]:
    """Set everything up in a folder. Without `base_url` the sandboxes are reached inside this process."""
    host = host or build(companies=1, names=["rest"])
    told = contract(host, base_url or INSIDE)["systems"]["rest"]
    Workspace.create(folder).close()
    file = folder / WORKSPACE_FILE
    file.write_text(f'{file.read_text("utf-8")}clock = "{base_url or INSIDE}/_sandbox/clock"\n', "utf-8")
    (folder / "trade.toml").write_text(DESCRIPTION, "utf-8")
    for name, text in FLOWS.items():
        (folder / "flows" / f"{name}.toml").write_text(text, "utf-8")
    workspace = Workspace.open(folder, actor="koppel")
    workspace.transport = None if base_url else Inside(host)
    for name in ("crm", "shop"):
        settings = {"description": "trade.toml", "base_url": f"{told['base_url']}/adm/{name}", "key": told["key"]}
        workspace.connect(name, system="rest", settings=settings)
    made = Trade(host, workspace)
    try:
        yield made
    finally:
        made.ws.close()
