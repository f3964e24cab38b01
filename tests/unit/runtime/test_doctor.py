"""What the doctor finds, over loopback against the sandboxes."""

from __future__ import annotations

from email.utils import formatdate

import msgspec
import pytest

from koppel.engine.send import HttpTransport
from koppel.model.problem import UsageError
from koppel.sandbox.host import contract
from koppel.systems.spi import Response
from koppel.testing.stand import BOOKS, DEBTORS, REGISTER, stand


@pytest.fixture
def at(tmp_path):
    with stand(tmp_path / "books", seed=0, companies=16, afas=True) as made:
        yield made


def settled(at):
    for flow in ("kvk-exact", "kvk-afas"):
        at.workspace.take(
            [company.kvk for company in at.host.world.companies[:12] if company.ended_on is None], to=flow
        )
        assert at.workspace.sync(flow).state == "done"


def said(at, connection):
    (found,) = at.workspace.doctor(connection)
    return {remark.code: remark for remark in found.remarks}, found


def test_a_well_workspace_has_nothing_to_act_upon_and_was_only_read(at):
    settled(at)
    before, head = at.host.checksum(), at.workspace.audit_head()
    found = at.workspace.doctor()
    assert [one.connection for one in found] == sorted([REGISTER, BOOKS, DEBTORS])
    assert all(one.well for one in found), [r for one in found for r in one.remarks if r.level == "attention"]
    assert (at.host.checksum(), at.workspace.audit_head()) == (before, head)
    assert at.host.count("kvk", path="basisprofielen") == at.host.count("kvk", path="basisprofielen/{id}")
    assert sum(one.calls for one in found) < 15


def test_the_register_is_not_asked_what_it_charges_for(at):
    at.host.reset_calls()
    codes, _ = said(at, REGISTER)
    assert at.host.count("kvk", path="basisprofielen") == 0
    assert codes["zoeken"].level == "ok"
    at.kvk("settings", entitlements=["basisprofiel"])
    codes, found = said(at, REGISTER)
    assert not found.well
    assert "Zoeken" in codes["set_up"].text


def test_a_sign_in_counts_down_and_a_dead_one_is_said(at):
    codes, found = said(at, BOOKS)
    assert found.well
    assert "30 days" in codes["signed_in"].text
    at.wait(25 * 86_400)
    codes, _ = said(at, BOOKS)
    at.wait(31 * 86_400)
    codes, found = said(at, BOOKS)
    assert not found.well
    assert codes["sign_in"].level == "attention"
    assert f"koppel connect {BOOKS}" in codes["sign_in"].remedy


def test_a_connector_that_is_missing_and_a_token_that_ends_are_said(at):
    at.host.control("afas", "settings", {"hide_connector": ["Profit_OrgPer"]})
    codes, found = said(at, DEBTORS)
    assert not found.well
    assert "Profit_OrgPer" in codes["connector_missing"].text
    assert codes["signed_in"].level == "ok"


def test_the_end_of_a_classic_token_is_told_in_days(at):
    token = contract(at.host, at.base_url)["systems"]["afas"]["token"]
    at.workspace.connect(DEBTORS, settings={"client_id": "", "client_secret": "", "token": token})
    codes, found = said(at, DEBTORS)
    assert found.well
    assert "179 days" in codes["token_ends_later"].text
    assert codes["token_ends_later"].ends_at is not None
    at.wait(130 * 86_400)
    codes, found = said(at, DEBTORS)
    assert not found.well
    assert "(49 days)" in codes["token_ends"].text


def test_a_list_that_is_cut_by_authorisation_is_noticed_and_nothing_is_called_gone(at):
    settled(at)
    at.host.control("afas", "settings", {"authorisation_filter": True})
    codes, found = said(at, DEBTORS)
    assert not found.well
    assert "not shown any more" in codes["rows_missing"].text
    assert "authorisation filter" in codes["rows_missing"].remedy
    at.host.control("afas", "settings", {"authorisation_filter": False})
    _, found = said(at, DEBTORS)
    assert found.well, "looking did not mark anything as gone"


def test_linked_records_that_vanished_from_the_list_are_said(at):
    settled(at)
    linked = next(c.kvk for c in at.host.world.companies if c.in_erp == "both" and c.ended_on is None)
    at.exact("delete", kvk=linked)
    at.workspace.sync("kvk-exact")
    codes, found = said(at, BOOKS)
    assert not found.well
    assert "1 of them linked" in codes["rows_vanished"].text


def test_a_refused_address_is_said_as_the_vendor_means_it(at):
    at.host.control("afas", "settings", {"ip_restricted": True})
    codes, found = said(at, DEBTORS)
    assert not found.well
    assert "IP addresses" in codes["set_up"].text
    assert not codes["set_up"].text.endswith("..")


def test_what_is_left_of_an_allowance_is_told_and_little_is_a_reason_to_act(at):
    settled(at)
    codes, found = said(at, BOOKS)
    assert "left until" in codes["budget"].text
    (day,) = [remark.text for remark in found.remarks if remark.text.startswith("Allowance day")]
    used = 5000 - int(day.partition(": ")[2].split()[0])
    at.exact("settings", day_limit=used + 6)
    at.workspace.check_connection(BOOKS)
    _, found = said(at, BOOKS)
    assert [remark.code for remark in found.remarks if remark.level == "attention"] == ["budget"]


@pytest.mark.parametrize(("off", "level"), [(0, "ok"), (30, "ok"), (-300, "attention"), (300, "attention")])
def test_a_clock_that_goes_wrong_is_noticed_by_the_vendors_date(at, off, level):
    class Dated(HttpTransport):
        async def send(self, request, *, timeout):  # noqa: ASYNC109 - the transport's own
            reply = await super().send(request, timeout=timeout)
            assert isinstance(reply, Response)
            date = formatdate(at.host.clock.now() + off, usegmt=True)
            return msgspec.structs.replace(reply, headers={**reply.headers, "date": date})

    at.workspace.transport = Dated()
    codes, _ = said(at, BOOKS)
    at.workspace.transport = None
    assert codes["clock"].level == level
    if level == "attention":
        assert ("behind" if off > 0 else "ahead of") in codes["clock"].text


def test_a_field_the_account_does_not_have_is_named_with_its_place(at):
    file = at.folder / "flows" / "kvk-afas.toml"
    file.write_text(file.read_text().replace('"right:CuId" =', '"right:Nowhere" = { const = "x" }\n"right:CuId" ='))
    with at.reopen() as again:
        (found,) = again.doctor(DEBTORS)
    assert not found.well
    (wrong,) = [remark for remark in found.remarks if remark.level == "attention"]
    assert wrong.code == "unknown-field"
    assert "kvk-afas.toml:" in wrong.text


def test_a_connection_whose_settings_are_wrong_keeps_no_other_from_being_looked_at(at):
    text = (at.folder / "koppel.toml").read_text()
    (at.folder / "koppel.toml").write_text(text.replace("redirect_uri", "redirect_url"))
    with at.reopen() as again:
        found = {one.connection: one for one in again.doctor()}
    assert not found[BOOKS].well
    assert found[REGISTER].well
    assert found[DEBTORS].well


def test_an_unknown_connection_is_a_usage_error(at):
    with pytest.raises(UsageError, match="nope"):
        at.workspace.doctor("nope")
