"""What a connection to VIES needs to know: next to nothing."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from koppel.formats import vat

PRODUCTION = "https://ec.europa.eu"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`requester`: one's own VAT number with its country; with it VIES gives a consultation number, the proof for the tax
    authorities that one has asked.

    Raises ValueError for a requester that is no VAT number and for an address that is not http or https.
    """

    requester: Annotated[
        str | None,
        msgspec.Meta(
            title="Your own VAT number",
            description="With its country, e.g. NL800000006B01; VIES then gives a consultation number as proof",
        ),
    ] = None
    base_url: Annotated[str, msgspec.Meta(title="Address", extra={"advanced": True})] = PRODUCTION

    def __post_init__(self) -> None:
        if self.requester is not None:
            vat.validate(self.requester)
        if urlsplit(self.base_url).scheme not in {"http", "https"} or not urlsplit(self.base_url).netloc:
            raise ValueError(f"base_url {self.base_url!r} is not a web address; leave it out to use {PRODUCTION}")


def hosts(settings: Settings) -> tuple[str, ...]:
    """The one host that is asked."""
    return (urlsplit(settings.base_url).hostname or "",)
