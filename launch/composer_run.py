"""From a composer's config to its run: data, model, loss and what stays fixed on a resume."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from data_pipeline.batches import batches, fixed_batches
from data_pipeline.curriculum import Curriculum
from data_pipeline.kinds import Kind
from data_pipeline.mixture import Mixture
from data_pipeline.silence import Silence
from jen1composer.diffusion.batch import Batch, unknown_control
from jen1composer.errors import BadInput, require
from jen1composer.evaluation.validation import make_loss_at, time_bins
from jen1composer.models.autoencoder import STEREO
from jen1composer.models.flops import VERSION, Shape, unet_model_gradient
from jen1composer.models.unet import UNet
from jen1composer.models.unet_config import UNetConfig
from jen1composer.sharding.layout import check_batch, host_share
from jen1composer.training import hosts
from jen1composer.training.checkpoints import Meta, restore_ema
from jen1composer.training.codec import Codec
from jen1composer.training.composer_step import make_composer_loss
from jen1composer.training.program import Recipe
from jen1composer.training.run import Run
from jen1composer.training.speed import Flops
from jen1composer.training.state import PyTree, TrainState
from jen1composer.training.trainable import freeze_loss
from jen1composer.training.warm_start import Weight, compare, require_all_taken
from jen1composer.training.workdir import ComposerSpec, read_spec, unet_config
from launch.composer_data import VALIDATION_SEED, make_order, open_data
from launch.composer_sections import make_composer_optimizer, make_curriculum, make_diffusion
from launch.config_sections import identity_of, require_sections
from launch.loop_section import make_loop
from launch.sharding_section import make_accumulate, make_layout

# May change on a resume; what of the data may not, `composer_data` says.
NOT_IDENTITY = ('accumulate', 'batch', 'data', 'loop', 'sharding', 'validation_batches')
# May change as well, and is told: what is computed again changes no number but by rounding.
MAY_CHANGE = ('model.remat',)
TIME_BINS = 5
TEXT_LOSS = 'validation_loss'  # on text alone, nothing shown, nothing causal
SHOWING = (Kind.INPAINTING, Kind.CONTINUATION)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComposerRun:
    """A run with what the workdir must hold beside it."""

    run: Run
    spec: ComposerSpec
    codec: Codec
    held_out: Mapping[str, list[Batch]]  # by what it is called in the metrics
    loss_at: Callable[[PyTree, Batch, float], jax.Array]
    begins_with: Sequence[Weight] = ()  # what becomes of the weights of `init_from`

    def evaluate(self, state: TrainState) -> dict[str, Any]:
        """Squared errors of the averaged weights: over all, and for text per time bin too."""

        def loss_at(batch: Batch, time: float) -> Any:
            return hosts.fetch(self.loss_at(state.ema, batch, time))

        found = {name: time_bins(loss_at, held, TIME_BINS) for name, held in self.held_out.items()}
        return {name: float(loss.mean()) for name, loss in found.items()} | {
            f'{TEXT_LOSS}_by_time': found[TEXT_LOSS].round(4).tolist()
        }


def composer_run(config: ConfigDict, begun: Meta | None = None) -> ComposerRun:
    """Assembles a run, one that goes on from the checkpoint `begun` if there is one.

    Raises BadInput, naming the flag, where parts do not belong together.
    """
    require_sections(
        config,
        'train_composer',
        ['data.', 'curriculum.', 'model.', 'diffusion.', 'optimizer.', 'sharding.', 'loop.'],
    )
    require(0 <= config.ema_decay < 1, 'ema_decay', config.ema_decay, 'is 0 to below 1')
    num_batches = config.validation_batches
    require(num_batches >= 1, 'validation_batches', num_batches, 'is 1 or more')
    workers = config.data.get('workers', 0)
    require(workers >= 0, 'data.workers', workers, 'is 0 or more')

    # ---- Devices, and which part of each batch is this host's.
    layout, accumulate = make_layout(config.sharding), make_accumulate(config)
    check_batch(config.batch, layout, accumulate)

    # ---- Data: the latents, the autoencoder that made them, the curriculum.
    data = open_data(config.data, config.seed)
    manifest, text = data.latents[0].manifest, data.latents[0].text
    codec = Codec.load(config.data.autoencoder)
    if codec.fingerprint != manifest.autoencoder_fingerprint:
        raise BadInput(
            f'--config.data.autoencoder={config.data.autoencoder}: did not encode '
            f'{config.data.latents}; allowed is the one that was named to encode_latents'
        )
    curriculum = make_curriculum(config.curriculum, len(manifest.tracks))
    keep = config.curriculum.get('silent_targets', 1.0)
    silence = Silence(latent=latent_of_silence(codec), keep=keep) if keep != 1 else None
    order = make_order(
        config,
        begun,
        sum(stage.steps for stage in curriculum.stages),
        host_share(layout, config.batch),
    )
    held_out = held_out_batches(data.validation, curriculum, num_batches)
    if config.model.get('control', False):
        held_out |= {f'{TEXT_LOSS}_uncontrolled': list(map(uncontrolled, held_out[TEXT_LOSS]))}

    # ---- Model and loss.
    given = {
        'num_tracks': len(manifest.tracks),
        'latent_channels': manifest.channels,
        'text_width': text.prompt.shape[-1],
    }
    model = UNet(unet_config(given | config.model.to_dict()), layout)
    shows = [kind for kind in SHOWING if curriculum.kinds.share(kind)]
    if shows and not model.config.spans:
        raise BadInput(
            f'--config.model.spans: False; allowed with {" and ".join(shows)} in '
            'curriculum.kinds is True, or the network is not shown what it has to go by'
        )
    diffusion = make_diffusion(config.diffusion)

    def init_params() -> Any:
        one = jax.tree.map(lambda leaf: leaf[:1], held_out[TEXT_LOSS][0])
        t = jnp.zeros(one.task.roles.shape)
        key, x = jax.random.key(config.seed), one.latents.astype(jnp.float32)
        return model.init(key, x, t, x, one.task, one.text)['params']

    def host_batches(first_step: int) -> Iterator[Batch]:
        return batches(
            data.train,
            curriculum,
            order,
            first_step=first_step,
            workers=workers,
            silence=silence,
        )

    saved, begins_with = None, []
    if config.get('init_from', '') and begun is None:  # else the run is past its beginning
        saved = weights_of(config.init_from, codec)
        begins_with = compare(jax.eval_shape(init_params), saved)
        if not config.get('init_partial', False):
            require_all_taken(f'--config.init_from={config.init_from}', begins_with)

    run = Run(
        recipe=Recipe(
            init_params=init_params,
            loss_fn=freeze_loss(
                make_composer_loss(model, diffusion, config.seed), config.get('trainable', '')
            ),
            optimizer=make_composer_optimizer(config, curriculum),
            ema_decay=config.ema_decay,
            layout=layout,
            accumulate=accumulate,
        ),
        batches=host_batches,
        identity={**identity_of(config, ignore=NOT_IDENTITY), **data.identity},
        data={'segments': order.to_json()},
        may_change=MAY_CHANGE,
        loop=make_loop(config.loop, total_steps=order.total_steps),
        flops=Flops(per_step=step_flops(model.config, config.batch, held_out), version=VERSION),
        saved=saved,
    )
    spec = ComposerSpec(
        tracks=manifest.tracks,
        model=model.config,
        prediction=diffusion.prediction,
        schedule=config.diffusion.get('schedule', 'cosine'),
        window_frames=config.data.window_frames,
        hop_samples=manifest.hop_samples,
        max_tokens=text.prompt.shape[1],
        autoencoder_fingerprint=manifest.autoencoder_fingerprint,
        text_fingerprint=manifest.text_fingerprint,
        text_encoder=manifest.text_encoder,
        causal=curriculum.kinds.any_causal,
    )
    # It is asked on one host's batches, whatever the layout.
    loss_at = make_loss_at(UNet(model.config), diffusion, VALIDATION_SEED)
    return ComposerRun(
        run=run,
        spec=spec,
        codec=codec,
        held_out=held_out,
        loss_at=loss_at,
        begins_with=begins_with,
    )


def latent_of_silence(codec: Codec) -> np.ndarray:
    """That of a frame far from any sound, float32 [channel]."""
    frames = 2 * codec.config.encoder_reach + 1
    silent = np.zeros((1, 1, frames * codec.config.hop_samples, STEREO), np.float32)
    return np.asarray(codec.encode(silent))[0, 0, frames // 2]


def weights_of(workdir: str, codec: Codec) -> PyTree:
    """The averaged weights of the composer in `workdir`, which was trained on latents of `codec`.

    Raises BadInput where it holds no composer, or one of other latents.
    """
    if read_spec(workdir).autoencoder_fingerprint != codec.fingerprint:
        raise BadInput(
            f'--config.init_from={workdir}: was trained on the latents of another autoencoder; '
            'allowed is a composer of the one in --config.data.autoencoder'
        )
    return restore_ema(epath.Path(workdir) / 'checkpoints')[0]


def step_flops(config: UNetConfig, batch: int, held_out: Mapping[str, list[Batch]]) -> int:
    """Operations of a step on `batch` examples of the sizes that are held out, as MFU counts."""
    like = held_out[TEXT_LOSS][0]
    shape = Shape(
        batch=batch,
        frames=like.latents.shape[2],
        prompt_tokens=like.text.prompt.shape[1],
        prefix_tokens=like.text.prefix.shape[1],
    )
    return unet_model_gradient(config, shape)


def uncontrolled(batch: Batch) -> Batch:
    """The same batch, of which neither tempo nor key nor chords are known."""
    size, _, frames, _ = batch.latents.shape
    text = dataclasses.replace(batch.text, control=unknown_control(size, frames))
    return dataclasses.replace(batch, text=text)


def held_out_batches(
    mixture: Mixture, curriculum: Curriculum, num_batches: int
) -> dict[str, list[Batch]]:
    """One set of batches for each kind of task that the curriculum draws, and always for text.

    Windows, roles and noise are the same in all.
    """
    kinds = curriculum.kinds
    wanted: dict[str, tuple[Kind, float]] = {TEXT_LOSS: (Kind.TEXT, 0.0)}
    if kinds.share(Kind.TEXT) and kinds.p_causal:
        wanted[f'{TEXT_LOSS}_causal'] = (Kind.TEXT, 1.0)
    for kind in SHOWING:
        if kinds.share(kind):
            wanted[f'{TEXT_LOSS}_{kind}'] = (kind, 0.0)
    return {
        name: fixed_batches(
            mixture,
            curriculum,
            batch=16,
            num_batches=num_batches,
            seed=VALIDATION_SEED,
            kind=kind,
            p_causal=p_causal,
        )
        for name, (kind, p_causal) in wanted.items()
    }
