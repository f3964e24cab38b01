"""What may become of a record whose counterpart disappeared, per entity: delete, block or neither (rule B19).

Koppel deletes nothing anywhere. What is only blocked or archived keeps its history; a document is not even that: the books
are put right by another document, which a person makes.
"""

from __future__ import annotations

from typing import Literal

Removal = Literal["delete", "block", "neither"]

REMOVAL: dict[str, Removal] = {
    "company": "block",
    "contact": "block",
    "product": "block",
    "order": "neither",
    "invoice": "neither",
    "journal_entry": "neither",
}
INSTEAD: dict[str, str] = {
    "order": "cancel it there, or let it stand",
    "invoice": "credit it with a credit note that names it, or let it stand",
    "journal_entry": "reverse it with an entry that names it, or let it stand",
}


def may_archive(entity: str) -> bool:
    """Whether records of that entity may be archived or blocked because their counterpart is gone.

    >>> may_archive("company"), may_archive("invoice")
    (True, False)
    """
    return REMOVAL[entity] != "neither"
