"""What this app connector may use in this environment, and which fields this tenant has. [OAS, MD custom-fields]

`metainfo`, `metainfo/get/{id}` and `metainfo/update/{id}`; labels follow the language.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from koppel.model.values import Json
from koppel.systems.afas.sandbox_body import Tenant
from koppel.systems.afas.sandbox_books import Books, wall
from koppel.systems.afas.sandbox_errors import Label
from koppel.systems.afas.sandbox_fields import UPDATES, Entity, Field
from koppel.systems.afas.sandbox_read import allowed, columns_of, stamp_text
from koppel.systems.afas.sandbox_rows import CONNECTORS, Column
from koppel.systems.afas.sandbox_signin import Classic
from koppel.systems.afas.sandbox_state import MEMBER, Environment, State
from koppel.systems.afas.sandbox_write import tenant_of, update_allowed

VERSION_CONNECTOR = "AppConnectorVersion"
_CUSTOM = ("AppConnectorReport", "AppConnectorSubject", VERSION_CONNECTOR)
_CODE, _TEXT, _MEMO = 5, 1, 23  # control types seen [OAS]; the lists of codes use 4


def overview(state: State, environment: Environment, token: Classic | str, language: str) -> Json:
    """`GET metainfo`."""

    def listed(entries: Mapping[str, Label]) -> list[dict[str, str]]:
        return [
            {"id": id_, "description": label.text(language)}
            for id_, label in entries.items()
            if id_ not in state.switches.hide_connector
        ]

    # "0" stands for a token without an end; how an end is written is unverified
    expiry = stamp_text(wall(token.expires)) if isinstance(token, Classic) and token.expires is not None else "0"
    return {
        "updateConnectors": listed({id_: entity.label for id_, entity in UPDATES.items()}),
        "getConnectors": listed({id_: connector.label for id_, connector in CONNECTORS.items()}),
        "customConnectors": listed({id_: Label(id_, id_) for id_ in _CUSTOM}),
        "info": {
            "envid": environment.id,
            "appName": "Koppeling",
            "group": f"Koppelingen ({MEMBER}.KOPPEL)",
            "tokenExpiry": expiry,
        },
    }


def get_fields(state: State, environment: Environment, id_: str, language: str) -> Json:
    """`GET metainfo/get/{id}`. Raises Refused."""
    connector = allowed(state, id_)
    return {
        "name": connector.id,
        "description": connector.label.text(language),
        "fields": [
            {
                "id": column.name,
                "fieldId": _field_id(environment.books, column, number),
                "dataType": column.type,
                "label": column.label.text(language),
                "length": column.length,
                "controlType": _TEXT,
                "decimals": 2 if column.type == "decimal" else 0,
                "decimalsFieldId": "",
            }
            for number, column in enumerate(columns_of(state, connector).values(), 1)
        ],
    }


def _field_id(books: Books, column: Column, number: int) -> str:
    """A free field keeps the id it has in the UpdateConnector."""
    if column.free is not None:
        connector, label = column.free
        return next((own.name for own in books.free.get(connector, ()) if own.label.nl == label), "")
    return f"U{number:03}"


def update_fields(state: State, environment: Environment, id_: str, language: str) -> Json:
    """`GET metainfo/update/{id}`. Raises Refused."""
    entity = update_allowed(state, id_)
    shown = _entity(entity, tenant_of(state, environment), language)
    return {"id": entity.name, "description": entity.label.text(language), **shown}


def _entity(entity: Entity, tenant: Tenant, language: str) -> dict[str, Any]:
    return {
        "name": entity.name,
        "fields": [_field(found, language) for found in tenant.fields(entity).values()],
        "objects": [_entity(below, tenant, language) for below in entity.objects.values()],
    }


def _field(found: Field, language: str) -> dict[str, Any]:
    codes = found.codes
    return {
        "fieldId": found.name,
        "primaryKey": found.primary,
        "dataType": found.type,
        "label": found.label.text(language),
        "mandatory": found.mandatory,
        "length": found.length,
        "decimals": 2 if found.type == "decimal" else 0,
        "decimalFieldId": "",
        "notzero": False,
        "controlType": 4 if codes else _MEMO if found.type == "blob" else _CODE if found.primary else _TEXT,
        "values": None if codes is None else [{"id": id_, "description": text} for id_, text in codes.items()],
    }
