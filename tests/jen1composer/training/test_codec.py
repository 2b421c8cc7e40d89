"""The codec: parts equal the whole, saved is loaded, and a damaged folder is refused."""

import dataclasses
import functools
import json

import jax
import numpy as np
import pytest

from jen1composer.errors import BadInput
from jen1composer.models.autoencoder import Autoencoder, decode, encode
from jen1composer.training import codec as codec_module
from jen1composer.training.codec import Codec
from jen1composer.training.windowed import windows
from tests.jen1composer.tiny_codec import TINY, TONAL, codec, sound

HOP = TINY.hop_samples


def fitted_on(songs, keep=0) -> Codec:
    plain = Codec.plain(TINY, codec().params)
    return plain.whitened(plain.statistics(songs), keep)


@pytest.mark.parametrize('config', [TINY, TONAL], ids=['tiny', 'tonal'])
@pytest.mark.parametrize('frames', [1, 32, 33, 63, 100])
def test_windows_equal_the_whole(monkeypatch, frames, config):
    tiny = codec(config)
    monkeypatch.setattr(codec_module, 'WINDOW_FRAMES', 32)
    x = sound(1, 2, frames * HOP, 2)
    white = tiny.encode(x)
    model = Autoencoder(config)
    latents = jax.jit(encode, static_argnums=0)(model, tiny.params, x[0])
    np.testing.assert_allclose(white[0], tiny.whitening.apply(latents), atol=1e-4)
    sounded = jax.jit(decode, static_argnums=0)(model, tiny.params, latents)
    np.testing.assert_allclose(tiny.decode(white)[0], sounded, atol=1e-4)


def one_by_one(tiny: Codec, x: np.ndarray) -> np.ndarray:
    """The latents of `x` by plain calls of the encoder, a window after the other."""
    x = np.pad(x, ((0, 0), (0, 0), (0, -x.shape[2] % HOP), (0, 0)))[0]
    network = jax.jit(functools.partial(encode, Autoencoder(TINY), tiny.params))
    num_frames, length = x.shape[1] // HOP, max(32, 4 * TINY.encoder_reach)
    if num_frames <= length:
        return np.asarray(tiny.whitening.apply(network(x)))[None]
    found = np.zeros((len(x), num_frames, TINY.latent_channels), np.float32)
    for start, begin, end in windows(num_frames, length, TINY.encoder_reach):
        part = tiny.whitening.apply(network(x[:, start * HOP : (start + length) * HOP]))
        found[:, begin:end] = part[:, begin - start : end - start]
    return found[None]


def test_several_devices_make_what_one_does(monkeypatch):
    """Each has the program and the rows that a single one has, and where there are fewer windows
    or rows than devices, some are idle."""
    monkeypatch.setattr(codec_module, 'WINDOW_FRAMES', 32)
    one, eight = codec(), codec().on(jax.devices())
    assert len(eight.devices) == 8
    for frames in (1, 30, 33, 100, 400):
        x = sound(1, 3, frames * HOP - 1, 2, seed=frames)
        latents = one.encode(x)
        np.testing.assert_allclose(eight.encode(x), latents, atol=1e-5)
        np.testing.assert_allclose(one.encode(x), one_by_one(one, x), atol=1e-6)
        np.testing.assert_allclose(eight.decode(latents), one.decode(latents), atol=1e-5)
    assert eight._encode_window.func._cache_size() == 3  # two short lengths, and the windows
    assert eight.fingerprint == one.fingerprint


def test_sound_is_filled_up_to_a_whole_frame_with_silence():
    x = sound(2, 3, 2 * HOP - 5, 2)
    white = codec().encode(x)
    assert white.shape == (2, 3, 2, TINY.latent_channels)
    padded = np.pad(x, ((0, 0), (0, 0), (0, 5), (0, 0)))
    np.testing.assert_array_equal(white, codec().encode(padded))


def test_tracks_are_coded_apart():
    x = sound(2, 3, 4 * HOP, 2)
    together = codec().encode(x)
    np.testing.assert_allclose(together[1:, 2:], codec().encode(x[1:, 2:]), atol=1e-5)


def test_what_is_loaded_is_what_was_saved(tmp_path):
    saved = codec()
    saved.save(tmp_path / 'codec')
    loaded = Codec.load(tmp_path / 'codec')
    assert loaded.config == saved.config
    assert loaded.fingerprint == saved.fingerprint
    x = sound(1, 1, 5 * HOP, 2)
    latents = saved.encode(x)
    np.testing.assert_array_equal(loaded.encode(x), latents)
    np.testing.assert_array_equal(loaded.decode(latents), saved.decode(latents))
    assert Codec.load(tmp_path).fingerprint == saved.fingerprint  # the workdir it lies in


def test_the_sounds_it_was_fitted_on_are_white(monkeypatch):
    monkeypatch.setattr(codec_module, 'WINDOW_FRAMES', 32)
    songs = [sound(1, 2, samples, 2, seed=samples) for samples in (60 * HOP, 41 * HOP - 5)]
    songs[0][:, 1, 20 * HOP :] = 0  # much silence
    fitted = fitted_on(songs)
    white = np.concatenate([fitted.encode(x).reshape(-1, TINY.latent_channels) for x in songs])
    assert len(white) == 2 * (60 + 41)
    np.testing.assert_allclose(white.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(white.T @ white / len(white), np.eye(5), atol=1e-3)


def test_a_codec_that_cuts_is_saved_with_its_width(tmp_path):
    x = sound(1, 2, 60 * HOP, 2)
    cut = fitted_on([x], keep=3)
    cut.save(tmp_path)
    loaded = Codec.load(tmp_path)
    assert loaded.latent_channels == 3
    white = loaded.encode(x)
    assert white.shape == (1, 2, 60, 3)
    np.testing.assert_array_equal(white, cut.encode(x))
    np.testing.assert_allclose(white, fitted_on([x]).encode(x)[..., :3], atol=1e-5)
    assert loaded.decode(white).shape == x.shape


def test_saving_what_is_there_touches_nothing_and_another_codec_replaces_it(tmp_path):
    codec().save(tmp_path)
    before = {path.name: path.stat() for path in tmp_path.iterdir()}
    codec().save(tmp_path)
    assert {path.name: path.stat() for path in tmp_path.iterdir()} == before
    other = fitted_on([sound(1, 1, 50 * HOP, 2)])
    other.save(tmp_path)
    assert Codec.load(tmp_path).fingerprint == other.fingerprint


def test_a_save_cut_off_leaves_no_codec_that_is_neither(tmp_path, monkeypatch):
    codec().save(tmp_path)

    def fail(path, data):
        raise OSError('no space left')

    monkeypatch.setattr(codec_module, 'write_whole', fail)
    other = dataclasses.replace(codec(), config=dataclasses.replace(TINY, knee=0.1))
    with pytest.raises(OSError, match='no space'):
        other.save(tmp_path)
    with pytest.raises(BadInput, match='not a codec folder'):
        Codec.load(tmp_path)


def test_the_fingerprint_knows_every_weight(tmp_path):
    tiny = codec()
    tiny.params['to_latent']['bias'] = tiny.params['to_latent']['bias'].at[0].add(1e-6)
    assert tiny.fingerprint != codec().fingerprint


def damage_model(folder, change):
    path = folder / 'model.safetensors'
    path.write_bytes(change(path.read_bytes()))


def damage_config(folder, **changes):
    path = folder / 'config.json'
    value = json.loads(path.read_text())
    value['autoencoder'] |= changes
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (lambda folder: (folder / 'model.safetensors').unlink(), 'model.safetensors: cannot be'),
        (lambda folder: damage_model(folder, lambda b: b[: len(b) // 2]), 'cut short'),
        (lambda folder: damage_model(folder, lambda b: b''), 'cut short'),
        (lambda folder: damage_model(folder, lambda b: b'RIFF' * 99), 'not a safetensors file'),
        (lambda folder: (folder / 'config.json').unlink(), 'not a codec folder'),
        (lambda folder: (folder / 'config.json').write_text('{"ver'), 'not a codec folder'),
        (lambda folder: (folder / 'config.json').write_text('{"version": 9}'), 'version 9'),
        (
            lambda folder: damage_config(folder, kernel=5),
            r'\[3, 8, 8\]; the config asks for float32 \[5, 8, 8\]',
        ),
        (lambda folder: damage_config(folder, latent_channels=4), 'the config asks for'),
        (lambda folder: damage_config(folder, attention=1), 'not a codec folder'),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line(tmp_path, damage, message):
    codec().save(tmp_path)
    damage(tmp_path)
    with pytest.raises(BadInput, match=message) as caught:
        Codec.load(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert '\n' not in str(caught.value)
