"""Makes the model folder without weights: `python -m tritonrl_nano.blank FOLDER`.

The tokenizer is trained on the core's golden solutions. Whoever loads the folder gets random weights (tritonrl says
so).
"""

from __future__ import annotations

import sys
from pathlib import Path

from tritonrl_nano.architecture import llama_config
from tritonrl_nano.tokenizer import train_tokenizer


def corpus() -> list[str]:
    """Prompt and completion of every golden solution of the train split."""
    from tritonrl_core.tasks.golden import golden_solutions
    from tritonrl_core.tasks.prompts import compact_prompt, completion_text
    from tritonrl_core.tasks.suite import builtin_tasks

    tasks = {task.id: task for task in builtin_tasks("train")}
    pairs = [(tasks[g.task_id], g) for g in golden_solutions() if g.task_id in tasks]
    return [text for task, g in pairs for text in (compact_prompt(task), completion_text(g.plan, g.code))]


def make_blank(folder: Path) -> None:
    """Write configuration and tokenizer, no weights."""
    tokenizer = train_tokenizer(corpus())
    tokenizer.save_pretrained(folder)
    llama_config(len(tokenizer)).save_pretrained(folder)


if __name__ == "__main__":
    make_blank(Path(sys.argv[1]))
