"""Writing debtors: what a change is lowered to, which body leaves, what each answer means, and what a probe can tell."""

from __future__ import annotations

import msgspec
import pytest

from koppel.model.problem import RetryLater, UsageError
from koppel.systems.afas import SYSTEM
from koppel.systems.spi import CannotTell, Change, Item, Landed, NotLanded, Response, Unknown

DEBTORS = SYSTEM.resource("debtors")
ADDRESS = {
    "street": "Dorpsstraat",
    "number": "12",
    "suffix": "A",
    "postcode": "1034WL",
    "city": "Amsterdam",
    "country": "NL",
}
NEW = {"name": "De Korenaar B.V.", "kvk": "90000001", "address": ADDRESS}


def create(**values):
    return Change("op1", "create", None, {**NEW, **values})


def update(profit, values, *, before=None, native="100", **row):
    item = Item(native, profit.debtor(native, **row))
    record = DEBTORS.decode(profit.site(), item).record
    shown = record.builtins()
    return Change("op1", "update", native, values, {p: shown.get(p) for p in values} | (before or {}), record)


def lowered(profit, change):
    return DEBTORS.lower(profit.site(), change)


def sent(profit, change):
    """Lower and send: the receipts in order."""
    receipts = []
    for operation in lowered(profit, change):
        for batch in DEBTORS.group((operation,)):
            receipts += profit.run(DEBTORS.send(profit.site(), batch))
    return receipts


def organisation(body):
    """The organisation's fields, and its address's, in a body that was sent."""
    (inside,) = body["KnSalesRelationOrg"]["Element"]["Objects"]
    element = inside["KnOrganisation"]["Element"]
    address = next((each["KnBasicAddressAdr"]["Element"]["Fields"] for each in element.get("Objects", ())), None)
    return element["Fields"], address


# --- lower --------------------------------------------------------------------------------------------------------


def test_a_new_debtor_is_one_operation_that_can_be_looked_for_by_its_numbers(profit):
    (operation,) = lowered(profit, create(vat_number="NL800000006B01"))
    assert operation.fields == {
        "Nm": "De Korenaar B.V.",
        "CcNr": "90000001",
        "VaId": "NL800000006B01",
        "Ad": "Dorpsstraat",
        "HmNr": 12,
        "HmAd": "A",
        "PbAd": False,
        "ZpCd": "1034 WL",
        "Rs": "Amsterdam",
        "CoId": "NL",
        "BeginDate": "2026-11-24",
        "CuId": "EUR",
    }
    assert operation.keys == (("kvk", "90000001"), ("vat", "NL800000006B01"))


def test_a_flows_own_currency_goes_before_the_usual_one(profit):
    (operation,) = lowered(profit, create(CuId="USD"))
    assert operation.fields["CuId"] == "USD"


def test_an_update_holds_only_what_changed_and_what_it_covers(profit):
    (operation,) = lowered(profit, update(profit, {"name": "Nieuw B.V.", "vat_number": "NL800000006B01"}))
    assert operation.fields == {"Nm": "Nieuw B.V.", "VaId": "NL800000006B01"}
    assert operation.before == {"Nm": "Firma 100", "VaId": ""}
    assert set(operation.covers) == {"name", "vat_number"}
    assert operation.keys == (("organisation", "7100"),)


def test_a_value_that_is_the_same_on_the_wire_is_no_operation(profit):
    same = {**ADDRESS, "number": "100", "suffix": None}
    assert lowered(profit, update(profit, {"name": "Firma  100", "kvk": None, "blocked": False, "address": same})) == ()


def test_an_address_travels_whole_with_the_day_from_which_it_holds(profit):
    (operation,) = lowered(profit, update(profit, {"address": ADDRESS}))
    assert operation.fields["BeginDate"] == "2026-11-24"
    assert {"Ad", "HmNr", "HmAd", "ZpCd", "Rs", "CoId", "PbAd"} <= operation.fields.keys()
    assert operation.before["HmNr"] == 100


def test_a_part_that_is_no_longer_there_is_cleared(profit):
    plain = {**ADDRESS, "suffix": None}
    (operation,) = lowered(profit, update(profit, {"address": plain}, AdressLine1="Dorpsstraat 12 A"))
    assert operation.fields["HmAd"] == ""
    (operation,) = lowered(profit, update(profit, {"vat_number": None}, VatNr="NL800000006B01"))
    assert operation.fields == {"VaId": ""}


@pytest.mark.parametrize("address", [{"shielded": True}, {"shielded": True, "street": "Geheim", "number": "1"}])
def test_a_shielded_address_is_written_nowhere(profit, address):
    assert lowered(profit, update(profit, {"address": address})) == ()
    (operation,) = lowered(profit, create(address=address))
    assert "Geheim" not in repr(operation)
    assert "Ad" not in operation.fields


def test_what_the_nested_form_lacks_takes_an_operation_of_its_own(profit):
    first, second = lowered(profit, create(**{"KnOrganisation/BrNr": "000012345678"}))
    assert (second.kind, second.needs, second.covers) == ("update", ("op1",), ("KnOrganisation/BrNr",))
    assert "KnOrganisation/BrNr" not in first.fields
    (only,) = lowered(profit, update(profit, {"KnOrganisation/SBIc": "10710"}))
    assert (only.op, only.native) == ("op1", "100")


@pytest.mark.parametrize(
    "path",
    [
        "code",
        "BcCo",
        "IBAN",
        "MatchOga",
        "KnOrganisation/SoSe",
        "KnOrganisation/BcId",
        "website",
        "a;b",
        "PayCon",
        "DebtorName",
    ],
)
def test_what_must_not_be_written_is_refused(profit, path):
    with pytest.raises(UsageError, match="cannot be written"):
        lowered(profit, update(profit, {path: "1"}, before={path: None}))


def test_a_tenants_own_field_can_be_written_on_either_record(profit):
    free = "U5F08630D77AB483DA576C513B14FE7C6"
    change = update(
        profit, {free: "ja", f"KnOrganisation/{free}": "nee"}, before={free: None, f"KnOrganisation/{free}": None}
    )
    (operation,) = lowered(profit, change)
    sent(profit, change)
    body = profit.writes[0][2]
    assert operation.fields == {free: "ja", f"KnOrganisation/{free}": "nee"}
    assert body["KnSalesRelationOrg"]["Element"]["Fields"] == {free: "ja"}
    assert organisation(body)[0][free] == "nee"


def test_archiving_and_a_country_without_a_code_are_for_people(profit):
    with pytest.raises(UsageError, match="not archived"):
        lowered(profit, Change("op1", "archive", "100", {}))
    with pytest.raises(UsageError, match="BR"):
        lowered(profit, create(address={"lines": ["Rua 1"], "country": "BR"}))


# --- a new debtor ---------------------------------------------------------------------------------------------------

MADE = Response(201, {}, b'{"results":{"KnSalesRelationOrg":{"DbId":"10044","BcCo":"1000123"}}}')


def test_a_new_debtor_of_an_unknown_organisation_makes_a_new_one(profit):
    profit.replies["KnSalesRelationOrg"] = [MADE]
    (receipt,) = sent(profit, create())
    assert (receipt.status, receipt.native) == ("done", "10044")
    method, name, body = profit.writes[0]
    assert (method, name) == ("POST", "KnSalesRelationOrg")
    assert body["KnSalesRelationOrg"]["Element"]["Fields"] == {"IsDb": True, "CuId": "EUR"}
    fields, address = organisation(body)
    assert (fields["MatchOga"], fields["AutoNum"], fields["PadAdr"]) == ("6", True, True)
    assert "BcCo" not in fields
    assert (address["HmNr"], address["HmAd"], address["ResZip"]) == (12, "A", False)


def test_a_new_debtor_of_an_organisation_that_exists_uses_it(profit):
    profit.tables["Profit_OrgPer"] = [{"BcCo": "0007", "ChOfCommNr": "90000001"}]
    profit.replies["KnSalesRelationOrg"] = [MADE]
    sent(profit, create())
    fields, _ = organisation(profit.writes[0][2])
    assert (fields["MatchOga"], fields["BcCo"], fields["AutoNum"]) == ("0", "0007", False)


def test_what_an_organisation_showed_before_it_was_taken_over_stands_in_the_receipt(profit):
    shown = {"Name": "Oude naam", "AdressLine1": "Kade 3", "AdressLine3": "1034 WL Amsterdam", "AdressLine4": None}
    other = {"TelWork": "010-1234567", "Homepage": "https://oud.example", "BSN": "999990019"}
    profit.tables["Profit_OrgPer"] = [{"BcCo": "0007", "ChOfCommNr": "90000001"} | shown | other]
    for reply, status in ((MADE, "done"), (Response(503), "unknown")):
        profit.replies["KnSalesRelationOrg"] = [reply]
        (receipt,) = sent(profit, create())
        assert receipt.status == status
        assert receipt.before["name"] == "Oude naam"
        assert (receipt.before["address"]["street"], receipt.before["address"]["number"]) == ("Kade", "3")
        assert receipt.before["kvk"] == "90000001"
        assert not receipt.before.keys() & {"phone", "KnOrganisation/HoPa", "BSN"}, "only what is written over"


OLD = {"Name": "Oude naam", "AdressLine1": "Kade 3", "AdressLine3": "1034 WL Amsterdam", "AdressLine4": None}


def planned(profit, *changes):
    """The first operations of these creates, and what they would take over."""
    operations = tuple(lowered(profit, change)[0] for change in changes)
    return operations, profit.run(DEBTORS.takes_over(profit.site(), operations))


def numbered(count, **values):
    numbers = [f"9000{n:04}" for n in range(1, count + 1)]
    return [msgspec.structs.replace(create(kvk=number, **values), op=number) for number in numbers]


def test_what_creates_would_take_over_is_asked_forty_numbers_a_call(profit):
    profit.tables["Profit_OrgPer"] = [{"BcCo": "0007", "ChOfCommNr": "90000041", **OLD, "TelWork": "010-1234567"}]
    _, told = planned(profit, *numbered(41))
    assert profit.kinds() == ["Profit_OrgPer", "Profit_OrgPer"]
    assert {op for op, answer in told.items() if answer.named} == {"90000041"}
    over = told["90000041"]
    assert over.named == "organisation 0007"
    assert over.before["name"] == "Oude naam"
    assert (over.before["address"]["street"], over.before["address"]["number"]) == ("Kade", "3")
    assert "phone" not in over.before, "only what is written over"
    assert len({answer.expect for answer in told.values()}) == 2
    assert profit.writes == []


def test_who_is_sent_without_a_kvk_number_is_not_asked_about(profit):
    _, told = planned(profit, create(kvk=None))
    assert (told, profit.kinds()) == ({}, [])


def test_a_number_whose_leading_zero_was_lost_is_taken_over_too(profit):
    profit.tables["Profit_OrgPer"] = [{"BcCo": "0007", "ChOfCommNr": "1000001", **OLD}]
    _, told = planned(profit, create(kvk="01000001"))
    assert told["op1"].named == "organisation 0007"
    assert told["op1"].before["kvk"] == "1000001"


def test_where_it_cannot_be_said_what_is_taken_over_the_answer_is_unknown(profit):
    profit.tables["Profit_OrgPer"] = [{"BcCo": number, "ChOfCommNr": "90000001"} for number in ("0007", "0008")]
    _, told = planned(profit, *numbered(2))
    assert isinstance(told["90000001"], Unknown)
    assert told["90000001"].problem.code == "ambiguous_organisation"
    assert told["90000002"].named == ""
    profit.replies["Profit_OrgPer"] = [Response(200, {}, b'{"rows":')]
    _, told = planned(profit, *numbered(2))
    assert [answer.problem.code for answer in told.values()] == ["cannot_ask", "cannot_ask"]
    assert all(answer.problem.retry_at for answer in told.values())


@pytest.mark.parametrize(
    ("edit", "status"),
    [
        ({}, "done"),
        ({"Homepage": "https://nieuw.example", "TelWork": "020-7654321"}, "done"),
        ({"Name": "Iemand schreef dit"}, "stale"),
        ({"AdressLine1": "Kade 4"}, "stale"),
        ({"AdressLine1": None, "AdressLine3": None}, "stale"),
        ({"BcCo": "0008"}, "stale"),
        ({"ChOfCommNr": "90000009"}, "stale"),
    ],
    ids=["as it was", "beside what is written", "name", "address", "address gone", "another one", "it has none now"],
)
def test_only_the_organisation_that_was_planned_on_is_written_over(profit, edit, status):
    row = {"BcCo": "0007", "ChOfCommNr": "90000001", **OLD}
    profit.tables["Profit_OrgPer"] = [row]
    (operation,), told = planned(profit, create())
    bound = msgspec.structs.replace(operation, expect=told["op1"].expect)
    profit.tables["Profit_OrgPer"] = [row | edit]
    profit.replies["KnSalesRelationOrg"] = [MADE]
    (batch,) = DEBTORS.group((bound,))
    (receipt,) = profit.run(DEBTORS.send(profit.site(), batch))
    assert receipt.status == status
    assert len(profit.writes) == (1 if status == "done" else 0)


def test_an_organisation_that_turns_up_where_there_was_none_is_not_written_over(profit):
    (operation,), told = planned(profit, create())
    bound = msgspec.structs.replace(operation, expect=told["op1"].expect)
    profit.tables["Profit_OrgPer"] = [{"BcCo": "0007", "ChOfCommNr": "90000001", **OLD}]
    (batch,) = DEBTORS.group((bound,))
    (receipt,) = profit.run(DEBTORS.send(profit.site(), batch))
    assert (receipt.status, profit.writes) == ("stale", [])


def test_a_new_organisation_writes_over_nothing(profit):
    profit.replies["KnSalesRelationOrg"] = [MADE]
    (receipt,) = sent(profit, create())
    assert receipt.before == {}


@pytest.mark.parametrize("found", [[], [{"BcCo": "0007", "ChOfCommNr": "90000001"}]])
def test_matching_is_never_left_to_profit(profit, found):
    profit.tables["Profit_OrgPer"] = found
    sent(profit, create())
    assert organisation(profit.writes[0][2])[0]["MatchOga"] in {"0", "6"}


def test_several_organisations_with_one_number_are_for_a_person_and_nothing_is_sent(profit):
    profit.tables["Profit_OrgPer"] = [{"BcCo": number, "ChOfCommNr": "90000001"} for number in ("0007", "0008")]
    (receipt,) = sent(profit, create())
    assert (receipt.status, receipt.problem.code) == ("refused", "ambiguous_organisation")
    assert "0007" in receipt.problem.text
    assert profit.writes == []


def test_an_organisation_that_could_not_be_asked_for_licenses_nothing(profit):
    profit.replies["Profit_OrgPer"] = [Response(200, {}, b'{"rows":')]
    (receipt,) = sent(profit, create())
    assert receipt.status == "refused"
    assert receipt.problem.retry_at
    assert profit.writes == []


def test_a_debtor_without_a_kvk_number_asks_for_no_organisation(profit):
    profit.replies["KnSalesRelationOrg"] = [MADE]
    sent(profit, create(kvk=None))
    assert profit.kinds() == ["KnSalesRelationOrg"]


def test_an_answer_without_a_number_is_looked_up(profit):
    def made(there):
        there.tables["Profit_Debtor"] = [there.debtor("10044", DebtorName="De Korenaar B.V.", ChOfCommNr="90000001")]
        return Response(201)

    profit.replies["KnSalesRelationOrg"] = [made]
    (receipt,) = sent(profit, create())
    assert (receipt.status, receipt.native) == ("done", "10044")
    profit.replies["KnSalesRelationOrg"] = [Response(201)]
    (receipt,) = sent(profit, create(kvk="90000002"))
    assert receipt.status == "unknown"


# --- a debtor that exists -------------------------------------------------------------------------------------------


def test_an_update_of_both_records_is_one_call_by_their_keys(profit):
    (receipt,) = sent(profit, update(profit, {"name": "Nieuw B.V.", "vat_number": "NL800000006B01"}))
    assert (receipt.status, receipt.native) == ("done", "100")
    assert profit.writes == [
        (
            "PUT",
            "KnSalesRelationOrg",
            {
                "KnSalesRelationOrg": {
                    "Element": {
                        "@DbId": "100",
                        "Fields": {"VaId": "NL800000006B01"},
                        "Objects": [
                            {
                                "KnOrganisation": {
                                    "Element": {"Fields": {"MatchOga": "0", "BcCo": "7100", "Nm": "Nieuw B.V."}}
                                }
                            }
                        ],
                    }
                }
            },
        )
    ]


def test_terms_alone_leave_the_organisation_out(profit):
    sent(profit, update(profit, {"vat_number": "NL800000006B01"}))
    assert "Objects" not in profit.writes[0][2]["KnSalesRelationOrg"]["Element"]


def test_the_organisations_own_fields_go_to_its_own_connector(profit):
    sent(profit, update(profit, {"KnOrganisation/SBIc": "10710"}))
    assert profit.writes == [
        (
            "PUT",
            "KnOrganisation",
            {"KnOrganisation": {"Element": {"Fields": {"MatchOga": "0", "BcCo": "7100", "SBIc": "10710"}}}},
        )
    ]


def test_an_organisation_whose_number_is_not_known_is_looked_up_and_never_left_empty(profit):
    change = Change("op1", "update", "100", {"name": "Nieuw B.V."}, {"name": "Firma 100"})
    profit.tables["Profit_Debtor"] = [profit.debtor(100)]
    sent(profit, change)
    assert organisation(profit.writes[0][2])[0]["BcCo"] == "7100"
    profit.tables["Profit_Debtor"], profit.writes = [], []
    (receipt,) = sent(profit, change)
    assert (receipt.status, profit.writes) == ("stale", [])
    profit.tables["Profit_Debtor"] = [profit.debtor(100, BcCo=None)]
    (receipt,) = sent(profit, change)
    assert (receipt.status, profit.writes) == ("stale", [])


# --- answers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "code", "field"),
    [
        ("Vul een waarde in voor 'Naam'.", "mandatory", "Nm"),
        ("Enter a value for 'House number'.", "mandatory", "HmNr"),
        ("The entered value for 'Payment condition' does not exist.", "unknown_value", "PaCd"),
        ("De ingevoerde waarde voor 'Land' bestaat niet.", "unknown_value", "CoId"),
        ("Er is een onverwachte fout opgetreden.", "refused", None),
    ],
)
def test_a_refusal_names_the_field_the_words_the_log_and_what_to_do_in_two_languages(profit, said, code, field):
    profit.replies["KnSalesRelationOrg"] = [profit.refusal(said)]
    (receipt,) = sent(profit, update(profit, {"name": "X"}))
    problem = receipt.problem
    assert receipt.status == "refused"
    assert (problem.code, problem.field, problem.vendor_text) == (code, field, said)
    assert (problem.vendor_code, problem.request_id) == ("-2147180996", "0A" * 16)
    assert " / " in problem.text
    assert problem.retry_at is None


def test_a_label_of_the_tenants_own_is_looked_up_where_the_connector_describes_itself(profit):
    free = "U5F08630D77AB483DA576C513B14FE7C6"
    profit.replies[("PUT", "KnSalesRelationOrg")] = [profit.refusal("Vul een waarde in voor 'Onze klantgroep'.")]
    described = b'{"fields":[{"fieldId":"PaCd","label":"X"}],"objects":[{"name":"KnOrganisation","fields":[{"fieldId":"%s","label":"Onze klantgroep"}]}]}'
    profit.replies[("GET", "KnSalesRelationOrg")] = [Response(200, {}, described % free.encode())]
    (receipt,) = sent(profit, update(profit, {"name": "X"}))
    assert receipt.problem.field == free


def test_a_record_that_somebody_has_open_is_tried_again(profit):
    profit.replies["KnSalesRelationOrg"] = [profit.refusal("Record is in gebruik door gebruiker 12345.JAN")]
    (receipt,) = sent(profit, update(profit, {"name": "X"}))
    assert (receipt.status, receipt.problem.code) == ("refused", "locked")
    assert receipt.problem.retry_at > profit.site().as_of


def test_what_profit_may_still_be_at_work_on_is_unknown(profit, silence):
    unclear = (silence, Response(500), Response(502), Response(503), profit.refusal("Command timeout expired."))
    for reply in unclear:
        profit.replies["KnSalesRelationOrg"] = [reply]
        (receipt,) = sent(profit, update(profit, {"name": "X"}))
        assert receipt.status == "unknown", reply
    assert DEBTORS.can.settles_after >= 900


@pytest.mark.parametrize("status", [400, 404, 413])
def test_what_was_not_even_taken_is_refused(profit, status):
    profit.replies["KnSalesRelationOrg"] = [Response(status)]
    (receipt,) = sent(profit, update(profit, {"name": "X"}))
    assert receipt.status == "refused"


# --- probes ---------------------------------------------------------------------------------------------------------


def probe(profit, change):
    operations = lowered(profit, change)
    return profit.run(DEBTORS.probe(profit.site(), operations))[operations[0].op]


def test_a_create_is_probed_by_its_number_and_its_name(profit):
    assert isinstance(probe(profit, create()), NotLanded)
    profit.tables["Profit_Debtor"] = [profit.debtor(5, DebtorName="De Korenaar B.V.", ChOfCommNr="90000001")]
    assert probe(profit, create()).native == "5"
    profit.tables["Profit_Debtor"] = [profit.debtor(5, DebtorName="Iemand anders", ChOfCommNr="90000001")]
    assert isinstance(probe(profit, create()), CannotTell)


def test_of_several_with_one_number_only_the_one_alike_in_full_is_ours(profit):
    alike = {"DebtorName": "De Korenaar B.V.", "ChOfCommNr": "90000001"}
    rows = profit.tables["Profit_Debtor"] = [
        profit.debtor(5, **alike),
        profit.debtor(12, AdressLine1="Dorpsstraat 12a", **alike),
    ]
    assert probe(profit, create()).native == "12"
    rows[0]["AdressLine1"] = "Dorpsstraat 12-A"
    assert isinstance(probe(profit, create()), CannotTell)


def test_a_create_without_a_number_cannot_be_looked_up(profit):
    assert isinstance(probe(profit, create(kvk=None)), CannotTell)


@pytest.mark.parametrize(
    "values", [{"name": "Nieuw B.V."}, {"address": ADDRESS}, {"vat_number": "NL800000006B01"}, {"blocked": True}]
)
def test_an_update_is_probed_by_what_was_there_before(profit, values):
    change = update(profit, values)
    profit.tables["Profit_Debtor"] = [profit.debtor(100)]
    untouched = probe(profit, change)
    assert isinstance(untouched, NotLanded)
    assert untouched.item.native == "100"
    columns = {
        "DebtorName": "Nieuw B.V.",
        "AdressLine1": "Dorpsstraat 12 A",
        "VatNr": "NL800000006B01",
        "Blocked": True,
    }
    profit.tables["Profit_Debtor"] = [profit.debtor(100, **columns)]
    assert isinstance(probe(profit, change), Landed)


def test_an_update_of_what_profit_does_not_show_cannot_be_probed(profit):
    profit.tables["Profit_Debtor"] = [profit.debtor(100)]
    change = update(profit, {"KnOrganisation/SBIc": "10710"}, before={"KnOrganisation/SBIc": None})
    assert isinstance(probe(profit, change), CannotTell)


def test_a_probe_that_gets_no_answer_is_asked_again_later(profit):
    profit.replies["Profit_Debtor"] = [Response(200, {}, b"{")]
    with pytest.raises(RetryLater):
        probe(profit, create())
