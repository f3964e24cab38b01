"""An erased person is named nowhere: every cell of the database, opened with the workspace's own keys, and every file."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from koppel.model.problem import SetupError
from koppel.store import trail
from koppel.store.tables import metadata

ME = "piet@zwaluwstaart.example"


def cells(db) -> Iterator[tuple[str, str]]:
    """Every text of every table, with where it lies; sealed ones as they read, which whoever holds the key can do."""
    for table in metadata.sorted_tables:
        columns = [column.name for column in table.columns]
        for row in db.rows(f"select {', '.join(columns)} from {table.name}"):
            texts = [value for value in row if isinstance(value, str)]
            abouts = dict.fromkeys(["", "work", "answer", "trail", *texts, *(f"{a} {b}" for a in texts for b in texts)])
            for column, value in zip(columns, row, strict=True):
                where = f"{table.name}.{column}"
                if isinstance(value, str):
                    yield where, value
                    yield from ((where, text) for text in opened(db, value, abouts))
    for entry in trail.read(db, limit=100_000):
        yield f"trail.data ({entry.kind})", str(entry.data)


def opened(db, value: str, abouts) -> Iterator[str]:
    try:
        if len(value) < 40 or len(base64.b64decode(value, validate=True)) < 28:
            return
    except ValueError:
        return
    for about in abouts:
        try:
            yield db.vault.unseal(value, about=about).decode("utf-8", "replace")
        except SetupError:
            continue
        return


def naming(at, *secrets: str) -> set[str]:
    """Where any of these stands: columns of the database, and files."""
    wanted = [secret.casefold() for secret in secrets]
    found = {
        where
        for where, text in at.workspace.store.run(lambda db: list(cells(db)))
        if any(secret in text.casefold() for secret in wanted)
    }
    for path in at.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes().decode("utf-8", "replace").casefold()
            found |= {str(path.relative_to(at.folder)) for secret in wanted if secret in content}
    return found


@pytest.fixture
def trader(at, koppel):
    """A sole trader, linked with a debtor in the books, to whom somebody gave an e-mail address."""
    company = next(c for c in at.host.world.companies if c.kind == "eenmanszaak" and c.in_erp == "kvk")
    assert koppel("add", company.kvk, "--to", "books-nl").code in (0, 1)
    at.exact("edit", id=at.account(company.kvk)["ID"], set={"Email": ME})
    assert koppel("sync", "kvk-exact").code in (0, 1)
    return company


def lived(at, koppel, trader, what: str) -> None:
    """What may have happened to a person before they ask."""
    left, right = f"register:companies:{trader.kvk}", f"books-nl:accounts:{at.account(trader.kvk)['ID']}"
    other = next(a for a in at.accounts() if a.get("ChamberOfCommerce") not in (None, trader.kvk))
    if what == "unlinked":
        assert koppel("unlink", left, right).code == 0
    if what == "merged with somebody else by mistake":
        assert koppel("add", other["ChamberOfCommerce"], "--to", "books-nl").code in (0, 1)
        assert koppel("merge", f"register:companies:{other['ChamberOfCommerce']}", left, "--as-follower").code == 0
        assert koppel("split", left, right).code == 0
    if what == "deleted in the books":
        at.exact("delete", kvk=trader.kvk)
        koppel("sync", "kvk-exact")
    if what == "written about":
        at.exact("edit", id=at.account(trader.kvk)["ID"], set={"Name": "Iets anders"})
        for command, file in (("plan", "plan.json"), ("reconcile", "report.csv"), ("reconcile", "report.html")):
            assert koppel(command, "kvk-exact", "--out", str(at.folder / file)).code in (0, 1)


@pytest.mark.parametrize(
    "what", ["nothing", "written about", "unlinked", "merged with somebody else by mistake", "deleted in the books"]
)
def test_an_erased_person_is_named_in_no_cell_and_no_file(trader, koppel, at, what):
    secrets = (ME, trader.name, trader.kvk)
    lived(at, koppel, trader, what)
    everywhere = naming(at, *secrets)
    assert {"observations.native", "observations.vals", "trail.data (linked)"} <= everywhere
    done = koppel("privacy", "erase", f"register:companies:{trader.kvk}", "--yes", "--json")
    assert done.json["outcome"] == "erase"
    files = {"plan.json", "report.csv", "report.html"} if what == "written about" else set()
    assert set(done.json["files"]) == naming(at, *secrets) == files
    assert koppel("audit", "verify").code == 0
