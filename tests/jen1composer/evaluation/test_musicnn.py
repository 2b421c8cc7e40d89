"""musicnn against the package itself (a recording), and how it cuts, fills and refuses sounds."""

import shutil
import subprocess
import sys

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jen1composer.errors import BadInput
from jen1composer.evaluation import musicnn
from jen1composer.evaluation.embedder import load_embedder
from jen1composer.evaluation.musicnn import load_musicnn, log_mel, log_mel_patches, package_folder
from tests.peers import live, record_musicnn

SETS = ('MSD', 'MTT')
SECOND = 48000


@pytest.fixture(scope='module', params=SETS)
def ears(request):
    return load_musicnn(weights=request.param)


@pytest.fixture(scope='module')
def ear():
    return load_embedder('musicnn')


@pytest.fixture(scope='module')
def recorded():
    with np.load(live.HERE / 'musicnn.npz') as file:
        return dict(file)


def stereo(samples, seed=0):
    draw = np.random.default_rng(seed).normal(size=(samples, 2)).astype(np.float32)
    return 0.1 * draw * np.linspace(0, 1, samples, dtype=np.float32)[:, None]


def check_network(ears, recorded):
    weights = 'MSD' if ears.tags == musicnn.TAGS['MSD'] else 'MTT'
    embedded, tags = ears.hear_patches(record_musicnn.patches())
    assert np.ptp(recorded[f'embedding/{weights}'], axis=0).max() > 0.3  # patches differ
    np.testing.assert_allclose(embedded, recorded[f'embedding/{weights}'], atol=2e-5)
    logits = np.log(tags) - np.log1p(-tags)
    np.testing.assert_allclose(logits, recorded[f'logits/{weights}'], atol=2e-4)
    assert list(recorded[f'tags/{weights}']) == list(ears.tags)


def test_the_network_is_that_of_the_package(ears, recorded):
    check_network(ears, recorded)


@pytest.mark.peer
def test_the_network_is_that_of_the_package_now(ears, tmp_path):
    path = live.record('record_musicnn.py', tmp_path / 'musicnn.npz')
    with np.load(path) as file:
        check_network(ears, dict(file))


def test_a_sound_is_heard_as_the_package_hears_it(ears, recorded):
    weights = 'MSD' if ears.tags == musicnn.TAGS['MSD'] else 'MTT'
    frames = log_mel(record_musicnn.sound())
    patches = np.stack([frames[:187], frames[187:374]])  # as there: one after the other
    embedded, tags = ears.hear_patches(patches)
    # There the power is float16, of 11 bits: 1e-3 of it, which is 2e-4 of the logarithm.
    np.testing.assert_allclose(embedded[:1], recorded[f'heard/{weights}'], atol=2e-3)
    np.testing.assert_allclose(tags, recorded[f'probability/{weights}'], atol=5e-4)
    assert np.ptp(tags, axis=0).max() > 0.02


@given(st.integers(1, 200_000))
def test_patches_overlap_by_half_or_more_and_leave_nothing_out(samples):
    counted = np.arange(1 + samples // 256, dtype=np.float32)[:, None]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(musicnn, 'log_mel', lambda sound: counted)
        patches = log_mel_patches(np.zeros(samples))[..., 0]
    assert patches.shape[1] == 187
    assert set(patches.ravel()) == set(counted.ravel())
    if len(counted) >= 187:
        starts = patches[:, :1]
        np.testing.assert_array_equal(patches, starts + np.arange(187))
        assert set(np.diff(starts[:, 0])) <= set(range(1, 95))


def test_an_excerpt_of_5_12_s_is_three_patches(ear):
    audio = stereo(245_760)
    embedded, tags = ear.hear(audio)
    assert (embedded.shape, embedded.dtype) == ((3, 200), np.float32)
    assert tags.shape == (3, 50)
    assert 0 < tags.min() < tags.max() < 1
    np.testing.assert_array_equal(ear.embed(audio), embedded)


def test_a_short_sound_is_repeated(ear):
    (short,) = log_mel_patches(stereo(16000)[:, 0])  # 1 s: 63 frames
    np.testing.assert_array_equal(short[:63], short[63:126])
    np.testing.assert_array_equal(short[:61], short[126:])
    assert ear.embed(stereo(SECOND // 100)).shape == (1, 200)


def test_a_patch_does_not_depend_on_its_company(ear):
    audio = stereo(8 * 3 * SECOND)
    together = ear.embed(audio)
    alone = ear.embed(audio[: 3 * SECOND])
    assert len(together) > 4 > len(alone)
    # Only the resampling and the edge of (2) differ, at the end of the first patch.
    np.testing.assert_allclose(together[0], alone[0], atol=0.05)


def test_it_hears_one_channel_below_8_khz_and_the_level(ear):
    time = np.arange(4 * SECOND) / SECOND
    audio = stereo(4 * SECOND)
    embedded = ear.embed(audio)
    np.testing.assert_array_equal(ear.embed(audio[:, ::-1]), embedded)
    whistle = 0.1 * np.sin(2 * np.pi * 12_000 * time)[:, None].astype(np.float32)
    np.testing.assert_allclose(
        ear.embed(audio + whistle), embedded, atol=0.05
    )  # it begins with a click
    audible = 0.1 * np.sin(2 * np.pi * 1200 * time)[:, None].astype(np.float32)
    assert np.abs(ear.embed(audio + audible) - embedded).max() > 0.5
    assert np.abs(ear.embed(audio / 10) - embedded).max() > 0.5


def test_a_tone_is_in_its_band():
    time = np.arange(16000) / 16000
    spectrum = log_mel(np.sin(2 * np.pi * 1000 * time))
    centres = librosa.mel_frequencies(98, fmin=0, fmax=8000)[1:-1]
    assert abs(centres[spectrum[30].argmax()] - 1000) < 40
    assert (log_mel(np.zeros(2000)) == 0).all()


def test_bad_input_is_named(ear, tmp_path):
    with pytest.raises(BadInput, match=r"musicnn: weights: 'VGG'; allowed are MSD, MTT"):
        load_musicnn(weights='VGG')
    with pytest.raises(BadInput, match=r"embedder: 'ear'; allowed are musicnn, clap, vggish"):
        load_embedder('ear')
    for name in ('clap', 'vggish'):
        with pytest.raises(BadInput, match=f"embedder: '{name}' comes with no package; name the"):
            load_embedder(name)
        with pytest.raises(BadInput, match=str(tmp_path)):
            load_embedder(name, tmp_path)
    with pytest.raises(BadInput, match='no_such_package is not installed; `pip install'):
        package_folder('no_such_package')
    with pytest.raises(BadInput, match=r'MSD_musicnn/\.index is missing'):
        load_musicnn(tmp_path)
    shutil.copytree(package_folder() / 'MTT_musicnn', tmp_path / 'MSD_musicnn')
    with pytest.raises(BadInput, match=r'MSD_musicnn/\.index has SHA-256 .* allowed is 87f3e0f3'):
        load_musicnn(tmp_path)
    with pytest.raises(BadInput, match=r'audio: shape: \(100,\)'):
        ear.embed(np.zeros(100, np.float32))


def test_the_package_is_read_but_not_imported():
    program = (
        'import sys; from jen1composer.evaluation.embedder import load_embedder;'
        'print(load_embedder("musicnn").name, {"musicnn", "tensorflow"} & set(sys.modules))'
    )
    run = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert run.stdout == 'musicnn set()\n', run.stderr
