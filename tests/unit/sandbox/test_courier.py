"""What a vendor sends by itself reaches a receiver on this machine, and nobody else."""

from __future__ import annotations

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from koppel.engine.send import HttpTransport
from koppel.sandbox.courier import deliver
from koppel.sandbox.host import SandboxHost, build
from koppel.systems.spi import Request


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.taken.append(self.rfile.read(int(self.headers.get("content-length") or 0)))
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    server.taken, server.status = [], 200
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def host() -> SandboxHost:
    return build(companies=1, names=["exact"])


def subscribe(host: SandboxHost, url: str) -> None:
    token = host.control("exact", "refresh_token", {"age": 0})["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": "application/json"}
    body = json.dumps({"Topic": "Accounts", "CallbackURL": url}).encode()
    where = "http://vendor.example/exact/api/v1/123456/webhooks/WebhookSubscriptions"
    assert host.handle(Request("POST", where, headers, body)).status == 201


def carried(host: SandboxHost) -> int:
    async def once() -> int:
        transport = HttpTransport()
        try:
            return await deliver(host, transport)
        finally:
            await transport.close()

    return asyncio.run(once())


def test_a_ping_and_then_a_notification_arrive(host, receiver):
    subscribe(host, f"http://127.0.0.1:{receiver.server_port}/hooks")
    assert carried(host) == 0
    host.clock.advance(1)
    assert carried(host) == 1
    made = host.control("exact", "add", {"set": {"Name": "Nieuw"}})
    host.clock.advance(60)
    assert carried(host) == 1
    ping, notification = receiver.taken
    assert ping == b""
    assert json.loads(notification)["Content"]["Key"] == made["ID"]
    assert carried(host) == 0


def test_what_is_not_taken_stays_due_for_later(host, receiver):
    subscribe(host, f"http://127.0.0.1:{receiver.server_port}/hooks")
    host.clock.advance(1)
    carried(host)
    host.control("exact", "add", {"set": {"Name": "Nieuw"}})
    receiver.status = 503
    host.clock.advance(60)
    assert carried(host) == 1
    assert carried(host) == 0
    receiver.status = 200
    host.clock.advance(120)
    assert carried(host) == 1
    assert receiver.taken[1] == receiver.taken[2]


def test_an_address_elsewhere_is_never_called(host):
    subscribe(host, "https://app.example/hooks")
    host.clock.advance(1)
    assert carried(host) == 1
    assert host.control("exact", "webhooks", {}) == {
        "subscriptions": host.control("exact", "webhooks", {})["subscriptions"],
        "waiting": [],
        "sent": 0,
        "given_up": 1,
    }
