"""What strategies send is what is on record, so that a change that adds traffic is seen.

Where it is meant, `python -m tests.jen1composer.sharding.traffic_recording` renews the record.
"""

import json

import jax
import pytest

from jen1composer.sharding.strategies import STRATEGIES
from tests.jen1composer.sharding import traffic_recording

RECORDING = json.loads(traffic_recording.PATH.read_text())


@pytest.mark.skipif(
    RECORDING['jax'] != jax.__version__, reason=f'recorded with jax {RECORDING["jax"]}'
)
@pytest.mark.parametrize('name', STRATEGIES)
def test_a_strategy_sends_what_is_on_record(name):
    assert traffic_recording.sent_by(name) == RECORDING['sent'][name]


def test_every_strategy_is_on_record():
    assert list(RECORDING['sent']) == list(STRATEGIES)
