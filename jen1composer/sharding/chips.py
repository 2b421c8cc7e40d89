"""What chips are published to do at most, by the name that JAX has for them.

Conventions:

(1) Operations a second are those of dense bfloat16 matrices, a multiplication and an addition
    counted as two. NVIDIA's sheets print twice as many, of matrices half of which are zeros.
(2) Memory is in GiB where the makers write GB: it comes in powers of two. What a program may have
    of it is some hundredths less.
(3) The interconnect is what a chip sends at most over all its links to its neighbours, in one
    direction; the makers' sum of both directions is twice that. NVLink and ICI, not the network
    between hosts or slices.
(4) The network between slices is a chip's share of what a pod of v5e (6.4 Tbit/s) or v6e (25.6)
    has for its 256 chips, and of the 200 Gbit/s of a machine of v5p for its four; None where it is
    not published.
(5) A device of JAX is a chip: both cores of a TPU v4 or v5p are one device.

A chip that is not in the table has no peak, and nothing is divided by a guess.

Sources; the links of a TPU v4, six of 50 GB/s, are from its paper (arXiv:2304.01433):
https://docs.cloud.google.com/tpu/docs/v4
https://docs.cloud.google.com/tpu/docs/v5e
https://docs.cloud.google.com/tpu/docs/v5p
https://docs.cloud.google.com/tpu/docs/v6e
https://jax-ml.github.io/scaling-book/tpus (between slices: the same three figures, in bytes)
https://www.nvidia.com/en-us/data-center/a100/
https://www.nvidia.com/en-us/data-center/h100/
https://www.nvidia.com/en-us/data-center/h200/
"""

import dataclasses
import re

GIB = 2**30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chip:
    """Published peaks of one chip, by the conventions above."""

    name: str
    device_kind: str  # regular expression that the whole of `device.device_kind` matches
    flops_per_s: float
    memory_bytes: int
    memory_bytes_per_s: float
    interconnect_bytes_per_s: float
    between_slices_bytes_per_s: float | None


def _chip(
    name: str,
    device_kind: str,
    tflops: float,
    gib: int,
    gb_per_s: float,
    links_gb_per_s: float,
    slices_gb_per_s: float | None = None,
) -> Chip:
    return Chip(
        name=name,
        device_kind=device_kind,
        flops_per_s=tflops * 1e12,
        memory_bytes=gib * GIB,
        memory_bytes_per_s=gb_per_s * 1e9,
        interconnect_bytes_per_s=links_gb_per_s * 1e9,
        between_slices_bytes_per_s=None if slices_gb_per_s is None else slices_gb_per_s * 1e9,
    )


CHIPS = (
    #     name             device_kind               TFLOP/s  GiB  memory GB/s  links GB/s  slices
    _chip('TPU v4',        r'TPU v4',                  275,    32,   1200,        300),
    _chip('TPU v5e',       r'TPU v5( lite|e)',         197,    16,    819,        200,      3.125),
    _chip('TPU v5p',       r'TPU v5p?',                459,    95,   2765,        600,      6.25),
    _chip('TPU v6e',       r'TPU v6( lite|e)',         918,    32,   1640,        400,      12.5),
    _chip('A100 40GB',     r'NVIDIA A100-SXM4-40GB',   312,    40,   1555,        300),
    _chip('A100 80GB',     r'NVIDIA A100-SXM4-80GB',   312,    80,   2039,        300),
    _chip('H100 SXM',      r'NVIDIA H100 80GB HBM3',   989.5,  80,   3350,        450),
    _chip('H200 SXM',      r'NVIDIA H200',             989.5, 141,   4800,        450),
)  # fmt: skip


def find_chip(device_kind: str) -> Chip | None:
    """The chip that JAX calls `device_kind`; None where its peaks are not known here."""
    for chip in CHIPS:
        if re.fullmatch(chip.device_kind, device_kind):
            return chip
    return None


def utilization(flops_per_s: float, device_kind: str) -> float | None:
    """The share of its peak that a device reaches (MFU); None where the chip is not known."""
    chip = find_chip(device_kind)
    return None if chip is None else flops_per_s / chip.flops_per_s
