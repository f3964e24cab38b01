"""How values are compared: after normalising, in the form a side keeps."""

from __future__ import annotations

from typing import Any

import pytest

from koppel.mapping.flow import FieldRule
from koppel.model.can import Can, Field
from koppel.sync.shapes import Shape, shapes


def cut(value: Any) -> Any:
    return value[:3] if isinstance(value, str) else value


def test_blanks_of_every_kind_look_the_same() -> None:
    shape = Shape(rule=FieldRule("x"))
    assert shape.same(None, "")
    assert shape.same({"city": None}, None)
    assert not shape.same(None, "0")


def test_a_form_counts_on_its_own_side_only() -> None:
    shape = Shape(rule=FieldRule("x"), form_right=cut)
    assert shape.same_on("right", "abcdef", "abcxyz")
    assert not shape.same_on("left", "abcdef", "abcxyz")
    assert shape.same("abcdef", "abc")


def test_what_differs_in_formatting_only_is_the_same() -> None:
    assert Shape(rule=FieldRule("x"), kind="postcode").same("1034 wl", "1034WL")
    assert not Shape(rule=FieldRule("x"), kind="text").same("1034 wl", "1034WL")


AMOUNTS = ("quantity", "unit_price", "discount", "amount", "vat_amount", "debit", "credit")


@pytest.mark.parametrize("part", AMOUNTS)
def test_zeros_behind_an_amount_of_a_line_are_formatting(part: str) -> None:
    lines = Shape(rule=FieldRule("lines"), kind="lines")
    assert lines.plainly_same([{part: "155.40", "product": "7"}], [{"product": "7", part: "155.4"}])
    assert not lines.plainly_same([{part: "155.40"}], [{part: "155.41"}])


def test_codes_of_a_line_and_the_order_of_lines_are_no_formatting() -> None:
    lines = Shape(rule=FieldRule("lines"), kind="lines")
    assert not lines.plainly_same([{"ledger": "1.10"}], [{"ledger": "1.1"}])
    one, two = {"amount": "1.00"}, {"amount": "2.00"}
    assert not lines.plainly_same([one, two], [two, one])


@pytest.mark.parametrize("kind", ["decimal", "money"])
def test_numbers_are_compared_as_numbers_and_what_is_none_as_it_is_written(kind: str) -> None:
    number = Shape(rule=FieldRule("x"), kind=kind)
    assert number.plainly_same("100.00", "100")
    assert number.plainly_same("-0.00", "0")
    assert not number.plainly_same("1.10", "1.01")
    assert not number.plainly_same("1.00 EUR", "1.00 USD")
    assert not number.plainly_same("n/a", "0")
    assert number.plainly_same("n/a", " n/a")
    assert number.plainly_same("  ", None)


def can(*fields: Field, **given: Any) -> Can:
    return Can(**({"create": True, "update": True} | given), fields=fields)


def test_shapes_take_kind_form_and_rights_from_both_sides(make: Any) -> None:
    left = can(Field(path="name", kind="name"), Field(path="kvk", kind="kvk", writable="never"))
    right = can(
        Field(path="name", kind="name", required=True, form=cut),
        Field(path="kvk", kind="kvk", writable="create"),
        Field(path="phone", kind="phone", writable="update"),
    )
    made = shapes(make.flow(), left, right, frozenset({"kvk"}))
    name, kvk, phone = made["name"], made["kvk"], made["phone"]
    assert (name.kind, name.form_right, name.required_right, name.required_left) == ("name", cut, True, False)
    assert (name.may_write("left"), name.may_write("right"), name.fact) == (True, True, False)
    assert (kvk.may_write("right"), kvk.may_create("right"), kvk.may_create("left"), kvk.fact) == (
        False,
        True,
        False,
        True,
    )
    assert (phone.may_write("left"), phone.may_write("right"), phone.may_create("right")) == (False, True, False)
    assert phone.required("right") is False


@pytest.mark.parametrize("right", ["create", "update"])
def test_a_resource_that_denies_a_right_denies_it_for_every_field(make: Any, right: str) -> None:
    side = can(Field(path="name"), **{right: False})
    shape = shapes(make.flow(), side, side, frozenset())["name"]
    denied = shape.may_create if right == "create" else shape.may_write
    assert not denied("left")
    assert not denied("right")


def test_a_vendors_own_field_lives_on_its_side_and_is_no_legal_fact(make: Any) -> None:
    rule = FieldRule("kvk", side="right", source="legal_form")
    side = can(Field(path="kvk"))
    shape = shapes(make.flow(fields=(rule,)), side, side, frozenset({"kvk"}))["right:kvk"]
    assert (shape.may_write("right"), shape.may_write("left"), shape.fact) == (True, False, False)


def test_a_free_field_that_no_table_knows_is_written_on_its_side(make: Any) -> None:
    rule = FieldRule("U0123", side="right", source="legal_form")
    side = can(Field(path="name"))
    shape = shapes(make.flow(fields=(rule,)), side, side, frozenset())["right:U0123"]
    assert (shape.may_write("right"), shape.may_create("right"), shape.may_write("left")) == (True, True, False)
