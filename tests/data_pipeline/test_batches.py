"""Batches: a function of the step, whatever the hosts and threads; each window once an epoch."""

import itertools

import jax
import numpy as np
import pytest

from data_pipeline.batches import (
    Order,
    TaskMixture,
    batches,
    example,
    fixed_batches,
    stranger_batches,
)
from data_pipeline.curriculum import Curriculum, Stage
from data_pipeline.windows import Windows
from jen1composer.errors import BadInput
from jen1composer.tracks import Role, task_id
from tests.data_pipeline import latent_folder as small

CURRICULUM = Curriculum(
    num_tracks=4, stages=(Stage(steps=4, max_targets=1), Stage(steps=6, max_targets=4))
)
ORDER = Order(seed=7, global_batch=8, total_steps=10)


@pytest.fixture(scope='module')
def windows(tmp_path_factory):
    folder = tmp_path_factory.mktemp('batches')
    latents = small.write(folder / 'latents', small.prepare(folder / 'data'))
    return Windows(latents, ['train'], 8)


def read(windows, order=ORDER, first_step=0, threads=2):
    return list(batches(windows, CURRICULUM, order, first_step=first_step, threads=threads))


def assert_equal(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


def test_a_batch_has_every_part_in_its_shape(windows):
    batch = read(windows)[0]
    assert batch.latents.shape == (8, 4, 8, small.CHANNELS)
    assert batch.latents.dtype == np.float32
    assert batch.task.roles.shape == (8, 4)
    assert batch.task.visible.shape == (8, 4, 8)
    assert batch.task.causal.shape == (8,)
    assert batch.text.prompt.shape[0] == batch.text.prefix.shape[0] == 8
    assert batch.index.dtype == np.uint32


def test_resuming_at_any_step_reads_the_same_batches(windows):
    whole = read(windows)
    assert len(whole) == ORDER.total_steps
    for first_step in (1, 4, 9):
        assert_equal(read(windows, first_step=first_step), whole[first_step:])


@pytest.mark.parametrize('threads', [1, 4])
def test_the_number_of_threads_changes_nothing(windows, threads):
    assert_equal(read(windows, threads=threads), read(windows))


@pytest.mark.parametrize('hosts', [2, 4])
def test_hosts_read_the_parts_of_the_same_batches(windows, hosts):
    whole = read(windows)
    parts = [
        read(windows, Order(seed=7, global_batch=8, total_steps=10, host=host, hosts=hosts))
        for host in range(hosts)
    ]
    for step, batch in enumerate(whole):
        together = jax.tree.map(lambda *x: np.concatenate(x), *(part[step] for part in parts))
        assert_equal(together, batch)


def test_each_window_comes_once_per_epoch_and_epochs_differ(windows):
    count = len(windows)
    order = Order(seed=0, global_batch=count, total_steps=3)
    mixture = TaskMixture(windows, CURRICULUM, order)
    epochs = [
        [windows.places.index(mixture._parent[epoch * count + i]) for i in range(count)]
        for epoch in range(3)
    ]
    for epoch in epochs:
        assert sorted(epoch) == list(range(count))
    assert epochs[0] != epochs[1] != epochs[2]


def test_the_task_comes_from_the_curriculum_and_the_text_from_task_and_song(windows):
    tables = windows.latents.text
    for step, batch in enumerate(read(windows)):
        assert (batch.index == np.arange(8) + 8 * step).all()
        for row, index in enumerate(batch.index):
            roles = CURRICULUM.draw(ORDER.seed, int(index), step)
            np.testing.assert_array_equal(batch.task.roles[row], roles)
            np.testing.assert_array_equal(
                batch.text.prefix[row], tables.prefix[task_id(roles.tolist())]
            )
            assert any((batch.text.prompt[row] == states).all() for states in tables.prompt)


def test_song_and_task_are_drawn_apart(windows):
    """With another curriculum the same windows come, at the same places."""
    other = Curriculum(num_tracks=4, stages=(Stage(steps=10, max_targets=2),), p_given=0)
    mine = read(windows)
    theirs = list(batches(windows, other, ORDER, first_step=0))
    assert_equal([b.latents for b in mine], [b.latents for b in theirs])
    assert any((a.task.roles != b.task.roles).any() for a, b in zip(mine, theirs, strict=True))


def test_strangers_come_from_another_song_with_the_same_task(windows):
    validation = Windows(windows.latents, ['validation'], 8)
    fixed = fixed_batches(validation, CURRICULUM, batch=4, num_batches=2, seed=0)
    assert_equal(fixed, fixed_batches(validation, CURRICULUM, batch=4, num_batches=2, seed=0))
    strangers = stranger_batches(validation, fixed, seed=0)
    for batch, stranger in zip(fixed, strangers, strict=True):
        assert_equal(batch.task.roles, stranger.task.roles)
        assert (batch.text.prompt != stranger.text.prompt).any(axis=(1, 2)).all()
    later = itertools.chain.from_iterable(b.task.roles for b in fixed)
    assert any((roles == Role.TARGET).sum() > 1 for roles in later)  # tasks of the last stage


def test_a_batch_that_hosts_cannot_share_and_too_many_examples_are_refused():
    with pytest.raises(BadInput, match='batch: 8; allowed are multiples of 3 hosts'):
        Order(seed=0, global_batch=8, total_steps=1, hosts=3)
    with pytest.raises(BadInput, match='total_steps'):
        Order(seed=0, global_batch=2**20, total_steps=2**13)


def test_an_empty_prompt_is_no_prompt(tmp_path):
    prepared = small.prepare(tmp_path / 'data', {'a': ''})
    windows = Windows(small.write(tmp_path / 'latents', prepared), ['train'], 8)
    roles = np.zeros(4, np.int32)
    for window in windows.places:
        described = windows.latents.manifest.songs[window.song].id != 'a'
        assert example(windows, window, roles, 0, seed=None).text.use_prompt == described
