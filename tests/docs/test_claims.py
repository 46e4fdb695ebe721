"""What the README claims, held to the rows that it points to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import fmean

ROOT = Path(__file__).parents[2]


def rows_below(page: str, heading: str) -> list[list[str]]:
    """The rows of the table below a heading."""
    text = (ROOT / page).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


CLAIMS, SHORT = rows_below("README.md", "What is measured"), rows_below("docs/benchmarks.md", "In short")


def figure(words: str) -> tuple[str, str]:
    """The claim of the page of benchmarks that begins so, and its figure."""
    (row,) = [row for row in SHORT if row[0].startswith(words)]
    return row[0], row[1]


def rows_of(name: str) -> list[list[str]]:
    """The rows of a result that docs/benchmarks.md shows."""
    return list(json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())["rows"])


def last_row(name: str) -> dict[str, object]:
    """The last row of a result, by column."""
    head = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())["columns"]
    return dict(zip(head, rows_of(name)[-1], strict=True))


def share(text: object) -> float:
    """`63.3 % (54.7–71.5)` → 63.3."""
    return float(str(text).split(" ")[0])


def test_every_claim_leads_to_a_heading_that_is_there() -> None:
    assert len(CLAIMS) > 4
    for folder, cell in [(ROOT, row[-1]) for row in CLAIMS] + [(ROOT / "docs", row[-1]) for row in SHORT]:
        page, _, anchor = re.findall(r"\]\(([^)]+)\)", cell)[0].partition("#")
        text = (folder / (page or "benchmarks.md")).read_text()
        headings = {re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")
                    for line in text.splitlines() if line.startswith("#")}  # fmt: skip
        assert not anchor or anchor in headings, cell


def test_readme_and_page_say_the_same() -> None:
    short = {row[0]: row[1] for row in SHORT}
    for claim, said, _ in CLAIMS:
        assert short[claim] == said


def test_cheats() -> None:
    matrix = (ROOT / "docs" / "integrity.md").read_text().partition("<!-- matrix cuda -->")[2]
    kinds, cheats = re.findall(r"^\| `all_extensions` \| (\d+ of \d+) \| (\d+ of \d+) \|", matrix, re.MULTILINE)[0]
    (caught, total), (caught_kinds, all_kinds) = cheats.split(" of "), kinds.split(" of ")
    claim, said = figure("cheats that earned a reward")
    assert f"of {total} in {all_kinds} kinds" in claim
    assert said == "none"
    assert (caught, caught_kinds) == (total, all_kinds)


def test_wrong_kernels() -> None:
    tables = {"wrong kernels that passed": "mutants-cuda-kind", "the same without a GPU; K": "mutants-cpu-kind"}
    for words, name in tables.items():
        scored, ours, theirs = (
            int(str(last_row(name)[key]).split(" ")[0]) for key in ("scored", "multi_input", "kernelbench")
        )
        claim, said = figure(words)
        assert f"of {scored} made" in claim or claim.startswith("the same")
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


def test_the_small_model_by_the_clock() -> None:
    (before, after) = next(row[1:] for row in rows_of("nano-cuda") if row[0] == "fast_1")
    assert figure("its kernels that are right")[1] == f"{share(before):.0f} % → {share(after):.0f} %"


def test_without_a_gpu() -> None:
    assert figure("the same without a GPU on two cores")[1] == str(last_row("verify-cpu")["candidates a second"])


def test_full_size() -> None:
    last = last_row("full-size-full")
    claim, said = figure("seconds to judge a task at full size")
    assert claim.endswith(f"of {last['passed']}")
    assert said == f"{float(str(last['median s'])):.2f}, {float(str(last['slowest s'])):.2f}"


def test_two_gpus() -> None:
    two = next(row for row in rows_of("fleet") if row[:4] == [2, 32, 1, "processes"])
    assert float(figure("rate of two GPUs")[1]) == float(two[5])


def test_five_inputs_and_the_funnel() -> None:
    ratios = [float(rows_of(f"multi-input-cost-{device}")[-1][1]) for device in ("cuda", "cpu")]
    assert figure("time that five inputs take")[1] == "; ".join(f"{ratio:.1f}" for ratio in ratios)
    gains = [float(rows_of(f"funnel-gain-{device}-nano")[0][4]) for device in ("cuda", "cpu")]
    assert figure("verdicts a second of what a young model writes")[1] == "; ".join(f"{gain:.1f}" for gain in gains)


def test_estimates() -> None:
    last = rows_of("estimate-agreement")[-1]
    assert figure("rank correlation")[1] == ", ".join(f"{float(value):.2f}" for value in last[2:4])


def test_the_share_of_verification() -> None:
    steps = rows_of("step-split")[1:]  # without the first, with its warm-up
    whole, verification = (sum(float(row[column]) for row in steps) for column in (1, 3))
    assert figure("share of a training step")[1] == f"{100 * verification / whole:.0f} %"
