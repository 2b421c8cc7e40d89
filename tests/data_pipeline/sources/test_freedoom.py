"""The embedded data set: real wheels, one real song."""

import struct

import numpy as np
import pytest

from data_pipeline.sources.freedoom import Freedoom, fetch_freedoom, midi_lumps
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS
from tests.data_pipeline.conftest import RATE, band, make_midi


@pytest.fixture(scope='module')
def source() -> Freedoom:
    return fetch_freedoom()


def test_the_soundtrack_is_there(source: Freedoom):
    assert len(source.songs) == 75
    assert len(set(source.songs.values())) == 75
    entries = source.entries(None)
    assert len(entries) == 72
    assert sum(len(entry.tracks) == 4 for entry in entries) > 50


def test_one_song_has_four_stems_under_full_scale(source: Freedoom):
    short = Freedoom(songs={'x': source.songs['freedoom2-runni2']}, font=source.font)
    (entry,) = short.entries(1)
    assert entry.tracks == TRACKS
    material = short.load(entry)
    assert (np.sqrt((material.stems**2).mean(axis=(1, 2))) > 1e-2).all()
    assert np.abs(material.stems.sum(axis=0)).max() <= 1
    assert np.abs(material.stems).max() <= 1
    assert set(material.tags) == {'bpm', 'key', 'instruments'}
    assert material.tags == entry.tags
    steps = np.diff(material.beats_s)
    assert np.median(steps) == pytest.approx(60 / material.tags['bpm'], rel=1e-3)
    assert material.beats_s[0] == 0
    assert material.beats_s[-1] < material.stems.shape[1] / RATE


def test_short_and_thin_songs_are_left_out_and_rich_ones_chosen():
    long_band = {part: [n for k in range(20) for n in shifted(notes, 4.0 * k)]
                 for part, notes in band().items()}  # fmt: skip
    three = {part: notes for part, notes in long_band.items() if part != (9, -1)}
    songs = {
        'short': make_midi(band()),
        'three': make_midi(three),
        'four': make_midi(long_band),
        'thin': make_midi({(0, 33): long_band[0, 33]}),
    }
    source = Freedoom(songs=songs, font=b'')
    assert [entry.id for entry in source.entries(None)] == ['three', 'four']
    assert [entry.id for entry in source.entries(1)] == ['four']
    with pytest.raises(BadInput, match='--songs=3'):
        source.entries(3)


def shifted(notes, by_s: float):
    return [type(n)(n.start_s + by_s, n.end_s + by_s, n.pitch, n.velocity) for n in notes]


def test_lumps_of_a_wad():
    lumps = [(b'D_E1M1', b'MThd-first'), (b'SPRITE', b'picture'), (b'D_E1M2', b'MThd2')]
    body, directory = b'', b''
    for name, data in lumps:
        directory += struct.pack('<II8s', 12 + len(body), len(data), name)
        body += data
    wad = struct.pack('<4sII', b'IWAD', len(lumps), 12 + len(body)) + body + directory
    assert list(midi_lumps(wad)) == [('D_E1M1', b'MThd-first'), ('D_E1M2', b'MThd2')]
