"""How long a step should take on a chip, from its published peaks: a projection, not a measurement.

With the operations F, the bytes read and written M, the bytes sent inside a slice S and those sent
between slices D, of a device and step, and the chip's peaks f, m, s, d,

(1) compute         F / f
(2) memory          M / m
(3) communication   S / s
(4) between slices  D / d
(5) at the best     max of (1) to (4):              all of them at once
(6) at the worst    max of (1), (2), plus (3), (4): nothing is sent while anything is computed

A real step lies above (5), because no program reaches a peak, and commonly below (6), because
compilers send while they compute. M is what XLA counts of each instruction after fusion; what stays
on the chip between two of them is in it nevertheless.
"""

import dataclasses

from jen1composer.sharding.chips import Chip

FORMULA = (
    'best = max(F / f, M / m, S / s, D / d), worst = max(F / f, M / m) + S / s + D / d, with F '
    'operations, M bytes read and written, S bytes sent inside a slice and D between slices by a '
    'device in a step, and f, m, s, d the published peaks of the chip'
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Projection:
    """Seconds a step, (1) to (6)."""

    compute_s: float
    memory_s: float
    communication_s: float
    between_slices_s: float

    @property
    def best_s(self) -> float:
        return max(dataclasses.astuple(self))

    @property
    def worst_s(self) -> float:
        return max(self.compute_s, self.memory_s) + self.communication_s + self.between_slices_s

    @property
    def bound(self) -> str:
        """What takes longest."""
        times = dataclasses.asdict(self)
        longest = max(times, key=lambda name: times[name])
        return longest.removesuffix('_s').replace('_', ' ')


def project(
    chip: Chip,
    *,
    flops: float,
    bytes_accessed: float,
    bytes_sent: float,
    bytes_between_slices: float = 0.0,
) -> Projection | None:
    """Of one device and step; `bytes_sent` are those inside a slice.

    None where bytes are sent between slices and it is not known how fast.
    """
    between = chip.between_slices_bytes_per_s
    if bytes_between_slices and between is None:
        return None
    return Projection(
        compute_s=flops / chip.flops_per_s,
        memory_s=bytes_accessed / chip.memory_bytes_per_s,
        communication_s=bytes_sent / chip.interconnect_bytes_per_s,
        between_slices_s=bytes_between_slices / between if between else 0.0,
    )
