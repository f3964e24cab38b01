"""What a comparison found, kept beside memory: one file without a name per kind, gone with the program that made it.

The files lie in the workspace's folder, where the data they speak of lies; nobody can open them by a name, and nothing is
left of them when the program ends, however it ends.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from koppel.sync.compare import KINDS, Finding, Kind

_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(Finding).decode


class Findings:
    """Findings by kind, in the order they were put. Close it, or use it as a context."""

    def __init__(self, folder: Path) -> None:
        self._files: dict[Kind, IO[bytes]] = {}
        for kind in KINDS:
            self._files[kind] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`
        self._counts: dict[Kind, int] = dict.fromkeys(KINDS, 0)

    def put(self, finding: Finding) -> None:
        """Keep one."""
        self._files[finding.kind].write(_ENCODE(finding) + b"\n")
        self._counts[finding.kind] += 1

    def count(self, kind: Kind) -> int:
        """How many of a kind there are."""
        return self._counts[kind]

    def of(self, kind: Kind, *, most: int | None = None) -> Iterator[Finding]:
        """Those of a kind, or the first of them."""
        file = self._files[kind]
        file.flush()
        file.seek(0)
        yield from (_DECODE(line) for line in islice(file, most))
        file.seek(0, 2)

    def __iter__(self) -> Iterator[Finding]:
        for kind in KINDS:
            yield from self.of(kind)

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files.values():
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
