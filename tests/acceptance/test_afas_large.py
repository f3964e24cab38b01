"""Many debtors, few changes: what changed costs one call, nothing changed costs one call, and memory does not follow the number.

20,000 debtors here; benchmarks/afas_debtors.py does the same with 100,000. Calls are counted by the sandbox, in this process,
and memory by Python itself: traced bytes, so that neither the machine nor its load matters.
"""

from __future__ import annotations

import gc
import tracemalloc
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from koppel.app import Workspace
from koppel.config.workspace_file import FILE
from koppel.sandbox.host import build, contract
from koppel.store import flows, observations, streams

pytestmark = pytest.mark.slow

MANY = 20_000
FEW = 1_000
CHANGED = 50
SITE = "http://localhost:1"  # never reached: the transport ends in this process
MB = 1_000_000
STREAM = ("debtors-afas", "debtors")
IN_PARTS = {
    "addresses": "Profit_Deliveryaddress",
    "addresses_by": "OrgId",
    "addresses_only": "Adrestype_code_2=ADR",
    "addresses_modified": "Gewijzigd_op_2",
}


@dataclass
class Desk:
    """A workspace on AFAS with many debtors, a few of them linked to the register."""

    host: object
    workspace: Workspace
    filled: list[str]

    def sync(self):
        self.host.reset_calls()
        result = self.workspace.sync("kvk-afas")
        assert result.state == "done", result.message
        return result

    def calls(self):
        """All calls since the run began, but those for a new token: a token lasts as long as it lasts."""
        tokens = self.host.count("afas", path="oauth/token")
        return {"afas": self.host.count("afas") - tokens, "kvk": self.host.count("kvk")}

    def edit(self, numbers, text):
        """People type a telephone number, which no field of this flow is about."""
        for number in numbers:
            self.host.control("afas", "edit", {"debtor": number, "set": {"TeNr": text}})

    def pass_by(self):
        """So late that the highest stamp is no news any more."""
        self.host.clock.advance(900)

    def shown(self, numbers):
        """The telephone numbers that the store holds of these debtors."""

        def read(db):
            stream = streams.ensure(db, *STREAM)
            seen = observations.load(db, stream.id, numbers, entity="company")
            return {native: one.record.entity.phone for native, one in seen.items() if one.record}

        return self.workspace.store.run(read)


@contextmanager
def desk(folder, *, debtors, point=None, **settings):
    host = build(seed=5, companies=40, names=("kvk", "afas"))
    host.control("afas", "fill", {"debtors": debtors})
    told = contract(host, SITE)["systems"]
    Workspace.create(folder, name="large").close()
    with (folder / FILE).open("a", encoding="utf-8") as file:
        file.write(f'clock = "{SITE}/_sandbox/clock"\n')

    class Wire:
        async def send(self, request, *, timeout):  # noqa: ASYNC109
            return host.handle(request)

    workspace = Workspace.open(folder)
    workspace.transport = Wire()
    workspace.connect("register", system="kvk", settings={name: told["kvk"][name] for name in ("base_url", "apikey")})
    signs = {name: told["afas"][name] for name in ("base_url", "client_id", "client_secret")}
    workspace.connect("debtors-afas", system="afas", settings=signs | settings)
    workspace.add_flow("kvk-afas", {"register": "register", "profit": "debtors-afas"})
    if point is not None:
        workspace.point = point
    everyone = host.control("afas", "debtors", {})["debtors"]
    filled = [one["DbId"] for one in everyone if one["Nm"].startswith("Vulbedrijf")]
    known = {}
    for one in everyone:
        if one.get("CcNr") and one["DbId"] not in filled:
            known.setdefault(one["CcNr"], []).append(one["DbId"])
    numbers = [number for number, ids in known.items() if len(ids) == 1][:5]
    workspace.take(numbers, to="kvk-afas")
    made = Desk(host, workspace, filled)
    try:
        yield made
    finally:
        workspace.close()


@pytest.mark.parametrize(
    ("settings", "silent", "changed"),
    [({}, 1, 1), (IN_PARTS, 2, 3)],
    ids=["one feed", "addresses in a feed of their own"],
)
def test_fifty_changed_among_many_cost_as_many_calls_as_one(tmp_path, settings, silent, changed):
    with desk(tmp_path / "workspace", debtors=MANY if not settings else FEW, **settings) as office:
        office.sync()
        office.pass_by()
        settled = office.sync()
        assert not any(settled.counts[kind] for kind in ("create", "update")), "the first run settled what it linked"
        linked = [right for _, right in office.workspace.store.run(flows.pairs_of, "kvk-afas")]
        assert len(linked) > 2
        for number, text in ((1, "010-1111111"), (2, "010-2222222")):
            office.pass_by()
            office.sync()
            assert office.calls() == {"afas": silent, "kvk": 0}, "nothing changed"
            start = number * 100
            mine = [*office.filled[start : start + CHANGED - len(linked)], *linked]
            assert len(set(mine)) == CHANGED
            office.edit(mine, text)
            office.pass_by()
            result = office.sync()
            assert office.calls() == {"afas": changed, "kvk": 0}, "50 changed"
            assert (result.counts["create"], result.counts["update"]) == (0, 0), "nobody's field is written"
            assert office.shown(mine) == dict.fromkeys(mine, text), "and all 50 were seen"


def delta(office, text):
    """One run with 50 changes: bytes that stay afterwards, and the most that were in use above what was there before."""
    office.pass_by()
    office.edit(office.filled[:CHANGED], text)
    office.pass_by()
    gc.collect()
    tracemalloc.start()
    try:
        office.sync()
        most = tracemalloc.get_traced_memory()[1]
        gc.collect()
        return tracemalloc.get_traced_memory()[0], most
    finally:
        tracemalloc.stop()


def test_memory_follows_what_changed_and_not_what_there_is(tmp_path):
    used = {}
    for debtors in (FEW, MANY // 2):
        with desk(tmp_path / str(debtors), debtors=debtors) as office:
            office.sync()
            delta(office, "010-0000000")  # the first one fills caches that stay
            used[debtors] = [delta(office, f"010-000000{number}") for number in (1, 2)]
    for kept, _ in (*used[FEW], *used[MANY // 2]):
        assert kept < CHANGED * 20_000, "what stays after a run is of the size of what it read"
    few, many = max(most for _, most in used[FEW]), max(most for _, most in used[MANY // 2])
    assert many < 1.3 * few + 0.3 * MB, "ten times as many debtors, as much memory for 50 changes"
    first, second = (most for _, most in used[MANY // 2])
    assert second < 1.2 * first, "and the next run takes no more than the one before"


def test_reading_all_of_them_holds_one_page_at_a_time_and_deciding_one_part(tmp_path):
    traced, decided = [], []

    async def point(name):
        if name == "page stored":
            traced.append(tracemalloc.get_traced_memory()[0])
            tracemalloc.reset_peak()
        elif name in {"quiet steps settled", "chunk opened", "views settled"} and not decided:
            decided.append(tracemalloc.get_traced_memory()[1] - traced[-1])

    with desk(tmp_path / "workspace", debtors=MANY // 2, point=point) as office:
        tracemalloc.start()
        try:
            office.sync()
        finally:
            tracemalloc.stop()
        assert len(traced) > 9
        described = office.host.count("afas", path="metainfo")  # once a day, before the first write
        assert described <= 3
        read = office.calls()["afas"] - described
        assert read <= len(traced) + 3, "one call a page; the highest stamp; a look when done"
    assert traced[-1] - traced[2] < 3 * MB, "the tenth page leaves no more behind than the third"
    assert decided[0] < 6 * MB, "and those that belong to nobody are not all held to decide that"
