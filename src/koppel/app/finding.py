"""Searching an account, and saying that a connection answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from koppel.config.settings_form import settings_form
from koppel.engine.ports import Connection
from koppel.formats import kvk as kvk_format
from koppel.formats import vat as vat_format
from koppel.model.company import Company
from koppel.model.problem import KoppelError, Problem, RetryLater, SetupError, UsageError
from koppel.model.record import Record
from koppel.model.values import Json, Ref
from koppel.systems.spi import Resource


class Hit(msgspec.Struct, frozen=True):
    """One record a search found, as much as the search tells."""

    ref: str
    name: str
    kvk: str | None = None
    branch: str | None = None
    street: str | None = None
    postcode: str | None = None
    city: str | None = None
    is_active: bool | None = None


class Checked(msgspec.Struct, frozen=True):
    """A connection that answered: what was asked, and what the login can reach."""

    connection: str
    system: str
    asked: str
    accounts: tuple[tuple[str, str], ...] = ()
    calls: int = 0


def way_to_find(connection: Connection, text: str) -> tuple[Resource, str, str]:
    """The resource and kind of key that can answer what was typed."""
    searchable = [r for r in connection.system.resources if r.find is not None and r.decode is not None]
    for resource in searchable:
        if "text" in resource.can.find:
            return resource, "text", text
    readers = (("kvk", kvk_format), ("vat", vat_format))
    for resource in searchable:
        for kind, reader in readers:
            if kind in resource.can.find and reader.is_valid(text):
                return resource, kind, reader.compact(text)
    kinds = sorted({kind for r in searchable for kind in r.can.find if kind != "native"})
    raise UsageError(
        f"{connection.name} cannot be searched for {text!r}.",
        remedy=f"{connection.system.title} can be searched by: {', '.join(kinds) or 'nothing'}.",
    )


def hit(ref: Ref, record: Record) -> Hit:
    """A found record as a search shows it."""
    company = record.entity
    if not isinstance(company, Company):
        return Hit(str(ref), company.label())
    place = company.address or company.postal_address
    return Hit(
        str(ref),
        company.name or company.trade_name or company.statutory_name or "",
        company.kvk,
        company.branch,
        (place.first_line() or None) if place else None,
        place.postcode if place else None,
        place.city if place else None,
        company.is_active,
    )


def as_error(name: str, problem: Problem) -> KoppelError:
    """A search that got no answer, as what the caller must do."""
    if problem.retry_at is not None:
        return RetryLater(f"{name}: {problem}", at=problem.retry_at, remedy="Try again later.")
    return UsageError(f"{name}: {problem}")


def reached_or_raise(
    connection: Connection, reached: Sequence[tuple[str, str]], chosen_now: Mapping[str, Json] | None = None
) -> None:
    """Raise SetupError for a setting that was to be chosen from what the login reaches and is not among it."""
    for setting in settings_form(connection.system.name):
        chosen = (chosen_now or {}).get(setting.name, getattr(connection.settings, setting.name, None))
        if setting.chosen_from == "accounts" and reached and chosen is not None:
            ids = [id_ for id_, _ in reached]
            if str(chosen) not in ids:
                raise SetupError(
                    f"{connection.name}: {setting.title.lower()} {chosen} is not among those this sign-in can reach: {', '.join(ids)}.",
                    remedy=f"koppel connect {connection.name} --set {setting.name}={ids[0]}, or sign in again and grant it.",
                )
