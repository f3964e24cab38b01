"""Weak evidence proposes and waits: nothing is linked or created before a person said so."""

from __future__ import annotations

from typing import Any

import pytest

from koppel.engine import deciding, proposals
from koppel.store import apart, blocks

HERE = {"street": "Dorpsstraat", "number": "12", "postcode": "1034WL", "city": "Amsterdam"}
RULES = {"match": {"propose": ("name+postcode", "email_domain", "phone")}}


@pytest.fixture
def flow(office: Any) -> Any:
    return office.flow("crm-books", "crm:accounts", "books:customers", **RULES)


def alike(office: Any) -> tuple[str, str]:
    """An account and a customer that may be the same; neither has a number."""
    left = office.put("crm", "accounts", name="Bakkerij De Korenaar B.V.", address=HERE, phone="020-1234567")
    right = office.put("books", "customers", name="De Korenaar bakkerij", address=HERE, email="info@korenaar.example")
    return left, right


def test_what_is_alike_is_asked_about_with_score_and_reasons_and_nothing_is_created(office: Any, flow: Any) -> None:
    left, right = alike(office)
    result = office.sync(flow)
    assert (result.counts["ask"], result.counts["create"], result.counts["link"]) == (1, 0, 0)
    (item,) = office.asks()
    assert (item.code, item.native) == ("proposed", left)
    choice, *rest = item.body["choices"]
    assert choice["answer"] == right
    assert choice["label"] == "De Korenaar bakkerij"
    assert choice["score"] >= 90
    assert "name 100 % alike: Bakkerij De Korenaar B.V. / De Korenaar bakkerij" in choice["reasons"]
    assert "same postcode 1034WL" in choice["reasons"]
    assert [other["answer"] for other in rest] == ["create", "skip"]
    assert office.writes == []


def test_asking_again_changes_nothing(office: Any, flow: Any) -> None:
    alike(office)
    office.sync(flow)
    office.sync(flow)
    office.sync(flow)
    assert len(office.asks()) == 1
    assert office.writes == []
    assert len(office.trail("asked")) == 1


def test_a_person_who_says_it_is_the_same_links_them(office: Any, flow: Any) -> None:
    left, right = alike(office)
    office.sync(flow)
    office.answer(right)
    assert office.sync(flow).counts["link"] == 1
    assert office.together() == {frozenset({f"crm:accounts:{left}", f"books:customers:{right}"})}
    (entry,) = office.trail("linked")
    assert entry.data["because"].startswith("decided by a person; name 100 % alike")
    assert office.asks() == []
    assert len(office.there("books", "customers")) == 1


def test_a_person_who_says_it_is_another_gets_a_new_record_and_is_not_asked_again(office: Any, flow: Any) -> None:
    left, right = alike(office)
    office.sync(flow)
    office.answer("create")
    assert office.sync(flow).counts["create"] == 1
    office.edit("crm", "accounts", left, phone="020-7654321")
    office.edit("books", "customers", right, phone="020-1111111")
    result = office.sync(flow)
    assert (result.counts["ask"], office.asks()) == (0, [])
    assert len(office.there("books", "customers")) == 2
    mine, other = (office.stream("crm:accounts"), left), (office.stream("books:customers"), right)
    assert [held.other(mine) for held in office.store.run(apart.of_records, [mine])] == [other]


def test_none_of_these_is_remembered_where_nothing_would_be_created(office: Any) -> None:
    flow = office.flow("crm-books", "crm:accounts", "books:customers", create_right=False, **RULES)
    left, right = alike(office)
    office.sync(flow)
    assert [c["answer"] for c in office.asks()[0].body["choices"]] == [right, "none", "skip"]
    office.answer("none")
    office.sync(flow)
    office.edit("crm", "accounts", left, phone="020-7654321")
    office.edit("books", "customers", right, phone="020-1111111")
    office.sync(flow)
    assert office.asks() == []
    third = office.put("books", "customers", name="Bakkerij De Korenaar", address=HERE)
    office.sync(flow)
    assert [c["answer"] for c in office.asks()[0].body["choices"]][:1] == [third]  # another one is another question


def test_the_persons_word_counts_also_when_less_speaks_for_it_by_then(office: Any, flow: Any) -> None:
    left, right = alike(office)
    office.sync(flow)
    office.answer(right)
    office.edit("books", "customers", right, name="Iets heel anders", address=None)
    office.sync(flow)
    assert office.together() == {frozenset({f"crm:accounts:{left}", f"books:customers:{right}"})}
    assert office.trail("linked")[0].data["because"] == "decided by a person"


def test_the_record_chosen_may_have_got_another_counterpart_meanwhile(office: Any, flow: Any) -> None:
    left, right = alike(office)
    office.sync(flow)
    office.answer(right)
    office.edit("books", "customers", right, kvk="00000019")
    strong = office.put("crm", "accounts", name="Zuivel Noord", kvk="00000019")
    office.sync(flow)
    office.sync(flow)
    assert len(office.together()) == 1
    taken = frozenset({f"crm:accounts:{strong}", f"books:customers:{right}"}) in office.together()
    assert taken == (frozenset({f"crm:accounts:{left}", f"books:customers:{right}"}) not in office.together())
    assert len(office.asks()) == 1  # whoever comes second is a question again


def test_left_out_stays_left_out(office: Any, flow: Any) -> None:
    left, _ = alike(office)
    office.sync(flow)
    office.answer("skip")
    office.sync(flow)
    office.edit("crm", "accounts", left, name="Bakkerij Korenaar")
    office.sync(flow)
    assert office.asks() == []
    assert office.writes == []


def test_a_record_that_turns_up_on_the_right_is_proposed_for_one_that_waits_on_the_left(office: Any) -> None:
    flow = office.flow("crm-books", "crm:accounts", "books:customers", create_right=False, **RULES)
    left = office.put("crm", "accounts", name="Bakkerij De Korenaar B.V.", address=HERE)
    office.sync(flow)
    assert office.asks() == []
    right = office.put("books", "customers", name="Bakkerij Korenaar", address=HERE)
    office.sync(flow)
    assert (office.asks()[0].native, office.asks()[0].body["choices"][0]["answer"]) == (left, right)


@pytest.mark.parametrize("answer", ["right", "create"])
def test_in_a_two_way_flow_one_question_holds_both_records_and_its_answer_frees_both(office: Any, answer: str) -> None:
    flow = office.flow("crm-books", "crm:accounts", "books:customers", create_left=True, **RULES)
    left, right = alike(office)
    office.sync(flow)
    assert len(office.asks()) == 1
    assert office.writes == []
    office.answer(right if answer == "right" else "create")
    for _ in range(3):
        office.sync(flow)
    expected = 1 if answer == "right" else 2
    assert (len(office.there("crm", "accounts")), len(office.there("books", "customers"))) == (expected, expected)
    assert len(office.together()) == expected
    assert office.asks() == []
    assert left in office.there("crm", "accounts")


def test_a_record_the_question_turned_out_not_to_be_about_gets_its_own_turn(office: Any) -> None:
    """The left finds a better counterpart by its key; what was merely alike is not forgotten."""
    flow = office.flow("crm-books", "crm:accounts", "books:customers", create_left=True, **RULES)
    left, right = alike(office)
    office.sync(flow)
    strong = office.put("books", "customers", name="Zuivel Noord", kvk="00000019")
    office.edit("crm", "accounts", left, kvk="00000019")
    for _ in range(3):
        office.sync(flow)
    assert frozenset({f"crm:accounts:{left}", f"books:customers:{strong}"}) in office.together()
    assert any(f"books:customers:{right}" in several for several in office.together())
    assert len(office.there("crm", "accounts")) == 2


def test_other_numbers_on_both_are_no_proposal(office: Any, flow: Any) -> None:
    office.put("crm", "accounts", name="Bakkerij De Korenaar", address=HERE, kvk="00000019")
    office.put("books", "customers", name="Bakkerij De Korenaar", address=HERE, kvk="00000027")
    result = office.sync(flow)
    assert (result.counts["ask"], result.counts["create"]) == (0, 1)


def test_a_key_wins_over_likeness(office: Any, flow: Any) -> None:
    left = office.put("crm", "accounts", name="Bakkerij De Korenaar", address=HERE, kvk="00000019")
    office.put("books", "customers", name="Bakkerij De Korenaar", address=HERE)
    strong = office.put("books", "customers", name="Zuivel Noord", kvk="00000019")
    office.sync(flow)
    assert office.together() == {frozenset({f"crm:accounts:{left}", f"books:customers:{strong}"})}
    assert office.asks() == []


def test_what_belongs_to_another_or_is_outside_the_flow_is_not_proposed(office: Any) -> None:
    from koppel.mapping.flow import Condition, Scope

    scope = Scope(right=(Condition("role", is_not="supplier"),))
    flow = office.flow("crm-books", "crm:accounts", "books:customers", scope=scope, **RULES)
    office.put("crm", "accounts", name="Bakkerij De Korenaar", address=HERE, kvk="00000019")
    office.put("books", "customers", name="Bakkerij De Korenaar", address=HERE, kvk="00000019", role="customer")
    office.put("books", "customers", name="Bakkerij De Korenaar", address=HERE, role="supplier")
    office.sync(flow)
    office.put("crm", "accounts", name="Bakkerij De Korenaar", address=HERE)
    result = office.sync(flow)
    assert (result.counts["ask"], result.counts["create"]) == (0, 1)


def test_without_propose_no_blocks_are_made_and_nothing_is_asked(office: Any) -> None:
    alike(office)
    result = office.sync(office.flow("crm-books", "crm:accounts", "books:customers"))
    assert (result.counts["ask"], result.counts["create"]) == (0, 1)
    assert office.store.run(lambda db: db.scalar("select count(*) from blocks")) == 0


def test_blocks_follow_what_changes_and_are_made_in_parts(office: Any, flow: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(proposals, "PART", 2)
    left, right = alike(office)
    for number in range(7):
        office.put("books", "customers", name=f"Zomaar {number}", phone=f"030-555000{number}")
    office.sync(flow)
    stream = office.stream("books:customers")
    seq = office.store.run(lambda db: db.scalar("select seq from streams where id = :s", s=stream))
    assert office.store.run(blocks.position, stream)[0] == seq
    office.edit("books", "customers", right, name="Heel iets anders", address=None, email=None)
    office.edit("crm", "accounts", left, email="a@b.example")
    office.sync(flow)
    assert office.asks() == []  # nothing speaks for it any more
    assert len(office.there("books", "customers")) == 9


def test_a_rule_added_later_finds_what_was_read_before(office: Any) -> None:
    narrow = office.flow("f", "crm:accounts", "books:customers", create_right=False, match={"propose": ("website",)})
    alike(office)
    office.sync(narrow)
    assert office.asks() == []
    office.sync(office.flow("f", "crm:accounts", "books:customers", create_right=False, **RULES))
    wide = office.flow("f", "crm:accounts", "books:customers", create_right=False, **RULES)
    from msgspec.structs import replace

    office.sync(replace(wide, digest="edited"))
    assert [item.code for item in office.asks()] == ["proposed"]


@pytest.mark.parametrize("part", [1, 3, 1000])
def test_how_records_are_cut_into_parts_cannot_matter(new_office: Any, monkeypatch: Any, part: int) -> None:
    def asked(size: int) -> set[tuple[str, str]]:
        monkeypatch.setattr(deciding, "PART", size)
        office = new_office()
        for number in range(12):
            office.put("crm", "accounts", name=f"Bakkerij Nummer {'abcdefghijkl'[number] * 4}", address=HERE)
            office.put("books", "customers", name=f"Bakkery Nummer {'abcdefghijkl'[number] * 4}", address=HERE)
        flow = office.flow("f", "crm:accounts", "books:customers", create_left=True, **RULES)
        steps = {planned.id for planned in office.plan(flow).steps}
        office.store.close()
        return steps

    assert len(asked(1000)) >= 12
    assert asked(part) == asked(1000)
