"""Ready-made flows filled in for a customer, comment for comment."""

from __future__ import annotations

import pytest

from koppel.mapping.read import read_flow
from koppel.mapping.template import fill
from koppel.model.problem import UsageError

TEMPLATE = """\
# register: is a word in this comment and stays
koppel = 1
id     = "kvk-exact"   # permanent
title  = "Register"
entity = "company"
left   = "register:companies"   # the register
right  = 'books:accounts'       # the books
[fields]
name = { owner = "left" }   # register:companies owns it
"""


def test_only_the_two_names_change():
    filled = fill(TEMPLATE, {"register": "kvk-main", "books": "exact.nl"})
    assert filled == TEMPLATE.replace('"register:companies"', '"kvk-main:companies"').replace(
        "'books:accounts'", '"exact.nl:accounts"'
    )


def test_a_mark_that_some_editors_put_in_front_stays():
    assert fill("\ufeff" + TEMPLATE, {"books": "b2"}).startswith("\ufeff# register")
    assert '"b2:accounts"' in fill("\ufeff" + TEMPLATE, {"books": "b2"})


def test_what_is_not_mentioned_stays():
    assert fill(TEMPLATE, {}) == TEMPLATE


def test_a_second_copy_gets_an_id_and_a_title_of_its_own():
    flow, _ = read_flow(fill(TEMPLATE, {"books": "b2"}, id="second", title='The "second"'), file="f")
    assert flow is not None
    assert (flow.id, flow.title, str(flow.right)) == ("second", 'The "second"', "b2:accounts")


@pytest.mark.parametrize(
    ("template", "names", "said"),
    [
        (TEMPLATE, {"registre": "kvk"}, "names no connection 'registre'"),
        (TEMPLATE, {"books": "two words"}, "cannot be the name"),
        (TEMPLATE, {"books": 'a"b'}, "cannot be the name"),
        ("left = ", {}, "not TOML"),
        ('left = "a:b"\n', {}, "has no right"),
    ],
)
def test_what_cannot_be_filled_in_is_said(template, names, said):
    with pytest.raises(UsageError, match=said):
        fill(template, names)
