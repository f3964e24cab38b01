"""What `koppel check` says of a flow before anything runs: each kind of mistake, at its place, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from koppel.mapping.check import check_flow
from koppel.mapping.flow import FieldRule, Flow, Match
from koppel.mapping.kinds_fit import kind_fits, misfit
from koppel.mapping.positions import locate
from koppel.mapping.read import read_flow
from koppel.mapping.transforms import Transform, with_own
from koppel.model.can import Can, Field
from koppel.model.kinds import KINDS
from koppel.model.removal import REMOVAL

REGISTER = Can(
    list=False,
    find=("native", "kvk"),
    never_skips="unlisted",
    fields=(
        Field(path="name", kind="name", writable="never", max_length=400),
        Field(path="kvk", kind="kvk", writable="never"),
        Field(path="legal_form", kind="code", values=("BV", "NV"), writable="never"),
        Field(path="is_active", kind="bool", writable="never"),
        Field(path="employees", kind="int", writable="never"),
        Field(path="started_on", kind="date", writable="never"),
        Field(path="address", kind="address", writable="never"),
        Field(path="sbi", kind="set", writable="never"),
    ),
)
BOOKS = Can(
    since=True,
    never_skips="row_version",
    create=True,
    update=True,
    unread=("Secret",),
    fields=(
        Field(path="name", kind="name", vendor=("Name",), required=True, max_length=400),
        Field(path="kvk", kind="kvk", vendor=("ChamberOfCommerce",)),
        Field(path="role", kind="code", vendor=("Status",), values=("customer", "prospect", "none")),
        Field(path="address", kind="address", vendor=("AddressLine1", "City"), lossy="Number and suffix run together."),
        Field(path="phone", kind="phone", vendor=("Phone",), max_length=25),
        Field(path="sbi", kind="set", vendor=("Codes",)),
        Field(path="code", kind="code", vendor=("Code",), writable="never"),
        Field(path="Remarks", kind="text", vendor=("Remarks",), own=True, max_length=30),
        Field(path="Status", kind="code", vendor=("Status",), own=True, values=("C", "P")),
        Field(path="Opened", kind="date", vendor=("Opened",), own=True, writable="create"),
        Field(path="Score", kind="int", vendor=("Score",), own=True),
        Field(path="Later", kind="text", vendor=("Later",), own=True, writable="update"),
        Field(path="Secret", kind="text", vendor=("Secret",), own=True),
    ),
)
CRM = replace(
    BOOKS,
    archive=True,
    fields=(
        *BOOKS.fields[:6],
        Field(path="code", kind="code"),
        Field(path="email", kind="email"),
        Field(path="Notes", own=True),
    ),
)

HEAD = """\
koppel = 1
id = "x"
title = "X"
entity = "company"
left = "register:companies"
right = "books:accounts"
scope.take = "intake"
match.keys = ["kvk"]
[create]
right = true
[fields]
name = { owner = "left" }
"""


def check(text: str, *, left: Can = REGISTER, right: Can = BOOKS, **options):
    flow, problems = read_flow(text, file="f.toml")
    assert flow is not None, [str(problem) for problem in problems]
    return check_flow(flow, left=left, right=right, positions=locate(text, file="f.toml"), **options)


def test_a_sound_flow_is_silent():
    text = HEAD + '"right:Remarks" = { from = "legal_form" }\nkvk = { owner = "left" }\n'
    assert check(text) == ()


@pytest.mark.parametrize(
    ("rule", "code", "said"),
    [
        ('phone = { owner = "left" }', "unfed", "register:companies has no field 'phone'"),
        ('phone = { owner = "left", empty = "clear" }', "unknown-field", "would wipe it in books:accounts"),
        ('phone = { owner = "ask" }', "unknown-field", "register:companies has no field 'phone'"),
        ('email = { owner = "left" }', "unknown-field", "books:accounts has no field 'email'"),
        ('"address.city" = { owner = "left" }', "unknown-field", "keeps 'address' as a whole"),
        ('"right:Remarks" = { from = "legal_from" }', "unverified-field", "did you mean 'legal_form'"),
        ('"right:Remarsk" = { from = "legal_form" }', "unverified-field", "'Remarks'"),
        ('"right:role" = { const = "supplier" }', "unmapped-code", "customer"),
        ('"right:Status" = { const = "X" }', "unmapped-code", "one of: C, P"),
        ('"right:Score" = { const = "5" }', "wrong-type", "whole number"),
        ('"right:Score" = { from = "name" }', "wrong-type", "of the kind name"),
        ('"right:Remarks" = { from = "is_active" }', "wrong-type", 'transform = "text"'),
        ('"right:Remarks" = { from = "address" }', "wrong-type", "one_line"),
        ('"right:Remarks" = { from = "sbi" }', "wrong-type", "join_words"),
        ('"right:Score" = { from = "name", transform = "digits" }', "wrong-type", "gives text"),
        ('"right:Remarks" = { from = "address", transform = "upper" }', "wrong-type", "kind address"),
        ('"right:Remarks" = { const = "0123456789012345678901234567890" }', "too-long", "holds 30"),
        ('"right:Remarks" = { from = "name", transform = "cut:50" }', "too-long", "cut:30"),
        ('"right:Remarks" = { from = "name" }', "lossy", "only 30"),
        ('address = { owner = "left" }', "lossy", "run together"),
        ('code = { owner = "left" }', "not-writable", "does not let 'code'"),
        ('legal_form = { owner = "right" }', "not-writable", "register:companies"),
        ('"right:Opened" = { from = "started_on" }', "create-only", 'when = "create"'),
        ('"right:Later" = { const = "x", when = "create" }', "update-only", 'when = "update"'),
        ('"right:Secret" = { const = "x" }', "unread", "cannot be seen"),
        ('phone = { owner = "newest" }', "no-stamps", "register:companies"),
        ('name = { owner = "union" }', "wrong-type", "only sets"),
        ('"right:role" = { const = "customer" }\n"right:Status" = { const = "C" }', "second-writer", "'Status'"),
        ('"right:Remarks" = { from = "code", default = 5 }', "wrong-type", "default 5"),
    ],
)
def test_a_mistake_is_named_at_its_rule(rule, code, said):
    head = HEAD if not rule.startswith("name") else HEAD.replace('name = { owner = "left" }\n', "")
    found = [problem for problem in check(head + rule + "\n") if problem.code == code]
    assert found, [str(problem) for problem in check(head + rule + "\n")]
    assert any(said in f"{problem.message} {problem.suggestion}" for problem in found)
    assert all(problem.line >= (head.count("\n") + 1) and problem.file == "f.toml" for problem in found)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('scope.take = "intake"\n', "", "needs-take"),
        ('match.keys = ["kvk"]\n', "", "no-match-keys"),
        ('match.keys = ["kvk"]\n', 'match.keys = ["rsin"]\n', "no-match-keys"),
        ("right = true", "left = true", "cannot-create"),
        ('name = { owner = "left" }\n', "", "required"),
        ('name = { owner = "left" }\n', 'name = { owner = "left", when = "update" }\n', "required"),
    ],
)
def test_what_a_side_cannot_do_is_refused(old, new, code):
    text = HEAD.replace(old, new) + 'kvk = { owner = "left" }\n'
    found = [problem for problem in check(text) if problem.severity == "error"]
    assert code in {problem.code for problem in found}


def test_a_right_that_can_be_neither_listed_nor_searched_gets_nothing_created():
    deaf = replace(BOOKS, list=False, find=("native",))
    assert "cannot-find" in {problem.code for problem in check(HEAD, right=deaf)}
    assert "cannot-find" not in {problem.code for problem in check(HEAD, right=replace(deaf, find=("kvk",)))}


def test_a_key_that_one_side_does_not_carry_is_said():
    text = HEAD.replace('["kvk"]', '["rsin", "kvk"]')
    found = [problem for problem in check(text) if problem.code == "key-not-carried"]
    assert [(problem.line, problem.column, problem.severity) for problem in found] == [(8, 15, "warning")] * 2


def test_a_match_key_of_no_entity_is_refused_in_a_flow_that_came_another_way():
    flow, _ = read_flow(HEAD, file="f.toml")
    assert flow is not None
    wrong = msgspec.structs.replace(flow, match=msgspec.structs.replace(flow.match, keys=("kvk", "email")))
    found = check_flow(wrong, left=REGISTER, right=BOOKS)
    assert [problem.code for problem in found] == ["unknown-key-kind"]


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ('left = "archive"', "cannot-archive"),
        ('left = "restore"', "cannot-restore"),
        ('right = "restore"', None),
        ('left = "unlink"', None),
    ],
)
def test_a_missing_rule_needs_what_it_would_do(missing, code):
    found = check(f"{HEAD}[missing]\n{missing}\n")
    assert [(problem.code, problem.line) for problem in found] == ([(code, 14)] if code else [])


@pytest.mark.parametrize("entity", sorted(REMOVAL))
def test_a_document_is_never_archived_whatever_the_side_can_do(entity):
    flow, _ = read_flow(f'{HEAD}[missing]\nleft = "archive"\n', file="f.toml")
    flow = msgspec.structs.replace(flow, entity=entity, match=Match(), fields=())
    found = [p.code for p in check_flow(flow, left=REGISTER, right=replace(BOOKS, archive=True), entity=entity)]
    assert ("never-removed" in found) == (entity in ("order", "invoice", "journal_entry"))
    assert "cannot-archive" not in found


def test_archiving_is_fine_where_it_can_be_done():
    assert check(f'{HEAD}[missing]\nleft = "archive"\n', right=replace(BOOKS, archive=True)) == ()


def test_a_field_that_its_owner_does_not_have_feeds_no_new_record():
    poor = replace(REGISTER, fields=REGISTER.fields[1:])
    assert [(p.code, p.severity) for p in check(HEAD, left=poor)] == [("required", "error"), ("unfed", "warning")]
    fed = HEAD.replace('owner = "left"', 'owner = "left", default = "?"')
    assert [p.severity for p in check(fed, left=poor)] == ["warning"]


def test_a_right_that_cannot_be_changed_takes_fields_at_creation_only():
    frozen = replace(BOOKS, update=False)
    assert [problem.code for problem in check(HEAD, right=frozen)] == ["create-only"]
    assert check(HEAD.replace('owner = "left"', 'owner = "left", when = "create"'), right=frozen) == ()


# --- codes and tables ---------------------------------------------------------------------------------------------


def table(*lines: str, rule: str = '"right:Status" = { from = "legal_form", table = "t" }') -> str:
    return f"{HEAD}{rule}\n[tables.t]\n" + "\n".join(lines) + "\n"


def test_a_whole_table_is_silent():
    assert check(table('BV = "C"', 'NV = "P"')) == ()


def test_a_tables_value_that_the_field_does_not_have_is_refused_at_its_line():
    (problem,) = check(table('BV = "C"', 'NV = "Q"'))
    assert (problem.code, problem.severity, problem.line, problem.column) == ("unmapped-code", "error", 16, 6)


def test_a_code_without_a_line_is_warned_of():
    (problem,) = check(table('BV = "C"'))
    assert (problem.code, problem.severity, problem.line) == ("unmapped-code", "warning", 13)
    assert "'NV'" in problem.message


def test_a_line_for_a_code_that_never_comes_is_probably_misspelled():
    found = check(table('BV = "C"', 'NV = "P"', 'BVV = "P"'))
    assert [(problem.code, problem.line, problem.suggestion) for problem in found] == [
        ("unknown-code", 17, "did you mean 'BV'?")
    ]


def test_codes_without_a_table_must_be_known_on_the_other_side():
    (problem,) = check(f'{HEAD}"right:Status" = {{ from = "legal_form" }}\n')
    assert (problem.code, problem.severity) == ("unmapped-code", "warning")
    assert "'BV', 'NV'" in problem.message


# --- conditions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "condition", "code", "culprit"),
    [
        ("left", '{ field = "is_activ", is = true }', "unverified-field", '"is_activ"'),
        ("left", '{ field = "phone", filled = true }', "unknown-field", '"phone"'),
        ("left", '{ field = "is_active", is = "yes" }', "wrong-type", '"yes"'),
        ("left", '{ any = [{ field = "legal_form", in = ["BV", "BVBA"] }] }', "unknown-code", '"BVBA"'),
        ("right", '{ field = "role", is = "custmer" }', "unknown-code", '"custmer"'),
    ],
)
def test_a_condition_that_can_never_be_met_is_named(side, condition, code, culprit):
    text = HEAD.replace("scope.take", f"scope.{side} = [{condition}]\nscope.take")
    (problem,) = check(text)
    column = text.splitlines()[6].index(culprit) + 1
    assert (problem.code, problem.line, problem.column) == (code, 7, column)


def test_conditions_on_parts_and_on_own_fields_are_taken():
    text = HEAD.replace(
        "scope.take",
        'scope.left = [{ field = "sbi.code", is = "10710" }]\nscope.right = [{ field = "Score", is = 1 }]\nscope.take',
    )
    assert check(text) == ()


# --- live metadata ------------------------------------------------------------------------------------------------


def test_a_field_the_account_was_not_asked_for_is_only_a_warning():
    (problem,) = check(HEAD + '"right:Custom" = { const = "x" }\n')
    assert (problem.code, problem.severity) == ("unverified-field", "warning")


def test_the_accounts_own_metadata_settles_it():
    text = HEAD + '"right:Custom" = { const = "xyz" }\n'
    (problem,) = check(text, own_fields={"right": (Field(path="Custum", own=True),)})
    assert (problem.code, problem.severity, problem.suggestion) == ("unknown-field", "error", "did you mean 'Custum'?")
    assert check(text, own_fields={"right": (Field(path="Custom", own=True),)}) == ()
    (short,) = check(text, own_fields={"right": (Field(path="Custom", own=True, max_length=2),)})
    assert (short.code, short.line, short.column) == ("too-long", 13, 28)


def test_what_the_account_says_outranks_our_table():
    text = HEAD + '"right:Remarks" = { const = "xyz" }\n'
    assert check(text) == ()
    narrowed = check(text, own_fields={"right": (Field(path="Remarks", own=True, max_length=2),)})
    assert [problem.code for problem in narrowed] == ["too-long"]


# --- the rest -----------------------------------------------------------------------------------------------------


def test_a_vat_candidate_is_never_written_however_the_flow_was_made():
    flow, _ = read_flow(HEAD, file="f.toml")
    assert flow is not None
    sneaky = msgspec.structs.replace(
        flow, fields=(*flow.fields, FieldRule("Remarks", side="right", source="vat_candidate"))
    )
    assert "never-written" in {problem.code for problem in check_flow(sneaky, left=REGISTER, right=BOOKS)}


def test_two_way_flows_between_like_sides_are_silent():
    text = HEAD.replace("register:", "crm:").replace('"left" }', '"newest" }')
    text += 'phone = { owner = "ask" }\nsbi = { owner = "union" }\n"left:Notes" = { from = "Remarks" }\n'
    assert check(text, left=CRM) == ()


def test_the_resources_entity_must_be_the_flows():
    (problem,) = check(HEAD, entity="product")
    assert (problem.code, problem.line) == ("wrong-entity", 4)


def test_a_customers_own_transform_is_judged_by_what_it_says_it_gives():
    text = HEAD + '"right:Score" = { from = "name", transform = "count" }\n'
    own = with_own({"count": Transform(name="count", function=len, gives="int")})
    flow, _ = read_flow(text, file="f.toml", transforms=own)
    assert flow is not None
    assert check_flow(flow, left=REGISTER, right=BOOKS, transforms=own) == ()
    unknown = check_flow(flow, left=REGISTER, right=BOOKS)
    assert [problem.code for problem in unknown] == ["unknown-transform"]


def test_without_positions_problems_stand_at_the_rules_line():
    text = HEAD + 'phone = { owner = "left" }\n'
    flow, _ = read_flow(text, file="f.toml")
    assert flow is not None
    (problem,) = check_flow(flow, left=REGISTER, right=BOOKS)
    assert (problem.file, problem.line) == ("x", 13)


@pytest.mark.parametrize("path", [field.path for field in BOOKS.fields])
@pytest.mark.parametrize("damage", ["drop", "lock", "narrow"])
def test_every_field_that_the_vendor_takes_away_is_noticed(path, damage):
    """Remove, lock or narrow each field in turn: whoever writes it is told, with the line."""
    constants = {"int": 5, "date": "2026-01-01", "set": ["a"], "phone": "+31201234567"}
    field = BOOKS.field(path)
    assert field is not None
    if (
        field.kind == "address"
        or field.writable == "never"
        or (damage == "narrow" and field.kind in {"int", "date", "set"})
    ):
        return
    value = repr(constants.get(field.kind) or (field.values[0] if field.values else "12345678")).replace("'", '"')
    when = {"create": "create", "update": "update"}.get(field.writable, "always")
    text = (
        HEAD.replace('name = { owner = "left" }\n', "") + f'"right:{path}" = {{ const = {value}, when = "{when}" }}\n'
    )
    changed = replace(field, writable="never") if damage == "lock" else replace(field, max_length=0 + 1, values=("?",))
    fields = tuple(changed if f.path == path else f for f in BOOKS.fields if not (damage == "drop" and f.path == path))
    line = text.count("\n")
    before = [p for p in check(text) if p.line == line and p.severity == "error"]
    after = [p for p in check(text, right=replace(BOOKS, fields=fields)) if p.line == line]
    assert before == []
    assert after


@given(source=st.sampled_from(sorted(KINDS)), target=st.sampled_from(sorted(KINDS)))
def test_every_kind_fits_itself_and_switches_fit_nothing_else(source, target):
    assert kind_fits(source, source)
    if "bool" in {source, target} and source != target:
        assert not kind_fits(source, target)


@pytest.mark.parametrize(
    ("value", "kind", "fits"),
    [
        (True, "bool", True),
        (1, "bool", False),
        (True, "int", False),
        ("1.50", "money", True),
        ("abc", "decimal", False),
        ("nl", "country", False),
        ("a@b.example", "email", True),
        ("2026-13-01", "date", False),
        ({"city": "A"}, "address", False),
        ("1234567", "kvk", False),
    ],
)
def test_a_constant_fits_its_kind(value, kind, fits):
    assert (misfit(value, kind) is None) is fits


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_flow_that_can_be_read_makes_the_check_raise(data):
    paths = st.sampled_from(["name", "phone", "sbi", "address", "address.city", "role", "code", "vat_state"])
    own = st.sampled_from(["Remarks", "Status", "Score", "Nope", "name"])
    rule = st.one_of(
        st.builds(FieldRule, path=paths, owner=st.sampled_from(["left", "right", "newest", "ask", "union"])),
        st.builds(FieldRule, path=own, side=st.sampled_from(["left", "right"]), source=paths),
        st.builds(FieldRule, path=own, side=st.just("right"), const=st.sampled_from([1, "x", True, ["a"]])),
        st.builds(
            FieldRule, path=own, side=st.just("right"), source=paths, transform=st.sampled_from(["upper", "one_line"])
        ),
    )
    base, _ = read_flow(HEAD, file="f.toml")
    assert base is not None
    flow: Flow = msgspec.structs.replace(base, fields=tuple(data.draw(st.lists(rule, max_size=5))))
    check_flow(flow, left=data.draw(st.sampled_from([REGISTER, CRM])), right=data.draw(st.sampled_from([BOOKS, CRM])))
