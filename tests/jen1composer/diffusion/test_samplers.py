"""Sampling: the times that are walked through, and the noise that is handed on."""

import jax.numpy as jnp
import numpy as np

from jen1composer.diffusion.samplers import sample, time_grid
from jen1composer.diffusion.schedule import CosineSchedule
from jen1composer.diffusion.solvers import DDPM


def test_time_grid_falls_from_t_max_to_zero_on_targets_only():
    grid = time_grid(jnp.array([[0, 1, 2, 0]]), 4, t_max=0.8)
    np.testing.assert_allclose(grid[:, 0, 0], [0.8, 0.6, 0.4, 0.2, 0.0], atol=1e-6)
    np.testing.assert_array_equal(grid[:, 0, 3], grid[:, 0, 0])
    assert (grid[:, 0, 1] == 0).all()
    assert (grid[:, 0, 2] == 1).all()


def test_each_step_is_handed_the_noise_of_its_number():
    """With D = 0, DDPM multiplies x by r sigma_n / sigma_s and adds w z: both known."""
    noise = jnp.array([3.0, 5.0, 7.0])
    x = sample(
        lambda x, t: jnp.zeros_like(x),
        jnp.full((1, 1, 1, 1), 100.0),
        jnp.array([1.0, 0.75, 0.5, 0.25])[:, None, None],
        DDPM(schedule=CosineSchedule()),
        lambda step: jnp.full((1, 1, 1, 1), noise[step]),
    )
    sigma, alpha = np.sin(np.pi / 8 * np.arange(4, 0, -1)), np.cos(np.pi / 8 * np.arange(4, 0, -1))
    expected = 100.0
    for step in range(3):
        r = alpha[step] * sigma[step + 1] / (alpha[step + 1] * sigma[step])
        expected *= r * sigma[step + 1] / sigma[step]
        expected += sigma[step + 1] * np.sqrt(1 - r**2) * (3.0, 5.0, 7.0)[step]
    np.testing.assert_allclose(x.item(), expected, rtol=1e-5)
