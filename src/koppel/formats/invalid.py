"""What every number module raises: one clear sentence with what is wrong, why, and the remedy."""

from __future__ import annotations


class InvalidNumber(ValueError):
    """A text is not the number it should be.

    `what` names the number ("KVK number"), `value` is what the caller typed and nothing more (never a number looked up
    or completed by us, so that no personal number appears that was not there), `reason` says why, `remedy` what to do.

    >>> str(InvalidNumber("KVK number", "12", "it has 2 digits, not 8", "look it up on the invoice"))
    "'12' is not a KVK number: it has 2 digits, not 8; look it up on the invoice"
    """

    def __init__(self, what: str, value: str, reason: str, remedy: str) -> None:
        article = "an" if what[:1] in "AEIO" or what.startswith("RSIN") else "a"
        super().__init__(f"{value!r} is not {article} {what}: {reason}; {remedy}")
        self.what = what
        self.value = value
        self.reason = reason
        self.remedy = remedy


def digits_only(what: str, value: str, compacted: str, remedy: str) -> str:
    """`compacted` when it holds digits and nothing else. Raises InvalidNumber, saying "empty" for an empty text."""
    if not compacted:
        raise InvalidNumber(what, value, "it is empty", remedy)
    if not (compacted.isascii() and compacted.isdigit()):
        raise InvalidNumber(what, value, "it holds something other than digits", remedy)
    return compacted
