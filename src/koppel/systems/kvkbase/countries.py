"""Names of countries as KVKBase may write them, to ISO 3166 alpha-2. Only `Nederland` was seen; the neighbours are likely."""

from __future__ import annotations

from typing import Final

COUNTRIES: Final[dict[str, str]] = {
    "nederland": "NL",
    "netherlands": "NL",
    "the netherlands": "NL",
    "belgie": "BE",
    "belgium": "BE",
    "duitsland": "DE",
    "germany": "DE",
    "frankrijk": "FR",
    "france": "FR",
    "luxemburg": "LU",
    "luxembourg": "LU",
    "verenigd koninkrijk": "GB",
    "united kingdom": "GB",
    "ierland": "IE",
    "ireland": "IE",
    "denemarken": "DK",
    "denmark": "DK",
    "oostenrijk": "AT",
    "austria": "AT",
    "zwitserland": "CH",
    "switzerland": "CH",
    "spanje": "ES",
    "spain": "ES",
    "italie": "IT",
    "italy": "IT",
    "polen": "PL",
    "poland": "PL",
    "zweden": "SE",
    "sweden": "SE",
    "verenigde staten": "US",
    "united states": "US",
}
