"""What Exact Online's reference says of its 453 REST resources: paths, methods, keys, every property's name and type.

The facts stand in `vendor_table.txt`, which explains its marks. This module reads them and knows nothing more: which of a
resource's twins (sync, bulk, plain) to call, or what a resource means, is said elsewhere. The sandbox has a reader of its
own, so that a misreading cannot hide in both.
"""

from __future__ import annotations

import pkgutil
import re
from dataclasses import dataclass
from functools import cache

METHODS = {"G": "GET", "P": "POST", "U": "PUT", "D": "DELETE"}
_WORD = re.compile(r"(?P<name>[\w.]+):(?P<many>\*?)(?P<type>[\w.]+)(?P<marks>[!+=?~]*)")


@dataclass(frozen=True, slots=True)
class Property:
    """One property. `type` is an Edm type without `Edm.`, `Unknown`, or (with `many`) the name of what is related."""

    name: str
    type: str
    many: bool = False
    mandatory: bool = False
    posts: bool = False
    puts: bool = False
    filters: bool = False
    obsolete: bool = False


@dataclass(frozen=True, slots=True)
class VendorResource:
    """One resource. `path` stands after `/api/v1/{division}/`, or after `/api/v1/` where `site` is set.

    `methods` is empty where no listing tells them; so is `key`. A `beta` path begins with `beta/`, which the vendor puts
    before the division. `topics` are the webhook topics that tell of it.
    """

    path: str
    methods: frozenset[str]
    key: tuple[str, ...]
    properties: dict[str, Property]
    site: bool = False
    beta: bool = False
    topics: tuple[str, ...] = ()


@cache
def resources() -> dict[str, VendorResource]:
    """Every resource by its path, in the vendor's spelling."""
    text = (pkgutil.get_data("koppel.systems.exact", "vendor_table.txt") or b"").decode()
    blocks = (block for block in text.split("\n\n") if not block.startswith("#"))
    return {found.path: found for found in map(_resource, blocks)}


def _resource(block: str) -> VendorResource:
    head, _, body = block.strip("\n").partition("\n")
    path, methods, key, *more = head.split()
    properties = [_property(word) for word in body.split()]
    topics = next((word.removeprefix("topic=").split(",") for word in more if word.startswith("topic=")), [])
    return VendorResource(
        path=path,
        methods=frozenset(METHODS[letter] for letter in methods.replace("-", "")),
        key=tuple(name for name in key.removeprefix("key=").split(",") if name != "-"),
        properties={p.name: p for p in properties},
        site="site" in more,
        beta="beta" in more,
        topics=tuple(topics),
    )


def _property(word: str) -> Property:
    found = _WORD.fullmatch(word)
    if found is None:
        raise ValueError(f"vendor_table.txt: {word!r} is no Name:Type")
    marks = found["marks"]
    return Property(
        name=found["name"],
        type=found["type"],
        many=bool(found["many"]),
        mandatory="!" in marks,
        posts="+" in marks,
        puts="=" in marks,
        filters="?" in marks,
        obsolete="~" in marks,
    )
