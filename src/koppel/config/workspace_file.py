"""koppel.toml: the workspace's connections and settings. Secrets never stand in it: they lie sealed in the store or in the environment.

[workspace]
name = "jansen-bv"
on_alert = "/usr/local/bin/tell-me"          # a command, or https://…; gets JSON
database = "postgresql+psycopg://…"          # default: koppel.db beside this file

[connections.register]
system = "kvk"

[connections.books-nl]
system = "exact"
division = 123456
cache = "mapped"                             # full (default): all that was read is kept; mapped: only what flows use;
                                             # hashes: only until every flow has looked at it

[retention]
technical_days = 90                          # records that belong to nothing, closed work items, what runs said
personal_months = 12                         # people without documents, after they were unlinked or gone
trail_years = 7                              # at least 7, the years a firm's books must be kept
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from koppel.config.retention import read_retention
from koppel.model.problem import SetupError, UsageError
from koppel.model.values import Json
from koppel.store.retention import Retention
from koppel.systems import registry

FILE = "koppel.toml"
KEY_FILE = "koppel.key"
STORE_FILE = "koppel.db"
FLOWS = "flows"
CacheMode = Literal["full", "mapped", "hashes"]
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class ConnectionConfig(msgspec.Struct, frozen=True):
    """One connection as written: its system and settings, without secrets. Files it names stand in `folder`. `cache`: how much
    of its records is kept here."""

    name: str
    system: str
    settings: dict[str, Json]
    folder: str = ""
    cache: CacheMode = "full"


class Config(msgspec.Struct, frozen=True):
    """A workspace folder's configuration."""

    folder: str
    name: str
    database: str
    connections: dict[str, ConnectionConfig]
    on_alert: str | None = None
    clock: str | None = None
    retention: Retention = Retention()

    @property
    def path(self) -> Path:
        """The folder."""
        return Path(self.folder)


def find_folder(start: Path) -> Path:
    """The workspace folder: `start` or the nearest folder above it that holds koppel.toml. Raises SetupError."""
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
    raise SetupError(
        f"There is no workspace in {start} or above it.",
        remedy="Go to its folder, name it with --workspace, or make one with `koppel init`.",
    )


def read_config(folder: Path) -> Config:
    """Read and check koppel.toml. Raises SetupError naming the line or key."""
    file = folder / FILE
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SetupError(f"There is no workspace in {folder}.", remedy="Make one with `koppel init`.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SetupError(f"{file}: {error}.", remedy="Mend the file.") from None
    workspace = _table(document, "workspace", file)
    _only(document, {"workspace", "connections", "retention"}, file, "")
    _only(workspace, {"name", "database", "on_alert", "clock"}, file, "workspace.")
    connections = {
        name: _connection(name, entry, file) for name, entry in _table(document, "connections", file).items()
    }
    clock = workspace.get("clock")
    if clock is not None and urlsplit(clock).hostname not in ("127.0.0.1", "localhost", "::1"):
        raise SetupError(
            f"{file}: workspace.clock may only name a sandbox on this machine.",
            remedy="Remove the line: real accounts use real time.",
        )
    database = workspace.get("database") or f"sqlite:///{(folder / STORE_FILE).resolve()}"
    return Config(
        str(folder),
        str(workspace.get("name") or folder.resolve().name),
        database,
        connections,
        workspace.get("on_alert"),
        clock,
        read_retention(_table(document, "retention", file), file),
    )


def _connection(name: str, entry: Any, file: Path) -> ConnectionConfig:
    if not NAME.fullmatch(name):
        raise SetupError(
            f"{file}: {name!r} is no name for a connection.", remedy="Use small letters, digits and hyphens."
        )
    if not isinstance(entry, dict) or not isinstance(entry.get("system"), str):
        raise SetupError(
            f"{file}: connections.{name} does not say its system.",
            remedy=f'Add: system = "{registry.names()[0] if registry.names() else "exact"}"',
        )
    secret = [key for key in entry if key in secret_fields(entry["system"])]
    if secret:
        raise SetupError(
            f"{file}: connections.{name}.{secret[0]} is a secret and does not belong in a file.",
            remedy=f"Remove it there and run: koppel connect {name}",
        )
    settings = {key: value for key, value in entry.items() if key not in ("system", "cache")}
    return ConnectionConfig(name, entry["system"], settings, str(file.parent), cache=_cache(name, entry, file))


def _cache(name: str, entry: Mapping[str, Json], file: Path) -> CacheMode:
    mode = entry.get("cache", "full")
    if mode not in ("full", "mapped", "hashes"):
        raise SetupError(
            f"{file}: connections.{name}: {mode!r} is no cache mode.", remedy='Write "full", "mapped" or "hashes".'
        )
    return mode


def secret_fields(system: str) -> tuple[str, ...]:
    """Names of a system's settings that are secret."""
    return _marked(system, "secret")


def file_fields(system: str) -> tuple[str, ...]:
    """Names of a system's settings that hold a text of their own: in koppel.toml stands the file's path, or the text itself."""
    return _marked(system, "file")


def _marked(system: str, mark: str) -> tuple[str, ...]:
    return _marked_in(registry.load(system).settings, mark)


@cache  # a form is asked about at every opening of a connection, and never changes
def _marked_in(settings: type[msgspec.Struct], mark: str) -> tuple[str, ...]:
    known: Any = msgspec.inspect.type_info(settings)
    return tuple(field.name for field in known.fields if _extra(field).get(mark))


def _extra(field: Any) -> Mapping[str, Json]:
    kind = field.type
    return (kind.extra or {}) if isinstance(kind, msgspec.inspect.Metadata) and kind.extra else {}


def environment_name(connection: str, setting: str) -> str:
    """The environment variable that may hold a secret: `KOPPEL_BOOKS_NL_CLIENT_SECRET`."""
    return "KOPPEL_" + re.sub(r"[^A-Z0-9]", "_", f"{connection}_{setting}".upper())


def settings_of(config: ConnectionConfig, secrets: Mapping[str, Json]) -> Any:
    """The system's settings struct from the file, the sealed secrets and the environment (which wins).

    Raises SetupError naming the setting that is missing or wrong.
    """
    system = registry.load(config.system)
    values: dict[str, Json] = {**secrets, **config.settings}
    for name in secret_fields(config.system):
        given = os.environ.get(environment_name(config.name, name))
        if given:
            values[name] = given
    known = {field.name for field in msgspec.structs.fields(system.settings)}
    strange = [key for key in values if key not in known]
    if strange:
        raise SetupError(
            f"connections.{config.name}: {system.title} has no setting {strange[0]!r}.",
            remedy=f"It knows: {', '.join(sorted(known))}.",
        )
    missing = [
        field.name for field in msgspec.structs.fields(system.settings) if field.required and field.name not in values
    ]
    if missing:
        raise SetupError(
            f"connections.{config.name}: the setting {missing[0]!r} is missing.",
            remedy=f"Run: koppel connect {config.name}",
        )
    files = {key: _text_of(config, key, values[key]) for key in file_fields(config.system) if key in values}
    values |= {key: text for key, (_, text) in files.items()}
    try:
        return msgspec.convert(values, system.settings)
    except msgspec.ValidationError as error:
        raise SetupError(
            f"connections.{config.name}: {error}.", remedy=f"Mend koppel.toml, or run: koppel connect {config.name}"
        ) from None
    except SetupError as error:  # of a text, which knows its lines and not where it stands
        places = ", ".join(place for place, _ in files.values()) or f"connections.{config.name}"
        raise SetupError(f"{places}: {error.message}", remedy=error.remedy) from None


def _text_of(config: ConnectionConfig, key: str, written: Json) -> tuple[str, Json]:
    """(where it stands, the text): of several lines, it is the text; else the path of a file, seen from the workspace."""
    place = f"connections.{config.name}.{key}"
    if not isinstance(written, str) or "\n" in written:
        return place, written
    file = Path(config.folder) / written
    try:
        return written, file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise SetupError(
            f"{place}: {file} cannot be read: {why}.", remedy="Name a file, as seen from the workspace's folder."
        ) from None


def write_connection(folder: Path, name: str, system: str, settings: Mapping[str, Json]) -> None:
    """Add a connection to koppel.toml, or replace its settings; everything else in the file stays as it is.

    Raises UsageError for a bad name.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a connection.", remedy="Use small letters, digits and hyphens.")
    file = folder / FILE
    text = file.read_text(encoding="utf-8")
    before = _table(tomllib.loads(text), "connections", file).get(name, {})
    cache = {"cache": before["cache"]} if "cache" in before else {}  # no setting of the system: it stays
    block = (
        "\n".join(
            [
                f"[connections.{name}]",
                f"system = {_toml(system)}",
                *(f"{key} = {_toml(value)}" for key, value in {**cache, **settings}.items()),
            ]
        )
        + "\n"
    )
    pattern = re.compile(rf"(?ms)^\[connections\.{re.escape(name)}\][^\n]*\n.*?(?=^\[|\Z)")
    new = (
        pattern.sub(lambda _: block + "\n", text, count=1)
        if pattern.search(text)
        else text.rstrip("\n") + "\n\n" + block
    )
    tomllib.loads(new)  # never leave a file behind that cannot be read
    replacement = file.with_suffix(".new")
    replacement.write_text(new, encoding="utf-8")
    replacement.replace(file)


def _toml(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else msgspec.json.encode(value).decode()


def _table(document: Mapping[str, Any], key: str, file: Path) -> dict[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, dict):
        raise SetupError(f"{file}: {key} must be a table.", remedy=f"Write it as [{key}].")
    return table


def _only(table: Mapping[str, Any], known: set[str], file: Path, prefix: str) -> None:
    strange = next((key for key in table if key not in known), None)
    if strange is not None:
        raise SetupError(
            f"{file}: {prefix}{strange} is not a setting of a workspace.",
            remedy=f"Known here: {', '.join(sorted(known))}.",
        )
