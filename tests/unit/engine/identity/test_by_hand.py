"""Link, unlink, merge, split: what they do, what they refuse, and that each is taken back exactly."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from koppel.engine import flow as engine
from koppel.engine import identity
from koppel.engine.flow import Options
from koppel.engine.identity import By, Changed
from koppel.engine.membership import identity as shown
from koppel.model.problem import UsageError
from koppel.model.values import Ref
from koppel.store import flows as bases
from koppel.store import intents, subjects, work

KVK, OTHER = "00000019", "00000027"


def do(office: Any, flows: Any, did: str, *refs: str, **given: Any) -> Changed:
    function = getattr(identity, did)
    named = [Ref.parse(ref) for ref in refs]
    office.time += 1.0
    return office.store.run(lambda db: function(db, flows, By("mieke", office.time), *named, **given))


def back(office: Any, flows: Any, changed: Changed) -> Changed:
    """Type what the change said."""
    koppel, did, *refs, option, number = changed.inverse
    assert (koppel, option) == ("koppel", "--as-before")
    office.time += 1.0
    by = By("piet", office.time)
    named = [Ref.parse(ref) for ref in refs]
    return office.store.run(identity.as_before, flows, by, did, int(number), named)  # type: ignore[arg-type]


def standing(office: Any) -> Any:
    """Members with roles and beginnings, bases, and what is held apart: everything a change may touch."""

    def read(db: Any) -> Any:
        return (
            sorted(tuple(row) for row in db.rows("select stream, native, subject, role, why, begun from members")),
            sorted(
                tuple(row)
                for row in db.rows(
                    "select flow, left_native, right_native, subject, left_digest, right_digest from bases"
                )
            ),
            sorted(tuple(row) for row in db.rows("select * from apart")),
        )

    return office.store.run(read)


@pytest.fixture
def flow(office: Any) -> Any:
    return office.flow("crm-books", "crm:accounts", "books:customers", create_right=False)


@pytest.fixture
def two(office: Any, flow: Any) -> tuple[str, str]:
    """An account and a customer without a number, read and not linked."""
    left = office.put("crm", "accounts", name="De Korenaar", phone="1")
    right = office.put("books", "customers", name="Bakkerij Korenaar", phone="2")
    office.sync(flow)
    return f"crm:accounts:{left}", f"books:customers:{right}"


# --- link and unlink -----------------------------------------------------------------------------------------------------


def test_two_records_linked_by_hand_are_brought_into_step_by_the_next_run(office: Any, flow: Any, two: Any) -> None:
    changed = do(office, [flow], "link", *two)
    assert [(p.ref, p.role) for p in changed.places] == [(two[0], "main"), (two[1], "main")]
    assert changed.flows == ("crm-books",)
    assert changed.inverse == ("koppel", "unlink", *two, "--as-before", str(changed.entry))
    office.sync(flow)
    assert office.there("books", "customers")[two[1].rpartition(":")[2]]["name"] == "De Korenaar"
    assert office.sound()


def test_a_change_is_in_the_trail_with_members_before_and_after_and_by_whom(office: Any, flow: Any, two: Any) -> None:
    do(office, [flow], "link", *two)
    (entry,) = office.trail("linked by hand")
    assert entry.actor == "mieke"
    assert entry.data["because"] == f"linked by hand: nothing → {two[0]} (main), {two[1]} (main)" or (
        entry.data["because"] == f"linked by hand: nothing → {two[1]} (main), {two[0]} (main)"
    )
    assert len(entry.data["change"]["after"]) == 2


def test_a_link_taken_back_leaves_everything_as_it_was(office: Any, flow: Any, two: Any) -> None:
    before = standing(office)
    back(office, [flow], do(office, [flow], "link", *two))
    assert standing(office) == before
    office.sync(flow)
    assert office.writes == []


def linked_by_key(office: Any, flow: Any) -> tuple[str, str]:
    left = office.put("crm", "accounts", name="De Korenaar", kvk=KVK)
    right = office.put("books", "customers", name="De Korenaar", kvk=KVK)
    office.sync(flow)
    office.sync(flow)
    assert len(office.together()) == 1
    return f"crm:accounts:{left}", f"books:customers:{right}"


def test_what_is_unlinked_by_hand_is_not_linked_again_by_itself(office: Any, flow: Any) -> None:
    left, right = linked_by_key(office, flow)
    do(office, [flow], "unlink", left, right)
    assert office.together() == set()
    for word in ("a", "b"):
        office.edit("crm", "accounts", left.rpartition(":")[2], phone=word)
        office.edit("books", "customers", right.rpartition(":")[2], phone=word * 2)
        office.sync(flow)
    assert office.together() == set()
    assert office.writes == []


def test_where_a_flow_creates_an_unlinked_record_is_a_question_not_a_double(office: Any) -> None:
    flow = office.flow("crm-books", "crm:accounts", "books:customers", create_left=True)
    left, right = linked_by_key(office, flow)
    do(office, [flow], "unlink", left)
    office.sync(flow)
    office.sync(flow)
    (item,) = office.asks()
    assert item.code == "apart"
    assert "unlinked by mieke on 2026-" in item.body["text"]
    assert [choice["answer"] for choice in item.body["choices"]][1:] == ["create", "skip"]
    assert (len(office.there("crm", "accounts")), len(office.there("books", "customers"))) == (1, 1)
    office.answer(right.rpartition(":")[2])  # a person may change their mind in the question as well
    office.sync(flow)
    assert office.together() == {frozenset({left, right})}
    assert office.store.run(lambda db: db.scalar("select count(*) from apart")) == 0


def without_numbers(office: Any) -> tuple[Any, str, str]:
    """A pair that carries no key at all, linked by hand and taken apart again, in a flow that creates on both sides."""
    careful = office.flow("crm-books", "crm:accounts", "books:customers", create_right=False)
    left = office.put("crm", "accounts", name="De Korenaar", phone="1")
    right = office.put("books", "customers", name="Bakkerij Korenaar", phone="2")
    office.sync(careful)
    one, two = f"crm:accounts:{left}", f"books:customers:{right}"
    do(office, [careful], "link", one, two)
    office.sync(careful)
    flow = office.flow("crm-books", "crm:accounts", "books:customers", create_left=True)
    do(office, [flow], "unlink", one, two)
    office.sync(flow)
    return flow, left, right


def answer(office: Any, item: work.Item, value: str) -> None:
    office.answer(value, which=[one.id for one in office.asks()].index(item.id))


def counted(office: Any) -> tuple[int, int]:
    return len(office.there("crm", "accounts")), len(office.there("books", "customers"))


def test_what_carries_no_number_is_a_question_as_well_when_it_was_unlinked_by_hand(office: Any) -> None:
    flow, left, right = without_numbers(office)
    office.sync(flow)
    assert counted(office) == (1, 1)
    asked = {item.side: item for item in office.asks()}
    assert {side: (item.code, item.native) for side, item in asked.items()} == {
        "left": ("apart", left),
        "right": ("apart", right),
    }
    assert (
        asked["left"]
        .body["text"]
        .startswith("it belonged with De Korenaar and was held apart from it (unlinked by mieke")
    )
    assert [choice["answer"] for choice in asked["left"].body["choices"]] == [right, "create", "skip"]


@pytest.mark.parametrize("both", [False, True], ids=["one is answered", "both are answered"])
def test_the_question_about_what_was_unlinked_may_be_answered_with_its_old_counterpart(office: Any, both: bool) -> None:
    flow, left, right = without_numbers(office)
    for item in office.asks():
        if both or item.side == "left":
            answer(office, item, right if item.side == "left" else left)
    office.sync(flow)
    assert office.together() == {frozenset({f"crm:accounts:{left}", f"books:customers:{right}"})}
    assert office.asks() == []
    assert len(office.trail("linked")) == 1
    assert counted(office) == (1, 1)
    assert office.sound()


def test_who_says_that_it_is_another_gets_a_new_counterpart_for_that_one_only(office: Any) -> None:
    flow, _, right = without_numbers(office)
    (mine,) = [item for item in office.asks() if item.side == "left"]
    answer(office, mine, "create")
    office.sync(flow)
    office.sync(flow)
    assert counted(office) == (1, 2)
    assert [(item.side, item.native) for item in office.asks()] == [("right", right)]


def test_what_has_gone_or_found_another_counterpart_since_is_not_offered(office: Any) -> None:
    flow, left, right = without_numbers(office)
    other_ = office.put("crm", "accounts", name="Bakkerij Korenaar")
    office.sync(office.flow("crm-books", "crm:accounts", "books:customers", create_right=False))
    do(office, [flow], "link", f"crm:accounts:{other_}", f"books:customers:{right}")
    office.edit("crm", "accounts", left, phone="3")
    office.sync(flow)
    (item,) = office.asks()
    assert (item.native, [choice["answer"] for choice in item.body["choices"]]) == (left, ["create", "skip"])


def test_an_unlinked_record_whose_old_counterpart_is_deleted_is_made_like_any_other(office: Any) -> None:
    flow, left, right = without_numbers(office)
    office.delete("books", "customers", right)
    office.edit("crm", "accounts", left, phone="3")
    office.sync(flow)
    office.sync(flow)
    assert office.asks() == []
    assert counted(office) == (1, 1)


def test_a_question_about_a_right_record_stays_open_while_the_link_that_answers_it_is_only_decided(office: Any) -> None:
    """A stored plan is carried out that does not hold the link."""
    flow, left, right = without_numbers(office)
    office.edit("crm", "accounts", left, phone="3")
    plan = office.plan(flow)
    (mine,) = [item for item in office.asks() if item.side == "left"]
    answer(office, mine, right)
    office.time += 3600.0
    asyncio.run(engine.apply_plan(office.ports, flow, plan, Options()))
    assert office.together() == set()
    assert [(item.side, item.native) for item in office.asks() if item.state == "open"] == [("right", right)]
    office.sync(flow)
    assert office.asks() == []


def test_what_was_unlinked_is_asked_about_by_a_flow_that_knows_only_its_fellow(office: Any) -> None:
    """Of three records of one thing one was taken out by name of another: the third flow asks all the same."""
    ends = ("crm:accounts", "books:customers", "books:suppliers")
    careful = [
        office.flow("crm-books", ends[0], ends[1], create_right=False),
        office.flow("customers-suppliers", ends[1], ends[2], create_right=False),
    ]
    natives = [office.put(*end.split(":"), name="De Korenaar", phone=str(n)) for n, end in enumerate(ends)]
    refs = [f"{end}:{native}" for end, native in zip(ends, natives, strict=True)]
    office.sync(*careful)
    do(office, careful, "link", refs[0], refs[1])
    do(office, careful, "link", refs[1], refs[2])
    do(office, careful, "unlink", refs[0], refs[2])
    office.sync(*careful)
    office.edit("books", "customers", natives[1], phone="new")
    office.sync(office.flow("customers-suppliers", ends[1], ends[2]))
    assert len(office.there("books", "suppliers")) == 1
    assert [item.code for item in office.asks()] == ["apart"]


def test_a_key_they_come_to_share_later_is_asked_about(office: Any, flow: Any) -> None:
    left, right = linked_by_key(office, flow)
    do(office, [flow], "unlink", left, right)
    office.edit("crm", "accounts", left.rpartition(":")[2], vat_number="NL1")
    office.edit("books", "customers", right.rpartition(":")[2], vat_number="NL1")
    office.sync(flow)
    assert [item.code for item in office.asks()] == ["apart"]
    assert office.together() == set()


def test_link_lifts_what_was_held_apart(office: Any, flow: Any) -> None:
    left, right = linked_by_key(office, flow)
    do(office, [flow], "unlink", left, right)
    do(office, [flow], "link", left, right)
    assert office.together() == {frozenset({left, right})}
    assert office.store.run(lambda db: db.scalar("select count(*) from apart")) == 0
    office.sync(flow)
    assert office.store.run(shown, [flow], Ref.parse(left)).decisions == ()


def test_an_unlink_taken_back_restores_roles_and_what_was_agreed(office: Any, flow: Any) -> None:
    left, right = linked_by_key(office, flow)
    before = standing(office)
    agreed = office.store.run(bases.bases_of, flow.id, left=[left.rpartition(":")[2]])
    back(office, [flow], do(office, [flow], "unlink", left, right))
    assert standing(office) == before
    assert office.store.run(bases.bases_of, flow.id, left=[left.rpartition(":")[2]]) == agreed
    office.edit("books", "customers", right.rpartition(":")[2], name="Anders")
    office.sync(flow)  # what was agreed is known again: the edit is told from the owner's value, and put right
    assert office.there("books", "customers")[right.rpartition(":")[2]]["name"] == "De Korenaar"
    assert office.sound()


def test_a_further_record_of_one_system_needs_to_be_told_that_it_comes_second(office: Any, flow: Any) -> None:
    left, _ = linked_by_key(office, flow)
    second = f"books:customers:{office.put('books', 'customers', name='De Korenaar inkoop')}"
    office.sync(flow)
    with pytest.raises(UsageError, match="crm-books would write two records of books:customers over one another"):
        do(office, [flow], "link", left, second)
    changed = do(office, [flow], "link", left, second, as_follower=True)
    assert {p.ref: p.role for p in changed.places}[second] == "follower"
    office.sync(flow)
    row = office.there("books", "customers")[second.rpartition(":")[2]]
    assert (row["name"], row["kvk"]) == ("De Korenaar inkoop", KVK)  # a legal fact, not the name (rule B1)


def test_of_three_the_follower_leaves_and_the_others_stay_together(office: Any, flow: Any) -> None:
    left, right = linked_by_key(office, flow)
    second = f"books:customers:{office.put('books', 'customers', name='Inkoop')}"
    office.sync(flow)
    do(office, [flow], "link", left, second, as_follower=True)
    do(office, [flow], "unlink", second, left)
    assert office.together() == {frozenset({left, right})}


@pytest.mark.parametrize(
    ("did", "refs", "says"),
    [
        ("link", ("crm:accounts:none", "crm:accounts:A1"), "was never seen"),
        ("link", ("nobody:accounts:A1", "crm:accounts:A1"), "was never seen"),
        ("link", ("crm:accounts:A1", "crm:accounts:A1"), "named twice"),
        ("unlink", ("crm:accounts:A1",), "is linked with nothing"),
        ("merge", ("crm:accounts:A1", "books:customers:C2"), "is linked with nothing"),
        ("split", ("crm:accounts:A1",), "is linked with nothing"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_words_and_changes_nothing(
    office: Any, flow: Any, two: Any, did: str, refs: Any, says: str
) -> None:
    before = standing(office), len(office.trail())
    with pytest.raises(UsageError, match=says) as error:
        do(office, [flow], did, *refs)
    assert error.value.remedy
    assert (standing(office), len(office.trail())) == before


def test_what_is_linked_already_or_belongs_elsewhere_is_refused(office: Any, flow: Any, two: Any) -> None:
    do(office, [flow], "link", *two)
    with pytest.raises(UsageError, match="belong together already"):
        do(office, [flow], "link", *two)
    pair = linked_of(office, flow, OTHER)
    with pytest.raises(UsageError, match="both belong with other records") as error:
        do(office, [flow], "link", two[0], pair[1])
    assert error.value.remedy == f"koppel merge {two[0]} {pair[1]}"
    with pytest.raises(UsageError, match="do not belong together"):
        do(office, [flow], "unlink", two[0], pair[1])
    with pytest.raises(UsageError, match="That is all of it"):
        do(office, [flow], "split", *two)


def linked_of(office: Any, flow: Any, kvk: str) -> tuple[str, str]:
    left = office.put("crm", "accounts", name=f"Firma {kvk}", kvk=kvk)
    right = office.put("books", "customers", name=f"Firma {kvk}", kvk=kvk)
    office.sync(flow)
    office.sync(flow)
    return f"crm:accounts:{left}", f"books:customers:{right}"


def test_a_record_that_is_gone_is_not_linked(office: Any, flow: Any, two: Any) -> None:
    office.delete("books", "customers", two[1].rpartition(":")[2])
    office.sync(flow)
    with pytest.raises(UsageError, match="is gone there"):
        do(office, [flow], "link", *two)


def test_a_change_that_is_no_longer_as_it_left_things_is_not_taken_back(office: Any, flow: Any, two: Any) -> None:
    changed = do(office, [flow], "link", *two)
    third = f"books:suppliers:{office.put('books', 'suppliers', name='De Korenaar')}"
    more = office.flow("crm-suppliers", "crm:accounts", "books:suppliers", create_right=False)
    office.sync(more)
    do(office, [flow, more], "link", two[0], third)
    with pytest.raises(UsageError, match="Things stand differently"):
        back(office, [flow, more], changed)
    with pytest.raises(UsageError, match="tells of no change"):
        office.store.run(identity.as_before, [flow], By("a", 1.0), "unlink", 9999, [Ref.parse(two[0])])
    with pytest.raises(UsageError, match="was about"):
        office.store.run(identity.as_before, [flow], By("a", 1.0), "unlink", changed.entry, [Ref.parse(third)])


def test_nothing_is_linked_while_a_write_is_in_doubt(office: Any, flow: Any, two: Any) -> None:
    stream, source = office.stream("books:customers"), office.stream("crm:accounts")
    office.store.run(
        lambda db: db.run(
            "insert into intents (op, run, flow, kind, stream, side, source_native, slot, body, state, opened_at)"
            " values ('o', 1, 'f', 'create', :s, 'right', 'A1', :slot, '', 'doubt', 1.0)",
            s=stream, slot=intents.slot_from(source, "A1"),
        )
    )  # fmt: skip
    with pytest.raises(UsageError, match="in doubt"):
        do(office, [flow], "link", *two)


def test_a_difference_in_numbers_is_said(office: Any, flow: Any) -> None:
    left = office.put("crm", "accounts", name="De Korenaar", kvk=KVK)
    right = office.put("books", "customers", name="De Korenaar", kvk=OTHER)
    office.sync(flow)
    changed = do(office, [flow], "link", f"crm:accounts:{left}", f"books:customers:{right}")
    assert changed.notes == (f"they carry different kvk numbers: {KVK} in crm:accounts and {OTHER} in books:customers",)


# --- merge and split -------------------------------------------------------------------------------------------------------


def test_two_doubles_become_one_and_only_one_of_each_system_leads(office: Any, flow: Any) -> None:
    first, second = linked_of(office, flow, KVK), linked_of(office, flow, OTHER)
    with pytest.raises(UsageError, match="--as-follower"):
        do(office, [flow], "merge", first[0], second[0])
    changed = do(office, [flow], "merge", first[0], second[0], as_follower=True)
    assert {p.ref: p.role for p in changed.places} == {first[0]: "main", first[1]: "main", second[0]: "follower", second[1]: "follower"}  # fmt: skip
    assert changed.inverse == ("koppel", "split", second[0], "--as-before", str(changed.entry))
    office.edit("crm", "accounts", second[0].rpartition(":")[2], name="Zomaar")  # a follower's edits reach nobody
    writes = len(office.writes)
    office.sync(flow)
    office.sync(flow)
    assert all("name" not in values for *_, values in office.writes[writes:])
    assert office.sound()


def test_a_merge_taken_back_restores_both_things_with_roles_and_what_was_agreed(office: Any, flow: Any) -> None:
    first, second = linked_of(office, flow, KVK), linked_of(office, flow, OTHER)
    before = standing(office)
    changed = do(office, [flow], "merge", first[0], second[1], as_follower=True)
    assert standing(office) != before
    back(office, [flow], changed)
    assert standing(office) == before
    assert office.sync(flow).counts["update"] == 0


def test_bases_follow_their_subject_when_things_are_merged(office: Any, flow: Any) -> None:
    first, second = linked_of(office, flow, KVK), linked_of(office, flow, OTHER)
    do(office, [flow], "merge", first[0], second[0], as_follower=True)
    (subject,) = office.members()
    rows = office.store.run(lambda db: db.rows("select distinct subject from bases"))
    assert [row[0] for row in rows] == [subject]


def test_what_was_merged_into_a_thing_is_erased_with_it(office: Any, flow: Any) -> None:
    first, second = linked_of(office, flow, KVK), linked_of(office, flow, OTHER)
    do(office, [flow], "merge", first[0], second[0], as_follower=True)
    (subject,) = office.members()
    office.store.run(subjects.erase, subject)
    assert office.store.run(lambda db: db.scalar("select count(*) from subjects")) == 0
    assert office.sound()


def test_a_record_split_off_leads_a_thing_of_its_own_and_the_next_of_its_kind_leads_the_rest(
    office: Any, flow: Any
) -> None:
    left, right = linked_by_key(office, flow)
    second = f"books:customers:{office.put('books', 'customers', name='Inkoop')}"
    office.sync(flow)
    do(office, [flow], "link", left, second, as_follower=True)
    before = standing(office)
    changed = do(office, [flow], "split", right)
    assert {p.ref: p.role for p in changed.places} == {left: "main", second: "main", right: "main"}
    assert changed.notes == (f"{second} leads now",)
    assert office.together() == {frozenset({left, second}), frozenset({right})}
    office.sync(flow)
    assert office.together() == {frozenset({left, second}), frozenset({right})}  # the same number links nothing again
    back(office, [flow], changed)
    assert [row[:4] for row in standing(office)[0]] == [row[:4] for row in before[0]]


# --- what is shown -----------------------------------------------------------------------------------------------------------


def test_identity_tells_who_belongs_since_when_by_whom_and_what_was_decided(office: Any, flow: Any, two: Any) -> None:
    do(office, [flow], "link", *two)
    told = office.store.run(shown, [flow], Ref.parse(two[0]))
    assert {m.ref: (m.role, m.why, m.by) for m in told.members} == {two[0]: ("main", "by hand", "mieke"), two[1]: ("main", "by hand", "mieke")}  # fmt: skip
    assert all(m.since == office.time for m in told.members)
    do(office, [flow], "unlink", *two)
    told = office.store.run(shown, [flow], Ref.parse(two[0]))
    assert (told.subject, told.members) == ("", ())
    assert told.decisions[0].text == f"{two[0]} is held apart from {two[1]}: unlinked by mieke on {_day(office)}"


def _day(office: Any) -> str:
    return f"{dt.datetime.fromtimestamp(office.time, dt.UTC):%Y-%m-%d}"


def test_identity_names_open_questions_and_who_is_quiet(office: Any) -> None:
    flow = office.flow("crm-books", "crm:accounts", "books:customers")
    one = office.put("crm", "accounts", name="A", kvk=KVK)
    office.put("crm", "accounts", name="B", kvk=KVK)
    office.sync(flow)
    told = office.store.run(shown, [flow], Ref.parse(f"crm:accounts:{one}"))
    assert [(asked.code, asked.flow) for asked in told.open] == [("twins", "crm-books")]
    assert told.known
    assert not office.store.run(shown, [flow], Ref.parse("crm:accounts:nobody")).known


# --- all of them at random ---------------------------------------------------------------------------------------------------

MOVES = st.lists(
    st.tuples(
        st.sampled_from(["link", "unlink", "merge", "split"]),
        st.integers(0, 8),
        st.integers(0, 8),
        st.booleans(),
        st.booleans(),
    ),
    min_size=4,
    max_size=14,
)


@given(MOVES)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_changes_taken_back_in_reverse_leave_everything_as_it_was(new_office: Any, moves: Any) -> None:
    office = new_office()
    flows = [
        office.flow("crm-customers", "crm:accounts", "books:customers", create_right=False),
        office.flow("crm-suppliers", "crm:accounts", "books:suppliers", create_right=False),
    ]
    ends = (("crm", "accounts"), ("books", "customers"), ("books", "suppliers"))
    refs = [f"{c}:{r}:{office.put(c, r, name=f'Firma {n}', kvk=f'0000010{n}')}" for n in range(3) for c, r in ends]
    office.sync(*flows)
    office.sync(*flows)
    start = standing(office)
    assert len(start[0]) == 9
    done: list[tuple[Any, Changed]] = []
    for did, first, second, alone, follower in moves:
        named = [refs[first]] if did == "split" or (did == "unlink" and alone) else [refs[first], refs[second]]
        given_ = {"as_follower": follower} if did in ("link", "merge") else {}
        before = standing(office)
        try:
            changed = do(office, flows, did, *named, **given_)
        except UsageError:
            assert standing(office) == before
            continue
        done.append((before, changed))
        for several in office.members().values():
            mains = [ref.rpartition(":")[0] for ref, role in several if role == "main"]
            assert len(mains) == len({*mains})
    for before, changed in reversed(done):
        again = back(office, flows, changed)
        assert standing(office) == before
        back(office, flows, again)  # and back, and back again
        back(office, flows, _turned(again, office))
        assert standing(office) == before
    assert standing(office) == start
    assert office.sound()
    office.store.close()


def _turned(changed: Changed, office: Any) -> Changed:
    """The change that was just made again, as the trail tells of it."""
    latest = next(e for e in reversed(office.trail()) if e.data and e.data.get("change", {}).get("refs"))
    did = {kind: deed for deed, kind in identity.KINDS.items()}[latest.kind]
    opposite = identity.OPPOSITE[did]
    refs = latest.data["change"]["refs"][1 if opposite == "split" else 0 :]
    return Changed(did, latest.seq, (), (), (), ("koppel", opposite, *refs, "--as-before", str(latest.seq)))
