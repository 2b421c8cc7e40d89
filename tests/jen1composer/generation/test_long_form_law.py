"""Spans and long form against a law in closed form, with the exact denoiser and no Monte Carlo.

Two tracks are a stationary Gaussian process over frames,

(1) cov(x_kt, x_js) = M_kj rho^|t - s|

which is a Markov chain in time. The denoiser of a window knows its covariance and, told what is
shown, is exact: with u the unknown and v the known entries, m = E[u | v] and S = cov(u | v),

(2) E[x_0u | x_u, x_0v] = m + alpha S (alpha^2 S + sigma^2)^-1 (x_u - alpha m)

Then all that is made, in one window or in many, is linear in the noise of the windows and in what
is known. The channels carry that map: channel c is the response to unit vector c. It is compared
with the law of the unknown given the known: within one window for any spans, and over many where
all tracks are known at the same frames, because then the overlap says all that the past says.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.diffusion import samplers
from jen1composer.diffusion.corruption import corrupt
from jen1composer.diffusion.schedule import CosineSchedule
from jen1composer.diffusion.solvers import DPMSolverPP2M
from jen1composer.generation import long_form
from jen1composer.training.composer_step import make_denoiser
from tests import gaussian, tiny

TRACKS, WINDOW, STEPS = 2, 8, 60
MIX = np.array([[1.2, 0.9], [0.9, 1.1]])
RHO = 0.8
SCHEDULE = CosineSchedule()


def covariance(num_frames: int) -> np.ndarray:
    """Equation (1), [track x frame, track x frame]."""
    frame = np.arange(num_frames)
    return np.kron(MIX, RHO ** np.abs(frame[:, None] - frame))


def conditional(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Regression [unknown, known] and covariance [unknown, unknown] under (1)."""
    c, is_known = covariance(known.shape[1]), known.ravel()
    across = c[np.ix_(~is_known, is_known)]
    regression = np.linalg.solve(c[np.ix_(is_known, is_known)], across.T).T
    return regression, c[np.ix_(~is_known, ~is_known)] - regression @ across.T


def exact_estimate(known: np.ndarray, told: bool):
    """Equation (2) as a Predictor; one that is not told what is shown goes by x alone."""
    regression, remaining = conditional(known if told else np.zeros_like(known))
    is_unknown = np.flatnonzero(~known.ravel()) if told else np.arange(known.size)
    is_known = np.flatnonzero(known.ravel()) if told else np.arange(0)

    def estimate(x, t, shown, task, text):
        alpha, sigma = (value[0, 0] for value in SCHEDULE.alpha_sigma(t))
        flat = x.reshape(known.size, -1)  # [track x frame, channel]
        mean = regression @ shown.reshape(known.size, -1)[is_known]
        observed = alpha**2 * remaining + sigma**2 * jnp.eye(len(remaining))
        gained = jnp.linalg.solve(observed, flat[is_unknown] - alpha * mean)
        found = mean + alpha * remaining @ gained
        return jnp.zeros_like(flat).at[is_unknown].set(found).reshape(x.shape)

    return estimate


def response(known: np.ndarray, told: bool = True) -> np.ndarray:
    """[track, frame, unit]: what unit values of the known, and unit noises of the windows, make."""
    num_windows = len(long_form.plan(known, WINDOW))
    window = min(WINDOW, known.shape[1])
    values, noises = np.eye(known.size), np.eye(num_windows * TRACKS * window)
    units = len(values) + len(noises)
    latents = np.zeros((known.size, units))
    latents[:, : len(values)] = values * known.ravel()[:, None]

    def make(number, start, latents, known):
        noise = np.zeros((TRACKS * window, units))
        first = len(values) + number * TRACKS * window
        noise[:, first : first + TRACKS * window] = np.eye(TRACKS * window)
        task = dataclasses.replace(tiny.make_task(((0, 0),), window), visible=known[None])
        times = samplers.time_grid(jnp.zeros((1, TRACKS)), STEPS)
        clean = jnp.asarray(latents[None])

        @jax.jit
        def run(x):
            denoise = make_denoiser(exact_estimate(known, told), clean, task, None)
            return samplers.sample(denoise, x, times, DPMSolverPP2M(schedule=SCHEDULE))

        x = corrupt(clean, noise.reshape(clean.shape), times[0], SCHEDULE)
        return np.asarray(run(x))[0]

    with jax.enable_x64(True):
        return long_form.walk(latents.reshape(*known.shape, units), known, WINDOW, make)


def law_errors(known: np.ndarray, told: bool = True) -> tuple[float, float]:
    """Largest error of the regression, and relative error of the covariance."""
    regression, remaining = conditional(known)
    unknown = response(known, told)[~known]  # [unknown, unit]
    found = unknown[:, : known.size][:, known.ravel()]
    noise = unknown[:, known.size :]
    error = np.max(np.abs(found - regression), initial=0.0)
    return float(error), gaussian.relative_error(noise @ noise.T, remaining)


def frames(num_frames: int, *tracks: tuple[int, int]) -> np.ndarray:
    """Known is what lies outside (start, end), one for each track."""
    frame = np.arange(num_frames)
    return np.array([(frame < start) | (frame >= end) for start, end in tracks])


@pytest.mark.parametrize(
    'known',
    [
        frames(8, (2, 6), (2, 6)),  # inpainting
        frames(8, (2, 6), (4, 7)),  # of spans that differ
        frames(8, (1, 7), (8, 8)),  # of one track, beside all of the other
        frames(8, (3, 8), (5, 8)),  # continuation
        frames(8, (0, 4), (0, 4)),  # to the left
        frames(8, (0, 8), (0, 8)),  # from nothing
    ],
)
def test_a_hole_in_a_window_has_the_conditional_law(known):
    regression_error, covariance_error = law_errors(known)
    assert regression_error < 1e-9
    assert covariance_error < 0.02


@pytest.mark.parametrize(
    'known',
    [
        frames(21, (0, 21), (0, 21)),  # from nothing
        frames(21, (5, 21), (5, 21)),  # continuation
        frames(21, (0, 16), (0, 16)),  # to the left
    ],
)
def test_many_windows_have_the_law_of_the_whole(known):
    assert len(long_form.plan(known, WINDOW)) >= 4
    regression_error, covariance_error = law_errors(known)
    assert regression_error < 1e-9
    assert covariance_error < 0.02


def test_to_put_back_what_is_shown_without_telling_is_not_enough():
    """What a network without `spans` does: it sees the known frames only in their noise."""
    known = frames(8, (2, 6), (2, 6))
    told, untold = law_errors(known)[1], law_errors(known, told=False)[1]
    assert untold > 10 * told
