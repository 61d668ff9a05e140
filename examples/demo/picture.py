"""What the demo printed, as a picture that needs nothing from elsewhere: no fonts, no scripts, no links."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme

THEME = TerminalTheme(
    background=(13, 17, 23),
    foreground=(201, 209, 217),
    normal=[
        (72, 79, 88),
        (255, 123, 114),
        (63, 185, 80),
        (210, 153, 34),
        (88, 166, 255),
        (210, 140, 255),
        (57, 197, 207),
        (177, 186, 196),
    ],
)
# Rich fills it in, and asks for these names; braces of the style sheet are doubled.
FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
    font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace;
    font-size: {char_height}px;
    line-height: {line_height}px;
}}
.{unique_id}-title {{ font-family: system-ui, sans-serif; font-size: 18px; font-weight: bold; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g>
</g>
</svg>
"""


def draw(console: Console, path: Path, title: str) -> None:
    """Write what a recording console has printed, without trailing blanks."""
    svg = console.export_svg(title=title, theme=THEME, code_format=FORMAT, unique_id="demo", clear=False)
    path.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")
