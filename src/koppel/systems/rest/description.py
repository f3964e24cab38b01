"""The description of a REST API, read from TOML into values: everything in it is checked before anything is used.

Promises: `read` gives a whole `Description` or raises SetupError with the line, the key, what is wrong and what was
probably meant; the same text gives the same value.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Literal, NoReturn, TypeVar, get_args
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import msgspec

from koppel.model.can import Writable
from koppel.model.kinds import LINE_KINDS, Kind
from koppel.model.problem import SetupError
from koppel.model.values import Json
from koppel.model.versions import REFERENCES
from koppel.systems.rest.entities import ADDRESSES, FOUND_BY, KINDS, LINES, parts_for, paths_for

FORMAT = 1
S = TypeVar("S", bound=msgspec.Struct)

AuthKind = Literal["none", "header", "bearer", "basic", "client_credentials"]
PagingStyle = Literal["none", "page", "offset", "cursor", "link"]
StampFormat = Literal["iso", "epoch"]
FindKind = Literal["native", "kvk", "branch", "vat", "rsin", "code", "sku", "ean", "number", "operation"]
EntityName = Literal["company", "contact", "product", "order", "invoice", "journal_entry"]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the description: a key that nobody knows is a mistake, never a comment."""


class SignIn(_Part, frozen=True):
    """How requests are signed; the secrets are settings, never part of the description."""

    kind: AuthKind = "none"
    header: str = "Authorization"
    prefix: str = ""
    token_url: str = ""
    scope: str = ""


class Paging(_Part, frozen=True):
    """How a list is divided. `steady`: the order never changes and nothing leaves the list, so that a whole listing proves
    absence. `next` is where the answer names the next cursor or address (style link without it: the header `Link`).
    `total`: where it tells how many there are; without it a page that is not full (`most`) is the last."""

    style: PagingStyle = "none"
    page: str = "page"
    offset: str = "offset"
    size: str = ""
    most: int = 100
    first: int = 1
    cursor: str = "cursor"
    next: str = ""
    total: str = ""
    steady: bool = False


class Since(_Part, frozen=True):
    """How to ask for what changed: from `field`'s value on, that value included, `margin` seconds earlier."""

    parameter: str
    field: str
    format: StampFormat = "iso"
    zone: str = "UTC"
    margin: float = 300.0


class Look(_Part, frozen=True):
    """How records are found by one kind of key: a `path` with {value} for one record, or a `query` parameter of a list."""

    path: str = ""
    query: str = ""


class Call(_Part, frozen=True):
    """One way to write. `path` may hold {id}."""

    method: Literal["POST", "PUT", "PATCH"]
    path: str


class Refusal(_Part, frozen=True):
    """What a refused record looks like. `when`: a path that is filled in an accepted answer (2xx) that is a refusal."""

    status: tuple[int, ...] = (400, 409, 422)
    message: str = ""
    code: str = ""
    field: str = ""
    when: str = ""


class Write(_Part, frozen=True):
    """What can be written and how an answer is read."""

    create: Call | None = None
    update: Call | None = None
    wrapper: str = ""
    operation_id: str = ""
    idempotency_header: str = ""
    if_match: bool = False
    refused: Refusal = Refusal()


class FieldText(_Part, frozen=True):
    """One line of the field table. `words`: our code → theirs; `true` and `false`: what they write for a switch.

    `refers_to`: the value is the id of a record of that resource of this API. `as_number`: they write numbers, and ids, as JSON
    numbers. `parts`: for lines, the table of what stands in each of them.
    """

    field: str
    kind: Kind | None = None
    writable: Writable = "always"
    required: bool = False
    max_length: int | None = None
    words: dict[str, str | int] = {}
    true: str | int | bool = True
    false: str | int | bool = False
    date_format: str = ""
    note: str = ""
    refers_to: str = ""
    as_number: bool = False
    parts: dict[str, FieldText] = {}


class ResourceText(_Part, frozen=True):
    """One kind of record. Dotted paths lead into an answer: `data.items`; empty means the answer itself."""

    path: str
    entity: EntityName = "company"
    list: bool = True
    records: str = ""
    record: str = ""
    key: str = "id"
    version: str = ""
    query: dict[str, str | int] = {}
    paging: Paging = Paging()
    since: Since | None = None
    find: dict[FindKind, Look] = {}
    write: Write = Write()
    fields: dict[str, FieldText] = {}
    own: dict[str, FieldText] = {}
    settles_after: float = 0.0
    link: str = ""


class Description(msgspec.Struct, frozen=True):
    """An API, whole."""

    title: str
    base_url: str
    auth: SignIn
    calls_per_minute: int | None
    headers: dict[str, str]
    resources: dict[str, ResourceText]


def kind_of(path: str, field: FieldText) -> Kind:
    """The kind of value: as written, else the canonical path's own (`lines.quantity`: of a line); a vendor's own field is text,
    unless it names a record."""
    line, _, part = path.partition(".")
    usual = LINE_KINDS.get(part) if line == LINES and part else KINDS.get(path)
    return field.kind or usual or ("ref" if field.refers_to else "text")


# --- reading --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def read(text: str) -> Description:
    """The description in a TOML text. Raises SetupError."""
    return _Reader(text).description()


class _Reader:
    """One reading: the document, and where its keys stand."""

    def __init__(self, text: str) -> None:
        try:
            self.document: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SetupError(f"the description is not TOML: {error}.", remedy="Mend the file.") from None
        self.lines = places(text)

    def description(self) -> Description:
        document = self.document
        self._only("", document, ("koppel", "title", "base_url", "headers", "calls_per_minute", "auth", "resources"))
        if document.get("koppel") != FORMAT:
            self.wrong("koppel", f"this Koppel reads descriptions of format {FORMAT}", f"Write: koppel = {FORMAT}")
        title, base_url = document.get("title"), document.get("base_url")
        if not isinstance(title, str) or not title:
            self.wrong("title", "the API has no title", 'Write, for instance: title = "Voorbeeld API"')
        if not isinstance(base_url, str) or not is_address(base_url):
            self.wrong("base_url", "it is not a web address", 'Write, for instance: base_url = "https://api.voorbeeld.example/v1"')  # fmt: skip
        headers = document.get("headers", {})
        if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
            self.wrong("headers", "headers are texts", 'For instance: headers = { "X-Version" = "2" }')
        secret = next((name for name in headers if name.lower() in {"authorization", "cookie", "x-api-key"}), None)
        if secret is not None:
            self.wrong(f"headers.{secret}", "a secret does not belong in a file", "Use [auth], and give the secret to koppel connect.")  # fmt: skip
        rate = document.get("calls_per_minute")
        if rate is not None and (not isinstance(rate, int) or rate < 1):
            self.wrong("calls_per_minute", "it is a whole number from one on", "Leave it out when there is no limit.")
        resources = document.get("resources")
        if not isinstance(resources, dict) or not resources:
            self.wrong("resources", "nothing is described", "Write a table such as [resources.companies].")
        made = {name: self.resource(name, table) for name, table in resources.items()}
        for name, resource in made.items():
            self.references(name, resource, made)
        return Description(
            title, base_url.rstrip("/"), self.sign_in(document.get("auth", {})), rate, headers, made
        )  # fmt: skip

    def references(self, name: str, resource: ResourceText, known: Mapping[str, ResourceText]) -> None:
        """What refers to another resource refers to one that is described, of the right entity. Raises SetupError."""
        meant = REFERENCES.get(resource.entity, {})
        for table, fields in (("fields", resource.fields), ("own", resource.own)):
            inner = [(f"{path}.{part}", field) for path, lines in fields.items() for part, field in lines.parts.items()]
            for path, field in (*fields.items(), *inner):
                key = f"resources.{name}.{table}.{path}.refers_to"
                if field.refers_to and field.refers_to not in known:
                    self.wrong(key, f"no resource {field.refers_to!r} is described", self.meant(field.refers_to, tuple(known)))  # fmt: skip
                entity = meant.get(path) if table == "fields" else None
                if entity and field.refers_to and known[field.refers_to].entity != entity:
                    fitting = tuple(each for each, resource in known.items() if resource.entity == entity)
                    self.wrong(key, f"{path} names a {entity}, and {field.refers_to} holds none", f"It can be: {', '.join(fitting) or 'none yet'}.")  # fmt: skip
                if entity and not field.refers_to:
                    self.wrong(key.rpartition(".")[0], f"{path} names a {entity}, and nothing says of which resource", 'For instance: { field = "customer_id", refers_to = "customers" }')  # fmt: skip

    def sign_in(self, table: Any) -> SignIn:
        auth = self.part("auth", table, SignIn)
        if auth.kind == "client_credentials" and not is_address(auth.token_url):
            self.wrong("auth.token_url", "client_credentials needs the address tokens are asked at", 'Write: token_url = "https://…"')  # fmt: skip
        return auth

    def resource(self, name: str, table: Any) -> ResourceText:
        at = f"resources.{name}"
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", name):
            self.wrong(at, f"{name!r} is no name for a resource", "Use small letters, digits and hyphens.")
        if not isinstance(table, dict):
            self.wrong(at, "it must be a table", f"Write it as [{at}].")
        plain = {key: value for key, value in table.items() if key not in {"fields", "own", "find", "paging", "since", "write"}}  # fmt: skip
        found = self.part(at, plain, ResourceText)
        fields, own = (
            self.fields(f"{at}.fields", table.get("fields", {})),
            self.fields(f"{at}.own", table.get("own", {})),
        )
        whole = msgspec.structs.replace(
            found,
            paging=self.part(f"{at}.paging", table.get("paging", {}), Paging),
            since=self.part(f"{at}.since", table["since"], Since) if "since" in table else None,
            find=self.finds(f"{at}.find", table.get("find", {})),
            write=self.write(f"{at}.write", table.get("write", {})),
            fields=fields,
            own=own,
        )
        self.sense(at, whole)
        return whole

    def fields(self, at: str, table: Any) -> dict[str, FieldText]:
        if not isinstance(table, dict):
            self.wrong(at, "it must be a table", f"Write it as [{at}].")
        found: dict[str, FieldText] = {}
        for path, line in table.items():
            if isinstance(line, dict) and "field" not in line and path in ADDRESSES:  # [fields.address] street = "…"
                nested = {f"{path}.{part}": value for part, value in line.items()}
                found |= self.fields(at, nested)
                continue
            given = {"field": line} if isinstance(line, str) else line
            parts = given.get("parts") if isinstance(given, dict) else None
            plain = {key: value for key, value in given.items() if key != "parts"} if parts is not None else given
            found[path] = self.part(f"{at}.{path}", plain, FieldText)
            if parts is not None:
                inner = self.fields(f"{at}.{path}.parts", parts)
                found[path] = msgspec.structs.replace(found[path], parts=inner)
        return found

    def finds(self, at: str, table: Any) -> dict[FindKind, Look]:
        known: tuple[FindKind, ...] = get_args(FindKind)
        self._only(at, table, known)
        found: dict[FindKind, Look] = {}
        for kind in known:
            if kind in table:
                look = self.part(f"{at}.{kind}", table[kind], Look)
                if bool(look.path) == bool(look.query):
                    self.wrong(f"{at}.{kind}", "it needs a path or a query parameter, not both", 'Write { query = "kvk" } or { path = "/x/{value}" }.')  # fmt: skip
                if look.path and "{value}" not in look.path:
                    self.wrong(f"{at}.{kind}.path", "it has no {value}", 'For instance: path = "/companies/{value}"')
                found[kind] = look
        return found

    def write(self, at: str, table: Any) -> Write:
        if not isinstance(table, dict):
            self.wrong(at, "it must be a table", f"Write it as [{at}].")
        inner = {"create": Call, "update": Call, "refused": Refusal}
        plain = self.part(at, {key: value for key, value in table.items() if key not in inner}, Write)
        parts = {key: self.part(f"{at}.{key}", table[key], kind) for key, kind in inner.items() if key in table}
        return msgspec.structs.replace(plain, **parts)

    # --- what must fit together ---

    def sense(self, at: str, resource: ResourceText) -> None:
        """What every key alone allows and all together do not. Raises SetupError."""
        if not resource.fields:
            self.wrong(f"{at}.fields", "no field is described", 'Write, for instance: name = "company_name"')
        for path, field in resource.fields.items():
            paths = paths_for(resource.entity)
            if path not in paths:
                self.wrong(f"{at}.fields.{path}", f"{path!r} is no field of {_a(resource.entity)}", self.meant(path, paths) + f" A field of their own stands under [{at}.own].")  # fmt: skip
            self.lines_of(at, resource.entity, path, field)
            if field.kind not in {None, kind_of(path, msgspec.structs.replace(field, kind=None))}:
                self.wrong(f"{at}.fields.{path}.kind", f"{path} is of kind {kind_of(path, msgspec.structs.replace(field, kind=None))}", "Leave kind out.")  # fmt: skip
        paging, since, write = resource.paging, resource.since, resource.write
        if paging.style == "cursor" and not paging.next:
            self.wrong(f"{at}.paging.next", "a cursor must be found somewhere", 'Write, for instance: next = "meta.next_cursor"')  # fmt: skip
        if paging.style in {"page", "offset"} and not paging.size:
            self.wrong(f"{at}.paging.size", "the parameter for the size of a page is missing", 'Write, for instance: size = "per_page"')  # fmt: skip
        if paging.most < 1:
            self.wrong(f"{at}.paging.most", "a page holds at least one record", "For instance: most = 100")
        if since and since.zone not in available_timezones():
            self.wrong(f"{at}.since.zone", f"{since.zone!r} is no time zone", 'For instance: zone = "Europe/Amsterdam"')
        if not resource.list and since:
            self.wrong(f"{at}.since", "what cannot be listed cannot tell what changed", "Remove it, or list = false.")
        writes = write.create or write.update
        if writes and "native" not in resource.find:
            self.wrong(f"{at}.find.native", "what is written must be read back by its id", 'Write: native = { path = "/companies/{value}" }')  # fmt: skip
        if write.update and "{id}" not in write.update.path:
            self.wrong(f"{at}.write.update.path", "it has no {id}", 'For instance: path = "/companies/{id}"')
        if "operation" in resource.find and not write.operation_id:
            self.wrong(f"{at}.write.operation_id", "find.operation looks for a field that is not named", 'For instance: operation_id = "reference"')  # fmt: skip
        if write.if_match and not resource.version:
            self.wrong(f"{at}.version", "if_match needs to know where a record shows its version", 'For instance: version = "etag"')  # fmt: skip
        shown = FOUND_BY[resource.entity]
        strange = next((kind for kind in resource.find if kind not in {"native", "operation", *shown}), None)
        if strange is not None:
            self.wrong(f"{at}.find.{strange}", f"{_a(resource.entity)} cannot be found by {strange!r}", f"Known here: {', '.join(('native', *shown, 'operation'))}.")  # fmt: skip
        for kind, path in shown.items():
            if kind in resource.find and path not in resource.fields:
                self.wrong(f"{at}.find.{kind}", f"the field {path} is not described, so an answer cannot be recognised", f"Add {path} to [{at}.fields].")  # fmt: skip

    def lines_of(self, at: str, entity: str, path: str, field: FieldText) -> None:
        """Lines are described by their parts, and nothing else has any. Raises SetupError."""
        key = f"{at}.fields.{path}"
        if bool(field.parts) != (path == LINES):
            self.wrong(key, "lines have parts, and only they", f"For instance: [{at}.fields.lines] with a table parts.")
        known = parts_for(entity)
        strange = next((part for part in field.parts if part not in known), None)
        if strange is not None:
            self.wrong(f"{key}.parts.{strange}", f"{strange!r} is nothing a line holds", self.meant(strange, known))

    # --- complaining ---

    def part(self, at: str, table: Any, kind: type[S]) -> S:
        try:
            return msgspec.convert(table, kind)
        except msgspec.ValidationError as error:
            self.refused(at, kind, str(error))

    def refused(self, at: str, kind: type[msgspec.Struct], said: str) -> NoReturn:
        text, _, inside = said.partition(" - at `$")
        key = f"{at}{inside.rstrip('`')}" if inside else at
        unknown = re.search(r"unknown field `(\w+)`", text)
        if unknown:
            names = kind.__struct_fields__
            self.wrong(f"{key}.{unknown[1]}", f"{unknown[1]!r} is no key here", self.meant(unknown[1], names))
        missing = re.search(r"missing required field `(\w+)`", text)
        if missing:
            self.wrong(key, f"the key {missing[1]!r} is missing", f"Add it under [{key}].")
        field = next((f for f in msgspec.structs.fields(kind) if f.name == key.rpartition(".")[2]), None)
        allowed = get_args(field.type) if field else ()
        words = [word for word in allowed if isinstance(word, str)]
        self.wrong(key, text[:1].lower() + text[1:], f"It takes {', '.join(words)}." if words else "Mend the value.")

    def wrong(self, key: str, what: str, remedy: str) -> NoReturn:
        line = self.line(key)
        raise SetupError(f"{f'line {line}, ' if line else ''}{key}: {what}.", remedy=remedy)

    def line(self, key: str) -> int | None:
        """The line of a key, or of the nearest table above it that is written."""
        while key:
            if key in self.lines:
                return self.lines[key]
            key = key.rpartition(".")[0]
        return None

    def meant(self, word: str, known: tuple[str, ...]) -> str:
        close = get_close_matches(word, known, 1)
        return f"Did you mean {close[0]!r}?" if close else f"Known here: {', '.join(known)}."

    def _only(self, at: str, table: Any, known: tuple[str, ...]) -> None:
        if not isinstance(table, dict):
            self.wrong(at, "it must be a table", f"Write it as [{at}].")
        strange = next((key for key in table if key not in known), None)
        if strange is not None:
            self.wrong(f"{at}.{strange}".lstrip("."), f"{strange!r} is no key here", self.meant(strange, known))


def _a(entity: str) -> str:
    return f"{'an' if entity[0] in 'aeiou' else 'a'} {entity.replace('_', ' ')}"


def is_address(text: str) -> bool:
    """Whether this is an absolute web address."""
    parts = urlsplit(text)
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


_HEADER = re.compile(r"^\s*\[([^\[\]]+)\]\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:[\w-]+|"[^"]*")(?:\s*\.\s*(?:[\w-]+|"[^"]*"))*)\s*=""")


def places(text: str) -> dict[str, int]:
    r"""Lines of tables and keys by dotted path; what stands inside an inline table is found at its line.

    >>> places('a = 1\n[b.c]\n"d" = 2')
    {'a': 1, 'b.c': 2, 'b.c.d': 3}
    """
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        header, key = _HEADER.match(line), _KEY.match(line)
        if header:
            table = _dotted(header[1])
            found.setdefault(table, number)
        elif key:
            found.setdefault(f"{table}.{_dotted(key[1])}".lstrip("."), number)
    return found


def _dotted(written: str) -> str:
    return ".".join(part.strip().strip('"') for part in written.split("."))


@lru_cache(maxsize=256)
def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]


def digest(resource: ResourceText) -> str:
    """Changes when the description of a resource does: what was read by another one must be read again."""
    return _digest(msgspec.json.encode(resource, order="deterministic"))


def paths_of(resource: ResourceText) -> tuple[str, ...]:
    """Every dotted path of a record that is kept; nothing else of it is (rule B13)."""
    own = (field.field for field in resource.own.values())
    named = (*(field.field for field in resource.fields.values()), *own)
    more: tuple[Json, ...] = (
        resource.since.field if resource.since else "",
        resource.version,
        resource.write.operation_id,
    )
    return tuple(dict.fromkeys(path for path in (*named, *more) if path))
