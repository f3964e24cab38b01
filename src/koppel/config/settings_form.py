"""The set-up form of a system, drawn from its settings struct: what to ask, in which order, and how typed text is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from koppel.model.problem import UsageError
from koppel.model.values import Json
from koppel.systems import registry


class Setting(msgspec.Struct, frozen=True):
    """One line of the form. `choices`: value → meaning (`open_choices`: others are allowed too); `chosen_from` = accounts:
    the values come from the account once signed in; `advanced` ones are only asked for by name; kind `file`: a path is given."""

    name: str
    title: str
    description: str = ""
    secret: bool = False
    required: bool = False
    default: Json = None
    choices: dict[str, str] = {}
    open_choices: bool = False
    advanced: bool = False
    chosen_from: str = ""
    kind: str = "text"


def settings_form(system: str) -> tuple[Setting, ...]:
    """The form of a system, in the order to ask. Raises SetupError for a system that is not installed."""
    known: Any = msgspec.inspect.type_info(registry.load(system).settings)
    rows = [(_order(field, number), _setting(field)) for number, field in enumerate(known.fields)]
    return tuple(setting for _, setting in sorted(rows, key=lambda row: row[0]))


def read_setting(system: str, name: str, text: str) -> Json:
    """A typed value as the setting's own type. Raises UsageError naming the setting and what it takes."""
    struct = registry.load(system).settings
    field = next((field for field in msgspec.structs.fields(struct) if field.name == name), None)
    if field is None:
        known = ", ".join(setting.name for setting in settings_form(system))
        raise UsageError(f"{registry.load(system).title} has no setting {name!r}.", remedy=f"It knows: {known}.")
    words = {"yes": "true", "on": "true", "no": "false", "off": "false"}
    try:
        value = msgspec.convert(text, field.type, strict=False)
    except msgspec.ValidationError as error:
        try:
            value = msgspec.convert(words[text.lower()], field.type, strict=False)
        except (KeyError, msgspec.ValidationError):
            shown = "what was given" if _extra(field.type).get("secret") else repr(text)
            remedy = takes(next(setting for setting in settings_form(system) if setting.name == name))
            raise UsageError(f"The setting {name} cannot be {shown}.", remedy=remedy or f"{error}.") from None
    return msgspec.to_builtins(value)


def takes(setting: Setting) -> str:
    """What may be typed for a setting, in words; empty for free text."""
    if setting.kind == "switch":
        return "It takes yes or no."
    if setting.kind == "number":
        return "It takes a whole number."
    return f"It takes one of: {', '.join(setting.choices)}." if setting.choices else ""


def _setting(field: Any) -> Setting:
    meta, kind = field.type, field.type
    extra: Mapping[str, Json] = {}
    if isinstance(meta, msgspec.inspect.Metadata):
        extra, kind = meta.extra or {}, meta.type
    schema: Mapping[str, Json] = (meta.extra_json_schema or {}) if isinstance(meta, msgspec.inspect.Metadata) else {}
    choices = {str(key): str(meaning) for key, meaning in dict(extra.get("choices", {})).items()}
    if isinstance(kind, msgspec.inspect.LiteralType):
        choices = choices or {str(value): "" for value in kind.values}
    return Setting(
        name=field.name,
        title=str(schema.get("title", field.name)),
        description=str(schema.get("description", "")),
        secret=bool(extra.get("secret")),
        required=field.required,
        default=None if field.required or field.default is msgspec.NODEFAULT else msgspec.to_builtins(field.default),
        choices=choices,
        open_choices=bool(extra.get("open")),
        advanced=bool(extra.get("advanced")),
        chosen_from=str(extra.get("from", "")),
        kind="file" if extra.get("file") else _kind(kind),
    )


def _kind(kind: Any) -> str:
    kinds = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    if any(isinstance(one, msgspec.inspect.BoolType) for one in kinds):
        return "switch"
    return "number" if any(isinstance(one, msgspec.inspect.IntType) for one in kinds) else "text"


def _order(field: Any, number: int) -> int:
    extra = (field.type.extra or {}) if isinstance(field.type, msgspec.inspect.Metadata) else {}
    return int(extra.get("order", number))


def _extra(annotation: Any) -> Mapping[str, Json]:
    metas = [meta for meta in getattr(annotation, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    return {key: value for meta in metas for key, value in (meta.extra or {}).items()}
