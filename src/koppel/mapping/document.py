"""A flow as the mapping document a controller can sign: Markdown, in English or Dutch, made from nothing but the flow
and the two field tables, so that what is signed is what runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from koppel.mapping.document_words import FIELD_NAMES, SCHEDULES_NL, WORDS, Language
from koppel.mapping.flow import Condition, FieldRule, Flow, SideName, other
from koppel.mapping.transforms import TRANSFORMS, Transform, resolve
from koppel.model.can import Can, Field
from koppel.model.values import Json

UNSET = msgspec.UNSET
NOTHING = "-"
SIDES: tuple[SideName, SideName] = ("left", "right")


def mapping_document(
    flow: Flow,
    *,
    left: Can,
    right: Can,
    left_title: str,
    right_title: str,
    language: Language = "en",
    transforms: Mapping[str, Transform] = TRANSFORMS,
) -> str:
    """The document as Markdown, ending in a place to sign."""
    tables: dict[SideName, dict[str, Field]] = {
        "left": {field.path: field for field in left.fields},
        "right": {field.path: field for field in right.fields},
    }
    page = _Page(flow, tables, {"left": left_title, "right": right_title}, language, transforms)
    sections = (
        ("", [f"# {_line(flow.title)}", "", page.intro()]),
        ("fields", [page.table(), "", page.word("untouched")]),
        ("scope", page.scope()),
        ("matching", page.matching()),
        ("creating", [*(page.creating(side) for side in SIDES), *page.existing()]),
        ("missing", [page.missing(side) for side in SIDES]),
        ("running", page.running()),
        ("brakes", page.brakes()),
        ("agreed", [page.sign()]),
    )
    parts = [f"{f'## {page.word(name)}' if name else ''}\n\n{_block(lines)}".strip() for name, lines in sections]
    return "\n\n".join(parts) + "\n"


def _block(lines: Iterable[str]) -> str:
    return "\n".join(lines)


@dataclass(frozen=True)
class _Page:
    """One document being written: a flow, both field tables, the titles people know, and a language."""

    flow: Flow
    tables: Mapping[SideName, Mapping[str, Field]]
    titles: Mapping[SideName, str]
    language: Language
    transforms: Mapping[str, Transform]

    def word(self, name: str, /, **values: object) -> str:
        return WORDS[self.language][name].format(**self.titles, **values)

    def intro(self) -> str:
        flow = self.flow
        refs = {"left_ref": flow.left, "right_ref": flow.right}
        return self.word("intro", id=flow.id, digest=flow.digest, **refs)

    # --- the table of fields ------------------------------------------------------------------------------------

    def table(self) -> str:
        head = [_cell(title) for title in self.word("head").split("|")]
        return _table(head, [self.row(each) for rule in self.flow.fields for each in rule.alternatives])

    def row(self, rule: FieldRule) -> list[str]:
        return [
            self.field_name(rule.path),
            self.shown_in("left", rule),
            self.shown_in("right", rule),
            self.stands(rule),
            self.word(rule.when),
            self.empty(rule),
            self.lost(rule),
            self.remarks(rule),
        ]

    def field_name(self, path: str) -> str:
        """A canonical path as people say it; a vendor's own field keeps its name."""
        known = FIELD_NAMES[self.language]
        root, dot, rest = path.partition(".")
        if root in self.tables["left"] or root in self.tables["right"] or root in known:
            own = any(root in table and table[root].own for table in self.tables.values())
            return path if own else known.get(root, root.replace("_", " ")) + (f" ({rest})" if dot else "")
        return path

    def shown_in(self, side: SideName, rule: FieldRule) -> str:
        """The vendor's field or fields on that side, or what stands there instead."""
        if rule.derived and side == rule.from_side:
            if rule.const is not UNSET:
                return self.word("const", value=self.value(rule.const))
            if self.whole_record(rule):
                return self.word("record")
            return self.vendor_fields(side, rule.source or rule.path)
        return self.vendor_fields(side, rule.path)

    def vendor_fields(self, side: SideName, path: str) -> str:
        table = self.tables[side]
        found = table.get(path) or table.get(path.split(".", 1)[0])
        if found is None:
            return f"`{path}`" if "." not in path and path not in FIELD_NAMES["nl"] else self.word("absent")
        return ", ".join(f"`{name}`" for name in found.vendor or (found.path,))

    def whole_record(self, rule: FieldRule) -> bool:
        found = self.transforms.get((rule.transform or "").partition(":")[0])
        return found is not None and found.takes == "record"

    def stands(self, rule: FieldRule) -> str:
        owner = rule.from_side
        if owner is None:
            return self.word(rule.owner)
        name = "own_leave" if rule.drift == "leave" or rule.when == "create" else "own"
        return self.word(name, side=self.titles[owner], other=self.titles[other(owner)])

    def empty(self, rule: FieldRule) -> str:
        if rule.const is not UNSET:
            return self.word("never")
        if rule.default is not UNSET:
            return self.word("default", value=self.value(rule.default))
        if rule.defaults:
            parts = [
                self.word("default_of", code=code, value=self.value(value)) for code, value in rule.defaults.items()
            ]
            return self.word("default_by", field=self.field_name(rule.default_by or ""), lines="; ".join(parts))
        return self.word(rule.empty)

    def lost(self, rule: FieldRule) -> str:
        said: list[str] = []
        for side in SIDES:
            path = rule.source or rule.path if side == rule.from_side else rule.path
            found = self.tables[side].get(path)
            if found is not None and found.lossy and not (rule.const is not UNSET and side == rule.from_side):
                said.append(f"{self.titles[side]}: {found.lossy.rstrip('.')}.")
        return " ".join(said) or NOTHING

    def remarks(self, rule: FieldRule) -> str:
        said: list[str] = []
        if rule.where:
            conditions = f" {self.word('and')} ".join(self.condition(condition) for condition in rule.where)
            said.append(self.word("where" if rule.number in (None, 0) else "else_where", conditions=conditions))
        elif rule.number:
            said.append(self.word("otherwise"))
        if rule.forward:
            said.append(self.word("forward", order=" → ".join(rule.forward)))
        if rule.table:
            lines = [f"{code} → {self.value(value)}" for code, value in self.flow.tables.get(rule.table, {}).items()]
            said.append(self.word("table", name=rule.table, lines="; ".join(lines)))
        if rule.transform:
            said.append(self.transform(rule.transform))
        for side in rule.to_sides:
            found = self.tables[side].get(rule.path)
            if found is not None and found.note:
                said.append(f"{self.titles[side]}: {found.note}")
        return ". ".join(text.rstrip(".") for text in said) or NOTHING

    def transform(self, text: str) -> str:
        try:
            transform, count = resolve(text, self.transforms)
        except ValueError:
            return text
        said = transform.nl if self.language == "nl" else transform.en
        return (said or transform.name).replace("{n}", str(count))

    def value(self, value: Json) -> str:
        if isinstance(value, bool):
            return self.word("true" if value else "false")
        if isinstance(value, (list, tuple)):
            return ", ".join(self.value(item) for item in value)
        return f"“{value}”" if isinstance(value, str) else str(value)

    # --- sentences ----------------------------------------------------------------------------------------------

    def scope(self) -> list[str]:
        flow = self.flow
        take = [] if flow.scope.take == "all" and flow.scope.left else [self.word(f"take_{flow.scope.take}")]
        sides: tuple[tuple[SideName, tuple[Condition, ...]], ...] = (
            ("left", flow.scope.left),
            ("right", flow.scope.right),
        )
        lines = [
            self.word("scope_left", side=self.titles[side], conditions=self.conditions(found)) for side, found in sides
        ]
        start = [self.word("start", start=flow.start)] if flow.start else []
        return _bullets([*take, *lines, *self.together(), *start])

    def together(self) -> list[str]:
        """How documents are posted together."""
        group = self.flow.group
        if group is None:
            return []
        keys = f" {self.word('and')} ".join(self.field_name(key) for key in group.keys)
        lines = [self.word("group_day", source=group.source, keys=keys)]
        if group.scope:
            said = f" {self.word('and')} ".join(self.condition(condition) for condition in group.scope)
            lines.append(self.word("group_scope", conditions=said))
        if group.rounding:
            lines.append(self.word("group_rounding", tolerance=group.tolerance, ledger=group.rounding))
        return [*lines, self.word(f"group_{group.late}")]

    def conditions(self, conditions: tuple[Condition, ...]) -> str:
        if not conditions:
            return self.word("everything")
        joined = f" {self.word('and')} ".join(self.condition(condition) for condition in conditions)
        return self.word("only", conditions=joined)

    def condition(self, condition: Condition) -> str:
        if condition.any:
            alternatives = f" {self.word('or')} ".join(self.condition(part) for part in condition.any)
            return f"({alternatives})"
        name = self.field_name(condition.field)
        if condition.filled is not UNSET:
            return f"{name} {self.word('filled' if condition.filled else 'empty')}"
        tests = {"is": condition.is_, "is_not": condition.is_not, "in": condition.in_, "not_in": condition.not_in}
        test, value = next((test, value) for test, value in tests.items() if value is not UNSET)
        return f"{name} {self.word(test)} {self.value(value)}"

    def matching(self) -> list[str]:
        match = self.flow.match
        lines = [self.word("no_keys")]
        if match.keys:
            names = f" {self.word('or')} ".join(self.key_name(kind) for kind in match.keys)
            lines = [self.word("keys", keys=names)]
        if match.propose:
            lines.append(self.word("propose", evidence=", ".join(match.propose)))
        lines.append(self.word(f"shared_{match.shared_key}"))
        return _bullets(lines)

    def key_name(self, kind: str) -> str:
        return self.field_name("vat_number" if kind == "vat" else kind)

    def creating(self, side: SideName) -> str:
        name = "creates" if self.flow.creates(side) else "creates_not"
        return f"- {self.word(name, side=self.titles[side], other=self.titles[other(side)])}"

    def existing(self) -> list[str]:
        return _bullets([self.word("exists_skip")]) if self.flow.exists == "skip" else []

    def missing(self, side: SideName) -> str:
        name = f"missing_{self.flow.missing(side)}"
        return f"- {self.word(name, side=self.titles[side], other=self.titles[other(side)])}"

    def running(self) -> list[str]:
        run = self.flow.run
        lines = [self.word("schedule", schedule=self.schedule(run.schedule)) if run.schedule else self.word("by_hand")]
        if run.window:
            lines.append(self.word("window", window=run.window))
        if run.reconcile:
            lines.append(self.word("reconcile", reconcile=self.schedule(run.reconcile)))
        if run.refresh:
            lines.append(self.word("refresh", days=self.duration(run.refresh)))
        return _bullets(lines)

    def schedule(self, text: str) -> str:
        if self.language == "en" or "*" in text:
            return text
        return SCHEDULES_NL.get(text) or " ".join(SCHEDULES_NL.get(word, word) for word in text.split())

    def duration(self, seconds: float) -> str:
        for name, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
            if seconds % size == 0:
                return self.word(name, n=int(seconds // size))
        return self.word("second", n=int(seconds))

    def brakes(self) -> list[str]:
        brakes = self.flow.run.brakes
        share = None if brakes.share is None else f"{brakes.share:.0%}".replace("%", " %")
        limits = {"creates": brakes.creates, "deletes": brakes.deletes, "share": share, "money": brakes.money}
        said = [
            self.word("brake_any") if name == "deletes" and limit == 0 else self.word(f"brake_{name}", n=limit)
            for name, limit in limits.items()
            if limit is not None
        ]
        first = [self.word("brake_first")] if brakes.first and self.flow.scope.take != "intake" else []
        if not said:
            return first or [self.word("no_brakes")]
        joined = f" {self.word('or')} ".join(filter(None, [", ".join(said[:-1]), said[-1]]))
        return [" ".join((self.word("brake", limits=joined), *first))]

    def sign(self) -> str:
        head = self.word("sign").split("|")
        return _table(head, [["&nbsp;"] * len(head) for _ in range(2)])


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *([_cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """A cell must not break its row."""
    return _line(text).replace("|", "\\|")


def _line(text: str) -> str:
    return " ".join(text.split())


def _bullets(lines: list[str]) -> list[str]:
    return [f"- {line}" for line in lines]
