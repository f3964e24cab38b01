"""The demo as a picture for the README: the plan of act 1, shortened, and what it came to. `make picture` draws it anew.

Nothing in it is made up: the demo is played, and its own tables are drawn. Fonts are the reader's own; no address is called.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.terminal_theme import TerminalTheme

from koppel.demo.present import WIDTH, Presenter
from koppel.demo.report import DemoReport, Grid, Heading, Line, Shown
from koppel.demo.story import run_demo

WHY = 3  # the plan's column of reasons
LONGEST = 88  # characters of a reason
_THEME = TerminalTheme(
    (250, 250, 248),
    (36, 41, 47),
    [(36, 41, 47), (180, 35, 24), (17, 99, 41), (130, 80, 0), (9, 82, 165), (110, 60, 160), (6, 110, 120), (90, 97, 105)],
)  # fmt: skip
_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
# Rich's window with its buttons is left out, and so are its fonts, which would be fetched from elsewhere.
_FORMAT = f"""<svg class="rich-terminal" viewBox="0 0 {{width}} {{height}}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>The demo of Koppel: a plan for forty companies, and what it came to</title>
<style>
.{{unique_id}}-matrix {{{{ font-family: {_FONT}; font-size: {{char_height}}px; line-height: {{line_height}}px; }}}}
{{styles}}
</style>
<defs>{{lines}}</defs>
<rect fill="{_THEME.background_color.hex}" stroke="#d0d7de" x="0.5" y="0.5" width="99.9%" height="99.9%" rx="8"/>
<g transform="translate(9, 9)">
{{backgrounds}}
<g class="{{unique_id}}-matrix">
{{matrix}}
</g>
</g>
</svg>
"""


def shortened(plan: Grid) -> Grid:
    """A plan's table with one company for each thing that can happen, and long reasons cut."""
    kinds = {row[1:WHY]: row for row in reversed(plan.rows)}
    rows = [(*row[:WHY], _cut(row[WHY]), *row[WHY + 1 :]) for row in plan.rows if kinds[row[1:WHY]] == row]
    return msgspec.structs.replace(
        plan, title=f"{plan.title} ({len(rows)} of {len(plan.rows)} companies)", rows=tuple(rows)
    )


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rpartition(' ')[0]} …"


def chosen(said: Sequence[Shown]) -> tuple[Shown, ...]:
    """What of the demo is shown: of act 1 the heading, the plan, the commands and what became of it."""
    acts = [place for place, shown in enumerate(said) if isinstance(shown, Heading)]
    first = said[acts[0] : acts[1]]
    plan = next(place for place, shown in enumerate(first) if isinstance(shown, Grid) and "calls" in shown.figures)
    before = [shown for shown in first[:plan] if not isinstance(shown, Grid)]
    after = [shown for shown in first[plan + 1 :] if isinstance(shown, Line)]
    table = first[plan]
    assert isinstance(table, Grid)
    return (*before, shortened(table), *after)


def draw(said: Sequence[Shown], report: DemoReport) -> str:
    """The picture as SVG."""
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="standard", highlight=False
    )
    present = Presenter(console)
    for shown in chosen(said):
        present(shown)
    present.closing(report, ())
    drawn = console.export_svg(theme=_THEME, code_format=_FORMAT, unique_id="demo", font_aspect_ratio=0.6)
    return re.sub(r"[ \t]+\n", "\n", drawn)


def main(arguments: Sequence[str]) -> int:
    """Play the demo and write the picture to the file named."""
    said: list[Shown] = []
    report = run_demo(keep=None, say=said.append)
    Path(arguments[0]).write_text(draw(said, report), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
