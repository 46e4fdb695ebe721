"""Presets: what a run is to do, as one YAML file. See docs/presets.md for what each key means.

Knows files and plain data; what a plugin's options may be, and what TRL's are, is checked where they are used (the
session, the trainer).
"""

from tritonrl_core.preset.load import load_preset
from tritonrl_core.preset.schema import (
    EvalSettings,
    PluginChoice,
    Preset,
    RewardSettings,
    SpeedReward,
    TaskSettings,
    TrainSettings,
    VerifierSettings,
)
from tritonrl_core.preset.sources import available_presets

__all__ = [
    "EvalSettings",
    "PluginChoice",
    "Preset",
    "RewardSettings",
    "SpeedReward",
    "TaskSettings",
    "TrainSettings",
    "VerifierSettings",
    "available_presets",
    "load_preset",
]
