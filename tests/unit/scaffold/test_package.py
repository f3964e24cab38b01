"""`koppel new-system`: what it writes is whole, says what to write next, and turns green once that is written."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from koppel.cli.main import app
from koppel.model.problem import UsageError
from koppel.scaffold.package import check_name, write_package

PAGES = """
    reply = yield wire.get(site.settings, "/companies", page=int(query.next or 1), size=query.size or CAN.page)
    body = wire.read_json(reply)
    if body is None:
        raise RetryLater("Unreadable.", at=site.as_of + 60)
    items = tuple(Item(str(row["id"]), row) for row in body["companies"])
    last = int(query.next or 1) * (query.size or CAN.page) >= body["total"]
    return Page(items=items, next=None if last else str(int(query.next or 1) + 1), complete=last)
"""
FIND = """
    found: dict[str, Finding] = {}
    for value in values:
        reply = yield wire.get(site.settings, f"/companies/{value}")
        row = wire.read_json(reply)
        if row is not None:
            found[value] = Found((Item(str(row["id"]), row),))
        elif isinstance(reply, Response) and reply.status == 404:
            found[value] = Absent()
        else:
            found[value] = Unknown(Problem("unreadable", "Unreadable.", retry_at=site.as_of + 60))
    return found
"""
DECODE = """
    return Decoded(Record(Company(name=item.fields["name"], kvk=item.fields["kvk"])))
"""


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, env=env, check=False)  # fmt: skip


def suite(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *more)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return write_package("my-shop", tmp_path)[0]


def test_the_package_has_its_parts_and_names_its_entry_point(package):
    module = package / "src" / "koppel_my_shop"
    project = tomllib.loads((package / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["entry-points"]["koppel.systems"] == {"my-shop": "koppel_my_shop:SYSTEM"}
    names = {"settings.py", "auth.py", "wire.py", "codec.py", "resources.py", "sandbox.py", "facts.toml", "help.md"}
    assert names <= {file.name for file in module.iterdir()}
    texts = [file.read_text("utf-8") for file in package.rglob("*") if file.is_file()]
    assert not [text for text in texts if "{{" in text or "MODULE" in text], "every placeholder is filled in"


def test_the_package_passes_the_linter_and_the_formatter(package):
    assert (done := run(package, "ruff", "check", "--no-cache", ".")).returncode == 0, done.stdout
    assert (done := run(package, "ruff", "format", "--no-cache", "--diff", ".")).returncode == 0, done.stdout


def test_its_contract_test_fails_and_says_what_to_write_next(package):
    done = suite(package, "-x")
    assert done.returncode == 1
    assert "Write this next: resources.pages: reply = yield wire.get(" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert " error" not in done.stdout


def test_once_that_is_written_its_contract_test_is_green(package):
    module = package / "src" / "koppel_my_shop"
    _write(module / "resources.py", "def pages", PAGES)
    _write(module / "resources.py", "def find", FIND)
    _write(module / "codec.py", "def decode", DECODE)
    _after(module / "resources.py", "from koppel.model.problem import Problem, RetryLater\nfrom koppel.systems.spi import Absent, Found, Item, Response, Unknown")  # fmt: skip
    _after(module / "codec.py", "from koppel.model.company import Company\nfrom koppel.model.record import Record")
    done = suite(package)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def _write(file: Path, function: str, body: str) -> None:
    before, named, after = file.read_text("utf-8").partition(function)
    head, _, rest = after.partition('"""\n')
    _, _, rest = rest.partition("\n\n\n") if "\n\n\n" in rest else ("", "", "")
    file.write_text(f'{before}{named}{head}"""{body}\n\n{rest}', "utf-8")


def _after(file: Path, imports: str) -> None:
    future = "from __future__ import annotations\n"
    file.write_text(file.read_text("utf-8").replace(future, f"{future}\n{imports}\n", 1), "utf-8")


def test_nothing_is_ever_overwritten(package, tmp_path):
    (package / "README.md").write_text("mine", "utf-8")
    with pytest.raises(UsageError, match="exists already"):
        write_package("my-shop", tmp_path)
    assert (package / "README.md").read_text("utf-8") == "mine"


@pytest.mark.parametrize("name", ["My-Shop", "my_shop", "-shop", "shop-", "9shop", "my--shop", "../shop", "", "a" * 31, "class", "exact"])  # fmt: skip
def test_a_name_that_can_be_no_package_is_refused_before_anything_is_written(name, tmp_path):
    with pytest.raises(UsageError):
        write_package(name, tmp_path, installed=("exact",))
    assert list(tmp_path.iterdir()) == []


def test_usual_names_are_taken():
    for name in ("shop", "my-shop", "b2b-portal-3"):
        check_name(name)


def test_the_command_tells_where_and_what_next(tmp_path):
    from typer.testing import CliRunner

    done = CliRunner().invoke(app, ["new-system", "my-shop", "--folder", str(tmp_path), "--quiet"])
    assert done.exit_code == 0
    assert "says what to write next" in done.stdout
    assert (tmp_path / "koppel-my-shop" / "tests" / "test_contract.py").is_file()
    assert CliRunner().invoke(app, ["new-system", "exact", "--folder", str(tmp_path)]).exit_code == 2
