"""A write by name, checked whole before anything could be sent: method, properties, types, what must be given.

Pure. Every complaint about a draft is collected and said at once. What is written nowhere in the table (a type, a collection's
records) is refused, not tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from koppel.model.anything import Draft, Shown
from koppel.model.problem import UsageError
from koppel.systems.exact import catalogue, edm, odata, references
from koppel.systems.exact.vendor_table import Property, VendorResource

LARGEST_BODY = 10 * 1024 * 1024  # [KB-limits]
METHODS = {"create": "POST", "update": "PUT", "delete": "DELETE"}
# Marked mandatory, yet filled by the vendor: the journal from its default [picqer README], the account from the item.
_FILLED = {
    "salesinvoice/SalesInvoices": {"Journal"},
    "salesinvoice/SalesInvoiceLines": {"GLAccount"},
}
# What ties batch and serial numbers to the line they belong to; inside that line there is nothing to say (unverified).
_OF_ITS_LINE = {"DraftStockTransactionID"}


@dataclass(frozen=True, slots=True)
class Checked:
    """A draft that may be sent as far as the table tells. `named`: (property, resource, GUID) still to be looked up."""

    resource: VendorResource
    method: str
    key: odata.Term | None
    native: str | None
    fields: Shown
    named: tuple[tuple[str, str, str], ...]
    doubts: tuple[str, ...]


def check(draft: Draft) -> Checked:
    """The draft with its values as a body wants them. Raises UsageError naming everything that is wrong with it."""
    resource = catalogue.found(draft.name)
    method = METHODS[draft.kind]
    if method not in resource.methods:
        offered = [word for word, other in METHODS.items() if other in resource.methods]
        raise UsageError(
            f"Exact Online offers no {draft.kind} of {resource.path}.",
            remedy=f"It offers: {', '.join(offered)}." if offered else "It can only be read.",
        )
    key, native = _key(resource, draft)
    if draft.kind == "delete":
        if draft.values:
            raise UsageError("A delete takes no values.", remedy="Leave out --set and --file.")
        return Checked(resource, method, key, native, {}, (), ())
    body = _Body(draft)
    fields = body.of(resource, draft.values, creating=draft.kind == "create")
    if draft.kind == "update" and not draft.values:
        body.wrong.append("nothing is given to write")
    unused = sorted(set(draft.unchecked) - body.excused)
    body.wrong += [f"{name}: nothing of that name is left unchecked here" for name in unused]
    if body.wrong:
        raise UsageError(
            f"{resource.path} cannot be written so: {'; '.join(body.wrong)}.",
            remedy=f"See what it takes: --describe. {body.remedy}".strip(),
        )
    if len(edm.write_json(fields)) > LARGEST_BODY:
        raise UsageError("This is more than 10 MB, the most Exact Online takes in one call.")
    return Checked(resource, method, key, native, fields, tuple(body.named), tuple(body.doubts))


def _key(resource: VendorResource, draft: Draft) -> tuple[odata.Term | None, str | None]:
    if draft.kind == "create":
        if draft.native is not None:
            raise UsageError("A new record has no id yet.", remedy="Leave out --id, or say --id to change that record.")
        return None, None
    if draft.native is None:
        raise UsageError(f"Say which record of {resource.path} is meant.", remedy="--id ID")
    if len(resource.key) != 1:
        raise UsageError(f"{resource.path} has a key of {len(resource.key)} parts, which cannot be addressed here.")
    type_ = resource.properties[resource.key[0]].type
    try:
        value = edm.typed(type_, draft.native)
        return edm.literal(type_, value), str(value)
    except ValueError as error:
        raise UsageError(f"{resource.key[0]}: {error}.", remedy="Give the record's id as it is read.") from None


class _Body:
    """Collects a body and everything wrong with it."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.wrong: list[str] = []
        self.remedy = ""
        self.named: list[tuple[str, str, str]] = []
        self.doubts: list[str] = []
        self.excused: set[str] = set()

    def of(
        self,
        resource: VendorResource,
        values: Shown,
        *,
        creating: bool,
        within: VendorResource | None = None,
        at: str = "",
    ) -> Shown:
        """The wire fields of one record, and of the lines inside it. `within`: the record these lines are of."""
        fields: Shown = {}
        for typed, value in values.items():
            try:
                found = catalogue.property_of(resource, typed)
            except UsageError as error:
                self.wrong.append(f"{at}{error.message.removesuffix('.')} ({error.remedy.removesuffix('.')})")
                continue
            if found.name in fields:
                self.wrong.append(f"{at}{found.name} is given twice")
            elif not self._may(resource, found, creating=creating):
                self.wrong.append(f"{at}{found.name} {self._why_not(resource, found, creating=creating)}")
            elif found.many:
                fields[found.name] = self._lines(resource, found, value, creating=creating, at=at)
            else:
                self._value(resource, found, value, fields, at=at)
        if creating:
            missing = [name for name in self._wanted(resource, within) if fields.get(name) in (None, "", [])]
            self.wrong += [f"{at}{name} must be given" for name in missing]
        return fields

    def _may(self, resource: VendorResource, found: Property, *, creating: bool) -> bool:
        # The vendor numbers its records; a key is given only where it names the record an action is for, or one in its list.
        if found.name in resource.key and not (found.mandatory or resource.methods == frozenset({"POST"})):
            return False
        return found.posts if creating else found.puts

    def _why_not(self, resource: VendorResource, found: Property, *, creating: bool) -> str:
        if found.name in resource.key:
            return "is the record's id, which Exact Online gives"
        if not creating and found.posts:
            return "can be given only when the record is made"
        return "is read-only"

    def _wanted(self, resource: VendorResource, within: VendorResource | None) -> list[str]:
        filled = _FILLED.get(resource.path, set[str]())
        parents = set[str]()
        if within is not None:  # a line inside its document says nothing of the document
            parents = {name for name in resource.properties if references.target(resource, name) == within.path}
            parents |= _OF_ITS_LINE
        return [p.name for p in resource.properties.values() if p.mandatory and p.name not in filled | parents]

    def _lines(self, resource: VendorResource, found: Property, value: object, *, creating: bool, at: str) -> object:
        child = catalogue.child_of(resource, found.name)
        if child is None:
            self.wrong.append(f"{at}{found.name}: no listing tells what its records look like")
            return []
        if not creating:
            self.wrong.append(
                f"{at}{found.name}: the lines of a record that exists are written by themselves, as {child.path}"
            )
            return []
        if not isinstance(value, (list, tuple)) or not all(
            isinstance(one, dict) for one in cast("list[object]", value)
        ):
            self.wrong.append(f"{at}{found.name} is a list of records (in a JSON file: [{{…}}, …])")
            return []
        lines = cast("list[Shown]", value)
        return [
            self.of(child, line, creating=True, within=resource, at=f"{at}{found.name}[{number}] ")
            for number, line in enumerate(lines, 1)
        ]

    def _value(self, resource: VendorResource, found: Property, value: object, fields: Shown, *, at: str) -> None:
        try:
            if self.draft.typed and not at and isinstance(value, str):
                read = None if value.lower() == "null" else edm.typed(found.type, value)
            else:
                read = edm.from_json(found.type, value)
            fields[found.name] = edm.encode(found.type, read)
        except ValueError as error:
            self.wrong.append(f"{at}{found.name}: {error}")
            return
        if found.type != "Guid" or fields[found.name] is None:
            return
        target = references.target(resource, found.name)
        if target:
            self.named.append((f"{at}{found.name}", target, str(fields[found.name])))
        elif found.name in self.draft.unchecked:
            self.excused.add(found.name)
            self.doubts.append(f"{at}{found.name}: not looked up, as you said")
        else:
            self.wrong.append(
                f"{at}{found.name} names a record that cannot be looked up, so it might be of another division"
            )
            self.remedy = f"When you have looked it up yourself: --unchecked {found.name}"
