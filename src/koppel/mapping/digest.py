"""The meaning of a flow as canonical JSON, and its digest: what a stored plan is bound to.

Comments, layout, the order of keys, the title and what equals its default are no part of the meaning.
"""

from __future__ import annotations

import hashlib
import json

import msgspec

from koppel.mapping.flow import FieldRule, Flow
from koppel.model.values import Json

# The algorithm travels with the digest, so that it can be changed one day without misreading what is stored.
ALGORITHM = "b2"


def meaning(flow: Flow) -> dict[str, Json]:
    """Everything that decides what the flow does, as plain JSON; fields by their key. What is as it always was is left out, so
    that a Koppel that knows more keys gives the same digest."""
    plain = _told(flow)
    for name in ("title", "digest"):
        plain.pop(name, None)
    plain["fields"] = {rule.key: rule_meaning(rule) for rule in flow.fields}
    return plain


def rule_meaning(rule: FieldRule) -> dict[str, Json]:
    """Everything that decides what one rule does; where it stands in the file does not."""
    plain = _told(rule)
    for alternative in (plain, *plain.get("otherwise", ())):
        alternative.pop("line", None)
    return plain


def _told(value: Json) -> Json:
    """Plain JSON of a struct without what equals its default."""
    if isinstance(value, msgspec.Struct):
        given = [(field, getattr(value, field.name)) for field in msgspec.structs.fields(value)]
        return {field.encode_name: _told(item) for field, item in given if item != _default(field)}
    if isinstance(value, (list, tuple)):
        return [_told(item) for item in value]
    return msgspec.to_builtins(value)


def _default(field: msgspec.structs.FieldInfo) -> Json:
    return field.default_factory() if callable(field.default_factory) else field.default


def rule_texts(flow: Flow) -> dict[str, str]:
    """Each rule by its key, as text that changes when its meaning does, or the table it reads: by them it is known what an
    edit touched."""
    return {rule.key: json.dumps(_with_table(flow, rule), sort_keys=True) for rule in flow.fields}


def digest_of(flow: Flow) -> str:
    """The digest of the flow's meaning, e.g. `b2:4f0c…` (32 hex digits)."""
    canonical = json.dumps(meaning(flow), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"{ALGORITHM}:{hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()}"


def _with_table(flow: Flow, rule: FieldRule) -> tuple[dict[str, Json], dict[str, Json]]:
    tables = {each.table: flow.tables.get(each.table, {}) for each in rule.alternatives if each.table}
    return rule_meaning(rule), tables
