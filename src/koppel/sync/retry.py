"""When something that could not be done is tried again by itself. Pure.

A record or a flow that changes is looked at again at once, whatever stands here: this is about the same thing, tried again.
"""

from __future__ import annotations

MAX_TRIES = 10
"""Automatic tries of one and the same thing. With the waits below they reach over more than six days (refusals) or four
(outages): a long weekend, a closed administration or a vendor's bad day is over by then. What is refused after that is not
going to mend by itself, and each try costs a call and counts as an error with vendors that allow few of them."""

REFUSED_FIRST = 3600.0  # a vendor that said no: somebody may mend it there, nobody does within minutes
OUTAGE_FIRST = 900.0  # no answer: over soon, more often than not
LONGEST = 24 * 3600.0


def next_try(failed: int, *, at: float, told: float | None, refused: bool) -> float | None:
    """When to try again after `failed` failures in a row at `at`; None: no more by itself, it waits for a person.

    `told` is the time somebody who knows named (the vendor, an outage's end): the first try keeps to it, and none is earlier.

    >>> next_try(1, at=0.0, told=None, refused=True), next_try(2, at=0.0, told=None, refused=True)
    (3600.0, 7200.0)
    >>> next_try(1, at=0.0, told=60.0, refused=False), next_try(2, at=0.0, told=60.0, refused=False)
    (60.0, 1800.0)
    >>> next_try(11, at=0.0, told=60.0, refused=False) is None
    True
    """
    if failed > MAX_TRIES:
        return None
    if failed <= 1 and told is not None:
        return told
    first = REFUSED_FIRST if refused else OUTAGE_FIRST
    wait = min(LONGEST, first * 2 ** (failed - 1))
    return max(at + wait, told or 0.0)
