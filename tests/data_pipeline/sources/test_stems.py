"""Folders of stems: roles by name, any rate and length, mono or stereo."""

import pathlib

import numpy as np
import pytest
import soundfile
from etils import epath

from data_pipeline.sources.stems import CEILING, Stems, song_id, track_of
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS
from tests.data_pipeline.conftest import RATE, sine, write_stems


@pytest.mark.parametrize(
    ('name', 'track'),
    [
        ('Bass', 'bass'),
        ('02_bass_DI', 'bass'),
        ('bass drum', 'drums'),
        ('percussion', 'drums'),
        ('bassoon', 'instrument'),
        ('lead synth', 'melody'),
        ('Vocals', 'melody'),
        ('voice2', 'melody'),
        ('guitar', 'instrument'),
        ('other', 'instrument'),
        ('mixture', None),
        ('MIX', None),
        ('Song X - Mix', None),
        ('full_mix', None),
        ('FullMix', None),
        ('song-mixdown-2', None),
        ('03 Master', None),
        ('remix guitar', 'instrument'),
        ('masterful piano', 'instrument'),
    ],
)
def test_roles_by_name(name: str, track: str | None):
    assert track_of(name) == track


def load(root: pathlib.Path):
    source = Stems(folder=str(root))
    (entry,) = source.entries(None)
    return source.load(entry)


def test_files_of_a_track_add_up_and_the_rest_is_padded(tmp_path: pathlib.Path):
    folder = tmp_path / 'song'
    folder.mkdir()
    piano, guitar, bass = sine(440, 1.0), sine(660, 0.5), sine(110, 0.25)
    soundfile.write(folder / 'piano.wav', piano, RATE, subtype='FLOAT')
    soundfile.write(folder / 'guitar.wav', np.stack([guitar, -guitar], 1), RATE, subtype='FLOAT')
    soundfile.write(folder / 'bass.wav', bass, RATE, subtype='FLOAT')
    soundfile.write(folder / 'mix.wav', sine(880, 3.0), RATE)
    material = load(tmp_path)
    wanted = np.zeros((len(TRACKS), RATE, 2), np.float32)
    wanted[0, : len(bass)] = bass[:, None]
    wanted[2] = piano[:, None]
    wanted[2, : len(guitar)] += guitar[:, None] * [1, -1]
    np.testing.assert_allclose(material.stems, wanted, atol=1e-6)
    assert material.tags['gain_db'] == 0
    assert not material.captions


def test_other_rates_are_resampled(tmp_path: pathlib.Path):
    (tmp_path / 'song').mkdir()
    soundfile.write(tmp_path / 'song/bass.flac', sine(1000, 1.0, rate=44_100), 44_100)
    stems = load(tmp_path).stems
    inner = slice(1000, -1000)
    np.testing.assert_allclose(stems[0, inner, 0], sine(1000, 1.0)[inner], atol=1e-3)


def test_too_loud_songs_are_lowered_as_a_whole(tmp_path: pathlib.Path):
    (tmp_path / 'song').mkdir()
    for name, gain in (('bass', 0.9), ('drums', 0.8)):
        wave = sine(100, 0.5, gain=gain)
        soundfile.write(tmp_path / f'song/{name}.wav', wave, RATE, subtype='FLOAT')
    material = load(tmp_path)
    assert np.abs(material.stems.sum(axis=0)).max() == pytest.approx(CEILING, abs=1e-4)
    ratio = np.abs(material.stems[0]).max() / np.abs(material.stems[1]).max()
    assert ratio == pytest.approx(9 / 8, abs=1e-3)
    assert material.tags['gain_db'] == pytest.approx(20 * np.log10(CEILING / 1.7), abs=0.01)


def test_a_given_prompt_is_used(tmp_path: pathlib.Path):
    write_stems(tmp_path, 1)
    (tmp_path / 's0/prompt.txt').write_text('slow blues\nin E\n')
    assert load(tmp_path).captions == ('slow blues', 'in E')


def test_the_hash_follows_contents_and_names(tmp_path: pathlib.Path):
    source = Stems(folder=str(write_stems(tmp_path, 1)))
    (entry,) = source.entries(None)
    folder = tmp_path / 's0'
    hashes = [source.sha256(entry)]
    (folder / 'bass.wav').write_bytes((folder / 'drums.wav').read_bytes())
    hashes.append(source.sha256(entry))
    (folder / 'piano.wav').rename(folder / 'lead.wav')
    hashes.append(source.sha256(entry))
    (folder / 'prompt.txt').write_text('slow blues')
    hashes.append(source.sha256(entry))
    (folder / 'notes.pdf').write_text('ignored')
    assert source.sha256(entry) == hashes[-1]
    assert len(set(hashes)) == len(hashes)


def test_broken_songs_are_refused(tmp_path: pathlib.Path):
    (tmp_path / 'song').mkdir()
    with pytest.raises(BadInput, match='no stems'):
        load(tmp_path)
    soundfile.write(tmp_path / 'song/bass.wav', np.zeros(100), RATE)
    with pytest.raises(BadInput, match='silent'):
        load(tmp_path)
    soundfile.write(tmp_path / 'song/bass.wav', sine(100, 0.1), RATE)
    (tmp_path / 'song/prompt.txt').write_bytes(b'caf\xe9')
    with pytest.raises(BadInput, match='UTF-8'):
        load(tmp_path)


def test_missing_folders_and_songs_are_refused(tmp_path: pathlib.Path):
    with pytest.raises(BadInput, match='no such folder'):
        Stems(folder=str(tmp_path / 'none')).entries(None)
    with pytest.raises(BadInput, match='--songs=3'):
        Stems(folder=str(write_stems(tmp_path, 1))).entries(3)


def test_ids_are_safe_and_unique():
    names = ['AC-DC', 'A/C', 'A:C', 'Motörhead - Ace', '...', 'caf\udce9', 'x' * 255, 'x' * 254]
    ids = [song_id(name) for name in names]
    assert ids[0] == 'AC-DC'
    assert len(set(ids)) == len(ids)
    assert max(map(len, ids)) <= 120  # Room for what is put behind an id.
    assert all(epath.Path(i).name == i and i.isascii() for i in ids)
