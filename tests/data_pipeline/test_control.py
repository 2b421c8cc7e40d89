"""Tempo, key and chords, from a prepared song to what a window is told."""

import hashlib
import itertools
import json

from data_pipeline.latent_records import clip_starts
from data_pipeline.latents import Latents
from data_pipeline.windows import Windows
from jen1composer.harmony import NO_CHORD, UNKNOWN_CHORD, UNKNOWN_KEY, chord_number
from tests.data_pipeline import latent_folder as small


def test_tempo_key_and_chords_are_a_songs_and_older_folders_have_none(tmp_path):
    changes = ((0.0, 'Am'), (1.5, 'F'))
    known = {'a': {'tags': {'bpm': 120.5, 'key': 'A minor'}, 'chords': changes}, 'b': {'tags': {}}}
    latents = small.write(tmp_path / 'latents', small.prepare(tmp_path / 'data', known=known))
    song = latents.song(0)
    assert (song.bpm, song.key, song.chords) == (120.5, 'A minor', changes)
    song = latents.song(1)
    assert (song.bpm, song.key, song.chords) == (0.0, '', ())

    older = tmp_path / 'latents' / 'songs.jsonl'
    lines = [json.loads(line) for line in older.read_text().splitlines()]
    for line in lines:
        for key in ('bpm', 'key', 'chords'):
            del line[key]
    older.write_text(''.join(f'{json.dumps(line)}\n' for line in lines))
    manifest = tmp_path / 'latents' / 'manifest.json'
    value = json.loads(manifest.read_text())
    value['songs_sha256'] = hashlib.sha256(older.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(value))
    song = Latents(tmp_path / 'latents').song(0)
    assert (song.bpm, song.key, song.chords) == (0.0, '', ())


def test_a_window_is_told_what_sounds_in_the_middle_of_its_frames(tmp_path):
    changes = ((0.0, 'C'), (0.86, 'Am'), (2.0, 'N'), (4.5, 'F#m'), (8.0, 'Eb'))
    known = {
        'a': {'tags': {'bpm': 90, 'key': 'C major'}, 'chords': changes},
        'c': {'chords': ((0.0, 'G'),)},
    }
    prepared = small.prepare(tmp_path / 'data', known=known)
    latents = small.write(tmp_path / 'latents', prepared)
    windows = Windows(latents, ['train', 'validation'], 8)
    for window, offset in itertools.product(windows, (0, 3, -2)):
        song, told = latents.song(window.song), windows.control(window, offset)
        begin = clip_starts(song.num_frames, small.CLIP_FRAMES)[window.clip]
        begin += windows.start(window, offset)
        expected = [UNKNOWN_CHORD] * 8
        for at, symbol in known.get(song.id, {}).get('chords', ()):
            expected = [
                chord_number('', symbol) if at <= (begin + n + 0.5) / 10 else chord
                for n, chord in enumerate(expected)
            ]
        assert told.chords.tolist() == expected
        assert told.bpm == (90 if song.id == 'a' else 0)
        assert told.key == (0 if song.id == 'a' else UNKNOWN_KEY)
    short = small.write(
        tmp_path / 'short', small.prepare(tmp_path / 'c', known=known, names='c'), clip_frames=40
    )
    (window, *_) = Windows(short, ['validation'], 40)
    padded = Windows(short, ['validation'], 40).control(window).chords
    assert padded.tolist() == [chord_number('', 'G')] * 30 + [NO_CHORD] * 10
