"""Looking up and searching the register: every answer becomes Found, Absent or Unknown, never a guess."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest

from koppel.model.problem import UsageError
from koppel.systems.kvk import SYSTEM, resources
from koppel.systems.kvk.settings import Settings
from koppel.systems.spi import Absent, Found, NoReply, Response, Site, Unknown, drive

AS_OF = 1_700_000_000.0
SITE = Site(
    connection="register",
    settings=Settings(apikey="made-up-key-1", base_url="http://register.example"),
    facts={},
    as_of=AS_OF,
)


def reply(status, body):
    return Response(status, {"content-type": "application/json"}, msgspec.json.encode(body))


def fout(status, code):
    return reply(status, {"fout": [{"code": code, "omschrijving": f"tekst van {code}"}]})


def look_up(*values, answer):
    calls = []

    def answered(call):
        calls.append(call)
        return answer(call) if callable(answer) else answer

    return drive(SYSTEM.resource("companies").find(SITE, "kvk", values), answered), calls


def profile_of(call):
    number = urlsplit(call.request.url).path.rsplit("/", 1)[-1]
    return reply(200, {"kvkNummer": number, "naam": f"Firma {number}", "statutaireNaam": f"Firma {number}"})


def test_each_number_is_one_priced_call_and_twice_the_same_number_is_one():
    findings, calls = look_up("01234567", "1234567", "76543210", answer=profile_of)
    assert [call.kind for call in calls] == ["basisprofiel", "basisprofiel"]
    assert findings["01234567"] == findings["1234567"]
    assert findings["76543210"].items[0].native == "76543210"


def test_a_number_that_is_none_costs_no_call():
    findings, calls = look_up("geen nummer", answer=profile_of)
    assert calls == []
    assert isinstance(findings["geen nummer"], Absent)
    assert "KVK number" in findings["geen nummer"].problem.text


@pytest.mark.parametrize(
    ("status", "code", "kind", "retry_in"),
    [
        (404, "IPD5200", Absent, None),
        (404, "IPD0005", Absent, None),
        (400, "IPD0004", Absent, None),
        (404, "IPD1002", Unknown, 600),
        (404, "IPD1003", Unknown, 300),
        (404, "IPD0001", Unknown, None),
        (404, "", Unknown, None),
        (400, "IPD1999", Unknown, None),
        (406, "", Unknown, None),
        (401, "", Unknown, None),
        (403, "", Unknown, None),
        (500, "IPD9999", Unknown, 30),
        (503, "", Unknown, 30),
    ],
)
def test_the_code_is_read_not_the_status(status, code, kind, retry_in):
    findings, _ = look_up("01234567", answer=fout(status, code))
    finding = findings["01234567"]
    assert type(finding) is kind
    assert finding.problem.retry_at == (None if retry_in is None else AS_OF + retry_in)
    assert finding.problem.vendor_code == (code or None)


def test_silence_is_no_answer():
    findings, _ = look_up("01234567", answer=NoReply("gone"))
    assert findings["01234567"].problem.retry_at > AS_OF


@pytest.mark.parametrize("body", [{"kvkNummer": "76543210"}, {}, []])
def test_an_answer_about_another_number_is_no_answer(body):
    findings, _ = look_up("01234567", answer=reply(200, body))
    assert isinstance(findings["01234567"], Unknown)


def test_one_bad_number_does_not_spoil_its_neighbours():
    def answer(call):
        return fout(500, "IPD9999") if call.request.url.endswith("01234567") else profile_of(call)

    findings, _ = look_up("01234567", "76543210", answer=answer)
    assert isinstance(findings["01234567"], Unknown)
    assert isinstance(findings["76543210"], Found)


# --- who went on with it -------------------------------------------------------------------------------------------------

VISIT = {
    "type": "bezoekadres",
    "indAfgeschermd": "Nee",
    "postcode": "3451BJ",
    "huisnummer": 12,
    "straatnaam": "Dorpsstraat",
}
ENDED = {
    "kvkNummer": "01234567",
    "naam": "Firma",
    "statutaireNaam": "Firma",
    "materieleRegistratie": {"datumEinde": "20240630"},
    "_embedded": {"hoofdvestiging": {"adressen": [VISIT]}},
}


def ended_with(*numbers, search=None, total=None, site=SITE):
    """Look an ended company up; a search at its address finds these numbers."""
    calls = []

    def answered(call):
        calls.append(call)
        if call.kind == "basisprofiel":
            return reply(200, ENDED)
        rows = [{"kvkNummer": number, "type": "hoofdvestiging"} for number in numbers]
        return search or reply(200, {"totaal": len(rows) if total is None else total, "resultaten": rows})

    findings = drive(SYSTEM.resource("companies").find(site, "kvk", ("01234567",)), answered)
    (item,) = findings["01234567"].items
    return SYSTEM.resource("companies").decode(site, item).record.entity, calls


def test_one_other_company_at_an_ended_ones_address_is_proposed_as_its_successor():
    company, calls = ended_with("76543210", "76543210", "01234567")
    assert (company.is_active, company.successor) == (False, "76543210")
    assert [call.kind for call in calls] == ["basisprofiel", "zoeken"]
    asked = dict(parse_qsl(urlsplit(calls[1].request.url).query))
    assert (asked["postcode"], asked["huisnummer"]) == ("3451BJ", "12")
    assert "inclusiefInactieveRegistraties" not in asked


@pytest.mark.parametrize(
    "found",
    [
        {"search": fout(404, "IPD5200")},
        {"search": NoReply("gone")},
        {"search": fout(400, "IPD1998")},
        {"numbers": ("76543210", "76543211")},
        {"numbers": ("01234567",)},
        {"numbers": ("76543210",) * 100, "total": 250},
    ],
)
def test_nobody_is_proposed_when_the_address_does_not_name_exactly_one(found):
    company, _ = ended_with(*found.get("numbers", ()), search=found.get("search"), total=found.get("total"))
    assert (company.is_active, company.successor) == (False, None)


def test_an_active_company_costs_no_search():
    _, calls = look_up("01234567", answer=profile_of)
    assert [call.kind for call in calls] == ["basisprofiel"]


def test_whoever_has_no_subscription_to_the_search_switches_it_off():
    site = msgspec.structs.replace(SITE.settings, successors=False)
    company, calls = ended_with("76543210", site=Site(connection="register", settings=site, facts={}, as_of=AS_OF))
    assert company.successor is None
    assert [call.kind for call in calls] == ["basisprofiel"]


def test_what_is_shielded_never_leaves_the_exchange():
    address = {"type": "bezoekadres", "indAfgeschermd": "Ja", "straatnaam": "Geheimweg", "plaats": "Verborgen"}
    owner = {"rechtsvorm": "Eenmanszaak", "rsin": "800000006", "adressen": [{**address, "indAfgeschermd": None}]}
    body = {"kvkNummer": "01234567", "_embedded": {"hoofdvestiging": {"adressen": [address]}, "eigenaar": owner}}
    findings, _ = look_up("01234567", answer=reply(200, body))
    raw = msgspec.json.encode(findings["01234567"].items[0].fields).decode()
    assert "Geheimweg" not in raw
    assert "Verborgen" not in raw
    assert "800000006" not in raw


def test_an_unknown_kind_is_refused():
    with pytest.raises(UsageError, match="vat"):
        drive(resources.find(SITE, "vat", ("NL800000006B01",)), profile_of)


# --- searching --------------------------------------------------------------------------------------------------------


class Zoeken:
    """A register of `total` made-up hits that pages as KVK does."""

    def __init__(self, total):
        self.total = total
        self.asked = []

    def __call__(self, call):
        query = dict(parse_qsl(urlsplit(call.request.url).query))
        self.asked.append(query)
        if not self.total:
            return fout(404, "IPD5200")
        page, size = int(query["pagina"]), int(query["resultatenPerPagina"])
        rows = range((page - 1) * size, min(page * size, self.total, 1000))
        links = {"_links": {"basisprofiel": {"href": "http://elsewhere.example/"}}}
        hits = [{"kvkNummer": f"{n + 1:08}", "naam": "Korenaar", "type": "rechtspersoon", **links} for n in rows]
        return reply(
            200, {"pagina": page, "totaal": self.total, "resultaten": hits, "volgende": "http://elsewhere.example/"}
        )


def test_a_search_pages_by_count_until_it_has_what_was_asked():
    register = Zoeken(250)
    hits = drive(resources.search(SITE, limit=1000, naam="korenaar"), register)
    assert len({item.native for item in hits.items}) == hits.total == 250
    assert [query["pagina"] for query in register.asked] == ["1", "2", "3"]
    assert "elsewhere" not in repr(hits)


def test_a_search_stops_at_its_limit():
    register = Zoeken(250)
    hits = drive(resources.search(SITE, limit=10, naam="korenaar"), register)
    assert (len(hits.items), hits.total, len(register.asked)) == (10, 250, 1)


@pytest.mark.parametrize(("total", "kind"), [(0, Absent), (1, Found), (1000, Found), (1001, Unknown)])
def test_more_than_can_be_shown_is_no_answer(total, kind):
    findings = drive(SYSTEM.resource("search").find(SITE, "text", ("korenaar",)), Zoeken(total))
    assert type(findings["korenaar"]) is kind


def test_a_search_that_fails_is_unknown():
    findings = drive(SYSTEM.resource("search").find(SITE, "text", ("korenaar",)), lambda call: fout(403, ""))
    assert "Zoeken" in findings["korenaar"].problem.text


def test_criteria_kvk_would_refuse_cost_no_call():
    register = Zoeken(1)
    findings = drive(SYSTEM.resource("search").find(SITE, "text", ("postcode=3451BJ", "straat=Dorpsstraat")), register)
    assert register.asked == []
    assert "house number" in findings["postcode=3451BJ"].problem.text
    assert "straatnaam" in findings["straat=Dorpsstraat"].problem.text


@pytest.mark.parametrize(
    ("text", "criteria"),
    [
        ("01234567", {"kvkNummer": "01234567"}),
        ("0000 1234 5678", {"vestigingsnummer": "000012345678"}),
        ("3451BJ, 12", {"postcode": "3451BJ", "huisnummer": "12"}),
        ("KVKNUMMER=01.23.45.67", {"kvkNummer": "01234567"}),
        ("postcode=3451bj&postbusnummer=90", {"postcode": "3451BJ", "postbusnummer": "90"}),
        ("rsin=800000006", {"rsin": "800000006"}),
        ("De 3 Biggetjes", {"naam": "De 3 Biggetjes"}),
    ],
)
def test_what_people_type_becomes_kvks_own_parameters(text, criteria):
    assert dict(resources.read_criteria(text)) == criteria


@pytest.mark.parametrize(
    "text",
    [
        "",
        "naam=",
        "huisnummer=12",
        "huisletter=a&postcode=3451BJ&postbusnummer=1",
        "type=x&naam=y",
        "rsin=123456789",
        "type=rechtspersoon",
    ],
)
def test_what_kvk_would_refuse_is_refused_with_a_reason(text):
    with pytest.raises(UsageError):
        resources.read_criteria(text)


def test_a_hit_becomes_a_company_to_choose_from():
    row = {
        "kvkNummer": "01234567",
        "vestigingsnummer": "000012345678",
        "naam": "Bakkerij De Korenaar",
        "actief": "Nee",
        "adres": {"binnenlandsAdres": {"type": "bezoekadres", "straatnaam": "Dorpsstraat", "plaats": "Vleuten"}},
    }
    answer = reply(200, {"totaal": 1, "resultaten": [row]})
    search = SYSTEM.resource("search")
    item = drive(search.find(SITE, "text", ("korenaar",)), lambda call: answer)["korenaar"].items[0]
    company = search.decode(SITE, item).record.entity
    assert item.native == "01234567/000012345678"
    assert (company.kvk, company.branch, company.is_active) == ("01234567", "000012345678", False)
    assert (company.address.first_line(), company.address.city) == ("Dorpsstraat", "Vleuten")
