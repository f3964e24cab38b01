"""The five acts. Everything in them happens: real HTTP to sandboxes on loopback, a real SQLite file, a real killed process."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from koppel.app import read_plan, write_plan
from koppel.demo import words
from koppel.demo.report import Act, DemoReport, Shown
from koppel.demo.scene import AFAS, COMPANIES, ERPS, EXACT, SEED, Cast, Counting, Scene, cast
from koppel.engine.flow import Result
from koppel.engine.plan import Plan
from koppel.model.values import Json
from koppel.sandbox.host import SandboxHost
from koppel.testing.stand import REGISTER, stand

OLD_VAT_ONLY = "Oude debiteur met hetzelfde btw-nummer"
REFUSED_BY_EXACT = "Verplicht: Betalingsconditie"
REFUSED_BY_AFAS = "Vul een waarde in bij 'Betalingsvoorwaarde'."
SUCCESSOR = "49999980"
PHONE = "030-5550142"
_TITLES = tuple(erp.title for erp in ERPS)


def run_demo(*, keep: Path | None, say: Callable[[Shown], object]) -> DemoReport:
    """Play all acts and count. `keep` is a folder that does not exist yet and stays; None uses a temporary one.

    Raises UsageError when the folder is a workspace already.
    """
    parts: list[Cast] = []

    def prepare(host: SandboxHost) -> None:
        parts.append(cast(host))
        _before_koppel(host, parts[0])

    with stand(keep, seed=SEED, companies=COMPANIES, actor="office", prepare=prepare, afas=True, signals=True) as at:
        scene = Scene(stand=at, cast=parts[0], say=say)
        for act in (_take_in, _silence, _register_changes, _people_edit, _trouble):
            act(scene)
        report = DemoReport(
            tuple(scene.acts), at.duplicates(), len(scene.missing()), at.workspace.audit_verify() is None
        )
        if keep is not None:
            scene.note(f"The workspace stays in {keep}: koppel -w {keep} log, why, parked and asks work on.")
        return report


def _before_koppel(host: SandboxHost, parts: Cast) -> None:
    """What is awkward in these books and this register before Koppel comes."""
    values = {"Name": OLD_VAT_ONLY, "VATNumber": parts.clash.vat, "Status": "C", "City": parts.clash.city}
    host.control("exact", "add", {"set": values})
    host.control("afas", "add", {"set": {"Nm": OLD_VAT_ONLY, "VaId": parts.clash.vat}})
    host.control("kvk", "unavailable", {"kvk": parts.busy.kvk, "code": "IPD1002", "seconds": 2400})


def _plans(results: Sequence[Result]) -> dict[str, Plan]:
    return dict(zip(_TITLES, (result.plan for result in results), strict=True))


# --- 1 ----------------------------------------------------------------------------------------------------------------


def _take_in(scene: Scene) -> Act:
    scene.title(
        "Take in 40 KVK numbers",
        "Somebody typed them. Exact Online and AFAS Profit know many of these firms already, each in its own way.",
    )
    count, workspace = Counting(scene, "take in"), scene.stand.workspace
    notes = scene.take(scene.cast.typed)
    for erp in ERPS:
        scene.note(f"koppel add --file numbers.csv --to {erp.connection} --later", "command")
    odd = [text for text in scene.cast.typed if not (text.isdigit() and len(text) == 8)]
    rows = [
        (text, number, notes.get(number, "spaces and words do not matter"))
        for text, number in zip(odd, scene.taken, strict=False)
    ]
    scene.grid("Typed a little differently", ("typed", "read as", "note"), rows)
    plans: dict[str, Plan] = {}
    files = {erp: scene.stand.folder / f"{erp.system}.json" for erp in ERPS}
    with workspace.together():
        for erp, path in files.items():
            scene.note(f"koppel plan {erp.flow} -o {path.name}", "command")
            plans[erp.title] = workspace.plan(erp.flow)
            write_plan(plans[erp.title], path)
    scene.grid(
        "The plan: nothing has been written yet",
        ("company", *_TITLES, "why", "calls"),
        words.plan_rows(plans),
        f"Looked up once for both: {words.looked_up(plans.values())}. Calls to write: {words.to_write(plans)}.",
        figures=("calls",),
    )
    results: list[Result] = []
    with workspace.together():
        for erp, path in files.items():
            brake = plans[erp.title].guard
            allow = [brake.override] if brake else []
            if brake:
                scene.note(f"A brake holds: {brake.reason}. Somebody has looked at the plan and lets it pass:")
            scene.note(f"koppel apply {path.name}{' --allow ' + allow[0] if allow else ''}", "command")
            results.append(count.ran(workspace.apply(read_plan(path), allow=allow)))
    _outcome(scene, results)
    return count.close()


def _outcome(scene: Scene, results: Sequence[Result]) -> None:
    """What became of it, a line for each ERP."""
    for erp, result in zip(ERPS, results, strict=True):
        landed = result.recovered.get("landed", 0)
        done = result.counts | {"unknown": max(0, result.counts["unknown"] - landed)}
        told = [
            words.counted(done[kind], one, many)
            for kind, one, many in (
                ("create", "created", "created"),
                ("update", "put right", "put right"),
                ("link", "link", "links"),
                ("ask", "question for you", "questions for you"),
                ("park", "parked", "parked"),
                ("unknown", "in doubt", "in doubt"),
                ("refuse", "refused with a reason", "refused with a reason"),
                ("unchanged", "needed nothing", "needed nothing"),
            )
            if done[kind]
        ]
        if landed:
            told.append(f"{landed} found that was stored without our hearing it")
        scene.note(f"{erp.title}: {', '.join(told) or 'nothing to do'}.", "good")
        if done["unknown"]:
            scene.note(f"{erp.title} may still be busy storing it: only in a quarter of an hour is it asked.", "wait")


# --- 2 ----------------------------------------------------------------------------------------------------------------


def _silence(scene: Scene) -> Act:
    scene.title(
        "Silence", "The same numbers again: nothing has changed, so nothing is written and nothing is looked up."
    )
    count = Counting(scene, "silence")
    scene.take(scene.cast.typed)
    _outcome(scene, scene.sync(count))
    act = count.close()
    scene.grid(
        "What it took",
        ("streams read", "calls to Exact", "to AFAS", "to KVK", "writes"),
        [tuple(str(n) for n in (act.streams, *(act.calls[name] for name in ("exact", "afas", "kvk")), act.writes))],
        "One call per stream: what changed in each ERP, what was deleted in Exact, what changed at KVK.",
    )
    return act


# --- 3 ----------------------------------------------------------------------------------------------------------------


def _register_changes(scene: Scene) -> Act:
    parts, at = scene.cast, scene.stand
    scene.title(
        "The register changes",
        "A firm moves, one takes another name, one hires people, one ends and goes on under a new number. KVK signals it.",
    )
    count = Counting(scene, "register changes")
    at.kvk("edit", kvk=parts.moved.kvk, set={"street": "Nieuwe Markt", "number": 7, "letter": None, "addition": None, "postcode": "3511AA", "city": "Utrecht"})  # fmt: skip
    at.kvk("edit", kvk=parts.renamed.kvk, set={"name": f"{parts.renamed.name} Groep", "statutory_name": f"{parts.renamed.name} Groep B.V."})  # fmt: skip
    at.kvk("edit", kvk=parts.irrelevant.kvk, set={"employees": 99, "website": "www.nieuw.example"})
    at.kvk("end", kvk=parts.ended.kvk, successor=SUCCESSOR)
    at.wait(120)
    before = at.host.count("kvk", path="basisprofielen")
    results = scene.sync(count)
    asked = at.host.count("kvk", path="basisprofielen") - before
    linked = len({number for number in scene.taken if (EXACT.flow, number) not in scene.refused})
    scene.note(f"KVK's signals name {asked} of the {linked} companies; only those are looked up, once for both ERPs.")
    plans = _plans(results)
    scene.grid("Only what changed moves", ("company", "in", "field", "was", "is"), words.changes(plans))
    _outcome(scene, results)
    scene.grid(
        "For you to decide: nothing is renumbered by itself", ("company", "in", "question"), words.questions(plans)
    )
    return count.close()


# --- 4 ----------------------------------------------------------------------------------------------------------------


def _people_edit(scene: Scene) -> Act:
    firm, at = scene.cast.edited, scene.stand
    scene.title(
        "Somebody edits the books",
        "In both, an address is overtyped and a telephone number filled in. The register owns the address; the telephone"
        " is yours.",
    )
    count = Counting(scene, "people edit")
    at.exact("edit", id=at.account(firm.kvk)["ID"], set={"AddressLine1": "Verkeerdeweg 1", "Phone": PHONE})
    at.afas("edit", kvk=firm.kvk, set={"Ad": "Verkeerdeweg", "HmNr": 1, "HmAd": None, "TeNr": PHONE})
    scene.keep(EXACT, firm.kvk, "Phone")
    scene.keep(AFAS, firm.kvk, "TeNr")
    results = scene.sync(count)
    scene.grid("Put right", ("company", "in", "field", "was", "is"), words.changes(_plans(results)))
    _outcome(scene, results)
    account, debtor = at.account(firm.kvk), at.debtor(firm.kvk)
    scene.grid(
        "In the books now",
        ("field", "typed by a colleague", "in Exact now", "in AFAS now"),
        [
            ("address", "Verkeerdeweg 1", str(account.get("AddressLine1")), _street(debtor)),
            ("telephone", PHONE, str(account.get("Phone")), str(debtor.get("TeNr"))),
        ],
    )
    _why(scene, f"{REGISTER}:companies:{firm.kvk}")
    return count.close()


def _street(debtor: dict[str, Json]) -> str:
    """A visit address of Profit on one line."""
    place = debtor.get("Adr") or {}
    return " ".join(str(place[part]) for part in ("Ad", "HmNr", "HmAd") if place.get(part))


def _why(scene: Scene, ref: str) -> None:
    """What the trail says of the two fields that were edited, in each ERP."""
    scene.note(f"koppel why {ref}", "command")
    rows: list[tuple[str, ...]] = []
    for name in ("address", "phone"):
        for told in scene.stand.workspace.why(ref, name).history[-len(ERPS) :]:
            what, _, reason = told.text.rpartition(": ")
            kind, _, target = what.partition(" ")
            place = told.actor if kind == "noticed" else target
            title = next((erp.title for erp in ERPS if place.startswith(erp.connection)), place)
            done = f"seen in {title}" if kind == "noticed" else f"{kind} {title}"
            change = f"{words.value(told.before)} → {words.value(told.after)}"
            rows.append((str(told.entry), done, words.field(name), change, words.reason(reason)))
    scene.grid("The trail", ("no.", "what", "field", "before → after", "why"), rows)


# --- 5 ----------------------------------------------------------------------------------------------------------------


def _trouble(scene: Scene) -> Act:
    parts, at = scene.cast, scene.stand
    scene.title(
        "Trouble",
        "All that goes wrong between systems, at once: the run goes on, nothing is doubled, nothing forgotten.",
    )
    count, workspace = Counting(scene, "trouble"), at.workspace
    _break_things(scene)
    scene.take([company.kvk for company in parts.later[:5]])
    told = workspace.tell
    workspace.tell = lambda text: scene.note(text, "wait")
    _outcome(scene, scene.sync(count))
    _parked(scene)

    scene.note(
        "Now the power goes: the program is killed after Exact stored a debtor, before it could write that down."
    )
    scene.take([company.kvk for company in parts.later[5:]])
    before = at.writes(EXACT.system)
    code = _killed_run(scene, "after send write")
    stored = words.counted(at.writes(EXACT.system) - before, "debtor", "debtors")
    scene.note(
        f"Ended by {signal.Signals(-code).name if code < 0 else f'exit code {code}'}."
        f" Exact holds {stored} that Koppel has not written down.",
        "wait",
    )
    scene.note("An hour later KVK has done its work, and a colleague has filled in what Exact and AFAS missed:")
    at.wait(3600)
    at.exact("settings", refuse={})
    at.afas("settings", refuse={})
    workspace.retry()
    scene.note("koppel parked retry", "command")
    _outcome(scene, scene.sync(count))
    workspace.tell = told
    _parked(scene)
    return count.close()


def _break_things(scene: Scene) -> None:
    """What the vendors will do to us: refuse, keep us waiting, and lose a reply after they stored what we sent."""
    parts, at = scene.cast, scene.stand
    at.exact("settings", refuse={parts.later[0].kvk: REFUSED_BY_EXACT})
    at.afas("settings", refuse={parts.later[1].kvk: REFUSED_BY_AFAS})
    at.fault(system="kvk", path="basisprofielen", kind="status", status=503, headers={"Retry-After": "20"}, after=1)
    post = {"system": "exact", "method": "POST", "path": "crm/Accounts"}
    at.fault(**post, kind="status", status=429, headers={"Retry-After": "30"}, after=1)
    at.fault(**post, kind="lose_reply", about=parts.later[2].kvk)
    at.fault(system="afas", method="POST", path="KnSalesRelationOrg", kind="lose_reply", about=parts.later[2].kvk)


def _parked(scene: Scene) -> None:
    """What could not be done; what is in doubt is not parked, and is asked about by itself."""
    found: dict[tuple[str, str], list[str]] = {}
    for item in scene.stand.workspace.parked():
        title = next(erp.title for erp in ERPS if erp.flow == item.flow)
        found.setdefault((item.body["label"], words.problem_of(item.body)), []).append(title)
    rows = [(label, words.both(titles, _TITLES), why) for (label, why), titles in found.items()]
    scene.grid("Parked", ("company", "for", "why"), rows or [("nothing is parked any more", "", "")])


def _killed_run(scene: Scene, point: str) -> int:
    """Run in a process of its own that is killed at a named point; returns how it ended."""
    command = [sys.executable, "-m", "koppel.testing.child", str(scene.stand.folder), EXACT.flow, point]
    return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode  # noqa: S603 - our own module
