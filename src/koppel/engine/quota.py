"""What a plan takes of the vendors' allowances: what is left, what stays, and when the last call can leave at the earliest.

An allowance is one account for all flows and workers (law 10), so what others take meanwhile makes it later, never earlier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from koppel.engine.allowances import WINDOW_SECONDS, window_end
from koppel.engine.ports import Connection
from koppel.store import budgets
from koppel.store.budgets import Account
from koppel.store.sql import Db
from koppel.systems.spi import Budget

LONGEST = 600  # windows looked ahead: fifty years of months say no more than "not soon"


class Quota(msgspec.Struct, frozen=True):
    """One allowance under a plan: `left` of `limit` per `window` now (beyond the reserve that is kept for people), `after` the
    plan's `calls`; `done_at`: when the last of them can leave. None = within what is left."""

    connection: str
    allowance: str
    window: str
    limit: int
    left: int
    calls: int
    after: int
    done_at: float | None = None


def quotas(db: Db, connections: Mapping[str, Connection], calls: Mapping[str, int], *, now: float) -> tuple[Quota, ...]:
    """For each connection a plan writes to, its allowances that are worth naming: those of an hour or longer, and any that
    makes the plan wait."""
    found: list[Quota] = []
    for name, number in sorted(calls.items()):
        connection = connections[name]
        accounts = budgets.listed(db, system=connection.system.name)
        for budget in connection.system.budgets:
            if budget.counts != "calls":
                continue
            quota = _quota(connection, budget, _account(connection, budget, accounts), number, now)
            if quota.done_at is not None or budget.window in {"hour", "day", "month"}:
                found.append(quota)
    return tuple(found)


def done_at(found: Sequence[Quota]) -> float | None:
    """When the last call of a plan can leave; None when nothing has to wait."""
    return max((quota.done_at for quota in found if quota.done_at is not None), default=None)


def _account(connection: Connection, budget: Budget, accounts: Sequence[Account]) -> Account | None:
    """The account of this connection: the one its settings name (a division), else the one with the least left."""
    mine = [account for account in accounts if account.name == budget.name]
    named = {str(value) for value in msgspec.to_builtins(connection.settings).values() if not isinstance(value, dict)}
    own = [account for account in mine if account.key in named]
    return min(own or mine, key=lambda account: account.remaining, default=None)


def _quota(connection: Connection, budget: Budget, account: Account | None, calls: int, now: float) -> Quota:
    known = account if account is not None and account.reset_at > now else None
    limit = account.allowed if account is not None else budget.limit
    left = max(0, (known.remaining if known else limit) - budget.reserve)
    over, ends = calls - left, known.reset_at if known else window_end(budget, now)
    at = None if over <= 0 else _last(budget, over, max(1, limit - budget.reserve), ends)
    return Quota(connection.name, budget.name, budget.window, limit, left, calls, max(0, left - calls), at)


def _last(budget: Budget, over: int, per_window: int, ends: float) -> float:
    """The beginning of the window in which the last call leaves."""
    windows = -(-over // per_window) - 1  # whole windows that are used up after this one
    size = WINDOW_SECONDS.get(budget.window)
    if size is not None:
        return ends + windows * size
    for _ in range(min(windows, LONGEST)):
        ends = window_end(budget, ends)
    return ends
