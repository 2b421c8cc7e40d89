"""How fast a composer makes music on this machine, by sampler and number of steps.

A piece of all tracks is made from a prompt, decoding included, after one of each that compiles; the
seconds are medians over pieces of other seeds. Speed is seconds of music a second: above 1 it is
faster than it plays.

Quality stands beside it: the log-mel distance (`evaluation.log_mel`), mean over tracks, from the
same sampler at `REFERENCE_STEPS` with the same noise. It says how far the fewer steps lead away
from where the sampler was going; whether that is music, `launch.evaluate` says.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np

from jen1composer.evaluation.log_mel import log_mel, log_mel_distance
from jen1composer.evaluation.page import Table
from jen1composer.generation.composer import Composer, Composition
from jen1composer.generation.request import Request
from jen1composer.tracks import SAMPLE_RATE

PROMPT = 'dark driving rock'
REFERENCE_STEPS = 200

Found = dict[str, Any]  # JSON


def measure_sampling(
    composer: Composer,
    *,
    samplers: Sequence[str],
    steps: Sequence[int],
    repeats: int,
    progress: Callable[..., Iterable[Any]],
    seconds: float | None = None,
    reference_steps: int = REFERENCE_STEPS,
) -> Found:
    """Pieces by each of `samplers` in each number of `steps`.

    Args:
        composer: that makes them.
        samplers: by name, see `diffusion.solvers`.
        steps: numbers of them.
        repeats: pieces that are timed, of seeds 0, 1 ...; the first one's quality is told.
        progress: `launch.command.progress`.
        seconds: of a piece; None is one window.
        reference_steps: what the quality is a distance from.
    """
    if seconds is None:
        seconds = composer.spec.window_frames * composer.spec.hop_samples / SAMPLE_RATE

    def piece(sampler: str, num_steps: int, seed: int) -> Composition:
        return composer.compose(
            Request(prompt=PROMPT, seconds=seconds, seed=seed, num_steps=num_steps, sampler=sampler)
        )

    rows = []
    for sampler in samplers:
        reference = _spectra(piece(sampler, reference_steps, 0))
        for number in progress(steps, desc=sampler):
            first = _spectra(piece(sampler, number, 0))
            took = []
            for seed in range(repeats):
                began = time.perf_counter()
                piece(sampler, number, seed)
                took.append(time.perf_counter() - began)
            distances = [
                log_mel_distance(truth, guess)
                for truth, guess in zip(reference, first, strict=True)
            ]
            rows.append(
                {
                    'sampler': sampler,
                    'steps': number,
                    'seconds': statistics.median(took),
                    'music_s_per_s': seconds / statistics.median(took),
                    'distance_db': float(np.mean(distances)),
                }
            )
    return {
        'device': jax.devices()[0].device_kind,
        'parameters': composer.num_parameters,
        'music_s': seconds,
        'tracks': len(composer.spec.tracks),
        'reference_steps': reference_steps,
        'rows': rows,
    }


def tables(found: Found) -> list[Table]:
    """The same for people."""
    rows = [
        [
            row['sampler'],
            f'{row["steps"]}',
            f'{row["seconds"]:.2f}',
            f'{row["music_s_per_s"]:.2f}',
            f'{row["distance_db"]:.2f}',
        ]
        for row in found['rows']
    ]
    title = (
        f'Sampling: {found["music_s"]:.2f} s of {found["tracks"]} tracks, '
        f'{found["parameters"] / 1e6:.1f} M parameters, {found["device"]}'
    )
    far = f'dB from {found["reference_steps"]} steps'
    return [Table(title=title, header=('sampler', 'steps', 's', 'music s/s', far), rows=rows)]


def _spectra(composition: Composition) -> list[np.ndarray]:
    return [log_mel(take.audio) for take in composition.takes.values()]
