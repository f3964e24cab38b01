"""Finding systems by entry point `koppel.systems`, with their facts: our own come in through the same door as anybody's."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files
from types import MappingProxyType

from koppel.model.problem import SetupError
from koppel.model.values import Json
from koppel.systems.spi import SPI_VERSION, System

GROUP = "koppel.systems"


@cache
def names() -> tuple[str, ...]:
    """Names of the installed systems."""
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


@cache
def load(name: str) -> System:
    """The system of that name. Raises SetupError when it is not installed or was made for another door."""
    entry = next((entry for entry in entry_points(group=GROUP) if entry.name == name), None)
    if entry is None:
        raise SetupError(f"There is no system called {name!r}.", remedy=f"Installed: {', '.join(names())}.")
    system = entry.load()
    if not isinstance(system, System) or system.spi != SPI_VERSION:
        raise SetupError(f"The system {name} was made for another version of Koppel.", remedy="Upgrade it or Koppel.")
    return system


@cache
def _package(name: str) -> str:
    entry = next(entry for entry in entry_points(group=GROUP) if entry.name == name)
    return entry.value.split(":", 1)[0]


@cache
def facts(name: str) -> Mapping[str, Json]:
    """The system's facts.toml, read once; empty when it has none."""
    file = files(_package(name)) / "facts.toml"
    return MappingProxyType(tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {})


def ready_made_flows(name: str) -> dict[str, str]:
    """Texts of the ready-made flows into this system, by flow name."""
    folder = files(_package(name)) / "flows"
    if not folder.is_dir():
        return {}
    return {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }


def help_text(name: str) -> str:
    """The system's help.md: how to set it up for a real account."""
    file = files(_package(name)) / "help.md"
    return file.read_text(encoding="utf-8") if file.is_file() else ""
