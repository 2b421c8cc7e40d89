"""Folders of MIDI files: found at any depth, captioned by a text beside them, rendered."""

import pathlib

import mido
import numpy as np
import pytest

from data_pipeline.sources import render
from data_pipeline.sources.midi_folder import MidiFolder
from data_pipeline.sources.roles import assign_roles
from data_pipeline.sources.scores import read_font
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS
from tests.data_pipeline.conftest import band, line, make_midi, score_of
from tests.data_pipeline.sources.trees import by_title, refusal


@pytest.fixture
def root(tmp_path: pathlib.Path) -> pathlib.Path:
    """Four songs and what is none of them."""
    files = {
        'a.mid': make_midi(band()),
        'a.MIDI': make_midi(band(), bpm=90),
        'deep/er/Füße.mid': make_midi({(0, 33): line([36, 43] * 20)}),
        'deep/a.mid': make_midi(band(), bpm=60),
        '.hidden.mid': b'MThd',
        '.git/x.mid': b'MThd',
        'notes.txt': b'about all of them',
        'deep/a.txt': 'slow  waltz\n\nin C, für Elise\n'.encode(),
    }
    for name, data in files.items():
        path = tmp_path / 'midi' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / 'midi/deep/back').symlink_to(tmp_path / 'midi')
    return tmp_path / 'midi'


def test_files_are_found_below_and_known_before_they_are_rendered(root: pathlib.Path):
    entries = MidiFolder(folder=str(root), font=b'').entries(None)
    places = [str(pathlib.Path(entry.where).relative_to(root)) for entry in entries]
    assert places == ['a.MIDI', 'a.mid', 'deep/a.mid', 'deep/er/Füße.mid']
    assert len({entry.id for entry in entries}) == 4
    assert [entry.title for entry in entries] == ['a', 'a', 'a', 'Füße']
    assert [entry.tags['bpm'] for entry in entries] == [90.0, 120.0, 60.0, 120.0]
    assert entries[2].tracks == TRACKS
    assert entries[2].captions == ('slow waltz', 'in C, für Elise')
    assert entries[3].tracks == ('bass',)
    assert not entries[3].captions
    assert [e.where for e in MidiFolder(folder=str(root), font=b'').entries(2)] == [
        entry.where for entry in entries[:2]
    ]


def test_a_song_is_rendered_with_its_beats(root: pathlib.Path, font: bytes):
    source = MidiFolder(folder=str(root), font=font)
    entry = next(entry for entry in source.entries(None) if entry.captions)
    material = source.load(entry)
    score = score_of(band(), bpm=60)
    wanted = render.render(font, score, assign_roles(score.notes, score.duration_s))
    np.testing.assert_array_equal(material.stems, wanted)
    assert material.beats_s == pytest.approx((0.0, 1.0, 2.0, 3.0, 4.0))
    assert material.captions == entry.captions
    assert material.tags['instruments']['melody'] == ['sawtooth lead']


def test_the_hash_follows_the_notes_and_the_captions(root: pathlib.Path):
    def hashes(folder: pathlib.Path) -> list[str]:
        source = MidiFolder(folder=str(folder), font=b'')
        return [source.sha256(entry) for entry in source.entries(None)]

    before = hashes(root)
    assert len(set(before)) == 4
    moved = root.rename(root.with_name('moved'))
    assert hashes(moved) == before
    (moved / 'deep/a.txt').write_text('fast waltz')
    (moved / 'a.mid').write_bytes(make_midi(band(), bpm=121))
    changed = [a != b for a, b in zip(before, hashes(moved), strict=True)]
    assert changed == [False, True, True, False]


def test_broken_files_are_listed_and_refused(root: pathlib.Path):
    (root / 'text.mid').write_text('no notes')
    (root / 'mute.mid').write_bytes(make_midi({}))
    (root / 'latin.mid').write_bytes(make_midi(band()))
    (root / 'latin.txt').write_bytes(b'caf\xe9')
    source = MidiFolder(folder=str(root), font=b'')
    entries = by_title(source)
    for name, file, why in (
        ('text.mid', 'text.mid', 'not a MIDI file'),
        ('mute.mid', 'mute.mid', 'no notes'),
        ('latin.mid', 'latin.txt', 'allowed is UTF-8'),
    ):
        line = refusal(source, entries[name])
        assert line.startswith(f'{root}/{file}: ')
        assert why in line
    with pytest.raises(BadInput, match=r'--songs=8: .*has 7'):
        source.entries(8)


def test_a_font_that_is_none_is_refused(tmp_path: pathlib.Path, font: bytes):
    path = tmp_path / 'x.sf2'
    for what in ('missing', 'text'):
        if what == 'text':
            path.write_text('no font')
        with pytest.raises(BadInput, match=r'^--font=.*x\.sf2: .*; allowed is a \.sf2 file$'):
            read_font(str(path))
    path.write_bytes(font)
    assert read_font(str(path)) == font


def test_a_file_that_renders_to_silence_is_refused(tmp_path: pathlib.Path, font: bytes):
    down = [
        mido.Message('control_change', channel=channel, control=7, value=0) for channel in range(16)
    ]
    (tmp_path / 'a.mid').write_bytes(make_midi(band(), controls=down))
    source = MidiFolder(folder=str(tmp_path), font=font)
    line = refusal(source, by_title(source)['a'])
    assert line == f'{tmp_path}/a.mid: all stems are silent; needed is one that is not'
