import json
from typing import Any

import msgspec
import pytest

from koppel.model.problem import SetupError
from koppel.sandbox.clock import DEFAULT_START, SandboxClock
from koppel.sandbox.host import Fault, SandboxHost, build, contract, load
from koppel.sandbox.seeds import make_companies
from koppel.systems.sandbox_spi import World
from koppel.systems.spi import NoReply, Request, Response

BASE = "http://sandbox.example"


class Notebook:
    """The smallest system: a POST adds a line, a GET shows all."""

    name = "notebook"
    base_path = "/notes"

    def __init__(self, world: World) -> None:
        self.world = world
        self.lines: list[tuple[float, str]] = []

    def handle(self, path: str, request: Request) -> Response:
        if request.method == "POST":
            self.lines.append((self.world.now(), request.body.decode()))
        shown = {"path": path, "key": request.headers.get("X-Key"), "lines": [text for _, text in self.lines]}
        return Response(200, {"content-type": "application/json"}, msgspec.json.encode(shown))

    def control(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        if action != "add":
            raise ValueError(f"unknown action {action!r}")
        self.lines.append((self.world.now(), body["text"]))
        return {"lines": len(self.lines)}

    def contract(self, base_url: str) -> dict[str, Any]:
        return {"base_url": base_url, "key": "made-up"}

    def snapshot(self) -> Any:
        return [list(line) for line in self.lines]


def host(**options: Any) -> SandboxHost:
    return SandboxHost({"notebook": Notebook}, companies=make_companies(1, 3), **options)


def post(it: SandboxHost, text: str, path: str = "/notes/3211675/lines") -> Any:
    return it.handle(Request("POST", BASE + path, {}, text.encode()))


def door(it: SandboxHost, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    raw = b"" if body is None else json.dumps(body).encode()
    reply = it.handle(Request(method, f"{BASE}/_sandbox/{path}", {}, raw))
    assert isinstance(reply, Response)
    return reply.status, json.loads(reply.body)


def lines(it: SandboxHost) -> list[str]:
    return [text for _, text in it.state("notebook")]


def test_the_base_path_is_taken_off_and_the_address_kept_and_the_path_unquoted():
    reply = host().handle(Request("GET", f"{BASE}/notes/a(guid%27x%27)?q=1", {"x-KEY": "k"}))
    assert json.loads(reply.body) == {"path": "/a(guid'x')", "key": "k", "lines": []}


def test_what_no_sandbox_serves_is_a_404_in_json():
    reply = host().handle(Request("GET", f"{BASE}/notesbook"))
    assert (reply.status, json.loads(reply.body)["systems"]) == (404, ["notebook"])


def test_the_clock_starts_on_a_monday_morning_and_moves_only_when_moved():
    it = host()
    assert it.world.now() == DEFAULT_START == 1793606400.0
    assert door(it, "POST", "clock", {"advance": 90}) == (200, {"now": DEFAULT_START + 90, "ticking": False})
    assert door(it, "POST", "clock", {"set": DEFAULT_START + 600})[1]["now"] == it.world.now() == DEFAULT_START + 600
    assert door(it, "GET", "clock")[1]["now"] == DEFAULT_START + 600


@pytest.mark.parametrize("body", [{"advance": -1}, {"set": 0}, {"advance": "soon"}, {}, []])
def test_the_clock_does_not_run_back_nor_take_nonsense(body: Any):
    assert door(host(), "POST", "clock", body)[0] == 400


def test_a_ticking_clock_adds_real_time_to_what_it_was_moved():
    real = [5.0]
    clock = SandboxClock(100.0, ticking=True, monotonic=lambda: real[0])
    real[0] += 2
    assert clock.now() == 102
    clock.advance(10)
    real[0] += 1
    assert clock.now() == 113


def test_on_a_ticking_clock_a_late_effect_comes_by_itself():
    real = [0.0]
    it = host(clock=SandboxClock(0.0, ticking=True, monotonic=lambda: real[0]))
    it.add_fault(Fault(late=25))
    assert isinstance(post(it, "late"), NoReply)
    real[0] = 24
    assert lines(it) == []
    real[0] = 26
    assert lines(it) == ["late"]


def test_calls_are_counted_by_system_method_and_path_without_ids():
    it = host()
    for number in ("1", "22"):
        post(it, "x", f"/notes/{number}/lines")
    it.handle(Request("GET", f"{BASE}/notes/3/Accounts(guid'0a1b2c3d-0000-4000-8000-1234567890ab')"))
    expected = {"GET /{id}/Accounts({id})": 1, "POST /{id}/lines": 2}
    assert door(it, "GET", "calls") == (200, {"total": 3, "systems": {"notebook": {"total": 3, "calls": expected}}})
    assert (it.count("notebook"), it.count(method="POST"), it.count(path="Accounts")) == (3, 2, 1)
    assert door(it, "DELETE", "calls")[1]["total"] == 0


def test_a_lost_request_has_no_effect_and_a_lost_reply_has_one():
    it = host()
    it.add_fault(Fault(kind="lose_request"))
    assert isinstance(post(it, "never"), NoReply)
    it.add_fault(Fault(kind="lose_reply"))
    assert isinstance(post(it, "once"), NoReply)
    assert lines(it) == ["once"]
    assert isinstance(post(it, "after"), Response)


def test_a_late_effect_comes_at_its_moment_and_not_before():
    it = host()
    assert door(it, "POST", "faults", {"system": "notebook", "kind": "lose_reply", "late": 25})[0] == 200
    assert isinstance(post(it, "late"), NoReply)
    post(it, "meanwhile")
    it.clock.advance(24)
    assert lines(it) == ["meanwhile"]
    it.clock.advance(100)
    assert it.state("notebook")[-1] == [DEFAULT_START + 25, "late"]
    assert it.clock.now() == DEFAULT_START + 124


def test_a_fault_strikes_the_calls_it_names_after_some_and_so_many_times():
    it = host()
    fault = {
        "system": "notebook",
        "method": "post",
        "path": r"/\d+/lines$",
        "kind": "status",
        "status": 429,
        "after": 1,
        "times": 2,
    }
    door(it, "POST", "faults", fault | {"headers": {"Retry-After": "7"}, "body": {"error": "slow"}})
    assert post(it, "other", "/notes/other").status == 200
    assert [post(it, str(n)).status for n in range(4)] == [200, 429, 429, 200]
    assert lines(it) == ["other", "0", "3"]
    assert door(it, "GET", "faults")[1]["faults"][0]["fired"] == 2


def test_a_path_that_is_no_expression_matches_as_it_stands_and_the_query_counts():
    it = host()
    it.add_fault(Fault(path="Accounts(guid", kind="status", status=500))
    it.add_fault(Fault(path="q=broken", kind="status", status=502))
    assert post(it, "x", "/notes/Accounts(guid'1')").status == 500
    assert post(it, "x", "/notes/a?q=broken").status == 502


def test_a_fault_picks_the_call_whose_body_speaks_of_something():
    it = host()
    door(it, "POST", "faults", {"about": "00100104", "kind": "status", "status": 500})
    assert [post(it, text).status for text in ("of 00072963", "of 00100104", "of 00100104 again")] == [200, 500, 200]


def test_a_status_may_come_after_the_effect():
    it = host()
    it.add_fault(Fault(kind="status", status=500, effect=True, body="oops", headers={"Content-Type": "text/plain"}))
    reply = post(it, "done anyway")
    assert (reply.status, reply.body, reply.headers) == (500, b"oops", {"content-type": "text/plain"})
    assert lines(it) == ["done anyway"]


def test_a_delay_moves_a_manual_clock_and_is_waited_out_on_a_ticking_one():
    it = host()
    it.add_fault(Fault(kind="delay", seconds=40))
    assert post(it, "slow").status == 200
    assert it.clock.now() == DEFAULT_START + 40
    ticking = host(clock=SandboxClock(0.0, ticking=True, monotonic=lambda: 0.0))
    ticking.add_fault(Fault(kind="delay", seconds=40))
    assert ticking.answer(Request("POST", f"{BASE}/notes/x", {}, b"slow")).wait == 40


def test_a_slow_500_takes_its_time_first():
    it = host()
    it.add_fault(Fault(kind="status", status=500, seconds=30))
    assert post(it, "x").status == 500
    assert it.clock.now() == DEFAULT_START + 30


def test_a_truncated_answer_has_its_effect_and_half_its_body():
    it = host()
    whole = post(it, "a").body
    it.add_fault(Fault(kind="truncate"))
    answer = it.answer(Request("GET", f"{BASE}/notes/3211675/lines"))
    assert answer.cut
    assert answer.reply.body == whole[: len(whole) // 2]


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "nonsense"},
        {"system": "unheard"},
        {"times": 0},
        {"late": 5, "kind": "status"},
        {"kid": "status"},
        {"seconds": -1},
        [{"kind": "delay"}, {"kind": "x"}],
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_and_none_is_armed(body: Any):
    it = host()
    assert door(it, "POST", "faults", body)[0] == 400
    assert it.faults() == {"faults": []}


def test_faults_can_be_cleared():
    it = host()
    assert door(it, "POST", "faults", [{"times": 9}, {"kind": "truncate"}]) == (200, {"ids": [1, 2]})
    assert door(it, "DELETE", "faults") == (200, {"faults": []})
    assert isinstance(post(it, "x"), Response)


def test_control_reaches_the_system_and_bad_words_are_400_and_404():
    it = host()
    assert door(it, "POST", "control/notebook/add", {"text": "by hand"}) == (200, {"lines": 1})
    assert door(it, "POST", "control/notebook/burn")[0] == 400
    assert door(it, "POST", "control/notebook/add", [1])[0] == 400
    assert door(it, "POST", "control/diary/add")[0] == 404
    assert door(it, "GET", "nowhere")[0] == 404
    assert door(it, "GET", "state/diary")[0] == 404
    assert it.handle(Request("POST", f"{BASE}/_sandbox/clock", {}, b"{not json")).status == 400


def test_the_checksum_is_of_the_state_and_of_nothing_else():
    one, two = host(), host()
    before = one.checksum()
    one.handle(Request("GET", f"{BASE}/notes/1"))
    assert one.checksum() == before == two.checksum()
    post(one, "a")
    assert one.checksum() != before
    post(two, "a")
    assert door(one, "GET", "checksum") == door(two, "GET", "checksum")
    assert door(one, "GET", "checksum/notebook")[1]["checksum"] == one.checksum("notebook")
    assert door(one, "GET", "state/notebook") == (200, [[DEFAULT_START, "a"]])


def test_the_contract_names_each_system_where_it_is_served():
    it = host()
    expected = {"base_url": BASE, "systems": {"notebook": {"base_url": f"{BASE}/notes", "key": "made-up"}}}
    assert contract(it, f"{BASE}/") == expected
    assert door(it, "GET", "contract") == (200, expected)


def test_a_system_that_is_not_installed_is_named_with_those_that_are():
    with pytest.raises(SetupError, match="unheard"):
        load(["unheard"])


def test_a_system_without_a_sandbox_is_left_out_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    class Entry:
        name = "bare"

        def load(self) -> Any:
            return type("System", (), {"sandbox": None})()

    monkeypatch.setattr("koppel.sandbox.host.entry_points", lambda group: [Entry()])
    assert load() == {}
    with pytest.raises(SetupError, match="has no sandbox"):
        load(["bare"])


def test_a_system_that_does_not_load_is_said():
    class Broken:
        name = "broken"

        def load(self) -> Any:
            return type("System", (), {"sandbox": "koppel.no_such_module:make"})()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("koppel.sandbox.host.entry_points", lambda group: [Broken()])
        with pytest.raises(SetupError, match="could not be loaded"):
            load()


def test_a_world_built_twice_from_a_seed_is_the_same_and_shows_its_companies():
    one, two, other = build(3, 22), build(3, 22), build(4, 22)
    assert "kvk" in one.sandboxes
    assert one.checksum() == two.checksum() != other.checksum()
    register = contract(one, BASE)["systems"]["kvk"]
    asked = Request("GET", f"{register['base_url']}/api/v1/basisprofielen/00100104", {"apikey": register["apikey"]})
    assert json.loads(one.handle(asked).body)["kvkNummer"] == "00100104"
    assert one.count("kvk", "GET", "/basisprofielen/{id}") == 1
    assert build(3, 0, start=5.0, names=["kvk"]).clock.now() == 5.0


def test_a_fault_that_lasts_so_long_passes_by_itself():
    it = host()
    it.add_fault(Fault(kind="status", status=503, times=1000, lasts=7200))
    assert post(it, "one").status == 503
    it.clock.advance(7199)
    assert post(it, "two").status == 503
    it.clock.advance(1)
    assert post(it, "three").status == 200


def test_a_fault_that_lasts_no_time_is_refused():
    with pytest.raises(ValueError, match="lasts"):
        Fault(lasts=0)
