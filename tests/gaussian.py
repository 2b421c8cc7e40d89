"""A joint law that is known in closed form: four tracks, jointly Gaussian, strongly correlated.

The exact denoiser takes the network's place. With x = A x_0 + S eps, where A and S hold each
track's alpha and sigma on the diagonal and x_0 ~ N(0, C):

(1) E[x_0 | x] = C A (A C A + S^2)^-1 x

Every step is then linear in what the solver holds, y = (x, its last estimate), and in the noise z
that it is handed: y' = F y + G z. A step run on basis vectors gives F and G, one vector a frame, so

(2) M' = F M             where each basis vector of the start has come
(3) P' = F P F^T + G G^T what the noise of all steps has added to the covariance

are exact: no Monte Carlo, and memory that does not grow with the number of steps.

The order is p in error ~ steps^-p, from 200 to 400 steps, with the root mean square of the error
over the tasks: the error of one task may change its sign on the way. Near t = 0 a step in lambda is
log(i / (i - 1)), i steps before the end, however many there are, so the local errors h^3 sigma^2 of
a solver of second order add to log(steps) / steps^2, which shows as 1.7 to 1.9. Under linear beta
sigma^2 grows like t at 0, so the last step alone leaves an error of first order, small as it is.

`python -m tests.gaussian` prints the errors and the orders.
"""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jen1composer.diffusion.samplers import Denoiser, SolverState, Stepper, time_grid
from jen1composer.diffusion.schedule import SCHEDULES, Schedule, make_schedule
from jen1composer.diffusion.solvers import SAMPLERS, make_sampler
from jen1composer.tracks import Role

NUM_TRACKS = 4
MOST_STEPS = 400

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


def exact_denoiser(schedule: Schedule, covariance: np.ndarray = COVARIANCE) -> Denoiser:
    """Equation (1), for each frame and channel by itself."""

    def denoise(x: jax.Array, t: jax.Array) -> jax.Array:
        alpha, sigma = schedule.alpha_sigma(t)  # [batch, track]
        c = jnp.asarray(covariance)
        observed = alpha[:, :, None] * c * alpha[:, None, :]
        observed = observed + jax.vmap(jnp.diag)(sigma**2)
        weights = (c * alpha[:, None, :]) @ jnp.linalg.inv(observed)  # [batch, track, track]
        return jnp.einsum('bkj,bjtc->bktc', weights, x)

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


@dataclasses.dataclass(frozen=True)
class Propagated:
    """What a sampler makes of the start and of the noise it is handed, for each task."""

    maps: np.ndarray  # [task, track, basis], x of (2): column j is where a 1 on track j alone ends
    added: np.ndarray  # [task, track, track], x of (3)


@functools.cache
def propagated(stepper: Stepper, num_steps: int) -> Propagated:
    """Equations (2) and (3) in float64, with the tasks of `all_roles` as rows of one batch."""
    with jax.enable_x64(True):
        times = time_grid(jnp.asarray(all_roles()), num_steps)
        # Standing at the end changes nothing, and one compiled program serves all step counts.
        times = jnp.pad(times, ((0, MOST_STEPS - num_steps), (0, 0), (0, 0)), mode='edge')
        maps, added = _propagate(stepper, times)
        return Propagated(np.asarray(maps), np.asarray(added))


@functools.partial(jax.jit, static_argnums=0)
def _propagate(stepper: Stepper, times: jax.Array) -> tuple[jax.Array, jax.Array]:
    num_tasks, k = times.shape[1:]
    denoise = exact_denoiser(stepper.schedule)
    x, x0, z = (  # [task, track, basis, 1]: what is 1 in the basis vectors of x, of x0 and of z
        jnp.tile(block[None, :, :, None], (num_tasks, 1, 1, 1))
        for block in jnp.split(jnp.eye(3 * k), 3)
    )

    def one(carry: tuple, now: tuple[jax.Array, jax.Array]) -> tuple[tuple, None]:
        maps, added, log_ratio = carry
        state = SolverState(x0=x0, log_ratio=log_ratio)
        y, state = stepper.step(denoise, x, state, *now, z)
        step = jnp.concatenate([y, state.x0], axis=1)[..., 0]  # [task, 2 x track, basis]
        of_held, of_noise = step[..., : 2 * k], step[..., 2 * k :]
        added = of_held @ added @ of_held.mT + of_noise @ of_noise.mT
        return (of_held @ maps, added, state.log_ratio), None

    start = (
        jnp.tile(jnp.eye(2 * k)[:, :k], (num_tasks, 1, 1)),
        jnp.zeros((num_tasks, 2 * k, 2 * k)),
        jnp.full((num_tasks, k), -jnp.inf),
    )
    (maps, added, _), _ = jax.lax.scan(one, start, (times[:-1], times[1:]))
    return maps[:, :k], added[:, :k, :k]


def sampled_law(roles: tuple[int, ...], stepper: Stepper, num_steps: int) -> Law:
    """The law that a sampler with the exact denoiser realises."""
    task = all_roles().index(roles)
    result = propagated(stepper, num_steps)
    target = [k for k, role in enumerate(roles) if role == Role.TARGET]
    given = [k for k, role in enumerate(roles) if role == Role.CONDITION]
    of_start, added = result.maps[task], result.added[task]
    noise_map = of_start[np.ix_(target, target)]
    covariance = noise_map @ noise_map.T + added[np.ix_(target, target)]
    return Law(covariance, of_start[np.ix_(target, given)])


def relative_error(found: np.ndarray, true: np.ndarray) -> float:
    """Relative Frobenius error."""
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


def covariance_errors(stepper: Stepper, num_steps: int) -> np.ndarray:
    """Relative error of the targets' covariance, [task]."""
    return np.array(
        [
            relative_error(
                sampled_law(roles, stepper, num_steps).covariance, exact_law(roles).covariance
            )
            for roles in all_roles()
        ]
    )


def order(stepper: Stepper) -> float:
    """The order of the covariance, as said above."""
    few, many = (np.linalg.norm(covariance_errors(stepper, steps)) for steps in (200, 400))
    return float(np.log2(few / many))


def main() -> None:
    """Prints the range of covariance errors over the tasks, with nothing given and with some."""
    some_given = np.array([Role.CONDITION in roles for roles in all_roles()])
    for schedule_name in SCHEDULES:
        for sampler_name in SAMPLERS:
            stepper = make_sampler(sampler_name, make_schedule(schedule_name), {})
            print(f'{schedule_name}, {sampler_name}:')
            for num_steps in (50, 100):
                errors = 100 * covariance_errors(stepper, num_steps)
                free, given = errors[~some_given], errors[some_given]
                print(
                    f'    {num_steps} steps: nothing given {free.min():.2f} to {free.max():.2f} %, '
                    f'some given {given.min():.2f} to {given.max():.2f} %'
                )
            print(f'    order, 200 to 400 steps: {order(stepper):.2f}')


if __name__ == '__main__':
    main()
