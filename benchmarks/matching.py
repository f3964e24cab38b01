"""How well made-up Dutch companies find each other, and what it costs: automatic links, proposals, and 100,000 records in blocks.

    python benchmarks/matching.py [--firms 5000] [--seeds 3] [--records 100000] [--sample 2000]

Prints one JSON object. No gate: figures to compare. `tests/unit/testing/test_matching_set.py` holds a smaller set to them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from koppel.engine import proposals
from koppel.store import streams
from koppel.store.store import open_store
from koppel.store.vault import Vault
from koppel.testing.matching_set import a_flow, decided, labelled, measure, store_of


def usage() -> tuple[float, float, float]:
    own = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), own.ru_utime + own.ru_stime, own.ru_maxrss / 1024


def accuracy(seed: int, firms: int) -> dict[str, object]:
    found = measure(labelled(seed=seed, firms=firms))
    told = {name: getattr(found, name) for name in ("pairs", "linked", "linked_rightly", "questions", "proposed", "proposed_rightly", "findable", "found", "missed")}  # fmt: skip
    rates = {
        name: round(getattr(found, name), 4) for name in ("link_precision", "recall", "precision", "first_precision")
    }
    return {"seed": seed, **rates, **told}


def large(records: int, sample: int) -> dict[str, object]:
    made = labelled(seed=9, firms=round(records / 1.83))
    told: dict[str, object] = {"left": len(made.left), "right": len(made.right)}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "store.db"
        store = open_store(f"sqlite:///{file}", Vault(bytes(32)), inline=True, create=True)
        store_of(made, store)
        lefts = list(made.left)[:sample]
        del made
        before, size = usage(), file.stat().st_size
        numbers = [store.run(streams.ensure, *name).id for name in (("left", "customers"), ("right", "shops"))]
        flow = a_flow()
        looked = asyncio.run(proposals.bring_up_to_date(store, flow, numbers))
        middle = usage()
        steps = decided(store, flow, lefts)
        after = usage()
        told["blocks"] = {"records": looked, "wall_s": round(middle[0] - before[0], 1), "cpu_s": round(middle[1] - before[1], 1), "memory_grew_mb": round(middle[2] - before[2], 1), "store_grew_mb": round((file.stat().st_size - size) / 1e6, 1)}  # fmt: skip
        told["decided"] = {"records": len(lefts), "steps": len(steps), "wall_s": round(after[0] - middle[0], 1), "cpu_s": round(after[1] - middle[1], 1), "memory_grew_mb": round(after[2] - middle[2], 1), "peak_mb": round(after[2], 1)}  # fmt: skip
        store.close()
    return told


def main() -> None:
    read = argparse.ArgumentParser()
    read.add_argument("--firms", type=int, default=5000)
    read.add_argument("--seeds", type=int, default=3)
    read.add_argument("--records", type=int, default=100_000)
    read.add_argument("--sample", type=int, default=2000)
    given = read.parse_args()
    results: dict[str, object] = {"accuracy": []}
    for seed in range(1, given.seeds + 1):
        results["accuracy"] = [*results["accuracy"], accuracy(seed, given.firms)]  # type: ignore[misc]
        print(results["accuracy"][-1], file=sys.stderr)  # type: ignore[index]
    if given.records:
        results["large"] = large(given.records, given.sample)
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
