"""Every resource of the vendor is served at its path, with its methods, types and twins."""

from __future__ import annotations

import json
import re

import pytest

from koppel.systems.exact.sandbox.table import EntityType, entities

ALL = list(entities().values())
PLAIN = [one for one in ALL if not one.site]


def path_of(one: EntityType, division: int = 123456) -> str:
    return f"beta/{division}/{one.address}" if one.path.startswith("beta/") else one.path


_SELECTABLE = {one.path: [name for name, found in one.properties.items() if not found.is_collection] for one in ALL}


@pytest.mark.parametrize("one", PLAIN, ids=lambda one: one.path)
def test_every_resource_lists_and_counts_or_refuses_to(reader, one: EntityType):
    query = {"$select": ",".join(_SELECTABLE[one.path][:40])} if _SELECTABLE[one.path] else {}
    if one.path == "read/sync/Sync/SyncTimestamp":
        query = {"modified": "datetime'2026-01-01T00:00:00'", "endPoint": "'Accounts'"}
    reply = reader.call("GET", path_of(one), query)
    if "GET" not in one.methods:
        assert reply.status == 405
        return
    assert reply.status == 200, reply.body
    assert "results" in json.loads(reply.body)["d"]
    if one.path != "read/sync/Sync/SyncTimestamp":
        count = reader.call("GET", f"{path_of(one)}/$count", "", Accept="")
        assert (count.status, count.headers["content-type"]) == (200, "text/plain")
        assert int(count.body) >= 0


@pytest.mark.parametrize("one", PLAIN, ids=lambda one: one.path)
def test_methods_that_are_not_offered_are_refused(reader, one: EntityType):
    for method in {"GET", "POST", "PUT", "DELETE"} - set(one.methods):
        reply = reader.call(method, path_of(one), sent={} if method != "GET" else None)
        assert reply.status == 405
        assert json.loads(reply.body)["error"]["message"]["value"] == f"{method} not supported"


@pytest.mark.parametrize("one", [one for one in PLAIN if "GET" in one.methods and one.keys], ids=lambda one: one.path)
def test_a_key_of_the_right_type_that_is_nowhere_is_404(reader, one: EntityType):
    words = {"Guid": "guid'00000000-0000-0000-0000-000000000000'", "DateTime": "datetime'1999-01-01'", "String": "'x'"}
    parts = [words.get(one.properties[name].type, "0") for name in one.keys]
    text = parts[0] if len(parts) == 1 else ",".join(map("=".join, zip(one.keys, parts, strict=True)))
    if one.path != "read/sync/Sync/SyncTimestamp":
        assert reader.call("GET", f"{path_of(one)}({text})").status == 404


@pytest.mark.parametrize("service", sorted({one.service for one in PLAIN}))
def test_metadata_tells_every_entity_type_of_a_service_with_its_types(reader, service: str):
    reply = reader.call(
        "GET", f"{service}/$metadata" if not service.startswith("beta/") else f"beta/123456/{service[5:]}/$metadata"
    )
    text = reply.body.decode()
    for one in (found for found in ALL if found.service == service):
        assert f'<EntitySet Name="{one.name}" EntityType="{one.clr}" />' in text
        [block] = re.findall(rf'<EntityType Name="{one.clr.rpartition(".")[2]}">(.*?)</EntityType>', text)
        told = dict(re.findall(r'<Property Name="(\w+)" Type="Edm\.(\w+)"', block))
        assert told == {name: found.type for name, found in one.properties.items() if not found.is_collection}
        assert re.findall(r'<PropertyRef Name="(\w+)" />', block) == list(one.keys)


# Without a behaviour of its own a record is kept as it was sent.
@pytest.mark.parametrize(
    ("path", "values", "changed"),
    [
        ("crm/Opportunities", {"Name": "Kans"}, {"Name": "Kans 2"}),
        ("hrm/Costcenters", {"Code": "KP9", "Description": "Nieuw"}, {"Description": "Anders"}),
        ("logistics/Items", {"Code": "NIEUW", "Description": "Nieuw artikel"}, {"Barcode": "8712345678906"}),
        ("documents/Documents", {"Subject": "Contract", "Type": 55}, {"Subject": "Contract 2"}),
        ("project/Projects", {"Code": "P9", "Description": "Klus", "Type": 3}, {"Notes": "haast"}),
        ("inventory/Warehouses", {"Code": "9", "Description": "Bus"}, {"Description": "Busje"}),
    ],
)
def test_a_record_is_made_changed_and_removed(clerk, path: str, values: dict, changed: dict):
    made = clerk.post(path, **values)
    key = made["ID"]
    assert values.items() <= made.items()
    clerk.put(path, key, **changed)
    assert {**values, **changed}.items() <= clerk.get(f"{path}(guid'{key}')").items()
    assert clerk.call("DELETE", f"{path}(guid'{key}')").status == 204
    assert clerk.call("GET", f"{path}(guid'{key}')").status == 404


def test_a_beta_resource_has_its_word_before_the_division(clerk):
    made = clerk.call("POST", "beta/123456/cashflow/AllocationRule", sent={"Words": "huur"})
    assert made.status == 201
    row = json.loads(made.body)["d"]
    assert row["__metadata"]["uri"].startswith(
        "http://vendor.example/exact/api/v1/beta/123456/cashflow/AllocationRule("
    )
    assert clerk.call("GET", "cashflow/AllocationRule").status == 404


def test_a_changed_record_shows_in_all_three_twins_with_a_new_row_version(clerk):
    made = clerk.post("logistics/Items", Code="TWEELING", Description="x")
    query = {"filter": "Timestamp gt 1L", "select": "ID,Code,Description,Timestamp"}
    before = {row["ID"]: row for row in clerk.rows("sync/Logistics/Items", **query)}
    clerk.put("logistics/Items", made["ID"], Description="y")
    newest = max(int(row["Timestamp"]) for row in before.values())
    [row] = clerk.rows("sync/Logistics/Items", **(query | {"filter": f"Timestamp gt {newest}"}))
    assert (row["ID"], row["Description"]) == (made["ID"], "y")
    bulk = {row["ID"]: row for row in clerk.rows("bulk/Logistics/Items", select="ID,Description")}
    assert bulk[made["ID"]]["Description"] == "y"
    assert bulk.keys() == before.keys()


@pytest.mark.parametrize(
    ("path", "values", "kind"),
    [
        ("logistics/Items", {"Code": "WEG", "Description": "x"}, 9),
        ("project/Projects", {"Code": "WEG", "Description": "x", "Type": 1}, 21),
        ("documents/Documents", {"Subject": "x", "Type": 55}, 6),
        ("financial/GLAccounts", {"Code": "9998", "Description": "x"}, 7),
    ],
)
def test_a_deletion_is_told_under_its_entity_type(clerk, path: str, values: dict, kind: int):
    made = clerk.post(path, **values)
    clerk.call("DELETE", f"{path}(guid'{made['ID']}')")
    [gone] = clerk.rows("sync/Deleted", filter=f"Timestamp gt 1L and EntityType eq {kind}")
    assert gone["EntityKey"] == made["ID"]


def test_lines_are_put_in_with_their_document_and_can_be_followed(clerk):
    house, goods = clerk.code("inventory/Warehouses", "1")["ID"], clerk.item()
    lines = [{"Item": goods, "QuantityNew": number} for number in range(130)]
    made = clerk.post("inventory/StockCounts", StockCountDate="2026-09-01", Warehouse=house, StockCountLines=lines)
    path = f"inventory/StockCounts(guid'{made['StockCountID']}')"
    select = "StockCountID,StockCountLines/QuantityNew"
    shown = clerk.get(path, expand="StockCountLines", select=select)["StockCountLines"]
    seen = [row["QuantityNew"] for row in shown["results"]]
    assert len(seen) == 60
    while "__next" in shown:
        shown = clerk.follow(shown["__next"])
        seen += [row["QuantityNew"] for row in shown["results"]]
    assert seen == list(range(130))


@pytest.mark.parametrize(
    ("values", "status", "says"),
    [
        ({"Description": "x"}, 500, "Verplicht: Code"),
        ({"Code": "KP8"}, 500, "Verplicht: Omschrijving"),
        ({"Code": 8, "Description": "x"}, 500, "Error in converting value for property 'Code' to type 'String'"),
        (
            {"Code": "KP8", "Description": "x", "Nope": 1},
            400,
            "Error processing request stream. The property name 'Nope'",
        ),
        ({"Code": "KP8", "Description": "x", "Creator": None}, 400, "Property 'Creator' is read-only."),
    ],
)
def test_wrong_bodies_are_refused(clerk, values: dict, status: int, says: str):
    before = clerk.sandbox.snapshot()
    found, message = clerk.refused("POST", "hrm/Costcenters", **values)
    assert (found, message.startswith(says)) == (status, True), message
    assert clerk.sandbox.snapshot() == before


@pytest.mark.parametrize(("name", "value"), [("Type", 2**31), ("ProposedEntryStatus", 2**15), ("Type", -(2**31) - 1)])
def test_a_number_beyond_its_type_is_refused(clerk, name: str, value: int):
    kind = "Int32" if name == "Type" else "Int16"
    sent = {"Subject": "x", "Type": 55} | {name: value}
    found = clerk.refused("POST", "documents/Documents", **sent)
    assert found == (500, f"Error in converting value for property '{name}' to type '{kind}'")


def test_a_reference_of_another_division_is_dropped_without_a_word_or_refused(clerk):
    clerk.division = 123457
    stranger = clerk.customer()
    clerk.division = 123456
    made = clerk.post("documents/Documents", Subject="x", Type=55, Account=stranger)
    assert made["Account"] is None
    clerk.control("settings", references="refuse")
    assert clerk.refused("POST", "documents/Documents", Subject="x", Type=55, Account=stranger) == (
        500,
        "Ongeldig: Relatie",
    )


def test_a_mandatory_reference_to_nothing_is_always_refused(clerk):
    nobody = "00000000-0000-4000-8000-000000000000"
    status, _ = clerk.refused("POST", "crm/Contacts", Account=nobody, FirstName="A", LastName="B")
    assert status == 500


def test_names_stand_beside_a_reference(clerk):
    key = clerk.customer(Name="Genoemd B.V.")
    made = clerk.post("crm/Contacts", Account=key, FirstName="Roos", LastName="Duinkraan")
    assert made["AccountName"] == "Genoemd B.V."
