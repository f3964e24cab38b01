"""Lines of a described document: read whole or not at all, written by their description."""

from __future__ import annotations

import pytest

from koppel.model.values import Json
from koppel.systems.rest import codec
from koppel.systems.rest.description import ResourceText, read
from koppel.systems.spi import Site

ORDERS = """
koppel = 1
title = "Shop"
base_url = "https://shop.example"

[resources.products]
entity = "product"
path = "/products"
fields = { code = { field = "sku" } }

[resources.orders]
entity = "order"
path = "/orders"
fields.number = { field = "no" }

[resources.orders.fields.lines]
field = "rows"
parts.product = { field = "article.id", refers_to = "products", as_number = true }
parts.description = { field = "text", max_length = 10 }
parts.quantity = { field = "count", as_number = true }
parts.amount = { field = "sum", writable = "never" }
"""
ROW: dict[str, Json] = {"article": {"id": 7}, "text": "Tap", "count": 2, "sum": "10.50"}


def orders() -> ResourceText:
    return read(ORDERS).resources["orders"]


def decoded(*lines: Json, rows: Json = None):
    shown = codec.item(orders(), {"id": 1, "no": "A1", "rows": rows or list(lines)})
    site = Site(connection="shop", settings=None, facts={}, as_of=0.0)
    return codec.decode(orders(), site, shown)


def test_lines_are_read_part_by_part():
    (line,) = decoded(ROW).record.entity.lines
    assert (line.product, line.description, str(line.quantity), str(line.amount)) == ("7", "Tap", "2", "10.5")


def test_nothing_of_a_line_is_kept_that_is_not_described():
    shown = codec.item(orders(), {"id": 1, "no": "A1", "rows": [ROW | {"who": "Jan"}]})
    assert shown.fields["rows"] == [ROW]


@pytest.mark.parametrize("bad", [{**ROW, "sum": "ten"}, {**ROW, "count": [2]}])
def test_one_line_that_cannot_be_read_leaves_all_lines_out_and_is_named(bad):
    found = decoded(ROW, bad)
    assert found.record.entity.lines == ()
    assert found.record.entity.number == "A1"
    (problem,) = found.problems
    assert problem.code == "unreadable_value"
    assert problem.field.startswith("rows.")


@pytest.mark.parametrize("rows", [["7"], [ROW, None], {"1": ROW}])
def test_what_is_no_list_of_lines_is_named_and_makes_no_empty_lines(rows):
    found = decoded(rows=rows)
    assert found.record.entity.lines == ()
    (problem,) = found.problems
    assert (problem.field, problem.text) == ("rows", "This is no list of lines.")


def test_lines_are_written_as_described():
    ours = [{"product": "7", "description": "A long text of a line", "quantity": "2.50", "amount": "10.50"}]
    assert codec.wire_fields(orders(), "lines", ours) == {
        "rows": [{"article": {"id": 7}, "text": "A long tex", "count": 2.5}]
    }


def test_who_a_line_names_is_left_as_it_is():
    lines = orders().fields["lines"]
    token = {"who": "7"}
    assert codec.lines_form(lines, [{"product": "  a  b ", "quantity": "2.0"}]) == [
        {"product": "  a  b ", "quantity": "2"}
    ]
    assert codec.lines_form(lines, [{"product": token}]) == [{"product": token}]
