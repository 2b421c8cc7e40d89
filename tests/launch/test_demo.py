"""The demo for real, in its quick form: interrupted, gone on with, run again, and used.

.venv/bin/python -m pytest tests/launch/test_demo.py        # about four minutes
"""

import html.parser
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from data_pipeline.latent_records import clip_starts
from data_pipeline.latents import Latents
from jen1composer.training.metrics import read_metrics

pytestmark = pytest.mark.slow
ROOT = pathlib.Path(__file__).parents[2]


def demo(out, **options):
    return subprocess.Popen(
        ['bash', 'launch/demo.sh', '--quick', f'--out={out}'],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        **options,
    )


def test_the_package_makes_music_beside_a_song_that_it_never_heard(tmp_path):
    out = tmp_path / 'out'
    for said in ('next: make music', 'done before: make music'):
        done = subprocess.run(
            ['bash', 'launch/demo.sh', f'--out={out}'], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
    facts = json.loads((out / 'page' / 'accompaniment' / 'piece.json').read_text())
    roles = {name: track['role'] for name, track in facts['tracks'].items()}
    assert roles == dict.fromkeys(('bass', 'drums'), 'condition') | dict.fromkeys(
        ('instrument', 'melody'), 'target'
    )
    audio, rate = soundfile.read(out / 'page' / 'joint' / 'mix.flac')
    assert rate == 48_000
    assert np.sqrt(np.mean(audio**2)) > 0.005
    assert 'never heard the song' in (out / 'page' / 'index.html').read_text()


def run(*arguments):
    """A command of launch/: its status, and what it said."""
    done = subprocess.run(
        [sys.executable, '-m', *map(str, arguments)], cwd=ROOT, capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope='module')
def interrupted(tmp_path_factory):
    """A demo that was stopped by Ctrl-C while the composer trained: its folder and its output."""
    out = tmp_path_factory.mktemp('demo') / 'out'
    process = demo(out)
    metrics = out / 'composer' / 'metrics.jsonl'
    while process.poll() is None and not any(r['step'] > 0 for r in read_metrics(metrics)):
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    return out, process.returncode, output


@pytest.fixture(scope='module')
def finished(interrupted):
    """The same demo, gone on with to its end: its folder and the output of the second run."""
    out, _, _ = interrupted
    process = demo(out)
    output, _ = process.communicate(timeout=1200)
    assert process.returncode == 0, output
    return out, output


def test_an_interrupted_demo_says_so_and_keeps_what_it_has(interrupted):
    out, status, output = interrupted
    assert status == 130, output
    assert 'the same command goes on' in output
    assert 'Traceback' not in output
    saved = [int(p.name) for p in (out / 'composer' / 'checkpoints').iterdir() if p.name.isdigit()]
    assert saved
    assert 0 < max(saved) < 120


def test_it_goes_on_where_it_was(finished):
    out, output = finished
    assert output.count('done before: ') == 3  # songs, autoencoder, latents
    rows = read_metrics(out / 'composer' / 'metrics.jsonl')
    logged = [row['step'] for row in rows if 'loss' in row]
    assert logged == sorted(set(logged))
    assert logged[-1] == 120


def test_a_third_run_has_nothing_to_do(finished):
    out, _ = finished
    process = demo(out)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert output.count('done before: ') == 5
    assert 'next: ' not in output


def test_the_autoencoder_beats_decoded_noise_and_the_mean_spectrum(finished):
    out, _ = finished
    report = json.loads((out / 'autoencoder' / 'heldout.json').read_text())
    for split in ('validation', 'test'):
        found = report[split]
        assert found['log_mel_db_decoded'] < found['log_mel_db_mean']
        assert found['log_mel_db_decoded'] < found['log_mel_db_noise']


def test_training_latents_are_white(finished):
    out, _ = finished
    latents = Latents(out / 'latents')
    tracks, channels = len(latents.manifest.tracks), latents.manifest.channels
    frames = []
    clip_frames = latents.manifest.clip_frames
    for song in latents.songs('train'):
        length = int(latents.num_frames[song])
        whole = np.full((tracks, max(length, clip_frames), channels), np.nan)
        for clip, start in enumerate(clip_starts(length, clip_frames)):  # each frame once
            whole[:, start : start + clip_frames] = latents.read(song, clip)
        frames.append(whole[:, :length].reshape(-1, channels))
    frames = np.concatenate(frames)
    covariance = frames.T @ frames / len(frames)
    # What is left is bfloat16's rounding and the floor below which a direction is not blown up.
    assert np.abs(frames.mean(0)).max() < 0.01
    assert np.linalg.norm(covariance - np.eye(channels)) < 0.02 * np.sqrt(channels)


def test_the_composer_learns_something_at_once(finished):
    out, _ = finished
    losses = [
        row['validation_loss']
        for row in read_metrics(out / 'composer' / 'metrics.jsonl')
        if 'validation_loss' in row
    ]
    assert losses[-1] < losses[0]  # at step 0 it predicts 0


class References(html.parser.HTMLParser):
    """Collects what a page refers to."""

    def __init__(self):
        super().__init__()
        self.found = set()

    def handle_starttag(self, tag, attrs):
        self.found |= {value for name, value in attrs if name in ('src', 'href') and value}


def test_the_page_shows_and_plays_what_is_there_and_asks_nobody_else(finished):
    out, _ = finished
    page = out / 'page'
    references = References()
    references.feed((page / 'index.html').read_text())
    files = {r for r in references.found if not r.startswith(('#', 'data:'))}
    assert not [r for r in files if '://' in r or r.startswith('//')]
    assert all((page / r).is_file() for r in files)
    sounds = [page / r for r in files if r.endswith('.flac')]
    assert len(sounds) >= 10  # two pieces of four stems with their mixes, and one of drums
    for path in sounds:
        audio, rate = soundfile.read(path)
        assert rate == 48_000
        assert audio.shape[1] == 2
        assert np.isfinite(audio).all()
    json.loads((page / 'measurements.json').read_text())


def test_generate_builds_on_a_file_of_another_rate_and_returns_it(finished, tmp_path):
    out, _ = finished
    mono = 0.1 * np.sin(np.arange(44_100 * 3) / 40)
    soundfile.write(tmp_path / 'bass.wav', mono, 44_100)
    status, said, error = run(
        'launch.generate',
        f'--checkpoint={out}/composer',
        '--prompt=dark rock',
        '--targets=drums',
        f'--given=bass={tmp_path}/bass.wav',
        '--seconds=2',
        '--steps=5',
        f'--out={tmp_path}/piece',
    )
    assert status == 0, error
    assert set(json.loads(said)['tracks']) == {'bass', 'drums'}
    bass, rate = soundfile.read(tmp_path / 'piece' / 'bass.flac')
    assert (rate, bass.shape) == (48_000, (96_000, 2))
    expected = 0.1 * np.sin(np.arange(96_000) * 44_100 / 48_000 / 40)
    assert np.abs(bass[2000:-2000, 0] - expected[2000:-2000]).max() < 1e-3


@pytest.mark.parametrize(
    ('flags', 'said'),
    [
        (['--targets=drums,guitar'], "error: --targets: unknown track 'guitar'; allowed are bass"),
        (['--given=bass'], 'error: --given=bass: no track or no file; allowed is TRACK=FILE'),
        (['--given=bass=cut.wav'], 'cut off'),
        (['--checkpoint=/nowhere'], 'error: /nowhere: holds no composer'),
    ],
)
def test_generate_refuses_bad_input_in_one_line(finished, tmp_path, flags, said):
    out, _ = finished
    soundfile.write(tmp_path / 'whole.wav', np.zeros((48_000, 2)), 48_000)
    (tmp_path / 'cut.wav').write_bytes((tmp_path / 'whole.wav').read_bytes()[:50_000])
    flags = [flag.replace('cut.wav', f'{tmp_path}/cut.wav') for flag in flags]
    given = ['launch.generate', f'--checkpoint={out}/composer', f'--out={tmp_path}/x', *flags]
    status, _, error = run(*given)
    assert status == 2
    assert len(error.strip().splitlines()) == 1
    assert said in error


@pytest.mark.parametrize(
    ('override', 'said'),
    [
        ('--config.optimizer.peak_learning_rate=0.5', 'peak_learning_rate is 0.001 there'),
        ('--config.optimizer.peak_learning_rat=0.5', 'did you mean config.optimizer.peak_learning'),
        ('--config.data.window_frames=100000', 'window_frames: 100000; allowed is up to'),
        ('--config.model.channels=(64,96,128)', 'model.channels is [128, 160, 192] there'),
        ('--config.diffusion.prediction=x0', "diffusion.prediction is 'v' there, 'x0' here"),
        ('--config.diffusion.prediction=noise', "prediction: 'noise'; allowed are v, epsilon, x0"),
        ('--config.loop.log_every=0', 'loop.log_every: 0; allowed is 1 or more'),
        ('--config.sharding.strategy=both', "strategy: 'both'; allowed are dp, fsdp, tp"),
        ('--config.curriculum.target_shares=((1,0,0,0),)', 'as many rows of shares as stages'),
        ('--config.model.head_width=31', 'model.head_width: 31; allowed are even numbers'),
    ],
)
def test_train_composer_refuses_another_config(finished, override, said):
    """In one line, and the run that is there stays as it was."""
    out, _ = finished
    workdir = out / 'composer'
    files = [workdir / 'composer.json', *sorted((workdir / 'autoencoder').iterdir())]
    before = [path.read_bytes() for path in files]
    status, _, error = run(
        'launch.train_composer',
        '--config=configs/demo.py:quick',
        f'--workdir={out}/composer',
        f'--config.data.latents={out}/latents',
        f'--config.data.autoencoder={out}/autoencoder',
        override,
    )
    assert status == 2
    assert len(error.strip().splitlines()) == 1
    assert said in error
    assert [path.read_bytes() for path in files] == before
