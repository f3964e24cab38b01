"""Writing a system package of one's own: templates with its name filled in, in a folder that did not exist.

Promises: a name that could not be installed is refused before anything is written; nothing is ever overwritten.
"""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from koppel.model.problem import UsageError

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 30
_SUFFIX = ".tmpl"  # so that no tool takes a template for a module of ours


def write_package(name: str, folder: Path, *, installed: tuple[str, ...] = ()) -> tuple[Path, ...]:
    """Write the package `koppel-NAME` into `folder`; gives the files, the folder's own first. Raises UsageError."""
    check_name(name, installed=installed)
    target = folder / f"koppel-{name}"
    if target.exists():
        raise UsageError(f"{target} exists already.", remedy="Nothing was written. Choose another name or --folder.")
    words = {"NAME": name, "MODULE": f"koppel_{name.replace('-', '_')}", "TITLE": name.replace("-", " ").title()}
    written: list[Path] = []
    try:
        for path, text in templates():
            file = target / fill(path, words)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(fill(text, words), encoding="utf-8")
            written.append(file)
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}.", remedy="Choose another --folder.") from None
    return (target, *written)


def check_name(name: str, *, installed: tuple[str, ...] = ()) -> None:
    """Raise UsageError for a name that can be no package, or is one already."""
    if not NAME.fullmatch(name) or len(name) > LONGEST or keyword.iskeyword(name):
        raise UsageError(
            f"{name!r} is no name for a system.",
            remedy=f"Use small letters and digits, words joined by hyphens, {LONGEST} characters at most: my-shop",
        )
    if name in installed:
        raise UsageError(f"There is a system called {name!r} already.", remedy=f"Installed: {', '.join(installed)}.")


def templates() -> tuple[tuple[str, str], ...]:
    """(path inside the package, text) of every file, unfilled, in a stable order."""
    return tuple(sorted(_below(files("koppel.scaffold") / "templates", "")))


def _below(folder: Traversable, path: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for entry in folder.iterdir():
        here = f"{path}{entry.name}"
        if entry.is_dir():
            found += _below(entry, f"{here}/")
        elif here.endswith(_SUFFIX):
            found.append((here.removesuffix(_SUFFIX), entry.read_text(encoding="utf-8")))
    return found


def fill(text: str, words: dict[str, str]) -> str:
    """The text with its placeholders filled in.

    >>> fill("src/MODULE/x.py is {{NAME}}", {"MODULE": "koppel_shop", "NAME": "shop"})
    'src/koppel_shop/x.py is shop'
    """
    for word, value in words.items():
        text = text.replace(f"{{{{{word}}}}}", value)
    return text.replace("src/MODULE/", f"src/{words['MODULE']}/")
