"""The reasons a person can be given, each with a code that stays: what stands in the way, or what made a value as it is.

A reason in the trail is a sentence that `sync.merge` and `sync.decide` gave when they decided; `code_of` says which code such
a sentence has, so that old entries are explained as well.
"""

from __future__ import annotations

import re

import msgspec

from koppel.engine.provenance import Provenance
from koppel.model.values import Json


class Reason(msgspec.Struct, frozen=True):
    """One line of an explanation: when, what, who, and the trail entry that says so (0: the store's present state).

    `code` is stable; `flow` whose doing it is; `details` what a program may want of the sentence; `origin` where a value
    that was written or agreed came from.
    """

    at: float | None
    text: str
    entry: int = 0
    actor: str = ""
    field: str = ""
    before: Json = None
    after: Json = None
    code: str = ""
    flow: str = ""
    details: dict[str, Json] = {}
    origin: Provenance | None = None


# Every code, with what it says. The ones above the line are of a record, those below it of a field.
CODES: dict[str, str] = {
    "no_flow": "no flow of this workspace reads or writes it",
    "set_up": "a connection of the flow cannot be opened",
    "not_read": "nothing of that resource was read yet",
    "not_taken_in": "the left cannot be listed, and nobody took this record in",
    "never_seen": "the resource was read, and the record was not among what it showed",
    "erased": "it belongs to somebody who was erased, and is left out",
    "restricted": "it belongs to somebody whose records are only kept",
    "gone": "it is gone there",
    "counterpart_gone": "its counterpart is gone",
    "in_doubt": "an operation about it is in doubt",
    "asked": "a question about it waits for a person",
    "parked": "it could not be done, and is parked",
    "needs": "something it refers to is not there yet",
    "answered": "a person has decided; the next run carries it out",
    "left_out": "a person decided to leave it out",
    "left_alone": "its counterpart was removed, and it is left alone since",
    "brake": "a brake held the run",
    "run_failed": "the last run ended before it came to this",
    "not_run": "the flow has not run since",
    "out_of_scope": "it is outside the flow's scope",
    "counterpart_out_of_scope": "its counterpart is outside the flow's scope",
    "before_start": "it is dated before the flow's start, and nothing from before it is created",
    "no_key": "it carries none of the keys the flow matches on",
    "no_match": "nobody on the other side carries its keys, and the flow makes no record there",
    "apart": "a person held it apart from the record that carries its key",
    "follows": "another record that carries its key is decided about first",
    "other_side_unread": "the other side has not been read or asked yet",
    "let_go": 'its values are not kept here (cache = "hashes"): they are read when something changes',
    "to_be_read": "something it is compared with has to be read anew first",
    "unseen_counterpart": "its counterpart was made, and has not shown itself yet",
    "posted_together": "it is counted in a posting, which is what the flow posts",
    "exists_skipped": "it was there before the flow met it, and the flow skips what exists",
    "linked": "it is linked, and nothing is left to do",
    # ---
    "not_in_flow": "the flow does not name the field",
    "not_linked": "there is no counterpart to compare it with",
    "equal": "both sides show the same",
    "owner_stands": "the owner's value stands; an edit elsewhere is put back",
    "newest": "the newer value stands",
    "changed": "one side changed it, and may",
    "first_contact": "the sides met for the first time",
    "union": "everything both sides hold",
    "created": "given when the record was made",
    "rewritten": "it was written again, since the vendor had not kept it",
    "drift_leave": "an edit the owner did not make is left alone",
    "empty_keeps": "an empty value wipes nothing",
    "cannot_write": "the field cannot be written there",
    "rule_not_held": "the rule of the field is for other records",
    "forward": "a status moves forward",
    "forward_only": "a status only moves forward",
    "when_create": "the field is only given to a new record",
    "not_for_followers": "of several records that share a key only legal facts are kept in step",
    "kept_differently": "the vendor keeps it in a spelling of its own",
    "left_by_person": "a person left both as they are",
    "person": "a person decided",
    "undone": "a run was undone; both sides stay as they are until one of them changes",
    "unmapped": "a code has no line in the flow's table",
    "unreadable": "the value cannot be read or made",
    "on_its_way": "it was written, and does not show yet",
    "to_be_written": "a run would write it",
    "to_be_asked": "a run would ask about it",
    "to_be_parked": "a run would park it",
    "to_be_agreed": "a run would note that both agree",
}

_SENTENCES: tuple[tuple[str, str], ...] = (
    (r"an empty value wipes nothing", "empty_keeps"),
    (r"undo of run", "undone"),
    (r"the (left|right) cannot be written here", "cannot_write"),
    (r"(kept in|the same in) the vendor's own spelling", "kept_differently"),
    (r"decided by a person: both stay", "left_by_person"),
    (r"decided by a person", "person"),
    (r"written before, but the vendor did not keep it", "rewritten"),
    (r"everything both sides hold|what both sides added and removed", "union"),
    (r"a status only moves forward", "forward_only"),
    (r"(.*; )?a status moves forward", "forward"),
    (r"an edit the owner did not make is left alone", "drift_leave"),
    (r".*; the (left|right) owns it", "owner_stands"),
    (r".*; the (left|right) is newer", "newest"),
    (r"(left|right) changed", "changed"),
    (r"first contact", "first_contact"),
)


def code_of(because: str) -> str:
    """The code of a sentence a decision gave for a field.

    >>> code_of("changed on the right; the left owns it"), code_of("undo of run 3"), code_of("")
    ('owner_stands', 'undone', '')
    """
    return next((code for pattern, code in _SENTENCES if re.match(pattern, because)), "")
