"""KVK numbers as people type them, paste them or keep them in a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from koppel.formats import kvk as kvk_format
from koppel.formats.invalid import InvalidNumber
from koppel.model.problem import UsageError


def read_numbers(typed: Sequence[str]) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """KVK numbers as typed → (compact, each once), {typed: why it is none}, {compact: note}."""
    taken: dict[str, None] = {}
    refused: dict[str, str] = {}
    notes: dict[str, str] = {}
    for text in typed:
        try:
            number, _branch, note = kvk_format.read(text)
        except InvalidNumber as error:
            refused[text] = str(error)
            continue
        if number in taken:
            notes.setdefault(number, "given more than once")
        taken[number] = None
        if note:
            notes[number] = note
    return list(taken), refused, notes


def read_number_file(path: Path) -> list[str]:
    """Numbers out of a text or CSV file: the first field of each line; empty lines and `#` comments are skipped. Raises UsageError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", remedy="Name a text or CSV file.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not a text file.", remedy="Save it as CSV, in UTF-8.") from None
    return read_number_lines(text)


def read_number_lines(text: str) -> list[str]:
    """Numbers out of lines of text: the first field of each, as `read_number_file` says."""
    lines = text.removeprefix("\ufeff").splitlines()
    fields = (re.split(r"[;,\t]", line)[0].strip().strip('"') for line in lines)
    found = [field for field in fields if field and not field.startswith("#")]
    if found and not any(char.isdigit() for char in found[0]):
        found = found[1:]  # a heading
    return found
