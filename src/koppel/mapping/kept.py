"""Which fields of a record the flows have a use for: all that a connection with `cache = "mapped"` keeps.

Careful rather than narrow: whatever a flow names anywhere is kept, and what recognises and names a record always is, so that
a flow decides the same on the kept fields as on the whole record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from koppel.mapping.flow import Flow
from koppel.mapping.paths import MATCH_KEYS, roots
from koppel.mapping.transforms import TRANSFORMS, Transform, resolve
from koppel.model.can import Can
from koppel.model.record import Record
from koppel.model.values import Json

# What recognises a record, names it for people, and says what it stands for.
ALWAYS: dict[str, frozenset[str]] = {
    "company": frozenset(
        {
            "name", "trade_name", "statutory_name", "kvk", "branch", "rsin", "vat_number", "vat_candidate", "code",
            "is_active", "personal", "successor",
        }
    ),
    "contact": frozenset({"first_name", "prefix", "last_name", "email", "code", "company", "is_active"}),
}  # fmt: skip
# What weak evidence and its reasons are read from.
EVIDENCE = frozenset(
    {"address", "invoice_address", "delivery_address", "postal_address", "email", "phone", "mobile", "website"}
)
_WORD = re.compile(r"\w+")


def kept_fields(
    entity: str, flows: Iterable[Flow], *, can: Can, transforms: Mapping[str, Transform] = TRANSFORMS
) -> frozenset[str] | None:
    """The entity's fields to keep of a resource (that can this much) that these flows use; None: all of them (documents, whose
    lines and dates are counted; a transform that says not what it reads of a record)."""
    if entity not in ALWAYS:
        return None
    kept = ALWAYS[entity]
    for flow in flows:
        named = [rule.transform for first in flow.fields for rule in first.alternatives if rule.transform]
        whole = [found for found, _ in (resolve(name, transforms) for name in named) if found.takes == "record"]
        if any(not transform.reads for transform in whole):
            return None
        kept = kept.union(*(transform.reads for transform in whole))
        kept |= {word for text in _texts(msgspec.to_builtins(flow)) for word in _WORD.findall(text)}
        kept |= {p.split(".", 1)[0] for kind in flow.match.keys for p in MATCH_KEYS.get(entity, {}).get(kind, ())}
        kept |= EVIDENCE if flow.match.propose else frozenset()
    has = {field.path.split(".", 1)[0] for field in can.fields}  # what it never shows it need not be read again for
    return (kept & roots(entity) & has) | ALWAYS[entity]


def reduced(record: Record, kept: frozenset[str] | None) -> Record:
    """The record with those fields only; the vendor's own fields are the ones flows name already."""
    if kept is None:
        return record
    entity = record.entity
    values = {name: getattr(entity, name) for name in entity.__struct_fields__ if name in kept}
    return Record(type(entity)(**values), record.own)


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield str(name)
            yield from _texts(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, str):
        yield value
