"""The Mutatieservice: windows that overlap, details asked for once, successors only for whole companies."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from koppel.model.problem import RetryLater, SetupError
from koppel.model.values import Cursor
from koppel.systems.kvk import SYSTEM, codec, signals
from koppel.systems.kvk.settings import Settings
from koppel.systems.spi import NoReply, Query, Response, Site, drive

AS_OF = 1_800_000_000.0  # 2027-01-15T08:00:00Z
SETTINGS = Settings(apikey="made-up-key-1", base_url="http://register.example", signals=True, subscription="sub-1")
SITE = Site(connection="register", settings=SETTINGS, facts={}, as_of=AS_OF)
NOTHING = {"fout": [{"code": "IPD5200", "omschrijving": "niets"}]}


def reply(status, body):
    return Response(status, {}, msgspec.json.encode(body))


def signal(name, number="01234567", kind="SignaalGewijzigdeInschrijving", at="2027-01-15T07:50:00Z", **more):
    return {"id": name, "timestamp": at, "kvknummer": number, "signaalType": kind, **more}


def detail(old="01234567", new="76543210", role=None, **block):
    role = role or {"rolBijVoortzettingOverdracht": {"code": "VG", "omschrijving": "Voortgezet door"}}
    branches = [{"vestigingsnummer": "000000000001"}, {"vestigingsnummer": "000000000002"}]
    about = {"kvkNummer": old, "wordtUitgeoefendIn": branches}
    return {"heeftBetrekkingOp": about, "voortzettingEnOverdracht": {"kvkNummer": new, **role, **block}}


class Register:
    """Answers by the last part of the address; keeps what it was asked."""

    def __init__(self, *rows, per_page=500, details=None, ids=("sub-1",)):
        self.rows, self.per_page, self.details, self.ids = rows, per_page, details or {}, ids
        self.asked = []
        self.list_answer = None

    def __call__(self, call):
        parts = urlsplit(call.request.url)
        query = dict(parse_qsl(parts.query))
        self.asked.append((call.kind, query))
        last = parts.path.rsplit("/", 1)[-1]
        if call.kind == "abonnementen":
            return reply(200, {"abonnementen": [{"id": name, "actief": True} for name in self.ids]})
        if call.kind == "signaal":
            told = self.details.get(last)
            return told if isinstance(told, Response) else reply(200, {"signaal": told})
        if self.list_answer is not None:
            return self.list_answer
        number = int(query["pagina"])
        rows = self.rows[(number - 1) * self.per_page : number * self.per_page]
        return reply(200, {"signalen": list(rows), "totaalPaginas": -(-len(self.rows) // self.per_page)})

    def kinds(self):
        return [kind for kind, _ in self.asked]


def read(register, cursor=None, *, site=SITE):
    found, query = [], Query(cursor=cursor)
    while True:
        page = drive(signals.pages(site, query), register)
        found.append(page)
        if page.next is None:
            return found
        query = Query(cursor=cursor, next=page.next)


def later(seconds):
    return Site(connection="register", settings=SETTINGS, facts={}, as_of=AS_OF + seconds)


def test_the_feed_is_named_by_the_companies_it_hints_at():
    assert SYSTEM.resource("companies").signals == "signals"
    assert SYSTEM.resource("signals").can.never_skips == "signal_time"


def test_every_type_hints_at_its_company_and_a_branch_at_itself_too():
    rows = [
        signal("a"),
        signal("b", "76543210", "SignaalIetsNieuws_2031_07"),
        signal("c", "01234567", "SignaalGewijzigdeVestiging", vestigingsnummer="000000000001"),
        signal("d", "geen nummer"),
    ]
    (page,) = read(Register(*rows))
    assert page.hints == (
        ("companies", "01234567"),
        ("companies", "76543210"),
        ("companies", "01234567/000000000001"),
    )
    assert (page.items, page.complete) == ((), False)


def test_the_window_is_fixed_by_the_first_page_and_overlaps_the_last_one():
    register = Register(signal("a"), signal("b"), signal("c"), per_page=1)
    pages = read(register)
    windows = {(query["vanaf"], query["tot"]) for _, query in register.asked}
    assert windows == {("2026-12-18T08:00:00Z", "2027-01-15T08:00:00Z")}
    assert [page.cursor for page in pages[:-1]] == [None, None]
    assert pages[-1].cursor.value == "2027-01-15T08:00:00Z"
    register = Register()
    read(register, pages[-1].cursor, site=later(3600))
    (asked,) = [query for _, query in register.asked]
    assert (asked["vanaf"], asked["tot"]) == ("2027-01-15T07:30:00Z", "2027-01-15T09:00:00Z")


def test_pages_on_the_way_keep_the_cursor_they_began_from():
    cursor = read(Register())[-1].cursor
    pages = read(Register(signal("a"), signal("b"), per_page=1), cursor, site=later(60))
    assert pages[0].cursor == cursor
    assert pages[1].cursor.value == "2027-01-15T08:01:00Z"


def test_a_clock_put_back_asks_for_a_window_that_ends_after_it_begins():
    cursor = read(Register(), site=later(7200))[-1].cursor
    register = Register()
    read(register, cursor)
    (asked,) = [query for _, query in register.asked]
    assert asked["vanaf"] < asked["tot"]


def test_a_cursor_nobody_can_read_begins_anew():
    register = Register()
    read(register, Cursor("signal", "ooit", extra={"abonnement": "sub-1"}))
    assert register.asked[0][1]["vanaf"] == "2026-12-18T08:00:00Z"


@pytest.mark.parametrize("role", [{"rolBijVoortzettingOverdracht": {"code": "OG"}}, {"rol": "VG"}])
def test_a_successor_is_told_by_the_old_number(role):
    row = signal("a", kind="SignaalVoortzettingEnOverdracht_2025_01")
    (page,) = read(Register(row, details={"a": detail(role=role)}))
    (item,) = page.items
    company = SYSTEM.resource("signals").decode(SITE, item).record.entity
    assert (item.native, company.kvk, company.successor) == ("01234567", "01234567", "76543210")


@pytest.mark.parametrize(
    "told",
    [
        detail(role={"rol": "XX"}),  # a role nobody knows
        detail(new="01234567"),  # itself
        detail(new="kapot"),
        detail(betrokkenVestigingen={"vestigingsnummers": ["000000000001"]}),  # the other branch stays
        {"heeftBetrekkingOp": {"kvkNummer": "01234567"}, "beeindiging": {"code": "OO"}},
        {"heeftBetrekkingOp": "kapot", "voortzettingEnOverdracht": []},
        {},
    ],
)
def test_whoever_did_not_take_over_the_whole_company_is_no_successor(told):
    assert codec.read_successor(told) is None


def test_all_branches_moved_is_a_succession():
    both = detail(betrokkenVestigingen={"vestigingsnummers": ["000000000002", "000000000001"]})
    assert codec.read_successor(both) == ("01234567", "76543210")


def test_details_are_asked_for_once_and_only_of_types_that_may_name_somebody():
    rows = [signal("a", kind="SignaalBeeindiging_2030_01"), signal("b", kind="SignaalNaamgeving_2025_01")]
    details = {"a": {"heeftBetrekkingOp": {"kvkNummer": "01234567"}, "beeindiging": {"code": "OO"}}}
    register = Register(*rows, details=details)
    cursor = read(register)[-1].cursor
    assert register.kinds() == ["signalen", "signaal"]
    register = Register(*rows, details=details)
    cursor = read(register, cursor, site=later(60))[-1].cursor
    assert register.kinds() == ["signalen"]
    read(register, cursor, site=later(4000))
    assert msgspec.json.decode(read(register, cursor, site=later(9000))[-1].cursor.extra["seen"]) == {}


def test_a_signal_whose_details_cannot_be_had_yet_is_asked_again_until_they_can():
    row = signal("a", kind="SignaalVoortzettingEnOverdracht_2025_01", at="2027-01-15T05:00:00Z")
    busy = {"fout": [{"code": "IPD1002", "omschrijving": "even geduld"}]}
    (page,) = read(Register(row, details={"a": reply(404, busy)}))
    assert (page.items, page.cursor.value) == ((), "2027-01-15T05:00:00Z")
    register = Register(row, details={"a": detail()})
    (page,) = read(register, page.cursor, site=later(60))
    assert register.asked[0][1]["vanaf"] == "2027-01-15T04:30:00Z"
    assert [item.native for item in page.items] == ["01234567"]
    assert page.cursor.value == "2027-01-15T08:01:00Z"


def test_one_signal_without_details_does_not_keep_the_feed_for_ever():
    row = signal("a", kind="SignaalBeeindiging", at="2027-01-01T05:00:00Z")
    (page,) = read(Register(row, details={"a": Response(200, {}, b"{")}))
    assert page.cursor.value == "2027-01-14T08:00:00Z"


def test_details_that_do_not_exist_are_not_asked_for_again():
    row = signal("a", kind="SignaalBeeindiging")
    (page,) = read(Register(row, details={"a": reply(404, NOTHING)}))
    assert page.cursor.value == "2027-01-15T08:00:00Z"
    assert "a" in page.cursor.extra["seen"]


def test_a_signal_seen_in_the_overlap_sends_nobody_to_look_again_and_a_new_one_does():
    cursor = read(Register(signal("a")))[-1].cursor
    (page,) = read(Register(signal("a"), signal("b", at="2027-01-15T07:59:00Z")), cursor, site=later(60))
    assert page.hints == (("companies", "01234567"),)
    (page,) = read(Register(signal("a"), signal("b", at="2027-01-15T07:59:00Z")), page.cursor, site=later(120))
    assert page.hints == ()


def test_a_company_whose_successor_is_not_known_yet_is_looked_at_again():
    row = signal("a", kind="SignaalVoortzettingEnOverdracht", at="2027-01-15T07:50:00Z")
    (page,) = read(Register(row, details={"a": Response(200, {}, b"{")}))
    (page,) = read(Register(row, details={"a": detail()}), page.cursor, site=later(60))
    assert page.hints == (("companies", "01234567"),)


def test_only_what_the_next_read_shows_again_is_carried_along():
    rows = [signal(f"old{n}", at="2027-01-10T08:00:00Z") for n in range(3)] + [signal("new")]
    first, *_, last = read(Register(*rows, per_page=2))
    assert "old" not in first.next + last.cursor.extra["seen"]
    assert msgspec.json.decode(last.cursor.extra["seen"]).keys() == {"new"}


def test_the_last_word_on_a_company_stands():
    rows = [
        signal("b", kind="SignaalVoortzettingEnOverdracht", at="2027-01-15T07:55:00Z"),
        signal("a", kind="SignaalVoortzettingEnOverdracht", at="2027-01-15T07:50:00Z"),
    ]
    (page,) = read(Register(*rows, details={"a": detail(new="11111111"), "b": detail(new="22222222")}))
    assert [item.fields["opvolger"] for item in page.items] == ["22222222"]


def test_the_only_subscription_is_looked_up_once():
    site = Site(
        connection="register",
        settings=msgspec.structs.replace(SETTINGS, subscription=None),
        facts={},
        as_of=AS_OF,
    )
    register = Register()
    cursor = read(register, site=site)[-1].cursor
    read(register, cursor, site=site)
    assert register.kinds() == ["abonnementen", "signalen", "signalen"]
    for ids, said in (((), "no active subscription"), (("one", "two"), "one, two")):
        with pytest.raises(SetupError, match=said):
            read(Register(ids=ids), site=site)


def test_another_subscription_is_read_from_its_own_beginning():
    cursor = read(Register())[-1].cursor
    site = Site(
        connection="register", settings=msgspec.structs.replace(SETTINGS, subscription="sub-2"), facts={}, as_of=AS_OF
    )
    register = Register()
    page = read(register, cursor, site=site)[-1]
    assert register.asked[0][1]["vanaf"] == "2026-12-18T08:00:00Z"
    assert page.cursor.extra["abonnement"] == "sub-2"


def test_nothing_found_is_an_empty_window_only_when_the_subscription_is_there():
    register = Register()
    register.list_answer = reply(404, NOTHING)
    (page,) = read(register)
    assert (page.hints, page.cursor.value) == ((), "2027-01-15T08:00:00Z")
    register.ids = ("sub-2",)
    with pytest.raises(SetupError, match="sub-1"):
        read(register)


@pytest.mark.parametrize(
    "answer",
    [Response(200, {}, b'{"signalen": ['), reply(200, {"totaal": 0}), reply(400, {"fout": []}), NoReply("cut")],
)
def test_what_cannot_be_read_is_never_taken_for_no_signals(answer):
    register = Register()
    register.list_answer = answer
    with pytest.raises(RetryLater):
        read(register)


def test_without_the_service_the_page_is_empty_and_nothing_is_asked():
    site = Site(connection="register", settings=Settings(apikey="made-up-key-1"), facts={}, as_of=AS_OF)
    cursor = Cursor("signal", "2027-01-15T08:00:00Z")
    with pytest.raises(StopIteration) as done:
        next(signals.pages(site, Query(cursor=cursor)))
    page = done.value.value
    assert (page.items, page.hints, page.next, page.complete, page.cursor) == ((), (), None, False, cursor)


def test_the_page_size_stays_within_what_kvk_takes():
    for size, taken in ((None, "500"), (1, "10"), (9999, "500"), (50, "50")):
        register = Register()
        drive(signals.pages(SITE, Query(size=size)), register)
        assert register.asked[0][1]["aantal"] == taken


def test_a_subscription_that_would_change_the_address_is_refused():
    with pytest.raises(ValueError, match="subscription"):
        Settings(apikey="made-up-key-1", subscription="../basisprofielen")
