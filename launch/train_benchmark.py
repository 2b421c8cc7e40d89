"""How fast training steps are, beside PyTorch and beside what the machine can multiply.

A step is forward, loss, gradient, clipping, optimiser and moving average, on one batch of noise, in
the config's arithmetic. `STEPS` are timed of ours with AdamW, which both sides have, and with Muon,
which the configs say. A peer (`launch.torch_peer`) is the same network in PyTorch in a process of
its own, as it comes (eager) and compiled. It is compared only if it has as many parameters, takes
as many operations to within `FLOPS_AGREE`, and gives at our weights our output.

All take turns, round by round, so that what else the machine does meets all of them; a ratio is
that of one round, ours over theirs, and told are the median and the extremes of the rounds.

(1) peak = the most operations a second that a float32 product of 2048 x 2048 came to, any round
(2) MFU = operations of the model's gradient / (seconds of a step x peak)

Tried, on a busy machine of two cores (AMD EPYC of Zen 5) whose one core multiplies 238 GFLOP/s.
Milliseconds of processor time, least / median; figures above that peak were errors of the clock and
are left out. Single runs, so differences below a tenth say nothing. Kept:

    Muon, stacks of one -> plain products on Gram matrices
      an update of the composer      88 / 93 -> 45 / 46, of its step 169 / 197 -> 147 / 152
      an update of the autoencoder 137 / 143 -> 50 / 51, of its step 219 / 229 -> 172 / 175
    spectral losses and their gradient, by real parts and view by view
      two runs: 61.8 / 66.1 -> 50.3 / 58.2 and 61.6 / 66.0 -> 54.1 / 59.5; of the whole step, timed
      at another load (114 / 120 before, 120 to 130 / 121 to 134 after), no gain has been shown
    MDCT of frames as they lie 5.4 / 5.6 -> 4.8 / 5.1, its inverse 5.1 / 5.4 -> 4.8 / 5.0

and left:

    real parts with all views in one array: 57.9 / 66.7, 64.0 / 66.6 (as above)
    one logarithm of a quotient for two: 59.0 / 63.1, 60.7 / 64.7
    transforms of 128 as products with the Fourier basis: 52.3 / 56.8; of 512 as well: 57.1 / 61.6
    both gradients of a convolution, by its weights as a product of shifted copies: 117 to 195
      GFLOP/s over five shapes and four ways, where the compiler's runs at 176 to 214
    the forward pass of a convolution so: 169 to 229, the compiler's 183 to 246
    alpha and sigma, or the corrupted latents, behind a barrier: 109 / 117 -> 107 / 118, 111 / 117
    flags that choose the library of products (YNNPACK, oneDNN): 217 to 255, without 223 to 251
    Muon's products of bfloat16 summed in float32: 261 to 499; the Gram form needs float32
    not tried in a step: a float32 product with its left side transposed, as in the gradient of a
      matrix by its weights, runs at 84 to 209, and transposed in memory first at 197 to 242

The times are by the clock, so they want an idle machine: PyTorch's threads wait for each other,
and on a busy one it loses most, up to 15 times its step. Processor time of one thread, medians
of five steps with AdamW, taken twice on a busy machine:

    composer        ours 110, 119     eager 116, 133     compiled 115, 107
    autoencoder     ours 121, 134     eager 285, 231

so the autoencoder is well below .8 of eager PyTorch, and the demo's composer about level with both.
"""

import dataclasses
import functools
import json
import pathlib
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from ml_collections import ConfigDict
from safetensors.numpy import save_file

from configs import demo, demo_autoencoder
from jen1composer.diffusion.corruption import is_shown
from jen1composer.errors import BadInput
from jen1composer.evaluation.page import Table
from jen1composer.models.autoencoder import band_weights
from jen1composer.models.framing import mdct_matrix
from jen1composer.training.autoencoder_losses import mel_bands
from jen1composer.training.state import TrainState, initial_state, parameter_count
from jen1composer.training.step import make_train_step
from jen1composer.training.workdir import unet_config
from launch.autoencoder_sections import make_autoencoder
from launch.description import GivenByData, Subject, subject_of

ROOT = pathlib.Path(__file__).parents[1]
GIVEN = GivenByData(
    num_tracks=4, latent_channels=24, text_width=384, prompt_tokens=32, prefix_tokens=16
)
FLOPS_AGREE, OUTPUT_AGREES = 0.03, 1e-4  # relative; of the largest value of the output
MODES = ('eager', 'compile')
PEAK_SIZE = 2048

Found = dict[str, Any]  # JSON
Progress = Callable[..., Iterable[Any]]


def large() -> ConfigDict:
    """The demo's composer with 20.9 M parameters, 8 windows of 512 frames."""
    config = demo.get_config()
    config.batch, config.data.window_frames = 8, 512
    config.model.channels, config.model.blocks = (256, 384, 512), (1, 2, 3)
    config.model.attentions = (0, 0, 1)
    return config


CONFIGS: Mapping[str, Callable[[], ConfigDict]] = {
    'composer': demo.get_config,
    'autoencoder': demo_autoencoder.get_config,
    'large composer': large,
}


class Trainer:
    """Our side of a comparison: a state, a batch, and a compiled step for each optimiser."""

    def __init__(self, config: ConfigDict, optimizers: Sequence[str]):
        self.config = config
        self.subjects = {name: _subject(config, name) for name in optimizers}
        self.subject = next(iter(self.subjects.values()))
        self.batch = jax.tree.map(jnp.asarray, noise_batch(self.subject.batch))
        self.states = {name: _state(subject) for name, subject in self.subjects.items()}
        self._steps = {
            name: jax.jit(
                make_train_step(each.loss_fn, each.optimizer, each.ema_decay), donate_argnums=0
            )
            for name, each in self.subjects.items()
        }

    @property
    def params(self) -> Any:
        return next(iter(self.states.values())).params

    def times(self, optimizer: str, count: int) -> list[float]:
        """Seconds of each of so many steps."""
        seconds = []
        for _ in range(count):
            began = time.perf_counter()
            state, metrics = self._steps[optimizer](self.states[optimizer], self.batch)
            jax.block_until_ready((state, metrics))
            self.states[optimizer] = state
            seconds.append(time.perf_counter() - began)
        return seconds


class Peer:
    """The other side, in a process of its own; `facts` is what it says of its network."""

    def __init__(self, python: str, folder: pathlib.Path, mode: str, threads: int):
        command = [python, '-m', 'launch.torch_peer.peer', str(folder), mode, str(threads)]
        try:
            self._process = subprocess.Popen(
                command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        except OSError as error:
            raise BadInput(f'--peer_python={python}: {error}; allowed is a Python') from error
        self._python = python
        self.facts = self._answer()

    def times(self, count: int) -> list[float]:
        """Seconds of each of so many steps."""
        assert self._process.stdin is not None
        self._process.stdin.write(f'{count}\n')
        self._process.stdin.flush()
        return list(self._answer()['seconds'])

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> Found:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BadInput(
                f'--peer_python={self._python}: the peer ended with status '
                f'{self._process.wait()}; allowed is a Python with torch and safetensors'
            )
        found: Found = json.loads(line)
        return found


def measure_training(
    names: Sequence[str],
    *,
    peer_python: str | None,
    rounds: int,
    steps: int,
    threads: int,
    dtype: str,
    progress: Progress,
) -> Found:
    """Every config of `names`, see `CONFIGS`.

    Args:
        names: which.
        peer_python: a Python that has PyTorch; None leaves the peer out.
        rounds: that count, after one that does not.
        steps: of each side in a round.
        threads: of the peer.
        dtype: of the composers' arithmetic on both sides.
        progress: `launch.command.progress`.
    """
    peaks: list[float] = []
    rows: list[Found] = []
    for name in names:
        config = CONFIGS[name]()
        if 'dtype' in config.model:
            config.model.dtype = dtype
        rows.append(
            {'name': name}
            | _measure_one(
                config,
                peer_python,
                rounds,
                steps,
                threads,
                peaks,
                functools.partial(progress, desc=name),
            )
        )
    peak = max(peaks)
    for row in rows:
        for side in row['sides'].values():
            side['mfu'] = row['model_flops'] / (side['median_s'] * peak)
    return {
        'device': jax.devices()[0].device_kind,
        'threads': threads,
        'dtype': dtype,
        'peak_flops_per_s': peak,
        'rows': rows,
    }


def _measure_one(
    config: ConfigDict,
    peer_python: str | None,
    rounds: int,
    steps: int,
    threads: int,
    peaks: list[float],
    progress: Callable[[Iterable[int]], Iterable[int]],
) -> Found:
    trainer = Trainer(config, ('adamw', config.optimizer.name))
    model_flops = trainer.subject.model_flops
    row: Found = {
        'parameters': parameter_count(trainer.params),
        'model_flops': model_flops,
        'peer': None,
    }
    sides: dict[str, Callable[[int], list[float]]] = {
        f'ours, {name}': functools.partial(trainer.times, name) for name in trainer.states
    }
    peers: list[Peer] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            if peer_python is not None:
                write_job(pathlib.Path(folder), trainer)
                for mode in MODES:
                    peer = Peer(peer_python, pathlib.Path(folder), mode, threads)
                    peers.append(peer)
                    sides[f'torch, {mode}'] = peer.times
                row['peer'] = peers[0].facts
                require_same(row['parameters'], model_flops, peers[0].facts)
            seconds = rounds_of(sides, rounds, steps, peaks, progress)
        finally:
            for peer in peers:
                peer.close()
    row['sides'] = {name: summary(times) for name, times in seconds.items()}
    mine = seconds['ours, adamw']
    row['ratios'] = {
        name: ratios(mine, times) for name, times in seconds.items() if name.startswith('torch')
    }
    return row


def rounds_of(
    sides: Mapping[str, Callable[[int], list[float]]],
    rounds: int,
    steps: int,
    peaks: list[float],
    progress: Callable[[Iterable[int]], Iterable[int]],
) -> dict[str, list[float]]:
    """The median of each side's steps in each round; a round more comes first and is left out."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for turn in progress(range(rounds + 1)):
        # The order turns, so that nobody always follows the same one.
        names = list(sides)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            median = statistics.median(sides[name](steps))
            if turn > 0:
                found[name].append(median)
        peaks.append(peak_flops())
    return found


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Found:
    """Ours over theirs, round by round."""
    each = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        'median': statistics.median(each),
        'least': min(each),
        'most': max(each),
        'rounds': each,
    }


def summary(times: Sequence[float]) -> Found:
    return {'median_s': statistics.median(times), 'least_s': min(times), 'most_s': max(times)}


def require_same(parameters: int, flops: int, peer: Mapping[str, Any]) -> None:
    """Raises BadInput where what the peer has is not the same network at the same weights."""
    off = abs(peer['gradient_flops'] / flops - 1)
    worst = peer['error'] / peer['scale']
    for what, ok, allowed in (
        (f'{peer["parameters"]} parameters', peer['parameters'] == parameters, f'{parameters}'),
        (f'{peer["gradient_flops"]} operations', off <= FLOPS_AGREE, f'{flops} within 3 %'),
        (f'an output that is off by {worst:.1e}', worst <= OUTPUT_AGREES, f'{OUTPUT_AGREES}'),
    ):
        if not ok:
            raise BadInput(f'--peer: has {what}; what can be compared has {allowed}')


def peak_flops() -> float:
    """Equation (1), of three products now."""
    matrix = jnp.ones((PEAK_SIZE, PEAK_SIZE), jnp.float32)
    _product(matrix).block_until_ready()
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        _product(matrix).block_until_ready()
        seconds.append(time.perf_counter() - began)
    return 2 * PEAK_SIZE**3 / min(seconds)


@jax.jit
def _product(matrix: jax.Array) -> jax.Array:
    return matrix @ matrix


# ---- What both sides are given


def write_job(folder: pathlib.Path, trainer: Trainer) -> None:
    """job.json and arrays.safetensors, as `launch.torch_peer.peer` reads them."""
    config, batch = trainer.config, trainer.batch
    optimizer = config.optimizer
    job: Found = {
        'dtype': config.model.get('dtype', 'float32'),
        'learning_rate': optimizer.peak_learning_rate,
        'weight_decay': optimizer.weight_decay,
        'b1': 0.9,
        'b2': 0.95,
        'clip_norm': optimizer.clip_norm,
        'ema_decay': config.ema_decay,
    }
    # What begins at zero would hide what comes before it.
    params = _shaken(trainer.params)
    flat = traverse_util.flatten_dict(params, sep='/')
    arrays = {f'weights/{name}': leaf for name, leaf in flat.items()}
    if 'curriculum' in config:
        told = {key: vars(GIVEN)[key] for key in ('num_tracks', 'latent_channels', 'text_width')}
        model = unet_config(told | config.model.to_dict())
        job |= {'kind': 'unet', 'model': dataclasses.asdict(model)}
        latents = jnp.asarray(batch.latents, jnp.float32)
        call = {
            'x': latents,
            't': jnp.ones(latents.shape[:2]),
            'shown': latents,
            'visible': is_shown(batch.task).astype(jnp.float32),
        }
        arrays |= {f'call/{name}': value for name, value in call.items()}
        given = {**vars(batch.task), **vars(batch.text), 'latents': batch.latents}
        del given['control']  # these configs tell the network of none
        arrays |= {f'batch/{name}': value for name, value in given.items()}
    else:
        codec = make_autoencoder(config).config
        job |= {
            'kind': 'autoencoder',
            'model': dataclasses.asdict(codec),
            'task': config.task.to_dict(),
            'losses': config.losses.to_dict(),
        }
        arrays['batch/waveform'] = batch['waveform']
        arrays['fixed/mdct'] = mdct_matrix(codec.strides[0])
        arrays['fixed/bands'] = band_weights(codec)
        arrays |= {f'mel/{size}': mel_bands(size) for size in config.losses.sizes}
    arrays['expected'] = jax.jit(trainer.subject.forward)(params, batch)
    (folder / 'job.json').write_text(json.dumps(job))
    plain = {name: np.ascontiguousarray(_float(value)) for name, value in arrays.items()}
    save_file(plain, folder / 'arrays.safetensors')


def noise_batch(shapes: Any) -> Any:
    """A batch of that form, a function of its shapes alone."""
    rng = np.random.default_rng(0)

    def make(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        if leaf.dtype == bool:
            return rng.random(leaf.shape) < 0.7
        if jnp.issubdtype(leaf.dtype, jnp.integer):
            return rng.integers(0, 3, leaf.shape).astype(leaf.dtype)
        return (0.1 * rng.standard_normal(leaf.shape)).astype(leaf.dtype)

    return jax.tree.map(make, shapes)


def tables(found: Found) -> list[Table]:
    """The same for people."""
    rows = []
    for row in found['rows']:
        for name, side in row['sides'].items():
            ratio = row['ratios'].get(name)
            rows.append(
                [
                    f'{row["name"]}, {row["parameters"] / 1e6:.1f} M',
                    name,
                    *(f'{1000 * side[key]:.0f}' for key in ('median_s', 'least_s', 'most_s')),
                    f'{100 * side["mfu"]:.0f} %',
                    ''
                    if ratio is None
                    else f'{ratio["median"]:.2f} ({ratio["least"]:.2f} to {ratio["most"]:.2f})',
                ]
            )
    title = (
        f'Training steps, {found["dtype"]}, {found["device"]}: the machine multiplies '
        f'{found["peak_flops_per_s"] / 1e9:.0f} GFLOP/s'
    )
    header = ('config', 'side', 'median ms', 'least', 'most', 'MFU', 'ours, adamw / this')
    return [Table(title=title, header=header, rows=rows)]


def _subject(config: ConfigDict, optimizer: str) -> Subject:
    config = config.copy_and_resolve_references()
    config.optimizer.name = optimizer
    return subject_of(config, GIVEN, None)


def _state(subject: Subject) -> TrainState:
    return jax.jit(lambda: nn.unbox(initial_state(subject.init_params, subject.optimizer)))()


def _shaken(params: Any) -> Any:
    rng = np.random.default_rng(1)
    return jax.tree.map(
        lambda leaf: leaf + 0.02 * rng.standard_normal(leaf.shape).astype(np.float32), params
    )


def _float(value: Any) -> np.ndarray:
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == jnp.bfloat16 else array
