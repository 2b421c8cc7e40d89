"""Clips as records: a record gives back what was packed, and each clip has a place of its own."""

import dataclasses

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.latent_records import Layout, Origin, clip_starts, pack, read_header, unpack
from jen1composer.errors import BadInput

ORIGIN = Origin(autoencoder='a' * 64, data='d' * 64, frame_rate=25.0, shape=(2, 5, 3))


def packed(origin=ORIGIN, song='s', start_frame=7, version=1):
    values = np.random.default_rng(0).standard_normal(origin.shape)
    return values, pack(origin, values, song=song, start_frame=start_frame, version=version)


@pytest.mark.parametrize('song', ['', 's', 'Ärger "so"', 'x' * 61, 'x' * 200])
def test_what_is_unpacked_is_what_was_packed(song):
    values, record = packed(song=song)
    found = unpack(record, ORIGIN)
    np.testing.assert_array_equal(found, values.astype(ml_dtypes.bfloat16))
    assert not found.flags.owndata  # a view, nothing is copied
    assert (len(record) - found.nbytes) % 64 == 0
    header = read_header(record)
    assert (header['song'], header['start_frame'], header['start_s']) == (song, 7, 0.28)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'autoencoder': 'b'}, f'whose autoencoder is {"a" * 64}, not b'),
        ({'data': 'other'}, 'whose data is d'),
        ({'frame_rate': 150.0}, 'whose frame_rate is 25.0, not 150.0'),
        ({'shape': (2, 6, 3)}, r'whose shape is \[2, 5, 3\], not \[2, 6, 3\]'),
    ],
)
def test_a_record_of_another_origin_is_refused(change, said):
    _, record = packed()
    with pytest.raises(BadInput, match=said):
        unpack(record, dataclasses.replace(ORIGIN, **change))


def test_what_is_no_record_and_what_is_no_clip_are_refused():
    for record in (b'', b'\x04\0\0\0', b'\xff' * 300, packed()[1][3:]):
        with pytest.raises(BadInput, match='holds no clip of latents'):
            unpack(record, ORIGIN)
    with pytest.raises(ValueError, match=r'a clip of \(2, 4, 3\)'):
        pack(ORIGIN, np.zeros((2, 4, 3)), song='s', start_frame=0, version=0)


@given(st.integers(1, 500), st.integers(1, 100))
def test_clips_cover_a_song_and_stay_inside(num_frames, clip_frames):
    starts = clip_starts(num_frames, clip_frames)
    covered = {n for start in starts for n in range(start, start + clip_frames)}
    assert set(range(num_frames)) <= covered
    assert len(set(starts)) == len(starts)
    assert max(starts) + clip_frames == max(num_frames, clip_frames)


@given(
    st.lists(st.integers(1, 200), min_size=1, max_size=20),
    st.integers(1, 30),
    st.integers(1, 40),
    st.integers(1, 3),
)
def test_each_clip_has_one_place_and_a_song_one_shard(frames, clip_frames, per_shard, versions):
    layout = Layout(
        np.array(frames),
        clip_frames=clip_frames,
        clips_per_shard=per_shard,
        num_versions=versions,
    )
    assert layout.clips.tolist() == [len(clip_starts(n, clip_frames)) for n in frames]
    records = [
        layout.record(song, clip, version)
        for song, count in enumerate(layout.clips)
        for version in range(versions)
        for clip in range(count)
    ]
    assert records == list(range(layout.num_records.sum()))
    shards = [layout.songs_of(shard) for shard in range(layout.num_shards)]
    assert [song for shard in shards for song in shard] == list(range(len(frames)))
    held = [layout.clips[list(shard)].sum() for shard in shards]
    assert [versions * count for count in held] == layout.num_records.tolist()
    assert all(count >= per_shard for count in held[:-1])
    for shard, count in zip(shards, held, strict=True):  # without its last song it is not full
        assert count - layout.clips[shard[-1]] < per_shard
