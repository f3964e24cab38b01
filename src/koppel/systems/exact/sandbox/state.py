"""All that one imitation remembers: its divisions, sign-ins, counts, switches and what was written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from koppel.model.values import Json
from koppel.systems.exact.sandbox import chart, seed
from koppel.systems.exact.sandbox.behaviours import BEHAVIOURS
from koppel.systems.exact.sandbox.books import Books, Person
from koppel.systems.exact.sandbox.desk import Desk
from koppel.systems.exact.sandbox.limits import Limits
from koppel.systems.exact.sandbox.papers import ATTACHMENTS, attaching
from koppel.systems.exact.sandbox.render import iso
from koppel.systems.exact.sandbox.rules import Rules, wall
from koppel.systems.exact.sandbox.signin import SignIn
from koppel.systems.exact.sandbox.webhooks import SUBSCRIPTIONS, Outbox, subscribing
from koppel.systems.sandbox_spi import World

DIVISIONS = ((123456, "Voorbeeld Handel B.V."), (123457, "Voorbeeld Diensten B.V."))
CLIENT_ID = "5f2c9a34-8d11-4c55-9e77-2b6f0d3a1e90"
CLIENT_SECRET = "sandbox-Q7rT"  # noqa: S105  a made-up secret of a made-up vendor
REDIRECT_URI = "https://app.example/callback"
WEBHOOK_SECRET = "sandbox-webhook-8pLx"  # noqa: S105  per app, not the client secret
_OWN_HOSTS = frozenset({"app.example"})  # a CallbackURL has the redirect address's domain [emeq]
_FOUNDED = 1500 * 86_400.0
_SIGNED_IN_BEFORE = 3600.0  # long enough ago that the first refresh is allowed


@dataclass(frozen=True, slots=True)
class Made:
    """An account that was created over the API with a number, and whether the division had that number already."""

    division: int
    kvk: str
    id: str
    existed: bool


@dataclass
class State:
    """One imitation's memory. `seed_grant` is the login that exists from the start."""

    now: Callable[[], float]
    staff: tuple[Person, ...]
    books: dict[int, Books]
    sign_in: SignIn
    seed_refresh: str
    scope: set[int]
    limits: Limits = field(default_factory=Limits)
    rules: Rules = field(default_factory=Rules)
    outbox: Outbox = field(default_factory=lambda: Outbox(CLIENT_ID, WEBHOOK_SECRET, _OWN_HOSTS))
    mandatory_filter: bool = True
    html_401: bool = False
    silent_drop: frozenset[str] = frozenset()
    refuse: dict[str, str] = field(default_factory=dict)
    writes: list[dict[str, Json]] = field(default_factory=list)
    refusals: int = 0
    nulled: list[dict[str, Json]] = field(default_factory=list)
    created: list[Made] = field(default_factory=list)

    def desk(self, books: Books, *, by_hand: bool = False) -> Desk:
        """The app at work in a division's books; `by_hand` a person."""
        behaviours = {**BEHAVIOURS, SUBSCRIPTIONS: subscribing(self.outbox), ATTACHMENTS: attaching(self.outbox.root)}
        return Desk(books, self.staff[1 if by_hand else 0], self.now(), self.rules, behaviours)

    def arrived(self, number: int, status: int | None) -> None:
        """How a webhook was answered; a ping that was makes its subscription valid."""
        parcel = self.outbox.answered(number, status, self.now())
        if parcel is not None and not parcel.body:
            row = self.books[parcel.division].records(SUBSCRIPTIONS).get(parcel.subscription)
            if row is not None:
                row["_valid"] = True


def begin(world: World) -> State:
    """The state at the start: the first division knows some of the world's companies, the second a handful of its own."""
    now = world.now()
    staff = seed.people(world.seed)
    books = {number: seed.books(world.seed, number, title, now) for number, title in DIVISIONS}
    first, second = books.values()
    first.about["Current"] = True
    for target in books.values():
        chart.fill(Desk(target, staff[1], now - _FOUNDED), int(iso(wall(now))[:4]))
    seed.fill(first, world.companies, staff, now)
    seed.fill_handful(second, staff, now)
    sign_in = SignIn(world.seed, CLIENT_ID, CLIENT_SECRET, REDIRECT_URI)
    _, refresh = sign_in.new_pair(now - _SIGNED_IN_BEFORE)
    state = State(world.now, staff, books, sign_in, refresh, scope=set(books))
    for target in books.values():
        state.outbox.listen(target)
    return state
