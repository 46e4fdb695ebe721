"""The supervised cold start: golden solutions as prompt and completion, loss on the completion. TRL's SFTTrainer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tritonrl_core.errors import UsageError
from tritonrl_core.tasks.prompts import completion_text
from tritonrl_core.train.model import Policy
from tritonrl_core.types import Task

if TYPE_CHECKING:
    from peft import LoraConfig
    from trl import SFTConfig

    from tritonrl_core.tasks.golden import Golden

Row = dict[str, Any]


def sft_rows(policy: Policy, tasks: Iterable[Task], goldens: Iterable[Golden], delegation: str) -> list[Row]:
    """Prompt-completion pairs of the golden solutions whose tasks are among `tasks` (so none of a held-out task)."""
    known = {task.id: task for task in tasks}
    rows: list[Row] = []
    for golden in goldens:
        task = known.get(golden.task_id)
        if task is None:
            continue
        answer = completion_text(golden.plan, golden.code)
        completion = [{"role": "assistant", "content": answer}] if policy.chat else answer
        rows.append({"prompt": policy.prompt(task, delegation), "completion": completion})
    return rows


def train_sft(
    policy: Policy,
    rows: Sequence[Row],
    config: SFTConfig,
    callbacks: Sequence[Any],
    resume: Path | None = None,
    lora: LoraConfig | None = None,
) -> Any:
    """Fine-tune the policy in place (with `lora`, adapters beside its weights); the trainer, which has the model.

    Raises `UsageError` where there is nothing to learn from.
    """
    from datasets import Dataset
    from transformers import PrinterCallback
    from trl import SFTTrainer

    if not rows:
        raise UsageError(
            "There are no golden solutions for the tasks of this preset.",
            remedy="Use tasks.suite: builtin, or leave the cold start out with --stage rl.",
        )
    trainer = SFTTrainer(
        model=policy.model,
        args=config,
        train_dataset=Dataset.from_list(list(rows)),
        processing_class=policy.tokenizer,
        callbacks=list(callbacks),
        peft_config=lora,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    return trainer
