"""The table of what is supported, from what the tests have seen: ``python tests/support_table.py [--check] FOLDER``.

FOLDER holds the reports of test runs (:mod:`tests.support_report`) with the newest and with the oldest releases. The
table goes into the README between two marks; ``--check`` only compares, and exits 1 if it is another.
"""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- support: `make support` writes this -->\n", "<!-- end of support -->\n"

# Frameworks: what their tests must have seen. In the order of the table.
FRAMEWORKS = [
    "fastapi",
    "starlette",
    "Flask",
    "Django",
    "djangorestframework",
    "django-ninja",
    "litestar",
    "quart",
    "sanic",
    "aiohttp",
    "tornado",
    "falcon",
    "pyramid",
]
# A column of the libraries' table is ticked if their tests have seen one of these.
COLUMNS = {
    "issued": ("jwt.issued",),
    "refreshed, lineage": ("lineage",),
    "revoked": ("jwt.revoked",),
    "use after that": ("jwt.rejected: revoked",),
    "wrong type": ("jwt.rejected: wrong_type",),
    "refused user": ("jwt.rejected: refused",),
    "scopes, permissions": ("scopes", "jwt.denied"),
}


def read(folder: Path) -> dict[str, dict[str, set[str]]]:
    """By distribution and version: what was seen."""
    reports: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for file in folder.rglob("*.json"):
        for name, report in json.loads(file.read_text(encoding="utf-8")).items():
            reports[name][report["version"]].update(report["seen"])
    return reports


def versions(found: dict[str, set[str]]) -> str:
    """The oldest and the newest release that the tests have run with."""
    numbered = sorted(found, key=lambda version: [int(number) for number in re.findall(r"\d+", version)])
    return numbered[0] if len(numbered) == 1 else f"{numbered[0]} … {numbered[-1]}"


def table(reports: dict[str, dict[str, set[str]]]) -> str:
    """Both tables, as Markdown."""
    lines = ["| framework | run with | route | declared scopes, permissions |", "|---|---|---|---|"]
    for name in FRAMEWORKS:
        if name in reports:
            seen = set.union(*reports[name].values())
            route, scopes = ("✓" if kind in seen else "" for kind in ("route", "scopes"))
            lines.append(f"| {name} | {versions(reports[name])} | {route} | {scopes} |")
    lines += ["", f"| library | run with | {' | '.join(COLUMNS)} |", "|---|---|" + "---|" * len(COLUMNS)]
    for name in sorted(reports.keys() - set(FRAMEWORKS), key=str.lower):
        # What the oldest release was not seen to do is not claimed for it.
        seen = set.intersection(*reports[name].values())
        ticks = ("✓" if seen.intersection(kinds) else "" for kinds in COLUMNS.values())
        lines.append(f"| {name} | {versions(reports[name])} | {' | '.join(ticks)} |")
    return "\n".join(lines) + "\n"


def main(*arguments: str) -> str | None:
    """What is wrong, if something is."""
    *options, folder = arguments
    text = README.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    new = f"{before}{begin}\n{table(read(Path(folder)))}\n{end}{after}"
    if "--check" not in options:
        README.write_text(new, encoding="utf-8")
    elif new != text:
        return f"The table of the README is not what the tests have seen; `make support` writes it:\n\n{new}"
    return None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
