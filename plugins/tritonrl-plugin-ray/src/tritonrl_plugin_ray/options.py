"""What a preset may say of the cluster."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tritonrl_core.plugin import PluginOptions

Count = Annotated[int, Field(ge=0)]


class RayOptions(PluginOptions):
    """`hosts` have programs: one for each GPU, or on a cluster without GPUs one for each `cpus` CPUs. `preparers`
    record and compile for hosts with a GPU, one for each `cpus` CPUs that are left; 0: hosts do that themselves.
    `gpu` is Ray's name (`accelerator_type`) of the GPUs to use, where the cluster has several kinds.
    """

    address: str = "auto"
    hosts: Count | None = None
    preparers: Count | None = None
    cpus: Annotated[int, Field(ge=1)] = 8
    gpu: str | None = None
    patience_s: Annotated[float, Field(gt=0)] = 600.0
