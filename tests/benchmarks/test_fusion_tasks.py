"""The table of what generating tasks took."""

from argparse import Namespace

import fusion_tasks

FIGURES = {"tasks": 1000, "patterns": 16, "tally": "1,334 draws", "wall_s": 49.9, "cpu_s": 50.0, "digest": "222a",
           "rss_mib": [300, 427, 430, 435, 440]}  # fmt: skip


def test_memory_is_shown_after_a_quarter_of_the_time_and_at_the_end():
    rows = dict(fusion_tasks.table(FIGURES, Namespace(count=1000, seed=0)).rows)
    assert rows["resident MiB after a quarter of the time, and at the end"] == "427, 440"
    assert rows["tasks, of patterns"] == "1,000, 16"
    assert rows["seconds, and of CPU"] == "49.9, 50.0"
