"""Who is signed in and who else works here: the resources that stand outside every division."""

from __future__ import annotations

from koppel.systems.exact.sandbox.records import Row
from koppel.systems.exact.sandbox.render import iso
from koppel.systems.exact.sandbox.rules import wall
from koppel.systems.exact.sandbox.state import State


def me(state: State) -> list[Row]:
    """The user of the app, as `current/Me` shows him."""
    user = state.staff[0]
    return [
        {
            "UserID": user.id,
            "FullName": user.name,
            "UserName": "koppeling",
            "Email": "koppeling@voorbeeld.example",
            "CurrentDivision": next(iter(state.books)),
            "DivisionCustomer": next(iter(state.books.values())).about["Customer"],
            "Language": "NL-NL",
            "LanguageCode": "nl-NL",
            "Legislation": 1,
            "ServerTime": iso(wall(state.now())),
        }
    ]


def users(state: State) -> list[Row]:
    """Everybody, as `system/Users` shows them."""
    customer = next(iter(state.books.values())).about["Customer"]
    return [{"UserID": person.id, "FullName": person.name, "Customer": customer} for person in state.staff]
