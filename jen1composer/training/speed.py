"""How fast a step is, in the units in which models and chips are compared.

(1) TFLOP/s a device = FLOPs of a step / (seconds x devices x 1e12)
(2) MFU = (1) / peak of the chip

FLOPs are those that the model asks for: what rematerialisation computes a second time is not among
them. They are counted by a formula, whose version stands beside each figure.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

from jen1composer.sharding.chips import utilization


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flops:
    """Operations of one training step on the global batch, by version `version` of a formula."""

    per_step: int
    version: int


def speed(flops: Flops, step_s: float, devices: int, device_kind: str) -> Mapping[str, Any]:
    """(1) and, of a known chip, (2), as values of a row of metrics."""
    per_device = flops.per_step / (max(step_s, 1e-9) * devices)
    values = {'tflops_per_device': per_device / 1e12, 'flops_version': flops.version}
    share = utilization(per_device, device_kind)
    return values if share is None else {**values, 'mfu': share}


def speed_here(flops: Flops | None, mesh: jax.sharding.Mesh, step_s: float) -> Mapping[str, Any]:
    """`speed` on the devices of a mesh; nothing where the operations are not known."""
    if flops is None:
        return {}
    return speed(flops, step_s, mesh.size, mesh.devices.flat[0].device_kind)
