"""Batches: a function of the step, whatever the hosts and threads; each window once an epoch."""

import dataclasses
import itertools
import operator
import pathlib
import subprocess
import sys

import jax
import ml_dtypes
import numpy as np
import pytest

from data_pipeline.batches import StepBatches, batches, example, fixed_batches, stranger_batches
from data_pipeline.curriculum import Curriculum, Stage
from data_pipeline.kinds import Kind, Kinds
from data_pipeline.mixture import Mixture
from data_pipeline.order import Order, begun, resumed
from data_pipeline.silence import Silence
from data_pipeline.windows import Windows
from jen1composer.errors import BadInput
from jen1composer.tracks import Role, task_id
from tests.data_pipeline import latent_folder as small
from tests.data_pipeline import read_with_workers

ROOT = pathlib.Path(__file__).parents[2]
CURRICULUM = Curriculum(
    num_tracks=4, stages=(Stage(steps=4, shares=(1, 0, 0, 0)), Stage(steps=6, shares=(1, 1, 1, 3)))
)
ALL_KINDS = dataclasses.replace(CURRICULUM, kinds=Kinds(shares=(1, 1, 1), p_causal=0.5))
ORDER = Order(seed=7, segments=begun(8), total_steps=10)


def order_of(batch, total_steps, **others):
    return Order(seed=7, segments=begun(batch), total_steps=total_steps, **others)


@pytest.fixture(scope='module')
def windows(tmp_path_factory):
    folder = tmp_path_factory.mktemp('batches')
    latents = small.write(folder / 'latents', small.prepare(folder / 'data'))
    return Windows(latents, ['train'], 8)


@pytest.fixture(scope='module')
def mixed(windows, tmp_path_factory):
    """Two data sets, of 24 and 11 windows, the second in two versions with two prompts a song."""
    folder = tmp_path_factory.mktemp('other')
    prepared = small.prepare(folder / 'data', {'c': ['slow', 'waltz'], 'd': ['fast', 'polka']})
    latents = small.write(
        folder / 'latents', prepared, num_versions=2, augment=lambda stems, song, version: -stems
    )
    return Mixture([windows, Windows(latents, ['validation'], 8)], [2, 1], 7)


def alone(windows, seed=ORDER.seed):
    return Mixture.alone(windows, seed)


def validation_of(windows):
    return alone(Windows(windows.latents, ['validation'], 8))


def read(mixture, order=ORDER, first_step=0, threads=2, curriculum=ALL_KINDS):
    mixture = alone(mixture) if isinstance(mixture, Windows) else mixture
    return list(batches(mixture, curriculum, order, first_step=first_step, threads=threads))


def assert_equal(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


def bare(batch):
    """The batch as it is where its targets are made whole, in both directions."""
    visible, causal = np.zeros_like(batch.task.visible), np.zeros_like(batch.task.causal)
    return dataclasses.replace(
        batch, task=dataclasses.replace(batch.task, visible=visible, causal=causal)
    )


def test_a_batch_has_every_part_in_its_shape(windows):
    batch = read(windows)[0]
    assert batch.latents.shape == (8, 4, 8, small.CHANNELS)
    assert batch.latents.dtype == ml_dtypes.bfloat16  # as stored
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


@pytest.mark.parametrize('threads', [1, 4, 8])
def test_the_number_of_threads_changes_nothing(mixed, threads):
    assert_equal(read(mixed, threads=threads), read(mixed))


@pytest.mark.parametrize('hosts', [2, 4])
def test_hosts_read_the_parts_of_the_same_batches(mixed, hosts):
    whole = read(mixed)
    parts = [read(mixed, order_of(8, 10, host=host, hosts=hosts)) for host in range(hosts)]
    for step, batch in enumerate(whole):
        together = jax.tree.map(lambda *x: np.concatenate(x), *(part[step] for part in parts))
        assert_equal(together, batch)


def test_worker_processes_change_nothing():
    """In a process of its own, with absl's flags parsed as a command has them."""
    done = subprocess.run(
        [sys.executable, '-m', read_with_workers.__name__, '0', '1', '2'],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    none, one, two = (line.split() for line in done.stdout.splitlines()[-3:])
    assert len(set(none)) == 7
    assert none == one == two


def test_another_batch_goes_on_at_the_example_after_the_last(mixed):
    """In one stage, that is: the roles depend on the step."""
    curriculum = Curriculum(num_tracks=4, stages=(Stage(steps=40, shares=(1, 1, 1, 1)),))
    segments = resumed(resumed(begun(8), 3, 4), 7, 12)  # 24 examples, then 16, then 36
    order = Order(seed=7, segments=segments, total_steps=10)
    changing = read(mixed, order, curriculum=curriculum)
    assert [len(batch.index) for batch in changing] == [8] * 3 + [4] * 4 + [12] * 3
    steady = read(mixed, order_of(4, 19), curriculum=curriculum)
    flat = [
        jax.tree.map(lambda *leaves: np.concatenate(leaves), *some) for some in (changing, steady)
    ]
    assert_equal(flat[0], flat[1])
    assert_equal(read(mixed, order, first_step=7, curriculum=curriculum), changing[7:])


def test_each_window_comes_once_per_epoch_whatever_the_hosts(windows):
    """With no jitter to tell: a window of the whole clip."""
    whole = Windows(windows.latents, ['train'], small.CLIP_FRAMES)
    count = len(whole)
    content = {whole.view(window).tobytes(): number for number, window in enumerate(whole)}
    assert len(content) == count == 5
    for hosts in (1, 5):
        parts = [read(whole, order_of(count, 3, host=host, hosts=hosts)) for host in range(hosts)]
        epochs = [
            [content[x.tobytes()] for part in parts for x in part[epoch].latents]
            for epoch in range(3)
        ]
        assert [sorted(epoch) for epoch in epochs] == [list(range(count))] * 3
        assert epochs[0] != epochs[1] != epochs[2]


def test_an_example_shows_its_window_its_version_and_one_of_its_prompts(mixed):
    prompts, versions = set(), set()
    for batch in read(mixed):
        for row, index in enumerate(batch.index.tolist()):
            windows, window = mixed[index]
            latents = windows.latents
            version, offset = windows.version(7, index), windows.jitter(7, index)
            np.testing.assert_array_equal(batch.latents[row], windows.read(window, offset, version))
            prompt = windows.prompt_row(window, 7, index)
            np.testing.assert_array_equal(batch.text.prompt[row], latents.text.prompt[prompt])
            prompts.add(latents.prompts[prompt])
            versions.add((latents.manifest.num_versions, version))
    assert {'slow', 'waltz', 'fast', 'polka'} < prompts
    assert versions == {(1, 0), (2, 0), (2, 1)}


def test_the_task_comes_from_the_curriculum_and_the_text_from_task_and_song(windows):
    tables = windows.latents.text
    for step, batch in enumerate(read(windows)):
        assert (batch.index == np.arange(8) + 8 * step).all()
        for row, index in enumerate(batch.index):
            task = ALL_KINDS.draw(ORDER.seed, int(index), step, 8)
            assert_equal(jax.tree.map(operator.itemgetter(row), batch.task), task)
            np.testing.assert_array_equal(
                batch.text.prefix[row], tables.prefix[task_id(task.roles.tolist())]
            )
            assert any((batch.text.prompt[row] == states).all() for states in tables.prompt)


def test_song_and_task_are_drawn_apart(windows):
    """With another curriculum the same windows come, at the same places."""
    other = Curriculum(num_tracks=4, stages=(Stage(steps=10, shares=(1, 1, 0, 0)),), p_given=0)
    mine = read(windows)
    theirs = read(windows, curriculum=other)
    assert_equal([b.latents for b in mine], [b.latents for b in theirs])
    assert any((a.task.roles != b.task.roles).any() for a, b in zip(mine, theirs, strict=True))


def test_kinds_change_nothing_but_what_is_shown_and_the_direction(windows):
    whole = read(windows, curriculum=CURRICULUM)
    assert_equal(whole, [bare(batch) for batch in whole])
    with_kinds = read(windows)
    assert_equal([bare(batch) for batch in with_kinds], whole)
    assert any(batch.task.visible.any() for batch in with_kinds)
    assert any(batch.task.causal.any() for batch in with_kinds)


def test_what_an_example_shows_depends_on_neither_batch_nor_hosts(windows):
    """In one stage, that is: the roles depend on the step."""
    curriculum = Curriculum(
        num_tracks=4, stages=(Stage(steps=40, shares=(1, 1, 1, 3)),), kinds=ALL_KINDS.kinds
    )

    def tasks(batch, hosts):
        found = {}
        for host in range(hosts):
            order = order_of(batch, 48 // batch, host=host, hosts=hosts)
            for read_batch in read(windows, order, curriculum=curriculum):
                task = read_batch.task
                rows = zip(task.roles, task.visible, task.causal, strict=True)
                found |= dict(zip(read_batch.index.tolist(), rows, strict=True))
        return [found[i] for i in range(48)]

    one_by_one = tasks(1, 1)
    for batch, hosts in ((8, 1), (8, 4), (16, 2)):
        assert_equal(tasks(batch, hosts), one_by_one)


def test_fixed_batches_are_of_one_kind_and_otherwise_the_same(windows):
    validation = validation_of(windows)
    sizes = {'batch': 4, 'num_batches': 3, 'seed': 1}
    text = fixed_batches(validation, CURRICULUM, **sizes)
    assert_equal(fixed_batches(validation, ALL_KINDS, **sizes), text)
    assert_equal([bare(batch) for batch in text], text)
    for kind, causal in ((Kind.INPAINTING, False), (Kind.CONTINUATION, True)):
        of_kind = fixed_batches(validation, ALL_KINDS, **sizes, kind=kind)
        assert_equal([bare(batch) for batch in of_kind], text)
        assert_equal(fixed_batches(validation, CURRICULUM, **sizes, kind=kind), of_kind)
        for batch in of_kind:
            assert (batch.task.causal == causal).all()
            is_target = batch.task.roles == Role.TARGET
            np.testing.assert_array_equal(batch.task.visible.any(axis=2), is_target)
            assert not batch.task.visible.all(axis=2).any()
    causal_text = fixed_batches(validation, CURRICULUM, **sizes, p_causal=1.0)
    assert_equal([bare(batch) for batch in causal_text], text)
    assert all(batch.task.causal.all() for batch in causal_text)


def test_windows_too_short_to_be_shown_in_part_are_refused(windows):
    one_frame = alone(Windows(windows.latents, ['train'], 1))
    with pytest.raises(BadInput, match='window_frames: 1; allowed'):
        StepBatches(one_frame, ALL_KINDS, ORDER)
    with pytest.raises(BadInput, match='window_frames: 1; allowed'):
        fixed_batches(one_frame, CURRICULUM, batch=1, num_batches=1, seed=0, kind=Kind.CONTINUATION)
    assert len(StepBatches(one_frame, CURRICULUM, ORDER)) == 10


def test_strangers_come_from_another_song_with_the_same_task(windows):
    validation = validation_of(windows)
    sizes = {'batch': 4, 'num_batches': 2, 'seed': 0, 'kind': Kind.INPAINTING}
    fixed = fixed_batches(validation, CURRICULUM, **sizes)
    assert_equal(fixed, fixed_batches(validation, CURRICULUM, **sizes))
    strangers = stranger_batches(validation, fixed, seed=0)
    for batch, stranger in zip(fixed, strangers, strict=True):
        assert_equal(batch.task, stranger.task)
        assert (batch.text.prompt != stranger.text.prompt).any(axis=(1, 2)).all()
    later = itertools.chain.from_iterable(b.task.roles for b in fixed)
    assert any((roles == Role.TARGET).sum() > 1 for roles in later)  # tasks of the last stage


def test_fixed_batches_of_a_mixture_are_spread_over_each_of_its_data_sets(mixed):
    sizes = {'batch': 8, 'num_batches': 96, 'seed': 1}
    batches = fixed_batches(mixed, CURRICULUM, **sizes)
    assert_equal(batches, fixed_batches(mixed, CURRICULUM, **sizes))
    found = {x.tobytes() for batch in batches for x in batch.latents}
    for part in mixed.parts:
        assert {part.view(window).tobytes() for window in part} <= found
    strangers = stranger_batches(mixed, batches, seed=0)
    for batch, stranger in zip(batches, strangers, strict=True):
        assert (batch.text.prompt != stranger.text.prompt).any(axis=(1, 2)).all()


def test_an_empty_prompt_is_no_prompt(tmp_path):
    prepared = small.prepare(tmp_path / 'data', {'a': ''})
    windows = Windows(small.write(tmp_path / 'latents', prepared), ['train'], 8)
    task = CURRICULUM.draw(0, 0, 0, 8)
    for window in windows:
        described = windows.latents.song(window.song).id != 'a'
        assert example(windows, window, task, 0, seed=None).text.use_prompt == described


def test_the_prefix_names_who_is_asked_for_in_place_of_silence_and_all_else_stays(
    windows, monkeypatch
):
    quiet = np.array([False, True, False, True])
    monkeypatch.setattr(Silence, 'tracks', lambda self, latents: quiet)
    silence = Silence(latent=np.ones(windows.latents.manifest.channels, np.float32), keep=0.0)
    order, mixture = order_of(16, 10), alone(windows)
    usual = StepBatches(mixture, CURRICULUM, order)[8]
    found = StepBatches(mixture, CURRICULUM, order, silence)[8]
    assert (usual.task.roles == Role.TARGET)[:, quiet].any()
    assert not (found.task.roles == Role.TARGET)[:, quiet].any()
    tables = windows.latents.text
    wanted = [task_id(roles.tolist()) for roles in found.task.roles]
    np.testing.assert_array_equal(found.text.prefix, tables.prefix[wanted])
    np.testing.assert_array_equal(found.latents, usual.latents)
    np.testing.assert_array_equal(found.text.prompt, usual.text.prompt)
