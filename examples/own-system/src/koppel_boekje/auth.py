"""Signing in to Boekje: a bearer token that a person makes and withdraws."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

import msgspec
from koppel.model.problem import Bug
from koppel.systems.spi import Auth, Request, Tokens

from koppel_boekje.settings import Settings


def authorize(settings: Settings, tokens: Tokens, request: Request) -> Request:
    """Put the token in the header. Raises Bug when the request would carry it to another host."""
    if urlsplit(request.url).netloc != urlsplit(settings.base_url).netloc:
        raise Bug("A Boekje request would go to a host the token is not for.")
    return msgspec.structs.replace(request, headers={**request.headers, "Authorization": f"Bearer {tokens.access}"})


def due(tokens: Tokens, as_of: float) -> Literal["fresh", "refresh", "dead"]:
    """Tokens hold until they are withdrawn."""
    return "fresh" if tokens.access else "dead"


def tokens_from(settings: Settings) -> Tokens:
    """The token in the settings, as the engine keeps it."""
    return Tokens(access=settings.token.strip())


AUTH = Auth(kind="key", authorize=authorize, due=due, tokens_from=tokens_from)
