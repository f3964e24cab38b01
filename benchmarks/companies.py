"""20,000 companies from a keep-alive loopback server into SQLite: read and stored; looked up and matched with base and trail;
nothing changed. Prints one JSON object: calls, CPU and wall seconds, peak memory, per phase. No gate: figures to compare.

    python benchmarks/companies.py [--companies 20000] [--matched 5000]

The sandbox runs in a process of its own, so that CPU and memory are Koppel's alone; its clock is followed, so that the
vendors' quotas cost no waiting but are kept.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

from koppel.app import Workspace
from koppel.store import flows, observations

SERVER = """
import json, sys
from koppel.sandbox.host import build, contract
from koppel.sandbox.server import serve
host = build(seed=1, companies=int(sys.argv[1]))
host.control("exact", "settings", {"day_limit": 1000000})
serve(host, 0, lambda url: print(json.dumps(contract(host, url)), flush=True))
"""


def usage() -> tuple[float, float, float]:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), own.ru_utime + own.ru_stime, own.ru_maxrss / 1024


def calls(base_url: str) -> int:
    with urlopen(f"{base_url}/_sandbox/calls") as answer:
        return int(json.load(answer)["total"])


def phase(results: dict[str, object], name: str, base_url: str, work: Callable[[], dict[str, object]]) -> None:
    before, made = usage(), calls(base_url)
    facts = work()
    after = usage()
    results[name] = {
        "wall_s": round(after[0] - before[0], 3),
        "cpu_s": round(after[1] - before[1], 3),
        "peak_mb": round(after[2], 1),
        "calls": calls(base_url) - made,
        **facts,
    }
    print(f"{name}: {results[name]}", file=sys.stderr)


def workspace(folder: Path, contract: dict[str, dict[str, object]], base_url: str) -> Workspace:
    ws = Workspace.create(folder, name="bench")
    exact, kvk = contract["exact"], contract["kvk"]
    ws.connect("register", system="kvk", settings={"base_url": kvk["base_url"], "apikey": kvk["apikey"]})
    names = ("base_url", "client_id", "client_secret", "redirect_uri")
    divisions = exact["divisions"]
    assert isinstance(divisions, list)
    ws.connect("books-nl", system="exact", settings={**{n: exact[n] for n in names}, "division": divisions[0]})
    ws.add_flow("kvk-exact", {"register": "register", "books-nl": "books-nl"})
    ws.close()
    file = folder / "koppel.toml"
    file.write_text(
        file.read_text().replace('name = "bench"\n', f'name = "bench"\nclock = "{base_url}/_sandbox/clock"\n', 1)
    )
    ws = Workspace.open(folder)
    ws.sign_in("books-nl", str(exact["authorization_code"]))
    return ws


def known_numbers(ws: Workspace, limit: int) -> list[str]:
    def read(db):
        natives = [
            row[0]
            for row in db.rows(
                "select native from observations o join streams s on s.id = o.stream where s.resource = 'accounts' order by native limit :n",
                n=limit * 2,
            )
        ]
        number = db.scalar("select id from streams where resource = 'accounts'")
        seen = observations.load(db, number, natives, entity="company")
        return list(dict.fromkeys(o.record.entity.kvk for o in seen.values() if o.record and o.record.entity.kvk))[
            :limit
        ]

    return ws.store.run(read)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--companies", type=int, default=20_000, help="accounts in the ERP")
    parser.add_argument("--matched", type=int, default=5_000, help="companies looked up in the register and matched")
    chosen = parser.parse_args()
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(chosen.companies * 3 // 2)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        contract = json.loads(server.stdout.readline())
        base_url = contract["base_url"]
        results: dict[str, object] = {}
        with tempfile.TemporaryDirectory() as folder:
            ws = workspace(Path(folder) / "ws", contract["systems"], base_url)
            phase(results, "read_and_store", base_url, lambda: {"counts": ws.sync("kvk-exact").counts})
            numbers = known_numbers(ws, chosen.matched)

            def matched() -> dict[str, object]:
                done = ws.add(numbers, to="kvk-exact", allow=("share", "creates")).result
                assert done is not None
                return {"counts": {k: v for k, v in done.counts.items() if v}, "state": done.state}

            phase(results, "matched_with_base_and_trail", base_url, matched)
            phase(
                results,
                "nothing_changed",
                base_url,
                lambda: {"counts": {k: v for k, v in ws.sync("kvk-exact").counts.items() if v}},
            )
            results["accounts"] = ws.store.run(
                lambda db: db.scalar(
                    "select count(*) from observations o join streams s on s.id = o.stream where s.resource = 'accounts'"
                )
            )
            results["pairs"] = len(ws.store.run(flows.pairs_of, "kvk-exact"))
            results["trail_ok"] = ws.audit_verify() is None
            results["store_mb"] = round((Path(folder) / "ws" / "koppel.db").stat().st_size / 1e6, 1)
            ws.close()
        print(json.dumps(results, indent=1))
    finally:
        server.terminate()
        server.wait(10)


if __name__ == "__main__":
    main()
