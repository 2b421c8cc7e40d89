"""The order: each example once, whatever batches and hosts a run has had."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.order import Order, Segment, begun, read_segments, resumed
from jen1composer.errors import BadInput


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from((4, 8, 12))), min_size=1, max_size=6),
    st.sampled_from((1, 2, 4)),
)
def test_steps_take_the_examples_in_order_and_leave_none_out(changes, hosts):
    """`changes`: after so many more steps, another batch."""
    (_, batch), *later = changes
    segments, step = begun(batch), 0
    taken = [batch]  # by each step, to the first of the newest batch
    for more, batch in later:
        step += more
        segments = resumed(segments, step, batch)
        taken = [*(taken + [taken[-1]] * step)[:step], batch]
    orders = [
        Order(seed=0, segments=segments, total_steps=step + 3, host=host, hosts=hosts)
        for host in range(hosts)
    ]
    together = [i for s in range(step + 3) for order in orders for i in order.indices(s)]
    assert together == list(range(sum(taken[:step]) + 3 * taken[-1]))
    assert orders[0].first_index(step + 3) == len(together)
    for s in range(step + 3):
        assert {order.step_of(i) for order in orders for i in order.indices(s)} == {s}
    assert read_segments(orders[0].to_json()) == segments


def test_a_run_that_goes_on_with_the_same_batch_has_no_new_segment():
    segments = resumed(begun(8), 100, 4)
    assert segments == (Segment(0, 8, 0), Segment(100, 4, 800))
    assert resumed(segments, 150, 4) == segments
    assert resumed(segments, 150, 8) == (*segments, Segment(150, 8, 1000))
    assert resumed(segments, 100, 2) == (Segment(0, 8, 0), Segment(100, 2, 800))
    assert resumed(segments, 60, 8) == begun(8)  # an older checkpoint, before the change


def test_a_batch_that_hosts_cannot_share_and_too_many_examples_are_refused():
    with pytest.raises(BadInput, match='batch: 8; allowed are multiples of 3 hosts'):
        Order(seed=0, segments=begun(8), total_steps=1, hosts=3)
    with pytest.raises(BadInput, match='total_steps'):
        Order(seed=0, segments=begun(2**20), total_steps=2**13)
    with pytest.raises(BadInput, match='batch: 0; allowed is 1 or more'):
        Order(seed=0, segments=begun(0), total_steps=1)
    with pytest.raises(BadInput, match='seed: -1; allowed are 0 to 2147483647'):
        Order(seed=-1, segments=begun(1), total_steps=1)
