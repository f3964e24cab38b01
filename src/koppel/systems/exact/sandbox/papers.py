"""Documents and the files attached to them, which are fetched from an address of their own with the same sign-in."""

from __future__ import annotations

import base64
import binascii

from koppel.systems.exact.sandbox.behaviour import Behaviour
from koppel.systems.exact.sandbox.books import Books
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.rules import Draft, Refused

ATTACHMENTS = "documents/DocumentAttachments"


def _adding(desk: Desk, draft: Draft) -> None:
    kind = desk.get("documents/DocumentTypes", draft.values["Type"])
    if kind is None:
        raise Refused(500, "Ongeldig: Type")
    draft.values |= {"TypeDescription": kind["Description"], "HID": desk.books.next_number("document", 1)}
    draft.values["DocumentDate"] = draft.values.get("DocumentDate") or desk.today
    draft.values["HasEmptyBody"] = not draft.values.get("Body")


def attaching(root: str) -> Behaviour:
    """What attaching a file does; `root` is the API's address. The file itself is not shown in lists (unverified)."""

    def adding(desk: Desk, draft: Draft) -> None:
        try:
            content = base64.b64decode(draft.values.pop("Attachment"), validate=True)
        except binascii.Error:
            raise Refused(500, "Error in converting value for property 'Attachment' to type 'Binary'") from None
        key = draft.values.get("ID") or desk.books.new_guid(ATTACHMENTS)
        site = root.removesuffix("/api/v1")
        more = {"ID": key, "FileSize": float(len(content)), "Url": f"{site}/docs/SysAttachment.aspx?ID={key}"}
        draft.values |= more | {"_content": base64.b64encode(content).decode()}

    return Behaviour(adding=adding)


def content(books: list[Books], key: str) -> tuple[str, bytes] | None:
    """A file's name and bytes."""
    for one in books:
        found: Row | None = one.records(ATTACHMENTS).get(key)
        if found is not None:
            return found["FileName"], base64.b64decode(found["_content"])
    return None


DOCUMENT = Behaviour(adding=_adding)
