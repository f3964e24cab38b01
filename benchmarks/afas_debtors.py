"""100,000 debtors in AFAS Profit, from a sandbox in a process of its own into SQLite: read and stored; nothing changed; 50 changed,
twice. Prints one JSON object: calls, CPU and wall seconds, peak memory and how much it grew, per phase. No gate: figures to compare.

    python benchmarks/afas_debtors.py [--debtors 100000] [--changed 50]
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
from typing import Any
from urllib.request import Request, urlopen

from koppel.app import Workspace

SERVER = """
import json, sys
from koppel.sandbox.host import build, contract
from koppel.sandbox.server import serve
host = build(seed=1, companies=40, names=("kvk", "afas"))
host.control("afas", "fill", {"debtors": int(sys.argv[1])})
serve(host, 0, lambda url: print(json.dumps(contract(host, url)), flush=True))
"""
FLOW = "kvk-afas"


def door(url: str, body: dict[str, object] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data=data, headers={"content-type": "application/json"})) as answer:
        return json.load(answer)


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def phase(results: dict[str, object], name: str, base_url: str, work: Callable[[], dict[str, object]]) -> None:
    def calls() -> int:
        return int(door(f"{base_url}/_sandbox/calls")["systems"]["afas"]["total"])

    made, held = calls(), resident_mb()
    wall, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    facts = work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    results[name] = {
        "wall_s": round(time.perf_counter() - wall, 3),
        "cpu_s": round(after.ru_utime + after.ru_stime - cpu.ru_utime - cpu.ru_stime, 3),
        "calls": calls() - made,
        "grew_mb": round(resident_mb() - held, 1),
        "peak_mb": round(after.ru_maxrss / 1024, 1),
        **facts,
    }
    print(f"{name}: {results[name]}", file=sys.stderr)


def workspace(folder: Path, contract: dict[str, dict[str, Any]], base_url: str) -> Workspace:
    ws = Workspace.create(folder, name="bench")
    kvk, afas = contract["kvk"], contract["afas"]
    ws.connect("register", system="kvk", settings={"base_url": kvk["base_url"], "apikey": kvk["apikey"]})
    ws.connect("profit", system="afas", settings={n: afas[n] for n in ("base_url", "client_id", "client_secret")})
    ws.add_flow(FLOW, {"register": "register", "profit": "profit"})
    ws.close()
    file = folder / "koppel.toml"
    file.write_text(
        file.read_text().replace('name = "bench"\n', f'name = "bench"\nclock = "{base_url}/_sandbox/clock"\n', 1)
    )
    return Workspace.open(folder)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--debtors", type=int, default=100_000)
    parser.add_argument("--changed", type=int, default=50)
    chosen = parser.parse_args()
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(chosen.debtors)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        contract = json.loads(server.stdout.readline())
        base_url = contract["base_url"]
        results: dict[str, object] = {}
        with tempfile.TemporaryDirectory() as folder:
            ws = workspace(Path(folder) / "ws", contract["systems"], base_url)

            def synced() -> dict[str, object]:
                done = ws.sync(FLOW)
                return {"state": done.state, "counts": {kind: n for kind, n in done.counts.items() if n}}

            phase(results, "read_and_store", base_url, synced)
            door(f"{base_url}/_sandbox/clock", {"advance": 900})
            phase(results, "nothing_changed", base_url, synced)
            for number in (1, 2):
                for debtor in range(chosen.changed):
                    body = {"debtor": 10_500 + debtor, "set": {"TeNr": f"010-000{number:04}"}}
                    door(f"{base_url}/_sandbox/control/afas/edit", body)
                door(f"{base_url}/_sandbox/clock", {"advance": 900})
                phase(results, f"changed_{number}", base_url, synced)
            results["debtors"] = ws.store.run(lambda db: db.scalar("select count(*) from observations"))
            results["store_mb"] = round((Path(folder) / "ws" / "koppel.db").stat().st_size / 1e6, 1)
            ws.close()
        print(json.dumps(results, indent=1))
    finally:
        server.terminate()
        server.wait(10)


if __name__ == "__main__":
    main()
