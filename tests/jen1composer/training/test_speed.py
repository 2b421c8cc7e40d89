"""TFLOP/s and MFU by hand."""

import pytest

from jen1composer.training.speed import Flops, speed

FLOPS = Flops(per_step=4 * 459_000_000_000_000, version=7)


def test_a_known_chip_is_compared_with_its_peak():
    values = speed(FLOPS, 2.0, 4, 'TPU v5p')
    assert values == pytest.approx({'tflops_per_device': 229.5, 'mfu': 0.5, 'flops_version': 7})


def test_of_another_one_only_the_speed_is_told():
    assert set(speed(FLOPS, 2.0, 4, 'cpu')) == {'tflops_per_device', 'flops_version'}
