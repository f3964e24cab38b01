"""The flow between the two toy systems, written down as a customer does."""

from __future__ import annotations

from koppel.mapping.flow import Flow
from koppel.mapping.read import read_flow

FLOW = """
koppel = 1
id = "pair"
title = "Ledger and Till"
entity = "company"
left = "left:customers"
right = "right:shops"
[match]
keys = ["kvk"]
[create]
right = true
[fields]
kvk = { owner = "left" }
name = { owner = "left" }
phone = { owner = "newest" }
[run]
brakes = { creates = false, deletes = false, share = false, first = false }
"""


def read(text: str) -> Flow:
    """The flow a text says."""
    flow, problems = read_flow(text, file="pair.toml")
    assert flow is not None, problems
    assert not problems
    return flow
