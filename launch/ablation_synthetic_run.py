"""The synthetic subject's run, and what is measured of it.

Sets, prompts and noise of the measurement are a function of the seed, so that variants are paired.
A sampler of 20 steps (DPM-Solver++ 2M) makes, with none of them prompted but where it is said,

    joint        all tracks                             joint coherence, coverage, energy distance
    prompted     all tracks, the key told               share of tracks in that key
    given_1..    the other tracks, 1 .. K - 1 given     share of them that agree with the given ones
    sparse       one track, one given, no other known   the same
    single       one track, no other known              coverage, energy distance of single tracks

each of the last three over all choices of tracks alike (`evaluation.synthetic_measures`).
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jen1composer.diffusion.batch import Batch
from jen1composer.diffusion.corruption import corrupt
from jen1composer.diffusion.randomness import Draw, track_noise
from jen1composer.diffusion.samplers import sample, time_grid
from jen1composer.diffusion.solvers import make_sampler
from jen1composer.evaluation import synthetic_measures as measures
from jen1composer.evaluation.synthetic_law import Sets, SyntheticLaw
from jen1composer.sharding.strategies import strategy
from jen1composer.tracks import TRACKS, Role
from jen1composer.training.checkpoints import flat_identity
from jen1composer.training.composer_step import make_composer_loss
from jen1composer.training.program import Recipe
from jen1composer.training.run import Run
from jen1composer.training.state import PyTree
from launch.ablation_grid import BESIDE_THE_TRAINING, Rows
from launch.ablation_model import Ablated, cell_curriculum, make_ablated
from launch.ablation_sampling import Generate, Ways, all_orders
from launch.ablation_synthetic import (
    INDEX_BITS,
    TEXT_WIDTH,
    SyntheticBatches,
    Words,
    make_batch,
    make_law,
)
from launch.composer_sections import make_composer_optimizer, make_diffusion
from launch.loop_section import make_loop

ROWS = 256  # that are sampled at a time: one compiled sampler for all that is asked
_MEASURED, _TRUE, _STRANGERS = range(1 << 30, (1 << 30) + 3)  # no steps of a training
TAKES = (1, 2, 4, 8)
ROUNDS = 3


class SyntheticSubject:
    """See the module docstring; a `Subject` of `ablation_grid`."""

    def run(self, config: ConfigDict, seed: int) -> Run:
        law = make_law(config.law)
        curriculum = cell_curriculum(config, law.num_tracks)
        batches = SyntheticBatches(
            law=law,
            curriculum=curriculum,
            batch=config.batch,
            seed=seed,
            p_prompt=config.law_prompts,
        )
        ablated = self._ablated(config)
        first = batches.at(0)

        def init_params() -> PyTree:
            times, x = jnp.zeros(first.task.roles.shape), first.latents
            variables = ablated.model.init(
                jax.random.key(seed), x, times, x, first.task, first.text
            )
            return variables['params']

        identity = flat_identity(config, ignore=BESIDE_THE_TRAINING)
        return Run(
            recipe=Recipe(
                init_params=init_params,
                # Not of the seed: that is in the examples' indices.
                loss_fn=make_composer_loss(ablated.model, ablated.diffusion, 0),
                optimizer=make_composer_optimizer(config, curriculum),
                ema_decay=config.ema_decay,
                layout=strategy('dp').layout(devices=jax.devices()[:1]),
            ),
            batches=batches,
            identity=identity | {'seed': seed},
            loop=make_loop(config.loop, total_steps=curriculum.total_steps),
        )

    def forwards(self, config: ConfigDict) -> int:
        count, tracks = config.measure.sets, make_law(config.law).num_tracks
        asked = 2 * count + (tracks + 1) * _share(count)
        if config.measure.sampling:
            asked += len(all_orders(tracks)) * tracks * _few(count)
            asked += (max(TAKES) + ROUNDS) * _share(count) + sum(TAKES) * tracks * _share(count)
        return asked * config.measure.steps

    def measure(self, config: ConfigDict, seed: int, weights: PyTree) -> Rows:
        law, count = make_law(config.law), config.measure.sets
        asking = _Asking(
            law=law,
            ablated=self._ablated(config),
            weights=nn.unbox(weights),
            steps=config.measure.steps,
            seed=seed,
        )
        truth = _sets(law, seed, _TRUE, count).x
        found = _measured(asking, truth, count)
        if not config.measure.sampling:
            return {'': found}
        return {'': found} | sampled_rows(law, asking.tracks, truth, count)

    def anchors(self, config: ConfigDict) -> Rows:
        law, count = make_law(config.law), config.measure.sets
        truth = _sets(law, 0, _TRUE, count)
        strangers = law.sample_strangers(np.random.default_rng((0, _STRANGERS)), count)
        generated = np.arange(law.num_tracks) > 0  # the first track is the one that is given
        rows = {}
        for name, sets in (
            ('true sets', _sets(law, 1, _TRUE, count)),
            ('true tracks of different sets', strangers),
        ):
            counted = np.tile(generated, (count, 1))
            shares = measures.conditional_coherence(law, sets.x, sets.z, counted)
            rows[name] = _judged(law, sets, truth.x) | {'conditional_all': shares['all']}
        return rows

    def _ablated(self, config: ConfigDict) -> Ablated:
        law = make_law(config.law)
        given = {
            'num_tracks': law.num_tracks,
            'latent_channels': law.means.shape[-1],
            'text_width': TEXT_WIDTH,
        }
        return make_ablated(config, given, make_diffusion(config.diffusion))


# ---- What is asked


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Asking:
    """A trained model that is asked for tracks."""

    law: SyntheticLaw
    ablated: Ablated
    weights: PyTree
    steps: int
    seed: int

    def tracks(
        self, x: np.ndarray, roles: np.ndarray, first: int, z: np.ndarray | None = None
    ) -> np.ndarray:
        """All tracks of sets `x` whose targets are generated; with `z` their keys are told."""
        prompted = np.full(len(x), z is not None)
        z = np.zeros((len(x), 3), int) if z is None else z
        text = Words.of(self.law).text(z, roles, prompted)
        index = (self.seed << INDEX_BITS) + first + np.arange(len(x))
        batch = make_batch(Sets(z=z, x=x), roles, text, index)
        made = [
            generated(self.weights, part, ablated=self.ablated, steps=self.steps)
            for part in _parts(batch, ROWS)
        ]
        return np.concatenate(made)[: len(x)]


@functools.partial(jax.jit, static_argnames=('ablated', 'steps'))
def generated(params: PyTree, batch: Batch, *, ablated: Ablated, steps: int) -> jax.Array:
    """Latents [batch, track, frame, channel]; what is given comes from `batch.latents`."""
    schedule, clean, task = ablated.diffusion.schedule, batch.latents, ablated.task(batch.task)
    noise = track_noise(0, batch.index, clean.shape[1:], Draw.GENERATION)
    times = time_grid(task.roles, steps, ablated.diffusion.prediction.t_max(schedule))
    x = corrupt(clean, noise, jnp.where(times[0] > 0, 1.0, 0.0), schedule)
    predict = ablated.predictor(params, noise)
    to_x0, shown = ablated.diffusion.prediction.to_x0, jnp.zeros_like(clean)

    def denoise(x: jax.Array, t: jax.Array) -> jax.Array:
        return to_x0(predict(x, t, shown, task, batch.text), x, *schedule.alpha_sigma(t))

    return sample(denoise, x, times, make_sampler('dpmpp_2m', schedule, {}))


def _measured(asking: _Asking, truth: np.ndarray, count: int) -> dict[str, float]:
    law, num_tracks = asking.law, asking.law.num_tracks
    given = _sets(law, asking.seed, _MEASURED, count)
    numbers = itertools.count(0, count)  # first examples: no noise comes twice

    all_targets = np.zeros((count, num_tracks), int)
    joint = asking.tracks(np.zeros_like(given.x), all_targets, next(numbers))
    found = _judged(law, Sets(z=given.z, x=joint), truth)

    told = asking.tracks(np.zeros_like(given.x), all_targets, next(numbers), given.z)
    read = law.values[law.read(told)]
    found['prompted_key'] = float((read[..., 0] == given.z[:, :1]).mean())

    some = _share(count)
    few = Sets(z=given.z[:some], x=given.x[:some])
    for name, choices in _conditional_tasks(num_tracks):
        roles = np.array(choices)[np.arange(some) % len(choices)]
        made = asking.tracks(few.x, roles, next(numbers))
        shares = measures.conditional_coherence(law, made, few.z, roles == Role.TARGET)
        found[f'{name}_all'] = shares['all']
    of_given = [found[f'given_{n}_all'] for n in range(1, num_tracks)]
    found['conditional_all'] = float(np.mean(of_given))

    roles = np.full((some, num_tracks), int(Role.MARGINAL))
    only = np.arange(some) % num_tracks
    roles[np.arange(some), only] = Role.TARGET
    made = asking.tracks(few.x, roles, next(numbers))
    alone = [made[only == k, k : k + 1] for k in range(num_tracks)]
    found['single_energy'] = float(
        np.mean([measures.energy_distance(x, truth[:, [k]]) for k, x in enumerate(alone)])
    )
    return found


def sampled_rows(
    law: SyntheticLaw, generate: Generate, truth: np.ndarray, count: int
) -> dict[str, dict[str, float]]:
    """The ways of `ablation_sampling` for a model that generates, as rows."""
    some = _share(count)
    ways = Ways(law=law, generate=generate)
    first = 1 << (INDEX_BITS - 1)  # beyond the noise of what is measured of every variant

    def told(x: np.ndarray) -> dict[str, float]:
        return _judged(law, Sets(z=np.zeros((len(x), 3), int), x=x), truth)

    takes = ways.one_shot(max(TAKES) * some, first).reshape(max(TAKES), some, *truth.shape[1:])
    rows = {'one shot': told(takes[0])}
    orders = all_orders(law.num_tracks)
    first += max(TAKES) * some
    each = _few(count)
    made = ways.in_orders(orders, each, first).reshape(len(orders), each, *truth.shape[1:])
    first += made.shape[0] * each * law.num_tracks
    rows['track after track'] = told(made.reshape(-1, *truth.shape[1:]))
    leaders, names = np.array(orders)[:, 0], track_names(law.num_tracks)
    for k in range(law.num_tracks):
        of_leader = made[leaders == k].reshape(-1, *truth.shape[1:])
        rows[f'track after track, {names[k]} first'] = told(of_leader)
    for n in TAKES[1:]:
        rows[f'best of {n}'] = told(ways.best_of(takes[:n]))
    for number, x in enumerate(ways.loop_rounds(takes[0], ROUNDS, first), start=1):
        rows[f'loop, {number} rounds'] = told(x)
    first += ROUNDS * some
    for n in TAKES:
        rows[f'loop, best of {n}'] = told(ways.loop_best_of(n, some, first))
        first += n * some * law.num_tracks
    for order, sets in zip(orders, made, strict=True):
        name = ' > '.join(names[k] for k in order)
        rows[f'order {name}'] = {'joint_all': measures.joint_coherence(law, sets)['all']}
    return rows


def track_names(count: int) -> tuple[str, ...]:
    """What rows call the tracks of a law: as ours are, and by number those beyond them."""
    return (*TRACKS, *(f'track {k}' for k in range(len(TRACKS) + 1, count + 1)))[:count]


def _judged(law: SyntheticLaw, sets: Sets, truth: np.ndarray) -> dict[str, float]:
    """What is told of sets in which every track was generated."""
    shares = measures.joint_coherence(law, sets.x)
    return {f'joint_{name}': share for name, share in shares.items()} | {
        'coverage_tv': measures.coverage(law, sets.x),
        'energy': measures.energy_distance(sets.x, truth),
    }


def _conditional_tasks(num_tracks: int) -> Iterator[tuple[str, list[tuple[int, ...]]]]:
    """Names of what is measured, with the roles that are asked alike often."""
    held = (int(Role.TARGET), int(Role.CONDITION))
    tasks = list(itertools.product(held, repeat=num_tracks))
    for n in range(1, num_tracks):
        yield f'given_{n}', [r for r in tasks if r.count(int(Role.CONDITION)) == n]
    three = itertools.product(map(int, Role), repeat=num_tracks)
    yield (
        'sparse',
        [r for r in three if r.count(int(Role.TARGET)) == r.count(int(Role.CONDITION)) == 1],
    )


def _sets(law: SyntheticLaw, seed: int, what: int, count: int) -> Sets:
    return law.sample(np.random.default_rng((seed, what)), count)


def _share(count: int) -> int:
    """Sets in a task of which there are several."""
    return max(1, count // 2)


def _few(count: int) -> int:
    """Sets in each order."""
    return max(1, count // 16)


def _parts(batch: Batch, rows: int) -> Iterator[Batch]:
    """Parts of `rows` examples, the last one filled up with its last example."""
    for begin in range(0, len(batch.index), rows):
        take = np.minimum(np.arange(begin, begin + rows), len(batch.index) - 1)
        yield jax.tree.map(lambda leaf, take=take: np.asarray(leaf)[take], batch)
