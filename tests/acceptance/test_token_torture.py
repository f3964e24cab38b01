"""Many processes, one single-use token, kills at every point: nothing used twice, nothing early, nothing overwritten."""

from __future__ import annotations

import re
import signal
import uuid
from pathlib import Path

import pytest

import koppel.engine
from koppel.testing import token_torture
from koppel.testing.token_child import Turn
from koppel.testing.token_host import REPLY_LOST, TAKEN, Refresh
from koppel.testing.token_torture import GAP, POINTS, TokenTorture

pytestmark = pytest.mark.slow
BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.xdist_group("postgresql"))]


@pytest.mark.parametrize("kind", BOTH)
def test_sixteen_processes_use_no_token_twice_and_none_early(request, kind):
    address = None
    if kind == "postgresql":
        address = f"{request.getfixturevalue('postgres')}&schema=w_{uuid.uuid4().hex}"
    report = TokenTorture(44, 3, address=address).whole()
    assert report.findings == ()
    assert (report.used_twice, report.early, report.lost_updates) == (0, 0, 0)
    assert (report.unauthorised, report.over_allowance) == (0, 0)
    assert report.fine
    assert report.refreshes > 25, "a world in which nothing happens proves nothing"
    assert report.kills >= 10
    assert set(report.lost) <= GAP, "only what the vendor makes unavoidable costs a sign-in"
    assert report.database == kind


def test_every_point_of_a_refresh_is_known():
    said = (Path(koppel.engine.__path__[0]) / "logins.py").read_text("utf-8")
    assert {*re.findall(r'\bpoint\("([^"]+)"\)', said), "before send token", "after send token"} == set(POINTS)


# --- what is counted can be found ------------------------------------------------------------------------------------------


class Judge(TokenTorture):
    """A campaign without processes: a vendor's log and turns are planted, and judged."""

    def __init__(self, monkeypatch, *, stored="new"):
        super().__init__(1, 1)
        self.host.current = "new"
        self.signed_in = 0
        self.shared = type("Clock", (), {"now": lambda _: 0.0})()
        self.store = type("Planted", (), {"run": lambda *_: ({"refresh": stored}, 1)})()
        self.both = (type("One", (), {"login": "x"})(),) * 2
        monkeypatch.setattr(self, "_sign_in", self._again)

    def _again(self):
        self.signed_in += 1

    def judged(self, point, log, *turns):
        self.host.refreshes = list(log)
        self._judge(point, list(turns))
        return self


GOT = Refresh(11, "old", 200, new="new")
AGAIN = Refresh(12, "old", 401, said="Old refresh token used.")
DONE = Turn(12, state="done")
KILLED = Turn(11, signal=signal.SIGKILL)
DEAD = Turn(12, state="sign_in", message="dead")


def test_a_round_in_which_one_refreshes_is_well(monkeypatch):
    found = Judge(monkeypatch).judged("", [GOT], DONE)
    assert (found.refreshes, found.used_twice, found.early, found.lost_updates, found.lost, found.findings) == (
        1, 0, 0, 0, {}, [],
    )  # fmt: skip


def test_a_token_used_twice_by_the_living_is_found(monkeypatch):
    found = Judge(monkeypatch).judged("", [GOT, AGAIN], DONE, DEAD)
    assert found.used_twice == 1
    assert found.findings
    assert found.lost == {"no cause": 1}


def test_a_kill_after_the_pair_was_stored_excuses_nothing(monkeypatch):
    found = Judge(monkeypatch).judged("token stored", [GOT, AGAIN], KILLED, DEAD)
    assert found.used_twice == 1
    assert found.findings


@pytest.mark.parametrize("point", ["after send token", "token received", TAKEN, REPLY_LOST])
def test_an_answer_that_was_taken_away_is_the_cause_of_a_lost_sign_in(monkeypatch, point):
    killed = () if point == REPLY_LOST else (KILLED,)
    found = Judge(monkeypatch, stored="old").judged(point, [GOT, AGAIN], *killed, DEAD)
    assert (found.used_twice, found.lost_updates, found.findings, found.lost) == (0, 0, [], {point: 1})
    assert found.signed_in == 1


def test_a_dead_pair_that_is_asked_about_again_is_found(monkeypatch):
    found = Judge(monkeypatch, stored="old").judged("token received", [GOT, AGAIN, AGAIN], KILLED, DEAD)
    assert (found.used_twice, found.asked_again) == (0, 1)


def test_an_early_refresh_and_a_lost_update_are_found(monkeypatch):
    early = Refresh(12, "new", 401, said="Rate limit exceeded: access_token not expired")
    found = Judge(monkeypatch, stored="older").judged("", [early], DONE)
    assert (found.early, found.lost_updates) == (1, 1)


def test_the_report_is_not_fine_with_any_of_these():
    report = TokenTorture(0, 1)._report("sqlite:///x", 0.0)
    assert report.fine
    for name in ("used_twice", "asked_again", "early", "lost_updates", "unauthorised", "over_allowance"):
        assert not token_torture.msgspec.structs.replace(report, **{name: 1}).fine
