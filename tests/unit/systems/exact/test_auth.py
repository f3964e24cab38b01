import json
from urllib.parse import parse_qs, urlsplit

import pytest

from koppel.model.problem import RetryLater, SetupError
from koppel.systems.exact import auth
from koppel.systems.exact.settings import SITES, Settings, hosts, login
from koppel.systems.spi import Dead, NoReply, Refreshed, Request, Response, StillGood, Tokens, drive

SETTINGS = Settings(
    client_id="app-1",
    client_secret="s3cret&more",
    redirect_uri="https://app.example/back",
    base_url="https://books.example/",
    division=7095,
)
NOW = 1_790_000_000.0
TOKENS = Tokens(access="old-access", refresh="old-refresh", obtained_at=NOW - 575, expires_at=NOW + 25)
PAIR = {"access_token": "new-access", "token_type": "bearer", "expires_in": "600", "refresh_token": "new-refresh"}


def answer(status, body):
    return Response(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


def refusal(status, error, description):
    return answer(status, {"error": error, "error_description": description})


EARLY = refusal(401, "invalid_request", "Rate limit exceeded: access_token not expired")
USED = refusal(401, "unauthorized_client", "Old refresh token used.")
LAPSED = refusal(
    400, "invalid_request", "The refresh token expired at 10/11/2022 9:18:20 PM and it is now 10/28/2022 4:15:50 PM."
)


class Endpoint:
    """A token endpoint that answers from a list and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers, self.calls = list(answers), []

    def __call__(self, call):
        self.calls.append(call)
        return self.answers.pop(0)

    @property
    def forms(self):
        return [{k: v[0] for k, v in parse_qs(c.request.body.decode()).items()} for c in self.calls]


def refresh(*answers, tokens=TOKENS, as_of=NOW):
    endpoint = Endpoint(*answers)
    return drive(auth.refresh(SETTINGS, tokens, as_of), endpoint), endpoint


def redeem(code, *answers):
    endpoint = Endpoint(*answers)
    return drive(auth.redeem(SETTINGS, code, NOW), endpoint), endpoint


def test_the_sign_in_page_gets_what_it_needs_and_no_secret():
    url = urlsplit(auth.sign_in_url(SETTINGS, "state&1"))
    assert (url.scheme, url.netloc, url.path) == ("https", "books.example", "/api/oauth2/auth")
    assert parse_qs(url.query) == {
        "client_id": ["app-1"],
        "redirect_uri": ["https://app.example/back"],
        "response_type": ["code"],
        "state": ["state&1"],
        "force_login": ["0"],
    }


@pytest.mark.parametrize(
    "pasted",
    [
        "Ab+C!IAAA",
        "  Ab+C%21IAAA\n",
        "https://app.example/back?code=Ab+C%21IAAA&state=x",
        "https://app.example/back?state=x&code=Ab%2BC%21IAAA",
        "code=Ab+C%21IAAA&state=x",
        "'?code=Ab+C!IAAA'",
    ],
)
def test_a_code_is_taken_as_people_paste_it(pasted):
    outcome, endpoint = redeem(pasted, answer(200, PAIR))
    assert isinstance(outcome, Refreshed)
    assert endpoint.forms == [
        {
            "grant_type": "authorization_code",
            "code": "Ab+C!IAAA",
            "redirect_uri": "https://app.example/back",
            "client_id": "app-1",
            "client_secret": "s3cret&more",
        }
    ]


def test_the_exchange_is_form_encoded_to_the_token_endpoint_and_carries_an_effect():
    _, endpoint = redeem("c", answer(200, PAIR))
    call = endpoint.calls[0]
    assert call.request.method == "POST"
    assert call.request.url == "https://books.example/api/oauth2/token"
    assert call.request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert call.carries


@pytest.mark.parametrize("life", ["600", 600])
def test_a_granted_pair_lives_for_expires_in_as_text_or_number(life):
    outcome, _ = redeem("c", answer(200, {**PAIR, "expires_in": life}))
    assert outcome == Refreshed(Tokens("new-access", "new-refresh", obtained_at=NOW, expires_at=NOW + 600))


def test_a_code_too_late_says_that_it_lives_three_minutes():
    outcome, _ = redeem("c", refusal(400, "invalid_grant", "Code already used"))
    assert isinstance(outcome, Dead)
    assert "3 minutes" in outcome.reason
    assert "Code already used" in outcome.reason


def test_a_refused_consent_is_told_without_asking_the_vendor():
    outcome, endpoint = redeem("https://app.example/back?error=access_denied&error_description=No+thanks")
    assert isinstance(outcome, Dead)
    assert "No thanks" in outcome.reason
    assert endpoint.calls == []


@pytest.mark.parametrize(
    ("age", "state"),
    [(0, "fresh"), (569.9, "fresh"), (570, "fresh"), (570.1, "refresh"), (599, "refresh"), (86_400, "refresh")],
)
def test_tokens_are_refreshed_only_with_under_30_seconds_left_and_never_before_570(age, state):
    tokens = Tokens("a", "r", obtained_at=NOW - age, expires_at=NOW - age + 600)
    assert auth.due(tokens, NOW) == state


def test_a_shorter_life_than_promised_does_not_bring_the_refresh_forward():
    assert auth.due(Tokens("a", "r", obtained_at=NOW - 400, expires_at=NOW - 100), NOW) == "fresh"


def test_thirty_idle_days_or_a_missing_refresh_token_are_dead():
    assert auth.due(Tokens("a", "r", obtained_at=NOW - 30 * 86_400), NOW) == "dead"
    assert auth.due(Tokens("a", "r", obtained_at=NOW - 30 * 86_400 + 1), NOW) == "refresh"
    assert auth.due(Tokens("a", "", obtained_at=NOW - 700), NOW) == "dead"


def test_a_refresh_sends_the_stored_token_and_gives_the_new_pair():
    outcome, endpoint = refresh(answer(200, PAIR))
    assert outcome == Refreshed(Tokens("new-access", "new-refresh", obtained_at=NOW, expires_at=NOW + 600))
    assert endpoint.forms[0]["grant_type"] == "refresh_token"
    assert endpoint.forms[0]["refresh_token"] == "old-refresh"


def test_before_570_seconds_no_call_is_made_at_all():
    outcome, endpoint = refresh(tokens=Tokens("a", "r", obtained_at=NOW - 569), as_of=NOW)
    assert outcome == StillGood()
    assert endpoint.calls == []


def test_a_clock_that_was_set_back_asks_the_vendor_instead_of_trusting_for_ever():
    tokens = Tokens("a", "r", obtained_at=NOW + 86_400)
    assert refresh(EARLY, tokens=tokens)[0] == StillGood()
    assert refresh(answer(200, PAIR), tokens=tokens)[0] != StillGood()


def test_an_early_refusal_means_the_stored_token_is_good():
    assert refresh(EARLY)[0] == StillGood()


@pytest.mark.parametrize(("reply", "said"), [(USED, "used before"), (LAPSED, "30 days")])
def test_a_dead_token_says_what_happened_and_what_to_do(reply, said):
    outcome, endpoint = refresh(reply)
    assert isinstance(outcome, Dead)
    assert said in outcome.reason
    assert "Sign in again" in outcome.reason
    assert len(endpoint.calls) == 1


LOST = [NoReply("timeout"), answer(503, b"<html>maintenance</html>"), answer(200, b"<html>"), answer(200, {})]


@pytest.mark.parametrize("lost", LOST)
def test_a_lost_answer_is_followed_by_one_more_try_with_the_old_token(lost):
    outcome, endpoint = refresh(lost, answer(200, PAIR))
    assert isinstance(outcome, Refreshed)
    assert [form["refresh_token"] for form in endpoint.forms] == ["old-refresh", "old-refresh"]


@pytest.mark.parametrize("lost", LOST)
def test_a_lost_answer_that_had_rotated_the_token_ends_with_a_person(lost):
    outcome, _ = refresh(lost, USED)
    assert isinstance(outcome, Dead)


@pytest.mark.parametrize("lost", LOST)
def test_two_lost_answers_keep_the_tokens_and_try_later(lost):
    with pytest.raises(RetryLater) as caught:
        refresh(lost, lost)
    assert caught.value.at > NOW


def test_a_wrong_client_secret_is_a_matter_of_set_up_and_names_no_secret():
    with pytest.raises(SetupError) as caught:
        refresh(refusal(400, "invalid_client", "bad credentials"))
    assert "s3cret" not in str(caught.value)
    assert "client secret" in str(caught.value)


def test_an_address_that_is_no_token_endpoint_is_a_matter_of_set_up():
    with pytest.raises(SetupError):
        refresh(answer(404, b"<html>Not here</html>"))


def test_a_throttled_token_endpoint_is_left_in_peace():
    with pytest.raises(RetryLater):
        refresh(answer(429, b""))


def test_requests_carry_the_bearer_token_and_keep_their_own_headers():
    signed = auth.authorize(SETTINGS, TOKENS, Request("GET", "https://books.example/x", {"Accept": "application/json"}))
    assert signed.headers == {"Accept": "application/json", "Authorization": "Bearer old-access"}


def test_connections_of_one_app_share_a_login_unless_told_otherwise():
    assert login(SETTINGS) == "app-1"
    assert login(Settings(client_id="a", client_secret="b", redirect_uri="https://c.example", login="boss")) == "boss"


@pytest.mark.parametrize("end", ["nl", "be", "de", "co.uk", "com", "es", "fr"])
def test_every_country_site_is_signed_in_to_at_its_own_host_and_nowhere_else(end):
    site = f"https://start.exactonline.{end}"
    assert site in SITES
    settings = Settings(client_id="a", client_secret="b", redirect_uri="https://c.example", base_url=site)
    assert auth.sign_in_url(settings, "s").startswith(f"{site}/api/oauth2/auth?")
    assert auth.token_url(settings) == f"{site}/api/oauth2/token"
    assert hosts(settings) == (f"start.exactonline.{end}",)
    assert len(SITES) == 7
