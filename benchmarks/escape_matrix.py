"""The escape matrix: every attack of the sandbox's suite, on every tier, as root and as an ordinary user.

    python benchmarks/escape_matrix.py              # all columns; writes the tables into docs/sandbox.md
    python benchmarks/escape_matrix.py --print      # only print them

Where it is run decides what it shows: the machine's kernel is named in the table. Run as an ordinary user it leaves
root's columns out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COLUMN = ROOT / "plugins" / "tritonrl-plugin-sandbox" / "tests" / "escapes" / "column.py"
PAGE = ROOT / "docs" / "sandbox.md"
BEGIN, END = "<!-- matrix {name} -->", "<!-- end of matrix {name} -->"

TIERS = {
    "none": "layers off", "A": "A", "A1": "A, Landlock 1", "B": "B", "C5": "C, Landlock 5", "C1": "C, Landlock 1",
}  # fmt: skip

Results = Mapping[str, Mapping[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--print", action="store_true", help="print the tables, write nothing")
    parser.add_argument("--name", default="cpu", help="which table of the page: cpu or gpu")
    parser.add_argument("--only", default="", help="attacks whose name matches this pattern")
    parser.add_argument("--tiers", default=",".join(TIERS))
    chosen = parser.parse_args()
    users = ("same", "ordinary") if os.geteuid() == 0 else ("same",)
    columns = {}
    for user in users:
        for tier in chosen.tiers.split(","):
            label = f"{TIERS[tier]} ({'root' if user == 'same' and os.geteuid() == 0 else 'user'})"
            print(f"{label} …", file=sys.stderr, flush=True)
            results = run(tier, user, chosen.only)
            if results is None:
                print(f"{label}: not to be had on this host", file=sys.stderr)
            else:
                columns[label] = results
    text = tables(columns)
    print(text)
    if not chosen.print:
        write(text, chosen.name)


def run(tier: str, user: str, only: str) -> Results | None:
    """One column, in a process of its own; None where this host cannot stand for the tier."""
    done = subprocess.run(
        [sys.executable, str(COLUMN), "--tier", tier, "--user", user, "--only", only],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        sys.exit(f"the column {tier} failed:\n{done.stderr[-4000:]}")
    results: Results | None = json.loads(done.stdout).get("results")
    return results


def tables(columns: Mapping[str, Results]) -> str:
    """Both tables in Markdown: attacks that got through by class, and each of them by name with how it did."""
    names = list(next(iter(columns.values())))
    groups = list(dict.fromkeys(name.partition("/")[0] for name in names))
    rows = [["class", "cases", *columns]]
    for group in groups:
        members = [name for name in names if name.startswith(f"{group}/")]
        rows.append([group, str(len(members)), *(count(results, members) for results in columns.values())])
    rows.append(["**all**", f"**{len(names)}**", *(f"**{count(results, names)}**" for results in columns.values())])
    today = datetime.now(UTC).date().isoformat()
    head = (
        f"Linux {platform.release()}, {platform.machine()}, Python {platform.python_version()}, {today}. A cell: "
        "attacks that got through; after the plus, those that the tier does not promise to stop."
    )
    return "\n\n".join([head, markdown(rows), gaps(columns)])


def count(results: Results, names: Sequence[str]) -> str:
    """How many got through, and how many more of those that the tier does not promise to stop."""
    through = [results[name] for name in names if results[name]["escaped"]]
    expected = sum(unpromised(case) for case in through)
    return f"{len(through) - expected}" + (f" + {expected}" if expected else "")


def unpromised(case: Mapping[str, Any]) -> bool:
    tier = case["sandbox"][:1]
    return tier in "ABC" and tier != "" and tier not in case["promised"]


def gaps(columns: Mapping[str, Results]) -> str:
    """What got through in a tier, by name; and what could not be shown to work with the layers off."""
    lines = []
    for label, results in columns.items():
        if label.startswith(TIERS["none"]):
            idle = sorted(name for name, case in results.items() if not case["escaped"])
            lines.append(f"- {label}: {len(results) - len(idle)} of {len(results)} attacks work. Not shown here: "
                         f"{', '.join(f'`{name}`' for name in idle) or 'none'}.")  # fmt: skip
        else:
            through = [f"`{name}` ({'; '.join(case['escaped'])})" for name, case in results.items() if case["escaped"]]
            lines.append(f"- {label}: {', '.join(through) or 'nothing gets through'}.")
    return "\n".join(lines)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + " --- |" * len(rows[0]), *body])


def write(text: str, name: str) -> None:
    """Put the tables between the page's marks."""
    page = PAGE.read_text(encoding="utf-8")
    begin, end = BEGIN.format(name=name), END.format(name=name)
    before, _, rest = page.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        sys.exit(f"{PAGE} has no marks for the table {name!r}")
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
