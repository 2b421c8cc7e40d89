"""Latents on disk: what is read is what was encoded, and only what belongs together."""

import dataclasses
import hashlib
import itertools
import json
import pickle
import shutil

import numpy as np
import pytest
import safetensors.numpy

from data_pipeline import latent_writing, record_files
from data_pipeline.latent_records import clip_starts, pack, read_header
from data_pipeline.latents import Latents
from data_pipeline.record_files import write_records
from jen1composer.errors import BadInput, RunFailed
from jen1composer.tracks import TRACKS, task_prefix
from tests.data_pipeline import latent_folder as small


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    return small.prepare(tmp_path_factory.mktemp('data'))


def clips(latents):
    """(song, clip, first frame) of all clips."""
    for song, num_frames in enumerate(latents.num_frames):
        for clip, start in enumerate(clip_starts(int(num_frames), small.CLIP_FRAMES)):
            yield song, clip, start


def read_all(latents):
    versions = range(latents.manifest.num_versions)
    return [latents.read(s, c, version=v) for s, c, _ in clips(latents) for v in versions]


def encoded(prepared, latents, number):
    """A whole song, padded with silence up to a clip."""
    song = prepared.songs()[number]
    frames = max(latents.num_frames[number], small.CLIP_FRAMES)
    return small.encode(prepared.read(song, 0, int(frames) * small.HOP))


def louder(stems, number, version):
    """A version that its song and its number can be read from."""
    return (stems * (0.5 + 0.25 * version + 0.125 * number)).astype(np.float32)


def test_what_is_read_is_what_was_encoded(prepared, tmp_path):
    latents = small.write(tmp_path, prepared)
    assert [latents.song(n).id for n in range(4)] == ['a', 'b', 'c', 'd']
    for song, clip, start in clips(latents):
        expected = encoded(prepared, latents, song)[:, start : start + small.CLIP_FRAMES]
        found = latents.read(song, clip)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=2**-8)  # bfloat16 has 8 bits
        np.testing.assert_array_equal(latents.read(song, clip, 3, 17), found[:, 3:17])


def test_a_record_says_where_it_comes_from(prepared, tmp_path):
    latents = small.write(tmp_path, prepared, num_versions=2, augment=louder)
    headers = [read_header(record) for record in latents.records]
    versions = [
        (latents.song(song).id, version, start)
        for song, group in itertools.groupby(clips(latents), key=lambda place: place[0])
        for starts in [[start for _, _, start in group]]
        for version in range(2)
        for start in starts
    ]
    assert [(h['song'], h['version'], h['start_frame']) for h in headers] == versions
    for header in headers:
        assert header['start_s'] == header['start_frame'] / 10
        assert (header['autoencoder'], header['data']) == ('ae', prepared.fingerprint)
        assert (header['frame_rate'], header['dtype'], header['format']) == (10, 'bfloat16', 3)
        assert header['shape'] == [4, small.CLIP_FRAMES, small.CHANNELS]
    for record in latents.records:
        assert (4 + int.from_bytes(record[:4], 'little')) % 64 == 0


def test_versions_are_the_song_as_it_is_and_what_augmentation_makes_of_it(prepared, tmp_path):
    latents = small.write(tmp_path, prepared, num_versions=3, augment=louder)
    for song, clip, start in clips(latents):
        plain = encoded(prepared, latents, song)[:, start : start + small.CLIP_FRAMES]
        for version in range(3):
            expected = louder(plain, song, version) if version else plain
            found = latents.read(song, clip, version=version)
            np.testing.assert_allclose(found, expected, rtol=2**-8)


@pytest.mark.parametrize(
    ('clips_per_shard', 'songs'),
    [(1, ['a', 'b', 'c', 'd']), (3, ['a', 'bc', 'd']), (4, ['ab', 'cd']), (99, ['abcd'])],
)
def test_a_shard_holds_whole_songs_until_it_has_enough_clips(
    prepared, tmp_path, clips_per_shard, songs
):
    latents = small.write(tmp_path, prepared, clips_per_shard=clips_per_shard)
    count = len(songs)
    names = [f'clips-{k:05d}-of-{count:05d}.array_record' for k in range(count)]
    assert sorted(path.name for path in (tmp_path / 'clips').iterdir()) == names
    for shard, expected in enumerate(songs):
        of_shard = [r for n, r in enumerate(latents.records) if latents.records.file_of(n) == shard]
        assert list(dict.fromkeys(read_header(r)['song'] for r in of_shard)) == list(expected)


def test_how_it_is_cut_into_shards_decides_nothing(prepared, tmp_path):
    one, other = (small.write(tmp_path / str(n), prepared, clips_per_shard=n) for n in (1, 99))
    assert one.manifest.fingerprint == other.manifest.fingerprint
    for left, right in zip(read_all(one), read_all(other), strict=True):
        np.testing.assert_array_equal(left, right)


def test_each_text_is_stored_once_and_the_prefix_row_is_the_task_id(tmp_path):
    prepared = small.prepare(tmp_path / 'data', {'a': ['rock', 'loud rock'], 'b': 'rock'})
    latents = small.write(tmp_path / 'latents', prepared)
    assert list(latents.prompts) == ['loud rock', 'rock', 'song c', 'song d']
    described = [[latents.prompts[row] for row in latents.prompt_rows(n)] for n in range(4)]
    assert described == [list(song.prompts) for song in prepared.songs()]
    for task in range(1, 16):
        states, mask = small.encode_text([task_prefix(TRACKS, task)])
        length = latents.text.prefix.shape[1]
        np.testing.assert_array_equal(latents.text.prefix[task], states[0, :length])
        np.testing.assert_array_equal(latents.text.prefix_mask[task], mask[0, :length])
        assert not mask[0, length:].any()  # nothing was cut
    assert len(latents.text.prefix) == len(latents.text.prefix_mask) == 16
    assert not latents.text.prefix[0].any()  # no task
    assert not latents.text.prefix_mask[0].any()
    for row, prompt in enumerate(latents.prompts):
        states, mask = small.encode_text([prompt])
        np.testing.assert_array_equal(latents.text.prompt[row], states[0])
        np.testing.assert_array_equal(latents.text.prompt_mask[row], mask[0])
    as_safetensors = safetensors.numpy.load_file(tmp_path / 'latents' / 'text.safetensors')
    for name, array in as_safetensors.items():
        np.testing.assert_array_equal(array, getattr(latents.text, name))


def test_the_manifest_stays_small_and_a_songs_line_says_all_of_it(tmp_path):
    prepared = small.prepare(tmp_path / 'data', beats_s={'a': (0.5, 1.0)})
    latents = small.write(tmp_path / 'latents', prepared)
    assert latents.song(0).beats_s == (0.5, 1.0)
    assert latents.song(1).beats_s == ()
    assert [latents.song(n).split for n in range(4)] == ['train', 'train', *['validation'] * 2]
    value = json.loads((tmp_path / 'latents' / 'manifest.json').read_text())
    assert 'songs' not in value
    assert (value['num_songs'], value['num_clips']) == (4, 8)


def test_prompt_and_prefix_go_through_the_encoder_once_and_apart(tmp_path):
    prepared = small.prepare(tmp_path / 'data', prompts={'a': 'rock', 'b': 'rock', 'c': 'waltz'})
    asked = []

    def encode_text(texts):
        asked.extend(texts)
        return small.encode_text(texts)

    small.write(tmp_path / 'latents', prepared, encode_text_states=encode_text)
    prefixes = [task_prefix(TRACKS, task) for task in range(1, 16)]
    assert sorted(asked) == sorted([*prefixes, 'rock', 'waltz', 'song d'])


def test_many_prompts_are_encoded_a_few_at_a_time(prepared, tmp_path, monkeypatch):
    whole = small.write(tmp_path / 'whole', prepared)
    monkeypatch.setattr('data_pipeline.text_tables._AT_ONCE', 3)
    parts = small.write(tmp_path / 'parts', prepared)
    for field in dataclasses.fields(whole.text):
        left, right = getattr(whole.text, field.name), getattr(parts.text, field.name)
        np.testing.assert_array_equal(left, right)


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


def test_the_fingerprint_knows_songs_prompts_and_versions(prepared, tmp_path):
    plain = small.write(tmp_path / 'plain', prepared).manifest
    others = [
        small.write(tmp_path / 'prompts', small.prepare(tmp_path / 'p', {'a': 'rock'})),
        small.write(tmp_path / 'beats', small.prepare(tmp_path / 'b', beats_s={'a': [1.0]})),
        small.write(tmp_path / 'two', prepared, num_versions=2, augment=louder),
        small.write(tmp_path / 'named', prepared, augmentation={'gain_db': 3}),
    ]
    fingerprints = [plain.fingerprint, *(other.manifest.fingerprint for other in others)]
    assert len(set(fingerprints)) == 5


def test_an_interrupted_encoding_goes_on_at_the_first_shard_that_is_missing(prepared, tmp_path):
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
    told = []
    resumed = small.write(
        tmp_path / 'torn',
        prepared,
        encode=breaks_at_the_third,
        progress=lambda *done: told.append(done),
    )
    assert len(calls) == 3 + 1 + 3  # a was whole; of b and c, which are together, c was not
    assert told == [(2, 5), (3, 5), (5, 5)]
    assert resumed.manifest == whole.manifest
    for left, right in zip(read_all(resumed), read_all(whole), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize('hosts', [2, 5])
def test_hosts_write_the_same_folder_together(prepared, tmp_path, hosts):
    whole = small.write(tmp_path / 'whole', prepared)
    encodings = []

    def encode(stems):
        encodings.append(stems.shape)
        return small.encode(stems)

    folder = tmp_path / 'parts'
    for host in range(2, hosts):
        assert small.encode_folder(folder, prepared, encode=encode, host=host, hosts=hosts) is None
    with pytest.raises(RunFailed, match=r'clips-00001-of-00003.*--host=1 has ended.*--host=0 goes'):
        small.encode_folder(folder, prepared, encode=encode, host=0, hosts=hosts)
    (folder / 'clips' / 'clips-00000-of-00003.array_record.7.aside').write_text('of another host')
    small.encode_folder(folder, prepared, encode=encode, host=1, hosts=hosts)
    assert len(list(folder.rglob('*.aside'))) == 1  # a host sweeps what is its own
    together = small.write(folder, prepared, encode=encode, host=0, hosts=hosts)
    assert len(encodings) == 4  # each song once
    assert not list(folder.rglob('*.aside'))
    assert together.manifest == whole.manifest
    names = [path.relative_to(folder) for path in folder.rglob('*') if path.is_file()]
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / 'whole' / name).read_bytes()


def test_a_host_that_is_none_of_them_is_refused(prepared, tmp_path):
    with pytest.raises(BadInput, match='host: 2; allowed are 0 to 1, the hosts'):
        small.encode_folder(tmp_path, prepared, host=2, hosts=2)


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'autoencoder_fingerprint': 'two'}, 'autoencoder_fingerprint is ae, not two'),
        ({'max_tokens': 8}, 'max_tokens is 12, not 8'),
        ({'clips_per_shard': 4}, 'clips_per_shard is 3, not 4'),
        ({'num_versions': 2, 'augment': louder}, 'num_versions is 1, not 2'),
        ({'augmentation': {'gain_db': 6}}, r"augmentation is \{\}, not \{'gain_db': 6\}"),
    ],
)
def test_latents_of_another_origin_are_refused(prepared, tmp_path, changes, said):
    small.write(tmp_path, prepared)
    with pytest.raises(BadInput, match=said):
        small.write(tmp_path, prepared, **changes)


def test_records_of_another_autoencoder_among_ours_are_refused_by_file(prepared, tmp_path):
    """A shard that was copied into the folder: its length and number of records are right."""
    latents = small.write(tmp_path, prepared)
    name = latents.layout.names[1]
    others = dataclasses.replace(latents.manifest.origin, autoencoder='xx')
    clip = np.zeros(others.shape, np.float32)
    write_records(
        tmp_path / 'clips' / name,
        [pack(others, clip, song='b', start_frame=10 * n, version=0) for n in range(3)],
    )
    opened = Latents(tmp_path)
    opened.read(0, 0)
    with pytest.raises(
        BadInput, match=rf'{name}: holds latents whose autoencoder is xx, not ae; delete it'
    ):
        opened.read(1, 0)


@pytest.mark.parametrize('name', ['text.safetensors', 'songs.jsonl', 'prompts.jsonl'])
def test_a_cut_file_is_named(prepared, tmp_path, name):
    small.write(tmp_path, prepared)
    data = (tmp_path / name).read_bytes()
    for kept in (0, len(data) // 2, len(data) - 2):
        (tmp_path / name).write_bytes(data[:kept])
        with pytest.raises(BadInput, match=name):
            Latents(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(BadInput, match=name):
        Latents(tmp_path)


def test_a_cut_manifest_is_no_folder_of_latents(prepared, tmp_path):
    small.write(tmp_path, prepared)
    path = tmp_path / 'manifest.json'
    data = path.read_bytes()
    for kept in (0, len(data) // 2, len(data) - 2):
        path.write_bytes(data[:kept])
        with pytest.raises(BadInput, match='not a folder of latents'):
            Latents(tmp_path)


def test_a_shard_is_opened_when_it_is_read_and_then_refused_if_it_is_cut(prepared, tmp_path):
    latents = small.write(tmp_path, prepared)
    path = tmp_path / 'clips' / latents.layout.names[1]
    data = path.read_bytes()
    for damaged in (b'', data[: len(data) // 2], data[:-2], b'x' * len(data)):
        path.write_bytes(damaged)
        opened = Latents(tmp_path)
        opened.read(0, 0)
        with pytest.raises(BadInput, match=rf'{path.name}: cut off or damaged \(.*\); delete it'):
            opened.read(1, 0)


def test_a_missing_shard_is_named_at_once(prepared, tmp_path):
    latents = small.write(tmp_path, prepared)
    name = latents.layout.names[2]
    (tmp_path / 'clips' / name).unlink()
    with pytest.raises(BadInput, match=rf'{name}: missing; run'):
        Latents(tmp_path)


def test_latents_of_an_older_version_are_to_be_made_again(prepared, tmp_path):
    small.write(tmp_path, prepared)
    path = tmp_path / 'manifest.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | {'version': 2}))
    with pytest.raises(BadInput, match=r'version 2; allowed is 3, run python -m launch\.encode'):
        Latents(tmp_path)


def test_more_shards_are_read_than_are_kept_open(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(record_files, 'OPEN_FILES', 1)
    latents = small.write(tmp_path, prepared, clips_per_shard=1)
    assert latents.records._reader.cache_info().maxsize == 1
    plain = [encoded(prepared, latents, song) for song in range(4)]
    for song, clip, start in [*clips(latents), *reversed(list(clips(latents)))]:
        expected = plain[song][:, start : start + small.CLIP_FRAMES]
        np.testing.assert_allclose(latents.read(song, clip), expected, rtol=2**-8)
    assert latents.records._reader.cache_info().currsize == 1


def test_latents_travel_to_another_process_without_what_they_map(prepared, tmp_path):
    latents = small.write(tmp_path, prepared)
    parcel = pickle.dumps(latents)
    arrived = pickle.loads(parcel)
    for left, right in zip(read_all(latents), read_all(arrived), strict=True):
        np.testing.assert_array_equal(left, right)
    assert list(arrived.prompts) == list(latents.prompts)
    np.testing.assert_array_equal(arrived.text.prompt, latents.text.prompt)
    assert latents.text.prompt[3].tobytes() not in parcel


def test_a_torn_origin_is_named(prepared, tmp_path):
    small.write(tmp_path, prepared)
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


def test_a_refused_command_touches_nothing(prepared, tmp_path):
    small.write(tmp_path, prepared)
    for name in ('songs.jsonl.9999999-1.aside', 'clips/a.array_record.9999999-1.aside'):
        (tmp_path / name).write_text('{')
    before = {path: path.stat() for path in tmp_path.rglob('*')}
    with pytest.raises(BadInput, match='autoencoder_fingerprint is ae, not two'):
        small.write(tmp_path, prepared, autoencoder_fingerprint='two')
    assert {path: path.stat() for path in tmp_path.rglob('*')} == before


def test_what_a_host_that_began_at_once_has_written_is_not_foreign(prepared, tmp_path, monkeypatch):
    """It has written its origin between our look for it and our look at the folder."""
    whole = small.write(tmp_path / 'whole', prepared)
    out = tmp_path / 'out'
    refuse = latent_writing.refuse_foreign

    def other_is_first(folder, *about):
        shutil.copytree(tmp_path / 'whole', out)
        refuse(folder, *about)

    monkeypatch.setattr(latent_writing, 'refuse_foreign', other_is_first)
    assert small.write(out, prepared).manifest == whole.manifest


def test_a_host_that_noted_another_origin_at_once_is_told(prepared, tmp_path, monkeypatch):
    write_json = latent_writing.write_json

    def other_is_last(path, value):
        write_json(path, value | {'max_tokens': 99})

    monkeypatch.setattr(latent_writing, 'write_json', other_is_last)
    with pytest.raises(BadInput, match='max_tokens is 99, not 12; encode into another folder'):
        small.encode_folder(tmp_path, prepared)


def test_a_text_table_that_fits_is_kept_and_one_that_does_not_is_made_again(prepared, tmp_path):
    whole = small.write(tmp_path, prepared).manifest
    path = tmp_path / 'text.safetensors'
    data = path.read_bytes()

    def never(texts):
        raise AssertionError(f'{len(texts)} texts were encoded again')

    assert small.write(tmp_path, prepared, encode_text_states=never).manifest == whole
    for damaged in (data[:-1], data + b'x', b'', data.replace(b'"words"', b'"other"')):
        path.write_bytes(damaged)
        assert small.write(tmp_path, prepared).manifest == whole
        assert path.read_bytes() == data


def test_a_text_table_of_other_prompts_is_refused(prepared, tmp_path):
    others = small.prepare(tmp_path / 'others', {'a': 'rock'})
    mine = small.write(tmp_path / 'mine', prepared)
    theirs = small.write(tmp_path / 'theirs', others)
    assert mine.text.prompt.shape == theirs.text.prompt.shape
    shutil.copy(tmp_path / 'theirs' / 'text.safetensors', tmp_path / 'mine')
    said = (
        r'text\.safetensors: cut off, damaged or of another \(its prompts_sha256 is \w+, not \w+\)'
    )
    with pytest.raises(BadInput, match=said):
        Latents(tmp_path / 'mine')


@pytest.mark.parametrize('header', [b'[]', b'{}', b'{"__metadata__": 3}', b'null'])
def test_a_text_table_without_a_header_is_refused(prepared, tmp_path, header):
    small.write(tmp_path, prepared)
    (tmp_path / 'text.safetensors').write_bytes(len(header).to_bytes(8, 'little') + header)
    with pytest.raises(BadInput, match=r'text\.safetensors: cut off, damaged or of another'):
        Latents(tmp_path)


def test_other_token_states_are_another_fingerprint(prepared, tmp_path):
    def other_text(texts):
        states, mask = small.encode_text(texts)
        return states + np.float32(1), mask

    plain = small.write(tmp_path / 'plain', prepared).manifest
    other = small.write(tmp_path / 'other', prepared, encode_text_states=other_text).manifest
    assert plain.fingerprint != other.fingerprint
    data = (tmp_path / 'plain' / 'text.safetensors').read_bytes()
    assert plain.text_sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize('finished', [True, False])
def test_a_shard_that_was_cut_is_made_again(prepared, tmp_path, finished):
    whole = small.write(tmp_path, prepared)
    path = tmp_path / 'clips' / whole.layout.names[1]
    data = path.read_bytes()
    if not finished:
        (tmp_path / 'manifest.json').unlink()
    for damaged in (b'', data[: len(data) // 2], data[:-2]):
        path.write_bytes(damaged)
        calls = []

        def encode(stems, calls=calls):
            calls.append(1)
            return small.encode(stems)

        assert small.write(tmp_path, prepared, encode=encode).manifest == whole.manifest
        assert len(calls) == 2  # songs b and c
        assert path.read_bytes() == data


def test_a_song_without_prompts_is_named(tmp_path):
    prepared = small.prepare(tmp_path / 'data', {'b': ()})
    with pytest.raises(BadInput, match=r'data: prompts of b: \(\); allowed is one or more'):
        small.write(tmp_path / 'latents', prepared)
    assert not (tmp_path / 'latents').exists()
