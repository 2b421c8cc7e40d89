"""Records what the schedulers of diffusers make of a denoiser: writes diffusers.npz beside it.

    python3 -m venv peers && peers/bin/pip install torch==2.13.0 diffusers==0.42.1
    peers/bin/python tests/peers/record_diffusers.py

Recorded with PyTorch 2.13 in float64 on a CPU and diffusers 0.42; the versions are in the
recording. Each scheduler is taken step by step along a grid of (alpha, sigma) that is written over
its own table, from one end that is not all noise to another that is not clean, and is handed its
noise, so that nothing but the formula of a step is compared:

    grid/<grid>/alpha, sigma   noisy to clean, [point]; on the 'vp' grid alpha^2 + sigma^2 = 1, on
                               the 'flow' grid alpha + sigma = 1
    start, noise, mix          x at the first point, the noise of each step, the denoiser's weights
    path/<grid>/<sampler>      x at each point, [point, batch, track, frame, channel]
    x0, x, output              random latents, and for each <kind> of prediction at each point
    x0_of/<grid>/<kind>        what `output` at `x` is as x_0
    v_of/vp                    the v-prediction of (x0, noise[0]) at each point
    linear_beta                sqrt(alphas_cumprod) of the linear schedule with zero terminal SNR

The denoiser is tanh(mix x + t), where t falls from 1 to 0 evenly along the grid. Flags of the
trajectories' ends: DDPM variance_type='fixed_small'; DDIM set_alpha_to_one=False; multistep
lower_order_final=False, euler_at_final=False, final_sigmas_type='sigma_min'; none clips. Schedulers
that go over to float32 in `step` are kept from it, by handing them float64 under that name.
"""

import pathlib
import sys
from collections.abc import Iterator
from unittest import mock

import diffusers
import numpy as np
import torch
from diffusers import SchedulerMixin
from diffusers.schedulers import scheduling_ddim, scheduling_ddpm
from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

NUM_STEPS = 8
SHAPE = (2, 4, 3, 2)  # [batch, track, frame, channel]
TIMES = np.linspace(1, 0, NUM_STEPS + 1)
ANGLES = np.array([1.53, 1.41, 1.2, 1.02, 0.8, 0.55, 0.37, 0.2, 0.06])
SIGMAS = np.array([0.98, 0.9, 0.77, 0.66, 0.5, 0.34, 0.21, 0.1, 0.03])
GRIDS = {'vp': (np.cos(ANGLES), np.sin(ANGLES)), 'flow': (1 - SIGMAS, SIGMAS)}

RNG = np.random.default_rng(0)
START, CLEAN, X, OUTPUT = RNG.normal(size=(4, *SHAPE))
NOISE = RNG.normal(size=(NUM_STEPS, *SHAPE))
MIX = RNG.normal(size=(4, 4)) / 2


def denoise(x: torch.Tensor, point: int) -> torch.Tensor:
    mixed = np.einsum('jk,bktc->bjtc', MIX, x.numpy())
    return torch.from_numpy(np.tanh(mixed + TIMES[point]))


def discrete(module, name: str, grid: str, **config) -> SchedulerMixin:
    """DDPM or DDIM; their timestep n is the point NUM_STEPS - n of the grid."""
    scheduler = getattr(module, name)(
        num_train_timesteps=NUM_STEPS + 1, prediction_type='sample', clip_sample=False, **config
    )
    scheduler.alphas_cumprod = torch.from_numpy(GRIDS[grid][0][::-1] ** 2)
    return scheduler


def continuous(name: str, sigmas: np.ndarray, **config) -> SchedulerMixin:
    """A scheduler that goes through its own list of sigmas."""
    scheduler = getattr(diffusers, name)(**config)
    scheduler.set_timesteps(NUM_STEPS)
    scheduler.sigmas = torch.from_numpy(sigmas)
    scheduler.set_begin_index(0)
    return scheduler


def multistep(grid: str, algorithm: str, prediction: str = 'sample') -> SchedulerMixin:
    alpha, sigma = GRIDS[grid]
    return continuous(
        'DPMSolverMultistepScheduler',
        sigma if grid == 'flow' else sigma / alpha,
        algorithm_type=algorithm,
        prediction_type=prediction,
        solver_order=2,
        solver_type='midpoint',
        use_flow_sigmas=grid == 'flow',
        lower_order_final=False,
        euler_at_final=False,
        final_sigmas_type='sigma_min',
    )


def ddpm(grid: str) -> Iterator[torch.Tensor]:
    scheduler = discrete(scheduling_ddpm, 'DDPMScheduler', grid, variance_type='fixed_small')
    x = torch.from_numpy(START)
    for i in range(NUM_STEPS):
        noise = torch.from_numpy(NOISE[i])
        with mock.patch.object(
            scheduling_ddpm, 'randn_tensor', lambda *_, noise=noise, **__: noise
        ):
            x = scheduler.step(denoise(x, i), NUM_STEPS - i, x).prev_sample
        yield x


def ddim(grid: str, eta: float) -> Iterator[torch.Tensor]:
    scheduler = discrete(scheduling_ddim, 'DDIMScheduler', grid, set_alpha_to_one=False)
    scheduler.num_inference_steps = NUM_STEPS + 1  # every timestep
    x = torch.from_numpy(START)
    for i in range(NUM_STEPS):
        noise = torch.from_numpy(NOISE[i])
        step = scheduler.step(denoise(x, i), NUM_STEPS - i, x, eta=eta, variance_noise=noise)
        x = step.prev_sample
        yield x


def dpm_solver(grid: str, algorithm: str) -> Iterator[torch.Tensor]:
    scheduler = multistep(grid, algorithm)
    x = torch.from_numpy(START)
    for i in range(NUM_STEPS):
        noise = torch.from_numpy(NOISE[i])
        timestep = scheduler.timesteps[i]
        x = scheduler.step(denoise(x, i), timestep, x, variance_noise=noise).prev_sample
        yield x


def heun(grid: str) -> Iterator[torch.Tensor]:
    """It goes through y = x / alpha and takes two calls a step."""
    alpha, sigma = GRIDS[grid]
    ratio = sigma / alpha
    sigmas = np.concatenate([ratio[:1], ratio[1:-1].repeat(2), ratio[-1:]])
    scheduler = continuous('HeunDiscreteScheduler', sigmas, prediction_type='sample')
    y = torch.from_numpy(START) / alpha[0]
    for i in range(NUM_STEPS):
        for point in (i, i + 1):
            estimate = denoise(alpha[point] * y, point)
            y = scheduler.step(estimate, scheduler.timesteps[0], y).prev_sample
        yield alpha[i + 1] * y


def euler(grid: str) -> Iterator[torch.Tensor]:
    """It goes through y = x / alpha."""
    alpha, sigma = GRIDS[grid]
    scheduler = continuous('EulerDiscreteScheduler', sigma / alpha, prediction_type='sample')
    scheduler.is_scale_input_called = True  # y is scaled here
    y = torch.from_numpy(START) / alpha[0]
    for i in range(NUM_STEPS):
        estimate = denoise(alpha[i] * y, i)
        y = scheduler.step(estimate, scheduler.timesteps[i], y).prev_sample
        yield alpha[i + 1] * y


def flow_match_euler(grid: str) -> Iterator[torch.Tensor]:
    sigma = GRIDS[grid][1]
    scheduler = continuous('FlowMatchEulerDiscreteScheduler', sigma)
    x = torch.from_numpy(START)
    for i in range(NUM_STEPS):
        velocity = (x - denoise(x, i)) / sigma[i]
        x = scheduler.step(velocity, scheduler.timesteps[i], x).prev_sample
        yield x


def paths() -> dict[str, Iterator[torch.Tensor]]:
    return {
        'vp/ddpm': ddpm('vp'),
        'vp/ddim eta=0': ddim('vp', 0.0),
        'vp/ddim eta=0.5': ddim('vp', 0.5),
        'vp/ddim eta=1': ddim('vp', 1.0),
        'vp/dpmpp_2m': dpm_solver('vp', 'dpmsolver++'),
        'vp/dpmpp_2m_sde': dpm_solver('vp', 'sde-dpmsolver++'),
        'vp/heun': heun('vp'),
        'vp/euler': euler('vp'),
        'flow/dpmpp_2m': dpm_solver('flow', 'dpmsolver++'),
        'flow/dpmpp_2m_sde': dpm_solver('flow', 'sde-dpmsolver++'),
        'flow/heun': heun('flow'),
        'flow/euler': euler('flow'),
        'flow/flow_match_euler': flow_match_euler('flow'),
    }


def converted(grid: str, prediction: str) -> np.ndarray:
    """x_0 at each point of `grid`."""
    scheduler = multistep(grid, 'dpmsolver++', prediction)
    found = []
    for point in range(NUM_STEPS + 1):
        scheduler._step_index = point
        output = scheduler.convert_model_output(
            torch.from_numpy(OUTPUT), sample=torch.from_numpy(X)
        )
        found.append(output.numpy())
    return np.stack(found)


def velocities() -> np.ndarray:
    scheduler = discrete(scheduling_ddpm, 'DDPMScheduler', 'vp')
    every = torch.arange(NUM_STEPS, -1, -1)
    clean, noise = (torch.from_numpy(value) for value in (CLEAN, NOISE[0]))
    return np.stack([scheduler.get_velocity(clean, noise, point[None]).numpy() for point in every])


def linear_beta() -> np.ndarray:
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    return torch.cumprod(1 - rescale_zero_terminal_snr(betas), 0).sqrt().numpy()


def main(path: pathlib.Path) -> None:
    versions = [f'{module.__name__} {module.__version__}' for module in (torch, diffusers)]
    recording = {
        'versions': np.array(versions),
        'start': START,
        'noise': NOISE,
        'mix': MIX,
        'x0': CLEAN,
        'x': X,
        'output': OUTPUT,
        'x0_of/vp/epsilon': converted('vp', 'epsilon'),
        'x0_of/vp/v': converted('vp', 'v_prediction'),
        'x0_of/vp/x0': converted('vp', 'sample'),
        'x0_of/flow/epsilon': converted('flow', 'epsilon'),
        'x0_of/flow/velocity': converted('flow', 'flow_prediction'),
        'v_of/vp': velocities(),
        'linear_beta': linear_beta(),
    }
    for grid, (alpha, sigma) in GRIDS.items():
        recording |= {f'grid/{grid}/alpha': alpha, f'grid/{grid}/sigma': sigma}
    with mock.patch.object(torch, 'float32', torch.float64):
        for name, steps in paths().items():
            x = [START, *(step.numpy() for step in steps)]
            recording[f'path/{name}'] = np.stack(x)
    np.savez_compressed(path, **recording)
    print(path, path.stat().st_size, 'bytes')


if __name__ == '__main__':
    default = pathlib.Path(__file__).with_name('diffusers.npz')
    main(pathlib.Path(sys.argv[1]) if sys.argv[1:] else default)
