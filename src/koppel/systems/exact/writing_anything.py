"""Writing any resource by name: prepared with reads alone, sent once, read back, and looked up when its answer is lost."""

from __future__ import annotations

from typing import cast

from koppel.model.anything import Draft, Prepared, Shown, Written
from koppel.model.problem import Problem, UsageError
from koppel.systems.exact import catalogue, drafts, edm, edmx, odata, references, rows_of, wire
from koppel.systems.exact.asking import address
from koppel.systems.exact.generic import described
from koppel.systems.exact.vendor_table import VendorResource, resources
from koppel.systems.exact.wire import Unreadable
from koppel.systems.exact.writing import named_field, refusal_code
from koppel.systems.spi import (
    Call,
    CannotTell,
    Exchange,
    Landed,
    NoReply,
    NotLanded,
    Reply,
    Request,
    Response,
    Site,
    Trace,
)

# --- before -------------------------------------------------------------------------------------------------------


def prepare(site: Site, draft: Draft) -> Exchange[Prepared]:
    """What would be sent for a draft, and what stands there now. Only reads.

    Raises UsageError for anything wrong with it: unknown or read-only properties, types, what is missing, a record that
    is not in this division.
    """
    checked = drafts.check(draft)
    resource, doubts = checked.resource, list(checked.doubts)
    if checked.fields:
        _as_described(resource, tuple(checked.fields), (yield from described(site, resource)))
    yield from references.check(site, checked.named)
    path, before, fields = resource.path, dict[str, object](), checked.fields
    if checked.key is not None:
        path = f"{resource.path}({checked.key})"
        names = tuple(fields) if draft.kind == "update" else _all_single(resource)
        before = yield from _shown(site, resource, path, names)
        if draft.kind == "update":
            fields = {
                name: value for name, value in fields.items() if not _same(resource, name, value, before.get(name))
            }
            before = {name: before.get(name) for name in fields}
        before = {name: _in_body_form(resource, name, value) for name, value in before.items()}
    elif "GET" not in resource.methods:
        doubts.append("this is an action: what it does cannot be read here afterwards, nor taken back")
    return Prepared(
        name=resource.path,
        kind=draft.kind,
        method=checked.method,
        path=path,
        native=checked.native,
        fields=fields,
        before=before,
        doubts=tuple(doubts),
    )


def _as_described(resource: VendorResource, names: tuple[str, ...], entity: edmx.Entity | None) -> None:
    """Raises UsageError where the account's own description departs from the table in what is to be sent."""
    if entity is None:
        return  # it gives none: the table stands alone
    wrong = [line for line in edmx.differences(resource, entity) if line.partition(":")[0] in names]
    if wrong:
        raise UsageError(
            f"{resource.path} is not in this account as the vendor's reference has it: {'; '.join(wrong)}.",
            remedy="See all of it with --describe. Leave these out.",
        )


def _all_single(resource: VendorResource) -> tuple[str, ...]:
    """What is kept of a record that is deleted: everything that can be read of it but file contents (and no BSN)."""
    return tuple(p.name for p in resource.properties.values() if catalogue.shown_unasked(p))


def _shown(site: Site, resource: VendorResource, path: str, names: tuple[str, ...]) -> Exchange[Shown]:
    """One record as it stands, by key. Raises UsageError when it is not there."""
    link = address(site.settings, path, odata.options(select=names))
    reply = yield wire.get(link, resource.path)
    try:
        if isinstance(reply, NoReply):
            raise Unreadable(Problem("no_reply", "Exact Online did not answer."))
        row = wire.read_entity(reply, decode=edm.read_json)
    except Unreadable as error:
        if error.problem.status == 404:
            raise UsageError(
                f"This division has no {path}.", remedy="Look it up with: koppel read … --where, and give its id."
            ) from None
        raise rows_of.failure(error.problem, site.as_of) from None
    return {name: row.get(name) for name in names if name in row}


def _in_body_form(resource: VendorResource, name: str, shown: object) -> object:
    """A value as a body would hold it, for people to compare; what cannot be read so stays as it was shown."""
    type_ = resource.properties[name].type
    try:
        return edm.encode(type_, edm.decode(type_, shown))
    except ValueError:
        return shown


def _same(resource: VendorResource, name: str, sent: object, shown: object) -> bool:
    """Whether the vendor shows a value as sent: types apart, blanks behind and in front apart."""
    type_ = resource.properties[name].type
    try:
        one, other = edm.decode(type_, sent), edm.decode(type_, shown)
    except ValueError:
        return False
    if isinstance(one, str) and isinstance(other, str):
        return one.strip() == other.strip()
    return one == other and (one is None) == (other is None)


# --- sending ------------------------------------------------------------------------------------------------------


def write(site: Site, prepared: Prepared, op: str) -> Exchange[Written]:
    """Send one prepared write, once.

    An answer that does not prove one or the other is `unknown`: this vendor also answers refusals with 500 (fact sheet §8).
    """
    reply = yield _call(site, prepared, op)
    return _outcome(resources()[prepared.name], prepared, reply)


def _call(site: Site, prepared: Prepared, op: str) -> Call:
    headers = {"Accept": "application/json"}
    body = b""
    if prepared.kind != "delete":
        headers |= {"Content-Type": "application/json", "Prefer": "return=representation"}
        body = edm.write_json(prepared.fields)
    request = Request(prepared.method, address(site.settings, prepared.path), headers, body)
    return Call(request, carries=(op,), kind=prepared.name)


def _outcome(resource: VendorResource, prepared: Prepared, reply: Reply) -> Written:
    if isinstance(reply, NoReply):
        return Written(
            status="unknown", native=prepared.native, problem=Problem("no_reply", "Exact Online did not answer.")
        )
    if reply.status in {200, 201, 204}:
        return Written(status="done", native=prepared.native or _native(resource, reply))
    said = wire.error_text(reply)
    business = refusal_code(said) if reply.status == 500 else None
    if business or (400 <= reply.status < 500 and reply.status != 408):
        text = f"Exact Online refuses this: {said}" if said else f"Exact Online refuses this (HTTP {reply.status})."
        field = named_field(said, cast("wire.Row", prepared.fields))
        problem = wire.problem(business or "refused", text, reply, field=field)
        return Written(status="refused", native=prepared.native, problem=problem)
    text = f"Exact Online answered {reply.status}" + (f": {said}" if said else "") + "."
    return Written(status="unknown", native=prepared.native, problem=wire.problem("unclear_answer", text, reply))


def _native(resource: VendorResource, response: Response) -> str | None:
    """The id of a new record, from the answer's record or its Location."""
    key = resource.key[0] if len(resource.key) == 1 else ""
    try:
        shown = wire.read_entity(response, decode=edm.read_json).get(key)
    except Unreadable:
        shown = None
    if isinstance(shown, str) and shown:
        return shown.lower() if resource.properties[key].type == "Guid" else shown
    location = response.headers.get("location", "")
    inside = location.rpartition("(guid'")[2].partition("'")[0]
    try:
        return odata.plain_guid(inside)
    except ValueError:
        return None


def read_back(site: Site, prepared: Prepared, done: Written) -> Exchange[Written]:
    """What the vendor kept of a write that is done: a dropped line or an emptied reference is answered with 201 all the same."""
    resource = resources()[prepared.name]
    if prepared.kind == "delete" or "GET" not in resource.methods:
        return done
    if done.native is None:
        text = "It was taken, but its id was not shown, so what was kept could not be read back."
        return Written(status="done", problem=Problem("not_read_back", text))
    type_ = resource.properties[resource.key[0]].type
    try:
        key = edm.literal(type_, edm.typed(type_, done.native))
    except ValueError as error:
        raise UsageError(f"{error}.", remedy="Give the id as it is read.") from None
    sent_lines = {
        name: cast("list[Shown]", value) for name, value in prepared.fields.items() if resource.properties[name].many
    }
    lines = {name: [_single_values(line) for line in some] for name, some in sent_lines.items()}
    single = tuple(name for name in prepared.fields if name not in lines)
    path = f"{resource.path}({key})"
    inner = tuple(
        f"{name}/{part}" for name, some in lines.items() for part in dict.fromkeys(p for one in some for p in one)
    )
    link = address(site.settings, path, odata.options(select=(*(single or resource.key), *inner), expand=lines))
    reply = yield wire.get(link, resource.path)
    try:
        if isinstance(reply, NoReply):
            raise Unreadable(Problem("no_reply", "no answer"))
        row = wire.read_entity(reply, decode=edm.read_json)
        whole = yield from rows_of.whole(site.settings, row, tuple(lines), resource.path)
    except Unreadable as error:
        text = f"It was taken, but could not be read back ({error.problem.text.removesuffix('.')})."
        return Written(status="done", native=done.native, problem=Problem("not_read_back", text))
    shown: Shown = {name: whole.get(name) for name in single}
    differs = [name for name in single if not _same(resource, name, prepared.fields[name], whole.get(name))]
    for name, sent in lines.items():
        parts = dict.fromkeys(part for line in sent for part in line)
        inside = cast("list[Shown]", whole.get(name) or [])
        kept = [{part: one[part] for part in parts if part in one} for one in inside]
        shown[name] = kept
        differs += _differing_lines(resource, name, sent, kept)
    deeper = (
        Problem("not_read_back", "What stands inside its lines was not read back.") if lines != sent_lines else None
    )
    return Written(status="done", native=done.native, shown=shown, differs=tuple(differs), problem=deeper)


def _single_values(line: Shown) -> Shown:
    return {name: value for name, value in line.items() if not isinstance(value, list)}


def _differing_lines(resource: VendorResource, name: str, sent: list[Shown], kept: list[Shown]) -> list[str]:
    """Lines sent that none of the kept ones equals, by number: the vendor may show them in another order."""
    child = catalogue.child_of(resource, name)
    if child is None:
        return []
    rest, missing = list(kept), list[str]()
    for number, line in enumerate(sent, 1):
        alike = next(
            (one for one in rest if all(_same(child, part, value, one.get(part)) for part, value in line.items())), None
        )
        if alike is None:
            missing.append(f"{name}[{number}]")
        else:
            rest.remove(alike)
    return missing


# --- in doubt -----------------------------------------------------------------------------------------------------


def look(site: Site, prepared: Prepared) -> Exchange[Trace]:
    """What can be seen of a write whose answer was lost. A new record is never taken for ours by its looks alone.

    Raises RetryLater, SetupError when the look-up itself gets no usable answer.
    """
    resource = resources()[prepared.name]
    if prepared.kind == "create":
        return (yield from _look_for_new(site, resource, prepared))
    native = prepared.native or ""
    try:
        names = tuple(prepared.fields) or resource.key
        now = yield from _shown(site, resource, prepared.path, names)
    except UsageError:
        if prepared.kind == "delete":
            return Landed(native)
        return CannotTell(Problem("gone", "The record is no longer there."))
    if prepared.kind == "delete":
        return NotLanded()
    if all(_same(resource, name, value, now.get(name)) for name, value in prepared.fields.items()):
        return Landed(native)
    if all(_same(resource, name, value, now.get(name)) for name, value in prepared.before.items()):
        return NotLanded()
    return CannotTell(Problem("changed", "The record shows neither what was sent nor what stood there before."))


def _look_for_new(site: Site, resource: VendorResource, prepared: Prepared) -> Exchange[Trace]:
    if "GET" not in resource.methods or len(resource.key) != 1:
        return CannotTell(Problem("cannot_look", "What this action did cannot be read here; look in Exact Online."))
    tests: list[odata.Condition] = []
    for name, value in prepared.fields.items():
        found = resource.properties[name]
        if found.many or value is None or found.type not in {"String", "Guid", "Int32", "Int16", "DateTime"}:
            continue
        if found.type == "String" and not 0 < len(str(value)) <= 60:
            continue
        term = edm.literal(found.type, edm.from_json(found.type, value))
        tests.append(odata.compare(odata.prop(name), "eq", term))
    if not tests:
        return CannotTell(Problem("cannot_look", "Nothing that was sent can be searched for; look in Exact Online."))
    query = odata.options(where=odata.all_of(tests[:6]), select=resource.key, top=20)
    try:
        rows = yield from rows_of.every_row(site, address(site.settings, resource.path, query), resource.path)
    except UsageError as error:
        return CannotTell(
            Problem(
                "cannot_look",
                f"It could not be searched for ({error.message.removesuffix('.')}); look in Exact Online.",
            )
        )
    ids = [str(row.get(resource.key[0])).lower() for row in rows]
    if not ids:
        return CannotTell(Problem("not_seen", "Exact Online shows no record like it now; it may still appear."))
    text = f"Exact Online shows {len(ids)} record(s) like it: {', '.join(ids)}. Look whether one is this."
    return CannotTell(Problem("like_it", text))
