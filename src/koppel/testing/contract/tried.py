"""What is tried: one resource of one system, on a bench that each test has fresh."""

from __future__ import annotations

import pytest

from koppel.testing.bench import Bench, Loss

LOSSES: tuple[Loss, ...] = ("request", "reply", "outage", "effect")


class Tried:
    """One resource of one system."""

    def make(self) -> Bench:
        """A bench with a fresh sandbox: the same every time."""
        raise NotImplementedError

    def make_large(self) -> Bench:
        """A bench with more records than one page holds, when `make` has fewer."""
        return self.make()

    @pytest.fixture
    def bench(self) -> Bench:
        """The bench of one test."""
        return self.make()

    @pytest.fixture
    def large(self) -> Bench:
        """The bench of a test that turns pages."""
        return self.make_large()


def need(condition: object, reason: str) -> None:
    """Skip with the reason unless the condition holds."""
    if not condition:
        pytest.skip(reason)
