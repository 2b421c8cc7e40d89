"""The loader of sound files: sums, padding, levels; neither order nor place of files counts."""

import dataclasses
import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipeline.sources import files
from data_pipeline.sources.source import AudioFile, Entry
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS
from tests.data_pipeline.conftest import RATE, band, make_midi, sine
from tests.data_pipeline.sources.trees import write_sound

ENTRY = Entry(id='x', title='x', where='/songs/x', tracks=TRACKS, tags={'genre': ['blues']})


def entry_of(paths: dict[str, list[pathlib.Path]], **fields) -> Entry:
    named = {t: tuple(AudioFile(path=str(path)) for path in paths[t]) for t in paths}
    return dataclasses.replace(ENTRY, files=named, **fields)


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.tuples(st.sampled_from(TRACKS), st.integers(1, 400)), min_size=1),
    data=st.data(),
)
def test_stems_are_the_sums_of_their_files_in_any_order(lengths, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp('song')
    rng = np.random.default_rng(len(lengths))
    lengths = [*lengths, ('bass', 4800)]  # The least that a song lasts.
    longest = 4800
    wanted = np.zeros((len(TRACKS), longest, 2), np.float32)
    paths: dict[str, list[pathlib.Path]] = {}
    for k, (track, length) in enumerate(lengths):
        wave = rng.uniform(-1, 1, (length, 2)).astype(np.float32) / (8 * len(lengths))
        wanted[TRACKS.index(track), :length] += wave
        paths.setdefault(track, []).append(write_sound(folder / f'{k}.wav', wave))
    entry = entry_of(paths)
    material = files.load(entry)
    np.testing.assert_allclose(material.stems, wanted, atol=1e-6)
    shuffled = entry_of({t: data.draw(st.permutations(paths[t])) for t in reversed(paths)})
    assert files.load(shuffled).stems.tobytes() == material.stems.tobytes()
    assert files.sha256(shuffled) == files.sha256(entry)


@pytest.mark.parametrize('rate', [22_050, 44_100, 96_000])
def test_other_rates_and_mono_and_silence_after_the_end(tmp_path: pathlib.Path, rate: int):
    low = write_sound(tmp_path / 'low.flac', sine(110, 0.5, rate), rate)
    high = write_sound(tmp_path / 'high.wav', sine(880, 1.0))
    material = files.load(entry_of({'bass': [low], 'melody': [high]}))
    assert material.stems.shape == (len(TRACKS), RATE, 2)
    inner = slice(1000, RATE // 2 - 1000)
    bass = material.stems[0]
    np.testing.assert_allclose(bass[inner, 0], sine(110, 0.5)[inner], atol=1e-3)
    np.testing.assert_array_equal(bass[:, 0], bass[:, 1])
    assert not bass[RATE // 2 :].any()
    assert not material.stems[1:3].any()


def test_one_gain_for_the_whole_song(tmp_path: pathlib.Path):
    """Two stems within full scale whose sum is not; and one alone that is not."""
    soft, loud = (write_sound(tmp_path / f'{g}.wav', sine(100, 0.5, gain=g)) for g in (0.8, 0.9))
    material = files.load(entry_of({'bass': [soft], 'drums': [loud]}))
    assert np.abs(material.stems.sum(axis=0)).max() == pytest.approx(files.CEILING, abs=1e-4)
    ratio = np.abs(material.stems[1]).max() / np.abs(material.stems[0]).max()
    assert ratio == pytest.approx(9 / 8, abs=1e-3)
    assert material.tags['gain_db'] == pytest.approx(20 * np.log10(files.CEILING / 1.7), abs=0.01)
    one, other = sine(100, 0.5, gain=1.5), -sine(100, 0.5, gain=1.5)
    against = entry_of(
        {
            'bass': [write_sound(tmp_path / 'one.wav', one)],
            'drums': [write_sound(tmp_path / 'other.wav', other)],
        }
    )
    assert np.abs(files.load(against).stems[0]).max() == pytest.approx(files.CEILING, abs=1e-4)


def test_a_score_in_time_gives_tempo_key_and_beats_within_the_sound(tmp_path: pathlib.Path):
    score = tmp_path / 'all.mid'
    score.write_bytes(make_midi(band(), bpm=120))
    sound = write_sound(tmp_path / 'bass.wav', sine(100, 1.25))
    entry = entry_of({'bass': [sound]}, score=str(score))
    material = files.load(entry)
    assert material.beats_s == pytest.approx((0.0, 0.5, 1.0))
    assert material.tags['bpm'] == 120.0
    assert material.tags['genre'] == ['blues']
    assert str(material.tags['key']).startswith('C ')
    assert files.load(entry_of({'bass': [sound]})).beats_s is None
    before = files.sha256(entry)
    score.write_bytes(make_midi(band(), bpm=121))
    assert files.sha256(entry) != before
    score.write_bytes(b'MThd')
    with pytest.raises(BadInput, match=r'all\.mid: not a MIDI file'):
        files.load(entry)


def test_the_hash_is_of_all_that_is_known(tmp_path: pathlib.Path):
    a, b = (write_sound(tmp_path / f'{k}.wav', sine(100 * k, 0.1)) for k in (1, 2))
    hashes = [
        files.sha256(entry)
        for entry in (
            entry_of({'bass': [a], 'drums': [b]}),
            entry_of({'bass': [b], 'drums': [a]}),
            entry_of({'bass': [a, b]}),
            entry_of({'bass': [a]}),
            entry_of({'bass': [a]}, tags={}),
            entry_of({'bass': [a]}, captions=('slow',)),
            entry_of({'bass': [a]}, captions=('slow', '')),
            entry_of({'bass': [a]}, title='other'),
            dataclasses.replace(ENTRY, files={'bass': (AudioFile(path=str(a), stream=0),)}),
        )
    ]
    assert len(set(hashes)) == len(hashes)


def test_a_large_file_is_hashed_in_pieces(tmp_path: pathlib.Path):
    path = tmp_path / 'x'
    path.write_bytes(bytes(files.PIECE_BYTES) + b'a')
    before = files.file_sha256(str(path))
    path.write_bytes(bytes(files.PIECE_BYTES) + b'b')
    assert files.file_sha256(str(path)) != before


def refused(entry: Entry, why: str, by_hash: bool = True) -> None:
    for refuses in (files.load, files.sha256) if by_hash else (files.load,):
        with pytest.raises(BadInput, match=why) as error:
            refuses(entry)
        assert '\n' not in str(error.value)


def test_what_is_no_song_is_refused(tmp_path: pathlib.Path):
    sound = write_sound(tmp_path / 'a.wav', sine(100, 0.1))
    refused(dataclasses.replace(ENTRY, broken='a.yaml: not YAML'), '^a.yaml: not YAML$')
    refused(ENTRY, r'^/songs/x: no stems')
    refused(entry_of({'bass': []}), r'^/songs/x: no stems')
    refused(entry_of({'bass': [sound, sound]}), r'a\.wav: named twice for bass')
    missing = entry_of({'bass': [tmp_path / 'none.wav']})
    refused(missing, rf'^{tmp_path}/none\.wav: ')
    silence = write_sound(tmp_path / 'silence.wav', np.zeros(4800, np.float32))
    refused(entry_of({'bass': [silence]}), 'all stems are silent', by_hash=False)
    sound.write_bytes(sound.read_bytes()[:-100])
    refused(entry_of({'bass': [sound]}), r'a\.wav: cut off', by_hash=False)


def test_sums_that_are_not_finite_are_refused(tmp_path: pathlib.Path):
    """Two files of a track near the greatest float; two tracks; a resampling that overflows."""
    loud = np.where(np.arange(9600) // 50 % 2, 3.3e38, -3.3e38).astype(np.float32)
    a, b = (write_sound(tmp_path / f'{name}.wav', loud) for name in 'ab')
    slow = write_sound(tmp_path / 'slow.wav', loud, 44_100)
    for paths in ({'bass': [a, b]}, {'bass': [a], 'drums': [b]}, {'bass': [slow]}):
        refused(entry_of(paths), '^/songs/x: its stems add up to samples that are not', False)


def test_a_song_of_less_than_a_tenth_of_a_second_is_refused(tmp_path: pathlib.Path):
    short = write_sound(tmp_path / 'a.wav', sine(100, 0.09))
    refused(entry_of({'bass': [short]}), r'^/songs/x: 0\.0900 s long; allowed is 0\.1 s', False)
