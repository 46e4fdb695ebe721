"""What the README claims, held to the rows that it points to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import fmean

ROOT = Path(__file__).parents[2]
CLAIMS = (ROOT / "README.md").read_text().partition("## What is measured")[2].partition("\n## ")[0]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in CLAIMS.splitlines() if line.startswith("| ")]


def figure(words: str) -> tuple[str, str]:
    """The claim that begins so, and its figure."""
    (row,) = [row for row in ROWS if row[0].startswith(words)]
    return row[0], row[1]


def rows_of(name: str) -> list[list[str]]:
    """The rows of a result that docs/benchmarks.md shows."""
    return list(json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())["rows"])


def share(text: object) -> float:
    """`63.3 % (54.7–71.5)` → 63.3."""
    return float(str(text).split(" ")[0])


def test_every_claim_leads_to_a_heading_that_is_there() -> None:
    assert len(ROWS) > 6
    for row in ROWS[2:]:
        page, _, anchor = re.findall(r"\]\(([^)]+)\)", row[2])[0].partition("#")
        text = (ROOT / page).read_text()
        headings = {re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")
                    for line in text.splitlines() if line.startswith("#")}  # fmt: skip
        assert not anchor or anchor in headings, row[2]


def test_cheats() -> None:
    matrix = (ROOT / "docs" / "integrity.md").read_text().partition("<!-- matrix cuda -->")[2]
    kinds, cheats = re.findall(r"^\| `all_extensions` \| (\d+ of \d+) \| (\d+ of \d+) \|", matrix, re.MULTILINE)[0]
    (caught, total), (caught_kinds, all_kinds) = cheats.split(" of "), kinds.split(" of ")
    claim, said = figure("cheats that earned a reward")
    assert f"of {total} in {all_kinds} kinds" in claim
    assert said == "none"
    assert (caught, caught_kinds) == (total, all_kinds)


def test_wrong_kernels() -> None:
    head = json.loads((ROOT / "benchmarks" / "results" / "mutants-cuda-kind.json").read_text())["columns"]
    last = dict(zip(head, rows_of("mutants-cuda-kind")[-1], strict=True))
    scored, ours, theirs = (int(str(last[name]).split(" ")[0]) for name in ("scored", "multi_input", "kernelbench"))
    claim, said = figure("wrong kernels that passed")
    assert f"of {scored} made" in claim
    assert f"KernelBench's criterion passes {scored - theirs}" in claim
    assert int(said) == scored - ours


def test_right_kernels() -> None:
    last = [rows_of(f"golden-refusals-cuda-full-{level}")[-1] for level in ("l1", "l2")]
    claim, said = figure("right kernels refused")
    assert f"of {sum(int(row[1]) for row in last):,} runs" in claim
    assert said == "none"
    assert sum(int(row[2]) for row in last) == 0


def test_the_rate() -> None:
    found = {row[0]: row[1] for row in rows_of("throughput")}
    claim, said = figure("candidates a second")
    assert float(said) == round(float(found["candidates per s"]), 1)
    assert f"with {found['cores']} cores" in claim
    assert found["statuses"] == f"{found['candidates']} PASSED"


def test_the_small_model() -> None:
    before, after = (fmean(share(row[column]) for row in rows_of("nano-gain")) for column in (2, 3))
    assert figure("the small model on held-out tasks")[1] == f"{before:.0f} % → {after:.0f} %"
