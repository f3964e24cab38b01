"""Keeping sign-ins alive that nobody uses: a login dies of idleness, and then only a person can mend it.

One call, by one worker, long before the vendor's limit. What is left until then is said in days, and is a reason to act when it
gets short: then whatever should have kept it alive has not run.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from koppel.engine.logins import known_dead
from koppel.engine.ports import Connection, Ports
from koppel.engine.send import Sender
from koppel.model.problem import Bug, KoppelError, SignInNeeded
from koppel.runtime.windows import ZONE
from koppel.store import notes, secrets
from koppel.store.sql import Db
from koppel.systems.spi import Remark, Tokens

DAY = 24 * 3600.0
IDLE = 7 * DAY  # from when a sign-in that nobody used is used once, to keep it
WARNING = 7  # days before the end, from when somebody must act
LOOK_AGAIN = 3600.0  # seconds between two looks of one worker


class Kept(msgspec.Struct, frozen=True):
    """One login that was idle or is dead. `state` = kept | dead | failed; `news`: whether nobody was told before that it is dead."""

    login: str
    connections: tuple[str, ...]
    state: str
    message: str
    remedy: str = ""
    news: bool = False


async def keep_alive(ports: Ports) -> tuple[Kept, ...]:
    """Use every sign-in once that was idle for a week, and name the dead ones. One that cannot be kept keeps no other from it."""
    found = [await _keep(ports, Sender(ports), group) for group in _by_login(ports)]
    return tuple(kept for kept in found if kept is not None)


def _by_login(ports: Ports) -> list[list[Connection]]:
    groups: dict[str, list[Connection]] = {}
    for _, connection in sorted(ports.connections.items()):
        auth = connection.system.auth
        key = auth.tokens_from(connection.settings) if auth.tokens_from else None
        if auth.refresh is not None and not auth.unattended and key is None:
            groups.setdefault(connection.login, []).append(connection)
    return list(groups.values())


async def _keep(ports: Ports, sender: Sender, group: list[Connection]) -> Kept | None:
    first, names = group[0], tuple(connection.name for connection in group)
    auth, now = first.system.auth, ports.clock.now()
    stored = await ports.store.tx(secrets.get, f"tokens {first.login}")
    if stored is None:  # never signed in: `connect` and `doctor` say so
        return None
    tokens = msgspec.convert(stored[0], Tokens)
    dead = auth.due(tokens, now) == "dead" or await ports.store.tx(known_dead, first.login, tokens, now) is not None
    if not dead and (auth.lapses(tokens) is None or now - tokens.obtained_at < IDLE):
        return None
    days = int((now - tokens.obtained_at) // DAY)
    try:
        await sender.logins.tokens(first)
    except Bug:
        raise
    except SignInNeeded as error:
        news = await ports.store.tx(_first_told, first.login, stored[1])
        return Kept(first.login, names, "dead", error.message, error.remedy, news)
    except KoppelError as error:  # the vendor is away, or the app is refused: there is time to come again
        return Kept(first.login, names, "failed", error.message, error.remedy)
    return Kept(first.login, names, "kept", f"the sign-in was idle for {days} days and was used once, to keep it")


def _first_told(db: Db, login: str, version: int) -> bool:
    """Whether this pair's death is told for the first time."""
    if notes.get(db, f"death told {login}") == version:
        return False
    notes.put(db, f"death told {login}", version)
    return True


# --- what is said of a sign-in ------------------------------------------------------------------------------------------


def standing(db: Db, connection: Connection, now: float) -> Remark | None:
    """How a sign-in stands, without asking anybody: not there, dead, or good until when. None for a mere key."""
    auth = connection.system.auth
    if auth.tokens_from is not None and auth.tokens_from(connection.settings) is not None:
        return None  # whether it is accepted shows when it is used
    stored = secrets.get(db, f"tokens {connection.login}")
    again = f"koppel connect {connection.name}"
    if stored is None:
        if auth.unattended:
            return Remark("ok", "signed_in", "Signs in by itself, with the settings' client credentials.")
        return Remark("attention", "sign_in", f"{connection.name} is not signed in.", again)
    tokens = msgspec.convert(stored[0], Tokens)
    if auth.due(tokens, now) == "dead":
        return Remark("attention", "sign_in", f"The sign-in of {connection.name} has expired.", again)
    reason = known_dead(db, connection.login, tokens, now)
    if reason is not None:
        return Remark("attention", "sign_in", f"The sign-in of {connection.name} is dead: {reason.rstrip('.')}.", again)
    ends = auth.lapses(tokens)
    if ends is None:
        return Remark("ok", "signed_in", "Signed in.")
    days = int((ends - now) // DAY)
    date = datetime.fromtimestamp(ends, ZONE).date().isoformat()
    text = f"Signed in; unless it is used before, that ends in {days} {'day' if days == 1 else 'days'} ({date})."
    if days >= WARNING:
        return Remark("ok", "signed_in", text, ends_at=ends)
    remedy = f"Let `koppel work` run: it keeps sign-ins alive. Or use it now: koppel connect {connection.name} --check"
    return Remark("attention", "sign_in_ends", text, remedy, ends_at=ends)
