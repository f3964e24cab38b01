"""Work lists: what is parked and tried again, what is asked and decided."""

from __future__ import annotations

import pytest

from koppel.cli.decide import answer_of
from koppel.model.problem import UsageError
from koppel.sandbox.seeds import make_companies
from koppel.store import work
from koppel.store.work import Item

NEW = "00100104"


@pytest.fixture
def asked(at, koppel):
    """Two companies whose VAT number stands on a debtor with another KVK number: only a person can tell."""
    two = [c for c in make_companies(1, 24) if c.in_erp == "none" and c.vat and c.kind in ("bv", "nv")][:2]
    for company in two:
        values = {
            "Name": f"Old {company.name}",
            "VATNumber": company.vat,
            "ChamberOfCommerce": "49999980",
            "Status": "C",
        }
        at.exact("add", set=values)
    said = koppel("add", *(company.kvk for company in two), "--to", "books-nl")
    assert said.code == 1, said.out
    assert "koppel asks" in said.out
    return two


def test_questions_are_listed_with_numbered_choices(asked, koppel):
    said = koppel("asks")
    assert said.code == 0
    for words in ("carries another kvk", "1 link with Old", "2 create a new record", "3 leave this record out"):
        assert words in " ".join(said.out.split())
    assert max(map(len, said.out.splitlines())) <= 80
    assert "koppel decide 1 1" in said.out


def test_several_questions_are_answered_at_once_by_word(asked, at, koppel):
    numbers = [str(item["id"]) for item in koppel("asks", "--json").json]
    before = at.writes()
    said = koppel("asks", "decide", *numbers, "create")
    assert said.code == 0
    assert "koppel sync kvk-exact" in said.out
    assert koppel("sync", "kvk-exact").code == 0
    assert at.writes() == before + 2
    assert koppel("asks").out == "Nothing waits for your decision.\n"


def test_a_question_is_answered_by_the_number_of_its_choice(asked, at, koppel):
    first = koppel("asks", "--json").json[0]
    said = koppel("asks", "decide", str(first["id"]), "1", "--json")
    assert said.json[0]["answer"] == first["body"]["choices"][0]["answer"]


def test_one_wrong_number_decides_nothing(asked, koppel):
    first = koppel("asks", "--json").json[0]["id"]
    assert koppel("asks", "decide", str(first), "99", "create").code == 2
    wrong = koppel("asks", "decide", str(first), "perhaps")
    assert wrong.code == 2
    assert "create, skip" in wrong.err
    assert len(koppel("asks", "--json").json) == 2


def test_a_match_has_no_third_value(asked, koppel):
    first = koppel("asks", "--json").json[0]["id"]
    assert koppel("asks", "decide", str(first), "--value", "x").code == 2


def _question(*choices):
    return Item(
        7,
        "ask",
        "f",
        "left",
        "1",
        "name",
        "open",
        "x",
        {"choices": list(choices)},
        None,
        None,
        None,
        1,
        0.0,
        None,
        None,
        None,
    )


def test_words_numbers_ids_and_names_are_understood():
    item = _question({"answer": "71b9", "label": "Bakkerij (A1)"}, {"answer": "create"})
    assert answer_of(item, 7, "1", None) == "71b9"
    assert answer_of(item, 7, "71b9", None) == "71b9"
    assert answer_of(item, 7, "bakkerij (a1)", None) == "71b9"
    assert answer_of(item, 7, "create", None) == "create"
    assert answer_of(item, 7, "", "De Korenaar") == {"value": "De Korenaar"}
    assert answer_of(item, 7, "", '{"city": "Ede"}') == {"value": {"city": "Ede"}}
    for word in ("3", "0", "delete"):
        with pytest.raises(UsageError, match="no choice"):
            answer_of(item, 7, word, None)
    with pytest.raises(UsageError, match="not JSON"):
        answer_of(item, 7, "", "{")


def test_a_native_id_of_digits_is_not_taken_for_a_place_in_the_list():
    item = _question({"answer": "2"}, {"answer": "1"})
    assert answer_of(item, 7, "1", None) == "1"


def test_what_became_of_a_write_is_told_by_word_or_by_the_id_of_the_record():
    item = _question({"answer": "did_not"}, {"answer": "id", "label": "the id of the record that was made"})
    assert answer_of(item, 7, "1", None) == "did_not"
    assert answer_of(item, 7, "did_not", None) == "did_not"
    assert answer_of(item, 7, "71b9-aa", None) == "71b9-aa"
    for word in ("2", "id"):
        with pytest.raises(UsageError, match="no choice"):
            answer_of(item, 7, word, None)


def test_a_write_nobody_can_tell_about_waits_for_a_person(at, koppel):
    choices = [{"answer": "did_not"}, {"answer": "id", "label": "the id of the record that was made"}]
    body = {"label": "Bakkerij", "text": "nobody can tell", "choices": choices}
    put = {"flow": "kvk-exact", "side": "left", "native": NEW, "code": "in_doubt", "body": body, "at": 0.0, "op": "x"}
    number = str(at.workspace.store.run(work.put, "parked", **put))
    assert "it did happen: type the id" in " ".join(koppel("asks").out.split())
    assert f"koppel decide {number}" in " ".join(koppel("parked").out.split())
    assert koppel("asks", "decide", number, "id").code == 2
    assert koppel("asks", "decide", number, "71b9-aa", "--json").json[0]["answer"] == "71b9-aa"
    assert koppel("log", "--json").json[-1]["kind"] == "decided"


def test_what_the_vendor_refuses_is_parked_with_its_words_and_tried_again(at, koppel):
    at.exact("settings", refuse={NEW: "Verplicht: Betalingsconditie"})
    said = koppel("add", NEW, "--to", "books-nl")
    assert said.code == 1
    assert "koppel parked" in said.out
    assert "parked" in said.out
    listed = koppel("parked")
    assert "Exact Online refuses this: Verplicht:" in listed.out
    assert max(map(len, listed.out.splitlines())) <= 80
    number = str(koppel("parked", "--json").json[0]["id"])
    at.exact("settings", refuse={})
    assert koppel("parked", "retry", number).code == 0
    assert koppel("sync", "kvk-exact").code == 0
    assert len(at.accounts(NEW)) == 1
    assert koppel("parked").out == "Nothing is parked.\n"


def test_without_numbers_everything_is_tried_again(at, koppel):
    at.exact("settings", refuse={NEW: "Verplicht: Naam"})
    koppel("add", NEW, "--to", "books-nl")
    assert len(koppel("parked", "retry", "--json").json) == 1
