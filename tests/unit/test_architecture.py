"""The rules of the house that need the syntax, and proof that every rule notices its violation.

What a graph of modules can tell (layers, purity, cycles) stands in `.importlinter`; `make lint` runs it over the real
tree. Here stand the finer rules, as functions from a source tree to complaints, run over the real tree. Below them every
rule and every contract is shown a small tree with one planted violation and must name it.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# --- a source tree as values --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Module:
    """One module: its dotted name, its syntax, and whether it is a package's `__init__`."""

    name: str
    tree: ast.Module
    is_package: bool

    @property
    def vendor(self) -> str | None:
        """The vendor's package it belongs to (`koppel.systems.exact`), if any; set by where it stands."""
        parts = self.name.split(".")
        inside = len(parts) > 3 or (len(parts) == 3 and self.is_package)
        return ".".join(parts[:3]) if inside and parts[1] == "systems" else None

    @property
    def is_sandbox(self) -> bool:
        return self.vendor is not None and self.name.removeprefix(f"{self.vendor}.").startswith("sandbox")

    @property
    def is_pure(self) -> bool:
        layer = self.name.split(".")[1] if "." in self.name else ""
        door = self.name in {"koppel.systems.spi", "koppel.systems.sandbox_spi"}
        return layer in {"formats", "model", "mapping", "sync"} or door or (bool(self.vendor) and not self.is_sandbox)

    def imports(self) -> Iterator[tuple[int, str]]:
        """(line, dotted name) of everything imported, wherever in the module; `from a import b` counts as `a.b`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                origin = self._absolute(node)
                yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        kept = parts[: len(parts) - node.level + self.is_package]
        return ".".join([*kept, *filter(None, [node.module])])

    def texts(self) -> Iterator[tuple[int, str]]:
        """(line, text) of every string that is no docstring."""
        prose = {id(node.value) for node in ast.walk(self.tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
                yield node.lineno, node.value

    def calls(self) -> Iterator[tuple[int, str]]:
        """(line, dotted name) of every call, told by where its name was imported from: `d.now()` is `datetime.datetime.now`."""
        origin = {
            alias.asname or alias.name: f"{self._absolute(node)}.{alias.name}"
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        } | {
            alias.asname: alias.name
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Import)
            for alias in node.names
            if alias.asname
        }
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                first, dot, rest = ast.unparse(node.func).partition(".")
                yield node.lineno, f"{origin.get(first, first)}{dot}{rest}"


def read_tree(src: Path) -> tuple[Module, ...]:
    """Every module below a source folder."""
    return tuple(_read(src, path) for path in sorted(src.rglob("*.py")))


def _read(src: Path, path: Path) -> Module:
    parts = path.relative_to(src).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package else parts)
    return Module(name=name, tree=ast.parse(path.read_text("utf-8"), str(path)), is_package=is_package)


def _within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


# --- the rules ----------------------------------------------------------------------------------------------------

Rule = Callable[[tuple[Module, ...]], list[str]]

IMPURE = (
    *("http.client", "http.server", "http.cookiejar", "urllib.request", "importlib", "fileinput", "getpass", "select"),
    *("aiohttp", "anyio", "asyncio", "httpcore2", "httpx", "httpx2", "requests", "socket", "socketserver", "ssl"),
    *("alembic", "psycopg", "sqlalchemy", "sqlite3", "logging", "rich", "structlog", "typer", "uvicorn", "warnings"),
    *(
        "concurrent",
        "multiprocessing",
        "os",
        "pathlib",
        "shutil",
        "signal",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
    ),
    *("random", "secrets", "time", "glob"),
)
IMPURE_CALLS = frozenset(
    {"open", "print", "input", "eval", "exec", "__import__", "breakpoint", "uuid.uuid1", "uuid.uuid4"}
    | {"datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"}
)
OUTWARD = ("aiohttp", "httpcore2", "httpx", "httpx2", "http.client", "requests", "smtplib", "urllib.request", "urllib3")
DRAWERS = frozenset({"base", "common", "helper", "helpers", "misc", "util", "utils"})
OUR_BASE = "koppel.sync.base"  # the glossary's base: what both sides last agreed on, no drawer
PUBLIC_NAMES = 8


def no_effects_where_we_decide(tree: tuple[Module, ...]) -> list[str]:
    """Rule 1: formats, model, mapping, sync and a system's client take time, ids and randomness as arguments."""
    return _effects([module for module in tree if module.is_pure], forbidden=IMPURE)


def _effects(modules: list[Module], *, forbidden: tuple[str, ...]) -> list[str]:
    imported = [
        f"{module.name}:{line} imports {name}"
        for module in modules
        for line, name in module.imports()
        if _within(name, *forbidden)
    ]
    called = [
        f"{module.name}:{line} calls {name}()"
        for module in modules
        for line, name in module.calls()
        if name in IMPURE_CALLS
    ]
    return imported + called


def a_sandbox_follows_its_host(tree: tuple[Module, ...]) -> list[str]:
    """Rule 1 for imitations: the host has the clock and the sockets; dice are thrown from the world's seed only."""
    sandboxes = [module for module in tree if module.is_sandbox]
    return _effects(sandboxes, forbidden=tuple(name for name in IMPURE if name != "random"))


def a_system_knows_only_its_door(tree: tuple[Module, ...]) -> list[str]:
    """Rule 2, inwards: model, formats and the SPI; no other system; its sandbox only by a dotted string."""
    complaints: list[str] = []
    for module in tree:
        if (vendor := module.vendor) is None:
            continue
        allowed = ["koppel.model", "koppel.formats", "koppel.systems.spi", vendor]
        allowed += ["koppel.systems.sandbox_spi"] if module.is_sandbox else []
        for line, name in module.imports():
            own_sandbox = name.startswith(f"{vendor}.sandbox") and not module.is_sandbox
            if _within(name, "koppel") and (own_sandbox or not _within(name, *allowed)):
                complaints.append(f"{module.name}:{line} imports {name}")
    return complaints


def nobody_names_a_system(tree: tuple[Module, ...]) -> list[str]:
    """Rule 2, outwards: systems are found by entry point; no import and no dotted string names one."""
    vendors = sorted({module.vendor for module in tree if module.vendor})
    return [
        f"{module.name}:{line} names {name}"
        for module in tree
        for line, name in [*module.imports(), *module.texts()]
        if (vendor := next((vendor for vendor in vendors if _named(name, vendor)), None)) and module.vendor != vendor
    ]


def _named(text: str, vendor: str) -> bool:
    return _within(text, vendor) or text.startswith(f"{vendor}:")


def a_sandbox_shares_nothing_with_its_client(tree: tuple[Module, ...]) -> list[str]:
    """Rule 3: an imitation that shares code or facts with the client it tests proves nothing."""
    sandboxes = [module for module in tree if module.is_sandbox]
    shared = [
        f"{module.name}:{line} imports {name}"
        for module in sandboxes
        for line, name in module.imports()
        if _within(name, str(module.vendor)) and not name.startswith(f"{module.vendor}.sandbox")
    ]
    facts = [
        f"{module.name}:{line} reads {text}"
        for module in sandboxes
        for line, text in module.texts()
        if "facts.toml" in text
    ]
    return shared + facts


def test_tools_stay_in_the_contract_suite(tree: tuple[Module, ...]) -> list[str]:
    """Rule 4: pytest and hypothesis are imported by `koppel.testing.contract` alone, and nothing imports that."""
    suite = "koppel.testing.contract"
    return [
        f"{module.name}:{line} imports {name}"
        for module in tree
        if not _within(module.name, suite)
        for line, name in module.imports()
        if _within(name, "pytest", "_pytest", "hypothesis", suite)
    ]


def one_door_outwards(tree: tuple[Module, ...]) -> list[str]:
    """Rule 5: `koppel.engine.send` alone opens HTTP connections outwards."""
    return [
        f"{module.name}:{line} imports {name}"
        for module in tree
        if not _within(module.name, "koppel.engine.send")
        for line, name in module.imports()
        if _within(name, *OUTWARD)
    ]


def packages_offer_few_names(tree: tuple[Module, ...]) -> list[str]:
    """Rule 5: an `__init__` re-exports a few of its own names; a system's offers SYSTEM. One name, one import path."""
    complaints = [
        f"{module.name}:{line} imports {name}"
        for module in tree
        for line, name in module.imports()
        if name[-2:] == ".*"
    ]
    for module in (module for module in tree if module.is_package):
        public = _public_names(module)
        if module.vendor == module.name and (extra := public - {"SYSTEM"}):
            complaints.append(f"{module.name} offers {', '.join(sorted(extra))} besides SYSTEM")
        if len(public) > PUBLIC_NAMES:
            complaints.append(f"{module.name} offers {len(public)} names, more than {PUBLIC_NAMES}")
    return complaints


def _public_names(module: Module) -> set[str]:
    """What an `__init__` defines or re-exports: own definitions, and imports from within its own package."""
    names: set[str] = set()
    for node in module.tree.body:
        if isinstance(node, ast.ImportFrom) and not module.vendor:
            names |= {
                alias.asname or alias.name for alias in node.names if _within(module._absolute(node), module.name)
            }
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if not name.startswith("_")}


def no_drawers(tree: tuple[Module, ...]) -> list[str]:
    """A function lives where its noun lives: no module is called utils, helpers, common, base …"""
    named = (module.name for module in tree if module.name != OUR_BASE)
    return [f"{name} is a drawer" for name in named if name.rpartition(".")[2] in DRAWERS]


RULES: tuple[Rule, ...] = (
    no_effects_where_we_decide,
    a_sandbox_follows_its_host,
    a_system_knows_only_its_door,
    nobody_names_a_system,
    a_sandbox_shares_nothing_with_its_client,
    test_tools_stay_in_the_contract_suite,
    one_door_outwards,
    packages_offer_few_names,
    no_drawers,
)
for _rule in RULES:
    _rule.__test__ = False  # rules are not tests, whatever their names begin with


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_its_rules(rule: Rule) -> None:
    assert rule(read_tree(ROOT / "src")) == []


# --- every rule notices -------------------------------------------------------------------------------------------

CLEAN: Mapping[str, str] = {
    "koppel/__init__.py": "",
    "koppel/formats/__init__.py": "",
    "koppel/formats/kvk.py": "import re\nfrom datetime import datetime, time\n",
    "koppel/model/__init__.py": "from koppel.model.record import Record\n",
    "koppel/model/record.py": "class Record: ...\n",
    "koppel/mapping/__init__.py": "",
    "koppel/sync/__init__.py": "",
    "koppel/sync/base.py": "",
    "koppel/sync/merge.py": "from http import HTTPStatus\nfrom urllib.parse import urlsplit\nimport koppel.model.record\n",
    "koppel/systems/__init__.py": "",
    "koppel/systems/spi.py": "import koppel.model.record\n",
    "koppel/systems/sandbox_spi.py": "from koppel.systems.spi import System\n",
    "koppel/systems/registry.py": "from importlib.metadata import entry_points\n",
    "koppel/systems/alpha/__init__.py": "from . import codec\n_DEPTH = 1\nSYSTEM = 'koppel.systems.alpha.sandbox:make'\n",
    "koppel/systems/alpha/codec.py": "from koppel.systems.spi import System\nfrom koppel.formats import kvk\n",
    "koppel/systems/alpha/sandbox.py": "import random\nfrom .sandbox_tables import ROWS\nfrom koppel.systems import sandbox_spi\n",
    "koppel/systems/alpha/sandbox_tables.py": "ROWS = ()\n\ndef f(world):\n    return world.now()\n",
    "koppel/systems/beta/__init__.py": "SYSTEM = 1\n",
    "koppel/systems/beta/codec.py": "",
    "koppel/store/__init__.py": "",
    "koppel/engine/__init__.py": "",
    "koppel/engine/send.py": "import httpx2\n",
    "koppel/testing/__init__.py": "",
    "koppel/testing/contract.py": "import pytest\n",
    "koppel/testing/simulate.py": "import random\nimport koppel.engine.send\n",
    "koppel/cli/__init__.py": "",
    "koppel/cli/main.py": "import koppel.testing.simulate\n",
}

PLANTED: tuple[tuple[Rule, str, str, str], ...] = (
    (no_effects_where_we_decide, "formats/planted.py", "from time import sleep", "imports time.sleep"),
    (no_effects_where_we_decide, "sync/planted.py", "def f():\n    import random", "imports random"),
    (no_effects_where_we_decide, "model/planted.py", "from urllib.request import urlopen", "imports urllib.request"),
    (no_effects_where_we_decide, "mapping/planted.py", "x = open('flow.toml')", "calls open()"),
    (
        no_effects_where_we_decide,
        "systems/beta/auth.py",
        "from datetime import datetime as d\nx = d.now()",
        "calls datetime.datetime.now()",
    ),
    (
        no_effects_where_we_decide,
        "systems/beta/resources.py",
        "import datetime as dt\nx = dt.date.today()",
        "datetime.date.today()",
    ),
    (no_effects_where_we_decide, "systems/beta/__init__.py", "import logging", "imports logging"),
    (a_sandbox_follows_its_host, "systems/alpha/sandbox.py", "import time", "imports time"),
    (a_sandbox_follows_its_host, "systems/beta/sandbox_x.py", "import uuid\nx = uuid.uuid4()", "calls uuid.uuid4()"),
    (a_system_knows_only_its_door, "systems/beta/wire.py", "from koppel.systems.alpha.codec import x", "systems.alpha"),
    (
        a_system_knows_only_its_door,
        "systems/beta/wire.py",
        "from ..alpha import codec",
        "imports koppel.systems.alpha.codec",
    ),
    (a_system_knows_only_its_door, "systems/beta/wire.py", "import koppel.sync.merge", "imports koppel.sync.merge"),
    (a_system_knows_only_its_door, "systems/beta/wire.py", "from koppel.systems import registry", "systems.registry"),
    (a_system_knows_only_its_door, "systems/beta/wire.py", "from koppel.systems import sandbox_spi", "sandbox_spi"),
    (a_system_knows_only_its_door, "systems/alpha/__init__.py", "from .sandbox import make", "alpha.sandbox.make"),
    (nobody_names_a_system, "engine/planted.py", "from koppel.systems import alpha", "names koppel.systems.alpha"),
    (
        nobody_names_a_system,
        "engine/planted.py",
        "def f():\n    import koppel.systems.beta.codec",
        "koppel.systems.beta",
    ),
    (nobody_names_a_system, "cli/planted.py", "x = 'koppel.systems.alpha:SYSTEM'", "names koppel.systems.alpha"),
    (nobody_names_a_system, "systems/planted.py", "from .beta import SYSTEM", "names koppel.systems.beta.SYSTEM"),
    (a_sandbox_shares_nothing_with_its_client, "systems/alpha/sandbox_orders.py", "from . import codec", "alpha.codec"),
    (a_sandbox_shares_nothing_with_its_client, "systems/alpha/sandbox.py", "from . import SYSTEM", "alpha.SYSTEM"),
    (a_sandbox_shares_nothing_with_its_client, "systems/beta/sandbox.py", "x = 'facts.toml'", "reads facts.toml"),
    (test_tools_stay_in_the_contract_suite, "testing/planted.py", "from hypothesis import given", "hypothesis.given"),
    (
        test_tools_stay_in_the_contract_suite,
        "cli/planted.py",
        "from koppel.testing import contract",
        "testing.contract",
    ),
    (one_door_outwards, "engine/planted.py", "import httpx2", "imports httpx2"),
    (one_door_outwards, "cli/planted.py", "import urllib.request", "imports urllib.request"),
    (packages_offer_few_names, "systems/beta/__init__.py", "def helper(): ...", "offers helper besides SYSTEM"),
    (packages_offer_few_names, "engine/__init__.py", "from koppel.engine.send import *", "koppel.engine.send.*"),
    (packages_offer_few_names, "model/__init__.py", "from .record import a, b, c, d, e, f, g, h, i", "offers 9 names"),
    (no_drawers, "engine/utils.py", "", "koppel.engine.utils is a drawer"),
    (no_drawers, "systems/beta/base.py", "", "koppel.systems.beta.base is a drawer"),
)


def _write(src: Path, *, sources: Mapping[str, str]) -> Path:
    for path, text in sources.items():
        (src / path).parent.mkdir(parents=True, exist_ok=True)
        (src / path).write_text(text, "utf-8")
    return src


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_clean_tree_is_not_complained_about(rule: Rule, tmp_path: Path) -> None:
    assert rule(read_tree(_write(tmp_path, sources=CLEAN))) == []


@pytest.mark.parametrize(("rule", "path", "text", "named"), PLANTED)
def test_a_planted_violation_is_named(rule: Rule, path: str, text: str, named: str, tmp_path: Path) -> None:
    path = f"koppel/{path}"
    complaints = rule(read_tree(_write(tmp_path, sources={**CLEAN, path: text})))
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    assert complaints
    assert all(complaint.startswith(module) for complaint in complaints)
    assert any(named in complaint for complaint in complaints)


def test_every_rule_has_a_planted_violation() -> None:
    assert {rule for rule, *_ in PLANTED} == set(RULES)


# --- every contract of .importlinter notices ----------------------------------------------------------------------

LAYERS = "A layer imports only what stands below it"
PURE = "The deciding layers do no I/O, read no clock, roll no dice and write no log"
PLAIN = "The command line never reaches a test tool, however indirectly"
ACYCLIC = "No cycles between the modules of a package"

BREACHES: tuple[tuple[str, str, str, str], ...] = (
    (LAYERS, "formats/planted.py", "import koppel.model.record", "koppel.formats.planted -> koppel.model.record"),
    (LAYERS, "store/planted.py", "import koppel.systems.spi", "koppel.store.planted -> koppel.systems.spi"),
    (LAYERS, "newcomer/__init__.py", "", "newcomer"),
    (PURE, "mapping/planted.py", "import os", "koppel.mapping.planted -> os"),
    (PURE, "systems/beta/codec.py", "import koppel.systems.registry", "koppel.systems.registry -> sqlalchemy"),
    (PLAIN, "testing/simulate.py", "import koppel.testing.contract", "koppel.testing.contract -> pytest"),
    (ACYCLIC, "engine/fetch.py", "import koppel.engine.send", "koppel.engine"),
)
BREACHES_NEED: Mapping[str, str] = {
    "koppel/systems/registry.py": "import sqlalchemy\n",
    "koppel/engine/send.py": "import httpx2\nimport koppel.engine.fetch\n",
    "koppel/engine/fetch.py": "",
}


def _lint_imports(src: Path) -> str:
    shutil.copy(ROOT / ".importlinter", src)
    command = [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=src, capture_output=True, text=True, check=False)
    return f"exit {done.returncode}\n{done.stdout}{done.stderr}"


def test_the_contracts_hold_for_a_clean_tree(tmp_path: Path) -> None:
    report = _lint_imports(_write(tmp_path, sources=CLEAN))
    assert report.startswith("exit 0")
    assert [line for line in report.splitlines() if line.endswith(" KEPT")] == [
        f"{name} KEPT" for name in (LAYERS, PURE, PLAIN, ACYCLIC)
    ]


@pytest.mark.parametrize(("contract", "path", "text", "named"), BREACHES)
def test_a_planted_import_breaks_its_contract(contract: str, path: str, text: str, named: str, tmp_path: Path) -> None:
    sources = {**CLEAN, **BREACHES_NEED, f"koppel/{path}": text}
    report = _lint_imports(_write(tmp_path, sources=sources))
    assert report.startswith("exit 1")
    assert f"{contract} BROKEN" in report
    assert named in report.replace("\n", " ")
    assert report.count(" BROKEN") == 1
