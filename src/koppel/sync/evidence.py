"""Weak evidence that two records are one real thing: a score and reasons for a person, never a link (rule B17).

A rule of `[match] propose` is a conjunction (`name+postcode`). A record is proposed when one rule holds and what the rule names
weighs enough together. Two records whose numbers contradict each other are never proposed. Likeness only ranks and explains:
keys link, people decide.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache

import msgspec
from rapidfuzz import fuzz

from koppel.model.address import Address
from koppel.model.entity import Entity

FLOOR = 70  # below it more proposals were wrong than right in the labelled set (benchmarks/matching.py)
CERTAIN = 99  # only a key is certain
# What sharing it says by itself, from 0 to 1; several are combined as independent hints. A postcode is some twenty doors.
WEIGHTS: Mapping[str, float] = {
    "email": 0.9,
    "phone": 0.8,
    "website": 0.75,
    "email_domain": 0.75,
    "street": 0.6,
    "postcode": 0.5,
    "city": 0.2,
}
NAME_WEIGHT = 0.85  # of two equal names
NAME_BEGINS = 60.0  # likeness in per cent below which two names say nothing
SUBSET = 0.9  # one name is part of the other: `De Korenaar` and `Bakkerij De Korenaar`
OUTLASTS_NAMES: frozenset[str] = frozenset({"email", "phone"})
STRANGERS = 45.0  # names less alike than this speak against what neighbours share: a building, a switchboard, a website

# The part of a rule by which its candidates are found, the rarest first; a city alone finds nobody.
FOUND_BY = ("email", "phone", "email_domain", "website", "street", "postcode", "name")
_NUMBERS = frozenset({"kvk", "rsin", "vat", "ean"})  # numbers of which one thing has one

_PUBLIC = """
gmail.com googlemail.com outlook.com outlook.nl hotmail.com hotmail.nl hotmail.be live.com live.nl live.be msn.com yahoo.com
yahoo.nl icloud.com me.com mac.com aol.com gmx.com gmx.de gmx.net web.de mail.com proton.me protonmail.com ziggo.nl kpnmail.nl
kpnplanet.nl planet.nl hetnet.nl home.nl chello.nl upcmail.nl casema.nl quicknet.nl xs4all.nl zonnet.nl tele2.nl telfort.nl
solcon.nl caiway.nl caiway.net online.nl onsnet.nl wxs.nl tiscali.nl orange.nl versatel.nl freeler.nl delta.nl zeelandnet.nl
filternet.nl kabelfoon.nl telenet.be skynet.be proximus.be scarlet.be t-online.de freenet.de orange.fr free.fr
"""
PUBLIC_DOMAINS = frozenset(_PUBLIC.split())  # anybody may have an address there: it is no evidence
_FORM_WORDS = "bv nv vof cv bvba sprl gmbh ltd sa srl ag kg inc llc ua ba va stichting vereniging eenmanszaak maatschap"
_FORMS = frozenset(_FORM_WORDS.split())
_FILLER_WORDS = "de het een van der den ter ten te t s n en und the and of la le io ho hodn"
_FILLERS = frozenset(_FILLER_WORDS.split())
_DOTTED = re.compile(r"\b(?:[a-z]\.\s?){2,}[a-z]?\b|\b[a-z](?:\.[a-z])+\b")
_SPLIT = re.compile(r"[^a-z0-9]+")
_PARENTHESES = re.compile(r"\([^)]*\)")


class Features(msgspec.Struct, frozen=True):
    """What of one record weak evidence looks at, normalised; `names` as written. `numbers` by kind."""

    names: tuple[str, ...] = ()
    postcode: frozenset[str] = frozenset()
    city: frozenset[str] = frozenset()
    street: frozenset[str] = frozenset()
    email: frozenset[str] = frozenset()
    email_domain: frozenset[str] = frozenset()
    phone: frozenset[str] = frozenset()
    website: frozenset[str] = frozenset()
    numbers: tuple[tuple[str, str], ...] = ()


class Likeness(msgspec.Struct, frozen=True):
    """How much speaks for two records being one thing: 0 to 99, and why in words."""

    score: int
    reasons: tuple[str, ...]


# --- one record --------------------------------------------------------------------------------------------------------


def features(entity: Entity) -> Features:
    """What an entity of any kind offers; what it does not have is empty."""
    addresses = [
        address
        for name in ("address", "postal_address", "invoice_address")
        if isinstance(address := getattr(entity, name, None), Address) and not address.is_empty()
    ]
    mails = {mail for mail in [_mail(getattr(entity, "email", None))] if mail}
    return Features(
        names=_names(entity),
        postcode=_filled(_postcode(a.postcode) for a in addresses),
        city=_filled(" ".join(_words(a.city or "")) for a in addresses),
        street=_filled(_door(a) for a in addresses),
        email=frozenset(mails),
        email_domain=frozenset(d for d in (mail.rpartition("@")[2] for mail in mails) if d not in PUBLIC_DOMAINS),
        phone=_filled(_phone(getattr(entity, name, None)) for name in ("phone", "mobile")),
        website=_filled([_site(getattr(entity, "website", None))]),
        numbers=tuple((kind, value) for kind, value in entity.match_keys() if kind in _NUMBERS),
    )


def _names(entity: Entity) -> tuple[str, ...]:
    given = [getattr(entity, name, None) for name in ("name", "trade_name", "statutory_name")]
    person = " ".join(
        part for name in ("first_name", "prefix", "last_name") if (part := getattr(entity, name, None)) is not None
    )
    return tuple(dict.fromkeys(name for name in [*given, person] if isinstance(name, str) and name.strip()))


def _filled(values: Iterable[str]) -> frozenset[str]:
    return frozenset(value for value in values if value)


def _mail(text: str | None) -> str:
    mail = "".join((text or "").split()).lower()
    return mail if mail.count("@") == 1 and not mail.startswith("@") and "." in mail.rpartition("@")[2] else ""


def _postcode(text: str | None) -> str:
    return re.sub(r"[\s.\-]", "", text or "").upper()


def _phone(text: str | None) -> str:
    """The last nine digits, which a Dutch number keeps however its beginning is written; an extension is left out."""
    digits = re.sub(r"\D", "", re.split(r"[a-zA-Z#]", text or "", maxsplit=1)[0].replace("(0)", ""))
    return digits[-9:] if len(digits) >= 9 else ""


def _site(text: str | None) -> str:
    host = re.sub(r"^[a-z]+://", "", (text or "").strip().lower()).partition("/")[0].partition(":")[0]
    host = host.removeprefix("www.")
    return host if "." in host and host not in PUBLIC_DOMAINS else ""


def _door(address: Address) -> str:
    """Street and number; a number in the street's own text counts as well, a suffix does not."""
    line = " ".join(_words(address.first_line()))
    found = re.match(r"(.*?[a-z].*?)\s*(\d+)", line)
    return f"{found[1].strip()} {found[2]}" if found else ""


@lru_cache(maxsize=8192)
def _words(text: str) -> tuple[str, ...]:
    plain = unicodedata.normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
    plain = _DOTTED.sub(lambda found: found[0].replace(".", "").replace(" ", "") + " ", plain.replace("'", ""))
    return tuple(word for word in _SPLIT.split(plain) if word)


@lru_cache(maxsize=8192)
def significant(name: str) -> tuple[str, ...]:
    """The words of a name that tell it apart: no company forms, fillers, punctuation or remarks in parentheses.

    >>> significant("Bakkerij De Korenaar B.V. (inkoop)")
    ('bakkerij', 'korenaar')
    """
    words = _words(_PARENTHESES.sub(" ", name)) or _words(name)
    return tuple(word for word in words if word not in _FORMS and word not in _FILLERS) or words


# --- blocks ------------------------------------------------------------------------------------------------------------


def kinds_for(rules: Iterable[str]) -> tuple[str, ...]:
    """By which parts candidates of these rules are found: of each rule its rarest, since all of it must hold."""
    chosen = (next((kind for kind in FOUND_BY if kind in rule.split("+")), None) for rule in rules)
    return tuple(dict.fromkeys(kind for kind in chosen if kind))


def blocks(found: Features, kinds: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The groups a record is compared within, as (kind, value). Names give their first letters and the sound of each word."""
    made: list[tuple[str, str]] = []
    for kind in kinds:
        values = _name_blocks(found.names) if kind == "name" else sorted(getattr(found, kind))
        made += [(kind, value) for value in values]
    return tuple(dict.fromkeys(made))


def _name_blocks(names: Iterable[str]) -> list[str]:
    made: list[str] = []
    for name in names:
        words = significant(name)
        made.append("=" + "".join(words)[:5])
        made += [sound(word) for word in words if len(word) >= 3 and not word.isdigit()]
    return made


_SOUNDS = (("ij", "y"), ("ei", "y"), ("ph", "f"), ("ch", "g"), ("ck", "k"), ("qu", "kw"), ("x", "ks"), ("c", "k"), ("z", "s"), ("v", "f"), ("dt", "t"))  # fmt: skip


def sound(word: str) -> str:
    """How a word sounds, roughly: spellings that are mixed up in Dutch fall together.

    >>> sound("kruidenier") == sound("kruydenier"), sound("visser") == sound("fischer")
    (True, False)
    """
    for written, heard in _SOUNDS:
        word = word.replace(written, heard)
    consonants = re.sub(r"[aeiouyh]", "", word[1:])
    return re.sub(r"(.)\1+", r"\1", word[:1] + consonants)[:6]


# --- two records -------------------------------------------------------------------------------------------------------


def compare(rules: Iterable[str], mine: Features, theirs: Features) -> Likeness | None:
    """Why these two may be one thing; None when no rule holds, too little speaks for it, or their numbers differ."""
    if _contradict(mine, theirs):
        return None
    likeness, pair = _alike(mine.names, theirs.names)
    weights = {kind: weight for kind, weight in WEIGHTS.items() if getattr(mine, kind) & getattr(theirs, kind)}
    if pair is not None and likeness > NAME_BEGINS:
        weights["name"] = NAME_WEIGHT * (likeness - NAME_BEGINS) / (100 - NAME_BEGINS)
    elif pair is not None and likeness < STRANGERS:
        weights = {kind: weight for kind, weight in weights.items() if kind in OUTLASTS_NAMES}
    parts = [rule.split("+") for rule in rules]
    best = max((_together(weights, rule) for rule in parts if all(part in weights for part in rule)), default=0.0)
    if best < FLOOR / 100:
        return None
    score = min(CERTAIN, round(100 * _together(weights, weights)))
    return Likeness(score, tuple(_reasons(weights, mine, theirs, likeness, pair)))


def _contradict(mine: Features, theirs: Features) -> bool:
    """Whether both carry a number of one kind and share none of it."""
    one, two = _by_kind(mine), _by_kind(theirs)
    return any(one[kind].isdisjoint(two[kind]) for kind in one.keys() & two.keys())


def _by_kind(found: Features) -> dict[str, set[str]]:
    numbers: dict[str, set[str]] = {}
    for kind, value in found.numbers:
        numbers.setdefault(kind, set()).add(value)
    return numbers


def _together(weights: Mapping[str, float], parts: Iterable[str]) -> float:
    """Several hints combined: what remains is the doubt that every one of them is chance. Of what says the same twice
    (a mail address and its domain, a postcode and its street) the lesser adds half."""
    chosen = set(parts)
    doubt = 1.0
    for kind in chosen:
        twice = (kind == "email_domain" and chosen & {"email", "website"}) or (
            kind == "city" and chosen & {"postcode", "street"}
        )
        doubt *= 1.0 - weights[kind] * (0.5 if twice else 1.0)
    return 1.0 - doubt


def _alike(mine: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[float, tuple[str, str] | None]:
    """The likeness in per cent of the two names most alike, and those names."""
    best: tuple[float, tuple[str, str] | None] = (0.0, None)
    for one in mine:
        for two in theirs:
            likeness = name_likeness(one, two)
            if best[1] is None or likeness > best[0]:
                best = (likeness, (one, two))
    return best


def name_likeness(one: str, two: str) -> float:
    """How alike two names are in per cent, whatever their company form, punctuation and order of words.

    >>> name_likeness("Bakkerij De Korenaar B.V.", "Korenaar, bakkerij de")
    100.0
    """
    ones, twos = significant(one), significant(two)
    if not ones or not twos:
        return 0.0
    likeness = max(
        fuzz.ratio(" ".join(sorted(ones)), " ".join(sorted(twos))),
        fuzz.ratio("".join(ones), "".join(twos)),
    )
    few, many = sorted((set(ones), set(twos)), key=len)
    if few < many and sum(map(len, few)) >= 5:
        likeness = max(likeness, 100 * SUBSET * _share(few, many))
    return likeness


def _share(few: set[str], many: set[str]) -> float:
    """How much of the longer name the shorter one is, gently: two words of three are much, one of four is little."""
    return (sum(map(len, few)) / sum(map(len, many))) ** 0.25


def _reasons(
    weights: Mapping[str, float], mine: Features, theirs: Features, likeness: float, pair: tuple[str, str] | None
) -> Iterable[str]:
    for kind in sorted(weights, key=lambda kind: -weights[kind]):
        if kind == "name" and pair is not None:
            yield f"name {likeness:.0f} % alike: {pair[0]} / {pair[1]}"
        elif kind != "name":
            word = {"email": "e-mail address", "email_domain": "e-mail domain", "street": "street and number"}
            shared = sorted(getattr(mine, kind) & getattr(theirs, kind))
            shown = f"…{shared[0]}" if kind == "phone" else shared[0]
            yield f"same {word.get(kind, kind)} {shown}"
