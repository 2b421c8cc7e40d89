"""VGGish against a form of it in PyTorch (a recording), its front end against another library's."""

import jax
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from jen1composer.errors import BadInput
from jen1composer.evaluation import vggish
from jen1composer.evaluation.vggish import load_vggish, log_mel_patches
from jen1composer.models.vggish import VGGish, parameter_shapes, weight_names
from tests.peers import drawn, live

GAIN, SAMPLES = 2.0, 40000  # as tests/peers/record_vggish.py's
PATCH = 15600  # samples at 16 kHz that the first patch needs


def read(path=live.HERE / 'vggish.npz'):
    with np.load(path) as file:
        return dict(file)


@pytest.fixture(scope='module')
def recorded():
    return read()


@pytest.fixture(scope='module')
def recorded_now(tmp_path_factory):
    return read(live.record('record_vggish.py', tmp_path_factory.mktemp('peer') / 'vggish.npz'))


def shapes(recorded):
    return {
        str(name): tuple(int(n) for n in shape if n)
        for name, shape in zip(recorded['names'], recorded['shapes'], strict=True)
    }


@pytest.fixture(scope='module')
def folder(tmp_path_factory, recorded):
    folder = tmp_path_factory.mktemp('vggish')
    arrays = {name: drawn.weight(name, shape, GAIN) for name, shape in shapes(recorded).items()}
    safetensors.numpy.save_file(arrays, folder / 'model.safetensors')
    return folder


@pytest.fixture(scope='module')
def ears(folder):
    return load_vggish(folder)


def check_network(ears, recorded):
    with jax.default_matmul_precision('highest'):
        ours = jax.jit(VGGish().apply)({'params': ears.params}, recorded['patches'])
    spread = np.abs(recorded['linear'][:1] - recorded['linear'][1:]).max()
    assert spread > 0.5  # they tell apart
    atol = 5e-6 * np.abs(recorded['linear']).max()
    np.testing.assert_allclose(ours, recorded['linear'], atol=atol)
    np.testing.assert_allclose(jax.nn.relu(ours), recorded['embeddings'], atol=atol)


def check_front_end(recorded):
    sounds = drawn.sounds(SAMPLES)
    heard = [name for name in sounds if len(recorded[f'mel/{name}'])]
    assert heard == ['whole', 'long_short', 'silence']
    for name in heard:
        ours = log_mel_patches(sounds[name])[:, ::5]
        np.testing.assert_allclose(ours, recorded[f'mel/{name}'], atol=2e-6, err_msg=name)


def test_embeddings_are_those_of_pytorch(ears, recorded):
    check_network(ears, recorded)


def test_the_front_end_is_that_of_another_library(recorded):
    check_front_end(recorded)


@pytest.mark.peer
def test_both_are_those_of_peers_now(ears, recorded_now):
    check_network(ears, recorded_now)
    check_front_end(recorded_now)


def test_names_and_sizes_are_those_of_the_published_file(recorded):
    there = shapes(recorded)
    assert sorted(weight_names().values()) == sorted(there)
    ours = parameter_shapes()
    for path, name in weight_names().items():
        assert sorted(ours[path]) == sorted(there[name]), path
    assert sum(int(np.prod(shape)) for shape in ours.values()) == 72141184


@given(samples=st.integers(1, 80000))
def test_patches_follow_one_another_and_a_short_sound_has_one(samples):
    sound = np.random.default_rng(samples).standard_normal(samples)
    patches = log_mel_patches(sound)
    assert patches.shape == (max(1, (1 + (samples - 400) // 160) // 96), 96, 64)
    first = np.pad(sound[:PATCH], (0, max(0, PATCH - samples)))
    np.testing.assert_array_equal(log_mel_patches(first), patches[:1])
    last = sound[(len(patches) - 1) * 96 * 160 :]
    np.testing.assert_array_equal(log_mel_patches(last), patches[-1:])


def test_silence_is_the_offset_and_a_tone_the_band_it_lies_in():
    np.testing.assert_allclose(log_mel_patches(np.zeros(PATCH)), np.log(0.01), rtol=1e-6)
    hertz = 1000.0
    tone = np.sin(2 * np.pi * hertz * np.arange(PATCH) / 16000)
    triangles = vggish.mel_triangles()
    assert (triangles.min(), triangles[0].max()) == (0, 0)  # and nothing of 0 Hz
    band = triangles[round(hertz / 16000 * 512)].argmax()
    assert np.all(log_mel_patches(tone)[0].argmax(axis=1) == band)


def test_a_sound_at_48_khz_is_embedded_patch_by_patch(ears):
    sound = drawn.sounds(20 * 46080)['whole']  # 19.2 s: more patches than a batch
    audio = np.stack([sound, 0 * sound], axis=1)
    embedded = ears.embed(audio)
    assert (embedded.shape, embedded.dtype) == ((19, 128), np.float32)  # .015 s short of 20
    other = ears.embed(np.stack([0 * sound, sound], axis=1))
    np.testing.assert_array_equal(embedded, other)  # mono
    tail = ears.embed(audio[16 * 46080 :])
    np.testing.assert_allclose(embedded[17:], tail[1:], atol=1e-3)  # the resampler's edge aside
    assert ears.embed(audio[:100]).shape == (1, 128)
    with pytest.raises(BadInput, match='audio: shape'):
        ears.embed(sound)


def test_the_fingerprint_is_of_the_weights(ears, folder, tmp_path):
    assert ears.name == 'vggish'
    arrays = safetensors.numpy.load_file(folder / 'model.safetensors')
    arrays['features.0.bias'] = np.nextafter(arrays['features.0.bias'], 9)
    safetensors.numpy.save_file(arrays, tmp_path / 'model.safetensors')
    assert len({load_vggish(tmp_path).fingerprint, ears.fingerprint}) == 2


def test_what_is_not_a_folder_of_a_vggish_is_named(tmp_path):
    def refused(message):
        with pytest.raises(BadInput, match=message) as error:
            load_vggish(tmp_path)
        assert '\n' not in str(error.value)

    with pytest.raises(BadInput, match=r'none/model\.safetensors: missing, and so is'):
        load_vggish(tmp_path / 'none')
    (tmp_path / 'vggish-10086976.pth').write_bytes(b'pickle')
    refused(r'vggish-10086976\.pth is not read; .* safetensors\.torch\.save_file')
    arrays = {'features.0.weight': np.zeros((64, 1, 3, 3), np.float32)}
    safetensors.numpy.save_file(arrays, tmp_path / 'model.safetensors')
    refused(r'its weights hold no features\.0\.bias, which VGGish asks for')
    arrays = {name: np.zeros(3, np.float32) for name in weight_names().values()}
    safetensors.numpy.save_file(arrays, tmp_path / 'model.safetensors')
    refused(r'features\.0\.weight is F32 \[3\]; allowed are .* \[64, 1, 3, 3\]')
