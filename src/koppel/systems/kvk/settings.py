"""What a connection to KVK needs to know."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

PRODUCTION = "https://api.kvk.nl"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One subscription. `name` chooses which name becomes the company's name (rule B3); `successors` looks for who may have
    taken an ended company over (rule B2); `signals` reads the Mutatieservice, of `subscription` or of the only one the key
    has; `test` uses KVK's test register.

    Raises ValueError for an address that is not http or https and for a subscription that is no id.
    """

    apikey: Annotated[
        str,
        msgspec.Meta(title="API key", description="From developers.kvk.nl, My APIs", extra={"secret": True}),
    ]
    name: Annotated[
        Literal["trade", "statutory"],
        msgspec.Meta(
            title="Name to use",
            description="The name in the statutes (who has none: the trade name), or always the trade name",
        ),
    ] = "statutory"
    successors: Annotated[
        bool,
        msgspec.Meta(
            title="Propose successors",
            description="Ask who is registered at an ended company's address; free, needs a subscription to Zoeken",
        ),
    ] = True
    signals: Annotated[
        bool,
        msgspec.Meta(
            title="Change signals",
            description="Read KVK's signals, so that only what changed is asked again; needs the Mutatieservice",
        ),
    ] = False
    subscription: Annotated[
        str | None,
        msgspec.Meta(
            title="Subscription of the Mutatieservice",
            description="Its id; only needed when the key has several",
            extra={"advanced": True},
        ),
    ] = None
    test: Annotated[
        bool,
        msgspec.Meta(title="Test register", description="Made-up companies; no subscription needed, nothing to pay"),
    ] = False
    ca_bundle: Annotated[
        str | None,
        msgspec.Meta(title="CA chain", description="PEM file with Staat der Nederlanden Private Root CA - G1"),
    ] = None
    base_url: Annotated[str, msgspec.Meta(title="Address", extra={"advanced": True})] = PRODUCTION

    def __post_init__(self) -> None:
        if self.subscription is not None and not re.fullmatch(r"[0-9A-Za-z-]+", self.subscription):
            raise ValueError("subscription is not an id of a subscription; leave it out when the key has one only")
        if urlsplit(self.base_url).scheme not in {"http", "https"} or not urlsplit(self.base_url).netloc:
            raise ValueError(f"base_url {self.base_url!r} is not a web address; leave it out to use {PRODUCTION}")

    def __repr__(self) -> str:
        # The key stays out of logs and tracebacks (law 12).
        return f"Settings(apikey=***, name={self.name!r}, test={self.test!r}, base_url={self.base_url!r})"

    @property
    def root(self) -> str:
        """Where the APIs hang: the test register has `/test` after the host."""
        return self.base_url.rstrip("/") + ("/test" if self.test else "")


def hosts(settings: Settings) -> tuple[str, ...]:
    """The one host the key may travel to."""
    return (urlsplit(settings.base_url).hostname or "",)


def ca_bundle(settings: Settings) -> str | None:
    """The CA chain to trust besides the usual ones, if one is set."""
    return settings.ca_bundle
