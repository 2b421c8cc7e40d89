"""How fast training steps are, beside PyTorch and beside what the machine can multiply.

Steps of ours (`train_cases`) are timed with AdamW, which both sides have, and with Muon, which the
configs say; and those of the same network in PyTorch (`train_peer`), as it comes and compiled.

All take turns, round by round, so that what else the machine does meets all of them; a ratio is
that of one round, ours over theirs, and told are the median and the extremes of the rounds.

(1) peak = the most operations a second that a product of two square matrices of noise came to in
    the arithmetic of the case, any round; 2048 a side on a CPU, 8192 on what is faster
(2) MFU = operations of the model's gradient / (seconds of a step x peak)

The times are by the clock, so they want an idle machine: PyTorch's threads wait for each other,
and on a busy one it loses most, up to 15 times its step. Processor time of one thread, medians
of five steps with AdamW, taken twice on a busy machine:

    composer        ours 110, 119     eager 116, 133     compiled 115, 107
    autoencoder     ours 121, 134     eager 285, 231

so the autoencoder is well below .8 of eager PyTorch, and the demo's composer about level with both.
"""

import functools
import pathlib
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jen1composer.errors import require
from jen1composer.evaluation.page import Table
from jen1composer.training.state import parameter_count
from launch.train_cases import CASES, Trainer
from launch.train_peer import Peer, require_same, write_job

PEAK_SIZES = (2048, 8192)  # of a side, on a CPU and on what is faster

Found = dict[str, Any]  # JSON
Progress = Callable[..., Iterable[Any]]


def measure_training(
    names: Sequence[str],
    *,
    peer_python: str | None,
    rounds: int,
    steps: int,
    threads: int,
    dtype: str,
    muon: bool,
    progress: Progress,
) -> Iterator[Found]:
    """Every case of `names`, see `CASES`: after each, all that has been found so far.

    Args:
        names: which.
        peer_python: a Python that has PyTorch; None leaves the peer out.
        rounds: that count, after one that does not.
        steps: of each side in a round.
        threads: of the peer.
        dtype: of the composers' arithmetic on both sides.
        muon: whether our steps are timed with the config's optimiser as well.
        progress: `launch.command.progress`.

    Raises BadInput for a case that needs an accelerator, where there is none.
    """
    for name in names:
        here = jax.default_backend() != 'cpu' or not CASES[name].accelerator
        require(here, '--cases', name, 'is what a CPU has the memory for')
    peaks: dict[str, list[float]] = defaultdict(list)  # by the arithmetic they are of
    rows: list[Found] = []
    for name in names:
        config = CASES[name].config()
        if not muon:
            config.optimizer.name = 'adamw'
        if 'dtype' in config.model:
            config.model.dtype = dtype
        turns = functools.partial(progress, desc=name)
        modes = CASES[name].modes if peer_python else ()
        row = _measure_one(config, peer_python, modes, rounds, steps, threads, peaks, turns)
        rows.append({'name': name} | row)
        yield {
            'device': jax.devices()[0].device_kind,
            'threads': threads,
            'dtype': dtype,
            'peak_flops_per_s': {name: max(found) for name, found in peaks.items()},
            'rows': [with_mfu(row, max(peaks[row['dtype']])) for row in rows],
        }


def with_mfu(row: Found, peak: float) -> Found:
    """Equation (2) for all sides of a row, by the peak of its arithmetic."""
    sides = {
        name: side | {'mfu': row['model_flops'] / (side['median_s'] * peak)}
        for name, side in row['sides'].items()
    }
    return row | {'sides': sides}


def _measure_one(
    config: ConfigDict,
    peer_python: str | None,
    modes: Sequence[str],
    rounds: int,
    steps: int,
    threads: int,
    peaks: Mapping[str, list[float]],
    progress: Callable[[Iterable[int]], Iterable[int]],
) -> Found:
    trainer = Trainer(config, ('adamw', config.optimizer.name))
    model_flops = trainer.subject.model_flops
    dtype = config.model.get('dtype', 'float32')
    row: Found = {
        'dtype': dtype,
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
                for mode in modes:
                    peer = Peer(peer_python, pathlib.Path(folder), mode, threads)
                    peers.append(peer)
                    sides[f'torch, {mode}'] = peer.times
                row['peer'] = peers[0].facts
                require_same(row['parameters'], model_flops, dtype, peers[0].facts)
            measure_peak = functools.partial(peak_flops, jnp.dtype(dtype))
            seconds = rounds_of(sides, rounds, steps, peaks[dtype], measure_peak, progress)
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
    peak: Callable[[], float],
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
        peaks.append(peak())
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


def peak_flops(dtype: jnp.dtype) -> float:
    """Equation (1), of three products now."""
    size = PEAK_SIZES[jax.default_backend() != 'cpu']
    matrix = jax.random.normal(jax.random.key(0), (size, size), dtype)
    _product(matrix).block_until_ready()
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        _product(matrix).block_until_ready()
        seconds.append(time.perf_counter() - began)
    return 2 * size**3 / min(seconds)


@jax.jit
def _product(matrix: jax.Array) -> jax.Array:
    return matrix @ matrix


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
    peaks = ', '.join(
        f'{peak / 1e9:.0f} GFLOP/s in {dtype}' for dtype, peak in found['peak_flops_per_s'].items()
    )
    title = f'Training steps, {found["device"]}: the machine multiplies {peaks}'
    header = ('config', 'side', 'median ms', 'least', 'most', 'MFU', 'ours, adamw / this')
    return [Table(title=title, header=header, rows=rows)]
