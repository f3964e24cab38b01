"""VIES as a system: `numbers`, a VAT number with its country and whether it is confirmed.

Three states: confirmed, invalid, and no answer. The last is never taken for the second (rule B4): it is Unknown, with the
time at which to ask again.
"""

from __future__ import annotations

from koppel.model.can import Can, Field
from koppel.model.problem import Problem, UsageError
from koppel.systems.spi import (
    Absent,
    Decoded,
    Exchange,
    Finding,
    Found,
    Item,
    NoReply,
    Resource,
    Response,
    Site,
    System,
    Unknown,
)
from koppel.systems.vies import codec, wire
from koppel.systems.vies.auth import AUTH
from koppel.systems.vies.settings import Settings, hosts
from koppel.systems.vies.status import remarks
from koppel.systems.vies.wire import Question


def find(site: Site, kind: str, values: tuple[str, ...]) -> Exchange[dict[str, Finding]]:
    """Ask about VAT numbers, one call each. Raises UsageError for another kind of key than `native`."""
    if kind != "native":
        raise UsageError(f"VIES cannot be asked by {kind!r}.", remedy="Use a VAT number with its country.")
    findings: dict[str, Finding] = {}
    asked: dict[Question, Finding] = {}
    for value in values:
        question = wire.read_number(value)
        if question is None:
            text = "VIES knows numbers of EU member states and Northern Ireland only, with the country in front."
            findings[value] = Absent(Problem("number_invalid", text, "vat"))
            continue
        if question not in asked:
            reply = yield wire.check(site.settings, question)
            asked[question] = _finding(site, question, reply)
        findings[value] = asked[question]
    return findings


def _finding(site: Site, question: Question, reply: Response | NoReply) -> Finding:
    if isinstance(reply, NoReply):
        text = "VIES did not answer; what was known stays, and it is asked again."
        return Unknown(Problem("unavailable", text, retry_at=site.as_of + wire.OUTAGE_WAIT))
    answer = wire.read_answer(reply, question)
    if answer.state == "none":
        return _unknown(site, question, reply, answer.code)
    native = question.country + question.number
    return Found((Item(native, {"valid": answer.state == "valid"} | answer.said),))


def _unknown(site: Site, question: Question, response: Response, code: str) -> Unknown:
    retry_at = site.as_of + wire.WAITS.get(code, wire.USUAL_WAIT)
    if code == wire.INVALID_INPUT:
        text = "VIES does not take this for a VAT number; check it with the firm."
        return Unknown(wire.problem(response, "number_refused", text, retry_at=retry_at))
    if code == "IP_BLOCKED":
        text = "VIES has blocked this computer's address; ask the VIES help desk to lift it. What was known stays."
        return Unknown(wire.problem(response, "blocked", text, retry_at=retry_at))
    why = f" ({code})" if code else ""
    text = f"VIES cannot tell about {question.country} numbers now{why}; what was known stays, and it is asked again."
    return Unknown(wire.problem(response, "unavailable", text, retry_at=retry_at))


def decode(site: Site, item: Item) -> Decoded:
    """Translate an answer; see `codec`."""
    del site
    return codec.decode_answer(item)


def _own(name: str, note: str) -> Field:
    return Field(path=name, vendor=(name,), writable="never", own=True, note=note)


NUMBERS = Resource(
    name="numbers",
    entity="company",
    can=Can(
        list=False,
        find=("native",),
        find_batch=1,
        parallel=1,
        never_skips="unlisted",
        probe="none",
        gap="VIES tells nothing by itself: a number that lost its validity is seen when it is asked again.",
        fields=(
            Field(path="vat_number", kind="vat", vendor=("vatNumber",), writable="never", note="only when confirmed"),
            Field(path="vat_candidate", kind="vat", vendor=("vatNumber",), writable="never", note="when invalid"),
            Field(
                path="vat_state",
                kind="code",
                vendor=("isValid", "userError"),
                writable="never",
                values=("confirmed", "invalid"),
                note="no answer is no state",
            ),
            Field(path="personal", kind="bool", vendor=("vatNumber",), writable="never", note="a Dutch sole trader's"),
            _own("requestDate", "when VIES said so"),
            _own("requestIdentifier", "the consultation number, when `requester` is set"),
            _own("name", "where the member state tells it"),
            _own("address", "where the member state tells it"),
        ),
    ),
    find=find,
    decode=decode,
)

SYSTEM = System(
    name="vies",
    title="VIES VAT numbers",
    settings=Settings,
    resources=(NUMBERS,),
    auth=AUTH,
    verdict=wire.verdict,
    budgets=wire.BUDGETS,
    status=remarks,
    hosts=hosts,
    sandbox="koppel.systems.vies.sandbox:make",
)
