"""The subject of an ablation on prepared music: latents of songs, and losses on held-out ones.

A cell's run is that of launch.train_composer with the cell's network in its place. Measured on the
validation songs, on the same windows and noise for all (`evaluation.validation`), in squared error
of the v-prediction over the middles of five times:

    single, joint        one track, all tracks, nothing given
    conditional          up to half of the tracks, all others given
    gap                  how much worse `conditional` is with the given tracks of another song

Where `measure.style` is a regular expression, all of that is also told of the held-out songs in
whose prompts it is found, and of the others apart, `style ..` and `others ..`, of validation and
test together: what a model knows of a style that `data.without` kept from it.

A model of one time is asked as its sampler would ask it: a given track at the time of the targets.
"""

import functools

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from data_pipeline.batches import batches, fixed_batches, stranger_batches
from data_pipeline.curriculum import Curriculum, Stage
from data_pipeline.mixture import Mixture
from data_pipeline.order import Order, begun
from data_pipeline.windows import Windows
from jen1composer.diffusion.batch import Batch
from jen1composer.diffusion.guidance import Predictor
from jen1composer.diffusion.loss import example_loss
from jen1composer.diffusion.randomness import track_noise
from jen1composer.evaluation.validation import conditioning_gap, time_bins
from jen1composer.sharding.strategies import strategy
from jen1composer.training.checkpoints import flat_identity
from jen1composer.training.composer_step import make_composer_loss, track_losses
from jen1composer.training.program import Recipe
from jen1composer.training.run import Run
from jen1composer.training.state import PyTree
from launch.ablation_grid import BESIDE_THE_TRAINING, Rows
from launch.ablation_model import Ablated, cell_curriculum, make_ablated
from launch.composer_data import VALIDATION_SEED, ComposerData, open_data, songs_with
from launch.composer_sections import make_composer_optimizer, make_diffusion
from launch.loop_section import make_loop

BATCH, BINS = 16, 5
GIVEN_SEED = VALIDATION_SEED + 1  # of the noise on given tracks where all have one time


class LatentsSubject:
    """See the module docstring; a `Subject` of `ablation_grid`."""

    def run(self, config: ConfigDict, seed: int) -> Run:
        data = open_data(config.data, seed)
        tracks = len(data.latents[0].manifest.tracks)
        curriculum, ablated = cell_curriculum(config, tracks), _ablated(config, data)
        order = Order(seed=seed, segments=begun(config.batch), total_steps=curriculum.total_steps)
        one = _asked(data.validation, curriculum, 1)[0]

        def init_params() -> PyTree:
            first = jax.tree.map(lambda leaf: leaf[:1], one)
            times, x = jnp.zeros(first.task.roles.shape), first.latents.astype(jnp.float32)
            key = jax.random.key(seed)
            return ablated.model.init(key, x, times, x, first.task, first.text)['params']

        identity = flat_identity(config, ignore=(*BESIDE_THE_TRAINING, 'data'))
        return Run(
            recipe=Recipe(
                init_params=init_params,
                loss_fn=make_composer_loss(ablated.model, ablated.diffusion, seed),
                optimizer=make_composer_optimizer(config, curriculum),
                ema_decay=config.ema_decay,
                layout=strategy('dp').layout(devices=jax.devices()[:1]),
            ),
            batches=lambda step: batches(data.train, curriculum, order, first_step=step),
            identity={**identity, **data.identity, 'seed': seed},
            loop=make_loop(config.loop, total_steps=curriculum.total_steps),
        )

    def forwards(self, config: ConfigDict) -> int:
        groups = 2 if config.measure.get('style', '') else 1
        return groups * 5 * BINS * BATCH * config.measure.batches

    def measure(self, config: ConfigDict, seed: int, weights: PyTree) -> Rows:
        data = open_data(config.data, seed)
        ablated = _ablated(config, data)
        compiled = jax.jit(functools.partial(_loss_at, ablated))
        loss_at = functools.partial(compiled, weights)
        found = {}
        for group, held_out in _held_out(config, data).items():
            asked = _asked_of_all(config, held_out)
            if ablated.shared_time:
                del asked['single']  # to it an unknown track is one that is generated along
            for name, of in asked.items():
                found[f'{group}{name}'] = float(time_bins(loss_at, of, BINS).mean())
            given = asked['conditional']
            strangers = stranger_batches(held_out, given, seed=VALIDATION_SEED)
            found[f'{group}gap'] = conditioning_gap(loss_at, given, strangers, BINS)[0]
        return {'': found}

    def anchors(self, config: ConfigDict) -> Rows:
        data = open_data(config.data, 0)
        zero_at = jax.jit(functools.partial(_zero_loss_at, _ablated(config, data)))
        found = {}
        for group, held_out in _held_out(config, data).items():
            for name, asked in _asked_of_all(config, held_out).items():
                found[f'{group}{name}'] = float(time_bins(zero_at, asked, BINS).mean())
            found[f'{group}gap'] = 0.0
        return {'a prediction of zero': found}


def _held_out(config: ConfigDict, data: ComposerData) -> dict[str, Mixture]:
    """The songs that are asked about, by what stands before the names of their measures."""
    style = config.measure.get('style', '')
    if not style:
        return {'': data.validation}
    latents = data.latents[0]
    of_style = songs_with(latents, style)
    others = set(range(len(latents.num_frames))) - of_style

    def of(songs: set[int]) -> Mixture:
        splits, frames = ('validation', 'test'), config.data.window_frames
        return Mixture.alone(Windows(latents, splits, frames, keep=songs))

    return {'style ': of(of_style), 'others ': of(others)}


def _asked_of_all(config: ConfigDict, held_out: Mixture) -> dict[str, list[Batch]]:
    """The batches of everything that is asked, by name."""
    tasks = _tasks(len(held_out.parts[0].latents.manifest.tracks))
    return {name: _asked(held_out, of, config.measure.batches) for name, of in tasks.items()}


def _asked(held_out: Mixture, tasks: Curriculum, count: int) -> list[Batch]:
    return fixed_batches(held_out, tasks, batch=BATCH, num_batches=count, seed=VALIDATION_SEED)


def _ablated(config: ConfigDict, data: ComposerData) -> Ablated:
    latents = data.latents[0]
    given = {
        'num_tracks': len(latents.manifest.tracks),
        'latent_channels': latents.manifest.channels,
        'text_width': latents.text.prompt.shape[-1],
    }
    return make_ablated(config, given, make_diffusion(config.diffusion))


def _tasks(num_tracks: int) -> dict[str, Curriculum]:
    """What is asked, by name."""

    def asked(most: int, least: int, p_given: float) -> Curriculum:
        shares = tuple(float(least <= k <= most) for k in range(1, num_tracks + 1))
        return Curriculum(
            num_tracks=num_tracks, stages=(Stage(steps=1, shares=shares),), p_given=p_given
        )

    return {
        'single': asked(1, 1, 0.0),
        'joint': asked(num_tracks, num_tracks, 0.0),
        'conditional': asked(max(1, num_tracks // 2), 1, 1.0),
    }


def _loss_at(ablated: Ablated, params: PyTree, batch: Batch, time: float) -> jax.Array:
    """Loss of each example [batch], the targets at `time`, with the noise of its index."""
    noise = track_noise(GIVEN_SEED, batch.index, batch.latents.shape[1:])
    return _losses(ablated.predictor(params, noise), ablated, batch, time)


def _zero_loss_at(ablated: Ablated, batch: Batch, time: float) -> jax.Array:
    """The same of a prediction of 0."""
    return _losses(lambda x, t, shown, task, text: jnp.zeros_like(x), ablated, batch, time)


def _losses(predict: Predictor, ablated: Ablated, batch: Batch, time: float) -> jax.Array:
    t = jnp.full(batch.index.shape, time)
    return example_loss(
        track_losses(predict, batch, t, ablated.diffusion, VALIDATION_SEED), batch.task
    )
