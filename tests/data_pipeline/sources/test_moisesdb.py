"""MoisesDB: stems that repeat, lengths and rates that vary, no clicks, leads where nobody sings."""

import json
import pathlib
from typing import Any

import pytest

from data_pipeline.sources.moisesdb import Moisesdb, Recording, instrument
from jen1composer.errors import BadInput
from tests.data_pipeline.conftest import RATE, sine
from tests.data_pipeline.sources.trees import (
    assert_hash_follows_content,
    assert_sounds,
    by_title,
    refusal,
    write_sound,
)

# (stemName, trackType, id): Hertz, seconds, rate.
SUNG = {
    ('vocals', 'lead female singer', 'v1'): (880, 1.2, 44_100),
    ('vocals', 'background vocals', 'v2'): (990, 0.5, 48_000),
    ('bass', 'bass synthesizer (moog etc)', 'b'): (55, 1.0, 44_100),
    ('drums', 'drum machine', 'd'): (110, 1.0, 22_050),
    ('percussion', 'a-tonal percussion (claps, shakers, congas, cowbell etc)', 'p'): (
        220,
        0.75,
        44_100,
    ),
    ('guitar', 'acoustic guitar', 'g'): (330, 1.0, 44_100),
    ('other_keys', 'synth lead', 's'): (440, 1.0, 44_100),
    ('other', 'click track', 'c'): (3000, 2.0, 44_100),
}
PLAYED = {key: sound for key, sound in SUNG.items() if key[0] != 'vocals'}


def write_song(folder: pathlib.Path, sounds: dict, **fields: Any) -> None:
    """The folder of a song whose vocals are two stems of that name with a track each."""
    stems = []
    for (stem, kind, track), (hertz, duration_s, rate) in sounds.items():
        wave = sine(hertz, duration_s, rate, gain=0.1)
        write_sound(folder / stem / f'{track}.wav', wave, rate)
        tracks = [{'id': track, 'trackType': kind, 'extension': 'wav', 'has_bleed': False}]
        stems.append({'stemName': stem, 'tracks': tracks})
    record = {'song': 'Größe', 'artist': 'Die Band', 'genre': 'bossa nova', 'stems': stems}
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({k: v for k, v in (record | fields).items() if v is not None})
    (folder / 'data.json').write_text(text)


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    root = tmp_path / 'moises/moisesdb_v0.1'
    write_song(root / '0-sung', SUNG)
    write_song(root / '1-played', PLAYED, song='Leise')
    return root


def ids(files) -> list[str]:
    return [pathlib.Path(file.path).stem for file in files]


def test_songs_with_and_without_vocals(root: pathlib.Path):
    source = Moisesdb(folder=str(root))
    entries = by_title(source)
    assert {title: entry.id for title, entry in entries.items()} == {
        'Größe': '0-sung',
        'Leise': '1-played',
    }
    sung, played = ({t: ids(f) for t, f in e.files.items()} for e in entries.values())
    assert sung == {
        'bass': ['b'],
        'drums': ['d', 'p'],
        'instrument': ['g', 's'],
        'melody': ['v1', 'v2'],
    }
    assert played == {'bass': ['b'], 'drums': ['d', 'p'], 'instrument': ['g'], 'melody': ['s']}
    for entry, files, longest_s in ((entries['Größe'], sung, 1.2), (entries['Leise'], played, 1.0)):
        material = source.load(entry)
        assert abs(material.stems.shape[1] - longest_s * RATE) <= 1  # The click's 2 s are gone.
        sounds = {track: sound for (_, _, track), sound in SUNG.items()}
        for track, names in files.items():
            waves = [sine(sounds[n][0], sounds[n][1], gain=0.1) for n in names]
            assert_sounds(material, track, *waves)
        assert material.tags['genre'] == ['bossa nova']
        assert material.tags['artist'] == 'Die Band'
    assert source.load(entries['Größe']).tags['instruments'] == {
        'bass': ['bass synthesizer'],
        'drums': ['drum machine', 'a-tonal percussion'],
        'instrument': ['acoustic guitar', 'synth lead'],
        'melody': ['lead female singer', 'background vocals'],
    }


def test_the_folder_may_be_the_one_above(root: pathlib.Path):
    above = Moisesdb(folder=str(root.parent)).entries(None)
    assert above == Moisesdb(folder=str(root)).entries(None)
    assert len(above) == 2
    assert Moisesdb(folder=str(root)).entries(1) == above[:1]


@pytest.mark.parametrize(
    ('stem', 'kind', 'name'),
    [
        ('bass', 'contrabass/double bass (bass of instrings)', 'contrabass/double bass'),
        ('bowed_strings', 'violin (solo)', 'violin'),
        ('vocals', 'other (vocoder, beatboxing etc)', 'vocals'),
        ('wind', 'other wind', 'wind'),
        ('other_keys', 'other sounds (hapischord, melotron etc)', 'other keys'),
        ('piano', '', 'piano'),
    ],
)
def test_instruments_in_words(stem: str, kind: str, name: str):
    assert instrument(Recording(stem=stem, kind=kind, path='x')) == name


def test_what_is_only_told_may_be_missing(root: pathlib.Path):
    write_song(root / '2', PLAYED, song=None, artist=None, genre=None)
    entry = by_title(Moisesdb(folder=str(root)))['2']
    assert not entry.broken
    assert set(entry.tags) == {'instruments'}


def test_the_hash_follows_the_content(root: pathlib.Path):
    def source_of(folder: str) -> Moisesdb:
        return Moisesdb(folder=folder)

    assert_hash_follows_content(source_of, root, 'Größe')
    source = source_of(str(root))
    before = source.sha256(by_title(source)['Leise'])
    write_song(root / '1-played', PLAYED, song='Leise', genre='samba')
    assert source.sha256(by_title(source)['Leise']) != before


def test_broken_songs_are_listed_and_refused(root: pathlib.Path):
    (root / 'a').mkdir()
    for name in 'bcdefgh':
        write_song(root / name, PLAYED, song=name)
    (root / 'b/data.json').write_text((root / 'b/data.json').read_text()[:-20])
    (root / 'c/guitar/g.wav').unlink()
    write_song(root / 'd', PLAYED, song='d', stems=[{'stemName': 'bass'}])
    write_song(root / 'e', {('other', 'click track', 'c'): SUNG['other', 'click track', 'c']},
               song='e')  # fmt: skip
    tracks = [{'id': 'b', 'trackType': 'bass guitar', 'extension': 'wav'}]
    twice = [{'stemName': 'bass', 'tracks': tracks}] * 2
    write_song(root / 'f', PLAYED, song='f', stems=twice)
    cut = root / 'g/bass/b.wav'
    cut.write_bytes(cut.read_bytes()[:1000])
    write_song(root / 'h', PLAYED, song=3)
    source = Moisesdb(folder=str(root))
    entries = {entry.id: entry for entry in source.entries(None)}
    by_title(source)
    for name, file, why in (
        ('a', 'a/data.json', 'missing; needed is a text file'),
        ('b', 'b/data.json', 'not JSON'),
        ('c', 'c/guitar/g.wav', 'missing, but data.json names it'),
        ('d', 'd/data.json: bass', "has no 'tracks'; needed is a list"),
        ('e', 'e', 'no stems'),
        ('f', 'f/bass/b.wav', 'named twice for bass; allowed is once'),
        ('g', 'g/bass/b.wav', 'cut off'),
        ('h', 'h/data.json', "'song' is 3; allowed is a text"),
    ):
        line = refusal(source, entries[name])
        assert line.startswith(f'{root}/{file}: ')
        assert why in line
    assert not entries['0-sung'].broken


def test_a_missing_folder_is_refused(tmp_path: pathlib.Path):
    with pytest.raises(BadInput, match=f'--source=moisesdb:{tmp_path}/x: no such folder'):
        Moisesdb(folder=str(tmp_path / 'x')).entries(None)
    assert Moisesdb(folder=str(tmp_path)).entries(None) == []


@pytest.mark.parametrize(
    ('stem', 'track', 'said'),
    [
        ('bass', '../../1-played/bass/b', '../../1-played/bass/b.wav'),
        ('..', 'b', '..'),
        ('../1-played/bass', 'b', '../1-played/bass'),
        ('bass', '/etc/b', '/etc/b.wav'),
        ('bass', 'a\\b', 'a\\b.wav'),
        ('bass', 'a\0b', 'a\0b.wav'),
        ('', 'b', ''),
        ('bass', 'x' * 300, f'{"x" * 57}...'),
    ],
)
def test_no_song_reads_outside_its_folder(root: pathlib.Path, stem: str, track: str, said: str):
    tracks = [{'id': track, 'trackType': 'bass guitar', 'extension': 'wav'}]
    write_song(root / '0-sung', {}, stems=[{'stemName': stem, 'tracks': tracks}])
    source = Moisesdb(folder=str(root))
    line = refusal(source, source.entries(None)[0])
    assert line == (
        f'{root}/0-sung/data.json: {said!r} is no name of a file in its folder; allowed are up to '
        '200 bytes without / and \\'
    )
