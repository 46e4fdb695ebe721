"""The tasks that are shipped beside the weights are what the recipe makes, to the byte."""

from __future__ import annotations

import pytest
from tritonrl_nano.recipe.suite import COUNTS, FOLDER, suite_text

from tritonrl_core.tasks.loaders import load_tasks


@pytest.mark.parametrize("split", COUNTS)
def test_the_shipped_tasks_are_the_recipes(split: str) -> None:
    path = FOLDER / f"{split}.jsonl"
    assert path.read_text(encoding="utf-8") == suite_text(split)
    assert len(load_tasks(path)) == COUNTS[split]
