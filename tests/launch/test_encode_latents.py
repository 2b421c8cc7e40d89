"""encode_latents in processes of its own: on many devices and hosts what one encodes on one."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from data_pipeline.augmentation import Augmentation
from data_pipeline.latent_records import clip_starts, read_header
from data_pipeline.latents import Latents
from data_pipeline.records import Prepared
from tests.data_pipeline import latent_folder as small
from tests.jen1composer import t5_recording, tiny_codec

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """data/, codec/, t5/ and one/, latents that one host has encoded on one device."""
    folder = tmp_path_factory.mktemp('encoded')
    small.prepare(folder / 'data')
    tiny_codec.codec().save(folder / 'codec')
    t5_recording.write_folder(folder / 't5', 'relu')
    status, said, error = encode(folder, 'one')
    assert status == 0, error
    counts = {'songs': 4, 'clips': 14, 'versions': 1, 'clip_frames': 1280}
    assert json.loads(said) == {'host': 0, 'hosts': 1, 'devices': 1} | counts
    return folder


def begun(folder, out, devices=1, **flags):
    of = {
        'autoencoder': folder / 'codec',
        'data': folder / 'data',
        'text_encoder': folder / 't5',
        'out': folder / out,
        'clip_s': 2,
        'clips_per_shard': 3,
    } | flags
    return subprocess.Popen(
        [sys.executable, '-m', 'launch.encode_latents', *(f'--{k}={of[k]}' for k in of)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {'XLA_FLAGS': f'--xla_force_host_platform_device_count={devices}'},
    )


def ended(process):
    said, error = process.communicate()
    return process.returncode, said.strip().splitlines()[-1] if said else '', error


def encode(folder, out, **flags):
    return ended(begun(folder, out, **flags))


def test_the_clips_are_what_the_codec_makes_of_the_songs(folder):
    prepared, latents = Prepared(folder / 'data'), Latents(folder / 'one')
    for number, song in enumerate(prepared.songs()):
        whole = tiny_codec.codec().encode(prepared.read(song, 0, song.num_samples)[None])[0]
        for clip, start in enumerate(clip_starts(whole.shape[1], 1280)):
            expected = whole[:, start : start + 1280]
            found = latents.read(number, clip)
            assert np.abs(found - expected).max() <= 2**-8 * np.abs(expected).max() + 1e-5


def test_eight_devices_encode_what_one_does(folder):
    """To rounding: what lies between two numbers of bfloat16 may fall to either."""
    status, said, error = encode(folder, 'eight', devices=8)
    assert status == 0, error
    assert json.loads(said)['devices'] == 8
    one, eight = Latents(folder / 'one'), Latents(folder / 'eight')
    assert eight.manifest.origin == one.manifest.origin
    different = total = 0
    for left, right in zip(one.records, eight.records, strict=True):
        assert read_header(left) == read_header(right)
    for song, clips in enumerate(one.layout.clips):
        for clip in range(clips):
            left, right = one.read(song, clip), eight.read(song, clip)
            np.testing.assert_allclose(left, right, rtol=2**-7, atol=1e-5)
            different += int((left != right).sum())
            total += left.size
    assert different < total / 1000


def test_two_hosts_at_once_encode_what_one_does(folder):
    both = [begun(folder, 'two', host=host, hosts=2) for host in range(2)]
    (first, said, error), (second, _, _) = map(ended, both)
    assert second == 0
    if first:  # It was done before the other, and says how to go on.
        assert first == 1
        assert '--host=1 has ended' in error.splitlines()[-1]
        first, said, error = encode(folder, 'two', host=0, hosts=2)
    assert first == 0, error
    assert json.loads(said)['clips'] == 14
    names = {path.relative_to(folder / 'one') for path in (folder / 'one').rglob('*.*')}
    assert {path.relative_to(folder / 'two') for path in (folder / 'two').rglob('*.*')} == names
    for name in names:
        assert (folder / 'one' / name).read_bytes() == (folder / 'two' / name).read_bytes()


def test_versions_are_those_of_the_augmentation(folder):
    options = {'gain_db': 3.0, 'stem_dropout': 0.5, 'swap_channels': 0.5}
    status, said, error = encode(folder, 'three', versions=3, seed=4, **options)
    assert status == 0, error
    assert json.loads(said)['versions'] == 3
    prepared, latents = Prepared(folder / 'data'), Latents(folder / 'three')
    assert latents.manifest.augmentation == options | {'seed': 4}
    assert latents.manifest.fingerprint != Latents(folder / 'one').manifest.fingerprint
    number = 2
    song = prepared.songs()[number]
    stems = prepared.read(song, 0, song.num_samples)
    np.testing.assert_array_equal(latents.read(number, 0), Latents(folder / 'one').read(number, 0))
    for version in (1, 2):
        heard = Augmentation(**options).apply(stems, 4, 3 * number + version)
        expected = tiny_codec.codec().encode(heard[None])[0, :, :1280]
        found = latents.read(number, 0, version=version)
        assert np.abs(found - expected).max() <= 2**-8 * np.abs(expected).max() + 1e-5


@pytest.mark.parametrize(
    ('flags', 'said'),
    [
        ({'host': 2, 'hosts': 2}, 'host: 2; allowed are 0 to 1, the hosts'),
        ({'gain_db': 99, 'versions': 2}, 'augment.gain_db: 99.0; allowed is 0 to 24'),
        ({'gain_db': 3}, '--gain_db: 3.0; allowed is with --versions=2 or more'),
        ({'swap_channels': 0}, '--swap_channels: 0.0; allowed is with --versions=2 or more'),
        ({'clip_s': 'nan'}, '--clip_s: nan; allowed is 1 to 60'),
        ({'clip_s': 'inf'}, '--clip_s: inf; allowed is 1 to 60'),
        ({'clip_s': 0.5}, '--clip_s: 0.5; allowed is 1 to 60'),
        ({'seed': 2**31}, 'seed'),
        ({'clip_s': 3}, 'clip_frames is 1280, not 1920; encode into another folder'),
        ({'versions': 2}, 'num_versions is 1, not 2; encode into another folder'),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(folder, flags, said):
    status, _, error = encode(folder, 'one', **flags)
    assert status == 2
    assert len(error.strip().splitlines()) == 1
    assert said in error
