"""People are told at once, once, and told when it is over; a dead key is left in peace."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from koppel.app import Workspace
from koppel.engine.ports import NotSent
from koppel.model.problem import SetupError, SignInNeeded
from koppel.runtime.alerts import Alert, deliver
from koppel.store import secrets
from koppel.systems.spi import Request, Response
from koppel.testing.stand import DEBTORS, REGISTER, Stand, stand

ALERT = Alert("failed", "books", "kvk-exact", "it broke", "mend it", 1.0)


class Post:
    """A transport that answers every request alike, and keeps them."""

    def __init__(self, reply: Any) -> None:
        self.reply, self.sent = reply, []

    async def send(self, request: Request, *, timeout: float) -> Any:  # noqa: ASYNC109
        self.sent.append(request)
        return self.reply


def listening(world: Stand, tmp_path: Path) -> tuple[Workspace, Path]:
    """The stand's workspace again, with a command that writes down what it is told."""
    heard = tmp_path / "heard.jsonl"
    script = tmp_path / "tell.py"
    script.write_text(f"import sys\nopen({str(heard)!r}, 'a').write(sys.stdin.read() + chr(10))\n")
    file = world.folder / "koppel.toml"
    text = file.read_text()
    command = json.dumps(f"{sys.executable} {script}")
    file.write_text(text.replace("[workspace]\n", f"[workspace]\non_alert = {command}\n", 1))
    return world.reopen(), heard


def with_classic_token(world: Stand, tmp_path: Path) -> tuple[Workspace, Path]:
    """The stand signs in to AFAS with OAuth; a classic token can be withdrawn by a colleague at any moment."""
    world.workspace.store.run(secrets.forget, f"settings {DEBTORS}")
    file = world.folder / "koppel.toml"
    head, mark, tail = file.read_text().partition(f"[connections.{DEBTORS}]")
    file.write_text(head + mark + re.sub(r"(?m)^client_id = .*\n", "", tail, count=1))
    ws, heard = listening(world, tmp_path)
    ws.connect(DEBTORS, settings={"token": world.afas("token", environment="production")["token"]})
    return ws, heard


def told(heard: Path) -> list[str]:
    return [json.loads(line)["kind"] for line in heard.read_text().splitlines()] if heard.exists() else []


def test_a_dead_token_is_told_once_paused_and_over_when_a_good_one_is_given(tmp_path: Path) -> None:
    with stand(companies=12, afas=True) as world:
        ws, heard = with_classic_token(world, tmp_path)
        ws.take(["00100104"], to=DEBTORS)
        world.afas("revoke")
        world.host.reset_calls()
        for _ in range(3):
            with pytest.raises(SignInNeeded):
                ws.sync("kvk-afas")
        assert told(heard) == ["sign_in"]
        assert world.host.count("afas") == 1  # refused once, then left in peace
        ws.connect(DEBTORS, settings={"token": world.afas("token", environment="production")["token"]})
        assert ws.sync("kvk-afas").state == "done"
        assert told(heard) == ["sign_in", "recovered"]
        ws.sync("kvk-afas")
        assert told(heard) == ["sign_in", "recovered"]
        assert len(world.debtors("00100104")) == 1


def test_after_an_hour_the_same_token_is_tried_again(tmp_path: Path) -> None:
    with stand(companies=12, afas=True) as world:
        ws, _ = with_classic_token(world, tmp_path)
        ws.take(["00100104"], to=DEBTORS)
        world.afas("revoke")
        world.host.reset_calls()
        for wait in (0.0, 600.0, 3601.0):
            world.host.clock.advance(wait)
            with pytest.raises(SignInNeeded):
                ws.sync("kvk-afas")
        assert world.host.count("afas") == 2


def test_a_wrong_key_is_told_once_and_the_alert_holds_no_key(tmp_path: Path) -> None:
    with stand(companies=12) as world:
        ws, heard = listening(world, tmp_path)
        ws.connect(REGISTER, settings={"apikey": "very-secret-key"})
        ws.take(["00100104"], to="books-nl")
        for _ in range(2):
            with pytest.raises(SetupError):
                ws.sync("kvk-exact")
        assert told(heard) == ["failed"]
        assert "very-secret-key" not in heard.read_text()


def test_a_webhook_gets_it_as_json() -> None:
    post = Post(Response(204))
    assert asyncio.run(deliver("https://hook.example/koppel", ALERT, post)) is None
    assert json.loads(post.sent[0].body)["message"] == "it broke"


@pytest.mark.parametrize(("reply", "why"), [(Response(500), "answered 500"), (NotSent("refused"), "does not answer")])
def test_a_webhook_that_fails_is_said(reply: Any, why: str) -> None:
    assert why in (asyncio.run(deliver("https://hook.example/koppel", ALERT, Post(reply))) or "")


@pytest.mark.parametrize("command", ["/does/not/exist", f"{sys.executable} -c 'import sys; sys.exit(\"no mail\")'"])
def test_a_command_that_fails_is_said(command: str) -> None:
    assert asyncio.run(deliver(command, ALERT, Post(None)))
