"""Boekje's wire: addresses, JSON, allowances, and what a response means to whoever sent it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
from koppel.model.problem import Problem
from koppel.systems.spi import Budget, BudgetReading, Call, Reply, Request, Response, Verdict

from koppel_boekje.settings import Settings

OUTAGE_WAIT = 30.0  # seconds
PER_MINUTE = 120

BUDGETS = (Budget(name="minute", limit=PER_MINUTE, window="minute", key=lambda request: "boekje"),)


class Unreadable(Exception):
    """An answer that tells nothing; `problem` says what it was."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


def get(settings: Settings, path: str, **query: Any) -> Call:
    """One call that reads."""
    address = f"{settings.base_url.rstrip('/')}{path}?{urlencode(query)}"
    return Call(Request("GET", address, {"Accept": "application/json"}), kind=path.strip("/"))


def post(settings: Settings, path: str, body: Any, *, ops: tuple[str, ...]) -> Call:
    """One call that writes, naming the operations it has an effect for."""
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    request = Request("POST", settings.base_url.rstrip("/") + path, headers, msgspec.json.encode(body))
    return Call(request, carries=ops, kind=path.strip("/"))


def listed(reply: Reply, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An accepted answer, and the rows it holds under `name`. Raises Unreadable."""
    if not isinstance(reply, Response):
        raise Unreadable(Problem("no_reply", "Boekje did not answer."))
    if reply.status != 200:
        raise Unreadable(Problem("refused", f"Boekje answers {reply.status}.", status=reply.status))
    try:
        body = msgspec.json.decode(reply.body, type=dict[str, Any])
        rows = msgspec.convert(body[name], list[dict[str, Any]])
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError):
        raise Unreadable(Problem("unreadable_answer", "Boekje's answer is not whole.", status=200)) from None
    return body, rows


def verdict(request: Request, response: Response, as_of: float) -> Verdict:
    """Judge a response by what must be done; refusals of one record come with 200 and are read by who sent them."""
    status = response.status
    if status == 401:
        return Verdict("setup", Problem("token_refused", "Boekje does not accept the token.", status=status))
    if status == 403:
        return Verdict("setup", Problem("forbidden", "The token may not do this in Boekje.", status=status))
    if status == 429:
        problem = Problem("throttled", "Boekje takes no more calls this minute.", status=status)
        return Verdict("throttled", problem, None, "minute")
    if status >= 500:
        problem = Problem("unavailable", "Boekje has a fault at the moment.", status=status)
        return Verdict("unavailable", problem, as_of + OUTAGE_WAIT)
    return Verdict("ok")


def readings(request: Request, response: Response, as_of: float) -> tuple[BudgetReading, ...]:
    """What Boekje says is left of this minute."""
    left = response.headers.get("x-over", "")
    if not left.isdigit():
        return ()
    return (BudgetReading("minute", "boekje", int(left), PER_MINUTE, as_of - as_of % 60 + 60),)
