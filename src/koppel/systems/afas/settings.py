"""What an operator fills in for one AFAS Profit connection: one environment, through one app connector."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

# [OAS servers; MD concepts]
ENVIRONMENTS = {"production": "Production", "test": "Test", "accept": "Accept"}
_HOSTS = {"production": "rest", "test": "resttest", "accept": "restaccept"}
# [OAS parameters]
LANGUAGES = {
    "nl-nl": "Nederlands",
    "nl-be": "Nederlands (België)",
    "en-us": "English",
    "fr-fr": "Français",
    "de-de": "Deutsch",
}

_MEMBER = re.compile(r"[1-9][0-9]{4}")
_DATA = re.compile(r"[0-9A-Za-z]{16,128}")
_XML = re.compile(
    r"<token>\s*<version>\s*(?P<version>\d+)\s*</version>\s*<data>\s*(?P<data>[^<>\s]+)\s*</data>\s*</token>",
    re.IGNORECASE,
)
_CONNECTOR = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]*")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One connection's settings. Either `token` (classic) or `client_id` and `client_secret` (OAuth) signs the calls;
    neither is there yet while a token is being asked for by e-mail.

    Raises ValueError for what cannot be right; its text never shows a secret.
    """

    member: Annotated[
        str,
        Meta(
            title="Member number",
            description="Your five-digit AFAS customer number; it stands in the web address of Profit.",
            extra={"order": 1},
        ),
    ] = ""
    environment: Annotated[
        str,
        Meta(title="Environment", extra={"choices": ENVIRONMENTS, "order": 2}),
    ] = "production"
    client_id: Annotated[
        str,
        Meta(
            title="Client ID",
            description="Of the app connector, authentication type OAuth (client credentials). The way for new connections.",
            extra={"order": 3},
        ),
    ] = ""
    client_secret: Annotated[
        str,
        Meta(
            title="Client secret",
            description="Of the same app connector; stored encrypted. It expires: 180 days unless chosen otherwise.",
            extra={"secret": True, "order": 4},
        ),
    ] = ""
    token: Annotated[
        str,
        Meta(
            title="Classic token",
            description="Only without OAuth: the whole <token>…</token>, its data part alone, or the base64 of it. "
            "Classic tokens end in 2027.",
            extra={"secret": True, "order": 5},
        ),
    ] = ""
    token_next: Annotated[
        str,
        Meta(
            title="Next classic token",
            description="To change tokens without a gap: used from when AFAS refuses the other one.",
            extra={"secret": True, "advanced": True, "order": 5},
        ),
    ] = ""
    base_url: Annotated[
        str,
        Meta(
            title="Address",
            description="Only for a sandbox or an unusual host: up to and including ProfitRestServices.",
            extra={"advanced": True, "order": 6},
        ),
    ] = ""
    language: Annotated[
        str,
        Meta(
            title="Language of messages",
            description="In which AFAS tells what is wrong.",
            extra={"choices": LANGUAGES, "order": 7},
        ),
    ] = "nl-nl"
    integration_id: Annotated[
        str,
        Meta(
            title="Integration ID",
            description="For AFAS partners: {partner subscription}_{project}.",
            extra={"advanced": True, "order": 8},
        ),
    ] = ""
    debtors: Annotated[
        str,
        Meta(
            title="GetConnector for debtors",
            description="Profit_Debtor, or one of your own.",
            extra={"advanced": True, "order": 9},
        ),
    ] = "Profit_Debtor"
    columns: Annotated[
        str,
        Meta(
            title="Its columns",
            description="Where your own connector calls things otherwise: DebtorId=Debiteurnummer, DebtorName=Naam, …",
            extra={"advanced": True, "order": 10},
        ),
    ] = ""
    debtors_modified: Annotated[
        str,
        Meta(
            title="Its modified column",
            description="Empty when it has none: then all debtors are read every time.",
            extra={"advanced": True, "order": 11},
        ),
    ] = "ModifiedDate"
    organisations: Annotated[
        str,
        Meta(
            title="GetConnector for organisations",
            description="Profit_OrgPer, or your own: finds organisations that are no debtor yet.",
            extra={"advanced": True, "order": 12},
        ),
    ] = "Profit_OrgPer"
    addresses: Annotated[
        str,
        Meta(
            title="GetConnector for addresses",
            description="A connector of your own with visit addresses in parts; without one, Koppel splits the address line.",
            extra={"advanced": True, "order": 13},
        ),
    ] = ""
    addresses_by: Annotated[
        str,
        Meta(
            title="Its organisation column",
            description="The column with the organisation's number (BcCo).",
            extra={"advanced": True, "order": 14},
        ),
    ] = "BcCo"
    addresses_only: Annotated[
        str,
        Meta(
            title="Only its rows with",
            description="When it has several addresses for one organisation: Adrestype_code_2=ADR, for instance.",
            extra={"advanced": True, "order": 15},
        ),
    ] = ""
    addresses_modified: Annotated[
        str,
        Meta(title="Its modified column", extra={"advanced": True, "order": 16}),
    ] = "ModifiedDate"

    def __post_init__(self) -> None:
        if self.base_url:
            site = urlsplit(self.base_url)
            if site.scheme not in {"http", "https"} or not site.netloc:
                raise ValueError(f"base_url {self.base_url!r} is not a web address")
        elif not _MEMBER.fullmatch(self.member):
            raise ValueError(f"member {self.member!r} is not a five-digit AFAS customer number")
        if self.environment not in ENVIRONMENTS:
            raise ValueError(f"environment {self.environment!r} is none of {', '.join(ENVIRONMENTS)}")
        if self.language not in LANGUAGES:
            raise ValueError(f"language {self.language!r} is none of {', '.join(LANGUAGES)}")
        if bool(self.client_id) != bool(self.client_secret):
            raise ValueError("client_id and client_secret belong together: one of the two is missing")
        if self.token and self.client_id:
            raise ValueError("give either a classic token, or client_id and client_secret")
        if self.token_next and not self.token:
            raise ValueError("token_next follows a token, and there is none")
        for token in filter(None, (self.token, self.token_next)):
            token_xml(token)
        pairs(self.columns)
        if len(pairs(self.addresses_only)) > 1:
            raise ValueError("addresses_only takes one column=value")
        for name in (self.debtors, self.organisations, *filter(None, (self.addresses,))):
            if not _CONNECTOR.fullmatch(name):
                raise ValueError(f"{name!r} is not the id of a GetConnector")

    def __repr__(self) -> str:
        # Secrets stay out of logs and tracebacks (law 12).
        how = "OAuth" if self.client_id else "classic token" if self.token else "no token yet"
        return f"Settings(base={base(self)!r}, {how}, debtors={self.debtors!r})"


def token_xml(spelling: str) -> str:
    """The classic token as AFAS issued it, out of any of its three spellings. [MD authentication; SP configuration.py]

    >>> token_xml("0123456789ABCDEF")
    '<token><version>1</version><data>0123456789ABCDEF</data></token>'

    Raises ValueError without showing what was given. The JSON form that some descriptions show does not exist.
    """
    text = spelling.strip()
    found = _XML.fullmatch(text)
    if found is None and not _DATA.fullmatch(text):
        found = _XML.fullmatch(_unpacked(text))
    elif found is None:
        # A data value may by chance be readable as base64; only what unpacks to the XML is taken for that.
        found = _XML.fullmatch(_unpacked(text))
        if found is None:
            return f"<token><version>1</version><data>{text}</data></token>"
    if found is None:
        raise ValueError("the token is neither <token>…</token>, nor its data part, nor the base64 of it")
    return f"<token><version>{found['version']}</version><data>{found['data']}</data></token>"


def token_for_wire(spelling: str) -> str:
    """The value behind `AfasToken`: base64 of the XML, in any spelling given. Raises ValueError."""
    return base64.b64encode(token_xml(spelling).encode()).decode()


def _unpacked(text: str) -> str:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode().strip()
    except (binascii.Error, ValueError):
        return ""


def pairs(text: str) -> dict[str, str]:
    """`A=B, C=D` as names and what they stand for.

    >>> pairs("DebtorId=Debiteurnummer, DebtorName=Naam")
    {'DebtorId': 'Debiteurnummer', 'DebtorName': 'Naam'}

    Raises ValueError for a part without `=`.
    """
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, sign, meaning = (each.strip() for each in part.partition("="))
        if not (sign and name and meaning):
            raise ValueError(f"{part!r} is not of the form name=column")
        found[name] = meaning
    return found


def base(settings: Settings) -> str:
    """The address every path starts from, without a slash at the end."""
    if settings.base_url:
        return settings.base_url.rstrip("/")
    return f"https://{settings.member}.{_HOSTS[settings.environment]}.afas.online/ProfitRestServices"


def hosts(settings: Settings) -> tuple[str, ...]:
    """The one host the token may travel to."""
    return (urlsplit(base(settings)).hostname or "",)


def login(settings: Settings) -> str:
    """Under which name tokens are kept: connections of one app connector share one. A classic token is not kept at all."""
    return f"{hosts(settings)[0]} {settings.client_id}" if settings.client_id else ""
