"""What holds for every test: loopback only, a seed that is shown and can be given again, cheap tests before slow ones."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

LOOPBACK = str(Path(__file__).parent / "loopback")
if "sitecustomize" not in sys.modules or not hasattr(sys.modules["sitecustomize"], "refused"):
    sys.modules.pop("sitecustomize", None)  # a distribution may bring one of its own
    sys.path.insert(0, LOOPBACK)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [LOOPBACK, os.environ.get("PYTHONPATH", "")]))

import sitecustomize as loopback  # noqa: E402

collect_ignore = ["loopback"]

settings.register_profile("ci", deadline=None, derandomize=False, print_blob=True, max_examples=60)
settings.register_profile("thorough", settings.get_profile("ci"), max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """One seed for the whole run, workers included, so that the header's line is enough to run it again."""
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(random.SystemRandom().randrange(2**32))


def pytest_report_header(config: pytest.Config) -> str:
    return (
        f"seed: {config.option.hypothesis_seed} (the same again with --hypothesis-seed={config.option.hypothesis_seed})"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """By cost: unit tests, then the folders that need more, then whatever is marked slow."""
    items.sort(key=lambda item: (item.get_closest_marker("slow") is not None, "unit" not in item.path.parts))


@pytest.fixture(autouse=True)
def _nothing_left_this_machine() -> Iterator[None]:
    before = len(loopback.refused)
    yield
    assert loopback.refused[before:] == [], "this test reached for the network"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL that lives as long as the tests of this process."""
    from koppel.testing.postgres import CannotRunError, running_postgres

    try:
        running = running_postgres()
        address = running.__enter__()
    except CannotRunError as why:
        pytest.skip(f"PostgreSQL: {why}")
    try:
        yield address
    finally:
        running.__exit__(None, None, None)
