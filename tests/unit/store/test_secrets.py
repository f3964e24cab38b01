from __future__ import annotations

import pytest

from koppel.model.problem import SetupError
from koppel.store import secrets


def test_a_secret_is_read_back_with_its_version(store):
    assert store.run(secrets.get, "books") is None
    assert store.run(secrets.put, "books", {"refresh": "r1"}, at=1.0) == 1
    assert store.run(secrets.get, "books") == ({"refresh": "r1"}, 1)


def test_a_new_pair_keeps_the_one_before_and_only_that(store):
    for number in (1, 2, 3):
        assert store.run(secrets.put, "books", {"refresh": f"r{number}"}, at=float(number)) == number
    assert store.run(secrets.get, "books") == ({"refresh": "r3"}, 3)
    assert store.run(secrets.get, "books:previous") == ({"refresh": "r2"}, 2)


def test_a_forgotten_secret_leaves_no_predecessor_and_others_alone(store):
    for name in ("books", "books", "books2"):
        store.run(secrets.put, name, name, at=1.0)
    store.run(secrets.forget, "books")
    assert store.run(secrets.get, "books") is None
    assert store.run(secrets.get, "books:previous") is None
    assert store.run(secrets.get, "books2") == ("books2", 1)


def test_a_secret_moved_under_another_name_does_not_open(store):
    store.run(secrets.put, "books", "token", at=1.0)
    store.run(lambda db: db.run("update secrets set name = 'shop'"))
    with pytest.raises(SetupError):
        store.run(secrets.get, "shop")
