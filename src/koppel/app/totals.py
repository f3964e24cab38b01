"""Control totals of a flow, and a person's signature under them (rule B20)."""

from __future__ import annotations

from koppel.app.workspace import Workspace
from koppel.engine import totals as engine
from koppel.engine.flow import Options
from koppel.engine.ports import Ports
from koppel.engine.totals import Totals
from koppel.model.period import read_period
from koppel.model.problem import UsageError


def totals(
    workspace: Workspace,
    flow_id: str,
    period: str | None,
    *,
    read: bool = True,
    sign_off: str | None = None,
    with_differences: bool = False,
) -> tuple[Totals, ...]:
    """What a period of a flow comes to on both sides; without a period, every period that was signed off. `read`: read what
    changed first. `sign_off`: the name of the person who signs it.

    Raises UsageError for an unknown flow or period, and for totals that differ where `with_differences` does not say that they
    are signed all the same; RetryLater, SetupError and SignInNeeded from the reading.
    """
    flow = workspace.flow(flow_id)
    try:
        wanted = None if period is None else read_period(period)
    except ValueError as error:
        raise UsageError(f"{error}.", remedy="For instance: --period 2026-10") from None
    if sign_off is not None and (wanted is None or not sign_off.strip()):
        raise UsageError("A signature needs a period and a name.", remedy='--period 2026-10 --sign-off "A. de Vries"')

    async def job(ports: Ports) -> tuple[Totals, ...]:
        if read:
            await engine.read(ports, flow, Options(actor=workspace.actor, workspace=workspace.config.name))
        periods = [wanted] if wanted else await engine.signed_periods(ports, flow)
        told = [await engine.totals(ports, flow, one) for one in periods]
        if sign_off is None:
            return tuple(told)
        if told[0].different and not with_differences:
            raise UsageError(
                f"The two sides differ in {told[0].different} of {len(told[0].rows)} totals; nothing was signed.",
                remedy="Mend them first (koppel reconcile), or sign with --with-differences: the trail keeps them.",
            )
        await engine.sign_off(ports, told[0], by=sign_off.strip(), actor=workspace.actor)
        return (await engine.totals(ports, flow, told[0].period),)

    return workspace.with_ports(job)
