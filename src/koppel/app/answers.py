"""What people type as an answer: a value of their own has to fit the field it is for, on both sides."""

from __future__ import annotations

from koppel.app.flow_files import SIDES
from koppel.app.flows import Flows
from koppel.mapping.kinds_fit import misfit
from koppel.model.can import Field
from koppel.model.problem import UsageError
from koppel.model.values import Json


def check_typed(workspace: Flows, flow_id: str, key: str, value: Json) -> None:
    """Refuse a typed value that a side could not hold in this field. Raises UsageError."""
    for field in _fields(workspace, flow_id, key):
        wrong = _address_misfit(value) if field.kind == "address" else misfit(value, field.kind)
        if wrong is None and field.values and value not in field.values:
            wrong = f"it must be one of: {', '.join(field.values)}"
        if wrong is None and field.max_length and isinstance(value, str) and len(value) > field.max_length:
            wrong = f"there is room for {field.max_length} characters, it has {len(value)}"
        if wrong is not None:
            raise UsageError(f"{value!r} does not fit {key}: {wrong}.", remedy="Nothing was decided. Type it again.")


def _address_misfit(value: Json) -> str | None:
    return None if isinstance(value, dict) else 'it must be JSON, such as {"street": "Dam", "number": "1", …}'


def _fields(workspace: Flows, flow_id: str, key: str) -> list[Field]:
    """The field as both sides keep it; none where the flow was edited, or a connection is gone."""
    loaded = workspace.flows.get(flow_id)
    if loaded is None or loaded.flow is None:
        return []
    found: list[Field] = []
    for side in SIDES:
        end = loaded.flow.endpoint(side)
        if end.connection not in workspace.config.connections:
            continue
        resources = {one.name: one for one in workspace.system_of(end.connection).resources}
        if end.resource in resources:
            found += [field for field in resources[end.resource].can.fields if field.path == key]
    return found
