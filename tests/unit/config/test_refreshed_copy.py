"""A test environment that the vendor overwrote with production data is no mass deletion."""

from __future__ import annotations

from pathlib import Path

import pytest

from koppel.store import streams
from koppel.testing.acceptance import read_script
from koppel.testing.acceptance.stage import stage

COPY = Path(__file__).parents[3] / "acceptance" / "refreshed-copy.toml"


@pytest.mark.parametrize("missing", ["ask", "restore", "unlink"])
def test_what_was_made_in_the_test_environment_and_is_gone_holds_the_run(missing):
    with stage(read_script(COPY).fixtures) as on:
        file = on.folder / "flows" / "kvk-afas.toml"
        text = file.read_text().replace("share = 1.0", "share = 0.2").replace('right = "ask"', f'right = "{missing}"')
        file.write_text(text)
        with on.workspace.open(on.folder) as workspace:
            new = [c for c in on.host.world.companies if c.in_erp == "none" and c.ended_on is None][:18]
            workspace.take([company.kvk for company in new], to="kvk-afas")
            made = workspace.sync("kvk-afas").counts["create"]
            assert made >= 10
            assert on.host.control("afas", "refresh_copy", {"environment": "test"})["debtors"] == 30
            on.host.clock.advance(86_400)
            stream = next(s for s in workspace.streams() if s.connection == "profit")
            workspace.store.run(streams.begin_scan, stream.id)  # everything is read anew
            writes, head = on.writes(), workspace.audit_head()
            result = workspace.sync("kvk-afas")
            assert result.state == "stopped"
            assert f"{made} records vanished from profit:debtors" in result.message
            assert "--allow vanished" in result.message
            assert (on.writes(), workspace.audit_head()) == (writes, head), "nothing was written, asked or unlinked"
