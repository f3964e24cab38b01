"""What an operator fills in for one Exact Online connection: one division of one site, through one registered app."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from koppel.model.problem import SetupError

# One host per country site, the same paths everywhere; an app belongs to one site. [fact sheet §1: supwise note; picqer]
SITES = {
    "https://start.exactonline.nl": "Netherlands",
    "https://start.exactonline.be": "Belgium",
    "https://start.exactonline.de": "Germany",
    "https://start.exactonline.co.uk": "United Kingdom",
    "https://start.exactonline.com": "United States",
    "https://start.exactonline.es": "Spain",
    "https://start.exactonline.fr": "France",
}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One connection's settings; `login` names the tokens it shares (default: those of its `client_id`).

    Raises ValueError for an address that cannot be right.
    """

    client_id: Annotated[
        str, Meta(title="Client ID", description="Of your app in the Exact App Center.", extra={"order": 1})
    ]
    client_secret: Annotated[
        str,
        Meta(
            title="Client secret", description="Of the same app; stored encrypted.", extra={"secret": True, "order": 2}
        ),
    ]
    redirect_uri: Annotated[
        str,
        Meta(
            title="Redirect URI",
            description="Exactly as registered in the App Center; it must begin with https://. Nothing needs to answer there.",
            extra={"order": 3},
        ),
    ]
    base_url: Annotated[
        str,
        Meta(
            title="Site",
            description="The country site where the app is registered. A sandbox's address may be given instead.",
            extra={"choices": SITES, "open": True, "order": 4},
        ),
    ] = "https://start.exactonline.nl"
    division: Annotated[
        int | None,
        Meta(
            title="Division",
            description="Number of the administration; choose it from the list once you are signed in.",
            extra={"from": "accounts", "order": 5},
        ),
    ] = None
    login: Annotated[
        str,
        Meta(
            title="Login name",
            description="Connections with one login name share one sign-in. Leave empty to share by client ID.",
            extra={"advanced": True, "order": 6},
        ),
    ] = ""

    def __post_init__(self) -> None:
        site = urlsplit(self.base_url)
        if site.scheme not in {"http", "https"} or not site.netloc:
            raise ValueError(f"base_url {self.base_url!r} is not a web address; choose one of {', '.join(SITES)}")
        # Anything else is answered with 401 on the sign-in page. [audit §1]
        if urlsplit(self.redirect_uri).scheme != "https":
            raise ValueError(f"redirect_uri {self.redirect_uri!r} must begin with https://, as in the App Center")

    def __repr__(self) -> str:
        # The secret stays out of logs and tracebacks (law 12).
        return f"Settings(client_id={self.client_id!r}, base_url={self.base_url!r}, division={self.division!r})"


def base(settings: Settings) -> str:
    """The site's address without a slash at the end."""
    return settings.base_url.rstrip("/")


def login(settings: Settings) -> str:
    """The name under which tokens are kept: one token covers every division it was granted [fact sheet §3]."""
    return settings.login or settings.client_id


def division(settings: Settings) -> str:
    """The division as it stands in URLs. Raises SetupError when none is chosen."""
    # Never the user's CurrentDivision: it follows what they do on screen and may lie outside the grant. [picqer #470]
    if settings.division is None:
        raise SetupError(
            "No division is chosen for this Exact Online connection.",
            remedy="List the divisions of this login and set `division` to the number you want.",
        )
    return str(settings.division)


def hosts(settings: Settings) -> tuple[str, ...]:
    """The one host the token may travel to."""
    return (urlsplit(settings.base_url).hostname or "",)
