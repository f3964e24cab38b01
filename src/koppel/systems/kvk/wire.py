"""KVK's wire: addresses, headers, the error envelope, and what a response means to whoever sent it.

GET only, JSON. 404 has at least three meanings, so the error code is read, never the status alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from koppel.model.problem import Problem
from koppel.model.values import Json
from koppel.systems.kvk.settings import Settings
from koppel.systems.spi import Budget, Call, Request, Response, Verdict

# Anything else is answered with 406 [OAS].
ACCEPT = "application/hal+json"

NOTHING_FOUND: Final = "IPD5200"
NOT_DELIVERABLE: Final = "IPD0005"
NUMBER_INVALID: Final = "IPD0004"
BRANCH_INVALID: Final = "IPD0006"
BRANCH_NOT_DELIVERABLE: Final = "IPD0007"
# Temporarily unavailable while a registration is being processed: seconds to wait. 5 minutes is in the text of IPD1003;
# 10 minutes for IPD1002 is what the government's own client does [kvk-connect].
BEING_PROCESSED: Final[Mapping[str, float]] = {"IPD1002": 600.0, "IPD1003": 300.0}
# Gateway errors are common and pass; back-off is the engine's, this is the first wait (unverified).
OUTAGE_WAIT: Final = 30.0

# [portal:support/faq]; which clock the month follows is unverified.
BUDGETS = (
    Budget(name="second", limit=100, window="second", key=lambda request: "kvk"),
    Budget(
        name="month", limit=300_000, window="month", key=lambda request: "kvk", reserve=1_000, zone="Europe/Amsterdam"
    ),
)


class Fout(msgspec.Struct, frozen=True):
    """One error as KVK tells it."""

    code: str = ""
    omschrijving: str = ""


def basisprofiel(settings: Settings, kvkNummer: str) -> Call:  # noqa: N803 - the vendor's word
    """Ask one company's profile: the call that costs money."""
    return _get(f"{settings.root}/api/v1/basisprofielen/{kvkNummer}", kind="basisprofiel")


def zoeken(settings: Settings, parameters: Sequence[tuple[str, str]], *, pagina: int, resultatenPerPagina: int) -> Call:  # noqa: N803
    """Ask one page of a search; `type` may be repeated, so the parameters are pairs."""
    paging = [("pagina", str(pagina)), ("resultatenPerPagina", str(resultatenPerPagina))]
    return _get(f"{settings.root}/api/v2/zoeken?{urlencode([*parameters, *paging])}", kind="zoeken")


def vestigingsprofiel(settings: Settings, vestigingsnummer: str) -> Call:
    """Ask one branch's profile; an API and a subscription of its own."""
    return _get(f"{settings.root}/api/v1/vestigingsprofielen/{vestigingsnummer}", kind="vestigingsprofiel")


def abonnementen(settings: Settings) -> Call:
    """Ask which subscriptions to the Mutatieservice the key has."""
    return _get(f"{settings.root}/api/v1/abonnementen", kind="abonnementen")


def signalen(settings: Settings, abonnement: str, *, vanaf: str, tot: str, pagina: int, aantal: int) -> Call:
    """Ask one page of the signals between two instants."""
    query = urlencode({"vanaf": vanaf, "tot": tot, "pagina": pagina, "aantal": aantal})
    return _get(f"{settings.root}/api/v1/abonnementen/{abonnement}?{query}", kind="signalen")


def signaal(settings: Settings, abonnement: str, signaal_id: str) -> Call:
    """Ask one signal in full."""
    url = f"{settings.root}/api/v1/abonnementen/{abonnement}/signalen/{quote(signaal_id, safe='')}"
    return _get(url, kind="signaal")


def read_json(response: Response) -> dict[str, Json] | None:
    """The body as a JSON object, or None when it is not one."""
    try:
        return msgspec.json.decode(response.body, type=dict[str, Json])
    except msgspec.DecodeError:
        return None


def read_fouten(response: Response) -> tuple[Fout, ...]:
    """The errors in a body: `{"fout": […]}`, or wrapped in `meldingen` as before 2022 [portal:release-notes]."""
    body = read_json(response) or {}
    meldingen = body.get("meldingen")
    envelope = meldingen if isinstance(meldingen, dict) else body
    fouten = envelope.get("fout")
    listed = fouten if isinstance(fouten, list) else [fouten]
    return tuple(
        Fout(str(fout.get("code") or ""), str(fout.get("omschrijving") or ""))
        for fout in listed
        if isinstance(fout, dict)
    )


def read_fout(response: Response) -> Fout:
    """The first error, or an empty one when the body tells nothing."""
    return next(iter(read_fouten(response)), Fout())


def problem(
    response: Response, code: str, text: str, *, field: str | None = None, retry_at: float | None = None
) -> Problem:
    """Our words with the vendor's beside them."""
    fout = read_fout(response)
    return Problem(
        code=code,
        text=text,
        field=field,
        vendor_text=fout.omschrijving or None,
        vendor_code=fout.code or None,
        status=response.status,
        retry_at=retry_at,
    )


def api_of(request: Request) -> str:
    """The name of the API a request was for, as the portal's subscription page writes it."""
    named = {
        "/api/v2/zoeken": "Zoeken",
        "/vestigingsprofielen/": "Vestigingsprofiel",
        "/abonnementen": "Mutatieservice",
    }
    return next((name for part, name in named.items() if part in request.url), "Basisprofiel")


def verdict(request: Request, response: Response, as_of: float) -> Verdict:
    """Judge a response by what must be done; refusals about one number are `ok`, the exchange reads them."""
    api = api_of(request)
    if response.status == 401:
        # A key does not age: signing in again cannot help, a person must look.
        text = "KVK does not accept the API key; copy it again from developers.kvk.nl, and check the test switch."
        return Verdict("setup", problem(response, "key_refused", text))
    if response.status == 403:
        # Every API is a subscription of its own [kvk-mcp README].
        text = f"The API key has no subscription to {api}; subscribe to the {api} API at developers.kvk.nl."
        if api == "Zoeken":
            text += " Or switch 'Propose successors' off: then no run needs it."
        if api == "Mutatieservice":
            text += " Or switch 'Change signals' off: then numbers are asked again when they are old enough."
        return Verdict("setup", problem(response, "not_subscribed", text))
    if response.status == 429:
        retry_at = _retry_after(response, as_of)
        text = f"KVK takes no more calls to {api} for now; it goes on by itself."
        return Verdict("throttled", problem(response, "throttled", text, retry_at=retry_at), retry_at, "second")
    if response.status >= 500:
        retry_at = _retry_after(response, as_of) or as_of + OUTAGE_WAIT
        text = f"KVK's {api} API has a fault at the moment; it is tried again by itself."
        return Verdict("unavailable", problem(response, "unavailable", text, retry_at=retry_at), retry_at)
    return Verdict("ok")


def _get(url: str, *, kind: str) -> Call:
    return Call(Request("GET", url, {"Accept": ACCEPT}), kind=kind)


def _retry_after(response: Response, as_of: float) -> float | None:
    """When a `Retry-After` says so; KVK was not seen to send one (unverified)."""
    text = response.headers.get("retry-after", "")
    return as_of + int(text) if text.isascii() and text.isdigit() else None
