"""VIES' wire: the address of a question, the two dialects of an answer, and what a response means to whoever sent it.

The sheet has the REST paths from memory; what is marked [clients] was read in several independent clients of 2026 that
agree with each other. Nothing here was seen at the real service by us: all of it is unverified.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import quote, urlencode

import msgspec

from koppel.formats import vat
from koppel.model.problem import Problem
from koppel.model.values import Json
from koppel.systems.spi import Budget, Call, Request, Response, Verdict
from koppel.systems.vies.settings import Settings

PATH: Final = "/taxation_customs/vies/rest-api"

# Member states and Northern Ireland; Greece is EL here, whatever ISO says [clients].
COUNTRIES: Final = frozenset(
    {"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "EL", "ES", "FI", "FR", "HR", "HU"}
    | {"IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK", "XI"}
)
_OTHER_NAMES: Final[Mapping[str, str]] = {"GR": "EL"}
# What the service takes for a number, its own pattern [checkVatService.wsdl]; whether it exists is for VIES to say.
_NUMBER: Final = re.compile(r"[0-9A-Z+*.]{2,12}")

INVALID: Final = "INVALID"
INVALID_INPUT: Final = "INVALID_INPUT"
REQUESTER_REFUSED: Final = "INVALID_REQUESTER_INFO"
# Error codes [checkVatTestService.wsdl] and seconds until it makes sense to ask again. All waits are our choice
# (unverified): a member state is often away for a night's maintenance, the crowd is gone in minutes.
WAITS: Final[Mapping[str, float]] = {
    "SERVICE_UNAVAILABLE": 600.0,
    "MS_UNAVAILABLE": 3_600.0,
    "TIMEOUT": 300.0,
    "GLOBAL_MAX_CONCURRENT_REQ": 120.0,
    "GLOBAL_MAX_CONCURRENT_REQ_TIME": 120.0,
    "MS_MAX_CONCURRENT_REQ": 300.0,
    "MS_MAX_CONCURRENT_REQ_TIME": 300.0,
    "VAT_BLOCKED": 86_400.0,
    "IP_BLOCKED": 86_400.0,
    INVALID_INPUT: 30 * 86_400.0,
}
USUAL_WAIT: Final = 3_600.0
OUTAGE_WAIT: Final = 60.0

# Nobody publishes a limit; who asks fast is answered MS_MAX_CONCURRENT_REQ or blocked. Our own pace, unverified.
BUDGETS = (Budget(name="second", limit=1, window="second", key=lambda request: "vies"),)


class Question(msgspec.Struct, frozen=True):
    """A VAT number as VIES wants it: the country apart, Greece as EL."""

    country: str
    number: str


class Answer(msgspec.Struct, frozen=True):
    """What VIES said: a verdict, or the code of why there is none. `said` holds what is worth keeping of a verdict."""

    state: Literal["valid", "invalid", "none"]
    code: str = ""
    said: dict[str, Json] = {}


KEPT: Final = ("requestDate", "requestIdentifier", "name", "address")


def read_number(text: str) -> Question | None:
    """The parts of a VAT number, or None for what VIES cannot be asked about.

    >>> read_number("NL 8000.00.006.B01")
    Question(country='NL', number='800000006B01')
    >>> read_number("GR123456789")
    Question(country='EL', number='123456789')
    >>> read_number("GB123456789") is None
    True
    """
    compact = vat.compact(text)
    country = _OTHER_NAMES.get(compact[:2], compact[:2])
    number = compact[2:]
    return Question(country, number) if country in COUNTRIES and _NUMBER.fullmatch(number) else None


def check(settings: Settings, question: Question) -> Call:
    """Ask about one number. GET, because its answer says INVALID in a word; that of POST is a bare `valid: false` [clients]."""
    url = f"{settings.base_url.rstrip('/')}{PATH}/ms/{question.country}/vat/{quote(question.number, safe='')}"
    if settings.requester:
        # Without its country, or it is refused; half a requester is a bad request [clients].
        asker = read_number(settings.requester)
        assert asker, "the settings take no other requester"
        url += f"?{urlencode({'requesterMemberStateCode': asker.country, 'requesterNumber': asker.number})}"
    return Call(Request("GET", url, {"Accept": "application/json"}), kind="vat")


def read_answer(response: Response, question: Question) -> Answer:
    """The verdict in either dialect [clients]: `isValid` with `userError`, or `valid`, or a list of errors.

    Only INVALID is a no. An answer without a verdict, one that contradicts itself and one about another number are none.
    """
    body = read_json(response)
    if response.status != 200 or body is None:
        return Answer("none", code_of(response))
    about = str(body.get("vatNumber") or question.number).upper()
    if about.removeprefix(question.country) != question.number:
        return Answer("none")
    code = code_of(response)
    said = {name: body[name] for name in KEPT if body.get(name) is not None}
    if body.get("isValid") is True or body.get("valid") is True:
        return Answer("valid", code, said) if code in {"", "VALID"} else Answer("none", code)
    denied = body.get("isValid") is False and code == INVALID
    if denied or (body.get("valid") is False and code in {"", INVALID}):
        return Answer("invalid", INVALID, said)
    return Answer("none", code)


def code_of(response: Response) -> str:
    """The vendor's word for what became of the question: `userError`, or the first of `errorWrappers`."""
    body = read_json(response) or {}
    wrappers = body.get("errorWrappers")
    first = wrappers[0] if isinstance(wrappers, list) and wrappers else None
    code = first.get("error") if isinstance(first, dict) else body.get("userError")
    return str(code or "")


def read_json(response: Response) -> dict[str, Json] | None:
    """The body as a JSON object, or None when it is not one."""
    try:
        return msgspec.json.decode(response.body, type=dict[str, Json])
    except msgspec.DecodeError:
        return None


def problem(response: Response, code: str, text: str, *, retry_at: float | None = None) -> Problem:
    """Our words with the vendor's code beside them."""
    return Problem(
        code=code, text=text, vendor_code=code_of(response) or None, status=response.status, retry_at=retry_at
    )


def verdict(request: Request, response: Response, as_of: float) -> Verdict:
    """Judge a response by what must be done. What VIES cannot tell about one number is `ok`: the exchange reads it, and no
    run stops for it (rule B4)."""
    if response.status in {401, 403}:
        text = "VIES refuses calls from this address; check the address in the settings and any proxy on the way."
        return Verdict("setup", problem(response, "refused", text))
    if code_of(response) == REQUESTER_REFUSED:
        text = "VIES does not accept your own VAT number as requester; mend it in the settings, or leave it out."
        return Verdict("setup", problem(response, "requester_refused", text))
    if response.status == 429:
        retry_at = _retry_after(response, as_of) or as_of + OUTAGE_WAIT
        text = "VIES takes no more questions for now; it goes on by itself."
        return Verdict("throttled", problem(response, "throttled", text, retry_at=retry_at), retry_at, "second")
    if response.status >= 500:
        retry_at = _retry_after(response, as_of) or as_of + OUTAGE_WAIT
        text = "VIES has a fault at the moment; it is tried again by itself."
        return Verdict("unavailable", problem(response, "unavailable", text, retry_at=retry_at), retry_at)
    return Verdict("ok")


def _retry_after(response: Response, as_of: float) -> float | None:
    text = response.headers.get("retry-after", "")
    return as_of + int(text) if text.isascii() and text.isdigit() else None
