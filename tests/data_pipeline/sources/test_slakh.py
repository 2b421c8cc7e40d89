"""Slakh2100: both layouts, roles from the metadata, skipped and missing stems, tempo and beats."""

import pathlib
from typing import Any

import pytest
import yaml

from data_pipeline.sources.slakh import Slakh, assign_tracks, split_of
from jen1composer.errors import BadInput
from tests.data_pipeline.conftest import band, make_midi, sine
from tests.data_pipeline.sources.trees import (
    assert_hash_follows_content,
    assert_sounds,
    by_title,
    refusal,
    write_sound,
)

RATE = 44_100
HERTZ = {'S00': 110.0, 'S01': 55.0, 'S02': 440.0, 'S03': 660.0, 'S04': 880.0, 'S06': 220.0}


def stem(inst_class: str, program: int, loudness: float = -20.0, **fields) -> dict[str, Any]:
    return {
        'audio_rendered': True,
        'inst_class': inst_class,
        'integrated_loudness': loudness,
        'is_drum': inst_class == 'Drums',
        'midi_program_name': 'whatever',
        'midi_saved': True,
        'plugin_name': 'x.nkm',
        'program_num': program,
    } | fields


STEMS = {
    'S00': stem('Drums', 128),
    'S01': stem('Bass', 33),
    'S02': stem('Piano', 0, -10.0),
    'S03': stem('Reed', 65, -25.0),
    'S04': stem('Synth Lead', 81, -30.0),
    'S05': stem('Guitar', 30, audio_rendered=False, program_num=None),
    'S06': stem('Bass', 38),
}


def write_track(folder: pathlib.Path, stems: dict[str, Any] = STEMS, score: bool = True) -> None:
    (folder / 'stems').mkdir(parents=True)
    metadata = {'UUID': 'x', 'audio_dir': 'stems', 'overall_gain': 0.5, 'stems': stems}
    (folder / 'metadata.yaml').write_text(yaml.safe_dump(metadata))
    for name, hertz in HERTZ.items():
        write_sound(folder / f'stems/{name}.flac', sine(hertz, 1.0, RATE, gain=0.05), RATE)
    write_sound(folder / 'mix.flac', sine(3000, 1.0, RATE), RATE)
    if score:
        (folder / 'all_src.mid').write_bytes(make_midi(band(), bpm=150))


def test_one_track(tmp_path: pathlib.Path):
    write_track(tmp_path / 'train/Track00001')
    source = Slakh(folder=str(tmp_path))
    (entry,) = source.entries(None)
    assert (entry.id, entry.title, entry.split) == ('train-Track00001', 'Track00001', 'train')
    files = {t: [pathlib.Path(f.path).stem for f in entry.files[t]] for t in entry.tracks}
    assert files == {
        'bass': ['S01', 'S06'],
        'drums': ['S00'],
        'instrument': ['S02', 'S03'],
        'melody': ['S04'],
    }
    material = source.load(entry)
    for track, names in files.items():
        assert_sounds(material, track, *(sine(HERTZ[n], 1.0, gain=0.05) for n in names))
    assert material.tags['instruments'] == {
        'bass': ['fingered bass', 'synth bass'],
        'drums': ['drums'],
        'instrument': ['acoustic piano', 'alto sax'],
        'melody': ['sawtooth lead'],
    }
    assert material.tags['bpm'] == 150.0
    assert material.beats_s == pytest.approx((0.0, 0.4, 0.8))


def test_both_layouts_have_their_splits(tmp_path: pathlib.Path):
    divided, flat = tmp_path / 'divided', tmp_path / 'flat'
    for name in ('train/Track00007', 'train/Track00002', 'validation/Track00002', 'test/Track00003',
                 'omitted/Track00004'):  # fmt: skip
        write_track(divided / name)
    entries = Slakh(folder=str(divided)).entries(None)
    assert [entry.id for entry in entries] == [
        'train-Track00002',
        'train-Track00007',
        'validation-Track00002',
        'test-Track00003',
    ]
    assert [e.split for e in Slakh(folder=str(divided)).entries(3)] == [
        'train',
        'validation',
        'test',
    ]
    for number in (1, 1500, 1501, 1875, 1876, 2100):
        write_track(flat / f'Track{number:05}')
    (flat / 'Tracks').mkdir()
    (flat / 'README').write_text('')
    entries = Slakh(folder=str(flat)).entries(None)
    assert [(entry.title[5:], entry.split) for entry in entries] == [
        ('00001', 'train'),
        ('01500', 'train'),
        ('01501', 'validation'),
        ('01875', 'validation'),
        ('01876', 'test'),
        ('02100', 'test'),
    ]
    assert not any(entry.broken for entry in entries)
    assert [split_of(name) for name in ('Track00000', 'Track02101', 'x')] == ['', '', '']


@pytest.mark.parametrize(
    ('stems', 'lead'),
    [
        ({'a': stem('Piano', 0), 'b': stem('Guitar', 30)}, None),
        ({'a': stem('Piano', 0), 'b': stem('Reed', 65)}, 'b'),
        ({'a': stem('Reed', 65), 'b': stem('Pipe', 73, -10.0)}, 'b'),
        ({'a': stem('Reed', 65), 'b': stem('Pipe', 73)}, 'a'),
        ({'a': stem('Synth Lead', 80, -40.0), 'b': stem('Pipe', 73, -10.0)}, 'a'),
        ({'a': stem('Reed', 65, integrated_loudness=None), 'b': stem('Pipe', 73)}, 'b'),
        ({'a': stem('Drums', 80), 'b': stem('Bass', 80)}, None),
        ({}, None),
    ],
)
def test_the_most_leading_of_the_loudest_is_the_melody(stems, lead: str | None):
    programs = {name: value['program_num'] for name, value in stems.items()}
    for order in (stems, dict(reversed(stems.items()))):
        tracks = assign_tracks(order, programs, 'x')
        assert [name for name in tracks if tracks[name] == 'melody'] == ([lead] if lead else [])


def test_a_track_without_score_and_with_wav(tmp_path: pathlib.Path):
    folder = tmp_path / 'Track00001'
    write_track(folder, score=False)
    flac = folder / 'stems/S00.flac'
    flac.unlink()
    write_sound(flac.with_suffix('.wav'), sine(110, 0.5, 16_000, gain=0.05), 16_000)
    source = Slakh(folder=str(tmp_path))
    material = source.load(source.entries(1)[0])
    assert_sounds(material, 'drums', sine(110, 0.5, gain=0.05))
    assert material.beats_s is None
    assert 'bpm' not in material.tags


def test_the_hash_follows_the_content(tmp_path: pathlib.Path):
    root = tmp_path / 'slakh'
    write_track(root / 'test/Track02000')
    assert_hash_follows_content(lambda folder: Slakh(folder=folder), root, 'Track02000')


BROKEN = {
    'yaml': ('metadata.yaml', 'not YAML'),
    'empty': ('metadata.yaml', 'is None; allowed is a mapping'),
    'none': ('metadata.yaml', 'missing; needed is a text file'),
    'gap': ('stems/S03.flac', 'missing, but metadata.yaml has it as rendered'),
    'field': ('metadata.yaml: S03', "has no 'is_drum'; needed is true or false"),
    'kind': ('metadata.yaml: S01', "'program_num' is 'x'; allowed is a whole number"),
    'outside': ('metadata.yaml', "'../x' is no name of a file in its folder"),
    'silent': ('', 'no stems'),
    'cut': ('stems/S02.flac', 'cut off'),
    'score': ('all_src.mid', 'not a MIDI file'),
}


@pytest.mark.parametrize('what', BROKEN)
def test_broken_tracks_are_listed_and_refused(what: str, tmp_path: pathlib.Path):
    folder = tmp_path / 'train/Track00001'
    stems = {name: dict(fields) for name, fields in STEMS.items()}
    if what == 'field':
        del stems['S03']['is_drum']
    if what == 'kind':
        stems['S01']['program_num'] = 'x'
    if what == 'outside':
        stems['../x'] = stems['S03']
    if what == 'silent':
        stems = {'S05': stems['S05']}
    write_track(folder, stems)
    write_track(tmp_path / 'train/Track00002')
    metadata = folder / 'metadata.yaml'
    match what:
        case 'yaml':
            metadata.write_text(metadata.read_text()[:-9] + ': [')
        case 'empty':
            metadata.write_text('')
        case 'none':
            metadata.unlink()
        case 'gap':
            (folder / 'stems/S03.flac').unlink()
        case 'cut':
            path = folder / 'stems/S02.flac'
            path.write_bytes(path.read_bytes()[:20_000])
        case 'score':
            (folder / 'all_src.mid').write_bytes(b'MThd')
    source = Slakh(folder=str(tmp_path))
    entries = by_title(source)
    file, why = BROKEN[what]
    line = refusal(source, entries['Track00001'])
    assert line.startswith(f'{folder}/{file}'.rstrip('/') + ': ')
    assert why in line
    assert not entries['Track00002'].broken


def test_other_folders_are_refused(tmp_path: pathlib.Path):
    with pytest.raises(BadInput, match=f'--source=slakh:{tmp_path}: no folders Track00001 and so'):
        Slakh(folder=str(tmp_path)).entries(None)
