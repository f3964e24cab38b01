"""Play the guides: run their commands against sandboxes and put on the page what they print.

    python tools/guides.py            rewrite docs/guides/*.md where their output is old
    python tools/guides.py --check    only say which pages are old (exit code 1)

What a page can hold, besides text:

    <!-- scene companies=12 seed=7 -->    a new workspace `my-books` on sandboxes of KVK, Exact and AFAS, signed in, without flows
    <!-- scene … like=two-way -->        the same, with the files of that page, and each of its flows run once
    <!-- file flows/both.toml -->         the fenced block that follows is written to that file of the workspace
    <!-- meanwhile                        Python, run with `at` (koppel.testing.stand.Stand): what people and vendors do
    ... -->
    ```console                            `$ ` begins a command, run in the workspace's folder; the rest is what it printed;
                                          `| head -20` keeps the first lines, `| tail -5` the last

Sandboxes go by a fixed clock and a fixed seed, so that a page comes out the same every time. What cannot (addresses, hashes,
random keys) is put as `…`; progress is left out.
"""

# ruff: noqa: INP001, T201, S102, S603 - a script that plays our own pages
from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from koppel.testing.stand import Stand, stand

ROOT = Path(__file__).parents[1]
GUIDES = ROOT / "docs" / "guides"
PART = re.compile(
    r"<!-- scene(?P<scene>[^>]*?)-->|<!-- meanwhile\n(?P<meanwhile>.*?)-->"
    r"|<!-- file (?P<file>\S+) -->\n+```\w*\n(?P<text>.*?)```|```console\n(?P<console>.*?)```",
    re.DOTALL,
)
MASKS = (
    (re.compile(r"http://127\.0\.0\.1:\d+"), "http://127.0.0.1:…"),
    (re.compile(r"\b[0-9a-f]{32,64}\b"), "…"),
    (re.compile(r"\boperation [a-z2-7]{20}\b"), "operation …"),
    (
        re.compile(r"^\d+ of \d+ writes done\n", re.MULTILINE),
        "",
    ),  # progress: how often it is said hangs on how fast it goes
)
WIDTH = "110"


class Page:
    """One guide being played."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        self.at: Stand | None = None
        self.count = 0

    def played(self, text: str) -> str:
        """The page with its output as it is today."""
        return PART.sub(self._part, text)

    def _part(self, match: re.Match[str]) -> str:
        if match["scene"] is not None:
            self._scene(dict(pair.split("=") for pair in match["scene"].split()))
        elif match["meanwhile"] is not None:
            exec(compile(match["meanwhile"], "meanwhile", "exec"), {"at": self._stand})
        elif match["file"] is not None:
            self._file(match["file"], match["text"])
        else:
            return "```console\n" + "".join(self._console(match["console"])) + "```"
        return match[0]

    @property
    def _stand(self) -> Stand:
        assert self.at is not None, "a page begins with <!-- scene -->"
        return self.at

    def _scene(self, options: dict[str, str]) -> None:
        self.count += 1
        home = self.folder / f"scene-{self.count}"
        home.mkdir()
        numbers = {name: int(value) for name, value in options.items() if name in ("companies", "seed")}
        self.at = self.stack.enter_context(stand(home / "my-books", afas=True, actor="anna", **numbers))
        if "flows" not in options:
            for flow in (self.at.folder / "flows").glob("*.toml"):
                flow.unlink()
        if "like" in options:
            self._like(GUIDES / f"{options['like']}.md")

    def _like(self, page: Path) -> None:
        """Set up what another page sets up, and bring its flows up to date."""
        for match in PART.finditer(page.read_text(encoding="utf-8")):
            if match["file"] is not None:
                self._file(match["file"], match["text"])
        with self._stand.reopen(actor="anna") as workspace:
            for flow in workspace.flows:
                workspace.sync(flow, allow=("first",))

    def _file(self, name: str, text: str) -> None:
        path = self._stand.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def _console(self, block: str) -> Iterator[str]:
        for line in block.splitlines():
            if not line.startswith("$ "):
                continue
            yield line + "\n"
            printed = self._run(line[2:])
            yield printed if not printed or printed.endswith("\n") else printed + "\n"

    def _run(self, command: str) -> str:
        at = self._stand
        command, _, only = command.partition(" | ")
        program, *arguments = shlex.split(command)
        if program == "cat":
            return (at.folder / arguments[0]).read_text(encoding="utf-8")
        assert program == "koppel", f"a guide runs koppel, not {program}"
        environment = os.environ | {"COLUMNS": WIDTH, "KOPPEL_ACTOR": "anna", "NO_COLOR": "1", "TERM": "dumb"}
        done = subprocess.run(
            [Path(sys.executable).parent / "koppel", *arguments],
            cwd=at.folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        printed = done.stdout.replace(str(at.folder.resolve()), "my-books").replace(str(at.folder), "my-books")
        return tidied(command, printed, only)


def tidied(command: str, printed: str, only: str = "") -> str:
    """What a command printed, as it goes on the page. A traceback is never shown to anybody: AssertionError."""
    assert "Traceback" not in printed, f"{command}\n{printed}"
    for pattern, mask in MASKS:
        printed = pattern.sub(mask, printed)
    return "".join(f"{line.rstrip()}\n" for line in _only(printed.splitlines(), only))


def _only(lines: list[str], filtered: str) -> list[str]:
    """What `head -N` or `tail -N` leaves of them; that something was left out is shown."""
    word, _, number = filtered.partition(" -")
    if not filtered or len(lines) <= int(number):
        return lines
    return [*lines[: int(number)], "…"] if word == "head" else ["…", *lines[-int(number) :]]


def pages() -> list[Path]:
    """The guides that have something to play."""
    return [page for page in sorted(GUIDES.glob("*.md")) if "<!-- scene" in page.read_text(encoding="utf-8")]


def played(page: Path) -> str:
    """A guide with its output as it is today."""
    with tempfile.TemporaryDirectory(prefix="koppel-") as folder, ExitStack() as stack:
        return Page(stack, Path(folder)).played(page.read_text(encoding="utf-8"))


def main(arguments: list[str]) -> int:
    """Play the pages named, or all."""
    check = "--check" in arguments
    named = [Path(argument) for argument in arguments if argument != "--check"]
    old = 0
    for page in named or pages():
        now = played(page)
        if now == page.read_text(encoding="utf-8"):
            continue
        old += 1
        print(f"{page.name} {'is old' if check else 'rewritten'}")
        if not check:
            page.write_text(now, encoding="utf-8")
    return 1 if check and old else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
