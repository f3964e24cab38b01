"""One real thing in, its steps out. Batching cannot matter: a view holds all it takes, found through the store-wide key table.

Order: waiting → nothing; problems that forbid reading → park; gone → the missing-rule; outside the scope → refuse or ask;
linked → merge; not linked → match: keys that name different records ask, one candidate links, none creates.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from koppel.mapping.flow import Flow, SideName, other
from koppel.mapping.grouping import LATE, NOT_MADE
from koppel.model.documents import DOCUMENTS
from koppel.model.kinds import is_blank
from koppel.model.problem import Problem
from koppel.model.removal import INSTEAD, may_archive
from koppel.model.values import Json
from koppel.sync.base import Base
from koppel.sync.documents import of_the_same_party, too_early
from koppel.sync.merge import Merged, Now, Visible, merge
from koppel.sync.shapes import Shape
from koppel.sync.steps import Candidate, Linked, Need, Side, Step, View

NONE = "none"  # the answer that what is proposed is not the same thing, where nothing would be created
FOLLOWS = "follows"  # the field of the question about answers that wait because another record leads
DROP = "drop"  # the answer to it that what was answered is done no more
EXISTS = "exists"  # the field of a link whose records were there before the flow, and are skipped by it


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What deciding needs besides a view: the flow, its shapes, when writes show, which sides can archive a record."""

    flow: Flow
    shapes: dict[str, Shape]
    visible: Visible = field(default_factory=Visible)
    archives: frozenset[SideName] = frozenset()


def decide(policy: Policy, view: View) -> list[Step] | Need:
    """The steps for one view; or a Need when the other side must be asked first. An empty list: nothing to do."""
    if view.waiting:
        return []
    if view.follows:
        return _following(policy, view)
    if view.own.gone:
        return (
            [_gone(policy, view, linked) for linked in view.linked]
            if view.linked
            else [_refuse(view, view.unfound or _absent(view))]
        )
    if view.unfound is not None:
        return [_park(view, view.unfound)]
    if view.own.excluded and not view.linked:
        return [_refuse(view, Problem("out_of_scope", f"outside the flow: {view.own.excluded}"))]
    if view.own.excluded:
        return _out_of_scope(policy, view)
    steps: list[Step] = []
    for linked in view.linked:
        if linked.side.gone:
            steps.append(_gone_counterpart(policy, view, linked))
        elif linked.side.excluded:
            steps += _counterpart_out_of_scope(view, linked)
        else:
            steps += _merged(policy, view, linked.side, linked.base, follower=linked.follower)
    joined = _match(policy, view)
    return joined if isinstance(joined, Need) else steps + joined


def _following(policy: Policy, view: View) -> list[Step]:
    """Another record leads, and this one is neither read nor written; what a person had answered about it is not lost."""
    if not view.moved:
        return []
    if view.own.gone:
        return [_refuse(view, view.unfound or _absent(view))]
    mine = f"{policy.flow.endpoint(view.anchor)}:{view.own.native}"
    text = f"{view.leader} leads the thing it belongs to by now, so by itself nothing is made of it: {'; '.join(view.moved.values())}"
    text += f"; koppel split {mine} takes it out, and then that is done; drop lets go of what was answered"
    return [
        Step(
            "ask",
            other(view.anchor),
            *_natives(view, None),
            label=view.own.label,
            field=FOLLOWS,
            problem=Problem("follows", text),
            choices=({"answer": DROP},),
        )
    ]


# --- matching -----------------------------------------------------------------------------------------------------


def _match(policy: Policy, view: View) -> list[Step] | Need:
    flow, free = policy.flow, [c for c in view.candidates if not c.taken and not c.apart]
    answer = view.answers.get("")
    if answer is not None and answer != NONE and not _carried_out(view, answer):
        return _as_answered(policy, view, answer)
    if flow.entity in DOCUMENTS:
        view, doubt = of_the_same_party(flow, policy.shapes, view)
        if doubt is not None and doubt.code == "needs":
            return [_park(view, doubt)]
        if doubt is not None:
            return [_ask_match(policy, view, doubt.code, doubt.text)]
        free = [c for c in view.candidates if not c.taken and not c.apart]
    if view.linked and not free:
        return []
    if view.linked:
        return _more_debtors(policy, view, free)
    if view.twins:
        return [_ask_match(policy, view, "twins", _twins(view))]
    taken = next((c for c in view.candidates if c.taken and not c.apart), None)
    if taken is not None:
        mine, theirs = flow.endpoint(view.anchor), flow.endpoint(other(view.anchor))
        text = f"{taken.side.label} carries the same {_kinds(taken)} but belongs to another record"
        text += f"; if all are one: koppel merge {mine}:{view.own.native} {theirs}:{taken.side.native}"
        return [_ask_match(policy, view, "taken", text)]
    if not free:
        return _held_apart(policy, view) or _new(policy, view)
    clash = _clash(flow.match.keys, view.own, free)
    if clash:
        return [_ask_match(policy, view, "keys_differ", clash)]
    outside = next((c for c in free if c.side.excluded), None)
    if outside is not None:
        text = (
            f"{outside.side.label} carries the same {_kinds(outside)} but is outside the flow: {outside.side.excluded}"
        )
        return [_ask_match(policy, view, "outside", text)]
    if len(free) == 1:
        return _link(policy, view, free[0], follower=False)
    if flow.match.shared_key == "ask" or flow.entity in DOCUMENTS:  # one document is never two
        named = ", ".join(c.side.label for c in free)
        text = f"{len(free)} records share the {_kinds(free[0])}: {named}"
        return [_ask_match(policy, view, "shared_key", text)]
    return [step for c in free for step in _link(policy, view, c, follower=True)]


def _more_debtors(policy: Policy, view: View, free: list[Candidate]) -> list[Step]:
    """Records that turned up beside a linked one: normal practice (rule B1), unless a stronger key says otherwise."""
    if view.twins:
        return [_ask_match(policy, view, "twins", _twins(view))]
    clash = _clash(policy.flow.match.keys, view.own, free)
    if clash:
        return [_ask_match(policy, view, "keys_differ", clash)]
    if policy.flow.match.shared_key == "ask" or policy.flow.entity in DOCUMENTS:
        text = f"{free[0].side.label} shares the {_kinds(free[0])} with what is linked already"
        return [_ask_match(policy, view, "shared_key", text)]
    return [step for c in free if not c.side.excluded for step in _link(policy, view, c, follower=True)]


def _held_apart(policy: Policy, view: View) -> list[Step]:
    """What carries its keys was taken apart from it by a person: not linked again by itself, and not doubled either."""
    apart = [c for c in view.candidates if c.apart]
    news = next((c for c in apart if c.news), None)
    if news is not None:
        text = f"{news.side.label} was held apart from it ({news.apart}), and now carries the same {_kinds(news)}"
        return [_ask_match(policy, view, "apart", text)]
    if apart and policy.flow.creates(other(view.anchor)):
        text = (
            f"{apart[0].side.label} carries the same {_kinds(apart[0])}, but was held apart from it ({apart[0].apart})"
        )
        return [_ask_match(policy, view, "apart", text)]
    return []


def _twins(view: View) -> str:
    return f"{1 + len(view.twins)} records here share one key: {view.own.label}, {', '.join(view.twins)}"


def _clash(order: tuple[str, ...], own: Side, candidates: list[Candidate]) -> str | None:
    """Why the keys contradict each other, in words: different keys name different records, or a candidate found by a weaker
    key carries another value of a stronger one."""
    first = next((kind for kind in order if any(kind in c.by for c in candidates)), None)
    mine = dict(reversed(own.keys))
    for candidate in candidates:
        theirs = dict(reversed(candidate.side.keys))
        for kind in order:
            if kind in mine and kind in theirs and kind not in candidate.by:
                return f"{candidate.side.label} matches on {_kinds(candidate)} but carries another {kind}: {theirs[kind]} instead of {mine[kind]}"
        if first is not None and first not in candidate.by:
            named = ", ".join(c.side.label for c in candidates if first in c.by)
            return f"the {first} names {named}, the {_kinds(candidate)} names {candidate.side.label}"
    return None


def _new(policy: Policy, view: View) -> list[Step] | Need:
    to = other(view.anchor)
    if not policy.flow.creates(to) and not view.proposals:
        return []
    early = too_early(policy.flow, view.own)
    if early is not None:
        return [_refuse(view, early) if early.code == "before_start" else _park(view, early)]
    if not view.absence_known:
        wanted = tuple((kind, value) for kind, value in view.own.keys if kind in policy.flow.match.keys)
        if wanted:
            return Need(view.anchor, view.own.native, wanted)
    late = next((problem for problem in view.own.problems if problem.code == LATE), None)
    if late is not None:  # what was posted is never changed silently
        return [_ask_match(policy, view, LATE, late.text)]
    if view.proposals:  # nothing is created before a person said that it is none of these (rule B17)
        best = view.proposals[0]
        text = f"{best.side.label} may be the same ({best.score} of 100): {'; '.join(best.reasons)}"
        return [_ask_match(policy, view, "proposed", text)]
    if view.parted:  # it had a counterpart until a person took them apart: whether it gets another one is not guessed
        text = f"it belonged with {view.parted[0].side.label} and was held apart from it ({view.parted[0].apart})"
        return [_ask_match(policy, view, "apart", text)]
    return [_create(policy, view, "not there yet: no record carries its keys" if view.own.keys else "not there yet")]


def _create(policy: Policy, view: View, why: str) -> Step:
    to = other(view.anchor)
    not_made = next((problem for problem in view.own.problems if problem.code == NOT_MADE), None)
    if not_made is not None:
        return _park(view, not_made)
    values: dict[str, Json] = {}
    because = {"": why}
    unmade = {p.field: p for p in view.own.problems if p.field is not None and p.field not in view.own.values}
    lacks: list[Problem] = []
    for key, shape in policy.shapes.items():
        rule, value = shape.rule, view.own.values.get(key)
        # What the target will own starts as the source has it: there is nothing yet that could be overwritten. A made value
        # has no way back, though.
        if (
            rule.when == "update"
            or not shape.may_create(to)
            or (rule.owner == to and any(each.derived for each in rule.alternatives))
        ):
            continue
        if key in unmade:
            return _park(view, unmade[key])  # a code without a line in its table: never left out, never guessed
        if is_blank(value):
            if shape.required(to):
                return _park(view, Problem("required", f"{key} is required on the {to} and empty here", field=key))
            continue
        if key in view.own.lacks:
            lacks.append(view.own.lacks[key])
        values[key] = value
    if lacks:  # what it names is not there yet: neither left out nor guessed
        text = "; ".join(dict.fromkeys(problem.text for problem in lacks))
        return _park(view, msgspec.structs.replace(lacks[0], text=text))
    return Step("create", to, *_natives(view, None), label=view.own.label, values=values, because=because)


def _link(policy: Policy, view: View, candidate: Candidate, *, follower: bool) -> list[Step]:
    evidence = f"same {_kinds(candidate)}" if candidate.by else "; ".join(("decided by a person", *candidate.reasons))
    evidence += ", shared by several records" if follower else ""
    left, right = _natives(view, candidate.side.native)
    if policy.flow.exists == "skip":
        because = {"": f"{evidence}; exists already, so this flow skips it"}
        label, to = view.own.label, other(view.anchor)
        return [Step("link", to, left, right, label=label, because=because, follower=follower, field=EXISTS)]
    update = _merged(policy, view, candidate.side, None, follower=follower)
    agreed = next((step.agreed for step in update if step.kind == "agree"), {})
    link = Step(
        "link",
        other(view.anchor),
        left,
        right,
        label=view.own.label,
        because={"": evidence},
        agreed=agreed,
        follower=follower,
    )
    return [link, *(step for step in update if step.kind != "agree")]


def _carried_out(view: View, answer: Json) -> bool:
    """Whether a person's decision on a match shows in the links already: it is not carried out twice."""
    if not view.linked or answer == "skip":
        return False
    chosen = {answer} if isinstance(answer, str) else {*answer}
    return answer == "create" or chosen <= {linked.side.native for linked in view.linked}


def _as_answered(policy: Policy, view: View, answer: Json) -> list[Step] | Need:
    """Carry out a person's decision on a match: create, skip, or the native id (or ids) to link with."""
    if answer == "skip":
        return [_refuse(view, Problem("skipped", "left out, as a person decided"))]
    if answer == "create":
        early = too_early(policy.flow, view.own)
        # not "no record carries its keys": one may well do, and a person chose to have another one beside it
        return [_refuse(view, early) if early else _create(policy, view, "a person decided to make one")]
    already = {linked.side.native for linked in view.linked}
    chosen = [native for native in (answer if isinstance(answer, list) else [answer]) if native not in already]
    offered = (*view.candidates, *view.parted, *view.proposals)
    found = [c for c in offered if c.side.native in chosen and not c.taken]
    if len(found) != len(chosen):
        return [_ask_match(policy, view, "answer_stale", "the record chosen is no longer a candidate")]
    return [step for c in found for step in _link(policy, view, c, follower=len(found) > 1 or bool(already))]


# --- linked pairs -------------------------------------------------------------------------------------------------


def _merged(policy: Policy, view: View, counterpart: Side, base: Base | None, *, follower: bool) -> list[Step]:
    """The steps of one pair: at most one update per side, asks and parks per field, and what is agreed."""
    if base is not None and base.skipped and policy.flow.exists == "skip":
        return []
    left, right = (view.own, counterpart) if view.anchor == "left" else (counterpart, view.own)
    facts_only = follower and policy.flow.match.shared_key == "facts"
    compared = {key: shape for key, shape in policy.shapes.items() if shape.rule.when != "create"}
    shapes = {key: shape for key, shape in compared.items() if shape.reaches(follower=follower, facts_only=facts_only)}
    broken = {p.field: p for p in (*left.problems, *right.problems) if p.field is not None and p.field in shapes}
    left_out = {*broken, *left.unheld, *right.unheld}
    shapes = {key: shape for key, shape in shapes.items() if key not in left_out}
    now = {
        key: Now(
            left=left.values.get(key),
            right=right.values.get(key),
            left_at=left.modified_at,
            right_at=right.modified_at,
            answer=view.answers.get(f"{right.native} {key}", view.answers.get(key)),
            left_lacks=left.lacks.get(key),
            right_lacks=right.lacks.get(key),
        )
        for key in shapes
    }
    merged = merge(shapes, now, base, visible=policy.visible)
    return _steps(view, left, right, merged, broken, follower=follower)


def _steps(
    view: View, left: Side, right: Side, merged: Merged, broken: dict[str, Problem], *, follower: bool
) -> list[Step]:
    steps: list[Step] = []
    label = view.own.label or left.label or right.label
    pair = (left.native, right.native, label)
    sides: tuple[SideName, SideName] = ("right", "left")
    if merged.agreed:
        notes = {key: merged.because[key] for key in merged.agreed if key in merged.because}
        steps.append(Step("agree", "right", *pair, agreed=merged.agreed, because=notes, follower=follower))
    for side in sides:
        if merged.to[side]:
            shown = (right if side == "right" else left).values
            before = {key: shown.get(key) for key in merged.to[side]}
            reasons = {key: merged.because.get(key, "") for key in merged.to[side]}
            steps.append(Step("update", side, *pair, merged.to[side], before, because=reasons, follower=follower))
    for key, problem in merged.asks.items():
        choices = (
            {"answer": "left", "value": left.values.get(key)},
            {"answer": "right", "value": right.values.get(key)},
            {"answer": "leave"},
        )
        why = {key: merged.because.get(key, "")}
        steps.append(
            Step("ask", "right", *pair, because=why, follower=follower, field=key, problem=problem, choices=choices)
        )
    for key, problem in [*merged.parks.items(), *broken.items()]:
        steps.append(Step("park", "right", *pair, follower=follower, field=key, problem=problem))
    return steps


# --- disappearing -------------------------------------------------------------------------------------------------


def _gone(policy: Policy, view: View, linked: Linked) -> Step:
    """This side is gone, its counterpart is not or is too."""
    if linked.side.gone:
        left, right = _natives(view, linked.side.native)
        label = view.own.label or linked.side.label
        return Step("unlink", view.anchor, left, right, label=label, because={"": "gone on both sides"})
    changed = _changed_since_agreed(policy, other(view.anchor), linked.side, linked.base)
    return _by_missing_rule(policy, view, linked, gone=view.anchor, changed=changed)


def _gone_counterpart(policy: Policy, view: View, linked: Linked) -> Step:
    changed = _changed_since_agreed(policy, view.anchor, view.own, linked.base)
    return _by_missing_rule(policy, view, linked, gone=other(view.anchor), changed=changed)


def _by_missing_rule(policy: Policy, view: View, linked: Linked, *, gone: SideName, changed: bool) -> Step:
    """What the flow or a person says about a record whose counterpart disappeared; `changed`: it was edited since."""
    left, right = _natives(view, linked.side.native)
    stays, label = other(gone), view.own.label or linked.side.label
    possible = ["unlink"]
    possible += ["archive"] if stays in policy.archives and may_archive(policy.flow.entity) else []
    possible += ["restore"] if policy.flow.creates(gone) else []
    rule = policy.flow.missing(gone)
    if changed and rule == "archive":
        rule = "ask"  # gone here, changed there: never delete
    answer = _answer(view, linked, "missing")
    rule = answer if answer in possible else rule
    because = {"": f"gone on the {gone}"}
    if (
        rule == "unlink"
    ):  # the field says why: what stays is left alone from then on, or it would be made again over there
        return Step("unlink", stays, left, right, label=label, because=because, field="missing")
    if rule == "archive" and rule in possible:
        return Step("archive", stays, left, right, label=label, because=because)
    if rule == "restore" and rule in possible:
        because = {"": f"gone on the {gone}; to be made again"}
        return Step("unlink", gone, left, right, label=label, because=because, field="restore")
    text = f"gone on the {gone}, still there on the {stays}" + (", and changed there since" if changed else "")
    text += f"; {advice}" if (advice := INSTEAD.get(policy.flow.entity)) else ""
    choices = tuple({"answer": choice} for choice in possible)
    problem = Problem("missing", text)
    return Step(
        "ask", stays, left, right, label, field="missing", problem=problem, choices=choices, follower=linked.follower
    )


def _answer(view: View, linked: Linked, about: str) -> Json:
    """A person's decision about one counterpart: asked for it alone where there are several."""
    return view.answers.get(f"{linked.side.native} {about}", view.answers.get(about))


def _changed_since_agreed(policy: Policy, side: SideName, record: Side, base: Base | None) -> bool:
    """Whether the record that is still there was edited since both sides agreed; without a base nobody can tell."""
    if base is None:
        return True
    agreed = base.left if side == "left" else base.right
    return any(
        key in agreed and not shape.same_on(side, record.values.get(key), agreed[key])
        for key, shape in policy.shapes.items()
    )


def _out_of_scope(policy: Policy, view: View) -> list[Step]:
    steps = [_gone_counterpart(policy, view, linked) for linked in view.linked if linked.side.gone]
    there = [linked for linked in view.linked if not linked.side.gone]
    answer = view.answers.get("scope")
    if answer is None and there:
        steps.append(_left_scope(view, there[0]))
    elif answer == "unlink":
        steps += [_unlinked_by_a_person(view, linked) for linked in there]
    return steps  # a person may have decided to leave it as it is


def _counterpart_out_of_scope(view: View, linked: Linked) -> list[Step]:
    """The counterpart left the flow's scope: nothing is written to it any more, and a person says what becomes of the link."""
    answer = _answer(view, linked, "scope")
    if answer == "unlink":
        return [_unlinked_by_a_person(view, linked)]
    if answer is not None:
        return []
    left, right = _natives(view, linked.side.native)
    problem = Problem("left_scope", f"{linked.side.label} is linked, but now outside the flow: {linked.side.excluded}")
    choices = ({"answer": "leave"}, {"answer": "unlink"})
    label, to = view.own.label, other(view.anchor)
    return [
        Step("ask", to, left, right, label, field="scope", problem=problem, choices=choices, follower=linked.follower)
    ]


def _unlinked_by_a_person(view: View, linked: Linked) -> Step:
    left, right = _natives(view, linked.side.native)
    return Step("unlink", view.anchor, left, right, label=view.own.label, because={"": "decided by a person"})


def _left_scope(view: View, linked: Linked) -> Step:
    """A linked record left the flow's scope (an ended company): flagged, never deleted or renumbered (rule B2)."""
    text = f"linked, but now outside the flow: {view.own.excluded}"
    choices: tuple[dict[str, Json], ...] = ({"answer": "leave"}, {"answer": "unlink"})
    if view.own.successor:
        known = "its successor" if view.own.successor_known else "a possible successor"
        text += f"; the register names {view.own.successor} as {known}"
        choices = (*choices, {"answer": "leave", "successor": view.own.successor})
    left, right = _natives(view, linked.side.native)
    return Step(
        "ask",
        other(view.anchor),
        left,
        right,
        label=view.own.label,
        field="scope",
        problem=Problem("left_scope", text),
        choices=choices,
    )


# --- small makers -------------------------------------------------------------------------------------------------


def _natives(view: View, counterpart: str | None) -> tuple[str | None, str | None]:
    return (view.own.native, counterpart) if view.anchor == "left" else (counterpart, view.own.native)


def _absent(view: View) -> Problem:
    if view.own.problems and not view.own.values:  # never seen, and the vendor said why
        return view.own.problems[0]
    return Problem("gone", f"{view.own.label or view.own.native} is gone")


def _refuse(view: View, problem: Problem) -> Step:
    return Step(
        "refuse", other(view.anchor), *_natives(view, None), label=view.own.label or view.own.native, problem=problem
    )


def _park(view: View, problem: Problem) -> Step:
    return Step(
        "park", other(view.anchor), *_natives(view, None), label=view.own.label or view.own.native, problem=problem
    )


def _ask_match(policy: Policy, view: View, code: str, text: str) -> Step:
    """Ask which record it is: those that carry its keys or belonged with it, else those that are merely alike; a new one; or
    left out."""
    to = other(view.anchor)
    choices: list[dict[str, Json]] = [
        {"answer": c.side.native, "label": c.side.label, "by": list(c.by)}
        for c in (*view.candidates, *view.parted)
        if not c.taken
    ]
    if code in ("proposed", "answer_stale"):
        choices += [
            {"answer": c.side.native, "label": c.side.label, "score": c.score, "reasons": list(c.reasons)}
            for c in view.proposals
        ]
    creates = policy.flow.creates(to)
    choices += [{"answer": "create"}] if creates else []
    choices += [{"answer": NONE}] if code == "proposed" and not creates else []
    choices += [{"answer": "skip"}]
    return Step(
        "ask",
        to,
        *_natives(view, None),
        label=view.own.label,
        problem=Problem(code, text),
        choices=tuple(choices),
    )


def _kinds(candidate: Candidate) -> str:
    return " and ".join(candidate.by)
