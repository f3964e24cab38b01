"""What a connection to Boekje needs to know."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One administration. Raises ValueError for an address that is not http or https."""

    token: Annotated[
        str, msgspec.Meta(title="Token", description="Boekje, Instellingen, Koppelingen", extra={"secret": True})
    ]
    base_url: Annotated[str, msgspec.Meta(title="Address", extra={"advanced": True})] = "https://api.boekje.example"

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise ValueError(f"base_url {self.base_url!r} is not a web address")

    def __repr__(self) -> str:
        # The token stays out of logs and tracebacks.
        return f"Settings(base_url={self.base_url!r})"


def hosts(settings: Settings) -> tuple[str, ...]:
    """The one host the token may travel to."""
    return (urlsplit(settings.base_url).hostname or "",)
