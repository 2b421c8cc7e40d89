"""Windows: side by side they are the clip, and jitter never leaves it."""

import numpy as np
import pytest

from data_pipeline.latent_records import clip_starts
from data_pipeline.windows import Window, Windows
from jen1composer.errors import BadInput
from tests.data_pipeline import latent_folder as small


@pytest.fixture(scope='module')
def latents(tmp_path_factory):
    folder = tmp_path_factory.mktemp('windows')
    return small.write(folder / 'latents', small.prepare(folder / 'data'))


def test_windows_side_by_side_are_the_clips(latents):
    windows = Windows(latents, ['train'], 8)
    per_clip = small.CLIP_FRAMES // 8
    for number, window in enumerate(windows):
        clip = latents.read(window.song, window.clip)
        start = number % per_clip * 8
        np.testing.assert_array_equal(windows.read(window), clip[:, start : start + 8])
    assert len(windows) == latents.layout.clips[latents.songs('train')].sum() * per_clip


@pytest.mark.parametrize('num_frames', [8, 12, 25, 40])
def test_windows_show_padding_only_of_a_song_shorter_than_a_window(latents, num_frames):
    """Song c has 30 frames in a clip of 40; its sound, in the encoding, is nowhere 0."""
    windows = Windows(latents, ['validation'], num_frames)
    assert {window.song for window in windows} == set(latents.songs('validation'))
    for window in windows:
        music = min(num_frames, int(latents.num_frames[window.song]))
        for offset in (-1000, -3, 0, 3, 1000):
            sounding = windows.read(window, offset).any(axis=(0, 2))
            np.testing.assert_array_equal(sounding, np.arange(num_frames) < music)


@pytest.mark.parametrize('num_frames', [7, 8, 25, 40])
@pytest.mark.parametrize('splits', [['train'], ['validation', 'train']])
def test_windows_are_those_that_begin_before_their_song_ends(latents, splits, num_frames):
    windows = Windows(latents, splits, num_frames)
    expected = [
        Window(int(song), clip, slot)
        for split in splits
        for song in latents.songs(split)
        for clip, start in enumerate(clip_starts(int(latents.num_frames[song]), small.CLIP_FRAMES))
        for slot in range(small.CLIP_FRAMES // num_frames)
        if start + slot * num_frames < latents.num_frames[song]
    ]
    assert list(windows) == expected
    assert len(windows) == len(expected)
    for position, window in enumerate(expected):
        row = windows.row_of(position)
        assert windows.songs[row] == window.song
        begin, end = windows.span(row)
        assert {place.song for place in expected[begin:end]} == {window.song}
        assert begin <= position < end


def test_a_million_songs_take_a_number_each(latents):
    """What is held grows with the songs, not with their windows."""
    windows = Windows(latents, ['train'], 8)
    many = np.random.default_rng(0).integers(1, 10_000, 1_000_000)
    windows.songs = np.arange(len(many))
    windows.ends = np.cumsum(many)
    begin = windows.ends - many
    for row in (0, 1, 77_777, 999_999):
        assert windows[int(begin[row])].song == row
        assert windows[int(windows.ends[row]) - 1].song == row


def test_no_window_begins_after_its_song(latents):
    windows = Windows(latents, ['validation'], 8)
    names = [latents.song(window.song).id for window in windows]
    assert names.count('c') == 4  # of 5 in the clip


@pytest.mark.parametrize('offset', [-1000, -3, 0, 3, 1000])
def test_a_moved_window_stays_in_its_clip(latents, offset):
    windows = Windows(latents, ['train'], 8)
    for window in windows:
        clip = latents.read(window.song, window.clip)
        start = int(np.clip(window.slot * 8 + offset, 0, small.CLIP_FRAMES - 8))
        np.testing.assert_array_equal(windows.read(window, offset), clip[:, start : start + 8])


def test_jitter_is_a_function_of_seed_and_index_and_reaches_both_ends(latents):
    windows = Windows(latents, ['train'], 8)
    drawn = [windows.jitter(3, i) for i in range(500)]
    assert drawn == [windows.jitter(3, i) for i in range(500)]
    assert drawn != [windows.jitter(4, i) for i in range(500)]
    assert set(drawn) == set(range(-4, 5))


BEATS = {'a': np.arange(0.33, 9, 0.6), 'b': (4.9, 0.0), 'c': (2.7,)}


@pytest.fixture(scope='module')
def with_beats(tmp_path_factory):
    """Songs a with a beat every 6 frames, b with one at frame 49 and one at 0, c with one at 27."""
    folder = tmp_path_factory.mktemp('beats')
    return small.write(folder / 'latents', small.prepare(folder / 'data', beats_s=BEATS))


@pytest.mark.parametrize('offset', [-4, 0, 1, 3, 1000])
def test_an_aligned_window_begins_at_the_nearest_beat_at_which_it_fits(with_beats, offset):
    plain = Windows(with_beats, ['train', 'validation'], 8)
    aligned = Windows(with_beats, ['train', 'validation'], 8, beat_aligned=True)
    assert list(aligned) == list(plain)
    moved = 0
    for window in plain:
        name = with_beats.song(window.song).id
        frames = int(with_beats.num_frames[window.song])
        clip_start = clip_starts(frames, small.CLIP_FRAMES)[window.clip]
        last = min(small.CLIP_FRAMES, frames - clip_start) - 8
        beats = sorted(round(float(beat) * 10) - clip_start for beat in BEATS.get(name, ()))
        fitting = [beat for beat in beats if 0 <= beat <= last]
        start = plain.start(window, offset)
        expected = min(fitting, key=lambda beat: abs(beat - start), default=start)
        assert aligned.start(window, offset) == expected
        clip = with_beats.read(window.song, window.clip)
        np.testing.assert_array_equal(
            aligned.read(window, offset), clip[:, expected : expected + 8]
        )
        moved += expected != start
    assert moved > 5


def test_prompts_and_versions_are_drawn_for_seed_and_index_and_all_come(tmp_path):
    prepared = small.prepare(tmp_path / 'data', {'a': ['rock', 'loud', 'dark'], 'b': 'jazz'})
    latents = small.write(
        tmp_path / 'latents', prepared, num_versions=2, augment=lambda stems, song, version: -stems
    )
    windows = Windows(latents, ['train'], 8)
    of_a, of_b = windows[0], windows[len(windows) - 1]
    assert latents.prompts[windows.prompt_row(of_a)] == 'rock'
    drawn = [latents.prompts[windows.prompt_row(of_a, 3, i)] for i in range(600)]
    assert drawn == [latents.prompts[windows.prompt_row(of_a, 3, i)] for i in range(600)]
    for prompt in ('rock', 'loud', 'dark'):
        assert abs(drawn.count(prompt) - 200) < 4 * np.sqrt(600 * 2 / 9)
    assert {latents.prompts[windows.prompt_row(of_b, 3, i)] for i in range(9)} == {'jazz'}
    versions = [windows.version(3, i) for i in range(600)]
    assert abs(sum(versions) - 300) < 4 * np.sqrt(600 / 4)
    assert versions != [windows.version(4, i) for i in range(600)]
    np.testing.assert_array_equal(windows.read(of_a, version=1), -windows.read(of_a))
    assert Windows(small.write(tmp_path / 'one', prepared), ['train'], 8).version(3, 0) == 0


def test_prompts_and_versions_and_places_are_drawn_apart(tmp_path):
    """As many of each: were they drawn from one stream, one would say the other."""
    prepared = small.prepare(tmp_path / 'data', {'a': ['rock', 'loud', 'dark']})
    latents = small.write(
        tmp_path / 'latents', prepared, num_versions=3, augment=lambda stems, song, version: stems
    )
    windows = Windows(latents, ['train'], 3)  # moved by -1, 0 or 1
    count, rows = 3600, list(latents.prompt_rows(0))
    draws = np.zeros((3, 3, 3))
    for i in range(count):
        prompt = rows.index(windows.prompt_row(windows[0], 3, i))
        draws[prompt, windows.version(3, i), windows.jitter(3, i) + 1] += 1
    for pairs in (draws.sum(0), draws.sum(1), draws.sum(2)):  # 400 each
        assert np.abs(pairs - count / 9).max() < 5 * np.sqrt(count * 8 / 81)


def test_a_window_longer_than_a_clip_and_an_empty_split_are_refused(latents):
    with pytest.raises(BadInput, match='window_frames: 41; allowed is up to 40'):
        Windows(latents, ['train'], small.CLIP_FRAMES + 1)
    with pytest.raises(BadInput, match='no song in test'):
        Windows(latents, ['test'], 8)
