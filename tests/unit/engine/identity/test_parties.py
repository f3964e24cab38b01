"""Who is one party: customer and supplier at once, one register record with many debtors, three systems (rules B1 and B17)."""

from __future__ import annotations

from typing import Any

import pytest

from koppel.mapping.flow import FieldRule

KVK = "00000019"


def refs(office: Any) -> set[frozenset[str]]:
    return {frozenset(ref.rpartition(":")[0] for ref in several) for several in office.together()}


def test_a_party_that_is_customer_and_supplier_is_one_thing_with_two_records_of_one_connection(office: Any) -> None:
    customers = office.flow("customers", "register:companies", "books:customers")
    suppliers = office.flow("suppliers", "register:companies", "books:suppliers")
    company = office.put("register", "companies", name="De Korenaar", kvk=KVK)
    customer = office.put("books", "customers", name="Korenaar", kvk=KVK)
    supplier = office.put("books", "suppliers", name="Korenaar lev.", kvk=KVK)
    office.sync(customers, suppliers)
    assert office.together() == {frozenset({f"register:companies:{company}", f"books:customers:{customer}", f"books:suppliers:{supplier}"})}  # fmt: skip
    (members,) = office.members().values()
    assert {role for _, role in members} == {"main"}  # each leads in its own drawer
    office.edit("register", "companies", company, name="De Nieuwe Korenaar")
    office.sync(customers, suppliers)
    assert office.there("books", "customers")[customer]["name"] == "De Nieuwe Korenaar"
    assert office.there("books", "suppliers")[supplier]["name"] == "De Nieuwe Korenaar"
    assert office.asks() == []


def test_who_becomes_a_supplier_besides_is_created_there_once_and_stays_one_party(office: Any) -> None:
    customers = office.flow("customers", "register:companies", "books:customers", create_right=False)
    suppliers = office.flow("suppliers", "register:companies", "books:suppliers")
    office.put("register", "companies", name="De Korenaar", kvk=KVK)
    office.put("books", "customers", name="De Korenaar", kvk=KVK)
    for _ in range(3):
        office.sync(customers, suppliers)
    assert len(office.there("books", "suppliers")) == 1
    assert refs(office) == {frozenset({"register:companies", "books:customers", "books:suppliers"})}


def test_one_register_record_has_many_debtors_and_each_keeps_its_own_name(office: Any) -> None:
    flow = office.flow("customers", "register:companies", "books:customers")
    company = office.put("register", "companies", name="De Korenaar", kvk=KVK, vat_number="NL1")
    debtors = [
        office.put("books", "customers", name=f"De Korenaar ({what})", kvk=KVK) for what in ("inkoop", "hal", "bouw")
    ]
    office.sync(flow)
    office.edit("register", "companies", company, name="De Nieuwe Korenaar", phone="020")
    office.sync(flow)
    (members,) = office.members().values()
    assert members == {
        (f"register:companies:{company}", "main"),
        *((f"books:customers:{d}", "follower") for d in debtors),
    }
    assert [office.there("books", "customers")[d]["name"] for d in debtors] == ["De Korenaar (inkoop)", "De Korenaar (hal)", "De Korenaar (bouw)"]  # fmt: skip
    assert all("phone" not in office.there("books", "customers")[d] for d in debtors)


def test_of_many_debtors_one_speaks_for_all_to_a_third_system(office: Any) -> None:
    """Or they would take turns there."""
    register = office.flow("customers", "register:companies", "books:customers")
    onward = office.flow("onward", "books:customers", "crm:accounts")
    office.put("register", "companies", name="De Korenaar", kvk=KVK)
    debtors = [office.put("books", "customers", name=f"De Korenaar {what}", kvk=KVK) for what in "ab"]
    office.sync(register)
    for _ in range(3):
        office.sync(onward, register)
    names = [row["name"] for row in office.there("crm", "accounts").values()]
    assert names == ["De Korenaar a"]
    writes = len(office.writes)
    office.edit("books", "customers", debtors[1], name="Zomaar")
    office.sync(onward)
    office.sync(onward)
    assert len(office.writes) == writes


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
def test_a_record_that_belongs_with_a_third_system_is_joined_not_asked_about(
    office: Any, order: tuple[str, str]
) -> None:
    flows = {
        "one": office.flow("one", "crm:accounts", "books:customers", create_right=False),
        "two": office.flow(
            "two", "register:companies", "books:customers", create_right=False, fields=(FieldRule("kvk"),)
        ),
    }
    for connection, where in (("crm", "accounts"), ("register", "companies"), ("books", "customers")):
        office.put(connection, where, name="De Korenaar", kvk=KVK)
    office.sync(*(flows[name] for name in order))
    assert refs(office) == {frozenset({"crm:accounts", "books:customers", "register:companies"})}
    assert office.asks() == []


def test_two_things_that_turn_out_to_share_a_key_are_a_question_that_names_the_way_to_merge(office: Any) -> None:
    one = office.flow("one", "crm:accounts", "books:customers", create_right=False)
    two = office.flow("two", "register:companies", "books:suppliers", create_right=False)
    bridge = office.flow("bridge", "books:customers", "books:suppliers", create_right=False)
    for connection, where in (
        ("crm", "accounts"),
        ("books", "customers"),
        ("register", "companies"),
        ("books", "suppliers"),
    ):
        office.put(connection, where, name="De Korenaar", kvk=KVK)
    office.sync(one, two, bridge)
    (item,) = office.asks()
    assert item.code == "taken"
    assert "koppel merge books:customers:C2 books:suppliers:S4" in item.body["text"]


def test_an_address_of_mail_alone_never_makes_two_companies_one(office: Any) -> None:
    flow = office.flow("one", "crm:accounts", "books:customers", match={"propose": ("email",)})
    office.put("crm", "accounts", name="De Korenaar", email="info@korenaar.example")
    office.put("books", "customers", name="Zuivel Noord", email="info@korenaar.example")
    office.sync(flow)
    assert office.together() == set()
    assert [item.code for item in office.asks()] == ["proposed"]
