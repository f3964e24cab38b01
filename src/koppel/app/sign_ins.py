"""Sign-ins over time: kept alive by whatever runs, how they stand, and people told once of one that is dead."""

from __future__ import annotations

from koppel.app.opened import Opened
from koppel.engine.ports import Ports
from koppel.model.problem import SetupError
from koppel.runtime import alerts, keeping
from koppel.runtime.alerts import Alert, deliver
from koppel.runtime.keeping import Kept
from koppel.store import notes
from koppel.store.sql import Db
from koppel.systems.spi import Remark

_DAILY = "sign-ins looked at"


def keep_alive(workspace: Opened) -> tuple[Kept, ...]:
    """Use each sign-in once that was idle for a week; returns what was kept, what could not be, and deaths nobody heard of.

    A new death goes to `on_alert` too, with the link to sign in by. Any number of workers may do this at once.
    """
    well = [name for name in workspace.config.connections if _whole(workspace, name)]

    async def kept(ports: Ports) -> tuple[Kept, ...]:
        return await keep(workspace, ports)

    return workspace.with_ports(kept, only=well) if well else ()


async def keep(workspace: Opened, ports: Ports) -> tuple[Kept, ...]:
    """`keep_alive`, for who has ports already."""
    found = await keeping.keep_alive(ports)
    target = workspace.config.on_alert
    for one in found:
        alert = Alert("sign_in", workspace.config.name, "", one.message, one.remedy, ports.clock.now())
        if (
            target
            and one.state == "dead"
            and one.news
            and await ports.store.tx(alerts.news, alert, f"login {one.login}")
        ):
            trouble = await deliver(target, alert, ports.transport)
            if trouble:
                workspace.tell(f"The alert could not be delivered: {trouble}")
    return tuple(one for one in found if one.state != "dead" or one.news)


async def keep_daily(workspace: Opened, ports: Ports) -> None:
    """After a run, once a day: what nobody uses is kept alive where only cron starts runs, too. Never fails the run."""
    if not await ports.store.tx(_first_today, ports.clock.now()):
        return
    for one in await keep(workspace, ports):
        workspace.tell(f"{', '.join(one.connections)}: {one.message} {one.remedy}".rstrip())


def standing(workspace: Opened, name: str) -> Remark | None:
    """How the sign-in of a connection stands, without asking the vendor. None for a system that needs only a key."""
    return workspace.store.run(keeping.standing, workspace.connection(name), workspace.now())


def _whole(workspace: Opened, name: str) -> bool:
    try:
        workspace.connection(name)
    except SetupError:
        return False
    return True


def _first_today(db: Db, now: float) -> bool:
    day = int(now // keeping.DAY)
    if notes.get(db, _DAILY) == day:
        return False
    notes.put(db, _DAILY, day)
    return True
