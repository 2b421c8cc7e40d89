"""Latents on disk: what is read is what was encoded, and only what belongs together."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.latents import Latents, clip_starts
from data_pipeline.records import digest
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS, task_prefix
from tests.data_pipeline import latent_folder as small


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    return small.prepare(tmp_path_factory.mktemp('data'))


@given(st.integers(1, 500), st.integers(1, 100))
def test_clips_cover_a_song_and_stay_inside(num_frames, clip_frames):
    starts = clip_starts(num_frames, clip_frames)
    covered = {n for start in starts for n in range(start, start + clip_frames)}
    assert set(range(num_frames)) <= covered
    assert len(set(starts)) == len(starts)
    assert max(starts) + clip_frames == max(num_frames, clip_frames)


def test_what_is_read_is_what_was_encoded(prepared, tmp_path):
    latents = small.write(tmp_path, prepared)
    for position, clips in enumerate(latents.manifest.songs):
        song = next(s for s in prepared.songs() if s.id == clips.id)
        frames = max(clips.num_frames, small.CLIP_FRAMES)
        whole = small.encode(prepared.read(song, 0, frames * small.HOP))
        for clip, start in enumerate(clips.starts):
            expected = whole[:, start : start + small.CLIP_FRAMES]
            np.testing.assert_allclose(latents.read(position, clip), expected, atol=5e-4)


def test_each_text_is_stored_once_and_the_prefix_row_is_the_task_id(prepared, tmp_path):
    latents = small.write(tmp_path, prepared)
    assert latents.manifest.prompts == tuple(sorted({s.prompts[0] for s in prepared.songs()}))
    assert len(latents.text.prompt) == len(latents.manifest.prompts)
    for task in range(1, 16):
        states, mask = small.encode_text([task_prefix(TRACKS, task)])
        length = latents.text.prefix.shape[1]
        np.testing.assert_array_equal(latents.text.prefix[task], states[0, :length])
        np.testing.assert_array_equal(latents.text.prefix_mask[task], mask[0, :length])
        assert not mask[0, length:].any()  # nothing was cut
    for row, prompt in enumerate(latents.manifest.prompts):
        states, mask = small.encode_text([prompt])
        np.testing.assert_array_equal(latents.text.prompt[row], states[0])
        np.testing.assert_array_equal(latents.text.prompt_mask[row], mask[0])


def test_prompt_and_prefix_go_through_the_encoder_once_and_apart(tmp_path):
    prepared = small.prepare(tmp_path / 'data', prompts={'a': 'rock', 'b': 'rock', 'c': 'waltz'})
    asked = []

    def encode_text(texts):
        asked.extend(texts)
        return small.encode_text(texts)

    small.write(tmp_path / 'latents', prepared, encode_text_states=encode_text)
    prefixes = [task_prefix(TRACKS, task) for task in range(1, 16)]
    assert sorted(asked) == sorted([*prefixes, 'rock', 'waltz', 'song d'])


def test_the_text_encoders_name_is_kept_and_its_place_decides_nothing(prepared, tmp_path):
    here = small.write(tmp_path, prepared, text_encoder='/models/flan-t5-base').manifest
    moved = small.write(tmp_path, prepared, text_encoder='/other/flan-t5-base').manifest
    assert (here.text_encoder, moved.text_encoder) == (
        '/models/flan-t5-base',
        '/other/flan-t5-base',
    )
    assert here.fingerprint == moved.fingerprint
    with pytest.raises(BadInput, match='text_fingerprint is words, not others'):
        small.write(tmp_path, prepared, text_fingerprint='others')


def test_a_manifest_from_before_there_was_a_choice_is_minilms(prepared, tmp_path):
    manifest = small.write(tmp_path, prepared).manifest
    path = tmp_path / 'manifest.json'
    old = json.loads(path.read_text())
    del old['text_encoder']
    path.write_text(json.dumps(old))
    opened = Latents(tmp_path).manifest
    assert opened.text_encoder == 'minilm'
    assert opened.fingerprint == manifest.fingerprint == digest(old)  # a run goes on with them


def test_an_interrupted_encoding_goes_on(prepared, tmp_path):
    whole = small.write(tmp_path / 'whole', prepared)
    calls = []

    def breaks_at_the_third(stems):
        calls.append(len(calls))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return small.encode(stems)

    with pytest.raises(KeyboardInterrupt):
        small.write(tmp_path / 'torn', prepared, encode=breaks_at_the_third)
    with pytest.raises(BadInput, match='not a folder of latents'):
        Latents(tmp_path / 'torn')
    calls.append(-1)  # it no longer breaks
    resumed = small.write(tmp_path / 'torn', prepared, encode=breaks_at_the_third)
    assert len(calls) == 3 + 1 + 2  # the two whole songs were kept
    assert resumed.manifest == whole.manifest
    for song, clips in enumerate(whole.manifest.songs):
        for clip in range(len(clips.starts)):
            np.testing.assert_array_equal(resumed.read(song, clip), whole.read(song, clip))


def test_latents_of_another_autoencoder_are_refused(prepared, tmp_path):
    small.write(tmp_path, prepared, 'one')
    with pytest.raises(BadInput, match='autoencoder_fingerprint is one, not two'):
        small.write(tmp_path, prepared, 'two')
    with pytest.raises(BadInput, match='max_tokens is 12, not 8'):
        small.write(tmp_path, prepared, 'one', max_tokens=8)


@pytest.mark.parametrize('name', ['clips/b.array_record', 'text.safetensors', 'manifest.json'])
def test_a_cut_file_is_named(prepared, tmp_path, name):
    small.write(tmp_path, prepared)
    data = (tmp_path / name).read_bytes()
    for kept in (0, len(data) // 2, len(data) - 2):
        (tmp_path / name).write_bytes(data[:kept])
        with pytest.raises(BadInput, match=name if '/' in name or 'text' in name else 'not a fol'):
            Latents(tmp_path)


def test_missing_texts_and_a_torn_origin_are_named(prepared, tmp_path):
    small.write(tmp_path, prepared)
    (tmp_path / 'text.safetensors').unlink()
    with pytest.raises(BadInput, match=r'text\.safetensors: missing'):
        Latents(tmp_path)
    (tmp_path / 'origin.json').write_text('{"version"')
    with pytest.raises(BadInput, match=r'origin\.json: damaged'):
        small.write(tmp_path, prepared)


def test_a_file_and_a_foreign_folder_are_left_alone(prepared, tmp_path):
    thesis = tmp_path / 'thesis.txt'
    thesis.write_text('years of work')
    with pytest.raises(BadInput, match=r'--out=.*thesis\.txt: cannot be made'):
        small.write(thesis, prepared)
    with pytest.raises(BadInput, match=r"--out=.*: holds 'thesis\.txt'"):
        small.write(tmp_path, prepared)
    assert list(tmp_path.iterdir()) == [thesis]


def test_what_a_killed_run_left_aside_is_swept(prepared, tmp_path):
    (tmp_path / 'clips').mkdir()
    for name in ('origin.json.123.aside', 'clips/a.array_record.123.aside'):
        (tmp_path / name).write_text('{')
    small.write(tmp_path, prepared)
    assert not list(tmp_path.rglob('*.aside'))


def test_a_missing_clip_file_is_named(prepared, tmp_path):
    small.write(tmp_path, prepared)
    (tmp_path / 'clips' / 'b.array_record').unlink()
    with pytest.raises(BadInput, match=r'b\.array_record: missing'):
        Latents(tmp_path)
