"""Assertions of the contract suite explain themselves, as those of test modules do."""

import pytest

pytest.register_assert_rewrite("koppel.testing.contract", "koppel.testing.bench")
