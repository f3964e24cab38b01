"""Subscriptions are validated by a ping; then every change is told, signed, and told again until it is taken."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest

SUBSCRIPTIONS = "webhooks/WebhookSubscriptions"
URL = "https://app.example/hooks"


def subscribe(clerk, topic="Accounts", **values):
    made = clerk.post(SUBSCRIPTIONS, Topic=topic, CallbackURL=URL, **values)
    clerk.time += 1
    [ping] = clerk.sandbox.outgoing()
    clerk.sandbox.answered(ping.number, 200)
    return made


def due(clerk, wait=60):
    clerk.time += wait
    return clerk.sandbox.outgoing()


def test_an_empty_ping_comes_a_second_later_and_validates(clerk):
    clerk.post(SUBSCRIPTIONS, Topic="Accounts", CallbackURL=URL)
    assert clerk.sandbox.outgoing() == ()
    [ping] = due(clerk, 1)
    assert (ping.request.method, ping.request.url, ping.request.body) == ("POST", URL, b"")
    assert ping.request.headers == {"content-length": "0"}
    [before] = clerk.control("webhooks")["subscriptions"]
    clerk.sandbox.answered(ping.number, 201)
    [after] = clerk.control("webhooks")["subscriptions"]
    assert (before["valid"], after["valid"]) == (False, True)


def test_an_unanswered_ping_leaves_a_subscription_that_hears_nothing(clerk):
    clerk.post(SUBSCRIPTIONS, Topic="Accounts", CallbackURL=URL)
    [ping] = due(clerk, 1)
    clerk.sandbox.answered(ping.number, 500)
    clerk.customer()
    assert due(clerk, 86_400) == ()


def test_a_change_is_told_signed_over_the_raw_bytes(clerk):
    subscribe(clerk)
    key = clerk.customer()
    assert clerk.sandbox.outgoing() == (), "a notification takes its time"
    [call] = due(clerk)
    raw = call.request.body
    told = json.loads(raw)
    assert list(told) == ["Content", "HashCode"]
    content = raw[len(b'{"Content":') : raw.index(b',"HashCode":')]
    secret = clerk.sandbox.contract("http://x")["webhook_secret"]
    assert told["HashCode"] == hmac.new(secret.encode(), content, hashlib.sha256).hexdigest().upper()
    assert told["Content"] == {
        "Topic": "Accounts",
        "ClientId": clerk.sandbox.contract("http://x")["client_id"],
        "Division": 123456,
        "Action": "Create",
        "Key": key,
        "ExactOnlineEndpoint": f"http://vendor.example/exact/api/v1/123456/crm/Accounts(guid'{key}')",
        "EventCreatedOn": "2026-09-21T16:13:21.000",
    }


def test_updates_and_deletions_by_people_are_told_too(clerk):
    key = clerk.customer()
    subscribe(clerk)
    clerk.control("edit", id=key, set={"City": "Ede"})
    clerk.control("edit", id=key, set={"City": "Epe"}, stamp=False)
    clerk.control("delete", id=key)
    actions = [json.loads(call.request.body)["Content"]["Action"] for call in due(clerk)]
    assert actions == ["Update", "Delete"], "what leaves no trace is not told"


def test_what_is_not_taken_is_sent_again_ten_times(clerk):
    subscribe(clerk)
    clerk.customer()
    [call] = due(clerk)
    waits = []
    for _ in range(11):
        clerk.sandbox.answered(call.number, 503)
        if not (waiting := clerk.control("webhooks")["waiting"]):
            break
        waits.append((waiting[0]["due"] - clerk.time) / 60)
        clerk.time = waiting[0]["due"]
        assert [one.number for one in clerk.sandbox.outgoing()] == [call.number]
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
    assert clerk.control("webhooks")["given_up"] == 1


def test_a_storm_is_told_one_by_one_in_order(clerk):
    subscribe(clerk)
    for number in range(200):
        clerk.customer(Name=f"K {number}")
    calls = due(clerk)
    assert len(calls) == 200
    assert [call.number for call in calls] == sorted(call.number for call in calls)


def test_subscriptions_are_per_division(clerk):
    subscribe(clerk)
    clerk.division = 123457
    clerk.customer()
    assert due(clerk) == ()
    assert clerk.rows(SUBSCRIPTIONS) == []


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"CallbackURL": URL}, "Verplicht: Topic"),
        ({"Topic": "Accounts"}, "Verplicht: CallbackURL"),
        ({"Topic": "Everything", "CallbackURL": URL}, "Ongeldig: Topic"),
        ({"Topic": "Accounts", "CallbackURL": "http://app.example/hooks"}, "Ongeldig: CallbackURL"),
        ({"Topic": "Accounts", "CallbackURL": "https://other.example/hooks"}, "Ongeldig: CallbackURL"),
        ({"Topic": "Accounts", "CallbackURL": URL, "IsInstant": True}, "Ongeldig: IsInstant"),
    ],
)
def test_subscriptions_that_cannot_be_are_refused(clerk, values: dict, says: str):
    assert clerk.refused("POST", SUBSCRIPTIONS, **values) == (500, says)


def test_a_topic_is_subscribed_to_once(clerk):
    made = subscribe(clerk)
    found = clerk.refused("POST", SUBSCRIPTIONS, Topic="Accounts", CallbackURL=URL)
    assert found == (500, "Gegeven bestaat reeds.")
    assert clerk.call("DELETE", f"{SUBSCRIPTIONS}(guid'{made['ID']}')").status == 204
    subscribe(clerk)


def test_deliveries_may_be_told_at_once(clerk):
    subscribe(clerk, "GoodsDeliveries", IsInstant=True)
    lines = [{"Item": clerk.item(), "Quantity": 1}]
    order = clerk.post("salesorder/SalesOrders", OrderedBy=clerk.customer(), SalesOrderLines=lines)
    sold = order["SalesOrderLines"]["results"][0]["ID"]
    rows = [{"SalesOrderLineID": sold, "QuantityDelivered": 1}]
    clerk.post("salesorder/GoodsDeliveries", DeliveryDate="2026-09-21", GoodsDeliveryLines=rows)
    assert len(clerk.sandbox.outgoing()) == 1


def test_stock_is_told_under_its_own_topic(clerk):
    subscribe(clerk, "StockPositions")
    clerk.post(
        "salesorder/SalesOrders", OrderedBy=clerk.customer(), SalesOrderLines=[{"Item": clerk.item(), "Quantity": 1}]
    )
    assert {json.loads(call.request.body)["Content"]["Topic"] for call in due(clerk)} == {"StockPositions"}


def test_they_may_be_lost_forged_and_doubled(clerk):
    subscribe(clerk)
    clerk.control("settings", lose_webhooks=True)
    key = clerk.customer()
    assert due(clerk) == ()
    secret = clerk.sandbox.contract("http://x")["webhook_secret"]
    for genuine in (False, True):
        raw = clerk.control("forge_webhook", topic="Accounts", key=key, genuine=genuine)["body"].encode()
        content = raw[len(b'{"Content":') : raw.index(b',"HashCode":')]
        right = hmac.new(secret.encode(), content, hashlib.sha256).hexdigest().upper()
        assert (json.loads(raw)["HashCode"] == right) is genuine


def test_a_test_may_play_the_receiver_over_the_door(clerk):
    clerk.post(SUBSCRIPTIONS, Topic="Accounts", CallbackURL="http://127.0.0.1:9/hooks")
    [ping] = clerk.control("webhooks")["waiting"]
    clerk.control("webhook_answered", number=ping["number"], status=200)
    assert clerk.control("webhooks")["sent"] == 1
    with pytest.raises(ValueError, match="no webhook"):
        clerk.control("webhook_answered", number=ping["number"], status=200)
