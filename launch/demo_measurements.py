"""What the demo's page says in numbers, measured from the folders that the demo has made."""

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from data_pipeline.batches import fixed_batches, stranger_batches
from data_pipeline.curriculum import Curriculum, Stage
from data_pipeline.latents import LatentManifest, Latents
from data_pipeline.mixture import Mixture
from data_pipeline.order import Order
from data_pipeline.records import SPLITS, Manifest, Prepared
from data_pipeline.windows import Windows
from jen1composer.errors import BadInput
from jen1composer.evaluation.validation import (
    Interval,
    bin_centres,
    conditioning_gap,
    make_loss_at,
    make_zero_loss_at,
    time_bins,
)
from jen1composer.generation.composer import Composer
from jen1composer.models.unet import UNet
from jen1composer.training.checkpoints import read_meta
from jen1composer.training.workdir import ComposerSpec
from launch.composer_data import VALIDATION_SEED, saved_segments
from launch.composer_sections import make_curriculum

BATCH = 16  # as the validation during the training has it
TIME_BINS, GAP_BINS = 10, 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """What was trained on, and what was held out, by split."""

    source: str
    songs: Mapping[str, int]
    minutes: Mapping[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Validation:
    """Losses of the averaged weights on songs that were not trained on."""

    times: list[float]
    loss: list[float]  # per time, on validation songs
    zero: list[float]  # the same of a prediction of 0
    gap: Interval  # loss with another song's given tracks minus loss with the true ones
    gap_examples: int
    gap_songs: int


def measure_data(prepared: Prepared) -> Data:
    songs = {split: prepared.songs(split) for split in SPLITS}
    return Data(
        source=prepared.manifest.source,
        songs={split: len(of_split) for split, of_split in songs.items()},
        minutes={
            split: round(sum(song.duration_s for song in of_split) / 60, 1)
            for split, of_split in songs.items()
        },
    )


def curve(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[list[int], list[float]]:
    """Steps and values of the metrics rows that hold `name`."""
    found = [(row['step'], row[name]) for row in rows if name in row]
    return [step for step, _ in found], [value for _, value in found]


def training_curve(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[list[int], list[float]]:
    """`curve` of a mean over steps, short rows joined until they stand for as many as the longest.

    A row ends early where the state was saved; a mean over two steps beside ones over fifty would
    look like a jump.
    """
    steps, values = curve(rows, name)
    spans = np.diff(steps, prepend=0).tolist()
    joined: list[tuple[int, float]] = []
    total, weight = 0.0, 0
    for step, value, span in zip(steps, values, spans, strict=True):
        total, weight = total + value * span, weight + span
        if weight >= max(spans):
            joined.append((step, float(total / weight)))
            total, weight = 0.0, 0
    return [step for step, _ in joined], [value for _, value in joined]


def training_seconds(rows: Sequence[Mapping[str, Any]]) -> float:
    """Time spent in training steps: each row's seconds a step times the steps it stands for."""
    steps, seconds = curve(rows, 'step_s')
    return float(np.diff(steps, prepend=0) @ np.asarray(seconds)) if steps else 0.0


def read_heldout(autoencoder: epath.PathLike) -> dict[str, Any]:
    """`heldout.json` of a workdir of train_autoencoder; raises BadInput where there is none."""
    path = epath.Path(autoencoder) / 'heldout.json'
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadInput(
            f'{path}: cannot be read ({error}); allowed is a workdir of train_autoencoder'
        ) from error


def check_origins(
    spec: ComposerSpec, latents: LatentManifest, data: Manifest, heldout: Mapping[str, Any]
) -> None:
    """Raises BadInput, naming the flag, where the folders are not of one run of the demo."""
    if latents.autoencoder_fingerprint != spec.autoencoder_fingerprint:
        raise BadInput(
            "--latents: encoded by another autoencoder than the checkpoint's; allowed are those it "
            'was trained on'
        )
    if data.fingerprint != latents.data_fingerprint:
        raise BadInput('--data: other music than --latents were encoded from; allowed is the same')
    if heldout.get('fingerprint') != spec.autoencoder_fingerprint:
        raise BadInput(
            "--autoencoder: not the checkpoint's; allowed is the one that encoded --latents"
        )


def run_curriculum(workdir: epath.PathLike, num_tracks: int) -> tuple[Curriculum, Order]:
    """The curriculum of a composer's run, and the order of what it has seen, by its checkpoint."""
    meta = read_meta(epath.Path(workdir) / 'checkpoints')
    section = 'curriculum.'
    config = {k.removeprefix(section): v for k, v in meta.identity.items() if k.startswith(section)}
    order = Order(seed=meta.identity['seed'], segments=saved_segments(meta), total_steps=meta.step)
    return make_curriculum(ConfigDict(config), num_tracks), order


def measure_validation(
    composer: Composer, latents: Latents, curriculum: Curriculum, *, num_batches: int
) -> Validation:
    """Losses by time with the tasks of the run's last stage; the gap where all others are given.

    For the gap, up to half of the tracks are targets and all others are given, so that each example
    has something to listen to. Strangers come from all held-out songs.
    """
    diffusion = composer.spec.diffusion
    compiled = make_loss_at(UNet(composer.spec.model), diffusion, VALIDATION_SEED)
    loss_at = functools.partial(compiled, composer.params)
    zero_at = make_zero_loss_at(diffusion, VALIDATION_SEED)
    num_frames = composer.spec.window_frames
    fixed = functools.partial(
        fixed_batches, batch=BATCH, num_batches=num_batches, seed=VALIDATION_SEED
    )

    def mixture(*splits: str) -> Mixture:
        return Mixture.alone(Windows(latents, splits, num_frames))

    by_time = fixed(mixture('validation'), curriculum)
    held_out = mixture('validation', 'test')
    most = max(1, curriculum.num_tracks // 2)
    evenly = tuple(float(k < most) for k in range(curriculum.num_tracks))
    all_given = Curriculum(
        num_tracks=curriculum.num_tracks,
        stages=(Stage(steps=1, shares=evenly),),
        p_given=1.0,
    )
    true = fixed(held_out, all_given)
    strangers = stranger_batches(held_out, true, seed=VALIDATION_SEED)
    return Validation(
        times=bin_centres(TIME_BINS).tolist(),
        loss=time_bins(loss_at, by_time, TIME_BINS).round(4).tolist(),
        zero=time_bins(zero_at, by_time, TIME_BINS).round(4).tolist(),
        gap=conditioning_gap(loss_at, true, strangers, GAP_BINS),
        gap_examples=BATCH * num_batches,
        gap_songs=len(held_out.parts[0].songs),
    )
