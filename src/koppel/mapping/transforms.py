"""The closed list of transforms a flow may name, and the place for a customer's own.

A transform is a pure function from one value (or from the whole record) to one value. It raises ValueError for a value
it cannot read; the record is then parked with that reason, never guessed. A customer's own arrive by the entry point
group `koppel.transforms`: whoever starts the program loads them and hands them to `with_own` (loading is I/O and has no
place here); each is a plain function `value -> value`, or a `Transform` when it wants the record or gives another kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

import msgspec

from koppel.formats import phone
from koppel.mapping.countries import country_code, country_name
from koppel.mapping.problems import did_you_mean
from koppel.model.address import Address
from koppel.model.kinds import Kind
from koppel.model.problem import UsageError
from koppel.model.values import Json

# Written out in Dutch, as the register and the books of Dutch firms have it.
LEGAL_FORMS = {
    "BV": "Besloten vennootschap",
    "NV": "Naamloze vennootschap",
    "VOF": "Vennootschap onder firma",
    "CV": "Commanditaire vennootschap",
    "Eenmanszaak": "Eenmanszaak",
    "Maatschap": "Maatschap",
    "Stichting": "Stichting",
    "Vereniging": "Vereniging",
    "Coöperatie": "Coöperatie",
    "Onderlinge waarborgmaatschappij": "Onderlinge waarborgmaatschappij",
    "Kerkgenootschap": "Kerkgenootschap",
    "Publiekrechtelijke rechtspersoon": "Publiekrechtelijke rechtspersoon",
}
# Dutch name particles keep their small letter inside a name.
_PARTICLES = frozenset(
    {"van", "de", "der", "den", "het", "ten", "ter", "te", "'t", "op", "aan", "in", "en", "bij", "onder", "uit", "voor"}
)


@dataclass(frozen=True, kw_only=True)
class Transform:
    """One transform. `takes` = one value, or the record as plain JSON; `gives` = the kind of its result.

    `count` marks a transform written with a number behind it (`cut:30`). `accepts` lists the kinds it can read (empty =
    any plain value). `reads`: the fields a transform of whole records looks at (empty = any of them). `en` and `nl` say what it does, for the mapping document.
    """

    name: str
    function: Callable[..., Json]
    takes: Literal["value", "record"] = "value"
    gives: Kind = "text"
    accepts: frozenset[Kind] = frozenset()
    count: bool = False
    reads: frozenset[str] = frozenset()
    en: str = ""
    nl: str = ""


def _text(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise ValueError("it is not one plain value")


def _title(value: Json) -> str:
    words = _text(value).lower().split()
    return " ".join(word if place and word in _PARTICLES else _capital(word) for place, word in enumerate(words))


def _capital(word: str) -> str:
    # IJ is one letter in Dutch: IJsselmeer, IJmuiden.
    if word.startswith("ij"):
        return "IJ" + word[2:]
    return re.sub(r"(^|[-/(&.])(\w)", lambda m: m[1] + m[2].upper(), word)


def _first_word(value: Json) -> str | None:
    words = _text(value).split()
    return words[0] if words else None


def _digits(value: Json) -> str | None:
    return re.sub(r"[^0-9]", "", _text(value)) or None


def _cut(value: Json, count: int) -> str:
    return _text(value)[:count].rstrip()


def _date_only(value: Json) -> str:
    text = _text(value)
    return date.fromisoformat(text[:10]).isoformat()


def _form(value: Json) -> str:
    """The short form of a legal form, however it is spelled."""
    wanted = re.sub(r"[^a-zö]", "", _text(value).lower())
    for short, long in LEGAL_FORMS.items():
        if wanted in {re.sub(r"[^a-zö]", "", short.lower()), re.sub(r"[^a-zö]", "", long.lower())}:
            return short
    raise ValueError(f"{value!r} is not a legal form that is known here; use a table to translate it")


def _form_long(value: Json) -> str:
    return LEGAL_FORMS[_form(value)]


def _legal_form_and_sbi(record: dict[str, Json]) -> str | None:
    form = record.get("legal_form")
    parts = [_long_or_as_is(form)] if form else []
    # The main activity says what the firm does; the register lists it first when none is marked.
    activities = sorted(record.get("sbi") or [], key=lambda activity: not activity.get("main", False))
    if activities:
        parts.append(f"SBI {activities[0]['code']} {activities[0].get('text', '')}".strip())
    return "; ".join(parts) or None


def _long_or_as_is(form: str) -> str:
    """A remark may show a form we do not know as the register wrote it: it is read by people only."""
    try:
        return _form_long(form)
    except ValueError:
        return form


def _lines(value: Json) -> list[str]:
    if isinstance(value, (list, tuple)):
        return [_text(item).strip() for item in value]
    if not isinstance(value, dict):
        return _text(value).splitlines()
    try:
        address = msgspec.convert(value, Address)
    except msgspec.ValidationError:
        raise ValueError("it is neither an address nor a list of lines") from None
    if address.is_empty():
        return []
    street = list(address.lines) or [address.first_line()]
    place = " ".join(part for part in (_spaced(address), address.city) if part)
    abroad = _country_or_code(address.country) if address.country and address.country != "NL" else ""
    return [line for line in (*street, place, address.region or "", abroad) if line]


def _spaced(address: Address) -> str:
    """A Dutch postcode as people write it: 1034 WL."""
    return re.sub(r"^(\d{4})([A-Z]{2})$", r"\1 \2", address.postcode or "")


def _country_or_code(code: str) -> str:
    try:
        return country_name(code)
    except ValueError:
        return code


def _join_lines(value: Json) -> str | None:
    return "\n".join(line for line in _lines(value) if line) or None


def _one_line(value: Json) -> str | None:
    return ", ".join(line for line in _lines(value) if line) or None


def _join_words(value: Json) -> str | None:
    if not isinstance(value, (list, tuple)):
        return _text(value)
    return ", ".join(_text(item) for item in value) or None


_WORDS: frozenset[Kind] = frozenset(
    {"text", "name", "kvk", "vat", "postcode", "phone", "email", "url", "country", "code", "guid", "int", "decimal"}
)
_LINES: frozenset[Kind] = frozenset({"text", "address", "set"})

TRANSFORMS: dict[str, Transform] = {
    transform.name: transform
    for transform in (
        Transform(
            name="upper",
            function=lambda value: _text(value).upper(),
            accepts=_WORDS,
            en="in capitals",
            nl="in hoofdletters",
        ),
        Transform(
            name="lower",
            function=lambda value: _text(value).lower(),
            accepts=_WORDS,
            en="in small letters",
            nl="in kleine letters",
        ),
        Transform(
            name="title",
            function=_title,
            accepts=_WORDS,
            en="every word with a capital",
            nl="elk woord met een hoofdletter",
        ),
        Transform(
            name="trim",
            function=lambda value: " ".join(_text(value).split()),
            accepts=_WORDS,
            en="without superfluous spaces",
            nl="zonder overbodige spaties",
        ),
        Transform(name="digits", function=_digits, accepts=_WORDS, en="the digits only", nl="alleen de cijfers"),
        Transform(name="first_word", function=_first_word, accepts=_WORDS, en="the first word", nl="het eerste woord"),
        Transform(
            name="cut",
            function=_cut,
            accepts=_WORDS,
            count=True,
            en="the first {n} characters",
            nl="de eerste {n} tekens",
        ),
        Transform(name="text", function=_text, en="written as text", nl="als tekst geschreven"),
        Transform(
            name="country_code",
            function=lambda value: country_code(_text(value)),
            gives="country",
            accepts=_WORDS,
            en="the country's code",
            nl="de landcode",
        ),
        Transform(
            name="country_name",
            function=lambda value: country_name(_text(value)),
            accepts=_WORDS,
            en="the country's Dutch name",
            nl="de naam van het land",
        ),
        Transform(
            name="phone_e164",
            function=lambda value: phone.validate(_text(value)),
            gives="phone",
            accepts=_WORDS,
            en="the telephone number in its international form",
            nl="het telefoonnummer in internationale vorm",
        ),
        Transform(
            name="date_only",
            function=_date_only,
            gives="date",
            accepts=frozenset({"date", "instant", "text"}),
            en="the date without the time",
            nl="de datum zonder de tijd",
        ),
        Transform(
            name="legal_form_short",
            function=_form,
            accepts=_WORDS,
            en="the legal form in short (BV)",
            nl="de rechtsvorm kort (BV)",
        ),
        Transform(
            name="legal_form_long",
            function=_form_long,
            accepts=_WORDS,
            en="the legal form in full (Besloten vennootschap)",
            nl="de rechtsvorm voluit (Besloten vennootschap)",
        ),
        Transform(
            name="legal_form_and_sbi",
            function=_legal_form_and_sbi,
            takes="record",
            reads=frozenset({"legal_form", "sbi"}),
            en="the legal form and the main activity (SBI)",
            nl="de rechtsvorm en de hoofdactiviteit (SBI)",
        ),
        Transform(
            name="join_lines",
            function=_join_lines,
            accepts=_LINES,
            en="the lines below each other",
            nl="de regels onder elkaar",
        ),
        Transform(
            name="one_line",
            function=_one_line,
            accepts=_LINES,
            en="the lines on one line",
            nl="de regels op één regel",
        ),
        Transform(
            name="join_words",
            function=_join_words,
            accepts=frozenset({"set", "text"}),
            en="the values with commas between them",
            nl="de waarden met komma's ertussen",
        ),
    )
}


def with_own(own: Mapping[str, Transform | Callable[[Json], Json]]) -> dict[str, Transform]:
    """The closed list and a customer's own beside it. Raises UsageError when one takes a name that is in the list."""
    taken = sorted(own.keys() & TRANSFORMS.keys())
    if taken:
        raise UsageError(
            f"the transform {taken[0]!r} is already Koppel's own.",
            remedy="Give yours another name in the entry point group koppel.transforms.",
        )
    ours = {
        name: found if isinstance(found, Transform) else Transform(name=name, function=found, en=name, nl=name)
        for name, found in own.items()
    }
    return TRANSFORMS | ours


def resolve(text: str, transforms: Mapping[str, Transform]) -> tuple[Transform, int | None]:
    """The transform a flow names (`upper`, `cut:30`) and its number. Raises ValueError with a suggestion."""
    name, colon, count = text.partition(":")
    transform = transforms.get(name)
    if transform is None:
        raise ValueError(f"there is no transform {name!r}; {did_you_mean(name, transforms)}".rstrip("; "))
    if transform.count:
        if not (count.isascii() and count.isdecimal() and 0 < int(count) < 100_000):
            raise ValueError(f"the transform {name!r} wants a number behind it, such as '{name}:30'")
        return transform, int(count)
    if colon:
        raise ValueError(f"the transform {name!r} takes no number; write '{name}'")
    return transform, None


def apply(text: str, value: Json, transforms: Mapping[str, Transform]) -> Json:
    """Transform a value (or a record's plain JSON). Raises ValueError when the value cannot be read."""
    transform, count = resolve(text, transforms)
    return transform.function(value) if count is None else transform.function(value, count)
