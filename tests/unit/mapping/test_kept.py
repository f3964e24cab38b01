from __future__ import annotations

from importlib.resources import files

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from koppel.mapping.kept import ALWAYS, kept_fields, reduced
from koppel.mapping.paths import roots
from koppel.mapping.project import match_values, values
from koppel.mapping.read import read_flow
from koppel.model.address import Address
from koppel.model.can import Can, Field
from koppel.model.company import Company, Sbi
from koppel.model.contact import Contact
from koppel.model.documents import Order
from koppel.model.record import Record

TEXT = (files("koppel.systems.exact") / "flows" / "kvk-exact.toml").read_text("utf-8")


def flow(text=TEXT):
    read, problems = read_flow(text, file="f.toml")
    assert not problems
    return read


FLOW = flow()
WHOLE = Can(fields=tuple(Field(path=name) for entity in (Company, Contact) for name in entity.__struct_fields__))
WORDS = st.none() | st.text("abc 1", min_size=1, max_size=5)
PLACES = st.none() | st.builds(Address, street=WORDS, number=WORDS, postcode=WORDS, city=WORDS)


def of(entity):
    """Records with every field filled or not."""
    known = {"address": PLACES, "invoice_address": PLACES, "postal_address": PLACES, "delivery_address": PLACES}
    known |= {
        "sbi": st.sampled_from([(), (Sbi("10710", "Bread", main=True),)]),
        "legal_form": st.sampled_from([None, "BV"]),
    }
    known |= {"personal": st.booleans(), "is_active": st.none() | st.booleans()}
    texts = {f.name for f in msgspec.structs.fields(entity) if "str" in str(f.type) and "Address" not in str(f.type)}
    given = {name: known.get(name, WORDS) for name in texts | (known.keys() & {*entity.__struct_fields__})}
    return st.builds(entity, **given)


@given(of(Company))
def test_a_flow_decides_the_same_on_what_is_kept(company):
    whole = Record(company, {"Remarks": "x"})
    less = reduced(whole, kept_fields("company", [FLOW], can=WHOLE))
    for side in ("left", "right"):
        assert values(FLOW, side, less) == values(FLOW, side, whole)
    assert match_values(FLOW, less) == match_values(FLOW, whole)
    assert (less.entity.label(), less.entity.match_keys(), less.own) == (
        company.label(),
        company.match_keys(),
        whole.own,
    )


@given(of(Contact))
def test_who_a_contact_is_stays_whatever_flows_use(contact):
    less = reduced(Record(contact), kept_fields("contact", [], can=WHOLE)).entity
    assert less.label() == contact.label()
    keep = {key for key in contact.match_keys() if key[0] != "email_postcode"}
    assert keep <= {*less.match_keys()}
    assert (less.address, less.phone, less.mobile) == (None, None, None)


def test_what_no_flow_names_is_not_kept_and_what_one_names_anywhere_is():
    kept = kept_fields("company", [FLOW], can=WHOLE)
    assert kept is not None
    assert not kept & {"employees", "started_on", "delivery_address"}
    wanting = TEXT.replace("[fields]", '[fields]\nemployees = { owner = "left" }', 1)
    assert kept_fields("company", [FLOW, flow(wanting)], can=WHOLE) == kept | {"employees"}
    assert kept_fields("company", [flow(wanting)], can=Can(fields=(Field(path="phone"),))) == ALWAYS["company"]
    assert kept_fields("company", [], can=WHOLE) == ALWAYS["company"]
    assert ALWAYS["company"] <= roots("company")
    assert ALWAYS["contact"] <= roots("contact")


def test_a_proposal_keeps_the_evidence_it_is_weighed_by():
    proposing = TEXT.replace("[match]", '[match]\npropose = ["name+postcode"]', 1)
    assert {"address", "phone", "email", "website"} <= (kept_fields("company", [flow(proposing)], can=WHOLE) or set())


@pytest.mark.parametrize("entity", ["order", "invoice", "journal_entry", "product"])
def test_documents_and_products_are_kept_whole(entity):
    assert kept_fields(entity, [FLOW], can=WHOLE) is None
    order = Record(Order(number="1", reference="x"))
    assert reduced(order, None) is order
