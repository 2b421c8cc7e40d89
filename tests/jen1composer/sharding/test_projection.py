"""The projection against its own formula, and the laws that it must keep."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jen1composer.sharding.chips import CHIPS
from jen1composer.sharding.projection import project

amounts = st.floats(0, 1e18)
of_slices = [chip for chip in CHIPS if chip.between_slices_bytes_per_s is not None]


@given(st.sampled_from(of_slices), amounts, amounts, amounts, amounts)
def test_best_and_worst(chip, flops, accessed, sent, between):
    found = project(
        chip,
        flops=flops,
        bytes_accessed=accessed,
        bytes_sent=sent,
        bytes_between_slices=between,
    )
    parts = dataclasses.astuple(found)
    assert found.best_s == max(parts)
    assert found.best_s <= found.worst_s <= 3 * found.best_s * (1 + 1e-12)
    assert getattr(found, f'{found.bound.replace(" ", "_")}_s') == found.best_s
    # No more than the peak at the best: MFU is at most one.
    assert flops <= found.best_s * chip.flops_per_s * (1 + 1e-12)


def project_a_second(chip, bytes_between_slices):
    return project(
        chip,
        flops=chip.flops_per_s,
        bytes_accessed=chip.memory_bytes_per_s,
        bytes_sent=chip.interconnect_bytes_per_s,
        bytes_between_slices=bytes_between_slices,
    )


@pytest.mark.parametrize('chip', CHIPS, ids=lambda chip: chip.name)
def test_a_second_of_each_peak_takes_a_second(chip):
    found = project_a_second(chip, 0.0)
    assert dataclasses.astuple(found) == pytest.approx((1, 1, 1, 0))
    assert found.worst_s == pytest.approx(2)


@pytest.mark.parametrize('chip', CHIPS, ids=lambda chip: chip.name)
def test_what_goes_between_slices_goes_at_their_speed_or_is_not_projected(chip):
    if chip not in of_slices:
        assert project_a_second(chip, 1.0) is None
        return
    assert chip.between_slices_bytes_per_s < chip.interconnect_bytes_per_s / 20
    found = project_a_second(chip, 2 * chip.between_slices_bytes_per_s)
    assert dataclasses.astuple(found) == pytest.approx((1, 1, 1, 2))
    assert (found.best_s, found.worst_s) == pytest.approx((2, 4))
    assert found.bound == 'between slices'
