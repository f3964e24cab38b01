"""What this imitation serves: every resource of the vendor's reference, read from the table by a reader of its own.

`vendor_table.txt` explains its marks. The client reads the same facts with other code: a misreading cannot hide in both.
Where the reference tells no type, the one the name has elsewhere is served (unverified); where it tells no methods, GET.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pkgutil import get_data

EDM = frozenset({"Binary", "Boolean", "Byte", "DateTime", "Double", "Guid", "Int16", "Int32", "Int64", "String"})
NUMBERS = frozenset({"Byte", "Double", "Int16", "Int32", "Int64"})
_VERBS = {"G": "GET", "P": "POST", "U": "PUT", "D": "DELETE"}
_MODELS = "Exact.Web.Api.Models."
# Class names that were recorded [dotnet fixtures]; all others are unverified.
_CLASSES = {"crm/Accounts": _MODELS + "Account", "current/Me": "Exact.Web.Api.System.Me"}


@dataclass(frozen=True, slots=True)
class Property:
    """One property of an entity type; `type` is the Edm type without `Edm.`, or a collection's name."""

    name: str
    type: str
    is_collection: bool = False
    mandatory: bool = False
    posts: bool = False
    puts: bool = False
    filterable: bool = False
    told: bool = True

    @property
    def writable(self) -> bool:
        """Whether POST or PUT takes it."""
        return self.posts or self.puts

    @property
    def default(self) -> bool | int | None:
        """What is served when nobody filled it: flags and amounts have a value, everything else is null (unverified)."""
        return None if self.is_collection else {"Boolean": False, "Byte": 0, "Double": 0}.get(self.type)


@dataclass(frozen=True, slots=True, eq=False)
class EntityType:
    """What one resource serves. `path` is its resource path, `clr` the type name in `__metadata` and in messages.

    `kind` says which query options apply: plain | sync | bulk. `told` is False where no listing tells the methods.
    """

    path: str
    clr: str
    keys: tuple[str, ...]
    properties: dict[str, Property]
    methods: tuple[str, ...] = ("GET",)
    told: bool = True
    site: bool = False
    topics: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Which of the twins it is."""
        head = self.path.partition("/")[0]
        return head if head in {"sync", "bulk"} else "plain"

    @property
    def page(self) -> int:
        """The size of a server page."""
        return 60 if self.kind == "plain" else 1000

    @property
    def key(self) -> str:
        """The property that names a record, the first where several do together."""
        return self.keys[0]

    @property
    def name(self) -> str:
        """The entity set's name: the last segment of its path."""
        return self.path.rpartition("/")[2]

    @property
    def service(self) -> str:
        """What stands before the set's name: `crm`, `sync/CRM`."""
        return self.path.rpartition("/")[0]

    @property
    def address(self) -> str:
        """The path behind the division; `beta/` stands before the division."""
        return self.path.removeprefix("beta/")


@cache
def entities() -> dict[str, EntityType]:
    """Every resource by its path, in the vendor's spelling."""
    # Part of the package, the same at every start: read without any effect.
    lines = (get_data("koppel.systems.exact", "vendor_table.txt") or b"").decode().splitlines()
    blocks: list[tuple[list[str], list[str]]] = []
    for line in lines:
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith(" "):
            blocks[-1][1].extend(line.split())
        else:
            blocks.append((line.split(), []))
    usual = _usual_types(word for _, words in blocks for word in words)
    return {head[0]: _entity(head, words, usual) for head, words in blocks}


@cache
def _by_folded_service() -> dict[tuple[str, str], EntityType]:
    return {(found.service.casefold(), found.name): found for found in entities().values()}


@cache
def _by_folded_path() -> dict[str, EntityType]:
    return {path.casefold(): found for path, found in entities().items()}


def entity(path: str) -> EntityType:
    """One resource. Raises KeyError when there is none of that path."""
    return entities()[path]


def at(path: str) -> EntityType | None:
    """The resource of a path in an address: the service in any case (unverified), the set exactly as it is spelled."""
    service, _, name = path.rpartition("/")
    return _by_folded_service().get((service.casefold(), name))


@cache
def of_service(service: str) -> tuple[EntityType, ...]:
    """All resources of a service, written in any case."""
    return tuple(found for found in entities().values() if found.service.casefold() == service.casefold())


@cache
def plain_twin(found: EntityType) -> EntityType | None:
    """The plain resource that a sync or bulk one repeats, where there is one of the same name."""
    twin = _by_folded_path().get(found.path.partition("/")[2].casefold())
    return None if found.kind == "plain" else twin


@cache
def has_sync_twin(found: EntityType) -> bool:
    """Whether a sync resource of the same name exists."""
    return f"sync/{found.path}".casefold() in _by_folded_path()


@cache
def related(owner: EntityType, name: str) -> EntityType | None:
    """The resource whose records a collection holds: of the same service first, a plain one before its twins."""
    wanted = owner.properties[name].type.rpartition(".")[2].casefold()
    if owner.kind != "plain" and (twin := plain_twin(owner)) is not None and name in twin.properties:
        return related(twin, name)
    fits = [other for other in entities().values() if other.name.casefold() in {wanted, wanted + "s"}]
    fits.sort(key=lambda other: (other.service.casefold() != owner.service.casefold(), other.kind != "plain"))
    return fits[0] if fits else None


def singular(word: str) -> str:
    """A set's name for one of its records.

    >>> singular("SalesEntries"), singular("SalesOrderLines"), singular("PaymentTerms"), singular("DivisionClasses")
    ('SalesEntry', 'SalesOrderLine', 'PaymentTerm', 'DivisionClass')
    """
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "xes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _usual_types(words: Iterable[str]) -> dict[str, str]:
    seen: dict[str, Counter[str]] = {}
    for word in words:
        name, _, rest = word.partition(":")
        type_ = rest.rstrip("!+=?~")
        if type_ in EDM:
            seen.setdefault(name, Counter())[type_] += 1
    return {name: counts.most_common(1)[0][0] for name, counts in seen.items()}


def _entity(head: list[str], words: list[str], usual: dict[str, str]) -> EntityType:
    path, letters, key, *more = head
    methods = tuple(_VERBS[letter] for letter in letters if letter != "-")
    topics = [word.partition("=")[2].split(",") for word in more if word.startswith("topic=")]
    names = key.partition("=")[2]
    found = [_property(word, usual) for word in words]
    return EntityType(
        path=path,
        clr=_CLASSES.get(path) or _class_of(path),
        keys=() if names == "-" else tuple(names.split(",")),
        properties={one.name: one for one in found},
        methods=methods or ("GET",),
        told=bool(methods),
        site="site" in more,
        topics=tuple(topics[0]) if topics else (),
    )


def _class_of(path: str) -> str:
    service, _, name = path.rpartition("/")
    parts = [part[:1].upper() + part[1:] for part in service.split("/")]
    return _MODELS + ".".join([*parts, singular(name)])


def _property(word: str, usual: dict[str, str]) -> Property:
    name, _, rest = word.partition(":")
    type_ = rest.rstrip("!+=?~")
    marks = rest[len(type_) :]
    return Property(
        name=name,
        type=type_.lstrip("*") if type_ != "Unknown" else usual.get(name, "String"),
        is_collection=type_.startswith("*"),
        mandatory="!" in marks,
        posts="+" in marks,
        puts="=" in marks,
        filterable="?" in marks,
        told=type_ != "Unknown",
    )
