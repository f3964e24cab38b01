"""The wire of AFAS Profit's REST services: addresses, headers, envelopes, error bodies and what a status means.

Nothing here sends. `Unreadable` is raised where an answer is not what the vendor promises; callers turn it into a value
or into the error family that fits. AFAS documents no call budgets: at most five calls run side by side (`PARALLEL`).
"""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import cast
from urllib.parse import urlsplit

import msgspec

from koppel.model.problem import Bug, Problem, RetryLater, SetupError
from koppel.model.values import Json
from koppel.systems.afas.settings import Settings, base
from koppel.systems.spi import Call, NoReply, Reply, Request, Response, Verdict

PARALLEL = 5  # [MD get-connector]; the troubleshooting page says at most eight
TRY_AGAIN = 60.0  # seconds; ours: how long to leave AFAS in peace after an answer nobody can read

Row = dict[str, Json]


class Rows(msgspec.Struct, frozen=True):
    """One page of a GetConnector."""

    rows: tuple[Row, ...]


class Unreadable(Exception):
    """An answer that is not what was asked for; `problem` says so in words."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


# --- asking -------------------------------------------------------------------------------------------------------


def url(settings: Settings, *path: str, query: str = "") -> str:
    """An address: `url(s, "connectors", "Profit_Debtor", query="skip=0")`."""
    address = "/".join((base(settings), *path))
    return f"{address}?{query}" if query else address


def headers(settings: Settings) -> dict[str, str]:
    """What every call says of itself: the language of messages, and who a partner is."""
    said = {"Accept": "application/json", "Accept-Language": settings.language}
    return {**said, "IntegrationId": settings.integration_id} if settings.integration_id else said


def get(settings: Settings, connector: str, query: str) -> Call:
    """A page of a GetConnector."""
    return Call(Request("GET", url(settings, "connectors", connector, query=query), headers(settings)), kind=connector)


def metainfo(settings: Settings, *path: str) -> Call:
    """What this app connector may use; `metainfo(s, "update", "KnSalesRelationOrg")` describes one connector."""
    return Call(Request("GET", url(settings, "metainfo", *path), headers(settings)), kind="metainfo")


def write(settings: Settings, method: str, connector: str, body: Row, *, op: str) -> Call:
    """A writing call. The charset is named: without it non-ASCII may arrive as `?` [HELP App_Cnr_Rest_Update]."""
    said = {**headers(settings), "Content-Type": "application/json;charset=utf-8"}
    request = Request(method, url(settings, "connectors", connector), said, msgspec.json.encode(body))
    return Call(request, carries=(op,), kind=connector)


def element(root: str, fields: Row, *, key: Row | None = None, objects: Row | None = None) -> Row:
    """The nested form every UpdateConnector takes: `{root: {"Element": {"@Key": …, "Fields": …, "Objects": […]}}}`."""
    inside: Row = {f"@{name}": value for name, value in (key or {}).items()}
    inside["Fields"] = fields
    if objects:
        inside["Objects"] = [{name: content} for name, content in objects.items()]
    return {root: {"Element": inside}}


# --- reading ------------------------------------------------------------------------------------------------------


def response_of(reply: Reply) -> Response:
    """The response. Raises Unreadable for silence."""
    if isinstance(reply, NoReply):
        raise Unreadable(Problem("no_reply", "AFAS did not answer."))
    return reply


def read_object(reply: Reply) -> Row:
    """A JSON object with status 200. Raises Unreadable."""
    response = response_of(reply)
    body = _json(response) if response.status == 200 else None
    if not isinstance(body, dict):
        raise Unreadable(unreadable(response))
    return cast("Row", body)


def read_rows(reply: Reply) -> Rows:
    """The rows of a page: `{"skip":0,"take":100,"rows":[…]}`. Raises Unreadable."""
    rows: Json = read_object(reply).get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in cast("list[Json]", rows)):
        raise Unreadable(unreadable(response_of(reply)))
    return Rows(tuple(cast("list[Row]", rows)))


def read_results(response: Response, root: str) -> Row:
    """The keys a write answers with; empty when it shows none. `results` may be left out, its child spelled otherwise.

    [OAS; HELP App_Conect_UpdDsc_070; GO]
    """
    body = _json(response)
    found: Json = cast("Row", body).get("results", body) if isinstance(body, dict) else None
    if isinstance(found, dict):
        inside = next((value for name, value in cast("Row", found).items() if name.lower() == root.lower()), None)
        if isinstance(inside, list):
            inside = cast("list[Json]", inside)[0] if inside else None
        if isinstance(inside, dict):
            return cast("Row", inside)
    return {}


class Said(msgspec.Struct, frozen=True):
    """What an error body says."""

    text: str = ""
    number: str | None = None
    reference: str | None = None


def said(response: Response) -> Said:
    """The message, number and log reference of an error; empty where AFAS says nothing a person could use."""
    body = _json(response)
    if not isinstance(body, dict):
        return Said()
    told = cast("Row", body)
    error: Json = told.get("error")
    inner: Json = cast("Row", error).get("message") if isinstance(error, dict) else None
    text = next(
        (text for text in (told.get("externalMessage"), told.get("message"), inner) if isinstance(text, str)), ""
    )
    number, reference = told.get("errorNumber"), told.get("profitLogReference")
    return Said(
        " ".join(text.split())[:500],
        None if number is None else str(number),
        reference if isinstance(reference, str) and reference else None,
    )


def problem(code: str, text: str, response: Response, *, field: str | None = None) -> Problem:
    """A problem that carries what the vendor answered; `profitLogReference` is what AFAS support asks for."""
    told = said(response)
    return Problem(
        code,
        text,
        field=field,
        vendor_text=told.text or None,
        vendor_code=told.number,
        status=response.status,
        request_id=told.reference,
    )


def unreadable(response: Response) -> Problem:
    """What a person is told of an answer that is no answer."""
    told = said(response).text
    text = f"AFAS answered {response.status}" + (f": {told}" if told else ", in a form that cannot be read.")
    return problem("unreadable_answer", text, response)


def failure(problem: Problem, as_of: float) -> SetupError | RetryLater | Bug:
    """How a reading that cannot be done ends: by its status and, where AFAS says it in words only, by them."""
    if problem.status == 404 and not problem.vendor_text:
        # We keep queries short enough, so it is the address or the connector's name. [MD get-connector; HELP 120612]
        return SetupError(str(problem), remedy="Check the address, the environment and the connector's name.")
    if problem.status == 400:
        return Bug(str(problem))
    told = problem.vendor_text or ""
    if problem.status is not None and (problem.status in {404, 413} or BLOCKED.search(told) or NO_FIELD.search(told)):
        return SetupError(str(problem), remedy="Mend the GetConnector in Profit, or its name in this connection.")
    return RetryLater(str(problem), at=as_of + TRY_AGAIN)


def _json(response: Response) -> Json:
    try:
        return msgspec.json.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


# --- verdicts -----------------------------------------------------------------------------------------------------

# Words, not errorNumbers: one number stands for many things. Both languages are looked for [MD troubleshooting].
NOT_ALLOWED = re.compile(r"niet ondersteund|niet geautoriseerd|not supported|not authori[sz]ed", re.IGNORECASE)
BLOCKED = re.compile(r"is blocked|is geblokkeerd", re.IGNORECASE)
NO_FIELD = re.compile(r"connector field '[^']*' not found|connectorveld '[^']*' (is )?niet gevonden", re.IGNORECASE)
# After these the server may still be at work, or nothing was wrong with what was sent.
TIMEOUT = re.compile(r"command timeout expired|maximale tijdsduur|timeout expired|time-out", re.IGNORECASE)
TOO_MUCH = re.compile(r"out of (string space|memory)", re.IGNORECASE)
# Another user holds the record: nothing was written, and it passes. [MD troubleshooting; exact words unverified]
LOCKED = re.compile(r"(locked|in use) by (another )?user|(vergrendeld|in gebruik) door", re.IGNORECASE)


def verdict(request: Request, response: Response, as_of: float) -> Verdict:
    """What a response means to the sender. A 500 that says why is `ok`: AFAS refuses with it (fact sheet §7)."""
    status, told = response.status, said(response)
    if urlsplit(request.url).path.lower().endswith("/oauth/token"):
        return Verdict("ok")  # `auth` reads each answer
    if status == 401:
        if NOT_ALLOWED.search(told.text):
            return Verdict("setup", problem=problem("forbidden", _MISSING, response))
        text = "AFAS does not accept the token: it has expired, was withdrawn, or belongs to another environment."
        return Verdict("sign_in", problem=problem("sign_in", text, response))
    if status == 403:
        text = "AFAS refuses this computer's address: the app connector allows certain IP addresses only."
        return Verdict("setup", problem=problem("forbidden", text, response))
    if status == 429:
        # Undocumented at this vendor; should it ever come, it is honoured.
        text = "AFAS takes no more calls for now."
        return Verdict(
            "throttled",
            problem=problem("throttled", text, response),
            retry_at=_retry_after(response, as_of) or as_of + TRY_AGAIN,
        )
    wordless = status == 500 and not told.text
    if status in {408, 502, 503, 504} or wordless or (status == 500 and TIMEOUT.search(told.text)):
        text = "AFAS is not available for the moment."
        return Verdict(
            "unavailable", problem=problem("unavailable", text, response), retry_at=_retry_after(response, as_of)
        )
    if status == 500 and BLOCKED.search(told.text) and request.method == "GET":
        text = "AFAS has blocked this GetConnector, usually for using it too heavily."
        return Verdict("setup", problem=problem("forbidden", text, response))
    return Verdict("ok")


_MISSING = "The app connector does not hold this connector, or its user may not use it; add it in Profit."


def _retry_after(response: Response, as_of: float) -> float | None:
    """`Retry-After` in seconds or as a date, or the body's `retry_after`. [MD troubleshooting: 7200 at maintenance]"""
    value = response.headers.get("retry-after", "").strip()
    body = _json(response)
    if not value and isinstance(body, dict):
        value = str(cast("Row", body).get("retry_after", ""))
    if value.isdigit():
        return as_of + int(value)
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, IndexError):
        return None
