"""The contract suite itself: a made-up vendor keeps it, and each way of breaking it is caught by the test that should."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
import pytest

from koppel.model.can import Can, Field
from koppel.model.company import Company
from koppel.model.problem import Problem
from koppel.model.record import Record
from koppel.model.values import Cursor
from koppel.sandbox.host import SandboxHost
from koppel.systems.spi import (
    Absent,
    Auth,
    Batch,
    Budget,
    BudgetReading,
    Call,
    Decoded,
    Found,
    Item,
    Landed,
    NoReply,
    NotLanded,
    Operation,
    Page,
    Receipt,
    Request,
    Resource,
    Response,
    System,
    Tokens,
    Unknown,
    Verdict,
)
from koppel.testing.bench import Bench
from koppel.testing.contract import Contract

changed = msgspec.structs.replace
URL = "http://shelf.example/shelf/items"
KEY = "made-up-shelf-key"
PER_MINUTE = 80


# --- the vendor -----------------------------------------------------------------------------------------------------


class Shelf:
    """A vendor with row versions, modified stamps, tombstones and writes of two records a call."""

    name = "shelf"
    base_path = "/shelf"

    def __init__(self, world):
        self.now, self.rows, self.gone, self.revision, self.refused = world.now, {}, [], 0, set()
        self.minute, self.calls = 0.0, 0
        for number in range(5):
            self.put({"name": f"Firma {number}", "kvk": f"{90_000_000 + number}", "op": ""})

    def put(self, values, id_=None, late=0.0):
        self.revision += 1
        id_ = id_ or f"r{self.revision}"
        kept = self.rows.get(id_, {"id": id_}) | values
        self.rows[id_] = kept | {"rev": self.revision, "at": self.now() - late}
        return self.rows[id_]

    def handle(self, path, request):
        if request.headers.get("key") != KEY:
            return self.answer(401, {})
        began = self.now() // 60
        self.minute, self.calls = began, (self.calls if self.minute == began else 0) + 1
        if self.calls > PER_MINUTE:
            return self.answer(429, {})
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
        if request.method == "POST":
            return self.answer(200, [self.write(each) for each in msgspec.json.decode(request.body)])
        if "field" in query:
            wanted = set(query["values"].split(","))
            return self.answer(200, {"items": [row for row in self.rows.values() if row[query["field"]] in wanted]})
        measure, limit = query.get("by", "rev"), int(query["limit"])
        rows = sorted(self.rows.values(), key=lambda row: (row[measure], row["id"]))
        rows = [row for row in rows if row[measure] > float(query["after"])]
        gone = [id_ for revision, id_ in self.gone if revision > float(query["after"])]
        return self.answer(200, {"items": rows[:limit], "more": len(rows) > limit, "gone": gone, "rev": self.revision})

    def write(self, each):
        if each["fields"].get("name") in self.refused:
            return {"op": each["op"], "error": "name not allowed"}
        if each["id"] and each["id"] not in self.rows:
            return {"op": each["op"], "gone": True}
        if each["expect"] and str(self.rows[each["id"]]["rev"]) != each["expect"]:
            return {"op": each["op"], "stale": True}
        made = self.put(each["fields"] | {"op": each["op"]}, each["id"])
        return {"op": each["op"], "id": made["id"]}

    def answer(self, status, body):
        return Response(status, {"left": str(max(0, PER_MINUTE - self.calls))}, msgspec.json.encode(body))

    def delete(self, id_):
        self.revision += 1
        del self.rows[id_]
        self.gone.append((self.revision, id_))

    def control(self, action, body):
        raise ValueError(action)

    def contract(self, base_url):
        return {"base_url": base_url}

    def snapshot(self):
        return sorted(self.rows)


# --- the client, with every way to break it -------------------------------------------------------------------------------


class Settings(msgspec.Struct, frozen=True):
    key: Annotated[str, msgspec.Meta(extra={"secret": True})] = KEY
    broken: str = ""

    def __repr__(self):
        return f"Settings(key={self.key})" if self.broken == "prints the key" else "Settings(…)"


def get(site, kind="items", **query):
    if site.settings.broken == "key in the address":
        query["key"] = site.settings.key
    carries = ("x",) if site.settings.broken == "reading carries" else ()
    return Call(Request("GET", f"{URL}?{urlencode(query)}"), carries=carries, kind=kind)


def item(row):
    return Item(row["id"], row, str(row["rev"]), row["at"])


SHOWN = set()  # of a client that keeps its place by itself, instead of in `next`


def pages(site, query):
    broken = site.settings.broken
    measure = "at" if broken == "reads by stamp" else "rev"
    after = query.next or (query.cursor.value if query.cursor else "-1")
    reply = yield get(site, by=measure, after=after, limit=2)
    body = msgspec.json.decode(reply.body)
    items = tuple(item(row) for row in body["items"])
    last = str(body["items"][-1][measure]) if items else after
    if not body["more"] and measure == "rev":
        last = str(max(body["rev"], 0))  # deletions count too
    if broken == "repeats a record" and query.next is None:
        items += items[:1]
    if broken == "remembers pages itself" and query.next is not None:
        items = () if (last, site.as_of) in SHOWN else items
        SHOWN.add((last, site.as_of))
    if broken == "one more call":
        yield get(site, by=measure, after=after, limit=2)
    return Page(
        items=items,
        gone=() if broken == "hides deletions" else tuple(("items", id_) for id_ in body["gone"]),
        next=last if body["more"] else None,
        cursor=Cursor("rev", last) if broken != "forgets the cursor" else None,
        complete=(not body["more"] or broken == "always complete") and query.cursor is None,
    )


def find(site, kind, values):
    field = "id" if kind == "native" else kind
    reply = yield get(site, field=field, values=",".join(values))
    try:
        rows = msgspec.json.decode(reply.body)["items"]
    except (msgspec.DecodeError, TypeError):
        if site.settings.broken == "garbage is absence":
            return dict.fromkeys(values, Absent())
        return dict.fromkeys(values, Unknown(Problem("unreadable", "cut short")))
    if site.settings.broken == "finds only the first":
        rows = rows[:1]
    found = {value: tuple(item(row) for row in rows if row[field] == value) for value in values}
    if site.settings.broken == "never absent":
        return {value: Found(items) for value, items in found.items()}
    return {value: Found(items) if items else Absent() for value, items in found.items()}


def decode(site, shown):
    company = Company(name=shown.fields["name"], kvk=shown.fields.get("kvk"), phone=shown.fields.get("phone"))
    if site.settings.broken == "undeclared field":
        company = changed(company, website="x.example")
    return Decoded(Record(company))


def lower(site, change):
    fields = dict(change.values)
    if site.settings.broken == "drops a field":
        fields.pop("kvk", None)
    if site.settings.broken == "clears the others" and change.kind == "update":
        fields = {"name": "", "kvk": "", **fields}
    if site.settings.broken == "never empties" and change.kind == "update":
        fields = {name: value for name, value in fields.items() if value is not None}
    expect = "" if site.settings.broken == "overwrites unseen" else change.version
    return (Operation(change.op, change.kind, "items", change.native, fields, dict(change.before), expect=expect),)


def group(operations):
    return tuple(Batch(operations[start : start + 2]) for start in range(0, len(operations), 2))


def send(site, batch):
    broken = site.settings.broken
    body = [
        {"op": each.op, "id": each.native, "fields": each.fields, "expect": each.expect} for each in batch.operations
    ]
    carries = tuple(each.op for each in batch.operations)
    if broken == "forgets to carry":
        carries = carries[:1]
    reply = yield Call(Request("POST", URL, {}, msgspec.json.encode(body)), carries=carries)
    if isinstance(reply, NoReply):
        status = "refused" if broken == "silence is refusal" else "unknown"
        return tuple(Receipt(each.op, status, each.native) for each in batch.operations)
    try:
        results = msgspec.json.decode(reply.body, type=list[dict])
    except (msgspec.DecodeError, msgspec.ValidationError):
        outage = reply.status >= 500 and broken == "an outage is refusal"
        half = reply.status == 200 and broken == "half an answer is refusal"
        shown = Problem("no", f"refused with {KEY}" if broken == "tells the key in a receipt" else "no")
        status = "refused" if outage or half else "unknown"
        return tuple(Receipt(each.op, status, each.native, problem=shown) for each in batch.operations)
    if broken == "one refusal for all" and any("error" in each for each in results):
        return tuple(
            Receipt(each.op, "refused", problem=Problem("no", "no", vendor_text="no")) for each in batch.operations
        )
    if broken == "mixes up outcomes":
        results = [{**each, "op": op} for each, op in zip(results, reversed(carries), strict=True)]
    if broken == "believes in the departed":
        results = [{"op": each["op"], "id": "r1"} if "gone" in each else each for each in results]
    return tuple(receipt(each) for each in results)


def receipt(result):
    if "stale" in result or "gone" in result:
        return Receipt(result["op"], "stale")
    if "error" in result:
        return Receipt(result["op"], "refused", problem=Problem("refused", "refused", vendor_text=result["error"]))
    return Receipt(result["op"], "done", result["id"])


def probe(site, operations):
    reply = yield get(site, field="op", values=",".join(each.op for each in operations))
    rows = {row["op"]: row for row in msgspec.json.decode(reply.body)["items"]}
    if site.settings.broken == "believes it landed":
        return {each.op: Landed(each.native or "r1") for each in operations}
    if site.settings.broken == "believes it did not":
        return {each.op: NotLanded() for each in operations}
    if site.settings.broken == "one landed so all did" and rows:
        return {each.op: Landed(each.native or next(iter(rows.values()))["id"]) for each in operations}
    if site.settings.broken == "takes a name for proof":
        reply = yield get(site, field="name", values=",".join(str(each.fields["name"]) for each in operations))
        names = {row["name"]: row["id"] for row in msgspec.json.decode(reply.body)["items"]}
        return {each.op: Landed(names[each.fields["name"]]) if each.fields["name"] in names else NotLanded() for each in operations}  # fmt: skip
    return {
        each.op: Landed(rows[each.op]["id"], item(rows[each.op])) if each.op in rows else NotLanded()
        for each in operations
    }


def verdicts(broken):
    kinds = {401: "setup", 403: "setup", 429: "throttled", 503: "unavailable"}
    if broken == "403 is nothing":
        kinds[403] = "ok"
    if broken == "401 is an outage":
        kinds[401] = "unavailable"

    def verdict(request, response, as_of):
        text = f"{KEY} refused" if broken == "tells the key" else "something is wrong"
        kind = kinds.get(response.status, "ok")
        return Verdict(
            kind, None if kind == "ok" else Problem("trouble", text), as_of + 5 if kind == "throttled" else None
        )

    return verdict


def readings(request, response, as_of):
    if "left" not in response.headers:
        return ()
    return (BudgetReading("all", "shelf", int(response.headers["left"]), PER_MINUTE, as_of + 60),)


def strange_readings(request, response, as_of):
    return (BudgetReading("all", "another", 9, 10, as_of + 60),)


FIELDS = (
    Field(path="name", kind="name", vendor=("name",)),
    Field(path="kvk", kind="kvk", vendor=("kvk",)),
    Field(path="phone", kind="phone", vendor=("phone",)),
)


def system(broken):
    can = Can(
        since=True,
        tombstones=True,
        find=("native", "kvk"),
        create=True,
        update=True,
        page=2,
        batch=2,
        find_batch=10,
        never_skips="row_version",
        probe="operation_id",
        conditional=True,
        fields=FIELDS,
    )
    many = {"group": lambda operations: (Batch(operations),)} if broken == "batches without end" else {"group": group}
    items = Resource(
        name="items",
        entity="company",
        can=can,
        pages=pages,
        find=find,
        decode=decode,
        lower=lower,
        send=send,
        probe=probe,
        **many,
    )
    return System(
        name="shelf",
        title="Shelf",
        settings=Settings,
        resources=(items,),
        auth=Auth(
            kind="key",
            authorize=lambda settings, tokens, request: changed(request, headers={"Key": tokens.access}),
            due=lambda tokens, as_of: "fresh",
            tokens_from=lambda settings: Tokens(access=settings.key),
        ),
        verdict=verdicts(broken),
        budgets=(
            Budget(
                name="all",
                limit=500 if broken == "allows itself too much" else PER_MINUTE,
                window="minute",
                key=lambda request: None if broken == "does not count reading" else "shelf",
            ),
        ),
        readings=readings if broken != "other account" else strange_readings,
        hosts=lambda settings: ("elsewhere.example",) if broken == "other host" else ("shelf.example",),
    )


def bench(broken=""):
    host = SandboxHost({"shelf": Shelf})
    shelf = host.sandboxes["shelf"]
    return Bench(
        system=system(broken),
        resource_name="items",
        host=host,
        settings=Settings(broken=broken),
        absent={"native": ("r99",), "kvk": ("12345678",)},
        edit=lambda native, text: shelf.put({"name": text}, native),
        late=lambda native, text: shelf.put({"name": text}, native, late=5.0),
        add=lambda text: shelf.put({"name": text, "kvk": f"{91_000_000 + shelf.revision}", "op": ""})["id"],
        delete=shelf.delete,
        refuse=shelf.refused.add,
        natives=lambda: set(shelf.rows),
    )


# --- the proof ------------------------------------------------------------------------------------------------------------


class TestShelf(Contract):
    """The honest client keeps every promise."""

    def make(self):
        return bench()


@dataclass(frozen=True)
class Caught:
    """How the client is broken, and which test must notice."""

    broken: str
    by: str
    bench_argument: str = "bench"
    arguments: tuple = ()

    def __str__(self):
        return self.broken


def pages_test(broken, by, **arguments):
    return Caught(broken, by, "large", tuple(arguments.items()))


def caught(broken, by, **arguments):
    return Caught(broken, by, arguments=tuple(arguments.items()))


BREAKAGES = (
    pages_test("repeats a record", "test_every_record_is_listed_exactly_once_over_several_pages"),
    pages_test("always complete", "test_only_the_last_page_says_that_all_was_seen"),
    pages_test("reads by stamp", "test_nothing_is_missed_while_people_change_records_between_pages", seed=1, pace=0.0),
    caught("forgets the cursor", "test_a_change_is_seen_by_the_next_listing"),
    caught("one more call", "test_nothing_changed_costs_one_call_and_tells_nothing_new"),
    pages_test("remembers pages itself", "test_a_page_asked_twice_is_the_same_page"),
    caught("reads by stamp", "test_what_was_saved_late_is_not_missed"),
    caught("never empties", "test_a_field_that_is_emptied_reads_back_empty"),
    caught("hides deletions", "test_a_deleted_record_is_reported_as_gone"),
    caught("finds only the first", "test_keys_that_exist_are_found_and_others_are_absent_in_bulk"),
    caught("never absent", "test_keys_that_exist_are_found_and_others_are_absent_in_bulk"),
    caught("garbage is absence", "test_an_answer_cut_short_is_never_taken_for_absence"),
    caught("undeclared field", "test_every_field_that_is_filled_stands_in_the_field_table"),
    caught("drops a field", "test_what_is_created_reads_back_as_the_resource_says_it_keeps_it"),
    caught("clears the others", "test_each_field_can_be_changed_alone_and_the_others_stay"),
    caught("one refusal for all", "test_many_creates_keep_an_outcome_each_and_a_refused_one_spoils_no_neighbour"),
    caught("mixes up outcomes", "test_many_creates_keep_an_outcome_each_and_a_refused_one_spoils_no_neighbour"),
    caught("overwrites unseen", "test_a_record_changed_by_a_person_in_the_meantime_makes_the_update_stale"),
    caught("believes in the departed", "test_a_change_to_a_record_that_is_gone_does_not_pass_for_done"),
    caught("forgets to carry", "test_every_operation_travels_in_exactly_one_call_that_names_it"),
    caught("batches without end", "test_batches_are_no_larger_than_the_resource_says"),
    caught("reading carries", "test_reading_never_claims_to_carry_an_operation"),
    caught("silence is refusal", "test_a_lost_create_is_unknown_and_a_probe_tells_whether_it_landed", lost="reply"),
    caught("believes it landed", "test_a_lost_create_is_unknown_and_a_probe_tells_whether_it_landed", lost="request"),
    caught("believes it landed", "test_a_lost_update_is_unknown_and_a_probe_tells_whether_it_landed", lost="request"),
    caught("believes it did not", "test_a_lost_create_is_unknown_and_a_probe_tells_whether_it_landed", lost="reply"),
    caught("believes it did not", "test_a_batch_whose_reply_is_lost_is_unknown_as_a_whole_and_probed_record_by_record"),
    caught("an outage is refusal", "test_a_lost_create_is_unknown_and_a_probe_tells_whether_it_landed", lost="outage"),
    caught("an outage is refusal", "test_a_lost_update_is_unknown_and_a_probe_tells_whether_it_landed", lost="effect"),
    caught("believes it did not", "test_a_lost_create_is_unknown_and_a_probe_tells_whether_it_landed", lost="effect"),
    caught("half an answer is refusal", "test_a_write_whose_answer_is_cut_short_is_never_taken_for_refused"),
    caught("one landed so all did", "test_a_probe_of_several_tells_each_by_itself"),
    caught("takes a name for proof", "test_what_a_person_made_alike_is_not_taken_for_ours"),
    caught("tells the key in a receipt", "test_what_goes_wrong_is_told_without_a_secret"),
    caught("allows itself too much", "test_who_keeps_the_declared_allowances_is_never_throttled"),
    caught("does not count reading", "test_who_keeps_the_declared_allowances_is_never_throttled"),
    caught("403 is nothing", "test_each_error_is_judged_by_what_must_be_done", status=403),
    caught("401 is an outage", "test_each_error_is_judged_by_what_must_be_done", status=401),
    caught("tells the key", "test_each_error_is_judged_by_what_must_be_done", status=503),
    caught("key in the address", "test_secrets_show_neither_in_addresses_nor_in_print"),
    caught("prints the key", "test_secrets_show_neither_in_addresses_nor_in_print"),
    caught("other host", "test_requests_stay_on_the_hosts_the_system_names"),
    caught("other account", "test_what_an_answer_says_of_the_allowances_can_be_read"),
)


@pytest.mark.parametrize("breakage", BREAKAGES, ids=str)
def test_a_broken_client_is_caught_by_the_test_for_it(breakage):
    class Suite(Contract):
        def make(self):
            return bench(breakage.broken)

    suite = Suite()
    with pytest.raises(AssertionError):
        getattr(suite, breakage.by)(**{breakage.bench_argument: suite.make()}, **dict(breakage.arguments))
