"""The projection against its own formula, and the laws that it must keep."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jen1composer.sharding.chips import CHIPS
from jen1composer.sharding.projection import project

amounts = st.floats(0, 1e18)


@given(st.sampled_from(CHIPS), amounts, amounts, amounts)
def test_best_and_worst(chip, flops, accessed, sent):
    found = project(chip, flops=flops, bytes_accessed=accessed, bytes_sent=sent)
    parts = dataclasses.astuple(found)
    assert found.best_s == max(parts)
    assert found.best_s <= found.worst_s <= 2 * found.best_s * (1 + 1e-12)
    assert getattr(found, f'{found.bound}_s') == found.best_s
    # No more than the peak at the best: MFU is at most one.
    assert flops <= found.best_s * chip.flops_per_s * (1 + 1e-12)


@pytest.mark.parametrize('chip', CHIPS, ids=lambda chip: chip.name)
def test_a_second_of_each_peak_takes_a_second(chip):
    found = project(
        chip,
        flops=chip.flops_per_s,
        bytes_accessed=chip.memory_bytes_per_s,
        bytes_sent=chip.interconnect_bytes_per_s,
    )
    assert dataclasses.astuple(found) == pytest.approx((1, 1, 1))
    assert found.worst_s == pytest.approx(2)
