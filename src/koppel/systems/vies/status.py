"""What is worth knowing of VIES before a run: whether the member states can be asked now, by its own status page."""

from __future__ import annotations

from koppel.systems.spi import Call, Exchange, NoReply, Remark, Request, Site
from koppel.systems.vies import wire


def remarks(site: Site) -> Exchange[tuple[Remark, ...]]:
    """Ask the status page. An answer that cannot be read says nothing (its form is unverified, from clients)."""
    url = f"{site.settings.base_url.rstrip('/')}{wire.PATH}/check-status"
    reply = yield Call(Request("GET", url, {"Accept": "application/json"}), kind="status")
    body = None if isinstance(reply, NoReply) or reply.status != 200 else wire.read_json(reply)
    countries = (body or {}).get("countries")
    if not isinstance(countries, list):
        return (Remark("note", "no_status", "VIES does not tell which member states can be asked now."),)
    down = sorted(
        str(entry.get("countryCode"))
        for entry in countries
        if isinstance(entry, dict) and entry.get("availability") == "Unavailable"
    )
    if not down:
        return (Remark("ok", "available", "Every member state can be asked."),)
    text = f"Cannot be asked now: {', '.join(down)}. What was known stays, and it is asked again by itself."
    return (Remark("note", "unavailable", text),)
