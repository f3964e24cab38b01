"""What a connection to a described REST API needs to know: the description, and the secrets its way of signing in takes."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from koppel.model.problem import SetupError
from koppel.systems.rest.description import Description, is_address, read

NEEDS = {
    "none": (),
    "header": ("key",),
    "bearer": ("key",),
    "basic": ("user", "password"),
    "client_credentials": ("client_id", "client_secret"),
}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One account. Raises SetupError for a description that is wrong, ValueError for an address that is none."""

    description: Annotated[
        str,
        Meta(
            title="Description",
            description="The TOML file that describes the API, as seen from the workspace's folder",
            extra={"file": True, "order": 1},
        ),
    ]
    key: Annotated[
        str,
        Meta(
            title="Key or token",
            description="For the kinds header and bearer",
            extra={"secret": True, "order": 2},
        ),
    ] = ""
    user: Annotated[str, Meta(title="User", description="For the kind basic", extra={"order": 3})] = ""
    password: Annotated[
        str, Meta(title="Password", description="For the kind basic", extra={"secret": True, "order": 4})
    ] = ""
    client_id: Annotated[
        str, Meta(title="Client ID", description="For the kind client_credentials", extra={"order": 5})
    ] = ""
    client_secret: Annotated[
        str,
        Meta(
            title="Client secret",
            description="For the kind client_credentials",
            extra={"secret": True, "order": 6},
        ),
    ] = ""
    base_url: Annotated[
        str,
        Meta(
            title="Address",
            description="Instead of the description's own: a test environment, a sandbox",
            extra={"advanced": True},
        ),
    ] = ""

    def __post_init__(self) -> None:
        if self.base_url and not is_address(self.base_url):
            raise ValueError(f"base_url {self.base_url!r} is not a web address; leave it out to use the description's")
        read(self.description)

    def __repr__(self) -> str:
        # Secrets stay out of logs and tracebacks (law 12).
        return f"Settings(title={self.api.title!r}, base_url={base(self)!r})"

    @property
    def api(self) -> Description:
        """The description, read."""
        return read(self.description)


def base(settings: Settings) -> str:
    """The address everything hangs under, without a slash at the end."""
    return (settings.base_url or settings.api.base_url).rstrip("/")


def token_url(settings: Settings) -> str:
    """Where tokens are asked; it moves along when another address is set, if it stood under the description's."""
    stated = settings.api.auth.token_url
    return base(settings) + stated.removeprefix(settings.api.base_url) if stated.startswith(settings.api.base_url) else stated  # fmt: skip


def hosts(settings: Settings) -> tuple[str, ...]:
    """The hosts secrets may travel to."""
    addresses = [base(settings)]
    if settings.api.auth.kind == "client_credentials":
        addresses.append(token_url(settings))
    return tuple(dict.fromkeys(urlsplit(address).hostname or "" for address in addresses))


def require(settings: Settings) -> None:
    """Raise SetupError when a setting that the way of signing in takes is missing."""
    kind = settings.api.auth.kind
    missing = [name for name in NEEDS[kind] if not getattr(settings, name)]
    if missing:
        raise SetupError(
            f"{settings.api.title}: the description signs in with {kind!r}, and the setting {missing[0]} is missing.",
            remedy=f"Give it: koppel connect NAME --secret-stdin {missing[0]}"
            if missing[0] in {"key", "password", "client_secret"}
            else f"Give it: koppel connect NAME --set {missing[0]}=…",
        )
