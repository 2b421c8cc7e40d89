"""launch.generate: its flags of single tracks, and a run of it on a tiny composer."""

import json
import math
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from jen1composer.errors import BadInput
from jen1composer.generation.request import WHOLE, Request
from jen1composer.tracks import TRACKS
from launch import requests
from tests.jen1composer import tiny_codec, tiny_composer

ROOT = pathlib.Path(__file__).parents[2]
RATE = 48_000
SOUND = tiny_codec.sound(2400, 2, seed=1)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with composer/, a workdir, and bass.wav of 50 ms."""
    folder = tmp_path_factory.mktemp('generate')
    tiny_composer.save(tiny_composer.composer(), folder / 'composer')
    soundfile.write(folder / 'bass.wav', SOUND, RATE, subtype='FLOAT')
    return folder


def generate(folder, out, *flags):
    """The command's status, what it said, and its errors."""
    done = subprocess.run(
        [
            *(sys.executable, '-m', 'launch.generate', f'--checkpoint={folder}/composer'),
            *(f'--out={out}', '--steps=2', *flags),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_span_is_regenerated_and_the_rest_kept(folder, tmp_path):
    status, said, error = generate(
        folder, tmp_path, f'--edit=bass={folder}/bass.wav', '--regenerate=bass=.01-.03'
    )
    assert status == 0, error
    assert '4/4' in error  # windows
    facts = json.loads(said)
    assert facts == json.loads((tmp_path / 'piece.json').read_text())
    assert facts['tracks']['bass']['made_s'] == [[0.01, 0.03]]
    assert (facts['guidance_interval'], facts['rescale']) == ([0, 1], 0)
    bass, rate = soundfile.read(tmp_path / 'bass.flac')
    assert (rate, bass.shape) == (RATE, SOUND.shape)  # as long as the sound that is edited
    made = (np.arange(len(bass)) >= 480) & (np.arange(len(bass)) < 1440)
    np.testing.assert_allclose(bass[~made], SOUND[~made], atol=2.0**-23)
    assert np.abs(bass - SOUND)[made].max() > 0.01


def test_what_the_composer_refuses_is_one_line(folder, tmp_path):
    status, _, error = generate(folder, tmp_path, '--sampler=magic')
    assert (status, error.count('\n')) == (2, 1)
    assert error.startswith("error: sampler: 'magic'; allowed are ddpm")


def test_flags_of_tracks_become_edits():
    spans = requests.parse_spans('--regenerate', ['bass=4-8', 'bass=12-', 'drums=.5-1'], TRACKS)
    assert spans == {'bass': ((4, 8), (12, math.inf)), 'drums': ((0.5, 1),)}
    begins = requests.parse_numbers('--begin', ['bass=1.5'], TRACKS)
    sounds = {'bass': SOUND, 'drums': SOUND}
    edits = requests.make_edits(sounds, begins, spans, {'melody': SOUND})
    assert {name: edit.start_s for name, edit in edits.items()} == {
        'bass': 1.5,
        'drums': 0.0,
        'melody': 0.0,
    }
    assert edits['drums'].regenerate == ((0.5, 1),)
    assert edits['melody'].regenerate == WHOLE
    assert requests.seconds_of(edits) == 1.55
    assert requests.seconds_of({}) is None


def test_scales_are_one_for_all_or_one_for_each():
    assert requests.parse_scales('--given_guidance', [], TRACKS) is None
    assert requests.parse_scales('--given_guidance', ['1.5'], TRACKS) == 1.5
    each = requests.parse_scales('--given_guidance', ['bass=1.5', 'drums=2'], TRACKS)
    assert each == {'bass': 1.5, 'drums': 2}
    assert requests.parse_interval('--guidance_interval', '.2-.9') == (0.2, 0.9)


@pytest.mark.parametrize(
    ('call', 'said'),
    [
        (
            lambda: requests.read_sounds('--edit', ['bass'], TRACKS),
            '--edit=bass: no track or no file; allowed is TRACK=FILE,...',
        ),
        (
            lambda: requests.parse_numbers('--begin', ['bass=1', 'bass=2'], TRACKS),
            '--begin=bass=2: bass is given twice; allowed is one number a track',
        ),
        (
            lambda: requests.parse_numbers('--begin', ['bass=soon'], TRACKS),
            "--begin=bass=soon: 'soon' is no number",
        ),
        (
            lambda: requests.parse_numbers('--begin', ['bass=nan'], TRACKS),
            "--begin=bass=nan: 'nan' is no number",
        ),
        (
            lambda: requests.seconds_of(requests.make_edits({'bass': SOUND[:240]}, {}, {}, {})),
            '--edit=bass: ends at 0.005 s; allowed are 0.01 to 600 s',
        ),
        (
            lambda: Request(
                edits=requests.make_edits({}, {}, {}, {'bass': SOUND * np.nan}), seconds=0.05
            ),
            "--variation 'bass': holds samples that are not finite",
        ),
        (
            lambda: Request(
                edits=requests.make_edits({'bass': SOUND}, {'bass': 1.0}, {}, {}), seconds=0.05
            ),
            "--edit 'bass': start_s: 1.0; allowed",
        ),
        (
            lambda: requests.parse_spans('--regenerate', ['bass=4'], TRACKS),
            '--regenerate=bass=4: allowed is TRACK=FROM-TO in seconds',
        ),
        (
            lambda: requests.parse_spans('--regenerate', ['bass=4-x'], TRACKS),
            "--regenerate=bass=4-x: 'x' is no number",
        ),
        (
            lambda: requests.parse_scales('--given_guidance', ['much'], TRACKS),
            "--given_guidance=much: 'much' is no number",
        ),
        (
            lambda: requests.parse_interval('--guidance_interval', '.5'),
            "--guidance_interval=.5: '' is no number; allowed is LOW-HIGH within 0 to 1",
        ),
        (
            lambda: requests.make_edits({}, {'bass': 1.0}, {}, {}),
            '--begin: bass has no sound; name its file with --edit',
        ),
        (
            lambda: requests.make_edits({'bass': SOUND}, {}, {}, {'bass': SOUND}),
            '--variation: bass is an --edit too',
        ),
        (
            lambda: requests.parse_numbers('--begin', ['guitar=1'], TRACKS),
            "--begin: unknown track 'guitar'",
        ),
    ],
)
def test_flags_that_cannot_be_are_refused_by_name(call, said):
    with pytest.raises(BadInput) as refused:
        call()
    assert said in str(refused.value)
