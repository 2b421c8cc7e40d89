"""From an autoencoder's config to its run, and from its trained weights to the codec."""

import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from ml_collections import ConfigDict

from data_pipeline.audio_crops import AudioCrops, batches
from data_pipeline.records import RATE, Prepared, Song
from jen1composer.errors import require
from jen1composer.evaluation.log_mel import SIZE, log_mel, log_mel_distance
from jen1composer.evaluation.reconstruction import reconstruction_report
from jen1composer.models.autoencoder import Autoencoder, AutoencoderConfig
from jen1composer.models.flops import VERSION, autoencoder_gradient
from jen1composer.models.whitening import LatentStatistics
from jen1composer.sharding.layout import check_batch, host_share
from jen1composer.training import hosts
from jen1composer.training.adversary import (
    AUTOENCODER,
    DISCRIMINATOR,
    Adversary,
)
from jen1composer.training.autoencoder_step import (
    autoencoder_of,
    init_params,
    make_loss,
)
from jen1composer.training.codec import Codec
from jen1composer.training.program import Recipe
from jen1composer.training.run import Run
from jen1composer.training.speed import Flops
from jen1composer.training.state import PyTree, TrainState, parameter_count
from launch.autoencoder_sections import (
    crop_options,
    make_adversary,
    make_autoencoder,
    make_optimizers,
    make_task,
)
from launch.config_sections import identity_of, require_sections
from launch.loop_section import make_loop
from launch.sharding_section import make_accumulate, make_layout

SECTIONS = (
    'data',
    'hop_samples',
    'crop_frames',
    'model.',
    'task.',
    'losses.',
    'optimizer.',
    'heldout.',
)
# What the codec and the report are made with.
AFTER_TRAINING = ('whitening_songs', 'whitening_channels', 'heldout')
# What may change on a resume; the hop is that of `model.strides`.
NOT_IDENTITY = ('accumulate', 'data', 'loop', 'sharding', 'hop_samples', *AFTER_TRAINING)
HELDOUT_SEED, NOISE_SEED = 1, 2  # apart from the seed of the run, so that runs are compared


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoencoderRun:
    """A run with what comes after it."""

    config: ConfigDict
    model: Autoencoder
    adversary: Adversary | None
    data: Prepared
    run: Run
    heldout: Mapping[str, np.ndarray]  # split -> [crop, sample, 2], the same in every run

    def weights(self, state: TrainState) -> PyTree:
        """The averaged weights of the autoencoder."""
        return autoencoder_of(state.ema, self.adversary)

    @property
    def parameter_counts(self) -> dict[str, int]:
        """Of the autoencoder and of each discriminator, by name."""
        params = nn.unbox(jax.eval_shape(self.run.recipe.init_params))
        counts = {AUTOENCODER: parameter_count(autoencoder_of(params, self.adversary))}
        judges = {} if self.adversary is None else params[DISCRIMINATOR]
        return counts | {
            f'{DISCRIMINATOR}_{name}': parameter_count(judges[name]) for name in judges
        }

    def evaluate(self, state: TrainState) -> dict[str, Any]:
        """Log-mel distance of decoded validation crops, with the averaged weights."""
        sounds = self.heldout['validation']
        decoded = hosts.fetch(self._decoded({'params': self.weights(state)}, sounds))
        distance = log_mel_distance(log_mel(sounds), log_mel(decoded))
        return {'validation_log_mel_db': round(distance, 3)}

    @functools.cached_property
    def _decoded(self) -> Callable[..., jax.Array]:
        return jax.jit(Autoencoder(self.model.config).apply)  # once, so that it is compiled once

    def statistics(
        self,
        params: PyTree,
        split: str,
        show: Callable[[Sequence[Song]], Iterable[Song]] = lambda songs: songs,
    ) -> LatentStatistics:
        """Sums over the latents of whole songs, not whitened; `show` wraps the songs.

        Beyond `config.whitening_songs` it takes so many, evenly spaced among those of the split.
        """
        songs = self.data.songs(split)
        count = min(len(songs), self.config.whitening_songs)
        songs = [songs[i * len(songs) // count] for i in range(count)]
        sounds = (self.data.read(song, 0, song.num_samples)[None] for song in show(songs))
        return self._plain(params).statistics(sounds)

    def codec(self, params: PyTree, statistics: LatentStatistics) -> Codec:
        """The codec of the trained weights that whitens what `statistics` were gathered from."""
        return self._plain(params).whitened(statistics, self.config.whitening_channels)

    def _plain(self, params: PyTree) -> Codec:
        return Codec.plain(self.model.config, jax.device_get(params))

    @property
    def after_training(self) -> Mapping[str, Any]:
        """What the codec and the report were made with, beside the weights."""
        return {name: self.config.to_dict()[name] for name in AFTER_TRAINING}

    def report(self, codec: Codec) -> dict[str, Mapping[str, float]]:
        """`evaluation.reconstruction` on the validation and the test songs."""
        return {
            split: reconstruction_report(codec, sounds, NOISE_SEED)
            for split, sounds in self.heldout.items()
        }


def autoencoder_run(config: ConfigDict) -> AutoencoderRun:
    """Assembles a run; raises BadInput where the config or the data cannot be used."""
    require_sections(config, 'train_autoencoder', SECTIONS)
    layout, accumulate = make_layout(config.sharding), make_accumulate(config)
    model, adversary = make_autoencoder(config, layout), make_adversary(config, layout)
    task = make_task(config)
    check_values(config, model.config)
    check_batch(config.batch, layout, accumulate)
    host, num_hosts = host_share(layout, config.batch)
    data = Prepared(config.data)
    total_steps = config.loop.total_steps

    crops = _crops(config, model.config, data, total_steps)

    def host_batches(first_step: int) -> Iterator[Mapping[str, np.ndarray]]:
        return batches(
            crops,
            batch_size=config.batch,
            first_step=first_step,
            host=host,
            hosts=num_hosts,
        )

    run = Run(
        recipe=Recipe(
            init_params=functools.partial(init_params, model, config.seed, adversary),
            loss_fn=make_loss(model, task, config.seed, adversary),
            optimizer=make_optimizers(config),
            ema_decay=config.ema_decay,
            layout=layout,
            networks=() if adversary is None else (AUTOENCODER, DISCRIMINATOR),
            accumulate=accumulate,
        ),
        batches=host_batches,
        identity=identity_of(config, ignore=NOT_IDENTITY)
        | {'data': data.fingerprint, 'total_steps': total_steps},
        loop=make_loop(config.loop),
        flops=step_flops(config, model.config, adversary),
    )
    # Read before the training, so that data without a test song is refused now.
    heldout = {
        split: _heldout(config.heldout, model.config, data, split)
        for split in ('validation', 'test')
    }
    return AutoencoderRun(
        config=config, model=model, adversary=adversary, data=data, run=run, heldout=heldout
    )


def step_flops(
    config: ConfigDict, model: AutoencoderConfig, adversary: Adversary | None
) -> Flops | None:
    """Operations of a step; None with an adversary, whose are not counted."""
    if adversary is not None:
        return None
    per_step = autoencoder_gradient(model, batch=config.batch, frames=config.crop_frames)
    return Flops(per_step=per_step, version=VERSION)


def check_values(config: ConfigDict, model: AutoencoderConfig) -> None:
    """Raises BadInput for a value at the top level, or of `heldout`, that cannot be used."""
    allowed = f'is the product of model.strides, {model.hop_samples}'
    require(
        config.hop_samples == model.hop_samples, '--config.hop_samples', config.hop_samples, allowed
    )
    require(0 <= config.ema_decay < 1, '--config.ema_decay', config.ema_decay, 'is 0 to below 1')
    for name, first, last in (
        ('seed', 0, 2**32 - 1),
        ('batch', 1, math.inf),
        ('crop_frames', 1, math.inf),
        ('keep_silent', 0, 1),
        ('whitening_songs', 1, math.inf),
        ('whitening_channels', 0, model.latent_channels),
        ('heldout.crops', 1, math.inf),
        # Whole frames, and at least a window of the log-mel spectrogram.
        ('heldout.seconds', -(-SIZE // model.hop_samples) * model.hop_samples / RATE, math.inf),
    ):
        value = operator.attrgetter(name)(config)
        allowed = f'is {first} or more' if last == math.inf else f'is {first} to {last}'
        require(first <= value <= last, f'--config.{name}', value, allowed)


def _crops(
    config: ConfigDict, model: AutoencoderConfig, data: Prepared, num_batches: int
) -> AudioCrops:
    return AudioCrops(
        data,
        split='train',
        num_samples=config.crop_frames * model.hop_samples,
        num_examples=num_batches * config.batch,
        seed=config.seed,
        keep_silent=config.keep_silent,
        **crop_options(config),
    )


def _heldout(
    wanted: ConfigDict, model: AutoencoderConfig, data: Prepared, split: str
) -> np.ndarray:
    hop = model.hop_samples
    crops = AudioCrops(
        data,
        split=split,
        num_samples=round(wanted.seconds * RATE) // hop * hop,
        num_examples=wanted.crops,
        seed=HELDOUT_SEED,
    )
    return np.stack([crops[i]['waveform'] for i in range(len(crops))])
