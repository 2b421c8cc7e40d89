"""Every solver and conversion against diffusers' in float64, see tests/peers/record_diffusers.py.

The grid of (alpha, sigma) and the noise are injected on both sides, and the ends of the grid are
neither clean nor all noise, so that no convention about an end hides a difference.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.diffusion.prediction import Prediction
from jen1composer.diffusion.samplers import sample
from jen1composer.diffusion.schedule import LinearBetaSchedule
from jen1composer.diffusion.solvers import make_sampler
from tests.peers import live

PATH = live.HERE / 'diffusers.npz'
TOLERANCE = 1e-12  # absolute, of values around 1

PATHS = {  # what a recorded path is here: grid, sampler, its parameters
    'vp/ddpm': ('ddpm', {}),
    'vp/ddim eta=0': ('ddim', {'eta': 0.0}),
    'vp/ddim eta=0.5': ('ddim', {'eta': 0.5}),
    'vp/ddim eta=1': ('ddim', {'eta': 1.0}),
    'vp/dpmpp_2m': ('dpmpp_2m', {}),
    'vp/dpmpp_2m_sde': ('dpmpp_2m_sde', {}),
    'vp/heun': ('heun', {}),
    'vp/euler': ('euler', {}),
    'flow/dpmpp_2m': ('dpmpp_2m', {}),
    'flow/dpmpp_2m_sde': ('dpmpp_2m_sde', {}),
    'flow/heun': ('heun', {}),
    'flow/euler': ('euler', {}),
    'flow/flow_match_euler': ('euler', {}),
}
CONVERSIONS = ['vp/epsilon', 'vp/v', 'vp/x0', 'flow/epsilon', 'flow/velocity']


@dataclasses.dataclass(frozen=True)
class GridSchedule:
    """A table of (alpha, sigma) at even times, noisy first; defined at those times only."""

    alphas: tuple[float, ...]
    sigmas: tuple[float, ...]

    def alpha_sigma(self, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        point = jnp.round((1 - t) * (len(self.alphas) - 1)).astype(int)
        return jnp.array(self.alphas)[point], jnp.array(self.sigmas)[point]


def read(path: Path = PATH) -> Mapping[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


RECORDED = read()


def grid_of(name: str) -> GridSchedule:
    grid = name.split('/')[0]
    table = (RECORDED[f'grid/{grid}/{value}'] for value in ('alpha', 'sigma'))
    return GridSchedule(*(tuple(value.tolist()) for value in table))


@pytest.mark.parametrize('name', PATHS)
def test_a_sampler_walks_the_same_way(name):
    sampler, parameters = PATHS[name]
    recorded = RECORDED[f'path/{name}']  # [point, batch, track, frame, channel]
    stepper = make_sampler(sampler, grid_of(name), parameters)
    with jax.enable_x64(True):
        start, noise, mix = (jnp.asarray(RECORDED[key]) for key in ('start', 'noise', 'mix'))

        def denoise(x: jax.Array, t: jax.Array) -> jax.Array:
            return jnp.tanh(jnp.einsum('jk,bktc->bjtc', mix, x) + t[..., None, None])

        times = jnp.broadcast_to(jnp.linspace(1, 0, 9)[:, None, None], (9, *start.shape[:2]))
        for steps in (1, 2, 5, 8):
            x = sample(denoise, start, times[: steps + 1], stepper, lambda step: noise[step])
            np.testing.assert_allclose(x, recorded[steps], atol=TOLERANCE, rtol=0)
    assert np.abs(recorded[8] - recorded[0]).mean() > 0.3


@pytest.mark.parametrize('name', CONVERSIONS)
def test_a_prediction_is_the_same_x0(name):
    prediction = Prediction(name.split('/')[1])
    grid = grid_of(name)
    with jax.enable_x64(True):
        shape = RECORDED['x'].shape[:2]
        for point, expected in enumerate(RECORDED[f'x0_of/{name}']):
            alpha, sigma = (jnp.full(shape, table[point]) for table in (grid.alphas, grid.sigmas))
            found = prediction.to_x0(RECORDED['output'], RECORDED['x'], alpha, sigma)
            np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=1e-12)


def test_v_is_the_same_target():
    grid = grid_of('vp')
    x0, noise = RECORDED['x0'], RECORDED['noise'][0]
    with jax.enable_x64(True):
        for point, expected in enumerate(RECORDED['v_of/vp']):
            alpha, sigma = (
                jnp.full(x0.shape[:2], table[point]) for table in (grid.alphas, grid.sigmas)
            )
            found = Prediction.V.target(x0, noise, alpha, sigma)
            np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0)


def test_linear_beta_with_zero_terminal_snr_is_the_same_schedule():
    with jax.enable_x64(True):
        alpha, _ = LinearBetaSchedule().alpha_sigma(jnp.arange(1, 1001) / 1000)
        np.testing.assert_allclose(alpha, RECORDED['linear_beta'], atol=1e-12, rtol=0)


@pytest.mark.peer
def test_the_recording_is_what_diffusers_makes_now(tmp_path):
    now = read(live.record('record_diffusers.py', tmp_path / 'diffusers.npz'))
    assert now.keys() == RECORDED.keys()
    for key in now.keys() - {'versions'}:
        np.testing.assert_allclose(now[key], RECORDED[key], atol=1e-12, rtol=0, err_msg=key)
