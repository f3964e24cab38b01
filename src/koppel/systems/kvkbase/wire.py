"""KVKBase's wire: addresses, the error body, what is left of the allowances, and what a response means.

A call costs tokens: a basic look-up 1, an enriched one 5, a search 1; an error costs nothing (unverified) [web page].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import msgspec

from koppel.model.problem import Problem
from koppel.model.values import Json
from koppel.systems.kvkbase.settings import Settings
from koppel.systems.spi import Budget, BudgetReading, Call, Request, Response, Verdict

NOT_FOUND: Final = "NOT_FOUND"
NUMBER_INVALID: Final = "INVALID_KVK_NUMBER"
QUERY_INVALID: Final = "INVALID_REQUEST"
# No tokens left: two spellings, by status 402 and 429 [client 57824903889; web page errors].
USED_UP: Final = frozenset({"INSUFFICIENT_TOKENS", "QUOTA_EXCEEDED"})
OUTAGE_WAIT: Final = 30.0
BALANCE_HOLDS: Final = 3_600.0

# Calls a minute depend on the plan; 60 is the documentation's example and every answer tells the real one. The tokens are
# the plan's too: our own number is only where counting starts, before the first answer.
BUDGETS = (
    Budget(name="minute", limit=60, window="minute", key=lambda request: "kvkbase"),
    Budget(name="tokens", limit=1_000_000, window="month", key=lambda request: "kvkbase", zone="Europe/Amsterdam"),
)


def lookup(settings: Settings, kvkNumber: str) -> Call:  # noqa: N803 - the vendor's word
    """Ask one company: 1 token, or 5 with full details."""
    query = "?enrich=true" if settings.enrich else ""
    kind = "lookup_enriched" if settings.enrich else "lookup"
    return _get(f"{_root(settings)}/lookup/{kvkNumber}{query}", kind=kind)


def search(settings: Settings, q: str, *, pageSize: int) -> Call:  # noqa: N803
    """Search by name: 1 token."""
    return _get(f"{_root(settings)}/search?{urlencode({'q': q, 'pageSize': pageSize})}", kind="search")


def _root(settings: Settings) -> str:
    return f"{settings.base_url.rstrip('/')}/v1"


def _get(url: str, *, kind: str) -> Call:
    return Call(Request("GET", url, {"Accept": "application/json"}), kind=kind)


# --- what comes back --------------------------------------------------------------------------------------------------


def read_json(response: Response) -> dict[str, Json] | None:
    """The body as a JSON object, or None when it is not one."""
    try:
        return msgspec.json.decode(response.body, type=dict[str, Json])
    except msgspec.DecodeError:
        return None


def error_of(response: Response) -> tuple[str, str]:
    """Code and message of an error body; empty when it tells nothing."""
    error = (read_json(response) or {}).get("error")
    told: Mapping[str, Json] = error if isinstance(error, dict) else {}
    return str(told.get("code") or ""), str(told.get("message") or "")


def problem(
    response: Response, code: str, text: str, *, field: str | None = None, retry_at: float | None = None
) -> Problem:
    """Our words with the vendor's beside them."""
    vendor_code, message = error_of(response)
    return Problem(
        code=code,
        text=text,
        field=field,
        vendor_text=message or None,
        vendor_code=vendor_code or None,
        status=response.status,
        retry_at=retry_at,
    )


def readings(request: Request, response: Response, as_of: float) -> tuple[BudgetReading, ...]:
    """What an answer says is left. The tokens' balance holds for an hour only: they can be bought at any time, and an empty
    one is not told at all, so that the next call says it in the vendor's words, for a person to act on."""
    del request
    told: list[BudgetReading] = []
    left = _count(response, "x-ratelimit-remaining")
    if left is not None:
        limit = max(left, _count(response, "x-ratelimit-limit") or 0)
        told.append(BudgetReading("minute", "kvkbase", left, limit, as_of - as_of % 60 + 60))
    balance = _count(response, "x-tokens-remaining")
    if balance:
        told.append(BudgetReading("tokens", "kvkbase", balance, balance, as_of + BALANCE_HOLDS))
    return tuple(told)


def verdict(request: Request, response: Response, as_of: float) -> Verdict:
    """Judge a response by what must be done; refusals about one number are `ok`, the exchange reads them."""
    del request
    code, _ = error_of(response)
    if response.status == 401:
        text = "KVKBase does not accept the API key; copy it again from the KVKBase dashboard."
        return Verdict("sign_in", problem(response, "key_refused", text))
    if response.status == 402 or code in USED_UP:
        # Waiting may help at the turn of the month, buying helps at once: a person chooses.
        text = (
            "The KVKBase tokens are used up. Buy tokens or a larger plan, or wait for next month's; "
            "with 'Full details' off a company costs 1 token instead of 5."
        )
        return Verdict("setup", problem(response, "tokens_used_up", text), budget="tokens")
    if response.status == 403:
        text = "The KVKBase plan does not include this; look at the plan in the KVKBase dashboard."
        return Verdict("setup", problem(response, "not_in_plan", text))
    if response.status == 429:
        retry_at = _retry_after(response, as_of)
        text = "KVKBase takes no more calls for now; it goes on by itself."
        return Verdict("throttled", problem(response, "throttled", text, retry_at=retry_at), retry_at, "minute")
    if response.status >= 500:
        retry_at = _retry_after(response, as_of) or as_of + OUTAGE_WAIT
        text = "KVKBase has a fault at the moment; it is tried again by itself."
        return Verdict("unavailable", problem(response, "unavailable", text, retry_at=retry_at), retry_at)
    return Verdict("ok")


def _retry_after(response: Response, as_of: float) -> float | None:
    seconds = _count(response, "retry-after")
    return None if seconds is None else as_of + seconds


def _count(response: Response, header: str) -> int | None:
    text = response.headers.get(header, "").strip()
    return int(text) if text.isascii() and text.isdigit() else None
