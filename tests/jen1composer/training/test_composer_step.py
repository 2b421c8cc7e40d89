"""The composer's loss: an oracle gets 0, and only an oracle of the noise that was added."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.diffusion.batch import Control, unknown_control
from jen1composer.diffusion.loss import example_loss, squared_error
from jen1composer.diffusion.prediction import Prediction
from jen1composer.diffusion.randomness import Draw, chance, track_noise, uniform_time
from jen1composer.diffusion.schedule import CosineSchedule, make_schedule, over_latents
from jen1composer.diffusion.time_sampling import LogitNormalTimes
from jen1composer.diffusion.weighting import MinSNRWeighting
from jen1composer.harmony import UNKNOWN_CHORD
from jen1composer.models.unet import UNet
from jen1composer.tracks import Role
from jen1composer.training.composer_step import (
    DiffusionConfig,
    drop_control,
    make_composer_loss,
    make_denoiser,
    make_estimator,
    make_predictor,
    track_losses,
)
from tests import tiny

SEED = 3
BATCH = tiny.make_batch(tiny.ROLES * 4)
ROLES = np.array(tiny.ROLES * 4)
X0 = jnp.asarray(BATCH.latents)


@dataclasses.dataclass
class Stand:
    """A predictor in the network's place; remembers what it was shown."""

    predict: object
    inputs: list = dataclasses.field(default_factory=list)

    def apply(self, variables, x, t, shown, task, text):
        del variables
        self.inputs.append((x, t, shown, task, text))
        return self.predict(x, t)


def oracle(prediction: Prediction):
    """Solves x = alpha x_0 + sigma epsilon for epsilon, knowing x_0; then states the target."""

    def predict(x: jax.Array, t: jax.Array) -> jax.Array:
        alpha, sigma = CosineSchedule().alpha_sigma(t)
        noise = (x - alpha[..., None, None] * X0) / sigma[..., None, None]  # 0 / 0 where given
        return prediction.target(X0, noise, alpha, sigma)

    return predict


def loss_of(predict, prediction=Prediction.V, seed=SEED, batch=BATCH, **changes) -> float:
    config = DiffusionConfig(prediction=prediction, **changes)
    return float(make_composer_loss(Stand(predict), config, seed)({}, batch, 0)[0])


@pytest.mark.parametrize('prediction', list(Prediction))
def test_an_oracle_of_the_added_noise_has_no_loss(prediction):
    assert loss_of(oracle(prediction), prediction) < 1e-8


@pytest.mark.parametrize('prediction', [Prediction.V, Prediction.EPSILON])
def test_an_oracle_of_other_noise_has(prediction):
    def predict(x, t):
        alpha, sigma = CosineSchedule().alpha_sigma(t)
        other = track_noise(SEED + 1, BATCH.index, X0.shape[1:])
        return prediction.target(X0, other, alpha, sigma)

    assert loss_of(predict, prediction) > 0.5


def test_nothing_said_costs_one_on_white_latents():
    assert abs(loss_of(lambda x, t: jnp.zeros_like(x)) - 1) < 0.1


def test_the_network_is_shown_every_time_and_the_corrupted_latents_that_belong_to_it():
    stand = Stand(lambda x, t: x)
    make_composer_loss(stand, DiffusionConfig(), SEED)({}, BATCH, 0)
    x, t, _, task, _ = stand.inputs[0]
    shared = np.asarray(uniform_time(SEED, BATCH.index))[:, None]
    expected = np.where(ROLES == Role.TARGET, shared, np.where(ROLES == Role.CONDITION, 0, 1))
    np.testing.assert_array_equal(t, expected)
    assert len(np.unique(shared)) == len(shared)
    np.testing.assert_array_equal(task.roles, ROLES)
    np.testing.assert_array_equal(x[ROLES == Role.CONDITION], X0[ROLES == Role.CONDITION])
    noise = np.asarray(track_noise(SEED, BATCH.index, X0.shape[1:]))
    np.testing.assert_array_equal(x[ROLES == Role.MARGINAL], noise[ROLES == Role.MARGINAL])


def test_the_prompt_is_dropped_by_chance_and_never_brought_back():
    stand = Stand(lambda x, t: x)
    without = np.arange(len(ROLES)) % 3 == 0
    text = dataclasses.replace(BATCH.text, use_prompt=~without)
    batch = dataclasses.replace(BATCH, text=text)
    make_composer_loss(stand, DiffusionConfig(prompt_dropout=0.5), SEED)({}, batch, 0)
    kept = np.asarray(stand.inputs[0][4].use_prompt)
    dropped = np.asarray(chance(SEED, BATCH.index, Draw.TEXT, 0.5))
    np.testing.assert_array_equal(kept, ~without & ~dropped)
    assert 0 < kept.sum() < (~without).sum()


def test_tempo_key_and_chords_are_dropped_apart_and_together():
    rows = 4000
    known = Control(
        bpm=np.full(rows, 120, np.float32),
        key=np.full(rows, 3, np.int32),
        chords=np.full((rows, 5), 7, np.int32),
    )
    index = np.arange(rows, dtype=np.uint32)
    config = DiffusionConfig(control_dropout=0.3, control_null=0.2)
    found = drop_control(known, config, SEED, index)
    kept = np.stack([found.bpm > 0, found.key == 3, (found.chords == 7).all(axis=1)])
    assert ((found.chords == 7).all(axis=1) | (found.chords == UNKNOWN_CHORD).all(axis=1)).all()
    np.testing.assert_allclose(kept.mean(axis=1), 0.8 * 0.7, atol=0.03)
    odds = 0.2 + 0.8 * 0.3**3  # that nothing is left
    assert abs((~kept).all(axis=0).mean() - odds) < 0.03
    pairs = [(kept[a] & kept[b]).mean() for a, b in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(pairs, 0.8 * 0.7**2, atol=0.03)

    backwards = drop_control(jax.tree.map(lambda x: x[::-1], known), config, SEED, index[::-1])
    np.testing.assert_array_equal(backwards.key[::-1], found.key)
    never = DiffusionConfig(control_dropout=0.0, control_null=0.0)
    jax.tree.map(np.testing.assert_array_equal, drop_control(known, never, SEED, index), known)
    always = drop_control(known, DiffusionConfig(control_null=1.0), SEED, index)
    jax.tree.map(np.testing.assert_array_equal, always, unknown_control(rows, 5))
    assert drop_control(None, config, SEED, index) is None


def test_the_network_is_told_what_is_left_of_control():
    stand = Stand(lambda x, t: x)
    known = unknown_control(len(ROLES), X0.shape[2])
    known = dataclasses.replace(known, bpm=np.full(len(ROLES), 90, np.float32))
    text = dataclasses.replace(BATCH.text, control=known)
    config = DiffusionConfig(control_dropout=0.5)
    make_composer_loss(stand, config, SEED)({}, dataclasses.replace(BATCH, text=text), 0)
    left = drop_control(known, config, SEED, BATCH.index)
    np.testing.assert_array_equal(stand.inputs[0][4].control.bpm, left.bpm)
    assert 0 < (np.asarray(left.bpm) > 0).sum() < len(ROLES)


def test_an_example_has_its_loss_whatever_its_batch():
    predict = make_predictor(UNet(tiny.UNET), tiny.randomised(tiny.init_params(tiny.UNET)))
    losses = jax.jit(
        lambda batch: track_losses(
            predict, batch, uniform_time(SEED, batch.index), DiffusionConfig(), SEED
        )
    )
    order = np.random.default_rng(0).permutation(len(ROLES))
    shuffled = jax.tree.map(lambda leaf: leaf[order], BATCH)
    whole = np.asarray(losses(BATCH))
    np.testing.assert_allclose(losses(shuffled), whole[order], rtol=1e-4, atol=1e-6)
    assert (whole[ROLES != Role.TARGET] == 0).all()
    assert (whole[ROLES == Role.TARGET] > 0).all()


@pytest.mark.parametrize('content', [np.nan, 1e30])
def test_what_a_marginal_track_held_reaches_neither_loss_nor_gradient(content):
    params = tiny.randomised(tiny.init_params(tiny.UNET))
    loss_fn = make_composer_loss(UNet(tiny.UNET), DiffusionConfig(), SEED)
    gradient = jax.jit(jax.value_and_grad(loss_fn, has_aux=True))
    marginal = (ROLES == Role.MARGINAL)[..., None, None]
    spoiled = dataclasses.replace(
        BATCH, latents=np.where(marginal, content, BATCH.latents).astype(np.float32)
    )
    jax.tree.map(
        np.testing.assert_array_equal, gradient(params, spoiled, 0), gradient(params, BATCH, 0)
    )


@pytest.mark.parametrize('prediction', list(Prediction))
def test_the_denoiser_of_an_oracle_returns_the_clean_latents(prediction):
    t = jnp.full(ROLES.shape, 0.3)
    noise = track_noise(SEED, BATCH.index, X0.shape[1:])
    alpha, sigma = CosineSchedule().alpha_sigma(t)
    x = alpha[..., None, None] * X0 + sigma[..., None, None] * noise
    stand = Stand(oracle(prediction))
    diffusion = DiffusionConfig(prediction=prediction)
    estimate = make_estimator(make_predictor(stand, {}), diffusion)
    denoise = make_denoiser(estimate, X0, BATCH.task, BATCH.text)
    np.testing.assert_allclose(denoise(x, t), X0, atol=1e-5)


def test_where_a_target_is_visible_it_is_shown_costs_nothing_and_is_the_estimate():
    visible = np.random.default_rng(0).random(ROLES.shape + X0.shape[2:3]) < 0.5
    batch = dataclasses.replace(BATCH, task=dataclasses.replace(BATCH.task, visible=visible))
    stand = Stand(lambda x, t: x)
    loss = float(make_composer_loss(stand, DiffusionConfig(), SEED)({}, batch, 0)[0])
    _, _, shown, _, _ = stand.inputs[0]
    expected = (visible & (ROLES == Role.TARGET)[..., None])[..., None]
    np.testing.assert_array_equal(shown, np.where(expected, X0, 0))

    wrong = Stand(lambda x, t: x + 100.0 * expected)  # wrong only where it is not asked
    assert float(make_composer_loss(wrong, DiffusionConfig(), SEED)({}, batch, 0)[0]) == loss
    estimate = make_estimator(make_predictor(stand, {}), DiffusionConfig())
    denoise = make_denoiser(estimate, X0, batch.task, batch.text)
    found = denoise(X0 + 1.0, jnp.full(ROLES.shape, 0.5))
    mask = np.broadcast_to(expected, X0.shape)
    np.testing.assert_array_equal(found[mask], X0[mask])
    assert (found[~mask] != X0[~mask]).all()


def test_times_and_weights_are_those_of_the_config():
    class Twice:
        def weight(self, alpha, sigma, prediction):
            return 2 * jnp.ones_like(alpha)

    stand = Stand(lambda x, t: x)
    times = LogitNormalTimes(mean=1.0)
    config = DiffusionConfig(time_sampling=times)
    once = float(make_composer_loss(stand, config, SEED)({}, BATCH, 0)[0])
    _, t, *_ = stand.inputs[0]
    shared = np.broadcast_to(times.times(SEED, BATCH.index)[:, None], ROLES.shape)
    np.testing.assert_array_equal(np.asarray(t)[ROLES == Role.TARGET], shared[ROLES == Role.TARGET])
    twice = dataclasses.replace(config, weighting=Twice())
    assert np.isclose(make_composer_loss(stand, twice, SEED)({}, BATCH, 0)[0], 2 * once)


@pytest.mark.parametrize('schedule', ['cosine', 'linear_beta', 'rectified_flow'])
@pytest.mark.parametrize('prediction', list(Prediction))
def test_all_kinds_of_prediction_weigh_alike_under_min_snr(schedule, prediction):
    """An oracle that is off by the same x_0 has the same loss, whatever it predicts."""
    chosen = make_schedule(schedule)
    off = 0.1 * jax.random.normal(jax.random.key(5), X0.shape)

    def predict(x, t):
        alpha, sigma = chosen.alpha_sigma(t)
        noise = (x - over_latents(alpha) * (X0 + off)) / over_latents(sigma)
        return prediction.target(X0 + off, noise, alpha, sigma)

    config = DiffusionConfig(
        prediction=prediction, schedule=chosen, weighting=MinSNRWeighting(gamma=5.0)
    )
    found = make_composer_loss(Stand(predict), config, SEED)({}, BATCH, 0)[0]
    alpha, sigma = chosen.alpha_sigma(uniform_time(SEED, BATCH.index))
    error = example_loss(squared_error(X0 + off, X0, BATCH.task), BATCH.task)
    expected = jnp.mean(jnp.minimum(jnp.square(alpha / sigma), 5.0) * error)
    np.testing.assert_allclose(found, expected, rtol=1e-3)
