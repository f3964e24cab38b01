"""Reading a flow file: the whole sample is taken, every slip is named at its place, nothing ever raises."""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from koppel.mapping.digest import rule_texts
from koppel.mapping.flow import Brakes, Condition, Endpoint
from koppel.mapping.problems import has_errors
from koppel.mapping.read import read_flow
from koppel.mapping.transforms import with_own
from koppel.model.values import Money

SAMPLE = """\
koppel = 1                                  # format of this file
id     = "kvk-exact"                        # permanent
title  = "Companies from the register into Exact"
entity = "company"
left   = "register:companies"
right  = "books-nl:accounts"
start  = 2026-11-01

[scope]
take  = "intake"
left  = [{ field = "is_active", is = true }]
right = [{ field = "role", in = ["customer"] }]

[match]
keys       = ["kvk", "vat"]
propose    = ["name+postcode", "email_domain"]
shared_key = "facts"

[create]
right = true

[fields]
name       = { owner = "left" }
address    = { owner = "left", empty = "keep" }
phone      = { owner = "newest" }
email      = { owner = "ask" }
vat_number = { owner = "left" }
"right:Remarks" = { from = "legal_form", table = "legal_forms", when = "create" }
"right:Status"  = { const = "C", when = "create" }

[tables.legal_forms]
BV = "Besloten vennootschap"

[missing]
left  = "ask"
right = "ask"

[run]
schedule  = "every 15 minutes"
window    = "19:00-07:00"
reconcile = "weekly"
refresh   = "30 days"
brakes    = { creates = 200, deletes = 0, share = 0.2, money = "10000.00 EUR" }
"""

HEAD = """\
koppel = 1
id = "x"
title = "X"
entity = "company"
left = "a:one"
right = "b:two"
"""


def flow_of(text: str):
    flow, problems = read_flow(text, file="f.toml")
    assert flow is not None, [str(problem) for problem in problems]
    return flow


def problems_of(text: str):
    flow, problems = read_flow(text, file="f.toml")
    assert flow is None, "the file should have been refused"
    return problems


def only_problem(text: str):
    (problem,) = problems_of(text)
    return problem


def rule_of(rule: str, *, extra: str = ""):
    return flow_of(f"{HEAD}[fields]\n{rule}\n{extra}").fields[0]


def test_the_sample_is_taken_whole():
    flow, problems = read_flow(SAMPLE, file="f.toml")
    assert problems == ()
    assert flow is not None
    assert (flow.id, flow.left, flow.right) == (
        "kvk-exact",
        Endpoint("register", "companies"),
        Endpoint("books-nl", "accounts"),
    )
    assert flow.start == "2026-11-01"
    assert flow.scope.take == "intake"
    assert flow.scope.left == (Condition(field="is_active", is_=True),)
    assert flow.scope.right == (Condition(field="role", in_=("customer",)),)
    assert (flow.match.keys, flow.match.propose) == (("kvk", "vat"), ("name+postcode", "email_domain"))
    assert (flow.create_left, flow.create_right) == (False, True)
    assert [rule.key for rule in flow.fields] == [
        "name",
        "address",
        "phone",
        "email",
        "vat_number",
        "right:Remarks",
        "right:Status",
    ]
    assert flow.tables == {"legal_forms": {"BV": "Besloten vennootschap"}}
    assert flow.run.brakes == Brakes(200, 0, 0.2, Money(Decimal("10000.00"), "EUR"), first=True)
    assert flow.run.refresh == 30 * 86_400


def test_rules_know_where_they_stand_and_which_way_they_go():
    flow = flow_of(SAMPLE)
    rules = {rule.key: rule for rule in flow.fields}
    assert rules["phone"].line == 25
    assert (rules["name"].from_side, rules["name"].to_sides) == ("left", ("right",))
    assert (rules["phone"].from_side, rules["phone"].to_sides) == (None, ("left", "right"))
    assert (rules["right:Remarks"].from_side, rules["right:Remarks"].to_sides) == ("left", ("right",))
    assert rules["right:Status"].derived
    assert not rules["name"].derived


def test_a_field_of_the_left_alone_is_owned_by_the_right():
    rule = rule_of('"left:Note" = { from = "code" }')
    assert (rule.side, rule.path, rule.owner, rule.to_sides) == ("left", "Note", "right", ("left",))


def test_a_dotted_field_may_be_written_with_or_without_quotes():
    bare = flow_of(f'{HEAD}[fields]\naddress.city = {{ owner = "left" }}\n')
    quoted = flow_of(f'{HEAD}[fields]\n"address.city" = {{ owner = "left" }}\n')
    headed = flow_of(f'{HEAD}[fields.address.city]\nowner = "left"\n')
    assert [rule.key for rule in bare.fields] == ["address.city"]
    assert bare.digest == quoted.digest == headed.digest


def test_a_vendors_own_field_may_be_fed_from_the_other_sides_own_field():
    assert rule_of('"right:Remarks" = { from = "left:Comment" }').source == "Comment"


def test_dates_written_as_dates_become_text():
    assert rule_of('"right:StartDate" = { const = 2026-01-31 }').const == "2026-01-31"


def test_alternatives_stand_in_any():
    text = f"""{HEAD}[scope]
left = [{{ any = [{{ field = "role", is = "customer" }}, {{ field = "kvk", filled = true }}] }}]
[fields]
name = {{ owner = "left" }}
"""
    (condition,) = flow_of(text).scope.left
    assert condition.any == (Condition(field="role", is_="customer"), Condition(field="kvk", filled=True))


def test_a_brake_can_be_taken_off_with_false():
    text = f'{HEAD}[fields]\nname = {{ owner = "left" }}\n[run]\nbrakes = {{ creates = false, share = false, deletes = 5 }}\n'
    assert flow_of(text).run.brakes == Brakes(creates=None, deletes=5, share=None, money=None, first=True)


def test_the_brakes_are_on_when_nobody_writes_them():
    assert flow_of(f'{HEAD}[fields]\nname = {{ owner = "left" }}\n').run.brakes == Brakes(200, 0, 0.2, None, first=True)


def test_a_customers_own_transform_is_known_when_it_is_handed_in():
    text = f'{HEAD}[fields]\n"right:X" = {{ from = "name", transform = "shout" }}\n'
    own = with_own({"shout": lambda value: f"{value}!"})
    flow, _ = read_flow(text, file="f.toml", transforms=own)
    assert flow is not None
    assert "no transform 'shout'" in only_problem(text).message


def test_a_mark_that_some_editors_put_in_front_is_no_matter():
    assert flow_of("\ufeff" + SAMPLE).fields == flow_of(SAMPLE).fields


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "line", "code", "suggestion"),
    [
        ("koppel = 1", "koppel = 2", 1, "wrong-value", "upgrade Koppel"),
        ("koppel = 1", "koppel = true", 1, "wrong-value", "write koppel = 1"),
        ('id     = "kvk-exact"', 'id     = "kvk exact"', 2, "wrong-value", "letters"),
        ('entity = "company"', 'entity = "compny"', 4, "wrong-value", "'company'"),
        ('"register:companies"', '"register"', 5, "wrong-value", "connection:resource"),
        ('"books-nl:accounts"', '"register:companies"', 6, "wrong-value", "two different resources"),
        ("start  = 2026-11-01", 'start  = "November"', 7, "wrong-value", "2026-11-01"),
        ("[scope]", "[scoop]", 9, "unknown-key", "'scope'"),
        ('take  = "intake"', 'take  = "intke"', 10, "wrong-value", "'intake'"),
        ("is = true", "si = true", 11, "unknown-key", ""),
        ("is = true", "is = true, filled = true", 11, "wrong-value", "exactly one|one of"),
        ('in = ["customer"]', 'in = "customer"', 12, "wrong-value", "in = ["),
        ('"kvk", "vat"', '"kvk", "vta"', 15, "unknown-key-kind", "'vat'"),
        ('"kvk", "vat"', '"kvk", "kvk"', 15, "wrong-value", ""),
        ('"email_domain"', '"email_domian"', 16, "wrong-value", "'email_domain'"),
        ('shared_key = "facts"', 'shared_key = "fact"', 17, "wrong-value", "'facts'"),
        ("right = true", 'right = "yes"', 20, "wrong-value", ""),
        ("name       =", "naem       =", 23, "unknown-field", "'name'"),
        ('phone      = { owner = "newest" }', 'phone      = "newest"', 25, "wrong-value", 'owner = "newest"'),
        ('"newest"', '"newst"', 25, "wrong-value", "'newest'"),
        ('empty = "keep"', 'empty = "kep"', 24, "wrong-value", "'keep'"),
        ('"right:Remarks"', '"rigth:Remarks"', 28, "wrong-field", "'right'"),
        ('"legal_forms", when', '"legal_form", when', 28, "wrong-value", "'legal_forms'"),
        ('when = "create" }\n\n', 'when = "created" }\n\n', 29, "wrong-value", "'create'"),
        ('left  = "ask"', 'left  = "aks"', 35, "wrong-value", "'ask'"),
        ('"every 15 minutes"', '"every 15 mintues"', 39, "wrong-value", ""),
        ('"19:00-07:00"', '"19:00-27:00"', 40, "wrong-value", ""),
        ('"weekly"', '"weakly"', 41, "wrong-value", ""),
        ('"30 days"', '"30 dasy"', 42, "wrong-value", ""),
        ("share = 0.2", "share = 20", 43, "wrong-value", "between|fifth"),
        ("creates = 200", "creates = -1", 43, "wrong-value", "false"),
        ('"10000.00 EUR"', '"10000.00"', 43, "wrong-value", ""),
    ],
)
def test_a_slip_is_named_at_its_line_with_what_was_meant(old, new, line, code, suggestion):
    assert SAMPLE.count(old) >= 1
    found = [p for p in problems_of(SAMPLE.replace(old, new, 1)) if p.code == code and p.line == line]
    assert found, [str(p) for p in problems_of(SAMPLE.replace(old, new, 1))]
    assert re.search(suggestion.replace("[", r"\["), f"{found[0].suggestion} {found[0].message}")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('name = { empty = "keep" }', "'owner' is missing"),
        ('"right:X" = { when = "create" }', "needs a value"),
        ('"right:X" = { const = 1, from = "name" }', "constant is what it is"),
        ('"right:X" = { const = 1, transform = "upper" }', "constant is what it is"),
        ('"right:X" = { const = 1, default = 2 }', "never empty"),
        ('"right:X" = { from = "name", owner = "ask" }', "cannot be owned"),
        ('"right:X" = { from = "right:Y" }', "does not name a field of the left"),
        ('"right:X" = { from = "name", transform = "legal_form_and_sbi" }', "reads the whole record"),
        ('"right:X" = { from = "name", transform = "uper" }', "did you mean 'upper'"),
        ('"right:X" = { from = "name", transform = "cut" }', "wants a number"),
        ('"right:X" = { from = "name", transform = "upper:3" }', "takes no number"),
        ('"right:X" = { const = { a = 1 } }', "one plain value"),
        ('"right:X" = { const = nan }', "not a number that can be written"),
        ('"right:X" = { const = 99999999999999999999 }', "too large"),
        ('phone = { owner = "ask", transform = "phone_e164" }', "somebody must own"),
        ('phone = { owner = "newest", default = "-" }', "one side must own"),
        ('phone = { owner = "left", default = "-", empty = "clear" }', "at once"),
        ('phone = { owner = "ask", drift = "leave" }', "nobody owns"),
        ('address = { owner = "left" }\n"address.city" = { owner = "left" }', "are one field"),
    ],
)
def test_rules_that_contradict_themselves_are_refused(rule, said):
    problems = problems_of(f"{HEAD}[fields]\n{rule}\n")
    assert any(said in problem.message for problem in problems), [str(p) for p in problems]
    assert all(problem.line >= 8 for problem in problems)


@pytest.mark.parametrize(
    "rule",
    ['vat_candidate = { owner = "left" }', '"right:X" = { from = "vat_candidate" }'],
)
def test_a_vat_candidate_is_never_written(rule):
    """Rule B4: a number derived from the RSIN may match; it stands behind nobody."""
    assert only_problem(f"{HEAD}[fields]\n{rule}\n").code == "never-written"


def test_every_missing_head_key_is_named_at_once():
    problems = problems_of('[fields]\nname = { owner = "left" }\n')
    named = {re.search(r"'(\w+)'", problem.message)[1] for problem in problems if problem.code == "missing-key"}
    assert named == {"koppel", "id", "title", "entity", "left", "right"}


def test_a_flow_without_fields_is_refused():
    assert only_problem(HEAD).code == "missing-key"


def test_an_unused_table_is_only_a_warning():
    flow, problems = read_flow(f'{HEAD}[fields]\nname = {{ owner = "left" }}\n[tables.old]\na = 1\n', file="f.toml")
    assert flow is not None
    assert [(problem.code, problem.severity, problem.line) for problem in problems] == [("unused-table", "warning", 9)]


@pytest.mark.parametrize(
    ("text", "line"),
    [("a = 1\nb = \n", 2), ('koppel = 1\nid = "x\n', 2), ("a = 1\na = 2\n", 2), ("[a]\n[a]\n", 2), ("x = [1,\n\n", 2)],
)
def test_what_is_not_toml_is_said_with_its_line(text, line):
    problem = only_problem(text)
    assert (problem.code, problem.line) == ("toml", line)
    assert "at line" not in problem.message


def test_deeply_nested_brackets_are_no_traceback():
    assert only_problem(f"a = {'[' * 20_000}").code == "toml"


def test_a_number_of_thousands_of_digits_is_no_traceback():
    assert only_problem(f"a = {'9' * 10_000}").code == "toml"


def test_a_problem_reads_as_one_line():
    problem = next(p for p in problems_of(SAMPLE.replace("newest", "newst")) if p.code == "wrong-value")
    assert str(problem) == ("f.toml:25:24: error: 'owner' cannot be 'newst' (did you mean 'newest'?) [wrong-value]")


# --- one typo anywhere --------------------------------------------------------------------------------------------

# Every word of the sample that the format gives a meaning: keys, closed words, canonical names. Not the customer's own
# (title, id, connection names, table contents, vendor fields, constants), which may be anything.
_FREE_WORDS = {"kvk-exact", "register", "companies", "books-nl", "accounts", "Remarks", "Status", "C", "BV"}
_FREE_LINES = {2, 3, 5, 6}
_TOKENS = [
    match
    for match in re.finditer(r"[A-Za-z_]{3,}", re.sub(r"#[^\n]*", lambda m: " " * len(m[0]), SAMPLE))
    if match[0] not in _FREE_WORDS | {"Besloten", "vennootschap", "books", "exact", "EUR", "customer"}
    and SAMPLE.count("\n", 0, match.start()) + 1 not in _FREE_LINES
    and SAMPLE[match.start() - 1 : match.start()] != ":"
    and match[0]
    not in {"is_active", "role", "legal_form"}  # fields of a resource: for check, which knows the resources
]


@given(token=st.sampled_from(_TOKENS), place=st.integers(0, 30), letter=st.sampled_from("qxz"))
@settings(max_examples=150, deadline=None)
def test_every_single_typo_is_reported_on_its_own_line(token, place, letter):
    at = token.start() + place % len(token[0])
    if SAMPLE[at] == letter:
        return
    line = SAMPLE.count("\n", 0, at) + 1
    flow, problems = read_flow(SAMPLE[:at] + letter + SAMPLE[at + 1 :], file="f.toml")
    assert flow is None, token[0]
    assert any(problem.line == line for problem in problems), (token[0], problems)


@given(
    at=st.integers(0, len(SAMPLE) - 1), put=st.sampled_from(["", "x", '"', "]", "{", "=", "\n", ".", "[[", "'", "\\"])
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_single_edit_is_ever_a_traceback(at, put):
    text = SAMPLE[:at] + put + SAMPLE[at + 1 :]
    flow, problems = read_flow(text, file="f.toml")
    assert (flow is None) == has_errors(problems)
    assert all(1 <= problem.line <= text.count("\n") + 1 and problem.column >= 1 for problem in problems)


_KEYS = [
    "koppel",
    "id",
    "title",
    "entity",
    "left",
    "right",
    "start",
    "scope",
    "match",
    "create",
    "fields",
    "tables",
    "run",
]
_VALUES = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(),
        st.text(max_size=5),
        st.floats(),
        st.sampled_from(["left", "a:b", "every 1 day", "ask", "company"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["owner", "from", "const", "field", "any", "in", "keys", "left", "brakes", "x"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(part) for part in value) + "]"
    if isinstance(value, str):
        return msgspec.json.encode(value).decode().replace("\x7f", "")
    return repr(value)


@given(document=st.dictionaries(st.sampled_from(_KEYS), _VALUES))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_toml_at_all_is_answered_with_problems(document):
    text = "".join(f"{key} = {_toml(value)}\n" for key, value in document.items())
    flow, problems = read_flow(text, file="f.toml")
    assert (flow is None) == has_errors(problems)


# --- the digest ---------------------------------------------------------------------------------------------------


def _shuffled(text: str, order: list[int]) -> str:
    """The sample with its sections, and the lines inside each, in another order."""
    sections = re.split(r"\n(?=\[)", text.strip())
    head, rest = sections[0], sections[1:]
    rest = [rest[index % len(rest)] for index in sorted(range(len(rest)), key=lambda i: order[i % len(order)])]

    def lines(section: str) -> str:
        first, *others = [line for line in section.split("\n") if line.strip()]
        keyed = sorted(range(len(others)), key=lambda i: order[i % len(order)])
        return "\n".join([first, *(others[i] for i in keyed)])

    return "\n\n".join([lines(head), *(lines(section) for section in rest)]) + "\n"


@given(order=st.permutations(list(range(8))), comment=st.text("abc #é", max_size=9), blanks=st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_the_digest_is_blind_to_comments_spaces_and_the_order_of_keys(order, comment, blanks):
    text = _shuffled(SAMPLE, order)
    text = text.replace(" = ", " " * blanks + "=" + " " * blanks).replace("\n", f" # {comment}\n")
    assert flow_of(text).digest == flow_of(SAMPLE).digest


def test_the_digest_is_blind_to_defaults_written_out_and_to_the_title():
    written = SAMPLE.replace('owner = "newest"', 'owner = "newest", when = "always"').replace(
        "Companies from", "Firms from"
    )
    assert flow_of(written).digest == flow_of(SAMPLE).digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('owner = "newest"', 'owner = "left"'),
        ('"kvk", "vat"', '"vat", "kvk"'),
        ("creates = 200", "creates = 201"),
        ("is = true", "is = false"),
        ("Besloten vennootschap", "Besloten Vennootschap"),
        ("start  = 2026-11-01", "start  = 2026-11-02"),
        ('const = "C"', 'const = "P"'),
        ("right = true", "right = false"),
    ],
)
def test_the_digest_sees_every_change_of_meaning(old, new):
    assert flow_of(SAMPLE.replace(old, new, 1)).digest != flow_of(SAMPLE).digest


def test_an_edit_names_the_rules_it_touches_and_no_others():
    before = flow_of(SAMPLE)
    after = flow_of(
        "\n"
        + SAMPLE.replace('email      = { owner = "ask" }', 'website = { owner = "left" }').replace(
            'BV = "', 'BV = "De '
        )
    )
    was, now = rule_texts(before), rule_texts(after)
    touched = {key for key in was.keys() | now.keys() if was.get(key) != now.get(key)}
    assert touched == {"email", "website", "right:Remarks"}
