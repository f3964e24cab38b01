"""Conditions as a person types them, checked against the table and made into a filter: `Code = 8 and Modified > 2026-01-01`.

    Name contains bakker · Name starts with 'De ' · Status in (C, P) · EndDate is empty · not Blocked · year(Created) = 2026
    and or not ( ) · = != < <= > >= (also eq ne lt le gt ge) · in · is [not] empty · contains, starts with, ends with
    lower upper trim length year month day

Text may go without quotes when it is one word; dates are YYYY-MM-DD or YYYY-MM-DDTHH:MM. Whatever is wrong is one message
that shows the place. Two properties cannot be compared with each other: the vendor does not offer it [KB-query].
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from koppel.model.problem import UsageError
from koppel.systems.exact import catalogue, edm, odata
from koppel.systems.exact.odata import Condition, Operator, Term
from koppel.systems.exact.vendor_table import Property, VendorResource

# --- what is meant --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compared:
    """One comparison, ready made."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several values: by value, the comparisons that look for its spellings. Long ones are asked in several calls."""

    groups: tuple[tuple[str, tuple[Condition, ...]], ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    part: Node


@dataclass(frozen=True, slots=True)
class Both:
    """Each holds."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one holds."""

    parts: tuple[Node, ...]


Node: TypeAlias = "Compared | OneOf | Not | Both | Either"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A whole condition, and the properties it speaks of."""

    node: Node
    names: frozenset[str]

    def batches(self, *, room: int, most: int) -> tuple[Condition, ...]:
        """Filters that together ask for it, each within `room` encoded characters where that can be had.

        Only a list of values that every row must be in can be cut: its parts never show one row twice.
        """
        parts = self.node.parts if isinstance(self.node, Both) else (self.node,)
        lists = [part for part in parts if isinstance(part, OneOf)]
        if not lists:
            return (render(self.node),)
        longest = max(lists, key=lambda part: len(part.groups))
        rest = [render(part) for part in parts if part is not longest]
        left = room - sum(odata.size(condition) + odata.size(Condition(" and ")) for condition in rest) - 2
        cut = odata.chunks(longest.groups, room=max(left, 1), most=most)
        each = (odata.any_of(condition for _, group in chunk for condition in group) for chunk in cut)
        return tuple(odata.all_of([*rest, one]) for one in each)


def render(node: Node) -> Condition:
    """The filter of a part."""
    if isinstance(node, Compared):
        return node.condition
    if isinstance(node, OneOf):
        return odata.any_of(condition for _, group in node.groups for condition in group)
    if isinstance(node, Not):
        return odata.negate(render(node.part))
    joined = odata.all_of if isinstance(node, Both) else odata.any_of
    return joined(render(part) for part in node.parts)


def read(text: str, resource: VendorResource) -> Wanted:
    """What somebody typed. Raises UsageError with the place and what was expected there."""
    reader = _Reader(text, resource)
    node = reader.either()
    reader.end()
    return Wanted(node, frozenset(reader.names))


# --- words ----------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?P<sign><=|>=|<>|!=|==|[=<>])|(?P<mark>[(),])|(?P<word>[^\s'"(),=<>!]+))"""
)
_SIGNS: dict[str, Operator] = {
    "=": "eq", "==": "eq", "eq": "eq", "!=": "ne", "<>": "ne", "ne": "ne", "<": "lt", "lt": "lt", "<=": "le", "le": "le",
    ">": "gt", "gt": "gt", ">=": "ge", "ge": "ge",
}  # fmt: skip
_FUNCTIONS: dict[str, tuple[odata.Function, str, str]] = {
    # what is typed: the vendor's function, what it takes, what it gives
    "lower": ("tolower", "String", "String"),
    "tolower": ("tolower", "String", "String"),
    "upper": ("toupper", "String", "String"),
    "toupper": ("toupper", "String", "String"),
    "trim": ("trim", "String", "String"),
    "length": ("length", "String", "Int32"),
    "year": ("year", "DateTime", "Int32"),
    "month": ("month", "DateTime", "Int32"),
    "day": ("day", "DateTime", "Int32"),
}
_SEARCHES: dict[str, odata.Function] = {
    "contains": "substringof",
    "substringof": "substringof",
    "starts": "startswith",
    "startswith": "startswith",
    "ends": "endswith",
    "endswith": "endswith",
}
_EMPTY = ("empty", "null")
_ORDERED = frozenset({*edm.NUMBERS, "DateTime", "String"})


@dataclass(frozen=True, slots=True)
class _Token:
    """A word of the text. `kind`: quoted | sign | mark | word | end."""

    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class _Left:
    """The left side of a comparison. `plain` is the property when no function stands around it."""

    term: Term
    type: str
    property: Property
    plain: bool


class _Reader:
    """Reads a condition from left to right."""

    def __init__(self, text: str, resource: VendorResource) -> None:
        self.text, self.resource = text, resource
        self.names: set[str] = set()
        self.tokens = list(self._split())
        self.place = 0

    def _split(self) -> list[_Token]:
        found: list[_Token] = []
        at = 0
        while self.text[at:].strip():
            match = _TOKEN.match(self.text, at)
            if match is None or match.lastgroup is None:
                start = at + len(self.text[at:]) - len(self.text[at:].lstrip())
                raise self.wrong("This cannot be read; a quote that is not closed?", _Token("end", "", start))
            found.append(_Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
            at = match.end()
        return [*found, _Token("end", "", len(self.text.rstrip()))]

    @property
    def now(self) -> _Token:
        return self.tokens[self.place]

    def take(self) -> _Token:
        token = self.now
        self.place += token.kind != "end"
        return token

    def is_word(self, *words: str, ahead: int = 0) -> bool:
        token = self.tokens[min(self.place + ahead, len(self.tokens) - 1)]
        return token.kind == "word" and token.text.lower() in words

    def wrong(self, why: str, token: _Token | None = None, remedy: str = "") -> UsageError:
        token = self.now if token is None else token
        spot = f"{self.text}\n        {' ' * token.at}^"
        return UsageError(
            f"The condition is wrong at position {token.at + 1}: {why}", remedy=f"{remedy}\n        {spot}"
        )

    def end(self) -> None:
        """Nothing may follow. Raises UsageError."""
        if self.now.kind != "end":
            if self.now.text == "," and self.now.kind == "mark":
                raise self.wrong(
                    "a comma is not expected here: numbers take a point, text with a comma stands in quotes."
                )
            raise self.wrong(f"{self.now.text!r} is not expected here; join conditions with `and` or `or`.")

    # --- grammar ----------------------------------------------------------------------------------------------------

    def either(self) -> Node:
        return self._joined("or", self.both, Either)

    def both(self) -> Node:
        return self._joined("and", self.negated, Both)

    def _joined(self, word: str, part: Callable[[], Node], made: Callable[[tuple[Node, ...]], Node]) -> Node:
        parts = [part()]
        while self.is_word(word):
            self.take()
            parts.append(part())
        return parts[0] if len(parts) == 1 else made(tuple(parts))

    def negated(self) -> Node:
        if self.is_word("not"):
            self.take()
            return Not(self.negated())
        if self.now.text == "(" and self.now.kind == "mark":
            self.take()
            inner = self.either()
            self._expect(")")
            return inner
        return self.comparison()

    def _expect(self, mark: str) -> None:
        if self.now.kind != "mark" or self.now.text != mark:
            raise self.wrong(f"{mark!r} is expected here.")
        self.take()

    def comparison(self) -> Node:
        left = self._left()
        if self.now.kind == "sign" or self.is_word("eq", "ne", "lt", "le", "gt", "ge"):
            return self._sign(left)
        if self.is_word("in"):
            self.take()
            return self._list(left)
        if self.is_word("is"):
            return self._is(left)
        if self.is_word("not") and (self.is_word("in", ahead=1) or self.is_word(*_SEARCHES, ahead=1)):
            self.take()
            if self.is_word("in"):
                self.take()
                return Not(self._list(left))
            return Not(self._search(left))
        if self.is_word(*_SEARCHES):
            return self._search(left)
        if left.type == "Boolean" and left.plain:
            return Compared(odata.compare(left.term, "eq", odata.boolean(value=True)))
        raise self.wrong(f"a comparison is expected after {left.property.name}: =, <, in, is empty, contains, …")

    def _left(self) -> _Left:
        token = self.take()
        if token.kind != "word":
            raise self.wrong("the name of a property is expected here.", token)
        made = _FUNCTIONS.get(token.text.lower())
        if made is not None and self.now.text == "(" and self.now.kind == "mark":
            self.take()
            name, takes, gives = made
            inner = self._property(self.take())
            if inner.type != takes:
                raise self.wrong(
                    f"{token.text} takes {edm.WORDS[takes].partition(',')[0]}; {inner.name} is {_words(inner)}.", token
                )
            self._expect(")")
            return _Left(odata.function(name, odata.prop(inner.name)), gives, inner, plain=False)
        found = self._property(token)
        return _Left(odata.prop(found.name), found.type, found, plain=True)

    def _property(self, token: _Token) -> Property:
        if "/" in token.text:
            raise self.wrong("what is in a collection cannot be filtered on [KB-query].", token)
        try:
            found = catalogue.property_of(self.resource, token.text)
        except UsageError as error:
            raise self.wrong(error.message, token, error.remedy) from None
        if found.many:
            raise self.wrong(f"{found.name} is a collection, which cannot be filtered on.", token)
        self.names.add(found.name)
        return found

    # --- comparisons ------------------------------------------------------------------------------------------------

    def _sign(self, left: _Left) -> Node:
        token = self.take()
        operator = _SIGNS[token.text.lower()]
        if operator not in {"eq", "ne"} and left.type not in {*_ORDERED, edm.UNKNOWN}:
            raise self.wrong(
                f"{left.property.name} is {_words(left.property)}: only = and != can be asked of it.", token
            )
        tests = self._tests(left, operator, self.take())
        node = Either(tests) if operator == "eq" else Both(tests)
        return tests[0] if len(tests) == 1 else node

    def _tests(self, left: _Left, operator: Operator, token: _Token) -> tuple[Compared, ...]:
        """The comparison with one value, in each of its spellings."""
        value = self._value(left, token)
        if value is None and operator not in {"eq", "ne"}:
            raise self.wrong("nothing is smaller or greater than null.", token)
        try:
            if isinstance(value, str) and left.plain and left.type == "String":
                texts = catalogue.spellings(self.resource, left.property.name, value)
                texts = texts if operator in {"eq", "ne"} else texts[-1:]
                return tuple(Compared(odata.compare(left.term, operator, odata.text(text))) for text in texts)
            return (Compared(odata.compare(left.term, operator, edm.literal(left.type, value))),)
        except ValueError as error:
            raise self.wrong(f"{error}.", token) from None

    def _value(self, left: _Left, token: _Token) -> edm.Value:
        if token.kind not in {"quoted", "word"}:
            raise self.wrong(f"a value is expected here: {edm.WORDS.get(left.type, 'a value')}.", token)
        quoted = token.kind == "quoted"
        mark = token.text[0] if quoted else ""
        text = token.text[1:-1].replace(mark * 2, mark) if quoted else token.text
        if not quoted and text.lower() == "null":
            return None
        if not quoted and left.type == "String" and text in self.resource.properties:
            raise self.wrong(
                f"{text} is a property, and properties cannot be compared with each other; mean the word: '{text}'.",
                token,
            )
        try:
            return edm.typed(left.type, text)
        except ValueError as error:
            raise self.wrong(f"{left.property.name}: {error}.", token) from None

    def _list(self, left: _Left) -> Node:
        self._expect("(")
        groups: dict[str, tuple[Condition, ...]] = {}
        while True:
            token = self.take()
            groups[token.text] = tuple(test.condition for test in self._tests(left, "eq", token))
            if self.now.text == "," and self.now.kind == "mark":
                self.take()
                continue
            self._expect(")")
            return OneOf(tuple(groups.items()))

    def _is(self, left: _Left) -> Node:
        self.take()
        opposite = self.is_word("not")
        if opposite:
            self.take()
        token = self.take()
        if token.kind != "word" or token.text.lower() not in _EMPTY:
            raise self.wrong("`is empty`, `is not empty`, `is null` or `is not null` is expected.", token)
        null = Compared(odata.compare(left.term, "eq", odata.NULL))
        node: Node = null
        if token.text.lower() == "empty" and left.type == "String":  # null and '' are told apart (fact sheet §11)
            node = Either((null, Compared(odata.compare(left.term, "eq", odata.text("")))))
        return Not(node) if opposite else node

    def _search(self, left: _Left) -> Node:
        token = self.take()
        how = _SEARCHES[token.text.lower()]
        if token.text.lower() in {"starts", "ends"}:
            if not self.is_word("with"):
                raise self.wrong(f"`{token.text} with` is expected.")
            self.take()
        if left.type != "String":
            raise self.wrong(f"{left.property.name} is {_words(left.property)}: only text can be searched in.", token)
        value = self._value(left, self.take())
        looked_for = odata.text("" if value is None else str(value))
        arguments = (looked_for, left.term) if how == "substringof" else (left.term, looked_for)
        return Compared(odata.compare(odata.function(how, *arguments), "eq", odata.boolean(value=True)))


def _words(found: Property) -> str:
    return edm.WORDS.get(found.type, "of a type that is not told").partition(",")[0]
