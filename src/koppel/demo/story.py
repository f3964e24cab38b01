"""The five acts. Everything in them happens: real HTTP to sandboxes on loopback, a real SQLite file, a real killed process."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from koppel.app import read_plan, write_plan
from koppel.demo import words
from koppel.demo.report import Act, DemoReport, Shown
from koppel.demo.scene import COMPANIES, SEED, Cast, Counting, Scene, cast
from koppel.engine.flow import Result
from koppel.engine.plan import Planned
from koppel.sandbox.host import SandboxHost
from koppel.testing.stand import BOOKS, FLOW, REGISTER, stand

OLD_VAT_ONLY = "Oude debiteur met hetzelfde btw-nummer"
REFUSAL = "Verplicht: Betalingsconditie"
SUCCESSOR = "49999980"
_WIDE = ("company", "what", "why", "calls")


def run_demo(*, keep: Path | None, say: Callable[[Shown], object]) -> DemoReport:
    """Play all acts and count. `keep` is a folder that does not exist yet and stays; None uses a temporary one.

    Raises UsageError when the folder is a workspace already.
    """
    parts: list[Cast] = []

    def prepare(host: SandboxHost) -> None:
        parts.append(cast(host))
        _before_koppel(host, parts[0])

    with stand(keep, seed=SEED, companies=COMPANIES, actor="office", prepare=prepare) as at:
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
    host.control("kvk", "unavailable", {"kvk": parts.busy.kvk, "code": "IPD1002", "seconds": 2400})


# --- 1 ----------------------------------------------------------------------------------------------------------------


def _take_in(scene: Scene) -> Act:
    scene.title(
        "Take in 40 KVK numbers", "Somebody typed them, into a books division that holds many of these firms already."
    )
    count, workspace = Counting(scene, "take in"), scene.stand.workspace
    notes = scene.take(scene.cast.typed)
    scene.note(f"koppel add --file numbers.csv --to {BOOKS} --later", "command")
    odd = [text for text in scene.cast.typed if not (text.isdigit() and len(text) == 8)]
    rows = [
        (text, number, notes.get(number, "spaces and words do not matter"))
        for text, number in zip(odd, scene.taken, strict=False)
    ]
    scene.grid("Typed a little differently", ("typed", "read as", "note"), rows)
    path = scene.stand.folder / "plan.json"
    scene.note(f"koppel plan {FLOW} -o plan.json", "command")
    plan = workspace.plan(FLOW)
    write_plan(plan, path)
    scene.grid(
        "The plan: nothing has been written yet", _WIDE, words.plan_rows(plan), words.price(plan), figures=("calls",)
    )
    allow = [plan.guard.override] if plan.guard else []
    if plan.guard:
        scene.note(f"A brake holds: {plan.guard.reason}. Somebody has looked at the plan and lets it pass:")
    scene.note(f"koppel apply plan.json{' --allow ' + allow[0] if allow else ''}", "command")
    result = count.ran(workspace.apply(read_plan(path), allow=allow))
    _outcome(scene, result)
    return count.close()


def _outcome(scene: Scene, result: Result) -> None:
    done = result.counts
    told = [
        words.counted(done[kind], one, many)
        for kind, one, many in (
            ("create", "debtor created", "debtors created"),
            ("update", "debtor put right", "debtors put right"),
            ("link", "link made", "links made"),
            ("ask", "question for you", "questions for you"),
            ("park", "parked, to be tried again", "parked, to be tried again"),
            ("refuse", "number refused with a reason", "numbers refused with a reason"),
            ("unchanged", "record that needed nothing", "records that needed nothing"),
        )
        if done[kind]
    ]
    if result.recovered.get("landed"):
        told.append(words.counted(result.recovered["landed"], "debtor found that was stored without our hearing it", "debtors found that were stored without our hearing it"))  # fmt: skip
    scene.note(f"Done: {', '.join(told) or 'nothing to do'}.", "good")


# --- 2 ----------------------------------------------------------------------------------------------------------------


def _silence(scene: Scene) -> Act:
    scene.title(
        "Silence", "The same numbers again: nothing has changed, so nothing is written and the register is not asked."
    )
    count = Counting(scene, "silence")
    scene.take(scene.cast.typed)
    scene.note(f"koppel sync {FLOW}", "command")
    result = count.ran(scene.stand.workspace.sync(FLOW))
    _outcome(scene, result)
    act = count.close()
    scene.grid(
        "What it took",
        ("streams read", "calls to Exact", "calls to KVK", "writes"),
        [(str(act.streams), str(act.calls["exact"]), str(act.calls["kvk"]), str(act.writes))],
        "One call per stream: what changed, and what was deleted.",
    )
    return act


# --- 3 ----------------------------------------------------------------------------------------------------------------


def _register_changes(scene: Scene) -> Act:
    parts, at = scene.cast, scene.stand
    scene.title(
        "The register changes", "A firm moves, one takes another name, one ends and goes on under a new number."
    )
    count = Counting(scene, "register changes")
    at.kvk("edit", kvk=parts.moved.kvk, set={"street": "Nieuwe Markt", "number": 7, "letter": None, "addition": None, "postcode": "3511AA", "city": "Utrecht"})  # fmt: skip
    at.kvk("edit", kvk=parts.renamed.kvk, set={"name": f"{parts.renamed.name} Groep", "statutory_name": f"{parts.renamed.name} Groep B.V."})  # fmt: skip
    at.kvk("edit", kvk=parts.irrelevant.kvk, set={"employees": 99, "website": "www.nieuw.example"})
    at.kvk("end", kvk=parts.ended.kvk, successor=SUCCESSOR)
    scene.note(f"koppel sync {FLOW} --refresh", "command")
    result = count.ran(at.workspace.sync(FLOW, refresh=True))
    _changes(scene, "Only what changed moves", result)
    _outcome(scene, result)
    _questions(scene, "For you to decide: nothing is renumbered by itself", result)
    return count.close()


def _changes(scene: Scene, title: str, result: Result) -> None:
    rows = [
        (planned.step.label, words.field(key), words.value(planned.step.before.get(key)), words.value(value))
        for planned in result.plan.steps
        if planned.step.kind == "update"
        for key, value in planned.step.values.items()
    ]
    scene.grid(title, ("company", "field", "was", "is"), rows)


def _questions(scene: Scene, title: str, result: Result) -> None:
    asked: list[Planned] = [p for p in result.plan.steps if p.step.kind == "ask" and p.step.field == "scope"]
    scene.grid(title, ("company", "question"), [(p.step.label, words.problem(p.step.problem)) for p in asked])


# --- 4 ----------------------------------------------------------------------------------------------------------------


def _people_edit(scene: Scene) -> Act:
    firm, at = scene.cast.edited, scene.stand
    scene.title(
        "Somebody edits the books",
        "An address is overtyped and a telephone number filled in. The register owns the address; the telephone is yours.",
    )
    count = Counting(scene, "people edit")
    row = at.account(firm.kvk)
    at.exact("edit", id=row["ID"], set={"AddressLine1": "Verkeerdeweg 1", "Phone": "030-5550142"})
    scene.keep(firm.kvk, "Phone")
    scene.note(f"koppel sync {FLOW}", "command")
    result = count.ran(at.workspace.sync(FLOW))
    _changes(scene, "Put right", result)
    _outcome(scene, result)
    now = at.account(firm.kvk)
    scene.grid(
        "In Exact Online now",
        ("field", "typed by a colleague", "now"),
        [
            ("address", "Verkeerdeweg 1", str(now.get("AddressLine1"))),
            ("telephone", "030-5550142", str(now.get("Phone"))),
        ],
    )
    _why(scene, f"{REGISTER}:companies:{firm.kvk}")
    return count.close()


def _why(scene: Scene, ref: str) -> None:
    """What the trail says of the two fields that were edited."""
    scene.note(f"koppel why {ref}", "command")
    rows: list[tuple[str, ...]] = []
    for name in ("address", "phone"):
        for told in scene.stand.workspace.why(ref, name).history[-1:]:
            kind, _, rest = told.text.partition(" ")
            reason = words.reason(rest.rpartition(": ")[2])
            change = f"{words.value(told.before)} → {words.value(told.after)}"
            rows.append(
                (
                    str(told.entry),
                    f"seen in {told.actor}" if kind == "noticed" else f"{kind} by {told.actor}",
                    words.field(name),
                    change,
                    reason,
                )
            )
    scene.grid("The trail", ("no.", "what", "field", "before → after", "why"), rows)


# --- 5 ----------------------------------------------------------------------------------------------------------------


def _trouble(scene: Scene) -> Act:
    parts, at = scene.cast, scene.stand
    refused = parts.later[0]
    scene.title(
        "Trouble",
        "Everything that goes wrong between two systems, at once: the run goes on, nothing is doubled, nothing forgotten.",
    )
    count, workspace = Counting(scene, "trouble"), at.workspace
    at.exact("settings", refuse={refused.kvk: REFUSAL})
    at.fault(system="kvk", path="basisprofielen", kind="status", status=503, headers={"Retry-After": "20"}, after=1)
    at.fault(
        system="exact",
        method="POST",
        path="crm/Accounts",
        kind="status",
        status=429,
        headers={"Retry-After": "30"},
        after=1,
    )
    at.fault(system="exact", method="POST", path="crm/Accounts", kind="lose_reply", after=2)
    scene.take([company.kvk for company in parts.later[:5]])
    scene.note(f"koppel sync {FLOW}", "command")
    told = workspace.tell
    workspace.tell = lambda text: scene.note(text, "wait")
    _outcome(scene, count.ran(workspace.sync(FLOW)))
    _parked(scene)

    scene.note(
        "Now the power goes: the program is killed after Exact stored a debtor, before it could write that down."
    )
    scene.take([company.kvk for company in parts.later[5:]])
    before = at.writes()
    code = _killed_run(scene, "after send write")
    scene.note(
        f"Ended by {signal.Signals(-code).name if code < 0 else f'exit code {code}'}."
        f" Exact holds {words.counted(at.writes() - before, 'debtor', 'debtors')} that Koppel has not written down.",
        "wait",
    )
    scene.note("An hour later the register has done its work, and a colleague has filled in what Exact missed:")
    at.wait(3600)
    at.exact("settings", refuse={})
    workspace.retry()
    scene.note("koppel parked retry", "command")
    scene.note(f"koppel sync {FLOW}", "command")
    _outcome(scene, count.ran(workspace.sync(FLOW)))
    workspace.tell = told
    _parked(scene)
    return count.close()


def _parked(scene: Scene) -> None:
    rows = [(item.body["label"], words.problem_of(item.body)) for item in scene.stand.workspace.parked()]
    scene.grid("Parked", ("company", "why"), rows or [("nothing is parked any more", "")])


def _killed_run(scene: Scene, point: str) -> int:
    """Run in a process of its own that is killed at a named point; returns how it ended."""
    command = [sys.executable, "-m", "koppel.testing.child", str(scene.stand.folder), FLOW, point]
    return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode  # noqa: S603 - our own module
