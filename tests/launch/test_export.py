"""launch.export: a folder of a tiny composer, and what is refused before anything takes long."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from jen1composer.errors import BadInput
from jen1composer.training.checkpoints import Meta
from launch.export_facts import count_examples, hours_of_music
from tests.data_pipeline import latent_folder
from tests.jen1composer import tiny_composer

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('export')
    tiny_composer.save(tiny_composer.composer(), folder / 'composer')
    return folder


def run(command, *flags):
    """The command's status, what it said, and its errors."""
    done = subprocess.run(
        [sys.executable, '-m', f'launch.{command}', *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_an_export_is_made_and_generates_what_its_workdir_does(folder):
    out = folder / 'out'
    status, said, error = run(
        'export',
        *(f'--checkpoint={folder}/composer', f'--out={out}', '--licence=CC0-1.0'),
        *('--variants=int8', '--steps=2'),
    )
    assert status == 0, error
    said = json.loads(said)
    assert said['step'] == 0
    assert set(said['files_mib']) == {
        path.relative_to(out).as_posix() for path in out.rglob('*') if path.is_file()
    }
    assert set(said['losses']) == {'int8'}
    assert '**Licence of the weights:** CC0-1.0.' in (out / 'README.md').read_text()
    heard = []
    for checkpoint in (folder / 'composer', out):
        flags = (f'--checkpoint={checkpoint}', '--steps=2', '--seconds=.03', '--prompt=rock')
        status, _, error = run('generate', *flags, f'--out={folder}/song')
        assert status == 0, error
        heard.append(soundfile.read(folder / 'song' / 'mix.flac')[0])
    np.testing.assert_array_equal(*heard)

    status, _, error = run('export', f'--checkpoint={out}', f'--out={folder}/again')
    assert (status, error) == (
        2,
        f'error: --checkpoint={out}: is an export; allowed is a workdir\n',
    )


@pytest.mark.parametrize(
    ('flags', 'said'),
    [
        (['--variants=int4'], "error: --variants: 'int4'; allowed are bfloat16, int8\n"),
        (['--steps=0'], 'error: --steps: 0; allowed is 1 or more\n'),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(folder, flags, said):
    checkpoint = f'--checkpoint={folder}/composer'
    assert run('export', checkpoint, f'--out={folder}/none', *flags) == (2, '', said)


def test_a_run_tells_how_many_windows_it_saw():
    assert count_examples(Meta(step=5, identity={}, data=None)) is None
    assert count_examples(Meta(step=5, identity={'batch': 4}, data=None)) == 20
    data = {'segments': [[0, 8, 0], [3, 4, 24], [100, 1, 412]]}
    assert count_examples(Meta(step=5, identity={}, data=data)) == 24 + 2 * 4


def test_hours_are_those_of_what_was_trained_on(tmp_path):
    prepared = latent_folder.prepare(tmp_path / 'data')
    latents = latent_folder.write(tmp_path / 'latents', prepared)
    said = {'data.latents[0].fingerprint': latents.manifest.fingerprint}
    where = [str(tmp_path / 'latents')]
    hours = {split: hours * 3600 for split, hours in hours_of_music(where, said).items()}
    assert hours == pytest.approx({'train': 14, 'validation': 10, 'test': 0})  # seconds
    assert hours_of_music([], said) == {}
    with pytest.raises(BadInput, match='this composer was not trained on it'):
        hours_of_music(where, {'data.latents[0].fingerprint': 'other'})
