"""MUSDB18 and MUSDB18-HQ: folders and containers of four stems, the mixture left alone."""

import pathlib
import shutil

import numpy as np
import pytest

from data_pipeline.containers import read_stream
from data_pipeline.sources.musdb import Musdb
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS
from tests.data_pipeline.conftest import sine
from tests.data_pipeline.sources.trees import (
    assert_hash_follows_content,
    assert_sounds,
    by_title,
    refusal,
    write_sound,
)
from tests.data_pipeline.stem_containers import write_container, write_real_container

STEMS = ('bass', 'drums', 'other', 'vocals')
HERTZ = {'bass': 55.0, 'drums': 110.0, 'other': 440.0, 'vocals': 880.0, 'mixture': 3000.0}
RATE = 44_100


def write_folder(folder: pathlib.Path, duration_s: float = 1.0, pitch: float = 1.0) -> None:
    for name, hertz in HERTZ.items():
        wave = sine(pitch * hertz, duration_s, RATE, gain=0.1)
        write_sound(folder / f'{name}.wav', np.stack([wave, wave], 1), RATE)


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    root = tmp_path / 'musdb18'
    write_folder(root / 'train/A Band - Erste Töne')
    write_folder(root / 'train/Solo', pitch=1.5)
    write_folder(root / 'test/A Band - Erste Töne', duration_s=0.8)
    order = ('mixture', *STEMS[1::-1], *STEMS[2:])
    waves = [sine(HERTZ[name], 1.0, RATE, gain=0.1) for name in order]
    write_container(root / 'test/B Band - Packed.stem.mp4', waves)
    (root / 'train/.DS_Store').write_text('')
    (root / 'readme.txt').write_text('')
    return root


def test_songs_of_both_kinds(root: pathlib.Path):
    source = Musdb(folder=str(root))
    entries = source.entries(None)
    by_title(source)
    assert [(entry.split, pathlib.Path(entry.where).name) for entry in entries] == [
        ('train', 'A Band - Erste Töne'),
        ('train', 'Solo'),
        ('test', 'A Band - Erste Töne'),
        ('test', 'B Band - Packed.stem.mp4'),
    ]
    assert [entry.title for entry in entries][-1] == 'B Band - Packed'
    assert entries[0].tags['artist'] == 'A Band'
    assert entries[0].tags['song'] == 'Erste Töne'
    assert 'artist' not in entries[1].tags
    assert not any(entry.broken for entry in entries)
    for entry in entries:
        assert entry.tracks == TRACKS
        duration_s = 0.8 if entry is entries[2] else 1.0
        pitch = 1.5 if entry is entries[1] else 1.0
        material = source.load(entry)
        for track, name in zip(TRACKS, STEMS, strict=True):
            wanted = sine(pitch * HERTZ[name], duration_s, gain=0.1)
            # The mixture is not in it. AAC is off by less than a twentieth of the sine.
            assert_sounds(material, track, wanted, atol=5e-3 if entry is entries[3] else 1e-3)


def test_a_real_song(root: pathlib.Path):
    """Its ends, where it was cut, pass full scale: the whole song is lowered."""
    path = write_real_container(root / 'train')
    source = Musdb(folder=str(root))
    entry = by_title(source)['The Easton Ellises - Falcon 69']
    assert (entry.split, entry.tags['artist']) == ('train', 'The Easton Ellises')
    material = source.load(entry)
    gain = 10 ** (material.tags['gain_db'] / 20)
    assert 0.2 < gain < 0.4
    for k, stream in enumerate((2, 1, 3, 4)):
        np.testing.assert_allclose(
            material.stems[k], gain * read_stream(path, stream), atol=2e-3, rtol=2e-3
        )
    assert np.abs(material.stems.sum(axis=0)).max() <= 1


def test_a_few_songs_come_from_both_splits(root: pathlib.Path):
    assert [entry.split for entry in Musdb(folder=str(root)).entries(2)] == ['train', 'test']


def test_the_hash_follows_the_content(root: pathlib.Path):
    def source_of(folder: str) -> Musdb:
        return Musdb(folder=folder)

    for title in ('Solo', 'B Band - Packed'):
        assert_hash_follows_content(source_of, root, title)


def test_broken_songs_are_listed_and_refused(root: pathlib.Path):
    train = root / 'train'
    write_folder(train / 'Gap')
    (train / 'Gap/vocals.wav').unlink()
    (train / 'Nothing').mkdir()
    write_folder(train / 'Cut')
    cut = train / 'Cut/other.wav'
    cut.write_bytes(cut.read_bytes()[:20_000])
    shutil.copy(root / 'test/B Band - Packed.stem.mp4', train / 'Short.stem.mp4')
    short = train / 'Short.stem.mp4'
    short.write_bytes(short.read_bytes()[:9000])
    write_container(train / 'Two.stem.mp4', [sine(100, 0.5, RATE)] * 2)
    source = Musdb(folder=str(root))
    entries = by_title(source)
    for title, file, why in (
        ('Gap', 'Gap/vocals.wav', 'missing; needed are bass.wav, drums.wav, other.wav, vocals.wav'),
        ('Nothing', 'Nothing/bass.wav', 'missing'),
        ('Cut', 'Cut/other.wav', 'cut off'),
        ('Short', 'Short.stem.mp4', 'not a container that can be read, or cut off'),
        ('Two', 'Two.stem.mp4', 'has 2 sound streams; needed are 3 or more'),
    ):
        line = refusal(source, entries[title])
        assert line.startswith(f'{train}/{file}: ')
        assert why in line


def test_other_folders_are_refused(tmp_path: pathlib.Path):
    with pytest.raises(BadInput, match=f'--source=musdb:{tmp_path}: no folder train or test in it'):
        Musdb(folder=str(tmp_path)).entries(None)
    (tmp_path / 'test').mkdir()
    assert Musdb(folder=str(tmp_path)).entries(None) == []
