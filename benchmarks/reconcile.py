"""Full reconciliation of 100,000 by 100,000 records with 1 % planted differences: the report must be exact, item by item.
Prints one JSON object: seconds, peak memory, figures. Exits with 1 when the report is not exact or the peak is above the limit.

    python benchmarks/reconcile.py [--pairs 100000] [--limit 200]

The store is built by a process of its own, and so is what it must hold; the peak is that of the process that compares, with the
interpreter and everything it imports.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from koppel.app.findings import Findings
from koppel.cli import tell_findings
from koppel.engine import reconcile
from koppel.store.store import open_store
from koppel.store.vault import Vault
from koppel.testing.pair_desk import PairDesk
from koppel.testing.planted import PLANTED, plant

VAULT = Vault(bytes(range(32)))


def desk(folder: Path, *, create: bool = False) -> PairDesk:
    return PairDesk(
        flow=PLANTED, store=open_store(f"sqlite:///{folder / 'store.db'}", VAULT, inline=True, create=create)
    )


def build(folder: Path, pairs: int) -> None:
    """The store, and beside it what is to be found."""
    expected = plant(desk(folder, create=True), pairs)
    (folder / "expected.json").write_text(json.dumps(expected), "utf-8")


def compare(folder: Path) -> dict[str, Any]:
    """Compare and write every kind of report; what was found is read back from the file, once the peak is known."""
    ours = desk(folder)
    begun, cpu = time.perf_counter(), time.process_time()
    with Findings(folder) as findings:
        summary = ours.do(reconcile.compare(ours.ports, PLANTED, findings.put))
        compared = time.perf_counter(), time.process_time()
        written = {
            "report.json": tell_findings.as_json(summary, findings),
            "report.csv": tell_findings.as_csv(findings),
            "report.html": tell_findings.as_page(summary, findings, PLANTED),
        }
        for name, parts in written.items():
            with (folder / name).open("w", encoding="utf-8") as file:
                file.writelines(parts)
    return {
        "compare_wall_s": round(compared[0] - begun, 2),
        "compare_cpu_s": round(compared[1] - cpu, 2),
        "reports_wall_s": round(time.perf_counter() - compared[0], 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "left": summary.left.records,
        "right": summary.right.records,
        "pairs": summary.pairs,
        "same": summary.same,
    }


def exact(folder: Path) -> tuple[int, int, int]:
    """How many were to be found, how many of them were not, how many that were not planted."""
    names = ("kind", "verdict", "left", "right", "field", "left_value", "right_value")
    report = json.loads((folder / "report.json").read_text("utf-8"))
    found = Counter(
        tuple(one.get(name, "" if name == "field" else None) for name in names) for one in report["findings"]
    )
    expected = Counter(tuple(one) for one in json.loads((folder / "expected.json").read_text("utf-8")))
    return expected.total(), (expected - found).total(), (found - expected).total()


def main() -> int:
    given = argparse.ArgumentParser()
    given.add_argument("--pairs", type=int, default=100_000)
    given.add_argument("--limit", type=float, default=200.0, help="MB")
    given.add_argument("--part", choices=("build", "compare"))
    given.add_argument("--folder", type=Path)
    args = given.parse_args()
    if args.part == "build":
        build(args.folder, args.pairs)
        return 0
    if args.part == "compare":
        print(json.dumps(compare(args.folder)))
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begun = time.perf_counter()
        part = [sys.executable, __file__, "--folder", name, "--pairs", str(args.pairs), "--part"]
        subprocess.run([*part, "build"], check=True)
        built = round(time.perf_counter() - begun, 1)
        figures = json.loads(subprocess.run([*part, "compare"], check=True, capture_output=True, text=True).stdout)
        planted, missed, invented = exact(folder)
        size = (folder / "store.db").stat().st_size / 1e6
        told = {"planted": planted, "missed": missed, "invented": invented, "store_mb": round(size), "build_s": built}
    print(json.dumps(figures | told, indent=1))
    return 0 if missed == invented == 0 and figures["peak_mb"] <= args.limit else 1


if __name__ == "__main__":
    sys.exit(main())
