"""The two toy systems, kept in step by a flow that a test writes down."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from koppel.testing.pair_desk import PairDesk

from .written import FLOW, read


@pytest.fixture
def two_way() -> Iterator[Callable[..., PairDesk]]:
    made: list[PairDesk] = []

    def make(text: str = FLOW) -> PairDesk:
        made.append(PairDesk(read(text), pace=600.0))
        return made[-1]

    yield make
    for desk in made:
        desk.store.close()


@pytest.fixture
def flow_text() -> str:
    return FLOW
