"""Many questions decided at once, from a table too; answers taken back; many parked items tried again."""

from __future__ import annotations

import csv
import io

import pytest

from koppel.store import trail, work

CHOICES = [{"answer": "left", "value": "a"}, {"answer": "right", "value": "b"}, {"answer": "leave"}]


@pytest.fixture
def put(at):
    """Put an item on a list; returns its number."""

    def one(native, which="ask", *, field="phone", code="conflict", choices=CHOICES, **more):
        body = {
            "label": f"Bakkerij {native}",
            "text": "changed on both sides: left 'a', right 'b'",
            "choices": choices,
            "values": {"left": "+31205550001", "right": "b"},
            "base": {"left": "c", "right": "c"},
            "refs": {"left": f"register:companies:{native}", "right": f"books-nl:accounts:{native}"},
            "changed": {"left": {"version": "v7", "seen_at": 1000.0, "modified_at": 900.0}},
            "agreed": {"entry": 12, "at": 500.0, "run": 3, "by": "mieke", "because": "first contact"},
        }
        given = {"flow": "kvk-exact", "side": "left", "native": native, "field": field, "code": code, "body": body}
        return at.workspace.store.run(work.put, which, at=at.workspace.now() - 3 * 86400, **(given | more))

    return one


def answers(at):
    rows = [at.workspace.store.run(work.get, number) for number in range(1, 20)]
    return {row.id: row.answer for row in rows if row is not None and row.state == "answered"}


def test_all_that_fit_are_decided_and_no_other(at, koppel, put):
    fit = [put(str(n)) for n in range(3)]
    put("4", field="email")
    put("5", code="twins", field="", choices=[{"answer": "create"}, {"answer": "skip"}])
    said = koppel("decide", "--all", "--flow", "kvk-exact", "--field", "phone", "--code", "conflict", "left", "--yes")
    assert said.code == 0, said.err
    assert answers(at) == dict.fromkeys(fit, "left")
    assert len(koppel("asks", "--json").json) == 2
    entries = [e for e in at.workspace.store.run(trail.read, limit=100) if e.kind == "decided"]
    assert [e.data["number"] for e in entries] == fit


def test_without_a_yes_many_are_not_decided(at, koppel, put):
    put("1"), put("2")
    said = koppel("decide", "--all", "--field", "phone", "left")
    assert said.code == 2
    assert "2 questions would be decided; nothing was" in said.err
    assert answers(at) == {}


def test_one_that_does_not_offer_the_answer_keeps_all_from_being_decided(at, koppel, put):
    put("1")
    put("2", code="twins", field="", choices=[{"answer": "create"}])
    said = koppel("decide", "--all", "left", "--yes")
    assert said.code == 2
    assert answers(at) == {}
    said = koppel("decide", "--all", "1", "--yes")
    assert "as a word" in said.err


def test_a_table_is_written_filled_in_and_read_back(at, koppel, put, tmp_path):
    one, two, three = put("1"), put("2"), put("3")
    file = tmp_path / "q.csv"
    assert koppel("asks", "--csv", str(file)).code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    rows = list(csv.DictReader(io.StringIO(file.read_text("utf-8"))))
    assert [row["no"] for row in rows] == [str(one), str(two), str(three)]
    assert rows[0]["left value"] == "'+31205550001", "no formula for a spreadsheet"
    assert (rows[0]["right value"], rows[0]["agreed value"]) == ("b", "c")
    rows[0]["answer"], rows[2]["answer"] = "right", "Leave".lower()
    out = io.StringIO()
    table = csv.DictWriter(out, rows[0].keys(), delimiter=";")  # as a Dutch spreadsheet saves it
    table.writeheader()
    table.writerows(rows)
    file.write_text("\ufeff" + out.getvalue(), "utf-8")
    said = koppel("decide", "--csv", str(file), "--yes")
    assert said.code == 0, said.err
    assert answers(at) == {one: "right", three: "leave"}


def test_a_table_with_mistakes_is_refused_whole_with_its_lines(at, koppel, put, tmp_path):
    one, two = put("1"), put("2")
    file = tmp_path / "q.csv"
    file.write_text(f"no,answer\n{one},left\n{two},perhaps\n99,left\nx,left\n{one},right\n\n", "utf-8")
    said = koppel("decide", "--csv", str(file), "--yes")
    assert said.code == 2
    for line in ("line 3", "line 4", "line 5", "line 6", "Nothing was decided"):
        assert line in said.err
    assert "line 2" not in said.err
    assert answers(at) == {}
    file.write_text("a,b\n1,2\n", "utf-8")
    assert "no columns no and answer" in koppel("decide", "--csv", str(file), "--yes").err
    file.write_bytes(b"\xff\xfe\x00")
    assert koppel("decide", "--csv", str(file), "--yes").code == 2
    assert koppel("decide", "--csv", str(tmp_path / "none.csv"), "--yes").code == 2


def test_an_answer_is_taken_back_before_it_is_carried_out(at, koppel, put):
    number = put("1")
    koppel("decide", str(number), "left")
    assert answers(at) == {number: "left"}
    said = koppel("decide", str(number), "--take-back")
    assert said.code == 0, said.err
    assert answers(at) == {}
    assert [item["id"] for item in koppel("asks", "--json").json] == [number]
    assert koppel("log", "--json").json[-1]["kind"] == "taken_back"
    assert koppel("decide", str(number), "--take-back").code == 2
    at.workspace.store.run(work.close, [number], by="x", at=0.0)
    assert "carried out" in koppel("decide", str(number), "--take-back").err
    assert koppel("decide", "--take-back").code == 2


def test_everything_about_one_question_is_shown(at, koppel, put):
    number = put("1")
    said = " ".join(koppel("asks", "--show", str(number)).out.split())
    for words in ("+31205550001", "agreed", "by mieke, run 3 (entry 12)", "version v7", "Open for 3 days"):
        assert words in said
    assert koppel("asks", "--show", "99").code == 2
    koppel("decide", str(number), "left")
    assert "--take-back" in koppel("asks", "--show", str(number)).out


def test_parked_items_of_one_kind_are_tried_again(at, koppel, put):
    one = put("1", "parked", field="", code="refused", choices=[])
    put("2", "parked", field="", code="required", choices=[])
    assert len(koppel("parked", "--code", "refused", "--json").json) == 1
    said = koppel("retry", "--code", "refused", "--json")
    assert [item["id"] for item in said.json] == [one]
    assert koppel("retry", str(one), "--code", "refused").code == 2
    assert koppel("retry", "99").code == 2
    assert koppel("retry", "--flow", "nobody").code == 2
