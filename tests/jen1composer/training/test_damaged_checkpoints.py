"""Checkpoints that lost files, were cut, half-written or never written: what is told and used."""

import pathlib
import shutil
import threading
import time

import jax
import numpy as np
import pytest

from jen1composer.errors import BadInput, RunFailed
from jen1composer.training import checkpoint_manifest, hosts
from jen1composer.training import checkpoints as checkpoints_module
from jen1composer.training.checkpoints import Checkpoints, read_meta, restore_ema
from jen1composer.training.state import TrainState, initial_state
from tests.jen1composer.training import toy
from tests.jen1composer.training.test_checkpoints import ABSTRACT, save, steps_in, trained


@pytest.fixture(scope='module')
def states() -> dict[int, TrainState]:
    return {number: trained(number) for number in (1, 2, 3)}


@pytest.fixture(scope='module')
def saved(states, tmp_path_factory) -> pathlib.Path:
    """Checkpoints of steps 1, 2 and 3; to be copied, not changed."""
    folder = tmp_path_factory.mktemp('saved')
    save(folder, *states.values(), keep=3)
    return folder


def restored(folder: pathlib.Path) -> TrainState:
    checkpoints = Checkpoints(folder, identity=toy.IDENTITY, keep=3)
    try:
        return checkpoints.restore(ABSTRACT)
    finally:
        checkpoints.close()


def cut(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def files(checkpoint: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in checkpoint.rglob('*') if path.is_file())


def listed(checkpoint: pathlib.Path) -> list[pathlib.Path]:
    manifest = checkpoint_manifest.read_manifest(checkpoint)
    return [checkpoint / name for name in manifest.files]


def test_every_file_with_weights_or_words_is_in_the_manifest(saved):
    others = {path.name for path in set(files(saved / '3')) - set(listed(saved / '3'))}
    assert {'metadata', '_METADATA'} <= {path.name for path in listed(saved / '3')}
    assert others <= {checkpoint_manifest.NAME, '_CHECKPOINT_METADATA', 'commit_success.txt'}


@pytest.mark.parametrize('harm', [cut, pathlib.Path.unlink])
def test_whichever_file_of_the_newest_is_harmed_all_read_the_one_before(
    saved, states, tmp_path, harm, caplog
):
    """Readers agree on which; restoring a state, the dearest of them, for the last file alone."""
    names = [path.relative_to(saved / '3') for path in listed(saved / '3')]
    for name in names:
        folder = tmp_path / str(name).replace('/', '-')
        shutil.copytree(saved, folder)
        harm(folder / '3' / name)
        caplog.clear()
        ema, step = restore_ema(folder)
        assert step == read_meta(folder).step == 2, name
        np.testing.assert_array_equal(ema['w'], states[2].ema['w'])
        assert f'the checkpoint of step 3 is damaged ({name} ' in caplog.text
        assert steps_in(folder) == [1, 2, 3]  # who reads changes nothing
    caplog.clear()
    toy.assert_bit_equal(restored(folder), states[2])
    assert f'the checkpoint of step 3 is damaged ({name} ' in caplog.text


@pytest.mark.parametrize('harm', [cut, pathlib.Path.unlink])
def test_what_is_in_no_manifest_can_be_lost_but_the_manifest_itself(saved, states, tmp_path, harm):
    for path in set(files(saved / '3')) - set(listed(saved / '3')):
        folder = tmp_path / path.name
        shutil.copytree(saved, folder)
        harm(folder / path.relative_to(saved))
        expected = 2 if path.name == checkpoint_manifest.NAME else 3
        assert restore_ema(folder)[1] == read_meta(folder).step == expected, path
        toy.assert_bit_equal(restored(folder), states[expected])


def test_a_run_that_went_back_saves_the_steps_of_the_damaged_again(saved, states, tmp_path):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    for step in (2, 3):
        cut(listed(tmp_path / str(step))[0])
    checkpoints = Checkpoints(tmp_path, identity=toy.IDENTITY, keep=3)
    assert checkpoints.latest_step() == 1
    toy.assert_bit_equal(checkpoints.restore(ABSTRACT), states[1])
    checkpoints.save(2, states[2])
    checkpoints.save(3, states[3])
    checkpoints.close()
    assert steps_in(tmp_path) == [1, 2, 3]
    assert {path.name for path in tmp_path.glob('damaged-*')} == {'damaged-2', 'damaged-3'}
    toy.assert_bit_equal(restored(tmp_path), states[3])


def test_where_none_is_whole_that_is_an_error_that_names_them_and_moves_none(saved, tmp_path):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    for step in (1, 2, 3):
        cut(listed(tmp_path / str(step))[0])
    message = r'no checkpoint is whole: that of step 3 is damaged \(.*\); that of step 2 .* step 1'
    checkpoints = Checkpoints(tmp_path, identity=toy.IDENTITY)
    for ask in (
        checkpoints.latest_step,  # or a run would begin anew over what can perhaps be saved
        lambda: checkpoints.restore(ABSTRACT),
        lambda: restore_ema(tmp_path),
        lambda: read_meta(tmp_path),
    ):
        with pytest.raises(BadInput, match=message):
            ask()
    checkpoints.close()
    assert steps_in(tmp_path) == [1, 2, 3]


def test_a_given_step_that_is_damaged_is_refused(saved, tmp_path):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    cut(listed(tmp_path / '2')[0])
    with pytest.raises(BadInput, match='that of step 2 is damaged'):
        restore_ema(tmp_path, step=2)


def blank(path: pathlib.Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def flip(path: pathlib.Path) -> None:
    """One bit in the middle, as of a disk that is wearing out."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize('harm', [blank, flip])
def test_where_content_changed_in_place_the_one_before_is_used(
    saved, states, tmp_path, harm, caplog
):
    """Sizes do not show it: only reading does."""
    skipped = 0
    weights = [path for path in listed(saved / '3') if path.parent.name == 'd']
    for path in [*weights, saved / '3' / 'state' / '_METADATA', saved / '3' / 'meta' / 'metadata']:
        folder = tmp_path / path.name
        shutil.copytree(saved, folder)
        harm(folder / path.relative_to(saved))
        caplog.clear()
        found = restored(folder)
        toy.assert_bit_equal(found, states[int(found.step)])
        aside = int(found.step) == 2
        assert (folder / 'damaged-3').exists() == aside == ('step 3 is damaged (' in caplog.text)
        skipped += aside
        ema, step = restore_ema(folder)
        np.testing.assert_array_equal(ema['w'], states[step].ema['w'])
    assert skipped  # in some files there is a bit that says nothing of the state


def test_so_it_is_where_the_weights_themselves_are_harmed(tmp_path, caplog):
    """Large ones lie in files apart, over which Orbax raises something else."""

    def state_of(seed: int) -> TrainState:
        weights = jax.random.normal(jax.random.key(seed), (1 << 14,))
        return initial_state(lambda: {'w': weights}, toy.OPTIMIZER)

    checkpoints = Checkpoints(tmp_path, identity={})
    for step in (1, 2):
        checkpoints.save(step, state_of(step))
    checkpoints.close()
    checkpoints = Checkpoints(tmp_path, identity={})
    blank(max(files(tmp_path / '2'), key=lambda path: path.stat().st_size))
    toy.assert_bit_equal(checkpoints.restore(jax.eval_shape(lambda: state_of(0))), state_of(1))
    checkpoints.close()
    (said,) = [record.getMessage() for record in caplog.records if 'damaged' in record.getMessage()]
    assert '\n' not in said
    assert len(said) < 400


def test_where_none_can_be_read_that_is_one_line_and_none_is_moved(saved, tmp_path):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    for step in (1, 2, 3):
        for path in (tmp_path / str(step) / 'state').rglob('d/*'):
            blank(path)
    for ask in (lambda: restored(tmp_path), lambda: restore_ema(tmp_path)):
        with pytest.raises(BadInput, match='no checkpoint is whole: that of step 3 is') as refused:
            ask()
        assert '\n' not in str(refused.value)
        assert len(str(refused.value)) < 1000
    assert steps_in(tmp_path) == [1, 2, 3]


def test_all_hosts_turn_to_the_one_before_where_one_of_them_cannot_read(
    saved, states, tmp_path, monkeypatch, caplog
):
    """This one can, and another says that it cannot."""
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    told = iter([False, True])
    monkeypatch.setattr(hosts, 'all_agree', lambda mine: mine and next(told))
    toy.assert_bit_equal(restored(tmp_path), states[2])
    assert 'step 3 is damaged (another host cannot read it)' in caplog.text


@pytest.mark.parametrize('changed', [False, True])
def test_a_run_made_for_the_data_of_the_one_that_cannot_be_read_is_to_start_again(
    states, tmp_path, changed
):
    """What says where the run is in its data could be read, and its weights could not."""
    for step, data in ((1, 'a'), (2, 'b' if changed else 'a')):
        checkpoints = Checkpoints(tmp_path, identity=toy.IDENTITY, data=data)
        checkpoints.save(step, states[step])
        checkpoints.close()
    for path in (tmp_path / '2' / 'state').rglob('d/*'):
        blank(path)
    checkpoints = Checkpoints(tmp_path, identity=toy.IDENTITY, data=read_meta(tmp_path).data)
    if changed:
        with pytest.raises(RunFailed, match=r'set aside \(damaged-2\); .* goes on from step 1$'):
            checkpoints.restore(ABSTRACT)
        checkpoints.close()
        checkpoints = Checkpoints(tmp_path, identity=toy.IDENTITY, data=read_meta(tmp_path).data)
    toy.assert_bit_equal(checkpoints.restore(ABSTRACT), states[1])
    checkpoints.close()


def test_what_is_half_written_is_named_by_readers_and_removed_by_the_next_run(
    saved, states, tmp_path, caplog
):
    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    half = tmp_path / '7.orbax-checkpoint-tmp-123'
    shutil.copytree(saved / '3', half)
    assert restore_ema(tmp_path)[1] == read_meta(tmp_path).step == 3
    assert f'{half.name} is half-written; step 3 is used' in caplog.text
    assert half.exists()
    toy.assert_bit_equal(restored(tmp_path), states[3])
    assert f'left half-written and removed: {half.name}' in caplog.text
    save(tmp_path, trained(7), keep=3)
    assert steps_in(tmp_path) == [2, 3, 7]
    assert not half.exists()


def test_a_save_that_fails_is_told_at_the_next_step_and_costs_no_older_one(
    saved, tmp_path, monkeypatch
):
    """It fails on Orbax's thread, after the state was written and before the commit."""

    def fail(*args, **settings) -> None:
        raise OSError('No space left on device')

    shutil.copytree(saved, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(checkpoints_module, 'write_manifest', fail)
    checkpoints = Checkpoints(tmp_path, identity=toy.IDENTITY, keep=1, save_every_s=1e9)
    checkpoints.save(4, toy.fresh_state())

    def step_on() -> None:
        give_up = time.monotonic() + 30
        while time.monotonic() < give_up:
            assert not checkpoints.due()

    with pytest.raises(
        RunFailed, match=r'step 4 could not be saved \(No space left on device\); wh'
    ):
        step_on()
    checkpoints.close()
    assert steps_in(tmp_path) == [1, 2, 3]
    assert restore_ema(tmp_path)[1] == 3


def test_a_save_that_cannot_begin_fails_in_one_line(tmp_path):
    checkpoints = Checkpoints(tmp_path / 'run', identity=toy.IDENTITY)
    shutil.rmtree(tmp_path / 'run')
    (tmp_path / 'run').write_text('a file')

    def save_and_wait() -> None:
        checkpoints.save(4, toy.fresh_state())
        checkpoints.close()

    with pytest.raises(RunFailed, match='the checkpoint of step 4 could not be saved'):
        save_and_wait()
    # Nor does the process then wait at its exit for threads that wait for the folder.
    waiting = [thread.name for thread in threading.enumerate() if not thread.daemon]
    assert not [name for name in waiting if 'save' in name or 'commit' in name]
