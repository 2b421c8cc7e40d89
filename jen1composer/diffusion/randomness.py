"""All randomness of training and sampling as a function of (seed, example index).

Nothing is drawn from a chain of keys, so an example gets the same noise whatever batch, device or
run it stands in, and a resume needs no random state.
"""

import enum

import jax
import jax.numpy as jnp

Seed = int | jax.Array  # traced where one compiled sampler serves every seed


class Draw(enum.IntEnum):
    """What is drawn; the values are part of the key and so of every result."""

    NOISE = 0
    TIME = 1
    TEXT = 2
    LATENT_MASK = 3
    LATENT_NOISE = 4
    GENERATION = 5
    STEP = 6
    TEMPO = 7
    KEY = 8
    CHORDS = 9
    CONTROL = 10


def example_keys(seed: Seed, index: jax.Array, draw: Draw) -> jax.Array:
    """One key per example, `[batch]`, from (seed, draw, index); `index` is uint32 [batch]."""
    key = jax.random.fold_in(jax.random.key(seed), int(draw))
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(index)


def track_noise(
    seed: Seed, index: jax.Array, shape: tuple[int, ...], draw: Draw = Draw.NOISE
) -> jax.Array:
    """Standard normal noise `[batch, track, frame, channel]`, independent per example and track.

    It is keyed by (seed, example, track): the noise of one track does not depend on how many others
    there are. A marginalised track is this noise and nothing else.
    """
    num_tracks, num_frames, num_channels = shape

    def of_example(key: jax.Array) -> jax.Array:
        keys = jax.vmap(lambda k: jax.random.fold_in(key, k))(jnp.arange(num_tracks))
        return jax.vmap(lambda k: jax.random.normal(k, (num_frames, num_channels)))(keys)

    return jax.vmap(of_example)(example_keys(seed, index, draw))


def step_noise(seeds: jax.Array, steps: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Noise `[batch, track, frame, channel]` that a stochastic sampler adds in one step.

    Row b is a function of (seeds[b], steps[b]), uint32 [batch] both, and of the track, so rows at
    different steps share a batch.
    """

    def of_row(seed: jax.Array, step: jax.Array) -> jax.Array:
        return track_noise(seed, step[None], shape, Draw.STEP)[0]

    return jax.vmap(of_row)(seeds, steps)


def uniform_time(seed: Seed, index: jax.Array) -> jax.Array:
    """t in (0, 1], uniform, `[batch]`: the time shared by the targets of an example."""
    keys = example_keys(seed, index, Draw.TIME)
    return 1.0 - jax.vmap(jax.random.uniform)(keys)  # uniform draws 0 but never 1


def chance(seed: Seed, index: jax.Array, draw: Draw, probability: float) -> jax.Array:
    """True with `probability`, per example, `[batch]`."""
    return jax.vmap(jax.random.uniform)(example_keys(seed, index, draw)) < probability
