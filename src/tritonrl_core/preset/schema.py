"""The schema of a preset, with every default. Validates plain data; knows nothing of files.

`sft` and `grpo` are TRL's own fields, and options of plugins are the plugins' own: both stay plain mappings here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
)

from tritonrl_core.errors import PresetError
from tritonrl_core.preset.messages import Origins, describe_errors, nearest_origin

SCHEMA = 1
"""Version of this file format; raised when a key changes its meaning."""

SEE_BASELINE = "`tritonrl presets show baseline` has every key with its default."

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kKMGT]?)(i?)B")
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _byte_count(value: object) -> object:
    """`40GiB`, `500 MB` or a plain number, as bytes."""
    if not isinstance(value, str) or value == "auto":
        return _no_bool(value)
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise ValueError("must be auto or a size such as 40GiB")
    number, prefix, binary = match.groups()
    return int(float(number) * (1024 if binary else 1000) ** _POWERS[prefix.upper()])


Integer = Annotated[int, BeforeValidator(_no_bool)]
Number = Annotated[float, BeforeValidator(_no_bool)]
Auto = Literal["auto"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TaskSettings(_Section):
    """What to train on. `suite` is `auto` (the bundled model's own tasks, else the built-in suite), `builtin`, `none`,
    or a bundled model's name; `size` is the built-in suite's: `small` for an interpreter, `full` to fill a GPU.

    `paths` are folders, files or datasets in KernelBench form; `decontaminate` names suites whose computations are kept
    out of training.
    """

    suite: Annotated[str, Field(min_length=1)] = "auto"
    size: Literal["small", "full"] = "small"
    paths: tuple[str, ...] = ()
    decontaminate: tuple[str, ...] = ()


class VerifierSettings(_Section):
    """Where and how candidates are judged. `timeout_s` is the wall time of one stage of one candidate, in seconds.

    `gpu_memory` is a byte count (`40GiB` is read too); `gpus` are device indices. With `url`, training asks the service
    there (`tritonrl serve`) and everything else here describes what that one should be.
    """

    device: Literal["auto", "cpu", "cuda"] = "auto"
    target: Annotated[str, Field(pattern=r"^(auto|sm_[0-9]{2,3}[a-z]?)$")] = "auto"
    cpu_workers: Auto | Annotated[Integer, Field(ge=1)] = "auto"
    gpus: Auto | tuple[Annotated[Integer, Field(ge=0)], ...] = "auto"
    gpu_memory: Annotated[Auto | Annotated[int, Field(gt=0)], BeforeValidator(_byte_count)] = "auto"
    timeout_s: Annotated[Number, Field(gt=0)] = 30.0
    delegation: Literal["none", "layout_only", "reported"] = "layout_only"
    precision: Literal["ieee", "tf32", "half"] = "ieee"
    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+(/[^\s]*)?$")] | None = None


class SpeedReward(_Section):
    """How speedup becomes reward; see `tritonrl_core.reward.speed_reward`."""

    kind: Literal["capped", "milestones", "linear"] = "capped"
    cap: Annotated[Number, Field(gt=0)] = 3.0
    milestones: tuple[Annotated[Number, Field(gt=0)], ...] = (1.0, 1.5, 2.0, 3.0)
    bound: Literal["point", "low"] = "point"
    estimated: bool = False


class RewardSettings(_Section):
    """`alpha` weighs the plan's advantage (TritonRL, arXiv 2510.17891). The rest departs from it and is off by default:
    see `tritonrl_core.reward.CreditRules`.
    """

    alpha: Annotated[Number, Field(ge=0)] = 0.1
    speed: SpeedReward = SpeedReward()
    speed_from: Annotated[Number, Field(ge=0, le=1)] = 0.0
    merge_noise: bool = False
    uniform: bool = False


class TrainSettings(_Section):
    """`model`: a bundled model's name, a folder, or a name on the hub. `sft` and `grpo` are TRL's own fields.

    `lora` are the fields of peft's `LoraConfig`; null trains all weights.
    """

    model: Annotated[str, Field(min_length=1)] = "nano"
    lora: dict[str, Any] | None = None
    sft: dict[str, Any] = Field(default_factory=dict)
    grpo: dict[str, Any] = Field(default_factory=dict)


class EvalSettings(_Section):
    """What `tritonrl eval` and the figures before and after training are measured on."""

    suite: str = "auto"
    """A suite as in `tasks.suite`, `NAME:split` (default `held_out`), or a path as in `tasks.paths`."""
    samples: Annotated[Integer, Field(ge=1)] = 4
    every: Annotated[Integer, Field(ge=0)] = 0
    """Also after every so many steps of reinforcement; 0: only before and after."""


class PluginChoice(NamedTuple):
    """A plugin that the preset enables, with the options that differ from its defaults."""

    name: str
    options: dict[str, Any] = {}  # noqa: RUF012  (a NamedTuple's default; never changed)


class Preset(_Section):
    """A preset, resolved and checked. Immutable; make variants with `with_plugins` or `load_preset(overrides=…)`."""

    schema_version: int = Field(default=SCHEMA, alias="schema")
    name: Annotated[str, Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "unnamed"
    seed: Annotated[Integer, Field(ge=0, lt=2**32)] = 0
    tasks: TaskSettings = TaskSettings()
    levels: dict[int, Annotated[Number, Field(ge=0)]] = Field(default_factory=lambda: {1: 0.9, 2: 0.1})
    plugins: tuple[PluginChoice, ...] = ()
    owners: dict[str, str] = Field(default_factory=dict)
    on_hook_failure: Literal["infra", "abort"] = "infra"
    verifier: VerifierSettings = VerifierSettings()
    reward: RewardSettings = RewardSettings()
    train: TrainSettings = Field(default_factory=TrainSettings)
    eval: EvalSettings = EvalSettings()

    _origins: Origins = PrivateAttr(default_factory=dict)

    @field_validator("schema_version")
    @classmethod
    def _this_schema(cls, version: int) -> int:
        if version != SCHEMA:
            raise ValueError(f"this tritonrl-core reads schema {SCHEMA}; update tritonrl-core, or the preset")
        return version

    @field_validator("plugins", mode="before")
    @classmethod
    def _read_plugins(cls, value: object) -> object:
        return [PluginChoice(name, options) for name, options in plugin_entries(value).items()]

    @field_validator("levels")
    @classmethod
    def _some_level(cls, levels: dict[int, float]) -> dict[int, float]:
        if min(levels, default=1) < 1 or math.fsum(levels.values()) <= 0:
            raise ValueError("must map levels (1, 2, …) to weights, one of them above zero")
        return levels

    @classmethod
    def from_data(cls, data: Mapping[str, Any], *, origins: Origins | None = None, label: str = "preset") -> Self:
        """A preset from plain data without `extends`, as `dump` gives it. Raises `PresetError`."""
        try:
            preset = cls.model_validate(dict(data))
        except ValidationError as error:
            message, remedy = describe_errors(error, cls, origins or {}, label)
            raise PresetError(message, remedy=remedy or SEE_BASELINE) from None
        preset._origins = dict(origins or {})
        return preset

    def dump(self) -> dict[str, Any]:
        """The whole preset as plain data (fit for JSON, YAML and `from_data`)."""
        plugins = [{name: dict(options)} if options else name for name, options in self.plugins]
        return self.model_dump(by_alias=True, mode="json") | {"levels": dict(self.levels), "plugins": plugins}

    def __eq__(self, other: object) -> bool:
        """Equal in what it says, wherever it was said."""
        return isinstance(other, Preset) and self.dump() == other.dump()

    def to_yaml(self) -> str:
        """The whole preset as YAML that `load_preset` reads."""
        return yaml.safe_dump(self.dump(), sort_keys=False, allow_unicode=True, width=110)

    def with_plugins(self, *names: str, **options: Mapping[str, Any]) -> Self:
        """The same preset with plugins added in order: `with_plugins("multi_input", funnel={"compile": False})`.

        A plugin that is enabled already keeps its place; options given here are laid over its own.
        """
        chosen = {name: dict(own) for name, own in self.plugins}
        for name, own in [*((name, {}) for name in names), *options.items()]:
            chosen[name] = {**chosen.get(name, {}), **own}
        data = self.dump() | {"plugins": [{name: own} for name, own in chosen.items()]}
        return self.from_data(data, origins=self._origins, label=f"preset {self.name}")

    def where(self, *path: str | int) -> str:
        """Where a key was said (`file:line`), or what encloses it; "" where nothing is known."""
        return nearest_origin(self._origins, path)


def plugin_entries(value: object) -> dict[str, dict[str, Any]]:
    """The `plugins:` list as name → options, in order. Raises ValueError with what is wrong with an entry."""
    if not isinstance(value, list | tuple):
        raise ValueError("plugins is a list: one `- name` or `- name: {option: value}` a line")
    entries: dict[str, dict[str, Any]] = {}
    for entry in value:
        name, options = _plugin_entry(entry)
        if name in entries:
            raise ValueError(f"plugins lists {name!r} twice: keep one")
        entries[name] = options
    return entries


def _plugin_entry(entry: object) -> tuple[str, dict[str, Any]]:
    match entry:
        case str(name):
            return name, {}
        case PluginChoice(name=name, options=options):
            return name, dict(options)
        case dict() if len(entry) == 1:
            [(name, options)] = entry.items()
            options = {} if options is None else options
            if isinstance(name, str) and isinstance(options, dict) and all(isinstance(key, str) for key in options):
                return name, dict(options)
        case dict() if entry:
            names = ", ".join(map(str, entry))
            raise ValueError(f"an entry of plugins has several names ({names}); indent options below the plugin's name")
    raise ValueError(f"an entry of plugins is `name` or `name: {{option: value}}`, not {entry!r}")
