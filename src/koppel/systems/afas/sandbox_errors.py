"""What AFAS Profit says when it refuses: the sentence in the caller's language, a number, a reference into its log.

Validation and most "not found" failures are HTTP 500 with `{externalMessage, errorNumber, profitLogReference}`.
[MD troubleshooting] Sentences marked `unverified` below are ours; the rest is the vendor's wording.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from koppel.model.values import Json
from koppel.systems.spi import Response

UNEXPECTED, NO_SUCH_VALUE, RULE = -2147180999, -2147220469, -2147180996

# what -> (error number, English, Dutch)
_TEXTS: dict[str, tuple[int, str, str]] = {
    "unexpected": (UNEXPECTED, "An unexpected error has occurred.", "Er is een onverwachte fout opgetreden."),
    "no_value": (
        NO_SUCH_VALUE,
        "The entered value for '{label}' does not exist.",
        "De ingevoerde waarde bij '{label}' bestaat niet.",  # Dutch unverified
    ),
    "mandatory": (RULE, "Enter a value for '{label}'.", "Vul een waarde in bij '{label}'."),  # Dutch unverified
    "no_field": (UNEXPECTED, "Connector field '{name}' not found", "Connectorveld '{name}' is niet gevonden"),
    "get_denied": (
        RULE,
        "GetConnector not supported for this app or the user is not authorized",
        "GetConnector wordt niet ondersteund voor deze app of de gebruiker is niet geautoriseerd",
    ),
    "update_denied": (
        RULE,
        "General message: This UpdateConnector is not supported or the user is not authorized.",
        "General message: Deze UpdateConnector wordt niet ondersteund of de gebruiker is niet geautoriseerd.",
    ),
    "blocked": (RULE, "This GetConnector (definition) is blocked", "Deze GetConnector (definitie) is geblokkeerd"),
    "timeout": (
        UNEXPECTED,
        "Command timeout expired.",
        "De maximale tijdsduur voor het uitvoeren van de opdracht is verstreken.",
    ),
    "memory": (UNEXPECTED, "Out of memory", "Out of memory"),
    "too_long": (  # unverified
        RULE,
        "The value for '{label}' is longer than {length} characters.",
        "De waarde bij '{label}' is langer dan {length} tekens.",
    ),
    "not_valid": (  # unverified
        RULE,
        "The value entered for '{label}' is not valid.",
        "De ingevoerde waarde bij '{label}' is niet geldig.",
    ),
    "exists": (RULE, "'{label}' already exists.", "'{label}' bestaat al."),  # unverified
    "several": (  # [PA: several hits are an error]; wording unverified
        RULE,
        "More than one organisation was found on '{label}'.",
        "Er is meer dan één organisatie gevonden op '{label}'.",
    ),
    # the next two unverified
    "one_line": (RULE, "Only one line of '{name}' is allowed.", "Er is maar één regel van '{name}' toegestaan."),
    "insert_only": (
        RULE,
        "Only inserting is allowed for '{name}'.",
        "Alleen toevoegen is toegestaan voor '{name}'.",
    ),
}


@dataclass(frozen=True, slots=True)
class Label:
    """How the screens name a field."""

    en: str
    nl: str

    def text(self, language: str) -> str:
        """The label in that language."""
        return self.nl if language == "nl" else self.en


class Refused(Exception):
    """A request that has no effect."""

    def __init__(
        self,
        what: str,
        *,
        status: int = 500,
        label: Label | None = None,
        name: str = "",
        length: int = 0,
        message: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.status = status
        self.label = label
        self.name = name
        self.length = length
        self.message = message

    def body(self, language: str, reference: str) -> dict[str, Json]:
        """The error as AFAS writes it."""
        number, english, dutch = _TEXTS.get(self.what, (RULE, "", ""))
        text = self.message
        if text is None:
            shown = self.label.text(language) if self.label is not None else self.name
            text = (dutch if language == "nl" else english).format(label=shown, name=self.name, length=self.length)
        return {"externalMessage": text, "errorNumber": number, "profitLogReference": reference}


def language_of(accept: str, default: str) -> str:
    """The language of texts and labels: `nl-nl`, `nl-be` are Dutch; other languages are answered in English here.

    >>> language_of("nl-be,en;q=0.5", "en"), language_of("", "nl"), language_of("fr-fr", "nl")
    ('nl', 'nl', 'en')
    """
    first = accept.partition(",")[0].partition(";")[0].strip().casefold()
    if not first:
        return default
    return "nl" if first.startswith("nl") else "en"


def answer(status: int, body: Json) -> Response:
    """A JSON answer, compact as since Profit 7. [HELP App_Cnr_Rest_GET]"""
    return Response(status, {"content-type": "application/json; charset=utf-8"}, msgspec.json.encode(body))
