"""The generic REST system keeps the contract with a described API, in each way of paging and of signing in."""

from __future__ import annotations

from pathlib import Path

import pytest

from koppel.sandbox.host import build
from koppel.systems.rest import SYSTEM
from koppel.systems.rest.settings import Settings
from koppel.testing.bench import Bench
from koppel.testing.contract import Contract

WHOLE = (Path(__file__).parent / "rest_voorbeeld.toml").read_text("utf-8")
NAME = "relations"


def described(way: str, records: str, paging: str) -> str:
    """The description with another way of listing."""
    text = WHOLE.replace("/pagina/", f"/{way}/").replace('"relaties"', f'"{records}"')
    begun, _, rest = text.partition("paging  = ")
    return f"{begun}paging  = {paging}\n{rest.partition(chr(10))[2]}"


WAYS = {
    "page": WHOLE,
    "offset": described("vanaf", "", '{ style = "offset", offset = "vanaf", size = "aantal", most = 50, steady = true }'),
    "cursor": described("stroom", "data.items", '{ style = "cursor", next = "meta.volgende", size = "aantal", most = 50, steady = true }'),
    "link": described("link", "", '{ style = "link", size = "aantal", most = 50, steady = true }'),
}  # fmt: skip


def bench(description: str, companies: int = 48) -> Bench:
    host = build(companies=companies, names=["rest"])
    told = host.sandboxes["rest"].contract("http://localhost/voorbeeld")
    secrets = {name: told[name] for name in ("key", "user", "password", "client_id", "client_secret")}

    def act(action, **body):
        return host.control("rest", action, body)

    return Bench(
        system=SYSTEM,
        resource_name=NAME,
        host=host,
        settings=Settings(description=description, **secrets),
        page=10,
        absent={"native": ("9999",), "kvk": ("98765432",), "vat": ("NL001234567B29",)},
        edit=lambda native, text: act("edit", id=native, set={"bedrijfsnaam": text}),
        late=lambda native, text: act("edit", id=native, set={"bedrijfsnaam": text}, late=20),
        add=lambda text: str(act("add", set={"bedrijfsnaam": text})["id"]),
        delete=lambda native: act("delete", id=native),
        refuse=lambda text: act("settings", refuse=[text]),
        natives=lambda: {str(row["id"]) for row in act("relations")["relations"]},
    )


class TestPages(Contract):
    def make(self):
        return bench(WAYS["page"])


class TestOffsets(Contract):
    def make(self):
        return bench(WAYS["offset"])


class TestCursors(Contract):
    def make(self):
        return bench(WAYS["cursor"].replace('kind   = "header"', 'kind = "basic"'))


class TestLinks(Contract):
    def make(self):
        sign_in = 'kind = "client_credentials"\ntoken_url = "http://localhost/voorbeeld/oauth/token"'
        return bench(WAYS["link"].replace('kind   = "header"', sign_in))


@pytest.mark.parametrize("way", ["page", "offset", "cursor", "link"])
def test_every_way_of_listing_tells_the_same(way):
    made = bench(WAYS[way])
    everything = {item.native: made.record(item) for item in made.items()}
    truth = bench(WAYS["page"])
    assert everything == {item.native: truth.record(item) for item in truth.items()}
