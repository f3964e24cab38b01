"""Resources that are reckoned from the books when somebody looks: open items, period states, stock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from koppel.systems.exact.sandbox.books import Books
from koppel.systems.exact.sandbox.records import Row

RECEIVABLE, PAYABLE = 20, 22  # LineType of a payment term (unverified): the type of its ledger account

Report = Callable[[Books, float, Mapping[str, str]], Iterable[Row]]
REPORTS: dict[str, Report] = {}
