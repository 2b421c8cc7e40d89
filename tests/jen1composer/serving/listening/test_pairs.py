"""Pairs: by name, mixes of folders, one loudness."""

import numpy as np
import pytest

from jen1composer.errors import BadInput
from jen1composer.generation.mixdown import loudness
from jen1composer.serving.listening.pairs import (
    TARGET_LUFS,
    Pair,
    find_pairs,
    read_pair,
    sounds_of,
)
from tests.jen1composer.serving.listening.conftest import tone, write


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b'')


def names(tmp_path, limit=None, seed=0):
    return [pair.name for pair in find_pairs(tmp_path / 'a', tmp_path / 'b', limit, seed)]


def test_pairs_have_one_name_whatever_their_endings_and_whether_they_are_folders(tmp_path):
    touch(tmp_path / 'a', 'x.wav', 'y/mix.flac', 'y/bass.flac', 'deep/z.mp3', 'alone.wav')
    touch(tmp_path / 'b', 'x.flac', 'y.wav', 'deep/z.flac', 'z.flac', 'y.txt', 'stems.json')
    assert names(tmp_path) == ['deep/z', 'x', 'y']
    assert sounds_of(tmp_path / 'a', '--a')['y'].name == 'mix.flac'


def test_a_limit_draws_by_the_seed(tmp_path):
    for side in 'ab':
        touch(tmp_path / side, *(f'{k:02}.wav' for k in range(20)))
    assert names(tmp_path, 20) == names(tmp_path)
    assert names(tmp_path, 5, 1) == names(tmp_path, 5, 1) != names(tmp_path, 5, 2)
    assert len(set(names(tmp_path, 5, 1))) == 5
    with pytest.raises(BadInput, match=r'--pairs: 0; allowed'):
        names(tmp_path, 0)


def test_what_does_not_pair_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r'--a=.*a: is no folder'):
        names(tmp_path)
    touch(tmp_path / 'a', 'x.wav')
    touch(tmp_path / 'b', 'y.wav')
    with pytest.raises(BadInput, match='no sound has one name in both; there are x and y'):
        names(tmp_path)
    touch(tmp_path / 'b', 'y/mix.flac')
    with pytest.raises(BadInput, match='have one name; keep one'):
        names(tmp_path)


@pytest.mark.parametrize('gains', [(0.01, 0.7), (0.9, 0.9), (1.0, 0.01)])
def test_both_sides_are_as_loud_and_below_full_scale(tmp_path, gains):
    files = []
    for side, gain in zip('ab', gains, strict=True):
        files.append(tmp_path / f'{side}.wav')
        noise = np.random.default_rng(0).laplace(size=(48_000, 2))
        write(files[-1], gain * noise / np.abs(noise).max(), 48_000)
    sides = read_pair(Pair(name='x', files=tuple(files)))
    first, second = (loudness(side.audio) for side in sides)
    assert first == pytest.approx(second, abs=0.05)
    assert first <= TARGET_LUFS + 0.05
    assert max(np.abs(side.audio).max() for side in sides) <= 10 ** (-1 / 20) + 1e-4
    for side, loud in zip(sides, (first, second), strict=True):
        assert side.loudness_lufs + side.gain_db == pytest.approx(loud, abs=0.05)


def test_a_silent_side_is_heard_as_silence(tmp_path):
    files = tmp_path / 'a.wav', tmp_path / 'b.wav'
    write(files[0], np.zeros((4800, 1)))
    write(files[1], tone('b'))
    silent, heard = read_pair(Pair(name='x', files=files))
    assert silent.loudness_lufs is None
    assert silent.gain_db == 0
    assert loudness(heard.audio) == pytest.approx(TARGET_LUFS, abs=0.05)


def test_what_is_no_sound_is_named(tmp_path):
    touch(tmp_path, 'a.wav')
    write(tmp_path / 'b.wav', tone('b'))
    with pytest.raises(BadInput, match=r'a\.wav: not sound'):
        read_pair(Pair(name='x', files=(tmp_path / 'a.wav', tmp_path / 'b.wav')))
