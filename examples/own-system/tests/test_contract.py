"""Boekje keeps the contract of every system, against its sandbox."""

from koppel.sandbox.host import build
from koppel.testing.bench import Bench
from koppel.testing.contract import Contract

from koppel_boekje import SYSTEM
from koppel_boekje.settings import Settings


class TestRelaties(Contract):
    def make(self) -> Bench:
        host = build(companies=40, names=["boekje"])
        told = host.sandboxes["boekje"].contract("http://localhost/boekje")
        return Bench(
            system=SYSTEM,
            resource_name="relaties",
            host=host,
            settings=Settings(**told),
            page=10,
            absent={"native": ("9999",), "kvk": ("98765432",), "vat": ("NL001234567B29",)},
            edit=lambda native, text: host.control("boekje", "edit", {"id": native, "set": {"naam": text}}),
            add=lambda text: str(host.control("boekje", "add", {"set": {"naam": text}})["nummer"]),
            delete=lambda native: host.control("boekje", "delete", {"id": native}),
            refuse=lambda text: host.control("boekje", "refuse", {"name": text}),
            natives=lambda: {str(row["nummer"]) for row in host.state("boekje")},
        )
