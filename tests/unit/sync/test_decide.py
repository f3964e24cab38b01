"""What becomes of one real thing: matched, created, merged, asked about, parked or left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from koppel.mapping.flow import FieldRule, Match
from koppel.model.problem import Problem
from koppel.sync.base import Base
from koppel.sync.decide import decide
from koppel.sync.steps import Candidate, Need

# --- matching ---------------------------------------------------------------------------------------------------------


def test_one_record_with_the_same_kvk_number_is_linked(make: Any) -> None:
    (step,) = make.steps(make.view(candidates=[make.candidate()]))
    assert (step.kind, step.left, step.right, step.follower) == ("link", "L", "R", False)
    assert step.because == {"": "same kvk"}
    assert step.agreed == {"name": ("Bakkerij", "Bakkerij"), "kvk": ("00000019", "00000019"), "phone": ("1", "1")}


def test_a_link_by_vat_number_alone_fills_the_kvk_number(make: Any) -> None:
    own = make.side("L", vat="NL1")
    link, update = make.steps(make.view(own=own, candidates=[make.candidate(by=("vat",), kvk=None, vat="NL1")]))
    assert link.because == {"": "same vat"}
    assert (update.kind, update.values) == ("update", {"kvk": "00000019"})


def test_a_link_merges_as_first_contact(make: Any) -> None:
    candidate = make.candidate(values={"name": "Slager"})
    link, update = make.steps(make.view(candidates=[candidate]))
    assert set(link.agreed) == {"kvk", "phone"}
    assert (update.values, update.before) == ({"name": "Bakkerij"}, {"name": "Slager"})
    assert update.because["name"].startswith("first contact")


def test_keys_that_name_different_records_ask(make: Any) -> None:
    own = make.side("L", vat="NL1")
    one, two = make.candidate("R1"), make.candidate("R2", by=("vat",), kvk=None, vat="NL1")
    assert make.asked(make.view(own=own, candidates=[one, two])) == "keys_differ"


def test_a_weaker_key_is_not_believed_against_a_stronger_one(make: Any) -> None:
    own = make.side("L", vat="NL1")
    other = make.candidate(by=("vat",), kvk="99999990", vat="NL1")
    assert make.asked(make.view(own=own, candidates=[other])) == "keys_differ"


def test_a_stronger_key_is_not_believed_against_a_weaker_one_either(make: Any) -> None:
    own = make.side("L", vat="NL1")
    assert make.asked(make.view(own=own, candidates=[make.candidate(vat="NL2")])) == "keys_differ"


def test_a_question_about_a_match_offers_every_free_record_and_create_and_skip(make: Any) -> None:
    view = make.view(
        own=make.side("L", vat="NL1"), candidates=[make.candidate("R1"), make.candidate("R2", by=("vat",))]
    )
    (step,) = make.steps(view)
    assert [choice["answer"] for choice in step.choices] == ["R1", "R2", "create", "skip"]


@pytest.mark.parametrize("policy", ["facts", "all"])
def test_one_number_on_three_debtors_links_all_three(make: Any, policy: str) -> None:
    three = [make.candidate(f"R{n}") for n in range(3)]
    steps = make.steps(make.view(candidates=three), match=Match(keys=("kvk",), shared_key=policy))  # type: ignore[arg-type]
    assert [(s.kind, s.right, s.follower) for s in steps] == [("link", f"R{n}", True) for n in range(3)]
    assert steps[0].because == {"": "same kvk, shared by several records"}


def test_one_number_on_three_debtors_asks_when_the_flow_says_so(make: Any) -> None:
    three = [make.candidate(f"R{n}") for n in range(3)]
    match = Match(keys=("kvk",), shared_key="ask")
    assert make.asked(make.view(candidates=three), match=match) == "shared_key"


def test_a_follower_gets_only_legal_facts(make: Any) -> None:
    fields = (FieldRule("name"), FieldRule("kvk"), FieldRule("vat_number"))
    own = make.side("L", values={"name": "Bakkerij", "vat_number": "NL1"})
    three = [make.candidate(f"R{n}", values={"name": f"Filiaal {n}", "vat_number": None}) for n in range(2)]
    steps = make.steps(make.view(own=own, candidates=three), fields=fields)
    updates = [s for s in steps if s.kind == "update"]
    assert [s.values for s in updates] == [{"vat_number": "NL1"}] * 2
    assert all("name" not in s.agreed for s in steps)


def test_with_shared_key_all_a_follower_gets_everything(make: Any) -> None:
    three = [make.candidate(f"R{n}", values={"name": "Filiaal"}) for n in range(2)]
    steps = make.steps(make.view(candidates=three), match=Match(keys=("kvk",), shared_key="all"))
    assert [s.values for s in steps if s.kind == "update"] == [{"name": "Bakkerij"}] * 2


def test_a_linked_follower_is_merged_on_facts_only(make: Any) -> None:
    linked = make.linked(follower=True, values={"name": "Filiaal", "phone": "2"}, kvk=None)
    (update,) = make.steps(make.view(linked=[linked]))
    assert update.values == {"kvk": "00000019"}
    assert update.follower


def test_a_record_that_belongs_to_another_asks(make: Any) -> None:
    assert make.asked(make.view(candidates=[make.candidate(taken=True)])) == "taken"


def test_twins_here_ask_and_are_named(make: Any) -> None:
    view = make.view(candidates=[make.candidate()], twins=["Bakkerij twee"])
    assert make.asked(view) == "twins"
    assert "Bakkerij twee" in make.steps(view)[0].problem.text


def test_twins_without_a_counterpart_are_not_both_created(make: Any) -> None:
    assert make.asked(make.view(twins=["Bakkerij twee"])) == "twins"


def test_a_candidate_outside_the_scope_asks(make: Any) -> None:
    view = make.view(candidates=[make.candidate(excluded="role is supplier")])
    assert make.asked(view) == "outside"


def test_a_debtor_that_turns_up_beside_a_linked_one_follows(make: Any) -> None:
    view = make.view(linked=[make.linked()], candidates=[make.candidate("R2")])
    (step,) = make.steps(view)
    assert (step.kind, step.right, step.follower) == ("link", "R2", True)


def test_a_debtor_that_turns_up_asks_when_the_flow_says_so(make: Any) -> None:
    view = make.view(linked=[make.linked()], candidates=[make.candidate("R2")])
    assert make.asked(view, match=Match(keys=("kvk",), shared_key="ask")) == "shared_key"


def test_a_debtor_that_turns_up_with_another_number_asks(make: Any) -> None:
    own = make.side("L", vat="NL1")
    view = make.view(own=own, linked=[make.linked()], candidates=[make.candidate("R2", vat="NL2")])
    assert make.asked(view) == "keys_differ"


def test_a_debtor_that_turns_up_asks_when_two_records_here_could_have_it(make: Any) -> None:
    view = make.view(linked=[make.linked()], candidates=[make.candidate("R2")], twins=["Bakkerij twee"])
    assert make.asked(view) == "twins"


def test_a_debtor_of_another_record_does_not_disturb_a_linked_pair(make: Any) -> None:
    assert make.kinds(make.view(linked=[make.linked()], candidates=[make.candidate("R2", taken=True)])) == []


def test_a_debtor_outside_the_scope_does_not_join_a_linked_pair(make: Any) -> None:
    view = make.view(linked=[make.linked()], candidates=[make.candidate("R2", excluded="role is supplier")])
    assert make.kinds(view) == []


# --- weak evidence, and what people hold apart ---------------------------------------------------------------------------


def proposal(make: Any, native: str = "W") -> Any:
    return Candidate(make.side(native, kvk=None), (), score=88, reasons=("same phone 020",))


def test_weak_evidence_asks_before_anything_is_created(make: Any) -> None:
    (step,) = make.steps(make.view(proposals=[proposal(make), proposal(make, "X")]))
    assert (step.kind, step.problem.code) == ("ask", "proposed")
    assert step.choices[0] == {"answer": "W", "label": "W", "score": 88, "reasons": ["same phone 020"]}
    assert [choice["answer"] for choice in step.choices] == ["W", "X", "create", "skip"]


def test_weak_evidence_is_asked_about_also_where_nothing_would_be_created(make: Any) -> None:
    (step,) = make.steps(make.view(proposals=[proposal(make)]), create_right=False)
    assert [choice["answer"] for choice in step.choices] == ["W", "none", "skip"]


def test_the_other_side_is_asked_by_key_before_weak_evidence_is_shown(make: Any) -> None:
    view = make.view(absence_known=False, proposals=[proposal(make)])
    assert isinstance(decide(make.policy(), view), Need)


def test_a_key_goes_before_weak_evidence(make: Any) -> None:
    assert make.kinds(make.view(candidates=[make.candidate()], proposals=[proposal(make)])) == ["link"]


def test_what_a_person_chose_of_the_proposals_is_linked(make: Any) -> None:
    link, *_ = make.steps(make.view(proposals=[proposal(make)], answers={"": "W"}))
    assert (link.kind, link.right, link.because[""]) == ("link", "W", "decided by a person; same phone 020")


def test_what_a_person_holds_apart_is_neither_linked_nor_doubled(make: Any) -> None:
    view = make.view(candidates=[make.candidate(apart="unlinked by mieke")])
    assert make.asked(view) == "apart"
    assert "unlinked by mieke" in make.steps(view)[0].problem.text
    assert make.kinds(view, create_right=False) == []


def test_a_key_two_records_held_apart_come_to_share_is_asked_about(make: Any) -> None:
    view = make.view(candidates=[make.candidate(apart="unlinked by mieke", news=True)])
    assert make.asked(view, create_right=False) == "apart"


def test_what_is_held_apart_keeps_nobody_else_from_being_linked(make: Any) -> None:
    both = [make.candidate("R1", apart="unlinked by mieke"), make.candidate("R2")]
    assert [(s.kind, s.right) for s in make.steps(make.view(candidates=both))] == [("link", "R2")]


def test_a_record_that_follows_another_of_its_side_is_left_to_it(make: Any) -> None:
    linked = make.linked(values={"name": "Slager"})
    assert make.kinds(make.view(linked=[linked])) == ["update"]
    assert make.kinds(make.view(linked=[linked], follows=True)) == []
    assert make.kinds(make.view(own=make.side("L", gone=True), linked=[linked], follows=True)) == []


def test_a_question_offers_to_create_only_where_the_flow_does(make: Any) -> None:
    (step,) = make.steps(make.view(twins=["Bakkerij twee"]), create_right=False)
    assert [choice["answer"] for choice in step.choices] == ["skip"]


# --- creating ---------------------------------------------------------------------------------------------------------


def test_what_nobody_carries_is_created_with_all_the_left_knows(make: Any) -> None:
    (step,) = make.steps(make.view())
    assert (step.kind, step.side, step.left, step.right) == ("create", "right", "L", None)
    assert step.values == {"name": "Bakkerij", "kvk": "00000019", "phone": "1"}
    assert step.because[""].startswith("not there yet")


def test_nothing_is_created_where_the_flow_does_not_create(make: Any) -> None:
    assert make.kinds(make.view(), create_right=False) == []


def test_a_right_record_without_counterpart_is_created_on_the_left_of_a_two_way_flow(make: Any) -> None:
    fields = (FieldRule("name", owner="newest"), FieldRule("phone", owner="right"))
    view = make.view(anchor="right", own=make.side("R"))
    (step,) = make.steps(view, create_left=True, fields=fields)
    assert (step.kind, step.side, step.left, step.right) == ("create", "left", None, "R")
    assert step.values == {"name": "Bakkerij", "phone": "1"}


def test_a_field_of_updates_is_not_created_and_a_field_of_creation_is(make: Any) -> None:
    fields = (FieldRule("name", when="update"), FieldRule("phone", when="create"))
    assert make.steps(make.view(), fields=fields)[0].values == {"phone": "1"}


def test_blanks_and_what_the_target_refuses_are_not_created(make: Any) -> None:
    own = make.side("L", values={"phone": ""})
    assert make.steps(make.view(own=own), make.policy(shape={"kvk": {"create_right": False}}))[0].values == {
        "name": "Bakkerij"
    }


def test_a_new_record_also_gets_what_the_target_owns_from_then_on(make: Any) -> None:
    assert make.steps(make.view(), fields=(FieldRule("name", owner="right"),))[0].values == {"name": "Bakkerij"}


def test_required_but_empty_is_parked_with_the_field(make: Any) -> None:
    own = make.side("L", values={"name": None})
    (step,) = make.steps(make.view(own=own), make.policy(shape={"name": {"required_right": True}}))
    assert (step.kind, step.problem.code, step.problem.field) == ("park", "required", "name")


@pytest.mark.parametrize("code", ["unmapped", "transform_failed"])
def test_a_value_that_cannot_be_made_parks_a_create(make: Any, code: str) -> None:
    own = make.side("L", values={"name": ...}, problems=(Problem(code, "no line for BV", field="name"),))
    (step,) = make.steps(make.view(own=own))
    assert (step.kind, step.problem.code) == ("park", code)


def test_what_was_odd_about_a_value_that_could_be_read_parks_nothing(make: Any) -> None:
    own = make.side("L", problems=(Problem("number_mended", "read with a correction", field="kvk"),))
    assert make.kinds(make.view(own=own)) == ["create"]


def test_a_value_that_cannot_be_made_parks_its_field_only_on_a_linked_pair(make: Any) -> None:
    own = make.side("L", values={"name": ..., "phone": "2"}, problems=(Problem("unmapped", "no line", field="name"),))
    steps = make.steps(make.view(own=own, linked=[make.linked()]))
    assert [(s.kind, s.field, s.values) for s in steps] == [("update", "", {"phone": "2"}), ("park", "name", {})]


def test_a_value_of_creation_that_cannot_be_made_does_not_park_a_linked_pair(make: Any) -> None:
    own = make.side("L", values={"name": ...}, problems=(Problem("unmapped", "no line", field="name"),))
    fields = (FieldRule("name", when="create"), FieldRule("phone"))
    assert make.kinds(make.view(own=own, linked=[make.linked()]), fields=fields) == []


def test_when_the_store_cannot_know_the_other_side_is_asked_by_the_flows_keys(make: Any) -> None:
    own = make.side("L", vat="NL1")
    need = decide(make.policy(match=Match(keys=("kvk",))), make.view(own=own, absence_known=False))
    assert need == Need("left", "L", (("kvk", "00000019"),))


def test_without_any_key_there_is_nothing_to_ask_for(make: Any) -> None:
    assert make.kinds(make.view(own=make.side("L", kvk=None), absence_known=False)) == ["create"]


# --- scope, silence, doubt ------------------------------------------------------------------------------------------------


def test_a_pair_that_agrees_is_silent(make: Any) -> None:
    assert make.kinds(make.view(linked=[make.linked()])) == []


def test_nothing_is_decided_while_an_operation_is_in_doubt(make: Any) -> None:
    assert make.kinds(make.view(waiting=True)) == []
    assert make.kinds(make.view(waiting=True, own=make.side("L", gone=True), linked=[make.linked()])) == []


def test_what_could_not_be_read_is_parked_until_the_vendor_says_so(make: Any) -> None:
    problem = Problem("being_processed", "later", retry_at=99.0)
    (step,) = make.steps(make.view(unfound=problem, linked=[make.linked(values={"name": "X"})]))
    assert (step.kind, step.problem) == ("park", problem)


def test_what_does_not_exist_is_refused_with_the_vendors_reason(make: Any) -> None:
    why = Problem("unknown_number", "KVK knows no number")
    (step,) = make.steps(make.view(own=make.side("L", gone=True), unfound=why))
    assert (step.kind, step.problem) == ("refuse", why)
    (step,) = make.steps(make.view(own=make.side("L", gone=True)))
    assert (step.kind, step.problem.code) == ("refuse", "gone")


def test_out_of_scope_is_refused_with_the_reason(make: Any) -> None:
    (step,) = make.steps(make.view(own=make.side("L", excluded="is_active is false")))
    assert (step.kind, step.problem.text) == ("refuse", "outside the flow: is_active is false")


def ended(make: Any, **given: Any) -> Any:
    return make.side("L", excluded="is_active is false", values={"name": "Ended"}, **given)


def test_a_linked_record_that_left_the_scope_is_asked_about_and_not_written(make: Any) -> None:
    assert make.asked(make.view(own=ended(make), linked=[make.linked()])) == "left_scope"


def test_a_successor_is_proposed_and_nothing_is_renumbered(make: Any) -> None:
    (step,) = make.steps(make.view(own=ended(make, successor="00000027"), linked=[make.linked()]))
    assert "00000027" in step.problem.text
    assert {"answer": "leave", "successor": "00000027"} in step.choices


def test_a_person_leaves_or_unlinks_what_left_the_scope(make: Any) -> None:
    leave = make.view(own=ended(make), linked=[make.linked()], answers={"scope": "leave"})
    assert make.kinds(leave) == []
    unlink = make.view(own=ended(make), linked=[make.linked("R1"), make.linked("R2")], answers={"scope": "unlink"})
    assert [(s.kind, s.right) for s in make.steps(unlink)] == [("unlink", "R1"), ("unlink", "R2")]


def test_a_counterpart_that_left_the_scope_is_asked_about_and_not_written(make: Any) -> None:
    out = make.linked(excluded="role is supplier", values={"name": "Slager"})
    assert make.asked(make.view(linked=[out])) == "left_scope"
    assert make.kinds(make.view(linked=[out], answers={"scope": "leave"})) == []
    assert make.kinds(make.view(linked=[out], answers={"scope": "unlink"})) == ["unlink"]


# --- gone -------------------------------------------------------------------------------------------------------------


def test_gone_on_both_sides_unlinks(make: Any) -> None:
    view = make.view(own=make.side("L", gone=True), linked=[make.linked(gone=True)])
    assert make.kinds(view, missing_left="archive", missing_right="archive") == ["unlink"]


@pytest.mark.parametrize(("rule", "kind"), [("unlink", "unlink"), ("archive", "archive"), ("ask", "ask")])
def test_gone_here_follows_the_missing_rule(make: Any, rule: str, kind: str) -> None:
    view = make.view(own=make.side("L", gone=True), linked=[make.linked()])
    (step,) = make.steps(view, make.policy(archives=("right",), missing_left=rule))
    assert (step.kind, step.side) == (kind, "right")


@pytest.mark.parametrize(("rule", "kind"), [("unlink", "unlink"), ("archive", "archive"), ("ask", "ask")])
def test_gone_there_follows_the_missing_rule(make: Any, rule: str, kind: str) -> None:
    (step,) = make.steps(
        make.view(linked=[make.linked(gone=True)]), make.policy(archives=("left",), missing_right=rule)
    )
    assert (step.kind, step.side) == (kind, "left")


@pytest.mark.parametrize("entity", ["order", "invoice", "journal_entry"])
def test_a_document_whose_counterpart_is_gone_is_never_archived_but_asked_about_with_advice(
    make: Any, entity: str
) -> None:
    view = make.view(own=make.side("L", gone=True), linked=[make.linked()])
    policy = make.policy(archives=("right",), missing_left="archive")
    policy = replace(policy, flow=msgspec.structs.replace(policy.flow, entity=entity))
    (step,) = make.steps(view, policy)
    assert (step.kind, step.problem.code) == ("ask", "missing")
    assert "archive" not in [choice["answer"] for choice in step.choices]
    assert "let it stand" in str(step.problem)


def test_gone_there_is_restored_by_unlinking_so_that_it_is_made_again(make: Any) -> None:
    (step,) = make.steps(make.view(linked=[make.linked(gone=True)]), missing_right="restore")
    assert (step.kind, step.because[""]) == ("unlink", "gone on the right; to be made again")


def test_what_cannot_be_made_again_is_not_restored_but_asked_about(make: Any) -> None:
    view = make.view(own=make.side("L", gone=True), linked=[make.linked()])
    (step,) = make.steps(view, missing_left="restore")
    assert step.kind == "ask"
    assert {"answer": "restore"} not in step.choices


def test_gone_here_and_changed_there_is_never_archived(make: Any) -> None:
    view = make.view(own=make.side("L", gone=True), linked=[make.linked(values={"name": "Slager"})])
    (step,) = make.steps(view, make.policy(archives=("right",), missing_left="archive"))
    assert step.kind == "ask"
    assert "changed there" in step.problem.text


def test_gone_there_and_changed_here_is_never_archived(make: Any) -> None:
    view = make.view(own=make.side("L", values={"name": "Slager"}), linked=[make.linked(gone=True)])
    assert make.kinds(view, make.policy(archives=("left",), missing_right="archive")) == ["ask"]


def test_without_a_base_nobody_knows_whether_it_changed_so_it_is_asked_about(make: Any) -> None:
    view = make.view(own=make.side("L", gone=True), linked=[make.linked(base=None)])
    assert make.kinds(view, make.policy(archives=("right",), missing_left="archive")) == ["ask"]


def test_what_a_vendor_cannot_archive_is_asked_about_without_offering_it(make: Any) -> None:
    view = make.view(own=make.side("L", gone=True), linked=[make.linked()])
    (step,) = make.steps(view, missing_left="archive")
    assert (step.kind, step.choices) == ("ask", ({"answer": "unlink"},))
    assert make.kinds(make.view(own=view.own, linked=view.linked, answers={"missing": "archive"})) == ["ask"]


def test_a_person_decides_about_what_is_gone(make: Any) -> None:
    view = make.view(
        own=make.side("L", gone=True), linked=[make.linked(values={"name": "X"})], answers={"missing": "archive"}
    )
    assert make.kinds(view, make.policy(archives=("right",))) == ["archive"]


def test_each_of_several_gone_debtors_is_a_question_of_its_own(make: Any) -> None:
    three = [make.linked(f"R{n}", gone=True, follower=True) for n in range(2)]
    steps = make.steps(make.view(linked=three, answers={"R1 missing": "unlink"}))
    assert [(s.kind, s.right, s.follower) for s in steps] == [("ask", "R0", True), ("unlink", "R1", False)]


def test_one_gone_debtor_does_not_keep_the_others_from_being_merged(make: Any) -> None:
    own = make.side("L", values={"name": "Nieuw"})
    steps = make.steps(make.view(own=own, linked=[make.linked("R1", gone=True), make.linked("R2")]))
    assert [(s.kind, s.right) for s in steps] == [("ask", "R1"), ("update", "R2")]


# --- answers ------------------------------------------------------------------------------------------------------------


def clash(make: Any, **given: Any) -> Any:
    candidates = [make.candidate("R1"), make.candidate("R2", by=("vat",), kvk=None, vat="NL1")]
    return make.view(own=make.side("L", vat="NL1"), candidates=candidates, **given)


def test_a_person_says_create(make: Any) -> None:
    assert make.kinds(clash(make, answers={"": "create"})) == ["create"]


def test_what_a_person_had_made_is_not_said_to_have_no_match(make: Any) -> None:
    """A record that carries its number is there, and was held apart from it: the reason names who decided, not an absence."""
    view = make.view(candidates=[make.candidate("R1", apart="unlinked by hand")], answers={"": "create"})
    (step,) = make.steps(view)
    assert (step.kind, step.because[""]) == ("create", "a person decided to make one")


def test_a_person_says_skip(make: Any) -> None:
    (step,) = make.steps(clash(make, answers={"": "skip"}))
    assert (step.kind, step.problem.code) == ("refuse", "skipped")


def test_a_person_chooses_a_record(make: Any) -> None:
    steps = make.steps(clash(make, answers={"": "R2"}))
    assert [(s.kind, s.right, s.follower) for s in steps] == [("link", "R2", False), ("update", "R2", False)]


def test_a_person_chooses_several(make: Any) -> None:
    steps = make.steps(clash(make, answers={"": ["R1", "R2"]}))
    assert [(s.right, s.follower) for s in steps if s.kind == "link"] == [("R1", True), ("R2", True)]


def test_a_choice_that_is_no_longer_there_asks_again(make: Any) -> None:
    assert make.asked(clash(make, answers={"": "R9"})) == "answer_stale"


def test_create_is_not_carried_out_twice(make: Any) -> None:
    """The reply was lost, the probe found and linked it, and the answer still stands."""
    assert make.kinds(make.view(linked=[make.linked()], answers={"": "create"})) == []


def test_a_chosen_record_that_is_linked_by_now_is_not_asked_about_again(make: Any) -> None:
    assert make.kinds(make.view(linked=[make.linked("R1")], answers={"": "R1"})) == []
    steps = make.steps(
        make.view(linked=[make.linked("R1")], candidates=[make.candidate("R2")], answers={"": ["R1", "R2"]})
    )
    assert [(s.kind, s.right) for s in steps] == [("link", "R2")]


def conflict(make: Any, **given: Any) -> Any:
    own = make.side("L", values={"phone": "2"})
    return make.view(own=own, linked=[make.linked(values={"phone": "3"}, **given.pop("linked", {}))], **given)


FIELDS = (FieldRule("name"), FieldRule("kvk"), FieldRule("phone", owner="ask"))


def test_a_conflict_asks_for_the_field_and_the_rest_goes_on(make: Any) -> None:
    own = make.side("L", values={"phone": "2", "name": "Nieuw"})
    steps = make.steps(make.view(own=own, linked=[make.linked(values={"phone": "3"})]), fields=FIELDS)
    assert [(s.kind, s.field, s.values) for s in steps] == [("update", "", {"name": "Nieuw"}), ("ask", "phone", {})]
    assert [choice["answer"] for choice in steps[1].choices] == ["left", "right", "leave"]
    assert [choice.get("value") for choice in steps[1].choices] == ["2", "3", None]


def test_an_answer_for_a_field_is_carried_out(make: Any) -> None:
    (step,) = make.steps(conflict(make, answers={"phone": "right"}), fields=FIELDS)
    assert (step.kind, step.side, step.values) == ("update", "left", {"phone": "3"})


def test_questions_about_one_of_several_debtors_are_told_apart(make: Any) -> None:
    match = Match(keys=("kvk",), shared_key="all")
    (step,) = make.steps(conflict(make, linked={"follower": True}), fields=FIELDS, match=match)
    assert step.follower
    answered = conflict(make, linked={"follower": True}, answers={"R phone": "left"})
    assert make.kinds(answered, fields=FIELDS, match=match) == ["update"]
    other = conflict(make, linked={"follower": True}, answers={"R9 phone": "left"})
    assert make.kinds(other, fields=FIELDS, match=match) == ["ask"]


def test_before_holds_what_is_overwritten(make: Any) -> None:
    view = make.view(own=make.side("L", values={"name": "Nieuw"}), linked=[make.linked()])
    (step,) = make.steps(view)
    assert (step.values, step.before) == ({"name": "Nieuw"}, {"name": "Bakkerij"})


def test_what_is_agreed_comes_before_what_is_written(make: Any) -> None:
    own = make.side("L", values={"name": "Nieuw", "phone": "2"})
    steps = make.steps(make.view(own=own, linked=[make.linked(values={"phone": "2"})]))
    assert [(s.kind, set(s.agreed), set(s.values)) for s in steps] == [
        ("agree", {"phone"}, set()),
        ("update", set(), {"name"}),
    ]


def test_a_base_without_the_field_is_a_first_contact_of_that_field(make: Any) -> None:
    linked = make.linked(base=Base({"name": "Bakkerij"}, {"name": "Bakkerij"}))
    assert make.kinds(make.view(linked=[linked])) == ["agree"]
