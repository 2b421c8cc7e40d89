"""Windows: side by side they are the clip, and jitter never leaves it."""

import numpy as np
import pytest

from data_pipeline.windows import Windows
from jen1composer.errors import BadInput
from tests.data_pipeline import latent_folder as small


@pytest.fixture(scope='module')
def latents(tmp_path_factory):
    folder = tmp_path_factory.mktemp('windows')
    return small.write(folder / 'latents', small.prepare(folder / 'data'))


def test_windows_side_by_side_are_the_clips(latents):
    windows = Windows(latents, ['train'], 8)
    per_clip = small.CLIP_FRAMES // 8
    for number, window in enumerate(windows.places):
        clip = latents.read(window.song, window.clip)
        start = number % per_clip * 8
        np.testing.assert_array_equal(windows.read(window), clip[:, start : start + 8])
    clips = sum(len(latents.manifest.songs[song].starts) for song in latents.songs('train'))
    assert len(windows) == clips * per_clip


@pytest.mark.parametrize('num_frames', [8, 12, 25, 40])
def test_windows_show_padding_only_of_a_song_shorter_than_a_window(latents, num_frames):
    """Song c has 30 frames in a clip of 40; its sound, in the encoding, is nowhere 0."""
    windows = Windows(latents, ['validation'], num_frames)
    assert {window.song for window in windows.places} == set(latents.songs('validation'))
    for window in windows.places:
        music = min(num_frames, latents.manifest.songs[window.song].num_frames)
        for offset in (-1000, -3, 0, 3, 1000):
            sounding = windows.read(window, offset).any(axis=(0, 2))
            np.testing.assert_array_equal(sounding, np.arange(num_frames) < music)


def test_no_window_begins_after_its_song(latents):
    windows = Windows(latents, ['validation'], 8)
    names = [latents.manifest.songs[window.song].id for window in windows.places]
    assert names.count('c') == 4  # of 5 in the clip


@pytest.mark.parametrize('offset', [-1000, -3, 0, 3, 1000])
def test_a_moved_window_stays_in_its_clip(latents, offset):
    windows = Windows(latents, ['train'], 8)
    for window in windows.places:
        clip = latents.read(window.song, window.clip)
        start = int(np.clip(window.slot * 8 + offset, 0, small.CLIP_FRAMES - 8))
        np.testing.assert_array_equal(windows.read(window, offset), clip[:, start : start + 8])


def test_jitter_is_a_function_of_seed_and_index_and_reaches_both_ends(latents):
    windows = Windows(latents, ['train'], 8)
    drawn = [windows.jitter(3, i) for i in range(500)]
    assert drawn == [windows.jitter(3, i) for i in range(500)]
    assert drawn != [windows.jitter(4, i) for i in range(500)]
    assert set(drawn) == set(range(-4, 5))


def test_a_window_longer_than_a_clip_and_an_empty_split_are_refused(latents):
    with pytest.raises(BadInput, match='window_frames: 41; allowed is up to 40'):
        Windows(latents, ['train'], small.CLIP_FRAMES + 1)
    with pytest.raises(BadInput, match='no song in test'):
        Windows(latents, ['test'], 8)
