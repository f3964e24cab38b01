import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from koppel.systems.kvk.sandbox import APIKEY, KvkSandbox
from koppel.systems.sandbox_spi import SeedCompany, SeedPerson, World
from koppel.systems.spi import Request, Response

HOST = "http://127.0.0.1:8700/kvk"
START = 1793606400.0  # 2026-11-02T08:00:00Z

PLAIN = SeedCompany(
    kvk="00100104",  # no second branch, no P.O. box, spelled without a space, full dates
    branch="000012345678",
    rsin="800000006",
    vat="NL800000006B01",
    name="Bakkerij De Korenaar",
    statutory_name="Bakkerij De Korenaar B.V.",
    kind="bv",
    shape="plain",
    street="Dorpsstraat",
    number=12,
    letter="A",
    addition=None,
    postcode="3451BJ",
    city="Vleuten",
    country="NL",
    po_box=None,
    phone="030-5550123",
    email="info@korenaar.example",
    website="www.korenaar.example",
    sbi=(("10710", "Vervaardiging van brood"), ("47241", "Winkels in brood")),
    started_on="2018-03-01",
    ended_on=None,
    successor=None,
    employees=14,
    do_not_mail=False,
    person=SeedPerson("Roos", "Terpzandsma", "roos@korenaar.example", "06-55500001"),
    in_erp="none",
)


def made(kvk: str, **changes: Any) -> SeedCompany:
    other = {"kvk": kvk, "branch": f"0000{kvk}", "rsin": None, "statutory_name": None, "name": f"Firma {kvk}"}
    return msgspec.structs.replace(PLAIN, **(other | changes))


TRADER = made("00200208", name="Kapsalon De Schaar", kind="eenmanszaak", employees=1)
FOUNDATION = made(
    "43000000",
    branch="",
    name="Buurthuis De Eik",
    statutory_name="Stichting Buurthuis De Eik",
    kind="stichting",
    shape="no_branch",
    rsin="800000018",
)
SHIELDED = made("44000001", shape="shielded")
PO_BOX = made("44000003", shape="po_box", po_box=90)
FOREIGN = made(
    "44000008",
    shape="foreign",
    street="Hauptstraße",
    number=7,
    letter=None,
    postcode="50667",
    city="Köln",
    country="DE",
)
ENDED = made(
    "44000010",
    shape="ended",
    ended_on="2024-06-30",
    successor="00100104",
    name="Bakkerij De Oude Korenaar",
    rsin="800000031",
)
TWO = made("44000016", name="Garage De Ekster", kind="vof", employees=9)  # 44000016 % 11 == 5: a second branch; even
VAGUE = made("44000020", name="Kwekerij De Beuk", postcode="3451BJ", letter=None, number=14)
WORLD = (PLAIN, TRADER, FOUNDATION, SHIELDED, PO_BOX, FOREIGN, ENDED, TWO, VAGUE)


class Register:
    """A sandbox with a clock to move."""

    def __init__(self, companies: tuple[SeedCompany, ...] = WORLD) -> None:
        self.now = START
        self.sandbox = KvkSandbox(World(seed=1, companies=companies, now=lambda: self.now))

    def get(self, path: str, **headers: str) -> Response:
        request = Request("GET", HOST + path, {"apikey": APIKEY, "Accept": "application/hal+json"} | headers)
        return self.sandbox.handle(urlsplit(path).path, request)

    def json(self, path: str, status: int = 200) -> Any:
        response = self.get(path)
        assert response.status == status, response.body
        return json.loads(response.body)

    def code(self, path: str) -> tuple[int, str]:
        response = self.get(path)
        return response.status, json.loads(response.body)["fout"][0]["code"]

    def do(self, action: str, **body: Any) -> Any:
        return self.sandbox.control(action, body)


@pytest.fixture
def register() -> Register:
    return Register()


def profile(number: str) -> str:
    return f"/api/v1/basisprofielen/{number}"


# --- who may ask ---


def test_without_the_key_nothing_is_told(register: Register):
    for headers in ({"apikey": "wrong"}, {"apikey": ""}):
        assert register.get(profile("00100104"), **headers).status == 401
    bare = Request("GET", HOST + profile("00100104"), {"authorization": APIKEY})
    assert register.sandbox.handle(profile("00100104"), bare).status == 401


def test_the_key_is_found_whatever_the_case_of_its_header(register: Register):
    request = Request("GET", HOST + profile("00100104"), {"ApiKey": APIKEY})
    assert register.sandbox.handle(profile("00100104"), request).status == 200


def test_each_api_is_a_subscription_of_its_own(register: Register):
    register.do("settings", entitlements=["zoeken"])
    assert register.get("/api/v2/zoeken?kvkNummer=00100104").status == 200
    assert register.code(profile("00100104")) == (403, "403")
    assert register.code("/api/v1/naamgevingen/kvknummer/00100104")[0] == 403


def test_only_json_is_given(register: Register):
    assert register.get(profile("00100104"), Accept="application/xml").status == 406
    assert register.get(profile("00100104"), Accept="text/html, application/json;q=0.9").status == 200


def test_it_is_read_only(register: Register):
    request = Request("POST", HOST + profile("00100104"), {"apikey": APIKEY}, b"{}")
    assert register.sandbox.handle(profile("00100104"), request).status == 405


def test_versions_and_content_types_are_as_recorded(register: Register):
    assert register.get(profile("00100104")).headers["api-version"] == "1.5.0"
    good, bad = register.get("/api/v2/zoeken?kvkNummer=00100104"), register.get("/api/v2/zoeken?kvkNummer=99999999")
    assert good.headers["api-version"] == "2.1.0"
    assert good.headers["content-type"] == "application/hal+json"
    assert bad.headers["content-type"] == "application/json"


def test_more_calls_a_second_than_allowed_are_429_until_the_second_is_over(register: Register):
    register.do("settings", rate_limit=2)
    assert [register.get(profile("00100104")).status for _ in range(3)] == [200, 200, 429]
    register.now += 1
    assert register.get(profile("00100104")).status == 200


def test_the_gateway_fails_a_few_times_when_told_to(register: Register):
    register.do("settings", failing=2)
    assert [register.code(profile("00100104")) for _ in range(2)] == [(500, "IPD9999")] * 2
    assert register.get(profile("00100104")).status == 200


# --- Basisprofiel ---


def test_a_private_company_is_told_whole(register: Register):
    shown = register.json(profile("00100104"))
    assert shown["kvkNummer"] == "00100104"
    assert (shown["naam"], shown["statutaireNaam"]) == ("Bakkerij De Korenaar B.V.", "Bakkerij De Korenaar B.V.")
    assert shown["handelsnamen"] == [{"naam": "Bakkerij De Korenaar", "volgorde": 0}]
    assert shown["materieleRegistratie"] == {"datumAanvang": "20180301"}
    assert [a["indHoofdactiviteit"] for a in shown["sbiActiviteiten"]] == ["Ja", "Nee"]
    assert shown["links"][1] == {"rel": "vestigingen", "href": f"{HOST}/api/v1/basisprofielen/00100104/vestigingen"}
    owner, main = shown["_embedded"]["eigenaar"], shown["_embedded"]["hoofdvestiging"]
    assert (owner["rsin"], owner["rechtsvorm"]) == ("800000006", "BeslotenVennootschap")
    assert "adressen" not in owner
    assert not {"rsin", "handelsnamen", "sbiActiviteiten"} & set(main)
    assert main["totaalWerkzamePersonen"] == 14 == main["voltijdWerkzamePersonen"] + main["deeltijdWerkzamePersonen"]
    (address,) = main["adressen"]
    assert (address["straatnaam"], address["huisnummer"], address["huisletter"]) == ("Dorpsstraat", 12, "A")
    assert (address["postcode"], address["plaats"], address["land"]) == ("3451BJ", "Vleuten", "Nederland")
    assert "   " in address["volledigAdres"]
    assert address["volledigAdres"].split() == ["Dorpsstraat", "12", "A", "3451BJ", "Vleuten"]


def test_the_sub_resources_show_what_is_embedded(register: Register):
    embedded = register.json(profile("00100104"))["_embedded"]
    assert register.json(profile("00100104") + "/eigenaar") == embedded["eigenaar"]
    assert register.json(profile("00100104") + "/hoofdvestiging") == embedded["hoofdvestiging"]


def test_links_of_the_test_environment_stay_in_it(register: Register):
    assert register.json("/test" + profile("00100104"))["links"][0]["href"] == f"{HOST}/test{profile('00100104')}"
    row = register.json("/test/api/v2/zoeken?kvkNummer=00100104")["resultaten"][0]
    assert row["_links"]["basisprofiel"]["href"].startswith(f"{HOST}/test/api/v1/")


def test_a_sole_trader_has_no_rsin_and_no_statutory_name(register: Register):
    shown = register.json(profile("00200208"))
    assert shown["_embedded"]["eigenaar"]["rechtsvorm"] == "Eenmanszaak"
    assert "rsin" not in shown["_embedded"]["eigenaar"]
    assert "statutaireNaam" not in shown


def test_a_foundation_without_main_branch_has_its_address_with_the_owner(register: Register):
    shown = register.json(profile("43000000"))
    assert "hoofdvestiging" not in shown["_embedded"]
    assert "handelsnamen" not in shown
    assert shown["naam"] == "Stichting Buurthuis De Eik"
    assert shown["_embedded"]["eigenaar"]["adressen"][0]["plaats"] == "Vleuten"
    assert register.code(profile("43000000") + "/hoofdvestiging")[0] == 404


def first_address(register: Register, number: str) -> Any:
    return register.json(profile(number))["_embedded"]["hoofdvestiging"]["adressen"][0]


def test_a_shielded_address_has_no_parts(register: Register):
    assert first_address(register, "44000001") == {"type": "bezoekadres", "indAfgeschermd": "Ja"}


def test_a_po_box_stands_under_a_correspondence_address(register: Register):
    address = first_address(register, "44000003")
    assert (address["type"], address["postbusnummer"]) == ("correspondentieadres", 90)
    assert not {"straatnaam", "huisnummer"} & set(address)


def test_a_foreign_address_keeps_its_lines(register: Register):
    address = first_address(register, "44000008")
    assert (address["straatHuisnummer"], address["postcodeWoonplaats"]) == ("Hauptstraße 7", "50667 Köln")
    assert (address["land"], address["regio"]) == ("Duitsland", "Nordrhein-Westfalen")
    assert not {"straatnaam", "postcode", "plaats"} & set(address)


def test_some_companies_have_a_po_box_beside_their_visiting_address():
    register = Register((made("44000007"),))
    kinds = [a["type"] for a in register.json(profile("44000007"))["_embedded"]["hoofdvestiging"]["adressen"]]
    assert kinds == ["bezoekadres", "correspondentieadres"]


def test_an_ended_company_says_when(register: Register):
    shown = register.json(profile("44000010"))
    assert shown["materieleRegistratie"]["datumEinde"] == "20240630"
    assert shown["_embedded"]["eigenaar"]["datumUitschrijving"] == "20240630"


def test_a_date_may_have_unknown_parts_and_the_form_two_spellings():
    numbers = [f"440001{n:02}" for n in range(34)]
    register = Register(tuple(made(number) for number in numbers))
    shown = [register.json(profile(number)) for number in numbers]
    assert {s["materieleRegistratie"]["datumAanvang"] for s in shown} == {"20180301", "20180300", "20180000"}
    assert {s["_embedded"]["eigenaar"]["rechtsvorm"] for s in shown} == {
        "BeslotenVennootschap",
        "Besloten Vennootschap",
    }


def test_coordinates_come_only_when_asked_for(register: Register):
    assert "geoData" not in first_address(register, "00100104")
    shown = register.json(profile("00100104") + "?geodata=true")["_embedded"]["hoofdvestiging"]["adressen"][0]
    assert isinstance(shown["geoData"]["gpsLatitude"], float)
    assert register.code(profile("00100104") + "?geoData=perhaps") == (400, "IPD1998")
    assert register.code(profile("00100104") + "?geo=true") == (400, "IPD1999")
    assert register.code(profile("00100104") + "/vestigingen?geoData=true") == (400, "IPD1999")


def test_the_branches_are_counted_and_listed(register: Register):
    shown = register.json(profile("44000016") + "/vestigingen")
    assert (shown["totaalAantalVestigingen"], shown["aantalCommercieleVestigingen"]) == (2, 2)
    assert [v["indHoofdvestiging"] for v in shown["vestigingen"]] == ["Ja", "Nee"]
    assert register.json(profile("43000000") + "/vestigingen")["vestigingen"] == []
    shielded = register.json(profile("44000001") + "/vestigingen")["vestigingen"][0]
    assert shielded["indAdresAfgeschermd"] == "Ja"
    assert "volledigAdres" not in shielded


# --- three kinds of 404 and the other codes ---


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (profile("99999999"), (404, "IPD0005")),
        (profile("1234567"), (400, "IPD0004")),
        (profile("\uff11" * 8), (400, "IPD0004")),
        ("/api/v1/vestigingsprofielen/000099999999", (404, "IPD0007")),
        ("/api/v1/vestigingsprofielen/38509504", (400, "IPD0006")),
        ("/api/v1/jaarrekeningen/00100104", (404, "IPD0001")),
        ("/", (404, "IPD0001")),
        ("/api/v2/zoeken?kvkNummer=99999999", (404, "IPD5200")),
    ],
)
def test_each_refusal_has_its_own_code(register: Register, path: str, expected: tuple[int, str]):
    assert register.code(path) == expected


@pytest.mark.parametrize("code", ["IPD1002", "IPD1003"])
def test_a_record_being_processed_is_a_404_that_passes(register: Register, code: str):
    register.do("unavailable", kvk="00100104", code=code, seconds=300)
    for path in (
        profile("00100104"),
        "/api/v1/vestigingsprofielen/000012345678",
        "/api/v1/naamgevingen/kvknummer/00100104",
    ):
        assert register.code(path) == (404, code)
    register.now += 299
    assert register.code(profile("00100104")) == (404, code)
    register.now += 1
    assert register.get(profile("00100104")).status == 200


def test_what_cannot_be_delivered_stays_so_until_lifted(register: Register):
    register.do("undeliverable", kvk="00100104")
    register.now += 1e6
    assert register.code(profile("00100104")) == (404, "IPD0005")
    assert register.code("/api/v1/vestigingsprofielen/000012345678") == (404, "IPD0007")
    register.do("undeliverable", kvk="00100104", lift=True)
    assert register.get(profile("00100104")).status == 200


# --- Vestigingsprofiel and Naamgeving ---


def test_a_branch_is_told_whole_with_the_companys_numbers(register: Register):
    shown = register.json("/api/v1/vestigingsprofielen/000012345678")
    assert (shown["rsin"], shown["statutaireNaam"]) == ("800000006", "Bakkerij De Korenaar B.V.")
    assert [link["rel"] for link in shown["links"]] == ["self", "basisprofiel"]
    other = register.json("/api/v1/vestigingsprofielen/990044000016")
    assert (other["indHoofdvestiging"], other["eersteHandelsnaam"]) == ("Nee", "Garage De Ekster Filiaal")


def test_names_are_told_per_branch_and_an_end_is_said(register: Register):
    shown = register.json("/api/v1/naamgevingen/kvknummer/44000016")
    assert [v["eersteHandelsnaam"] for v in shown["vestigingen"]] == ["Garage De Ekster", "Garage De Ekster Filiaal"]
    assert register.json("/api/v1/naamgevingen/kvknummer/44000010")["einddatum"] == "20240630"


def test_a_branch_that_trades_nothing_has_a_name_only():
    register = Register((made("44000016", kind="stichting", employees=9, statutory_name="Stichting X"),))
    last = register.json("/api/v1/naamgevingen/kvknummer/44000016")["vestigingen"][1]
    assert "eersteHandelsnaam" not in last
    assert last["naam"]


# --- Zoeken ---


def search(register: Register, query: str) -> list[dict[str, Any]]:
    return register.json(f"/api/v2/zoeken?{query}")["resultaten"]


def test_parameter_names_are_matched_in_any_case_and_come_back_in_lower_case(register: Register):
    shown = register.json("/api/v2/zoeken?KVKNUMMER=00100104")
    assert shown["_links"]["self"]["href"] == f"{HOST}/api/v2/zoeken?kvknummer=00100104&pagina=1&resultatenperpagina=10"
    (row,) = shown["resultaten"]
    assert (row["type"], row["naam"], row["vestigingsnummer"]) == (
        "hoofdvestiging",
        "Bakkerij De Korenaar",
        "000012345678",
    )
    assert row["adres"] == {
        "binnenlandsAdres": {"type": "bezoekadres", "straatnaam": "Dorpsstraat", "plaats": "Vleuten"}
    }
    assert row["_links"]["vestigingsprofiel"]["href"] == f"{HOST}/api/v1/vestigingsprofielen/000012345678"
    assert "rsin" not in row
    assert "actief" not in row


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("kvkNummer=00100104&actief=true", "IPD1999"),
        ("straat=Dorpsstraat", "IPD1999"),
        ("kvkNummer=100104", "IPD0004"),
        ("rsin=12345678", "IPD0010"),
        ("vestigingsnummer=1", "IPD0006"),
        ("postcode=3451BJ", "IPD1998"),
        ("huisnummer=12", "IPD1998"),
        ("huisnummer=12&plaats=Vleuten", "IPD1998"),
        ("postbusnummer=90", "IPD1998"),
        ("postcode=3451BJ&postbusnummer=90&huisletter=A", "IPD1998"),
        ("postcode=3451 BJ&huisnummer=12", "IPD1998"),
        ("postcode=3451BJ&huisnummer=123456", "IPD1998"),
        ("naam=", "IPD1998"),
        ("naam=x&pagina=1001", "IPD1998"),
        ("naam=x&pagina=0", "IPD1998"),
        ("naam=x&resultatenPerPagina=101", "IPD1998"),
        ("pagina=1", "IPD1998"),
        ("", "IPD1998"),
    ],
)
def test_a_question_that_breaks_a_rule_is_a_400(register: Register, query: str, code: str):
    assert register.code(f"/api/v2/zoeken?{query}") == (400, code)


def test_an_unknown_type_is_a_404_with_its_own_code(register: Register):
    assert register.code("/api/v2/zoeken?kvkNummer=00100104&type=filiaal") == (404, "IPD5203")


def test_names_are_found_by_whole_words_only(register: Register):
    assert [r["kvkNummer"] for r in search(register, "naam=korenaar")] == ["00100104"]
    assert register.code("/api/v2/zoeken?naam=koren") == (404, "IPD5200")
    assert register.code("/api/v2/zoeken?naam=korenaar%20garage") == (404, "IPD5200")


def test_ended_companies_are_found_when_asked_for_and_then_all_say_whether_they_live(register: Register):
    assert register.code("/api/v2/zoeken?kvkNummer=44000010") == (404, "IPD5200")
    rows = search(register, "naam=korenaar&inclusiefInactieveRegistraties=true")
    assert {r["kvkNummer"]: r["actief"] for r in rows} == {"00100104": "Ja", "44000010": "Nee"}


def test_who_was_deregistered_long_ago_has_no_links():
    register = Register((made("44000099", ended_on="2009-01-01", started_on="2001-01-01"),))
    (row,) = search(register, "kvkNummer=44000099&inclusiefInactieveRegistraties=true")
    assert "_links" not in row


def test_rsin_is_echoed_only_when_searched_by(register: Register):
    (row,) = search(register, "rsin=800000006")
    assert row["rsin"] == "800000006"


def test_house_number_and_postcode_are_shown_only_when_searched_by(register: Register):
    rows = search(register, "postcode=3451bj&huisnummer=12&huisletter=a")
    assert all(r["adres"]["binnenlandsAdres"]["huisnummer"] == 12 for r in rows)
    numbers = {r["kvkNummer"] for r in rows}
    assert "00100104" in numbers
    assert not numbers & {"44000001", "44000020", "44000003"}  # shielded, next door, P.O. box


def test_a_po_box_is_found_by_its_number_and_a_foreign_address_has_its_own_form(register: Register):
    (row,) = search(register, "postcode=3451BJ&postbusnummer=90")
    assert row["adres"]["binnenlandsAdres"] == {
        "type": "postadres",
        "postbusnummer": 90,
        "postcode": "3451BJ",
        "plaats": "Vleuten",
    }
    (row,) = search(register, "kvkNummer=44000008")
    assert row["adres"]["buitenlandsAdres"]["land"] == "Duitsland"
    (row,) = search(register, "kvkNummer=44000001")
    assert "adres" not in row


def test_a_company_answers_with_a_row_per_branch_or_as_a_legal_person(register: Register):
    assert [r["type"] for r in search(register, "kvkNummer=44000016")] == ["hoofdvestiging", "nevenvestiging"]
    (row,) = search(register, "kvkNummer=43000000")
    assert row["type"] == "rechtspersoon"
    assert "vestigingsnummer" not in row
    assert list(row["_links"]) == ["basisprofiel"]
    both = search(register, "kvkNummer=00100104&type=rechtspersoon&type=hoofdvestiging")
    assert [r["type"] for r in both] == ["hoofdvestiging", "rechtspersoon"]
    (row,) = search(register, "vestigingsnummer=990044000016")
    assert row["type"] == "nevenvestiging"


def test_at_most_a_thousand_are_reachable_in_pages_with_absolute_links():
    register = Register(tuple(made(f"440{n:05}", branch=f"0000{n:08}", employees=1) for n in range(1050)))
    first = register.json("/api/v2/zoeken?plaats=vleuten&resultatenPerPagina=100")
    assert first["totaal"] == 1050
    assert "vorige" not in first
    seen, page, pages = {r["kvkNummer"] for r in first["resultaten"]}, first, 1
    while "volgende" in page:
        assert page["volgende"].startswith(HOST)
        page = register.json(page["volgende"].removeprefix(HOST))
        seen |= {r["kvkNummer"] for r in page["resultaten"]}
        pages += 1
    assert (pages, len(seen)) == (10, 1000)
    assert page["vorige"].endswith("pagina=9&resultatenperpagina=100")
    assert register.code("/api/v2/zoeken?plaats=vleuten&resultatenPerPagina=100&pagina=11") == (404, "IPD5200")


# --- edits and signals ---


def feed(register: Register, query: str = "") -> Any:
    (subscription,) = register.json("/api/v1/abonnementen")["abonnementen"]
    return register.json(f"/api/v1/abonnementen/{subscription['id']}{query}")


NEW = "?vanaf=2026-11-02T08:00:00Z"


def test_an_edit_shows_everywhere_and_is_found_by_its_new_name(register: Register):
    register.get("/api/v2/zoeken?naam=korenaar")  # the word index stands
    changed = register.do(
        "edit", kvk="00100104", set={"name": "Molen", "statutory_name": "Molen B.V.", "street": "Molenweg", "number": 3}
    )
    assert changed["changed"] == ["name", "statutory_name", "street", "number"]
    assert register.json(profile("00100104"))["naam"] == "Molen B.V."
    assert first_address(register, "00100104")["straatnaam"] == "Molenweg"
    assert [r["kvkNummer"] for r in search(register, "naam=molen")] == ["00100104"]
    assert register.code("/api/v2/zoeken?naam=korenaar") == (404, "IPD5200")


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"street": "Molenweg", "number": 3, "letter": None}, "SignaalAdreswijziging_2025_01"),
        ({"name": "Molen"}, "SignaalNaamgeving_2025_01"),
        ({"kind": "nv"}, "SignaalRechtsvormwijziging_2025_01"),
        ({"sbi": [["62010", "Software"]]}, "SignaalActiviteitenWijziging_2025_01"),
        ({"employees": 3}, "SignaalGewijzigdeVestiging"),
        ({"name": "Molen", "city": "Zwolle"}, "SignaalGewijzigdeInschrijving"),
    ],
)
def test_one_edit_gives_one_signal_of_its_kind(register: Register, changes: dict[str, Any], kind: str):
    register.do("edit", kvk="00100104", set=changes)
    (signal,) = feed(register, NEW)["signalen"]
    assert (signal["kvknummer"], signal["signaalType"], signal["timestamp"]) == (
        "00100104",
        kind,
        "2026-11-02T08:00:00Z",
    )
    assert ("vestigingsnummer" in signal) == (kind == "SignaalGewijzigdeVestiging")


def test_an_edit_that_changes_nothing_gives_no_signal(register: Register):
    assert register.do("edit", kvk="00100104", set={"street": "Dorpsstraat"})["changed"] == []
    assert feed(register, NEW)["signalen"] == []


def test_a_signal_says_which_block_changed_and_never_the_value(register: Register):
    register.do("edit", kvk="00100104", set={"street": "Molenweg"})
    number = feed(register, NEW)["signalen"][0]["id"]
    subscription = register.do("signals")["subscription"]
    response = register.get(f"/api/v1/abonnementen/{subscription}/signalen/{number}")
    signal = json.loads(response.body)["signaal"]
    assert signal["adreswijziging"]["indAdresGewijzigd"] == "Ja"
    assert signal["heeftBetrekkingOp"]["kvkNummer"] == "00100104"
    assert b"Molenweg" not in response.body
    assert register.get(f"/api/v1/abonnementen/{subscription}/signalen/other").status == 404
    assert register.get("/api/v1/abonnementen/other").status == 404


def test_the_end_of_a_business_names_who_continues_it(register: Register):
    register.do("end", kvk="44000016", on="2026-10-31", successor="00100104")
    assert register.json(profile("44000016"))["materieleRegistratie"]["datumEinde"] == "20261031"
    kinds = [s["signaalType"] for s in feed(register, NEW)["signalen"]]
    assert kinds == ["SignaalBeeindiging_2025_01", "SignaalVoortzettingEnOverdracht_2025_01"]
    blocks = [s["block"] for s in register.do("signals")["signals"][-2:]]
    assert blocks == [{"redenBeeindiging": "VZ"}, {"rol": "VG", "kvkNummer": "00100104"}]


def test_a_successor_nobody_knew_is_registered_at_the_same_address(register: Register):
    register.do("end", kvk="00100104", on="2026-10-31", successor="00300300")
    successor = register.json(profile("00300300"))
    assert successor["naam"] == register.json(profile("00100104"))["naam"]
    assert "datumEinde" not in successor["materieleRegistratie"]
    old, new = (first_address(register, number) for number in ("00100104", "00300300"))
    assert (old["postcode"], old["huisnummer"]) == (new["postcode"], new["huisnummer"])


def test_companies_that_had_ended_before_left_their_signals(register: Register):
    assert [s["timestamp"] for s in feed(register)["signalen"]] == ["2024-06-30T12:00:00Z"] * 2


def test_a_new_registration_is_told_as_a_change_too(register: Register):
    register.do("add", kvk="00300300", name="Nieuw", statutory_name="Nieuw B.V.")
    assert register.json(profile("00300300"))["statutaireNaam"] == "Nieuw B.V."
    kinds = [s["signaalType"] for s in feed(register, NEW)["signalen"]]
    assert kinds == ["SignaalNieuweInschrijving", "SignaalGewijzigdeInschrijving"]


def test_shielding_takes_the_address_away(register: Register):
    register.do("shield", kvk="00100104")
    assert first_address(register, "00100104") == {"type": "bezoekadres", "indAfgeschermd": "Ja"}
    assert len(feed(register, NEW)["signalen"]) == 1


def test_signals_are_paged_between_two_instants(register: Register):
    for _ in range(25):
        register.do("tick", count=1)
        register.now += 60
    window = "?vanaf=2026-11-02T08:00:00Z&tot=2026-11-02T08:24:00Z&aantal=10"
    first = feed(register, window)
    assert (first["totaal"], first["totaalPaginas"], first["aantal"], len(first["signalen"])) == (24, 3, 10, 10)
    last = register.json(register.json(first["volgende"].removeprefix(HOST))["volgende"].removeprefix(HOST))
    assert (last["pagina"], len(last["signalen"])) == (3, 4)
    assert "volgende" not in last
    assert "vorige" in last
    assert feed(register, "?vanaf=2026-11-02T08:24:00Z")["totaal"] == 1


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("aantal=9", "IPD1998"),
        ("aantal=501", "IPD1998"),
        ("vanaf=2026-11-02", "IPD1998"),
        ("tot=2026-13-02T08:00:00Z", "IPD1998"),
        ("pagina=0", "IPD1998"),
        ("sinds=1", "IPD1999"),
    ],
)
def test_a_list_of_signals_is_asked_for_in_one_way_only(register: Register, query: str, code: str):
    subscription = register.do("signals")["subscription"]
    assert register.code(f"/api/v1/abonnementen/{subscription}?{query}") == (400, code)


def test_a_signal_may_come_out_later_than_its_timestamp(register: Register):
    register.do("settings", signal_delay=900)
    register.do("edit", kvk="00100104", set={"name": "Molen"})
    assert feed(register, NEW)["signalen"] == []
    register.now += 900
    assert feed(register, NEW)["signalen"][0]["timestamp"] == "2026-11-02T08:00:00Z"


# --- control ---


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("burn", {}),
        ("edit", {"kvk": "00100104"}),
        ("edit", {"kvk": "00100104", "set": {"colour": "red"}}),
        ("edit", {"kvk": "00100104", "set": {"number": "twelve"}}),
        ("edit", {"kvk": "00100104", "set": {"kind": "kerk"}}),
        ("edit", {"kvk": "99999999", "set": {}}),
        ("edit", {"kvk": 100104, "set": {}}),
        ("end", {"kvk": "00100104", "on": "yesterday"}),
        ("end", {"kvk": "00100104", "on": None}),
        ("end", {"kvk": "00100104", "successor": "1"}),
        ("add", {"kvk": "00100104", "name": "Again"}),
        ("add", {"kvk": "00300300", "name": "X", "branch": "000012345678"}),
        ("add", {"kvk": "300300", "name": "X"}),
        ("add", {"kvk": "00300300"}),
        ("unavailable", {"kvk": "00100104", "code": "IPD0005"}),
        ("unavailable", {"kvk": "00100104", "seconds": "long"}),
        ("undeliverable", {}),
        ("tick", {"count": -1}),
        ("settings", {"rate": 1}),
        ("settings", {"entitlements": ["jaarrekening"]}),
        ("companies", {"limit": 1}),
    ],
)
def test_nonsense_is_refused_and_changes_nothing(register: Register, action: str, body: dict[str, Any]):
    before = register.sandbox.snapshot()
    with pytest.raises(ValueError):  # noqa: PT011 -- each has its own words; that it is one is what counts
        register.sandbox.control(action, body)
    assert register.sandbox.snapshot() == before


def test_the_contract_names_the_key_and_numbers_that_exist(register: Register):
    contract = register.sandbox.contract(HOST)
    assert set(contract) == {"base_url", "apikey", "numbers"}
    assert all(register.get(profile(number), apikey=contract["apikey"]).status == 200 for number in contract["numbers"])


def test_companies_can_be_listed_and_only_business_changes_the_snapshot(register: Register):
    assert [c["kvk"] for c in register.do("companies")["companies"]] == [c.kvk for c in WORLD]
    before = register.sandbox.snapshot()
    register.do("unavailable", kvk="00100104", code="IPD1002", seconds=5)
    register.do("settings", rate_limit=5)
    register.get(profile("00100104"))
    assert register.sandbox.snapshot() == before
    register.do("edit", kvk="00100104", set={"employees": 15})
    assert register.sandbox.snapshot() != before


# --- against the register's own description, when it lies beside the project ---

OAS = Path(__file__).parents[4].parent / "shared" / "vendor" / "kvk" / "data" / "kvk-corrected.openapi.json"
TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
}


def departures(document: dict[str, Any], schema: dict[str, Any], value: Any, where: str) -> list[str]:
    """Where `value` has a name or a type that the schema does not."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    expected = TYPES[schema["type"]]
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        return [f"{where}: {value!r} is no {schema['type']}"]
    if isinstance(value, list):
        return [
            d
            for index, item in enumerate(value)
            for d in departures(document, schema["items"], item, f"{where}[{index}]")
        ]
    if not isinstance(value, dict) or not (schema.get("properties") or schema.get("additionalProperties")):
        return []
    known, rest = schema.get("properties", {}), schema.get("additionalProperties")
    found = [f"{where}.{name} is unknown" for name in value if name not in known and rest is None]
    return found + [
        d
        for name, part in value.items()
        if name in known or rest
        for d in departures(document, known.get(name, rest), part, f"{where}.{name}")
    ]


@pytest.mark.skipif(not OAS.exists(), reason="the register's own description does not lie beside the project")
def test_every_name_and_type_served_is_in_the_registers_description(register: Register):
    document = json.loads(OAS.read_text(encoding="utf-8"))
    register.do("edit", kvk="00100104", set={"employees": 15, "addition": "bis"})
    number = register.do("signals")["subscription"]
    signal = register.do("signals")["signals"][-1]["id"]
    by_path = {
        "/api/v1/basisprofielen/{kvkNummer}": [f"{profile(c.kvk)}?geoData=true" for c in WORLD],
        "/api/v1/basisprofielen/{kvkNummer}/eigenaar": [profile(c.kvk) + "/eigenaar" for c in WORLD],
        "/api/v1/basisprofielen/{kvkNummer}/hoofdvestiging": [
            profile(c.kvk) + "/hoofdvestiging" for c in WORLD if c.branch
        ],
        "/api/v1/basisprofielen/{kvkNummer}/vestigingen": [profile(c.kvk) + "/vestigingen" for c in WORLD],
        "/api/v1/vestigingsprofielen/{vestigingsnummer}": [
            f"/api/v1/vestigingsprofielen/{c.branch}" for c in WORLD if c.branch
        ],
        "/api/v1/naamgevingen/kvknummer/{kvkNummer}": [f"/api/v1/naamgevingen/kvknummer/{c.kvk}" for c in WORLD],
        "/api/v2/zoeken": [f"/api/v2/zoeken?kvkNummer={c.kvk}&inclusiefInactieveRegistraties=true" for c in WORLD]
        + [
            "/api/v2/zoeken?rsin=800000006",
            "/api/v2/zoeken?postcode=3451BJ&huisnummer=12&resultatenPerPagina=2&pagina=2",
        ],
        "/api/v1/abonnementen": ["/api/v1/abonnementen"],
        "/api/v1/abonnementen/{abonnementId}": [f"/api/v1/abonnementen/{number}?aantal=10"],
    }
    problems = []
    for path, urls in by_path.items():
        schema = next(iter(document["paths"][path]["get"]["responses"]["200"]["content"].values()))["schema"]
        for url in urls:
            problems += departures(document, schema, register.json(url), url)
    # the block that belongs to a signal's type has no fixed name, so the description leaves it open
    shown = register.json(f"/api/v1/abonnementen/{number}/signalen/{signal}")
    del shown["signaal"]["gewijzigdeInschrijving"]
    problems += departures(document, {"$ref": "#/components/schemas/SignaalResponse"}, shown, "signaal")
    refusal = register.json(profile("99999999"), status=404)
    problems += departures(document, {"$ref": "#/components/schemas/ErrorResponse"}, refusal, "fout")
    assert problems == []
