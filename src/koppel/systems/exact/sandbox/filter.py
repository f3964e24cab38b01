"""OData v2 `$filter`: text in, a predicate over rows out, with the vendor's wording for what is wrong. [KB-query]

Besides the predicate a compiled filter tells which equalities must hold (`any_of`) and above which number a property
must lie (`above`), so that a list of twenty thousand rows is answered from an index.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from koppel.systems.exact.sandbox.table import NUMBERS, EntityType

Row = Mapping[str, Any]
_DEEPEST = 50  # WCF Data Services refuses deep nesting too (its number is unverified)


class QueryError(Exception):
    """The query is wrong; the text is what the vendor would answer with status 400."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A compiled filter. `any_of`: at least one of these (property, folded value) must hold; None = nothing known."""

    matches: Callable[[Row], bool]
    properties: frozenset[str]
    any_of: frozenset[tuple[str, Any]] | None = None
    above: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    value: Any
    position: int


@dataclass(frozen=True, slots=True)
class _Node:
    """A typed piece of the expression; `kind` is String, Guid, DateTime, Number, Boolean or Null."""

    kind: str
    clr: str
    value: Callable[[Row], Any]
    constant: Any = None
    is_constant: bool = False
    name: str | None = None
    any_of: frozenset[tuple[str, Any]] | None = None
    above: tuple[str, int] | None = None


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<typed>(?P<prefix>guid|datetimeoffset|datetime|time|binary|X)'(?P<inner>[^']*)')
    | (?P<string>'(?:[^']|'')*')
    | (?P<number>-?\d{1,19}(?:[Ll]|(?:\.\d{1,30})?(?:[eE][+-]?\d{1,2})?[MmDdFf]?)(?![\w.]))
    | (?P<word>[A-Za-z_][\w/]*)
    | (?P<mark>[(),])
    )""",
    re.VERBOSE,
)
_GUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_COMPARISONS = frozenset({"eq", "ne", "gt", "ge", "lt", "le"})


def is_guid(text: object) -> bool:
    """Whether it is a GUID in the form Exact writes."""
    return isinstance(text, str) and _GUID.fullmatch(text) is not None


def fold(value: Any) -> Any:
    """The form in which two texts are compared: case and trailing blanks do not count (SQL Server's way; unverified)."""
    return value.casefold().rstrip(" ") if isinstance(value, str) else value


def parse_datetime(text: str) -> int | None:
    """ISO date or date and time without zone as milliseconds of the wall clock written as if UTC; None when it is neither."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is not None:
        return None
    return round(moment.replace(tzinfo=UTC).timestamp() * 1000)


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            start = len(text) - len(text[at:].lstrip())
            if text[start] == "'":
                raise QueryError(f"Unterminated string literal at position {len(text)} in '{text}'.")
            raise QueryError(f"Syntax error '{text[start]}' at position {start}.")
        found.append(_token(match, text))
        at = match.end()
    found.append(_Token("end", "", None, len(text)))
    return found


def _token(match: re.Match[str], text: str) -> _Token:
    kind = match.lastgroup or ""
    if match.group("typed") is not None:
        position = match.start("typed")
        return _Token("literal", match.group("typed"), _typed(match, position, text), position)
    if kind == "string":
        return _Token(
            "literal",
            match.group("string"),
            ("String", "System.String", match.group("string")[1:-1].replace("''", "'")),
            match.start("string"),
        )
    if kind == "number":
        return _Token("literal", match.group("number"), _number(match.group("number")), match.start("number"))
    return _Token(kind, match.group(kind), None, match.start(kind))


def _typed(match: re.Match[str], position: int, text: str) -> tuple[str, str, Any]:
    prefix, inner = match.group("prefix"), match.group("inner")
    if prefix == "guid" and is_guid(inner):
        return ("Guid", "System.Guid", inner.lower())
    if prefix == "datetime" and (moment := parse_datetime(inner)) is not None:
        return ("DateTime", "System.DateTime", moment)
    clr = {"guid": "System.Guid", "datetime": "System.DateTime"}.get(prefix, "System.Byte[]")
    raise QueryError(f"Unrecognized '{clr}' literal '{match.group('typed')}' at position {position} in '{text}'.")


def _number(text: str) -> tuple[str, str, Any]:
    mark = text[-1].lower()
    digits = text[:-1] if mark in "lmdf" else text
    if mark == "l" or (mark.isdigit() and not re.search(r"[.eE]", text)):
        number = int(digits)
        return ("Number", "System.Int32" if mark != "l" and abs(number) < 2**31 else "System.Int64", number)
    clr = {"m": "System.Decimal", "f": "System.Single"}.get(mark, "System.Double")
    return ("Number", clr, float(digits))


def _compare(operator: str, left: _Node, right: _Node) -> Callable[[Row], bool]:
    """Three-valued as a database does it: a comparison with an empty value holds for neither `eq` nor `ne`."""
    a, b = left.value, right.value
    if left.kind == "Null" or right.kind == "Null":
        other = b if left.kind == "Null" else a
        if operator == "eq":
            return lambda row: other(row) is None
        if operator == "ne":
            return lambda row: other(row) is not None
        return lambda row: False
    if operator == "eq" and right.is_constant:
        wanted = fold(right.constant)
        return lambda row: fold(a(row)) == wanted
    tests: dict[str, Callable[[Any, Any], bool]] = {
        "eq": lambda x, y: x == y,
        "ne": lambda x, y: x != y,
        "gt": lambda x, y: x > y,
        "ge": lambda x, y: x >= y,
        "lt": lambda x, y: x < y,
        "le": lambda x, y: x <= y,
    }
    test = tests[operator]

    def holds(row: Row) -> bool:
        x, y = a(row), b(row)
        return x is not None and y is not None and test(fold(x), fold(y))

    return holds


def _moment(part: str) -> Callable[[Any], Any]:
    return lambda ms: getattr(datetime.fromtimestamp(ms / 1000, UTC), part)


# name -> (kinds of its arguments, kind of its result, what it does)
_FUNCTIONS: dict[str, tuple[tuple[str, ...], str, Callable[..., Any]]] = {
    "substringof": (("String", "String"), "Boolean", lambda part, text: fold(part) in fold(text)),
    "startswith": (("String", "String"), "Boolean", lambda text, part: fold(text).startswith(fold(part))),
    "endswith": (("String", "String"), "Boolean", lambda text, part: fold(text).endswith(fold(part))),
    "tolower": (("String",), "String", str.lower),
    "toupper": (("String",), "String", str.upper),
    "trim": (("String",), "String", str.strip),
    "length": (("String",), "Number", len),
    "year": (("DateTime",), "Number", _moment("year")),
    "month": (("DateTime",), "Number", _moment("month")),
    "day": (("DateTime",), "Number", _moment("day")),
}
_RESULT_CLR = {"Boolean": "System.Boolean", "String": "System.String", "Number": "System.Int32"}


def _call(function: Callable[..., Any], arguments: list[_Node]) -> Callable[[Row], Any]:
    values = [argument.value for argument in arguments]

    def value(row: Row) -> Any:
        given = [part(row) for part in values]
        return None if any(part is None for part in given) else function(*given)

    return value


@dataclass
class _Parser:
    entity: EntityType
    text: str
    tokens: list[_Token]
    at: int = 0
    depth: int = 0
    used: set[str] = field(default_factory=set)

    def peek(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def word(self, *words: str) -> _Token | None:
        token = self.peek()
        return self.take() if token.kind == "word" and token.text in words else None

    def mark(self, mark: str, expected: str) -> None:
        token = self.take()
        if token.kind != "mark" or token.text != mark:
            raise QueryError(f"{expected} expected at position {token.position}.")

    def boolean(self, node: _Node, position: int, operator: str) -> None:
        if node.kind != "Boolean":
            raise QueryError(
                f"Operator '{operator}' incompatible with operand type '{node.clr}' at position {position}."
            )

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise QueryError("Recursion limit reached.")

    def disjunction(self) -> _Node:
        self._deeper()
        parts = [self.conjunction()]
        while (operator := self.word("or")) is not None:
            parts.append(self.conjunction())
            self._both_boolean(parts[-2], parts[-1], operator)
        self.depth -= 1
        if len(parts) == 1:
            return parts[0]
        tests = [part.value for part in parts]
        sets = [part.any_of for part in parts]
        known = (
            None if any(found is None for found in sets) else frozenset[tuple[str, Any]]().union(*filter(None, sets))
        )
        return _Node("Boolean", "System.Boolean", lambda row: any(test(row) for test in tests), any_of=known)

    def conjunction(self) -> _Node:
        parts = [self.comparison()]
        while (operator := self.word("and")) is not None:
            parts.append(self.comparison())
            self._both_boolean(parts[-2], parts[-1], operator)
        if len(parts) == 1:
            return parts[0]
        tests = [part.value for part in parts]
        sets = [part.any_of for part in parts if part.any_of is not None]
        bounds = [part.above for part in parts if part.above is not None]
        return _Node(
            "Boolean",
            "System.Boolean",
            lambda row: all(test(row) for test in tests),
            any_of=min(sets, key=len) if sets else None,
            above=max(bounds, key=lambda bound: bound[1]) if bounds else None,
        )

    def _both_boolean(self, left: _Node, right: _Node, operator: _Token) -> None:
        if left.kind != "Boolean" or right.kind != "Boolean":
            self._incompatible(operator, left, right)

    def _incompatible(self, operator: _Token, left: _Node, right: _Node) -> None:
        raise QueryError(
            f"Operator '{operator.text}' incompatible with operand types '{left.clr}' and '{right.clr}' "
            f"at position {operator.position}."
        )

    def comparison(self) -> _Node:
        left = self.unary()
        while (operator := self.word(*_COMPARISONS)) is not None:
            right = self.unary()
            if "Null" not in {left.kind, right.kind} and left.kind != right.kind:
                self._incompatible(operator, left, right)
            if left.name is not None and right.name is not None:  # no field-to-field comparison [KB-query]
                raise QueryError(
                    f"Comparing properties with each other is not supported at position {operator.position}."
                )
            if left.is_constant and not right.is_constant and operator.text == "eq":
                left, right = right, left
            known: frozenset[tuple[str, Any]] | None = None
            above: tuple[str, int] | None = None
            if left.name is not None and right.is_constant and right.kind != "Null":
                if operator.text == "eq":
                    known = frozenset({(left.name, fold(right.constant))})
                elif operator.text in {"gt", "ge"} and isinstance(right.constant, int) and left.kind == "Number":
                    above = (left.name, right.constant - (operator.text == "ge"))
            left = _Node("Boolean", "System.Boolean", _compare(operator.text, left, right), any_of=known, above=above)
        return left

    def unary(self) -> _Node:
        if (operator := self.word("not")) is not None:
            self._deeper()
            inner = self.unary()
            self.depth -= 1
            self.boolean(inner, operator.position, "not")
            test = inner.value
            return _Node("Boolean", "System.Boolean", lambda row: test(row) is False)
        return self.primary()

    def primary(self) -> _Node:
        token = self.take()
        if token.kind == "mark" and token.text == "(":
            inner = self.disjunction()
            self.mark(")", "')' or operator")
            return inner
        if token.kind == "literal":
            kind, clr, value = token.value
            return _Node(kind, clr, lambda row: value, constant=value, is_constant=True)
        if token.kind != "word":
            raise QueryError(f"Expression expected at position {token.position}.")
        if token.text in {"true", "false"}:
            truth = token.text == "true"
            return _Node("Boolean", "System.Boolean", lambda row: truth, constant=truth, is_constant=True)
        if token.text == "null":
            return _Node("Null", "null", lambda row: None, is_constant=True)
        following = self.peek()
        if following.kind == "mark" and following.text == "(":
            return self.function(token)
        return self.property(token)

    def function(self, token: _Token) -> _Node:
        known = _FUNCTIONS.get(token.text)
        if known is None:
            raise QueryError(f"Unknown function '{token.text}' at position {token.position}.")
        self.mark("(", "'('")
        arguments = [self.disjunction()]
        while self.peek().text == "," and self.peek().kind == "mark":
            self.take()
            arguments.append(self.disjunction())
        self.mark(")", "')' or ','")
        kinds, result, function = known
        if tuple(argument.kind for argument in arguments) != kinds:
            raise QueryError(
                f"No applicable function exists for '{token.text}' at position {token.position} "
                f"with the specified arguments."
            )
        return _Node(result, _RESULT_CLR[result], _call(function, arguments))

    def property(self, token: _Token) -> _Node:
        found = self.entity.properties.get(token.text)
        if found is None and self.entity.properties.get(token.text.partition("/")[0]) is None:
            raise QueryError(
                f"No property '{token.text}' exists in type '{self.entity.clr}' at position {token.position}."
            )
        if found is None or found.is_collection:  # no filtering on navigation properties [KB-query]
            raise QueryError(f"Filtering on '{token.text}' is not supported at position {token.position}.")
        name, default = found.name, found.default
        self.used.add(name)
        if found.type in NUMBERS:
            return _Node("Number", f"System.{found.type}", lambda row: row.get(name, default), name=name)
        clr = "System.Byte[]" if found.type == "Binary" else f"System.{found.type}"
        return _Node(found.type, clr, lambda row: row.get(name, default), name=name)


@lru_cache(maxsize=256)
def compile_filter(entity: EntityType, text: str) -> Filter:
    """Compile a `$filter`. Raises QueryError with the vendor's wording."""
    parser = _Parser(entity, text, _tokens(text))
    node = parser.disjunction()
    rest = parser.peek()
    if rest.kind != "end":
        raise QueryError(f"Syntax error at position {rest.position}.")
    if node.kind != "Boolean":
        raise QueryError("Expression of type 'System.Boolean' expected at position 0.")
    test = node.value
    return Filter(lambda row: test(row) is True, frozenset(parser.used), node.any_of, node.above)
