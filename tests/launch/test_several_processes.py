"""Training in several processes of this machine, which meet over gloo as the hosts of a pod do.

Whatever their number the run is the same: the devices are as many, so the same sums are taken, if
not in the same order. Killed and started again with as many, it ends bit for bit as undisturbed.
"""

import os
import pathlib
import time

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from jen1composer.training.metrics import read_metrics
from tests.data_pipeline import latent_folder as small
from tests.jen1composer import tiny_codec
from tests.launch import processes, tiny_run

DEVICES = 4  # of all processes together
STEPS = 6

SMALLEST = {  # since each process compiles it
    'curriculum__stage_steps': (2, STEPS - 2),
    'curriculum__kinds': (1, 0, 0),
    'curriculum__p_causal': 0.0,
    'model__channels': (8,),
    'model__factors': (1,),
    'model__blocks': (1,),
    'model__attentions': (1,),
    'optimizer__name': 'adamw',
    'sharding__strategy': 'fsdp',
    'loop__log_every': 1,
    'loop__evaluate_every': 3,
    'loop__save_every_s': 0.0,
    'loop__agree_every': 1,
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """latents/ of four songs and the codec/ that they are of."""
    folder = tmp_path_factory.mktemp('processes')
    codec = tiny_codec.codec()
    codec.save(folder / 'codec')
    prepared = small.prepare(folder / 'data')
    small.write(folder / 'latents', prepared, autoencoder_fingerprint=codec.fingerprint)
    return folder


def flags(folder: pathlib.Path, name: str) -> list[str]:
    given = tiny_run.flags(folder, **SMALLEST)
    return ['launch.train_composer', *given, f'--workdir={folder / name}']


def train(folder: pathlib.Path, name: str, count: int) -> list[str]:
    """Trains to the end in so many processes; returns what each printed."""
    logs = folder / f'{name}_{count}_logs'
    return processes.run(flags(folder, name), count, DEVICES // count, logs)


def train_and_kill(folder: pathlib.Path, name: str, count: int, at: int) -> int:
    """Kills the last of them when step `at` is saved, then the others; returns the last step saved.

    Left alone, the others would hear of it from JAX, which ends them after 100 s of silence.
    """
    logs = folder / f'{name}_{count}_logs'
    started = processes.start(flags(folder, name), count, DEVICES // count, logs)
    until = time.monotonic() + processes.GIVE_UP_S
    while saved(folder / name) < at and time.monotonic() < until:
        time.sleep(0.005)
    processes.kill(started[-1:])
    processes.kill(started)
    return saved(folder / name)


def saved(workdir: pathlib.Path) -> int:
    """The step of the newest whole checkpoint; 0 where there is none."""
    if not (workdir / 'checkpoints').exists():
        return 0
    steps = [name for name in os.listdir(workdir / 'checkpoints') if name.isdecimal()]
    return max(map(int, steps), default=0)


def state(workdir: pathlib.Path) -> dict[str, np.ndarray]:
    """Every leaf of the newest state by its path."""
    handlers = {'state': ocp.PyTreeCheckpointHandler()}
    with ocp.CheckpointManager(workdir / 'checkpoints', item_handlers=handlers) as manager:
        step = manager.latest_step()
        tree = manager.item_metadata(step)['state'].tree
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
        wanted = ocp.args.PyTreeRestore(restore_args=as_numpy)
        restored = manager.restore(step, args=ocp.args.Composite(state=wanted))['state']
    leaves = jax.tree_util.tree_leaves_with_path(restored)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def told(workdir: pathlib.Path, part: str) -> list[float]:
    """What the metrics say of `part`, row by row."""
    return [row[part] for row in read_metrics(workdir / 'metrics.jsonl') if part in row]


@pytest.fixture(scope='module')
def two(folder):
    printed = train(folder, 'two', 2)
    return folder / 'two', printed


def assert_same_run(ours: pathlib.Path, theirs: pathlib.Path, tolerance: float) -> None:
    """Losses, validation and every leaf of the state, where a tolerance of 0 is bit for bit."""
    for part in ('loss', 'validation_loss'):
        np.testing.assert_allclose(told(ours, part), told(theirs, part), rtol=tolerance)
    found, expected = state(ours), state(theirs)
    assert found.keys() == expected.keys()
    for name, leaf in expected.items():
        bound = tolerance * np.abs(leaf).max() + 1e-7 * (tolerance > 0)
        assert np.abs(found[name].astype(float) - leaf).max() <= bound, name


def test_two_processes_are_one_run_and_the_first_one_speaks_and_writes(folder, two):
    workdir, printed = two
    assert printed[0].startswith(f'{{"steps": {STEPS}')
    assert printed[1] == ''
    train(folder, 'one', 1)
    assert len(told(workdir, 'loss')) == STEPS
    assert_same_run(workdir, folder / 'one', 1e-5)
    assert processes.written(workdir) == processes.written(folder / 'one')


@pytest.mark.slow
def test_one_of_two_killed_and_both_started_again_they_end_as_undisturbed(folder, two):
    assert 0 < train_and_kill(folder, 'killed', 2, at=2) < STEPS
    train(folder, 'killed', 2)
    assert_same_run(folder / 'killed', two[0], 0)


@pytest.mark.slow
@pytest.mark.pod
def test_the_number_of_processes_may_change_on_the_way(folder, two):
    """Begun by two, gone on with by one and ended by four."""
    last = 0
    for count, at in ((2, 1), (1, 3)):
        done = train_and_kill(folder, 'changed', count, at)
        assert last < done < STEPS
        last = done
    train(folder, 'changed', 4)
    assert_same_run(folder / 'changed', two[0], 1e-5)


@pytest.mark.slow
@pytest.mark.pod
def test_four_processes_are_one_run(folder, two):
    train(folder, 'four', 4)
    assert_same_run(folder / 'four', two[0], 1e-5)
