"""A run's folder: the resolved preset, the plugin lock, every score and every figure, checkpoints.

    runs/<preset>-<time>/
        preset.resolved.yaml  plugins.lock.json   what was run
        scores.jsonl  metrics.jsonl               append-only, one JSON object a line
        tensorboard/  checkpoints/<stage>/        events · checkpoint-<step>/

Each line is one `write`, so a killed process leaves at most one torn line at the end, which the next opening takes
away. What was written is safe from a kill at once and from a power cut at each `sync`. Lines are never changed: a
resumed run appends a marker which says that what came after its checkpoint is superseded.
"""

from tritonrl_core.runs.folder import (
    EVAL_FILE,
    LOCK_FILE,
    METRICS_FILE,
    PRESET_FILE,
    SCORES_FILE,
    Run,
    RunPaths,
    began_as,
    installed_versions,
    new_run_folder,
    read_metrics,
    read_run,
    read_scores,
    verification_key,
)
from tritonrl_core.runs.journal import Journal, read_journal
from tritonrl_core.runs.rows import plain, score_from_data, score_to_data

__all__ = [
    "EVAL_FILE",
    "LOCK_FILE",
    "METRICS_FILE",
    "PRESET_FILE",
    "SCORES_FILE",
    "Journal",
    "Run",
    "RunPaths",
    "began_as",
    "installed_versions",
    "new_run_folder",
    "plain",
    "read_journal",
    "read_metrics",
    "read_run",
    "read_scores",
    "score_from_data",
    "score_to_data",
    "verification_key",
]
