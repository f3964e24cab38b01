"""`koppel work` in one process: what is due is run, and a flow that cannot begin holds up nobody."""

from __future__ import annotations

import threading
from typing import Any

from koppel.app import working
from koppel.model.problem import SetupError
from koppel.testing.stand import Stand


def test_a_flow_that_cannot_begin_is_tried_once_and_told(at: Stand, monkeypatch: Any) -> None:
    file = at.folder / "flows" / "kvk-exact.toml"
    text = file.read_text("utf-8")
    assert 'schedule  = "nightly"' in text
    file.write_text(text.replace('schedule  = "nightly"', 'schedule = "every 15 minutes"'), "utf-8")
    stop, told = threading.Event(), []

    def fails(flow: str, **_: Any) -> None:
        if len(told) > 2:
            stop.set()
        raise SetupError(f"{flow} cannot begin.")

    monkeypatch.setattr(at.workspace, "sync", fails)
    assert working.work_on(at.workspace, stop, tell=told.append, once=True) == 0
    assert [(one.flow, one.state, one.error) for one in told] == [
        ("kvk-exact", "failed to begin", "kvk-exact cannot begin.")
    ]
