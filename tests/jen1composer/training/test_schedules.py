"""Learning rates by their closed forms, at every step."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.errors import BadInput
from jen1composer.training.optimizer import OptimizerConfig, learning_rate
from jen1composer.training.schedules import SCHEDULES, make_learning_rate

PEAK, TOTAL, WARMUP, FLOOR, SHARE = 3.0, 60, 10, 0.2, 0.3
CONFIG = OptimizerConfig(
    peak_learning_rate=PEAK,
    total_steps=TOTAL,
    warmup_steps=WARMUP,
    floor=FLOOR,
    decay_share=SHARE,
    stage_steps=(15, 5, 40),
)


def expected(name: str, step: int, warmup: int = WARMUP) -> float:
    if step < warmup:
        return PEAK * step / warmup
    u = min(1, (step - warmup) / (TOTAL - warmup))
    return (
        PEAK
        * {
            'linear': 1 - (1 - FLOOR) * u,
            'cosine': FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * u)) / 2,
            'constant': 1.0,
            'warmup_stable_decay': 1 - (1 - FLOOR) * max(0, (u - (1 - SHARE)) / SHARE),
            'inverse_sqrt': math.sqrt(max(1, warmup) / max(step, warmup, 1)),
        }[name]
    )


@pytest.mark.parametrize('warmup', [0, WARMUP])
@pytest.mark.parametrize('name', SCHEDULES)
def test_each_is_its_formula(name, warmup):
    rate = make_learning_rate(
        name, peak=PEAK, total_steps=TOTAL, warmup_steps=warmup, floor=FLOOR, decay_share=SHARE
    )
    found = jax.jit(rate)(jnp.arange(TOTAL + 20))
    closed = [expected(name, step, warmup) for step in range(TOTAL + 20)]
    np.testing.assert_allclose(found, closed, rtol=2e-6)


def test_linear_is_what_a_config_has_that_says_nothing():
    found = learning_rate(CONFIG)(jnp.arange(TOTAL))
    np.testing.assert_allclose(found, [expected('linear', s) for s in range(TOTAL)], rtol=2e-6)


@pytest.mark.parametrize('name', SCHEDULES)
def test_a_stage_multiplies_the_rate_in_all_its_steps_and_the_last_one_after_them(name):
    factors = (1.0, 0.0, 0.5)
    rate = learning_rate(dataclasses.replace(CONFIG, schedule=name, stage_rates=factors))
    stages = [0] * 15 + [1] * 5 + [2] * 60
    closed = [factors[stage] * expected(name, step) for step, stage in enumerate(stages)]
    np.testing.assert_allclose(jax.jit(rate)(jnp.arange(80)), closed, rtol=2e-6)


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'schedule': 'step'}, r"optimizer.schedule: 'step'; allowed are linear, cosine"),
        ({'decay_share': 0.0}, r'optimizer.decay_share: 0.0; allowed is more than 0, up to 1'),
        ({'stage_rates': (1.0,)}, r'optimizer.stage_rates: \(1.0,\); allowed are none or 3'),
        ({'stage_rates': (1.0, -1.0, 1.0)}, r'allowed are none or 3, one for each stage, of 0'),
    ],
)
def test_what_makes_no_schedule_is_refused(changes, said):
    with pytest.raises(BadInput, match=said):
        dataclasses.replace(CONFIG, **changes)
