"""A joint law that is known in closed form: four tracks, jointly Gaussian, strongly correlated.

The exact denoiser takes the network's place. With x = A x_0 + S eps, where A and S hold each
track's alpha and sigma on the diagonal and x_0 ~ N(0, C):

(1) E[x_0 | x] = C A (A C A + S^2)^-1 x

Every sampler here is then linear in the noise and in what is given, so it is propagated exactly, by
running it on basis vectors: no Monte Carlo.
"""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jen1composer.diffusion import samplers
from jen1composer.diffusion.schedule import CosineSchedule, Schedule
from jen1composer.tracks import Role

NUM_TRACKS = 4

# Correlations of .80 to .84, and variances that differ, so that nothing cancels by luck.
CORRELATION = np.array(
    [
        [1.00, 0.82, 0.81, 0.80],
        [0.82, 1.00, 0.84, 0.83],
        [0.81, 0.84, 1.00, 0.81],
        [0.80, 0.83, 0.81, 1.00],
    ]
)
SCALE = np.sqrt([0.9, 1.0, 1.1, 1.0])
COVARIANCE = CORRELATION * np.outer(SCALE, SCALE)


def all_roles() -> list[tuple[int, ...]]:
    """Every assignment of roles with a target: 3^4 - 2^4 = 65 tasks."""
    return [
        roles for roles in itertools.product(list(Role), repeat=NUM_TRACKS) if Role.TARGET in roles
    ]


def exact_denoiser(schedule: Schedule, covariance: np.ndarray = COVARIANCE) -> samplers.Denoiser:
    """Equation (1) for `[batch, track, 1, 1]`."""

    def denoise(x: jax.Array, t: jax.Array) -> jax.Array:
        alpha, sigma = schedule.alpha_sigma(t)  # [batch, track]
        c = jnp.asarray(covariance)
        observed = alpha[:, :, None] * c * alpha[:, None, :]
        observed = observed + jax.vmap(jnp.diag)(sigma**2)
        weights = jnp.linalg.solve(observed, x[:, :, 0])  # [batch, track, 1]
        return jnp.einsum('kj,bj,bjo->bko', c, alpha, weights)[..., None]

    return denoise


@dataclasses.dataclass(frozen=True)
class Law:
    """x = N z + G g: the linear map of a sampler from noise z and given tracks g, targets only."""

    covariance: np.ndarray  # [target, target]
    regression: np.ndarray  # [target, given]


def exact_law(roles: tuple[int, ...], covariance: np.ndarray = COVARIANCE) -> Law:
    """The law of the targets given the given tracks, marginal tracks integrated out."""
    target = [k for k, role in enumerate(roles) if role == Role.TARGET]
    given = [k for k, role in enumerate(roles) if role == Role.CONDITION]
    c_tt = covariance[np.ix_(target, target)]
    if not given:
        return Law(c_tt, np.zeros((len(target), 0)))
    c_tg = covariance[np.ix_(target, given)]
    regression = c_tg @ np.linalg.inv(covariance[np.ix_(given, given)])
    return Law(c_tt - regression @ c_tg.T, regression)


def sampled_law(roles: tuple[int, ...], stepper: samplers.Stepper, num_steps: int) -> Law:
    """The law that a sampler with the exact denoiser realises, in float64, by basis vectors."""
    with jax.enable_x64(True):
        basis = jnp.eye(NUM_TRACKS)[:, :, None, None]  # [batch = noise or given track, track, 1, 1]
        role_array = jnp.tile(jnp.array(roles)[None], (NUM_TRACKS, 1))
        times = samplers.time_grid(role_array, num_steps)
        denoise = exact_denoiser(CosineSchedule())
        result = jax.jit(samplers.sample, static_argnums=(0, 3))(denoise, basis, times, stepper)
        columns = np.asarray(result[:, :, 0, 0]).T  # [track, basis]
    target = [k for k, role in enumerate(roles) if role == Role.TARGET]
    given = [k for k, role in enumerate(roles) if role == Role.CONDITION]
    noise_map = columns[np.ix_(target, target)]
    return Law(noise_map @ noise_map.T, columns[np.ix_(target, given)])


def relative_error(found: np.ndarray, true: np.ndarray) -> float:
    """Relative Frobenius error."""
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))
