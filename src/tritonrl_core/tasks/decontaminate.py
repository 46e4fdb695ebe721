"""What a task computes, as a key, by which training keeps out what is tested on (`curate`).

Same means the same canonical graph (`graph.graph_key`): up to names, shapes and constants.
"""

from __future__ import annotations

import ast
import logging

from tritonrl_core.errors import TaskError
from tritonrl_core.syntax import parse
from tritonrl_core.tasks.memo import Memo
from tritonrl_core.types import Task, content_key

log = logging.getLogger(__name__)


def computation_key(task: Task, memo: Memo) -> str:
    """The key of the task's graph; of its text, without layout and comments, where it cannot be traced."""
    return str(memo.recall(task.key, lambda: _find_out(task)))


def _find_out(task: Task) -> str:
    from tritonrl_core.tasks.graph import graph_key

    try:
        return graph_key(task)
    except TaskError as error:
        log.info("%s is compared by its text: %s", task.id, error.message)
        return content_key("text", ast.dump(parse(task.source)))
