"""Real kills of real processes: nothing doubled, nothing lost, the trail holds, and a seed can be played again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import koppel.engine
from koppel.systems.spi import Request
from koppel.testing import torture as tortures
from koppel.testing.torture import ELSEWHERE, OUTSIDE, POINTS, torture

pytestmark = pytest.mark.slow


def test_twenty_five_kills_double_and_lose_nothing():
    report = torture(25, seed=1)
    assert report.findings == ()
    assert (report.duplicated, report.lost, report.wrong_fields) == (0, 0, 0)
    assert (report.unrecorded, report.restless, report.trail_ok) == (0, 0, True)
    assert report.kills == sum(report.by_point.values()) == 25
    assert len(report.by_point) > 20, "25 kills are at many different points"
    assert report.created > 10, "a world in which nothing happens proves nothing"


def test_the_same_seed_kills_at_the_same_points():
    one, two = torture(2, seed=9), torture(2, seed=9)
    assert one.by_point == two.by_point

    def order(seed):
        return list(tortures._World(60, seed, print)._targets((*POINTS, *OUTSIDE)))

    assert order(9) == order(9)
    assert order(9) != order(10)


def test_every_named_point_of_the_engine_is_known():
    named = {
        name
        for file in Path(koppel.engine.__path__[0]).glob("*.py")
        for name in re.findall(r'\bpoint\("([^"{]+)"\)', file.read_text("utf-8"))
    }
    assert named == {*POINTS, *ELSEWHERE}


def test_each_round_comes_by_every_point():
    world = tortures._World(60, 3, print)
    points = (*POINTS, *OUTSIDE)
    rounds = list(world._targets(points))
    assert len(rounds) == 60
    assert set(rounds[: len(points)]) == set(points)


# --- what is counted can be found ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world():
    """A world in which a few numbers were taken in and nobody was killed."""
    made = tortures._World(0, 2, print)
    with tortures.stand(seed=2, companies=80) as at, tortures.nursery(at.folder) as victims:
        made.at, made.victims = at, victims
        made.fresh = made._numbers()
        for _ in range(3):
            made._happen()
            made._survive()
        yield made


def test_a_quiet_world_has_no_findings(world):
    report = world._count()
    assert report.findings == ()
    assert (report.duplicated, report.lost, report.unrecorded, report.restless) == (0, 0, 0, 0)
    assert report.taken >= 6


def test_a_lost_number_and_a_lost_telephone_are_found(world):
    world.taken["49999999"] = None  # taken in, but nobody ever told the store
    row = world.at.accounts()[0]
    world.typed[str(row["ID"])] = "020-0000000"
    assert world._lost() == ["49999999", f"{row['ID']} Phone"]


def test_a_wrong_field_is_found(world):
    (number, native), *_ = world.at.workspace.store.run(tortures._main_pairs)
    assert world._wrong() == []
    world.at.exact("edit", id=native, set={"Name": "Iets anders"})
    assert f"{number} Name" in world._wrong()


def test_a_doubled_debtor_is_found(world):
    kvk = next(iter(world.taken))
    row = world.at.account(kvk)
    tokens = world.at.exact("refresh_token", age=0)
    address = f"{world.at.base_url}/exact/api/v1/{world.at.division}/crm/Accounts"
    body = f'{{"Name": "{row["Name"]}", "ChamberOfCommerce": "{kvk}"}}'.encode()
    headers = {"Authorization": f"Bearer {tokens['access_token']}", "Content-Type": "application/json"}
    assert world.at.host.handle(Request("POST", address, headers, body)).status == 201
    assert world.at.duplicates() > 0
