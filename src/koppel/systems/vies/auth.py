"""Signing in to VIES: there is nothing to sign. The service is open to everybody."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from koppel.model.problem import Bug
from koppel.systems.spi import Auth, Request, Tokens
from koppel.systems.vies.settings import Settings


def authorize(settings: Settings, tokens: Tokens, request: Request) -> Request:
    """The request as it is. Raises Bug when it would go to another host than the one in the settings."""
    del tokens
    if urlsplit(request.url).netloc != urlsplit(settings.base_url).netloc:
        raise Bug(f"A VIES request would go to {urlsplit(request.url).netloc}, which is not the host in the settings.")
    return request


def due(tokens: Tokens, as_of: float) -> Literal["fresh", "refresh", "dead"]:
    """Without a key nothing can grow old."""
    del tokens, as_of
    return "fresh"


def tokens_from(settings: Settings) -> Tokens:
    """What the engine keeps of a login without a key."""
    del settings
    return Tokens(access="")


AUTH = Auth(kind="key", authorize=authorize, due=due, tokens_from=tokens_from)
