"""The machine of a simulated world: what power loss takes with it."""

from koppel.store import budgets
from koppel.store.store import in_memory
from koppel.store.vault import Vault
from koppel.testing.processes import Machine


def test_calls_that_were_counted_since_the_last_durable_commit_fall_away_with_the_power_and_are_remembered() -> None:
    store = in_memory(Vault(bytes(range(32))))
    machine = Machine(store.engine, store.vault, power_fails=True)

    def spend(amount: int, until: float) -> None:
        store.run(
            lambda db: budgets.spend(
                db, "till", "minute", "a.example", allowed=7, reserve=0, reset_at=until, at=until - 30, amount=amount
            )
        )

    spend(2, 60.0)
    machine.flushed()
    spend(3, 60.0)
    assert machine.lose_power()
    assert machine.forgotten[60.0] == 3
    spend(4, 120.0)
    assert machine.lose_power()
    assert machine.forgotten == {60.0: 3, 120.0: 4}
    machine.close()
