"""A joint law that is known in closed form: four tracks, jointly Gaussian, strongly correlated.

The exact denoiser takes the network's place. With x = A x_0 + S eps, where A and S hold each
track's alpha and sigma on the diagonal and x_0 ~ N(0, C):

(1) E[x_0 | x] = C A (A C A + S^2)^-1 x

Every sampler here is then linear in the noise and in what is given, so it is propagated exactly, by
running it on basis vectors: no Monte Carlo. `python -m tests.gaussian` prints the errors.
"""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jen1composer.diffusion import samplers
from jen1composer.diffusion.schedule import CosineSchedule, Schedule
from jen1composer.tracks import Role

NUM_TRACKS = 4

# Correlations of .80 to .82, and variances that differ, so that nothing cancels by luck.
CORRELATION = np.array(
    [
        [1.00, 0.80, 0.81, 0.80],
        [0.80, 1.00, 0.82, 0.81],
        [0.81, 0.82, 1.00, 0.80],
        [0.80, 0.81, 0.80, 1.00],
    ]
)
SCALE = np.sqrt([1.15, 1.25, 1.3, 1.2])
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
    """x = N z + G g: a Gaussian law of the targets, linear in noise z and given tracks g."""

    covariance: np.ndarray  # [target, target], N N^T
    regression: np.ndarray  # [target, given], G


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


@functools.cache
def sampled_maps(stepper: samplers.Stepper, num_steps: int) -> np.ndarray:
    """`[task, track, basis]`: what a sampler with the exact denoiser makes of each basis vector.

    Column j of a task is where a 1 on track j alone ends, be it noise or given: the linear map of
    the sampler, in float64. The tasks are those of `all_roles`, in one batch.
    """
    tasks = np.array(all_roles())
    with jax.enable_x64(True):
        roles = jnp.repeat(jnp.asarray(tasks), NUM_TRACKS, axis=0)  # [task x basis, track]
        basis = jnp.tile(jnp.eye(NUM_TRACKS), (len(tasks), 1))[:, :, None, None]
        times = samplers.time_grid(roles, num_steps)
        run = jax.jit(samplers.sample, static_argnums=(0, 3))
        result = run(exact_denoiser(CosineSchedule()), basis, times, stepper)
        return np.asarray(result).reshape(len(tasks), NUM_TRACKS, NUM_TRACKS).swapaxes(1, 2)


def sampled_law(roles: tuple[int, ...], stepper: samplers.Stepper, num_steps: int) -> Law:
    """The law that a sampler with the exact denoiser realises."""
    columns = sampled_maps(stepper, num_steps)[all_roles().index(roles)]
    target = [k for k, role in enumerate(roles) if role == Role.TARGET]
    given = [k for k, role in enumerate(roles) if role == Role.CONDITION]
    noise_map = columns[np.ix_(target, target)]
    return Law(noise_map @ noise_map.T, columns[np.ix_(target, given)])


def relative_error(found: np.ndarray, true: np.ndarray) -> float:
    """Relative Frobenius error."""
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


def main() -> None:
    """Prints the range of covariance errors over the tasks, with nothing given and with some."""
    tasks = all_roles()
    exact = [exact_law(roles).covariance for roles in tasks]
    some_given = np.array([Role.CONDITION in roles for roles in tasks])
    for stepper in (samplers.DDIM, samplers.DPMSolverPP2M):
        for num_steps in (50, 100):
            solver = stepper(schedule=CosineSchedule())
            found = [sampled_law(roles, solver, num_steps).covariance for roles in tasks]
            errors = np.array([relative_error(*pair) for pair in zip(found, exact, strict=True)])
            free, given = 100 * errors[~some_given], 100 * errors[some_given]
            print(
                f'{stepper.__name__}, {num_steps} steps: nothing given {free.min():.2f} to '
                f'{free.max():.2f} %, some given {given.min():.2f} to {given.max():.2f} %'
            )


if __name__ == '__main__':
    main()
