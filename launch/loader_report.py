"""All that `launch.benchmark` measures of the loader, and its tables."""

import json
import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from etils import epath

from configs import demo, demo_autoencoder, paper_composer
from data_pipeline.latents import Latents
from data_pipeline.records import Prepared
from jen1composer.errors import BadInput
from jen1composer.evaluation.page import Table
from launch.description import GivenByData
from launch.loader_benchmark import (
    Kind,
    crops_of,
    eaten,
    measure,
    step_seconds,
    waiting,
    windows_of,
)
from launch.synthetic_data import noise_latents, noise_prepared

# What each composer is given by its latents: channels, hop, clip and window.
SHAPES: Mapping[str, Mapping[str, int]] = {
    'demo': {'channels': 24, 'hop_samples': 1920, 'clip_frames': 384},
    'paper': {'channels': 128, 'hop_samples': 320, 'clip_frames': 1536},
}
CONFIGS = {'demo': demo, 'paper': paper_composer}
TEXT = {'text_width': 384, 'prompt_tokens': 48, 'prefix_tokens': 16}
DEMO_STEP_S = 0.16  # on two processor cores, see configs/demo.py
NUM_SONGS = 12
SECONDS = {'sound': 30, 'demo': 240, 'paper': 120}

Found = dict[str, Any]  # JSON


def measure_all(
    noise: epath.Path,
    *,
    data: str | None,
    latents: str | None,
    workdir: str | None,
    repeats: int,
    num_batches: int,
    threads: int,
    tflops: float,
    progress: Callable[[Iterable[Any], str], Iterable[Any]],
) -> Found:
    """Reads each kind of data and says what is known of the models.

    Args:
        noise: where folders of noise are made, for what is not given.
        data, latents: folders to read instead.
        workdir: of a training whose waits are told.
        repeats, num_batches, threads: rounds, batches a round, threads that read.
        tflops: what is sustained.
        progress: shows it.
    """
    # What is given is opened first, so that what is wrong with it is said at once.
    trained = None if workdir is None else training_waits(epath.Path(workdir))
    kinds = _kinds(noise, data, latents, num_batches, threads)
    speeds = [measure(kind, repeats=repeats, threads=threads) for kind in progress(kinds, 'kinds')]
    steps_s = {
        'demo': DEMO_STEP_S if trained is None else trained['step_s'],
        'paper': step_seconds(paper_composer.get_config(), _given('paper'), tflops=tflops),
    }
    models = {
        name: eaten(CONFIGS[name].get_config(), _given(name), step_s=step_s)
        for name, step_s in steps_s.items()
    }
    demo_kind = next(kind for kind in kinds if kind.name.startswith('latents'))
    return {
        'threads': threads,
        'tflops': tflops,
        'reading': [speed.to_json() for speed in speeds],
        'eaten': models,
        'waiting': waiting(demo_kind, step_s=steps_s['demo']),
        'trained': trained,
    }


def training_waits(workdir: epath.Path) -> Found:
    """The steps of a training and the share of them that waited for data, from its metrics.

    Raises BadInput where there are none.
    """
    path = workdir / 'metrics.jsonl'
    try:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        steps = [row for row in rows if 'data_wait_s' in row]
        step_s = statistics.median(row['step_s'] for row in steps)
        wait_s = statistics.median(row['data_wait_s'] for row in steps)
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(
            f'--workdir={workdir}: has no steps in metrics.jsonl ({error}); allowed is a workdir '
            'of train_composer'
        ) from error
    return {'workdir': str(workdir), 'step_s': step_s, 'wait_s': wait_s, 'share': wait_s / step_s}


def tables(found: Found) -> list[Table]:
    """The same for people."""
    reading = [
        [
            row['name'],
            f'{row["windows_per_s"]:,.0f}',
            f'{row["mb_per_s"]:,.0f}',
            f'{row["cold_mb_per_s"]:,.0f}',
            f'{row["mb_per_core_s"]:,.0f}',
            f'{row["raw_mb_per_s"]:,.0f}',
            f'{row["share"]:.0%}',
        ]
        for row in found['reading']
    ]
    models = [
        [
            name,
            f'{row["batch"]}',
            f'{row["step_s"]:.3g}',
            f'{row["windows_per_s"]:,.0f}',
            f'{row["mb_per_s"]:,.1f}',
        ]
        for name, row in found['eaten'].items()
    ]
    header = ('read', 'windows/s', 'MB/s', 'cold MB/s', 'MB/s a core', 'raw MB/s', 'of raw')
    step_s = found['eaten']['demo']['step_s']
    waits = [[f'demo, were its step of {step_s:.3f} s elsewhere', f'{found["waiting"]:.2%}']]
    if found['trained']:
        trained = found['trained']
        waits.append([f'demo, as trained in {trained["workdir"]}', f'{trained["share"]:.2%}'])
    return [
        Table(title=f'Reading, {found["threads"]} threads, warm', header=header, rows=reading),
        Table(
            title=f'What models eat: the demo as trained, the paper at {found["tflops"]:g} TFLOP/s',
            header=('config', 'batch', 's a step', 'windows/s', 'MB/s'),
            rows=models,
        ),
        Table(title='Waiting for latents', header=('step', 'share of the time'), rows=waits),
    ]


def _given(name: str) -> GivenByData:
    return GivenByData(num_tracks=4, latent_channels=SHAPES[name]['channels'], **TEXT)


def _kinds(
    noise: epath.Path, data: str | None, latents: str | None, num_batches: int, threads: int
) -> list[Kind]:
    given = None if latents is None else Latents(latents)
    prepared = (
        noise_prepared(noise / 'data', num_songs=NUM_SONGS, seconds=SECONDS['sound'])
        if data is None
        else Prepared(data)
    )
    config = demo_autoencoder.get_config()
    num_samples = config.crop_frames * config.hop_samples
    kinds = [crops_of(prepared, num_samples=num_samples, num_batches=num_batches)]
    if given is not None:
        frames = min(demo.get_config().data.window_frames, given.manifest.clip_frames)
        of_given = windows_of(given, num_frames=frames, num_batches=num_batches, threads=threads)
        return [*kinds, of_given]
    for name, shape in SHAPES.items():
        made = noise_latents(
            noise / f'latents_{name}', num_songs=NUM_SONGS, seconds=SECONDS[name], **shape
        )
        frames = CONFIGS[name].get_config().data.window_frames
        kinds.append(windows_of(made, num_frames=frames, num_batches=num_batches, threads=threads))
    return kinds
