"""Signed-off totals: which period of which flow a person put their name to, and what it came to. The trail holds each of them for
good; here lies the latest, to be compared with."""

from __future__ import annotations

import msgspec

from koppel.model.values import Json
from koppel.store import trail
from koppel.store.sql import Db


class Signed(msgspec.Struct, frozen=True):
    """`entry` is its number in the trail, `totals` what was signed."""

    flow: str
    period: str
    at: float
    by: str
    entry: int
    totals: Json


def sign(db: Db, flow: str, period: str, totals: Json, *, by: str, actor: str, at: float, note: str) -> Signed:
    """Record that a person signed these totals: in the trail, and as the period's latest."""
    data: dict[str, Json] = {"flow": flow, "label": f"totals of {period}", "because": note, "by": by, "totals": totals}
    (entry,) = trail.append(db, [trail.Entry(at, actor, "signed_off", data)])
    db.run(
        "insert into signed_totals (flow, period, at, actor, entry, body) values (:f, :p, :at, :by, :e, :b)"
        " on conflict (flow, period) do update set at = excluded.at, actor = excluded.actor, entry = excluded.entry, body = excluded.body",
        f=flow, p=period, at=at, by=by, e=entry, b=db.vault.seal_json(totals, about=f"{flow} {period}"),
    )  # fmt: skip
    return Signed(flow, period, at, by, entry, totals)


def of_flow(db: Db, flow: str) -> list[Signed]:
    """Every signed period of a flow, in order."""
    rows = db.rows(
        "select flow, period, at, actor, entry, body from signed_totals where flow = :f order by period", f=flow
    )
    return [
        Signed(flow_, period, at, by, entry, db.vault.unseal_json(body, about=f"{flow_} {period}"))
        for flow_, period, at, by, entry, body in rows
    ]
