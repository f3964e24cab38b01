"""The generic REST system: empty by itself, and for an account what its description offers."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial

from koppel.model.can import Field
from koppel.systems.rest import resources, wire
from koppel.systems.rest.auth import AUTH
from koppel.systems.rest.description import read
from koppel.systems.rest.settings import Settings, hosts
from koppel.systems.spi import Exchange, Request, Response, Site, System, Verdict


def _undescribed(request: Request, response: Response, as_of: float) -> Verdict:
    """Nothing is sent without a description."""
    return Verdict("ok")


def own_fields(site: Site) -> Exchange[tuple[Field, ...]]:
    """The vendor's own fields that the description names: there is nobody else to ask."""
    return tuple(field for each in tailored(site.settings).resources for field in each.can.fields if field.own)
    yield  # pragma: no cover


def tailored(settings: Settings) -> System:
    """The system of one account. Raises SetupError."""
    return _tailored(settings.description, settings.base_url)


@lru_cache(maxsize=64)
def _tailored(description: str, base_url: str) -> System:
    """By what the system depends on: no secret is kept in a cache."""
    settings = Settings(description=description, base_url=base_url)
    return replace(
        SYSTEM,
        title=read(description).title,
        resources=resources.resources(description),
        verdict=partial(wire.verdict_of, settings),
        budgets=wire.budgets(settings),
    )


SYSTEM = System(
    name="rest",
    title="A described REST API",
    settings=Settings,
    resources=(),
    auth=AUTH,
    verdict=_undescribed,
    metadata=own_fields,
    hosts=hosts,
    sandbox="koppel.systems.rest.sandbox:make",
    tailored=tailored,
)
