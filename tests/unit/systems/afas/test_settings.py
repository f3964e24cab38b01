"""One connection's settings: a token in any of three spellings, an environment's host, secrets that never show."""

from __future__ import annotations

import base64

import pytest

from koppel.systems.afas.settings import Settings, base, hosts, login, pairs, token_for_wire, token_xml

DATA = "AD2D42B854E2809D19A89EC3D56A6F57AE43E6FD5F3B3E547E024BEAD6CDF7AB"
XML = f"<token><version>1</version><data>{DATA}</data></token>"
PACKED = base64.b64encode(XML.encode()).decode()


@pytest.mark.parametrize(
    "spelling", [XML, DATA, PACKED, f"  {XML}\r\n", XML.replace("><", ">\n  <"), f"{PACKED[:40]}\n{PACKED[40:]}"]
)
def test_a_classic_token_is_taken_in_every_spelling(spelling):
    assert token_xml(spelling) == XML
    assert base64.b64decode(token_for_wire(spelling)).decode() == XML


@pytest.mark.parametrize(
    "wrong",
    [
        '{"environment":"O12345AA","token":"x"}',
        base64.b64encode(b'{"token":"x"}').decode() + "=",
        "<token></token>",
        "kort",
    ],
)
def test_what_is_no_token_is_refused_without_being_shown(wrong):
    with pytest.raises(ValueError, match="token") as caught:
        Settings(member="12345", token=wrong)
    assert wrong not in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "host"),
    [
        ("production", "12345.rest.afas.online"),
        ("test", "12345.resttest.afas.online"),
        ("accept", "12345.restaccept.afas.online"),
    ],
)
def test_each_environment_has_a_host_of_its_own(environment, host):
    settings = Settings(member="12345", environment=environment, token=XML)
    assert base(settings) == f"https://{host}/ProfitRestServices"
    assert hosts(settings) == (host,)


def test_an_address_of_its_own_goes_before_the_member_number():
    assert (
        base(Settings(base_url="http://localhost/x/ProfitRestServices/", token=XML))
        == "http://localhost/x/ProfitRestServices"
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"member": "1234", "token": XML}, "five-digit"),
        ({"member": "12345", "token": XML, "token_next": "x"}, "neither"),
        ({"member": "12345", "token_next": XML}, "follows a token"),
        ({"member": "12345", "token": XML, "client_id": "a", "client_secret": "b"}, "either a classic token"),
        ({"member": "12345", "client_id": "a"}, "belong together"),
        ({"member": "12345", "token": XML, "environment": "live"}, "none of"),
        ({"member": "12345", "token": XML, "language": "nl"}, "none of"),
        ({"base_url": "localhost/x", "token": XML}, "web address"),
        ({"member": "12345", "token": XML, "debtors": "a/../b"}, "GetConnector"),
        ({"member": "12345", "token": XML, "columns": "DebtorId"}, "name=column"),
        ({"member": "12345", "token": XML, "addresses_only": "A=1, B=2"}, "one column=value"),
    ],
)
def test_settings_that_cannot_be_right_are_refused_in_words(given, said):
    with pytest.raises(ValueError, match=said):
        Settings(**given)


def test_secrets_do_not_show_in_print():
    assert DATA not in repr(Settings(member="12345", token=XML))
    assert "geheim-woord" not in repr(Settings(member="12345", client_id="a", client_secret="geheim-woord"))


def test_connections_of_one_app_connector_share_a_login_and_environments_do_not():
    one = Settings(member="12345", client_id="a", client_secret="b")
    other = Settings(member="12345", client_id="a", client_secret="b", debtors="Eigen_Debiteuren")
    test = Settings(member="12345", environment="test", client_id="a", client_secret="b")
    assert login(one) == login(other) != login(test)
    assert login(Settings(member="12345", token=XML)) == ""


def test_pairs_are_read_with_or_without_spaces():
    assert pairs("") == {}
    assert pairs(" A = B ,C=D") == {"A": "B", "C": "D"}
