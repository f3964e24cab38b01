import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from koppel.model.problem import SetupError
from koppel.sandbox.host import Fault, SandboxHost
from koppel.sandbox.server import LostConnection, asgi, running, serve
from koppel.systems.spi import Request, Response


class Echo:
    """Answers with what it was asked; remembers the bodies it was sent."""

    name = "echo"
    base_path = "/echo"

    def __init__(self, world: Any) -> None:
        self.seen: list[str] = []

    def handle(self, path: str, request: Request) -> Response:
        if request.method == "POST":
            self.seen.append(request.body.decode())
        if path == "/empty":
            return Response(204)
        shown = {"url": request.url, "key": request.headers.get("ApiKey")}
        return Response(200, {"content-type": "application/json", "content-length": "1"}, json.dumps(shown).encode())

    def control(self, action: str, body: dict[str, Any]) -> dict[str, Any]:
        raise ValueError(action)

    def contract(self, base_url: str) -> dict[str, Any]:
        return {"base_url": base_url}

    def snapshot(self) -> Any:
        return self.seen


def host() -> SandboxHost:
    return SandboxHost({"echo": Echo})


def test_a_client_on_a_socket_sees_the_sandbox_under_its_own_address():
    with running(host()) as url, httpx2.Client(trust_env=False) as client:
        reply = client.get(f"{url}/echo/a%20b?q=%C3%A9", headers={"apikey": "k"})
        assert reply.json() == {"url": f"{url}/echo/a%20b?q=%C3%A9", "key": "k"}
        assert client.get(f"{url}/echo/empty").status_code == 204
        assert client.get(f"{url}/other").status_code == 404
        assert "date" not in reply.headers


def test_a_client_sees_a_lost_reply_as_a_broken_connection_and_can_go_on(capfd: pytest.CaptureFixture[str]):
    it = host()
    with running(it) as url, httpx2.Client(trust_env=False) as client:
        client.get(f"{url}/echo/warm")  # the connection that is kept alive is the one that breaks
        client.post(f"{url}/_sandbox/faults", json={"system": "echo", "kind": "lose_reply"})
        with pytest.raises(httpx2.TransportError):
            client.post(f"{url}/echo/lines", content=b"once")
        assert it.state("echo") == ["once"]
        it.add_fault(Fault(kind="lose_request"))
        with pytest.raises(httpx2.TransportError):
            client.post(f"{url}/echo/lines", content=b"never")
        assert client.post(f"{url}/echo/lines", content=b"after").status_code == 200
    assert it.state("echo") == ["once", "after"]
    assert capfd.readouterr() == ("", "")


def test_a_truncated_answer_ends_before_its_announced_length(capfd: pytest.CaptureFixture[str]):
    it = host()
    it.add_fault(Fault(kind="truncate"))
    with running(it) as url, httpx2.Client(trust_env=False) as client:
        with pytest.raises(httpx2.RemoteProtocolError, match="complete message body"):
            client.get(f"{url}/echo/x")
        assert client.get(f"{url}/echo/x").status_code == 200
    assert capfd.readouterr().err == ""


def test_without_a_socket_a_lost_reply_is_an_error_of_its_own():
    it = host()
    it.add_fault(Fault(kind="lose_reply"))

    async def call() -> None:
        transport = httpx2.ASGITransport(app=asgi(it))
        async with httpx2.AsyncClient(transport=transport, base_url="http://sandbox.example") as client:
            assert (await client.post("/_sandbox/clock", json={"advance": 5})).status_code == 200
            await client.post("/echo/x", content=b"x")

    import asyncio

    with pytest.raises(LostConnection):
        asyncio.run(call())
    assert it.state("echo") == ["x"]


def test_a_taken_port_is_said_with_a_remedy():
    with running(host()) as url, pytest.raises(SetupError, match="taken"):
        serve(host(), int(url.rsplit(":", 1)[1]))


PROGRAM = """
import sys
from koppel.sandbox.host import SandboxHost
from koppel.sandbox.server import serve
serve(SandboxHost({}), 0, lambda url: print(url, flush=True))
print("left in peace", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_served_in_the_foreground_it_says_where_and_leaves_on_a_signal(number: signal.Signals):
    here = Path(__file__).parent
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert httpx2.get(f"{url}/_sandbox/calls", trust_env=False).json()["total"] == 0
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "left in peace\n", "")
