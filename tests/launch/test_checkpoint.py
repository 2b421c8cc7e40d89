"""The command: steps, sizes, identity and arrays of what was saved, and the average as one file."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import safetensors

from tests.jen1composer.training import toy
from tests.jen1composer.training.test_checkpoints import save, trained
from tests.jen1composer.training.test_damaged_checkpoints import cut, listed

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope='module')
def workdir(tmp_path_factory) -> pathlib.Path:
    """Steps 2 and 4 are permanent, 3 is not, and 4 is damaged."""
    folder = tmp_path_factory.mktemp('workdir')
    states = [trained(number) for number in (2, 3, 4)]
    save(folder / 'checkpoints', *states, keep=2, keep_every_steps=2)
    cut(listed(folder / 'checkpoints' / '4')[0])
    return folder


def run(workdir: pathlib.Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, '-m', 'launch.checkpoint', f'--checkpoint={workdir}', *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_what_is_there_is_said_and_the_average_written_with_where_it_is_from(workdir, tmp_path):
    said, ema = tmp_path / 'said.json', tmp_path / 'ema.safetensors'
    done = run(workdir, f'--json={said}', f'--export_ema={ema}')
    assert done.returncode == 0, done.stderr
    assert 'the checkpoint of step 4 is damaged' in done.stderr
    found = json.loads(said.read_text())
    listing = [(c['step'], c['permanent'], c['damage'] is None) for c in found['checkpoints']]
    assert listing == [(2, True, True), (3, False, True), (4, True, False)]
    for checkpoint in found['checkpoints']:
        place = workdir / 'checkpoints' / str(checkpoint['step'])
        sizes = [path.stat().st_size for path in place.rglob('*') if path.is_file()]
        assert checkpoint['num_bytes'] == sum(sizes)
    assert (found['step'], found['identity']) == (3, toy.IDENTITY)

    state = trained(3)
    arrays = {a['name']: (a['shape'], a['dtype'], a['num_bytes']) for a in found['arrays']}
    assert len(arrays) == len(toy.leaves(state))
    assert arrays['ema/w'] == arrays['params/w'] == ([3, 5], 'float32', 60)
    assert arrays['step'] == ([], 'int32', 4)
    for words in ('model.width = 5', '3 x 5', 'permanent', *arrays):
        assert words in done.stdout

    with safetensors.safe_open(ema, 'np') as file:
        assert set(file.keys()) == state.ema.keys()
        for name, leaf in state.ema.items():
            np.testing.assert_array_equal(file.get_tensor(name), leaf)
        assert file.metadata()['step'] == '3'
        assert json.loads(file.metadata()['identity']) == toy.IDENTITY


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (['--step=7'], 'step: 7; allowed are 2, 3, 4'),
        (['--step=4'], 'that of step 4 is damaged'),
        (['--export_ema=x.npz'], "--export_ema: 'x.npz'; allowed is a file NAME.safetensors"),
        (['--export_ema=none/x.safetensors'], 'No such file or directory; allowed is a file'),
        (['--checkpoint=none'], 'none/checkpoints: holds no checkpoint; allowed is a folder'),
    ],
)
def test_bad_input_is_refused_in_one_line(workdir, flags, message):
    done = run(workdir, *flags)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert line.startswith('error: ')
    assert message in line
    assert 'Traceback' not in done.stderr
