"""Every reason that is given is the reason: for each code the situation is built, asked about, and then exactly the named cause
is changed, and the thing happens; changing something else does not make it happen."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from koppel.engine.explain import explain
from koppel.engine.reasons import CODES
from koppel.engine.send import Sender
from koppel.mapping.flow import Brakes, Condition, FieldRule, Match, RunRules, Scope
from koppel.model.values import Ref
from koppel.store import due, suppression, work
from koppel.store.due import Due
from koppel.testing.pair_desk import PairDesk, pair_flow

NAME, KVK, PHONE = FieldRule("name"), FieldRule("kvk"), FieldRule("phone")


class Case:
    """One situation: how it is built, what is asked, how the cause is changed, what then is true; `else_` changes something else."""

    def __init__(
        self,
        code: str,
        build: Callable[[Random], PairDesk],
        mend: Callable[[PairDesk], None],
        happened: Callable[[PairDesk], bool],
        else_: Callable[[PairDesk], None],
        *,
        ref: str = "left:customers:1",
        field: str | None = None,
    ) -> None:
        self.code, self.build, self.mend, self.happened, self.else_ = code, build, mend, happened, else_
        self.ref, self.field = ref, field


def codes_of(desk: PairDesk, ref: str, field: str | None = None) -> list[str]:
    return [reason.code for reason in ask(desk, ref, field).open]


def ask(desk, ref, field=None, **more):
    return explain(desk.ports, {"pair": desk.flow}, Ref.parse(ref), field=field, **more)


def row(rnd: Random, **more):
    return {"title": f"Bakkerij {rnd.randint(100, 999)}", "nr": f"421{rnd.randint(10000, 99999)}", **more}


def on_till(desk: PairDesk) -> bool:
    return bool(desk.till.rows)


def linked(rnd: Random, *rules: FieldRule, left=None, right=None, **flow) -> PairDesk:
    """A settled pair."""
    desk = PairDesk(pair_flow(*rules, **flow))
    shared = row(rnd)
    desk.ledger.add({**shared, **(left or {})})
    desk.till.add({**shared, **(right or {})})
    desk.settle()
    return desk


def runs(desk: PairDesk) -> None:
    desk.settle()


def other_record(desk: PairDesk) -> None:
    """Something else: another record is edited and everything runs."""
    native = desk.ledger.add({"title": "Iets anders", "nr": "42199999"})
    desk.ledger.edit(native, {"title": "Iets heel anders"})
    desk.settle()
    for till in [n for n, r in desk.till.rows.items() if r.get("nr") == "42199999"]:
        desk.till.delete(till)
    desk.ledger.delete(native)
    desk.settle()


def nothing_else(desk: PairDesk) -> None:
    desk.later(3600)


# --- of a record --------------------------------------------------------------------------------------------------------


def _outside(rnd: Random) -> PairDesk:
    desk = PairDesk(pair_flow(scope=Scope(left=(Condition(field="legal_form", is_="BV"),))))
    desk.ledger.add(row(rnd, form="Stichting"))
    desk.settle()
    return desk


def _no_key(rnd: Random) -> PairDesk:
    desk = PairDesk(pair_flow(create_right=False))
    desk.ledger.add({"title": "Zonder nummer"})
    desk.till.add(row(rnd) | {"nr": "42155555"})
    desk.settle()
    return desk


def _no_match(rnd: Random) -> PairDesk:
    desk = PairDesk(pair_flow(create_right=False))
    desk.ledger.add(row(rnd))
    desk.settle()
    return desk


def _not_run(rnd: Random) -> PairDesk:
    desk = PairDesk()
    desk.sync()
    desk.ledger.add(row(rnd))
    desk.do(_read_only(desk))
    return desk


async def _read_only(desk: PairDesk) -> None:
    """Another flow's run read the stream: the record is known, and this flow has not looked yet."""
    from koppel.engine.fetch import fetch

    connection, resource = desk.ports.at(desk.flow.left)
    await fetch(desk.ports, Sender(desk.ports), connection, resource)


def _braked(rnd: Random) -> PairDesk:
    desk = PairDesk(pair_flow(run=RunRules(brakes=Brakes(1, None, None))))
    for number in range(3):
        desk.ledger.add({"title": f"Bakkerij {number}", "nr": f"4210000{number}"})
    desk.sync()
    return desk


def _asked(rnd: Random) -> PairDesk:
    desk = PairDesk(pair_flow(NAME, KVK, FieldRule("email", "ask")))
    desk.both(row(rnd), left={"mail": "a@firm.example"}, right={"mail": "b@firm.example"})
    desk.settle()
    return desk


def _answered(rnd: Random) -> PairDesk:
    desk = _asked(rnd)
    desk.answer("left")
    return desk


def _refused(rnd: Random) -> PairDesk:
    desk = PairDesk()
    desk.ledger.add(row(rnd) | {"title": "nee: deze niet"})
    desk.sync()
    return desk


def _required(rnd: Random) -> PairDesk:
    desk = PairDesk()
    desk.ledger.add({"nr": "42100001"})
    desk.sync()
    return desk


def _skipped(rnd: Random) -> PairDesk:
    desk = PairDesk()
    desk.ledger.add(row(rnd) | {"nr": "42100001"})
    desk.till.add({"title": "Een", "nr": "42100001"})
    desk.till.add({"title": "Twee", "nr": "42100001"})
    desk.edit_flow(match=Match(keys=("kvk",), shared_key="ask"))
    desk.settle()
    desk.answer("skip")
    desk.settle()
    return desk


def _left_alone(rnd: Random) -> PairDesk:
    desk = linked(rnd, missing_right="unlink")
    desk.till.delete("1")
    desk.settle()
    return desk


def _take_anew(desk: PairDesk) -> None:
    from koppel.engine.flow import take

    desk.do(take(desk.ports, desk.flow, ["1"]))
    desk.settle()


def _in_doubt(rnd: Random) -> PairDesk:
    desk = PairDesk()
    desk.ledger.add(row(rnd))
    desk.sync()
    desk.later()
    desk.settle()
    desk.ledger.edit("1", {"title": "Nieuwe naam"})
    desk.wire.lose_before = 1
    desk.clock.sleep = _never  # type: ignore[method-assign]
    with pytest.raises(_Stop):
        desk.sync()
    del desk.clock.sleep
    desk.later(5)
    return desk


class _Stop(Exception):
    pass


async def _never(seconds: float) -> None:
    raise _Stop


def _gone(rnd: Random) -> PairDesk:
    desk = PairDesk(pair_flow(create_right=False))
    desk.ledger.add(row(rnd))
    desk.settle()
    desk.ledger.delete("1")
    desk.settle()
    return desk


def _erased(rnd: Random) -> PairDesk:
    desk = PairDesk()

    def leave_out(db):
        case = suppression.open_case(db, "erased", at=0.0, by="mieke", until=None, reason="asked")
        suppression.suppress(db, case, natives=[(1, "1")], keys=())

    desk.sync()
    desk.store.run(leave_out)
    desk.ledger.add(row(rnd))
    desk.settle()
    return desk


def _lift(desk: PairDesk) -> None:
    desk.store.run(suppression.let_go, 1)
    desk.ledger.edit("1", {"tel": "0205550000"})
    desk.settle()


def counterpart_outside(rnd: Random) -> PairDesk:
    desk = linked(rnd, scope=Scope(right=(Condition(field="do_not_mail", is_not=True),)))
    desk.till.edit("1", {"nomail": True})
    desk.settle()
    desk.ledger.edit("1", {"title": "Nieuwe naam"})
    desk.settle()
    return desk


def title(desk: PairDesk) -> bool:
    return desk.till.rows["1"].get("title") == "Nieuwe naam"


def _deleted(desk: PairDesk) -> PairDesk:
    desk.till.delete("1")
    desk.settle()
    return desk


def _no_answer(rnd: Random) -> PairDesk:
    desk = PairDesk()
    desk.sync()
    desk.ledger.add(row(rnd))
    desk.till.allowance = 0
    assert desk.sync().state == "stopped"
    return desk


def _open_again(desk: PairDesk) -> None:
    desk.till.allowance = 1000


def _slow(rnd: Random) -> PairDesk:
    desk = PairDesk()
    desk.sync()
    desk.till.lag = lambda: 100.0
    desk.ledger.add(row(rnd))
    desk.sync()
    return desk


def _renamed(desk: PairDesk) -> PairDesk:
    desk.ledger.edit("1", {"title": "Nieuwe naam"})
    desk.settle()
    return desk


def _synced(desk: PairDesk) -> PairDesk:
    desk.settle()
    return desk


def _with(desk: PairDesk, values) -> PairDesk:
    desk.ledger.add(values)
    return desk


def _unskip(desk: PairDesk) -> None:
    items = desk.store.run(work.about, "pair", "left", ["1"])
    desk.store.run(work.close, [i.id for i in items if i.answer == "skip"], by="mieke", at=desk.clock.now())
    desk.store.run(due.add, "pair", [Due("left", "1", "asked")], at=desk.clock.now())


RECORD = [
    Case(
        "out_of_scope",
        _outside,
        lambda d: (d.ledger.edit("1", {"form": "BV"}), runs(d)),
        on_till,
        lambda d: (d.ledger.edit("1", {"tel": "0205550000"}), runs(d)),
    ),
    Case(
        "no_key",
        _no_key,
        lambda d: (d.ledger.edit("1", {"nr": "42155555"}), runs(d)),
        lambda d: d.trail("linked") != [],
        lambda d: (d.ledger.edit("1", {"title": "Nog steeds zonder"}), runs(d)),
    ),
    Case(
        "no_match",
        _no_match,
        lambda d: (d.till.add({"title": "x", "nr": d.ledger.rows["1"]["nr"]}), runs(d)),
        lambda d: d.trail("linked") != [],
        lambda d: (d.till.add({"title": "x", "nr": "42177777"}), runs(d)),
    ),
    Case(
        "no_match",
        _no_match,
        lambda d: (d.edit_flow(create_right=True), runs(d)),
        on_till,
        lambda d: (d.edit_flow(create_left=True, create_right=False), runs(d)),
    ),
    Case("not_run", _not_run, runs, on_till, nothing_else),
    Case("brake", _braked, lambda d: d.sync(override=("creates",)), on_till, lambda d: d.sync(override=("share",))),
    Case(
        "asked",
        _asked,
        lambda d: (d.answer("left"), runs(d)),
        lambda d: d.till.rows["1"]["mail"] == "a@firm.example",
        other_record,
    ),
    Case("answered", _answered, runs, lambda d: d.till.rows["1"]["mail"] == "a@firm.example", nothing_else),
    Case(
        "parked",
        _refused,
        lambda d: (d.ledger.edit("1", {"title": "Deze wel"}), runs(d)),
        on_till,
        lambda d: (d.sync(), d.ledger.edit("1", {"web": "www.x.example"}), d.sync()),
    ),
    Case(
        "parked",
        _required,
        lambda d: (d.ledger.edit("1", {"title": "Met naam"}), runs(d)),
        on_till,
        lambda d: (d.ledger.edit("1", {"tel": "0205550000"}), runs(d)),
    ),
    Case(
        "left_out",
        _skipped,
        lambda d: (_unskip(d), runs(d), d.answer("1"), runs(d)),
        lambda d: d.trail("linked") != [],
        other_record,
    ),
    Case("left_alone", _left_alone, _take_anew, on_till, other_record),
    Case(
        "in_doubt",
        _in_doubt,
        lambda d: (d.later(700), runs(d)),
        title,
        lambda d: d.later(1),
    ),
    Case(
        "gone",
        _gone,
        lambda d: (d.ledger.add({"title": "Terug", "nr": "42100001"}), d.edit_flow(create_right=True), runs(d)),
        on_till,
        lambda d: (d.edit_flow(create_right=True), runs(d)),
    ),
    Case("erased", _erased, _lift, on_till, lambda d: (d.ledger.edit("1", {"tel": "0205551111"}), runs(d))),
    Case(
        "counterpart_out_of_scope",
        counterpart_outside,
        lambda d: (d.till.edit("1", {"nomail": False}), runs(d)),
        title,
        lambda d: (d.till.edit("1", {"staff": 7}), runs(d)),
    ),
    Case(
        "exists_skipped",
        lambda rnd: _renamed(linked(rnd, exists="skip")),
        lambda d: (d.edit_flow(exists="link"), runs(d)),
        title,
        lambda d: (d.ledger.edit("1", {"title": "Nog iets"}), runs(d)),
    ),
    Case(
        "counterpart_gone",
        lambda rnd: _deleted(linked(rnd)),
        lambda d: (d.answer("restore"), runs(d)),
        on_till,
        other_record,
    ),
    Case("run_failed", _no_answer, lambda d: (_open_again(d), runs(d)), on_till, lambda d: (d.later(3600), d.sync())),
    Case(
        "unseen_counterpart",
        _slow,
        lambda d: (d.later(), runs(d)),
        lambda d: "unseen_counterpart" not in codes_of(d, "left:customers:1"),
        lambda d: d.later(1),
    ),
    Case(
        "never_seen",
        lambda _rnd: _synced(PairDesk()),
        lambda d: (d.ledger.add({"title": "Nu wel", "nr": "42100001"}), runs(d)),
        on_till,
        runs,
    ),
    Case(
        "not_read",
        lambda rnd: _with(PairDesk(), row(rnd)),
        runs,
        on_till,
        nothing_else,
    ),
]


# --- of a field -----------------------------------------------------------------------------------------------------------


def phone(desk: PairDesk) -> bool:
    return desk.till.rows["1"].get("tel") == "0205559999"


def _owner(rnd: Random) -> PairDesk:
    desk = linked(rnd, NAME, KVK, PHONE, left={"tel": "0205551111"}, right={"tel": "0205551111"})
    desk.till.edit("1", {"tel": "0205559999"})
    desk.settle()
    return desk


def _drift(rnd: Random) -> PairDesk:
    rules = (NAME, KVK, FieldRule("phone", drift="leave"))
    desk = linked(rnd, *rules, left={"tel": "0205551111"}, right={"tel": "0205551111"})
    desk.till.edit("1", {"tel": "0205552222"})
    desk.settle()
    return desk


def _empty(rnd: Random) -> PairDesk:
    desk = linked(rnd, NAME, KVK, PHONE, left={"tel": "0205551111"}, right={"tel": "0205551111"})
    desk.ledger.edit("1", {"tel": None})
    desk.settle()
    return desk


def _only_new(rnd: Random) -> PairDesk:
    desk = linked(rnd, NAME, KVK, FieldRule("phone", when="create"), left={"tel": "0205551111"})
    desk.ledger.edit("1", {"tel": "0205559999"})
    desk.settle()
    return desk


def _unnamed(rnd: Random) -> PairDesk:
    desk = linked(rnd, NAME, KVK, left={"tel": "0205559999"})
    desk.settle()
    return desk


def _unmapped(rnd: Random) -> PairDesk:
    rules = (NAME, KVK, FieldRule("legal_form", table="forms"))
    desk = linked(rnd, *rules, left={"form": "BV"}, tables={"forms": {"BV": "besloten"}})
    desk.ledger.edit("1", {"form": "NV"})
    desk.settle()
    return desk


def _spelled(rnd: Random) -> PairDesk:
    return linked(rnd, NAME, KVK, PHONE, left={"tel": "020-555 9999"}, right={"tel": "+31205559999"})


def _written(rnd: Random) -> PairDesk:
    desk = linked(rnd, NAME, KVK, PHONE, left={"tel": "0205551111"}, right={"tel": "0205551111"})
    desk.till.lag = lambda: 15.0
    desk.ledger.edit("1", {"tel": "0205559999"})
    desk.sync()
    return desk


def _by_person(rnd: Random) -> PairDesk:
    desk = PairDesk(pair_flow(NAME, KVK, FieldRule("email", "ask")))
    desk.both(row(rnd), left={"mail": "a@firm.example"}, right={"mail": "b@firm.example"})
    desk.settle()
    desk.answer("leave")
    desk.settle()
    return desk


def _cut(rnd: Random) -> PairDesk:
    desk = PairDesk(pair_flow(NAME, KVK, FieldRule("statutory_name")))
    desk.ledger.add(row(rnd, legal="Bakkerij Jansen en Zonen Holding"))
    for _ in range(5):
        desk.sync()
        desk.later()
    return desk


def _fixed(rnd: Random) -> PairDesk:
    desk = PairDesk(pair_flow(NAME, KVK, PHONE))
    desk.without("right", "phone")
    desk.ledger.add(row(rnd, tel="0205551111"))
    desk.settle()
    return desk


def _other_rule(rnd: Random) -> PairDesk:
    only = FieldRule("phone", where=(Condition(field="legal_form", is_="BV"),))
    desk = linked(rnd, NAME, KVK, only, left={"tel": "0205551111", "form": "NV"}, right={"tel": "0205551111"})
    desk.ledger.edit("1", {"tel": "0205559999"})
    desk.settle()
    return desk


def _status(rnd: Random) -> PairDesk:
    steps = FieldRule("legal_form", forward=("open", "betaald", "klaar"))
    desk = linked(rnd, NAME, KVK, steps, left={"form": "betaald"}, right={"form": "betaald"})
    desk.ledger.edit("1", {"form": "open"})
    desk.settle()
    return desk


FIELD = [
    Case(
        "rule_not_held",
        _other_rule,
        lambda d: (d.ledger.edit("1", {"form": "BV"}), runs(d)),
        phone,
        lambda d: (d.ledger.edit("1", {"form": "CV"}), runs(d)),
        field="phone",
    ),
    Case(
        "forward_only",
        _status,
        lambda d: (d.ledger.edit("1", {"form": "klaar"}), runs(d)),
        lambda d: d.till.rows["1"]["form"] == "klaar",
        lambda d: (d.ledger.edit("1", {"tel": "0205550000"}), runs(d)),
        field="legal_form",
    ),
    Case(
        "owner_stands",
        _owner,
        lambda d: (
            d.edit_flow(NAME, KVK, FieldRule("phone", "right")),
            d.till.edit("1", {"tel": "0205559999"}),
            runs(d),
        ),
        lambda d: phone(d) and d.ledger.rows["1"]["tel"] == "0205559999",
        lambda d: (d.till.edit("1", {"tel": "0205559999"}), runs(d)),
        field="phone",
    ),
    Case(
        "drift_leave",
        _drift,
        lambda d: (d.edit_flow(NAME, KVK, PHONE), runs(d)),
        lambda d: d.till.rows["1"]["tel"] == "0205551111",
        other_record,
        field="phone",
    ),
    Case(
        "empty_keeps",
        _empty,
        lambda d: (d.edit_flow(NAME, KVK, FieldRule("phone", empty="clear")), runs(d)),
        lambda d: not d.till.rows["1"].get("tel"),
        lambda d: (d.ledger.edit("1", {"web": "www.x.example"}), runs(d)),
        field="phone",
    ),
    Case(
        "when_create",
        _only_new,
        lambda d: (d.edit_flow(NAME, KVK, PHONE), runs(d)),
        phone,
        lambda d: (d.ledger.edit("1", {"web": "www.x.example"}), runs(d)),
        field="phone",
    ),
    Case(
        "not_in_flow",
        _unnamed,
        lambda d: (d.edit_flow(NAME, KVK, PHONE), runs(d)),
        phone,
        lambda d: (d.edit_flow(NAME, KVK, FieldRule("website")), runs(d)),
        field="phone",
    ),
    Case(
        "unmapped",
        _unmapped,
        lambda d: (d.edit_flow(tables={"forms": {"BV": "besloten", "NV": "naamloos"}}), runs(d)),
        lambda d: d.till.rows["1"].get("form") == "naamloos",
        lambda d: (d.edit_flow(tables={"forms": {"BV": "besloten", "CV": "commanditair"}}), runs(d)),
        field="legal_form",
    ),
    Case(
        "equal",
        _spelled,
        lambda d: (d.ledger.edit("1", {"tel": "020-5558888"}), runs(d)),
        lambda d: d.till.rows["1"]["tel"] != "+31205559999",
        lambda d: (d.ledger.edit("1", {"tel": "(020) 5559999"}), runs(d)),
        field="phone",
    ),
    Case(
        "on_its_way",
        _written,
        lambda d: (d.later(), runs(d)),
        lambda d: "on_its_way" not in codes_of(d, "left:customers:1", "phone"),
        lambda d: d.later(0.5),
        field="phone",
    ),
    Case(
        "asked",
        _asked,
        lambda d: (d.answer("right"), runs(d)),
        lambda d: d.ledger.rows["1"]["mail"] == "b@firm.example",
        other_record,
        field="email",
    ),
    Case(
        "left_by_person",
        _by_person,
        lambda d: (d.edit_flow(NAME, KVK, FieldRule("email", "left")), runs(d)),
        lambda d: d.till.rows["1"]["mail"] == "a@firm.example",
        other_record,
        field="email",
    ),
    Case(
        "kept_differently",
        _cut,
        lambda d: (d.ledger.edit("1", {"legal": "Jansen Holding"}), runs(d)),
        lambda d: d.till.rows["1"]["legal"] == "Jansen Holding",
        runs,
        field="statutory_name",
    ),
    Case(
        "cannot_write",
        _fixed,
        lambda d: (d.without("right"), d.ledger.edit("1", {"tel": "0205559999"}), runs(d)),
        phone,
        lambda d: (d.ledger.edit("1", {"tel": "0205559999"}), runs(d)),
        field="phone",
    ),
]


def _name(case: Case) -> str:
    return case.code


@pytest.mark.parametrize("case", [*RECORD, *FIELD], ids=_name)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_reason_is_the_reason(case: Case, seed: int) -> None:
    desk = case.build(Random(seed))
    assert not case.happened(desk)
    told = codes_of(desk, case.ref, case.field)
    assert case.code in told, told
    case.else_(desk)
    assert not case.happened(desk), "changing something else does not make it happen"
    desk = case.build(Random(seed))
    case.mend(desk)
    assert case.happened(desk), "the named cause, changed, makes it happen"
    after = codes_of(desk, case.ref, case.field)
    if case.code not in ("gone", "equal", "kept_differently"):  # those say how it is now as well
        assert case.code not in after, after


def test_every_code_that_is_given_is_in_the_list() -> None:
    for case in [*RECORD, *FIELD]:
        desk = case.build(Random(3))
        told = ask(desk, case.ref, case.field)
        for reason in told.open:
            assert reason.code in CODES, reason
            assert reason.text


def test_the_chain_of_what_happened_is_told_whole() -> None:
    desk = linked(Random(4), NAME, KVK, PHONE, left={"tel": "0205551111"}, right={"tel": "0205551111"})
    desk.ledger.edit("1", {"tel": "0205559999"})
    run = desk.sync().run
    told = next(r for r in ask(desk, "right:shops:1", "phone").history if r.code == "changed")
    assert (told.before, told.after, told.flow) == ("0205551111", "0205559999", "pair")
    origin = told.origin
    assert origin is not None, "observation and rule"
    assert (origin.ref, origin.version, origin.rule) == (
        "left:customers:1",
        str(desk.ledger.versions["1"]),
        {"owner": "left"},
    )
    assert told.details["op"], "operation"
    assert (told.details["receipt"], told.details["run"]) == ("reply", run)


def test_both_spellings_are_told_of_values_that_are_equal() -> None:
    desk = _spelled(Random(5))
    (now,) = ask(desk, "left:customers:1", "phone").fields
    assert (now.code, now.left, now.right) == ("equal", "020-555 9999", "+31205559999")
    assert now.origin is not None
    assert now.origin.kind == "linked"


def test_the_condition_and_the_value_that_fails_it_are_told() -> None:
    (told,) = ask(_outside(Random(6)), "left:customers:1").open
    assert told.details["condition"] == "legal_form is BV"
    assert told.details["shows"] == {"legal_form": "Stichting"}


def test_a_parked_record_tells_the_vendors_words_and_tries() -> None:
    (told,) = [r for r in ask(_refused(Random(7)), "left:customers:1").open if r.code == "parked"]
    assert "ongeldige waarde" in told.text
    assert told.details["tries"] == 1


def test_a_number_that_was_never_taken_in_says_so(desk) -> None:
    number = desk.numbers[0]
    desk.sync()
    told = explain(desk.ports, {desk.flow.id: desk.flow}, Ref.parse(f"register:companies:{number}"))
    assert [r.code for r in told.open] == ["not_taken_in"]
    desk.take(number)
    told = explain(desk.ports, {desk.flow.id: desk.flow}, Ref.parse(f"register:companies:{number}"))
    assert [r.code for r in told.open] == ["not_run"]
    desk.sync()
    told = explain(desk.ports, {desk.flow.id: desk.flow}, Ref.parse(f"register:companies:{number}"))
    assert not {"not_taken_in", "not_run"} & {r.code for r in told.open}
    assert told.known


def test_a_record_of_no_flow_and_a_flow_that_cannot_be_opened_say_so() -> None:
    desk = linked(Random(8))
    told = explain(desk.ports, {}, Ref.parse("left:customers:1"))
    assert [r.code for r in told.open] == ["no_flow"]
    told = ask(desk, "left:customers:1", broken={"pair": "right has no key"})
    assert [(r.code, r.text) for r in told.open] == [("set_up", "right has no key")]
    assert told.history, "what happened is told all the same"


def test_whose_record_is_only_kept_shows_nothing_of_it() -> None:
    desk = linked(Random(9))

    def keep(db):
        case = suppression.open_case(db, "restricted", at=0.0, by="mieke", until=None, reason="asked")
        suppression.restrict(db, case, [(1, "1")])
        suppression.suppress(db, case, natives=[(1, "1")], keys=())

    name = desk.ledger.rows["1"]["title"]
    assert name in ask(desk, "left:customers:1").label
    desk.store.run(keep)
    told = ask(desk, "left:customers:1")
    assert [r.code for r in told.open] == ["restricted"]
    assert name not in repr(told)


def test_why_asks_no_vendor_and_changes_nothing() -> None:
    desk = _asked(Random(10))
    before = desk.trail()
    desk.wire.lose_before = desk.wire.lose_after = 0
    desk.ports.transport = None  # type: ignore[assignment]
    ask(desk, "left:customers:1", "email")
    assert desk.trail() == before
