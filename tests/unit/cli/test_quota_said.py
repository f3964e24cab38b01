"""A plan says in words what it takes of an allowance, and in tokens what was looked up for it."""

from __future__ import annotations

from datetime import datetime

from koppel.cli.render_plan import plan_sums, quota_said
from koppel.cli.words import ZONE
from koppel.engine.plan import PLAN_FORMAT, LookUps, Plan
from koppel.engine.quota import Quota

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=ZONE).timestamp()


def test_what_fits_says_what_is_left() -> None:
    quota = Quota("books-nl", "day", "day", 5000, 2800, 1240, 1560)
    assert quota_said(quota, NOW) == (
        "books-nl allows 5,000 calls a day, 2,800 of them now; 1,560 are left after this."
    )


def test_what_does_not_fit_says_until_when() -> None:
    today = Quota("books-nl", "minute", "minute", 60, 60, 1240, 0, NOW + 2 * 3600 + 32 * 60)
    assert quota_said(today, NOW).endswith("60 of them now: 1,240 take until about 14:32.")
    later = Quota("books-nl", "day", "day", 5000, 0, 1240, 0, NOW + 12 * 3600)
    assert quota_said(later, NOW).endswith("1,240 take until about 2026-11-21 00:00.")


def test_a_plan_says_it_and_tokens_too() -> None:
    quota = Quota("books-nl", "day", "day", 5000, 2800, 1, 2799)
    bought = LookUps("kvkbase", "lookup_enriched", 3, "0", "their pages", 15)
    plan = Plan(PLAN_FORMAT, "", "f", "d", {}, NOW, (), {}, {}, {"books-nl": 1}, (bought,), quotas=(quota,))
    said = " ".join(plan_sums(plan))
    assert "Writing it costs 1 call to books-nl." in said
    assert "2,799 are left after this." in said
    assert "3 look-ups (kvkbase lookup_enriched): 15 tokens (their pages)." in said
