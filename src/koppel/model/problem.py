"""What can go wrong, sorted by what the caller must do; every message says what, where and the remedy.

    KoppelError
    ├── UsageError      wrong input or file: mend what you typed            (exit 2)
    ├── SetupError      the set-up is wrong: an operator must act           (exit 3)
    ├── SignInNeeded    a person must sign in again                         (exit 4)
    ├── RetryLater      nothing is wrong; it goes on at `at`
    └── Bug             our own mistake: loud
A record that must be mended is not an exception but a `Problem` value: one bad record never stops a run (law 4).
"""

from __future__ import annotations

import msgspec


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing wrong with one record, as data.

    `code` is ours and stable; `text` is for people; `field` is the vendor's or canonical field; `vendor_text`,
    `vendor_code`, `status` and `request_id` are what the vendor answered, verbatim. `retry_at` (epoch seconds) is set when time
    alone may mend it. `about` names what a list of such problems is ordered by (a table and a code).
    """

    code: str
    text: str
    field: str | None = None
    vendor_text: str | None = None
    vendor_code: str | None = None
    status: int | None = None
    request_id: str | None = None
    retry_at: float | None = None
    about: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        said = (
            f" (the vendor says: {self.vendor_text})" if self.vendor_text and self.vendor_text not in self.text else ""
        )
        return f"{where}{self.text}{said}"


class KoppelError(Exception):
    """Base of every error meant for people. `remedy` says what to do next."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class UsageError(KoppelError):
    """What was typed or written is wrong."""

    exit_code = 2


class SetupError(KoppelError):
    """A connection, right or setting is wrong; an operator must act."""

    exit_code = 3


class SignInNeeded(KoppelError):
    """A login is dead; a person must sign in again."""

    exit_code = 4

    def __init__(self, message: str, *, login: str = "", remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.login = login


class RetryLater(KoppelError):
    """A limit or outage: nothing is lost, the work goes on at `at` (epoch seconds)."""

    def __init__(self, message: str, *, at: float, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.at = at


class Bug(KoppelError):
    """Our own mistake; never caught."""
