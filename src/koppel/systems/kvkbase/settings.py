"""What a connection to KVKBase needs to know."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

PRODUCTION = "https://api.kvkbase.nl"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One account. `name` chooses which name becomes the company's name (rule B3); `enrich` asks for legal form, activities
    and VAT number too, at five tokens a company instead of one.

    Raises ValueError for an address that is not http or https.
    """

    apikey: Annotated[
        str,
        msgspec.Meta(title="API key", description="From the KVKBase dashboard", extra={"secret": True}),
    ]
    enrich: Annotated[
        bool,
        msgspec.Meta(
            title="Full details",
            description="Legal form, activities and the VAT number too: 5 tokens a company instead of 1",
        ),
    ] = True
    name: Annotated[
        Literal["trade", "statutory"],
        msgspec.Meta(
            title="Name to use",
            description="The name in the statutes (who has none: the trade name), or always the trade name",
        ),
    ] = "statutory"
    base_url: Annotated[str, msgspec.Meta(title="Address", extra={"advanced": True})] = PRODUCTION

    def __post_init__(self) -> None:
        if urlsplit(self.base_url).scheme not in {"http", "https"} or not urlsplit(self.base_url).netloc:
            raise ValueError(f"base_url {self.base_url!r} is not a web address; leave it out to use {PRODUCTION}")

    def __repr__(self) -> str:
        # The key stays out of logs and tracebacks (law 12).
        return f"Settings(apikey=***, enrich={self.enrich!r}, name={self.name!r}, base_url={self.base_url!r})"


def hosts(settings: Settings) -> tuple[str, ...]:
    """The one host the key may travel to."""
    return (urlsplit(settings.base_url).hostname or "",)
