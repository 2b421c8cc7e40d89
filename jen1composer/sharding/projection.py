"""How long a step should take on a chip, from its published peaks: a projection, not a measurement.

With the operations F, the bytes read and written M, and the bytes sent S, of a device and step, and
the chip's peaks f, m, s,

(1) compute         F / f
(2) memory          M / m
(3) communication   S / s
(4) at the best     max of (1), (2), (3):     all three at once
(5) at the worst    max of (1), (2), plus (3): nothing is sent while anything is computed

A real step lies above (4), because no program reaches a peak, and commonly below (5), because
compilers send while they compute. M is what XLA counts of each instruction after fusion; what stays
on the chip between two of them is in it nevertheless.
"""

import dataclasses

from jen1composer.sharding.chips import Chip

FORMULA = (
    'best = max(F / f, M / m, S / s), worst = max(F / f, M / m) + S / s, with F operations, M '
    'bytes read and written and S bytes sent by a device in a step, and f, m, s the published '
    'peaks of the chip'
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Projection:
    """Seconds a step, (1) to (5)."""

    compute_s: float
    memory_s: float
    communication_s: float

    @property
    def best_s(self) -> float:
        return max(self.compute_s, self.memory_s, self.communication_s)

    @property
    def worst_s(self) -> float:
        return max(self.compute_s, self.memory_s) + self.communication_s

    @property
    def bound(self) -> str:
        """What takes longest."""
        times = {
            'compute': self.compute_s,
            'memory': self.memory_s,
            'communication': self.communication_s,
        }
        return max(times, key=lambda name: times[name])


def project(chip: Chip, *, flops: float, bytes_accessed: float, bytes_sent: float) -> Projection:
    """Of one device and step; bytes sent are those between neighbours, not between slices."""
    return Projection(
        compute_s=flops / chip.flops_per_s,
        memory_s=bytes_accessed / chip.memory_bytes_per_s,
        communication_s=bytes_sent / chip.interconnect_bytes_per_s,
    )
