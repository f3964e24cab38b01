"""A system from outside: installed by pip without a network, found by entry point, kept to the contract, used in a flow."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "examples" / "own-system"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Where the example is installed as anybody would, beside what is there, in a folder of its own."""
    target = tmp_path_factory.mktemp("installed")
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    run(*pip, "--no-build-isolation", "--target", str(target), str(PACKAGE), env=os.environ)
    path = os.pathsep.join(filter(None, [str(target), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def run(*words: str, env: Mapping[str, str]) -> str:
    """A Python module or script in a process of its own; its standard output."""
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, env=dict(env), check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def koppel(*words: str, env: Mapping[str, str]) -> str:
    return run(str(Path(sys.executable).with_name("koppel")), *words, env=env)


def test_it_is_found_by_entry_point_beside_our_own(env):
    systems = json.loads(koppel("version", "--json", env=env))["systems"]
    assert {"boekje", "exact", "kvk"} <= set(systems)


def test_its_help_and_its_flow_are_there_without_a_word_of_it_in_our_source(env, tmp_path):
    books = tmp_path / "books"
    koppel("init", str(books), "--flow", "kvk-boekje", env=env)
    told = koppel("connect", "x", "--system", "boekje", "--help-text", "--json", "--workspace", str(books), env=env)
    assert json.loads(told)["help"].startswith("# Boekje")
    ours = [file for file in (ROOT / "src").rglob("*.*") if file.suffix in {".py", ".toml", ".md", ".tmpl"}]
    assert [file for file in ours if "boekje" in file.read_text("utf-8").lower()] == []


@pytest.mark.parametrize(("tests", "least"), [("test_contract.py", 45), ("test_flow.py", 3)])
def test_it_keeps_the_contract_and_its_flow_runs_against_its_sandbox(env, tests, least):
    said = run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(PACKAGE / "tests" / tests), env=env
    )
    passed = re.search(r"(\d+) passed", said)
    assert passed, said
    assert int(passed[1]) >= least


def test_it_passes_the_linter(env):
    run("-m", "ruff", "check", "--no-cache", str(PACKAGE), env=env)
