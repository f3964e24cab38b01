"""Signing in to KVKBase: the key as a bearer token. It may also stand in the address, where logs would keep it: never so."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

import msgspec

from koppel.model.problem import Bug
from koppel.systems.kvkbase.settings import Settings
from koppel.systems.spi import Auth, Request, Tokens


def authorize(settings: Settings, tokens: Tokens, request: Request) -> Request:
    """Put the key in the header. Raises Bug when the request would carry it to another host."""
    if urlsplit(request.url).netloc != urlsplit(settings.base_url).netloc:
        raise Bug(
            f"A KVKBase request would go to {urlsplit(request.url).netloc}, which is not the host the key is for."
        )
    return msgspec.structs.replace(request, headers={**request.headers, "Authorization": f"Bearer {tokens.access}"})


def due(tokens: Tokens, as_of: float) -> Literal["fresh", "refresh", "dead"]:
    """Tell whether there is a key; keys do not expire by themselves."""
    del as_of
    return "fresh" if tokens.access else "dead"


def tokens_from(settings: Settings) -> Tokens:
    """Turn the key in the settings into what the engine keeps."""
    return Tokens(access=settings.apikey.strip())


AUTH = Auth(kind="key", authorize=authorize, due=due, tokens_from=tokens_from)
