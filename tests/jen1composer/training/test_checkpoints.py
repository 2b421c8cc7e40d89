"""Checkpoints: what comes back is what was there, and only to the run that it belongs to."""

import json
import shutil
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.errors import BadInput
from jen1composer.training import checkpoint_manifest
from jen1composer.training import checkpoints as module
from jen1composer.training.checkpoints import (
    Checkpoints,
    Meta,
    check_identity,
    flat_identity,
    read_meta,
    refuse_other_run,
    restore_ema,
)
from jen1composer.training.state import TrainState, initial_state
from tests.jen1composer.training import toy

ABSTRACT = jax.eval_shape(toy.fresh_state)


def trained(num_steps: int) -> TrainState:
    state, step = toy.fresh_state(), toy.make_step()
    for number in range(num_steps):
        state, _ = step(state, toy.batch_of(number))
    return state


def save(folder, *states: TrainState, identity=toy.IDENTITY, **settings) -> None:
    checkpoints = Checkpoints(folder, identity=identity, **settings)
    for state in states:
        checkpoints.save(int(state.step), state)
    checkpoints.close()


def test_every_leaf_comes_back_bit_for_bit(tmp_path):
    state = trained(3)
    save(tmp_path, state)
    checkpoints = Checkpoints(tmp_path, identity=toy.IDENTITY)
    assert checkpoints.latest_step() == 3
    toy.assert_bit_equal(checkpoints.restore(ABSTRACT), state)
    checkpoints.close()


def test_a_relative_folder_will_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = trained(2)
    save('run/checkpoints', state)
    checkpoints = Checkpoints('run/checkpoints', identity=toy.IDENTITY)
    toy.assert_bit_equal(checkpoints.restore(ABSTRACT), state)
    checkpoints.close()
    assert restore_ema('run/checkpoints')[1] == 2


def test_the_newest_are_kept(tmp_path):
    save(tmp_path, *(trained(n) for n in (1, 2, 3)), keep=2)
    assert steps_in(tmp_path) == [2, 3]


def steps_in(folder) -> list[int]:
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())


def test_those_of_every_so_many_steps_are_kept_for_ever(tmp_path):
    """Also by a later run that keeps others, or none."""
    states = {n: trained(n) for n in range(1, 9)}
    save(tmp_path, *(states[n] for n in (1, 2, 3, 4, 5)), keep=1, keep_every_steps=2)
    assert steps_in(tmp_path) == [2, 4, 5]
    save(tmp_path, states[6], states[7], keep=2, keep_every_steps=3)
    assert steps_in(tmp_path) == [2, 4, 6, 7]
    save(tmp_path, states[8], keep=1)
    assert steps_in(tmp_path) == [2, 4, 6, 8]
    assert restore_ema(tmp_path, step=4)[1] == read_meta(tmp_path, step=4).step == 4
    np.testing.assert_array_equal(restore_ema(tmp_path, step=4)[0]['w'], states[4].ema['w'])
    with pytest.raises(BadInput, match='step: 5; allowed are 2, 4, 6, 8'):
        restore_ema(tmp_path, step=5)


def test_a_permanent_checkpoint_is_due_whatever_the_clock_says(tmp_path):
    checkpoints = Checkpoints(tmp_path, identity={}, save_every_s=1e9, keep_every_steps=3)
    assert [n for n in range(1, 10) if checkpoints.is_permanent(n)] == [3, 6, 9]
    assert not checkpoints.due()
    checkpoints.close()
    checkpoints = Checkpoints(tmp_path, identity={}, save_every_s=1e9)
    assert not any(checkpoints.is_permanent(n) for n in range(1, 10))
    checkpoints.close()


def test_by_the_clock_is_so_long_after_the_save_before(tmp_path, monkeypatch):
    now, saved = 0.0, []
    monkeypatch.setattr(module, 'time', types.SimpleNamespace(monotonic=lambda: now))
    checkpoints = Checkpoints(tmp_path, identity={}, save_every_s=3.0)
    state = toy.fresh_state()
    for number in range(1, 12):
        now += 1.0
        if checkpoints.due():
            saved.append(number)
            checkpoints.save(number, state)
    checkpoints.close()
    assert saved == [3, 6, 9]


def test_saving_goes_on_while_its_state_is_donated_away(tmp_path):
    """The step overwrites its input at once; what is written must be what was handed over."""

    def large_state() -> TrainState:
        return initial_state(
            lambda: {name: jnp.zeros((1 << 21,)) for name in 'abcd'}, toy.OPTIMIZER
        )

    add_one = jax.jit(
        lambda state: jax.tree.map(lambda leaf: leaf + jnp.ones((), leaf.dtype), state),
        donate_argnums=0,
    )
    checkpoints = Checkpoints(tmp_path, identity={})
    state = large_state()
    for _ in range(3):
        state = add_one(state)
    checkpoints.save(3, state)
    for _ in range(4):
        state = add_one(state)
    jax.block_until_ready(state)
    checkpoints.close()
    checkpoints = Checkpoints(tmp_path, identity={})
    restored = checkpoints.restore(jax.eval_shape(large_state))
    checkpoints.close()
    for name, leaf in toy.leaves(restored).items():
        assert (leaf == 3).all(), name


@pytest.mark.parametrize(
    ('other', 'named'),
    [
        ({'model.width': 6, 'seed': 0}, 'model.width is 5 there, 6 here'),
        ({'model.width': 5, 'seed': 0, 'data': 'x'}, "data is 'absent' there, 'x' here"),
        ({'seed': 0}, "model.width is 5 there, 'absent' here"),
    ],
)
def test_another_identity_is_refused_and_what_differs_is_named(tmp_path, other, named):
    save(tmp_path, trained(1))
    checkpoints = Checkpoints(tmp_path, identity=other)
    with pytest.raises(BadInput, match=named) as refused:
        checkpoints.restore(ABSTRACT)
    assert str(tmp_path) in str(refused.value)
    checkpoints.close()


def test_a_run_knows_its_own_config_again(tmp_path):
    """JSON has no tuples, and a checkpoint is JSON."""
    model = {'channels': (1, 2), 'table': ((1, 0), (1, 3)), 'dtype': 'float32'}
    config = {'model': model, 'seed': 0, 'out': 'here'}
    save(tmp_path, trained(1), identity=flat_identity(config, ignore=['out']))
    again = flat_identity(config | {'out': 'elsewhere'}, ignore=['out'])
    checkpoints = Checkpoints(tmp_path, identity=again)
    assert int(checkpoints.restore(ABSTRACT).step) == 1
    checkpoints.close()
    assert again == {
        'model.channels': [1, 2],
        'model.table': [[1, 0], [1, 3]],
        'model.dtype': 'float32',
        'seed': 0,
    }


def test_of_many_differences_three_are_named():
    message = r'^here: .*: a is 1 there, 2 here; b is .*; c is [^;]*; \.\.\.; use another folder$'
    with pytest.raises(BadInput, match=message):
        check_identity('here', dict.fromkeys('abcd', 1), dict.fromkeys('abcd', 2))


def test_of_hashes_and_what_says_more_the_hashes_come_last():
    saved = {'data.fingerprint': 'a', 'data.songs': 12, 'name': 'x'}
    message = r"data.songs is 12 there, 13 here; name is 'x' .*; data.fingerprint is 'a' there"
    with pytest.raises(BadInput, match=message):
        check_identity('here', saved, {'data.fingerprint': 'b', 'data.songs': 13, 'name': 'y'})


def test_keys_that_may_change_change_and_no_others(tmp_path):
    """What is saved from then on has the new ones."""
    state = trained(1)
    saved, given = toy.IDENTITY | {'data.songs': 12}, toy.IDENTITY | {'data.songs': 13}
    save(tmp_path, state, identity=saved)
    with pytest.raises(BadInput, match=r'data.songs is 12 there, 13 here'):
        refuse_other_run(tmp_path, given)
    assert refuse_other_run(tmp_path, saved, ['data.']) == []
    assert refuse_other_run(tmp_path, given, ['data.']) == ['data.songs is 12 there, 13 here']
    other_model = given | {'model.width': 6}
    with pytest.raises(BadInput, match=r'config: model.width is 5 there, 6 here; use another'):
        refuse_other_run(tmp_path, other_model, ['data.'])

    for identity, allowed in ((other_model, ['data.']), (given, [])):
        checkpoints = Checkpoints(tmp_path, identity=identity, may_change=allowed)
        with pytest.raises(BadInput, match='was written by another config'):
            checkpoints.restore(ABSTRACT)
        checkpoints.close()
    checkpoints = Checkpoints(tmp_path, identity=given, may_change=['data.'])
    toy.assert_bit_equal(checkpoints.restore(ABSTRACT), state)
    checkpoints.save(2, trained(2))
    checkpoints.close()
    assert read_meta(tmp_path).identity == given
    assert refuse_other_run(tmp_path / 'none', given) == []


def test_where_a_run_is_in_its_data_is_kept_beside_and_older_checkpoints_have_none(tmp_path):
    checkpoints = Checkpoints(tmp_path / 'new', identity=toy.IDENTITY, data={'segments': [[0, 4]]})
    checkpoints.save(3, trained(3))
    checkpoints.close()
    assert read_meta(tmp_path / 'new') == Meta(3, toy.IDENTITY, {'segments': [[0, 4]]})

    save(tmp_path / 'old', trained(2))
    path = tmp_path / 'old' / '2' / 'meta' / 'metadata'
    assert json.loads(path.read_text()) == {'identity': toy.IDENTITY, 'data': None}
    path.write_text(json.dumps({'identity': toy.IDENTITY}))
    (tmp_path / 'old' / '2' / checkpoint_manifest.NAME).unlink()
    assert read_meta(tmp_path / 'old') == Meta(2, toy.IDENTITY, None)
    checkpoints = Checkpoints(tmp_path / 'old', identity=toy.IDENTITY)
    assert int(checkpoints.restore(ABSTRACT).step) == 2
    checkpoints.close()


def test_a_half_written_checkpoint_is_skipped(tmp_path):
    state = trained(3)
    save(tmp_path, state)
    half = tmp_path / '7.orbax-checkpoint-tmp-123'
    shutil.copytree(tmp_path / '3', half)
    (half / '_CHECKPOINT_METADATA').unlink()
    checkpoints = Checkpoints(tmp_path, identity=toy.IDENTITY)
    assert checkpoints.latest_step() == 3
    toy.assert_bit_equal(checkpoints.restore(ABSTRACT), state)
    checkpoints.save(7, trained(7))  # and does not stand in the way
    checkpoints.close()
    checkpoints = Checkpoints(tmp_path, identity=toy.IDENTITY)
    assert checkpoints.latest_step() == 7
    checkpoints.close()


def test_the_average_is_read_alone(tmp_path):
    state = trained(3)
    save(tmp_path, state)
    ema, step = restore_ema(tmp_path)
    assert step == 3
    assert ema.keys() == state.ema.keys()
    for name, leaf in state.ema.items():
        np.testing.assert_array_equal(ema[name], leaf)
        assert (np.asarray(leaf) != np.asarray(state.params[name])).any()


@pytest.mark.parametrize('name', ['', 'none'])
def test_a_folder_without_a_checkpoint_is_refused(tmp_path, name):
    with pytest.raises(BadInput, match='holds no checkpoint; allowed is a folder a run has saved'):
        restore_ema(tmp_path / name)
    assert not (tmp_path / 'none').exists()
