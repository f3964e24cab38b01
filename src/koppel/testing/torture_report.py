"""What a torture came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec


class TortureReport(msgspec.Struct, frozen=True):
    """What it came to. All counts but `kills`, `by_point`, `sign_ins` and the totals should be 0.

    `duplicated`: KVK numbers created twice, or beside a debtor that had them. `lost`: numbers taken in of which the store can
    say nothing, and what people typed that is gone. `wrong_fields`: linked debtors whose legal fields differ from the register.
    `unrecorded`: writes in the books minus entries of the trail. `restless`: writes of a last run that had nothing to do.
    `sign_ins`: how often a person had to sign in again: Exact's refresh token is used up by the very call whose answer a kill
    can swallow, and only a person can mend that.
    """

    kills: int
    duplicated: int
    lost: int
    by_point: dict[str, int]
    wrong_fields: int
    unrecorded: int
    restless: int
    trail_ok: bool
    sign_ins: int
    runs: int
    taken: int
    created: int
    seed: int
    findings: tuple[str, ...] = ()


def summed(reports: Sequence[TortureReport], seed: int) -> TortureReport:
    """The reports of several worlds as one."""
    by_point: Counter[str] = Counter()
    for report in reports:
        by_point.update(report.by_point)

    def total(name: str) -> int:
        return sum(getattr(report, name) for report in reports)

    return TortureReport(
        kills=total("kills"), duplicated=total("duplicated"), lost=total("lost"), by_point=dict(sorted(by_point.items())),
        wrong_fields=total("wrong_fields"), unrecorded=total("unrecorded"), restless=total("restless"), trail_ok=all(r.trail_ok for r in reports),
        sign_ins=total("sign_ins"), runs=total("runs"), taken=total("taken"), created=total("created"), seed=seed,
        findings=tuple(f for r in reports for f in r.findings),
    )  # fmt: skip
