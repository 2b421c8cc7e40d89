"""The folders of a training, and all that the demo's page says of it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from etils import epath

from data_pipeline.latents import Latents
from data_pipeline.records import Prepared
from jen1composer.evaluation.reconstruction import reconstruction_report
from jen1composer.generation.composer import Composer
from jen1composer.training.metrics import read_metrics
from launch import demo_measurements
from launch.demo_music import Pieces
from launch.demo_pieces import Stretch
from launch.demo_report import Report
from launch.task_draws import draw_tasks
from launch.task_shares import task_shares


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """A run of train_composer with what it was trained on; made by `open_training`."""

    checkpoint: epath.Path
    latents: Latents
    autoencoder: epath.Path
    heldout: Mapping[str, Any]  # heldout.json of the autoencoder


def open_training(
    composer: Composer,
    prepared: Prepared,
    *,
    checkpoint: epath.PathLike,
    latents: epath.PathLike,
    autoencoder: epath.PathLike,
) -> Training:
    """Raises BadInput, naming the flag, where the folders are not of one training."""
    opened = Training(
        checkpoint=epath.Path(checkpoint),
        latents=Latents(latents),
        autoencoder=epath.Path(autoencoder),
        heldout=demo_measurements.read_heldout(autoencoder),
    )
    demo_measurements.check_origins(
        composer.spec, opened.latents.manifest, prepared.manifest, opened.heldout
    )
    return opened


def measure_training(
    training: Training,
    composer: Composer,
    prepared: Prepared,
    stretch: Stretch,
    pieces: Pieces,
    *,
    num_batches: int,
    seed: int,
) -> Report:
    """What came of it; `num_batches` of 16 for each validation."""
    curriculum, order = demo_measurements.run_curriculum(
        training.checkpoint, len(composer.spec.tracks)
    )
    return Report(
        data=demo_measurements.measure_data(prepared),
        autoencoder={
            **training.heldout,
            'stretch': reconstruction_report(composer.codec, stretch.stems, seed),
        },
        autoencoder_rows=read_metrics(training.autoencoder / 'metrics.jsonl'),
        composer_parameters=composer.num_parameters,
        composer_steps=composer.step,
        composer_rows=read_metrics(training.checkpoint / 'metrics.jsonl'),
        shares=task_shares(draw_tasks(curriculum, order)),
        validation=demo_measurements.measure_validation(
            composer, training.latents, curriculum, num_batches=num_batches
        ),
        pieces=pieces,
    )
