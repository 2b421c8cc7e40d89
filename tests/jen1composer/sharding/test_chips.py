"""Peaks of chips: each name finds one chip, and a name that only looks like one finds none."""

import re

import pytest

from jen1composer.sharding.chips import CHIPS, find_chip, utilization


@pytest.mark.parametrize(
    ('device_kind', 'name'),
    [
        ('TPU v4', 'TPU v4'),
        ('TPU v5 lite', 'TPU v5e'),
        ('TPU v5e', 'TPU v5e'),
        ('TPU v5', 'TPU v5p'),
        ('TPU v5p', 'TPU v5p'),
        ('TPU v6 lite', 'TPU v6e'),
        ('NVIDIA A100-SXM4-40GB', 'A100 40GB'),
        ('NVIDIA A100-SXM4-80GB', 'A100 80GB'),
        ('NVIDIA H100 80GB HBM3', 'H100 SXM'),
        ('NVIDIA H200', 'H200 SXM'),
    ],
)
def test_a_chip_is_found_by_the_name_jax_has_for_it(device_kind, name):
    assert find_chip(device_kind).name == name
    assert sum(re.fullmatch(chip.device_kind, device_kind) is not None for chip in CHIPS) == 1


@pytest.mark.parametrize('device_kind', ['cpu', 'TPU v4 lite', 'TPU v7', 'NVIDIA H100 PCIe', ''])
def test_another_chip_has_no_peak(device_kind):
    assert find_chip(device_kind) is None
    assert utilization(1e12, device_kind) is None


def test_utilization_is_a_share_of_dense_operations():
    assert utilization(197e12, 'TPU v5 lite') == 1
    # What the sheet prints for an H100, 1979, is of matrices half of which are zeros.
    assert utilization(1979e12, 'NVIDIA H100 80GB HBM3') == 2


def test_every_chip_is_fed_more_slowly_by_its_links_than_by_its_memory():
    """Units that got mixed up (bits, GiB, TFLOP/s) would break the order."""
    for chip in CHIPS:
        assert chip.interconnect_bytes_per_s < chip.memory_bytes_per_s < chip.flops_per_s / 100
        assert 0.005 < chip.memory_bytes / chip.memory_bytes_per_s < 0.05
