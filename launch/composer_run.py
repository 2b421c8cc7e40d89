"""From a composer's config to its run: data, model, loss and what stays fixed on a resume."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from data_pipeline.batches import Order, batches, fixed_batches
from data_pipeline.curriculum import Curriculum, Stage
from data_pipeline.kinds import Kinds
from data_pipeline.latents import Latents
from data_pipeline.windows import Windows
from jen1composer.diffusion.batch import Batch
from jen1composer.diffusion.prediction import Prediction
from jen1composer.errors import BadInput, require
from jen1composer.evaluation.validation import make_loss_at, time_bins
from jen1composer.models.unet import UNet
from jen1composer.sharding.mesh import check_batch, make_mesh
from jen1composer.sharding.rules import strategy
from jen1composer.training.checkpoints import flat_identity
from jen1composer.training.codec import Codec
from jen1composer.training.composer_step import DiffusionConfig, make_composer_loss
from jen1composer.training.loop import LoopConfig
from jen1composer.training.optimizer import OptimizerConfig, make_optimizer
from jen1composer.training.run import Run
from jen1composer.training.state import PyTree, TrainState
from jen1composer.training.workdir import ComposerSpec, unet_config
from launch.config_sections import require_sections

NOT_IDENTITY = ('data', 'loop', 'sharding', 'validation_batches')  # may change on a resume
TIME_BINS = 5
VALIDATION_SEED = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComposerRun:
    """A run with what the workdir must hold beside it."""

    run: Run
    spec: ComposerSpec
    codec: Codec
    held_out: list[Batch]
    loss_at: Callable[[PyTree, Batch, float], jax.Array]

    def evaluate(self, state: TrainState) -> dict[str, Any]:
        """Validation v-loss of the averaged weights, over all and per time bin."""
        loss = time_bins(functools.partial(self.loss_at, state.ema), self.held_out, TIME_BINS)
        return {
            'validation_loss': float(loss.mean()),
            'validation_loss_by_time': loss.round(4).tolist(),
        }


def make_curriculum(config: ConfigDict, num_tracks: int) -> Curriculum:
    """The curriculum of a config's section `curriculum`."""
    steps, targets = tuple(config.stage_steps), tuple(config.max_targets)
    if len(steps) != len(targets) or not all(isinstance(n, int) for n in steps + targets):
        raise BadInput(
            f'--config.curriculum: stage_steps={steps}, max_targets={targets}; '
            'allowed are as many whole numbers in both, such as (1500,1500) and (1,4)'
        )
    stages = zip(steps, targets, strict=True)
    return Curriculum(
        num_tracks=num_tracks,
        stages=tuple(Stage(steps=count, max_targets=most) for count, most in stages),
        newest_share=config.newest_share,
        p_given=config.p_given,
        kinds=make_kinds(config),
    )


def make_kinds(config: ConfigDict) -> Kinds:
    """The kinds of tasks in a config's section `curriculum`; text alone where it names none."""
    names = ('p_causal', 'shared_span', 'min_span', 'max_span')
    settings = {name: config[name] for name in names if name in config}
    if 'kinds' in config:  # A list where it was read from a checkpoint.
        settings['shares'] = tuple(config.kinds) if isinstance(config.kinds, list) else config.kinds
    known = {'stage_steps', 'max_targets', 'newest_share', 'p_given', 'kinds', *names}
    for name in config:
        require(name in known, '--config.curriculum', name, f'are {", ".join(sorted(known))}')
    return Kinds(**settings)


def composer_run(config: ConfigDict) -> ComposerRun:
    """Assembles a run; raises BadInput, naming the flag, where parts do not belong together."""

    require_sections(
        config,
        'train_composer',
        ['data.', 'curriculum.', 'model.', 'diffusion.', 'optimizer.', 'sharding.', 'loop.'],
    )
    require(0 <= config.ema_decay < 1, 'ema_decay', config.ema_decay, 'is 0 to below 1')
    num_batches = config.validation_batches
    require(num_batches >= 1, 'validation_batches', num_batches, 'is 1 or more')

    # ---- Data: the latents, the autoencoder that made them, the curriculum.
    latents = Latents(config.data.latents)
    manifest = latents.manifest
    codec = Codec.load(config.data.autoencoder)
    if codec.fingerprint != manifest.autoencoder_fingerprint:
        raise BadInput(
            f'--config.data.autoencoder={config.data.autoencoder}: did not encode '
            f'{config.data.latents}; allowed is the one that was named to encode_latents'
        )
    curriculum = make_curriculum(config.curriculum, len(manifest.tracks))
    order = Order(
        seed=config.seed,
        global_batch=config.batch,
        total_steps=sum(stage.steps for stage in curriculum.stages),
        host=jax.process_index(),
        hosts=jax.process_count(),
    )
    windows = Windows(latents, ['train'], config.data.window_frames)
    held_out = fixed_batches(
        Windows(latents, ['validation'], config.data.window_frames),
        curriculum,
        batch=16,
        num_batches=num_batches,
        seed=VALIDATION_SEED,
    )

    # ---- Model and loss.
    given = {
        'num_tracks': len(manifest.tracks),
        'latent_channels': manifest.channels,
        'text_width': latents.text.prompt.shape[-1],
    }
    model = UNet(unet_config(given | config.model.to_dict()))
    diffusion = DiffusionConfig(
        prediction=Prediction(config.diffusion.prediction),
        prompt_dropout=config.diffusion.prompt_dropout,
    )

    def init_params() -> Any:
        one = jax.tree.map(lambda leaf: leaf[:1], held_out[0])
        t = jnp.zeros(one.task.roles.shape)
        key, x = jax.random.key(config.seed), one.latents
        return model.init(key, x, t, x, one.task, one.text)['params']

    def host_batches(first_step: int) -> Iterator[Batch]:
        return batches(windows, curriculum, order, first_step=first_step)

    mesh = make_mesh(data=config.sharding.data, fsdp=config.sharding.fsdp)
    check_batch(config.batch, mesh)
    run = Run(
        init_params=init_params,
        loss_fn=make_composer_loss(model, diffusion, config.seed),
        optimizer=make_optimizer(
            OptimizerConfig(total_steps=order.total_steps, **config.optimizer)
        ),
        ema_decay=config.ema_decay,
        batches=host_batches,
        identity=flat_identity(config, ignore=NOT_IDENTITY)
        | {'latents': manifest.fingerprint, 'window_frames': config.data.window_frames},
        mesh=mesh,
        rules=strategy(config.sharding.strategy),
        loop=LoopConfig(total_steps=order.total_steps, **config.loop),
    )
    spec = ComposerSpec(
        tracks=manifest.tracks,
        model=model.config,
        prediction=diffusion.prediction,
        window_frames=config.data.window_frames,
        hop_samples=manifest.hop_samples,
        max_tokens=latents.text.prompt.shape[1],
        autoencoder_fingerprint=manifest.autoencoder_fingerprint,
        text_fingerprint=manifest.text_fingerprint,
        text_encoder=manifest.text_encoder,
    )
    loss_at = make_loss_at(model, diffusion, VALIDATION_SEED)
    return ComposerRun(run=run, spec=spec, codec=codec, held_out=held_out, loss_at=loss_at)
