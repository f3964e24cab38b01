"""What is worth knowing of a KVK key before a run: which of the APIs that these settings need it is subscribed to.

Only what is free is asked: a Basisprofiel is paid for, so whether the key may ask one shows with the first look-up.
"""

from __future__ import annotations

from koppel.systems.kvk import wire
from koppel.systems.kvk.settings import Settings
from koppel.systems.spi import Exchange, NoReply, Remark, Site


def remarks(site: Site) -> Exchange[tuple[Remark, ...]]:
    """Ask the free APIs once. A key or subscription that is missing ends this from outside, with KVK's words."""
    settings: Settings = site.settings
    said: list[Remark] = []
    if settings.successors:
        yield wire.zoeken(settings, (("naam", "koppel"),), pagina=1, resultatenPerPagina=1)
        said.append(Remark("ok", "zoeken", "The key is subscribed to Zoeken."))
    if settings.signals:
        reply = yield wire.abonnementen(settings)
        body = None if isinstance(reply, NoReply) else wire.read_json(reply)
        listed = [entry for entry in (body or {}).get("abonnementen") or [] if isinstance(entry, dict)]
        active = [str(entry.get("id")) for entry in listed if entry.get("actief") is not False]
        said.append(_subscription(site, active))
    text = "Basisprofiel was not asked, because each look-up is paid for."
    return (*said, Remark("note", "not_asked", text))


def _subscription(site: Site, active: list[str]) -> Remark:
    settings: Settings = site.settings
    mend = f"koppel connect {site.connection} --set subscription=…, or --set signals=false"
    if settings.subscription is None and len(active) == 1:
        return Remark("ok", "signals", f"Signals come from subscription {active[0]}.")
    if settings.subscription in active:
        return Remark("ok", "signals", f"Signals come from subscription {settings.subscription}.")
    named = ", ".join(active) or "none"
    text = f"Change signals are on, and it is not clear from which subscription; the key has: {named}."
    return Remark("attention", "no_subscription", text, mend)
