"""CLAP against transformers' (a recording of it), from sound and from words; its score."""

import jax
import numpy as np
import pytest
from flax import traverse_util
from hypothesis import given, settings
from hypothesis import strategies as st

from jen1composer.errors import BadInput
from jen1composer.evaluation.clap import clap_score, load_clap
from jen1composer.evaluation.clap_folder import parameter_shapes
from jen1composer.evaluation.clap_mel import ClapMel, fill, front_end_from_hugging_face
from jen1composer.evaluation.embedder import load_embedder
from jen1composer.models.clap import (
    ClapAudio,
    ClapConfig,
    ClapText,
    from_hugging_face,
    hugging_face_shape,
    weight_names,
)
from tests.jen1composer import clap_recording
from tests.peers import drawn, live

WINDOW = 48000  # samples, of the recorded folder
SOUNDS = tuple(drawn.sounds(WINDOW))


def stereo(sound):
    """Left and right, neither of them mono, whose mean is `sound`."""
    side = 0.1 * np.sin(np.arange(len(sound)), dtype=np.float32)
    return np.stack([sound + side, sound - side], axis=1)


@pytest.fixture(scope='module')
def recorded():
    return clap_recording.read()


@pytest.fixture(scope='module')
def recorded_now(tmp_path_factory):
    out = tmp_path_factory.mktemp('peer') / 'clap.npz'
    return clap_recording.read(live.record('record_clap.py', out))


@pytest.fixture(scope='module')
def ears(tmp_path_factory, recorded):
    return load_clap(clap_recording.write_folder(tmp_path_factory.mktemp('clap'), recorded))


def check_against_peer(ears, recorded):
    for row, (name, sound) in zip(recorded['audio'], drawn.sounds(WINDOW).items(), strict=True):
        mel = ears.folder.front_end(sound)
        np.testing.assert_allclose(mel, recorded[f'mel/{name}'], atol=2e-5, err_msg=name)
        np.testing.assert_allclose(ears.embed(stereo(sound)), [row], atol=2e-6, err_msg=name)
    ours = ears.text(recorded['texts'].tolist())
    np.testing.assert_allclose(ours, recorded['text'], atol=2e-6)


def test_embeddings_are_those_of_transformers(ears, recorded):
    for embedded in (recorded['audio'], recorded['text']):
        assert np.all(np.linalg.norm(embedded[:1] - embedded[1:], axis=1) > 1e-2)  # they tell apart
    check_against_peer(ears, recorded)


@pytest.mark.peer
def test_embeddings_are_those_of_transformers_now(tmp_path, recorded_now):
    folder = clap_recording.write_folder(tmp_path, recorded_now)
    check_against_peer(load_clap(folder), recorded_now)


def test_it_is_found_by_its_name(tmp_path, recorded, ears):
    found = load_embedder('clap', clap_recording.write_folder(tmp_path, recorded))
    assert (found.name, found.fingerprint) == ('clap', ears.fingerprint)


@pytest.mark.slow
def test_embeddings_in_the_published_size_are_those_of_transformers(recorded):
    """154 million weights, drawn here and there."""
    config = ClapConfig()
    names, weights = weight_names(config), {}
    for path, shape in parameter_shapes(config).items():
        there = drawn.weight(names[path], hugging_face_shape(path, shape, config))
        weights[path] = from_hugging_face(path, there, config)
    params = traverse_util.unflatten_dict(weights, sep='/')
    sounds = drawn.sounds(480000).values()
    mels = np.stack([ClapMel(frequency_min=50)(sound) for sound in sounds])
    with jax.default_matmul_precision('highest'):
        audio = jax.jit(ClapAudio(config).apply)({'params': params['audio']}, mels)
        tokens, mask = drawn.tokens(config.text.vocab_size)
        text = jax.jit(ClapText(config).apply)({'params': params['text']}, tokens, mask)
    np.testing.assert_allclose(audio, recorded['full_audio'], atol=1e-5)
    np.testing.assert_allclose(text, recorded['full_text'], atol=1e-5)


@pytest.mark.parametrize('name', SOUNDS)
def test_the_published_front_end_is_that_of_transformers(name, recorded):
    front_end = ClapMel(frequency_min=50)
    assert (front_end.samples, front_end.frames) == (480000, 1001)
    mel = front_end(drawn.sounds(front_end.samples)[name])
    assert mel.shape == (1001, 64)
    np.testing.assert_allclose(mel[recorded['frames']], recorded[f'published/{name}'], atol=2e-5)


def test_a_long_sound_is_heard_window_by_window(ears):
    sound = np.random.default_rng(0).standard_normal(4 * WINDOW + 700).astype(np.float32)
    embedded = ears.embed(stereo(sound))
    assert (embedded.shape, embedded.dtype) == ((5, ears.width), np.float32)
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1, atol=1e-6)
    starts = [0, WINDOW, 2 * WINDOW, 3 * WINDOW, 3 * WINDOW + 700]
    alone = [ears.embed(stereo(sound)[start : start + WINDOW]) for start in starts]
    np.testing.assert_allclose(embedded, np.concatenate(alone), atol=1e-6)


@settings(max_examples=15)
@given(samples=st.integers(1, 3 * WINDOW), loud=st.sampled_from([0.0, 1e-6, 1.0, 100.0]))
def test_a_sound_of_any_length_and_level_has_an_embedding_for_each_window(samples, loud, ears):
    sound = np.random.default_rng(samples).standard_normal((samples, 2)).astype(np.float32)
    embedded = ears.embed(loud * sound)
    assert embedded.shape == (-(-samples // WINDOW), ears.width)
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1, atol=1e-6)


def test_more_texts_than_a_batch_are_as_each_alone(ears):
    texts = [f'{a} {b}' for a in ('drums', 'slow bass') for b in range(10)]
    embedded = ears.text(texts)
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(embedded[[3, 18]], ears.text([texts[3], texts[18]]), atol=1e-6)
    assert ears.text([]).shape == (0, ears.width)


def test_a_text_that_is_too_long_is_cut_and_keeps_its_end(ears):
    """77 tokens with the two that mark its ends; a letter is a token of this tokenizer."""
    np.testing.assert_allclose(ears.text(['x' * 200]), ears.text(['x' * 75]), atol=1e-6)
    assert np.abs(ears.text(['x' * 75]) - ears.text(['x' * 74])).max() > 1e-4


def test_a_score_is_the_mean_cosine(ears):
    audio = ears.embed(stereo(drawn.sounds(2 * WINDOW)['whole']))
    text = ears.text(['bass', 'drums', 'rock'])
    cosines = [np.dot(a, t) / np.linalg.norm(a) / np.linalg.norm(t) for a in audio for t in text]
    assert clap_score(audio, text) == pytest.approx(np.mean(cosines), abs=1e-6)
    assert clap_score(audio[:1], audio[:1]) == pytest.approx(1)
    assert clap_score(audio[:1], -audio[:1]) == pytest.approx(-1)


@pytest.mark.parametrize(
    'shapes', [((0, 4), (1, 4)), ((1, 4), (0, 4)), ((1, 4), (1, 5)), ((4,), (4,))]
)
def test_a_score_of_nothing_is_refused(shapes):
    with pytest.raises(BadInput, match=r'clap_score: shapes: .* allowed are \[n, width\]'):
        clap_score(np.zeros(shapes[0]), np.zeros(shapes[1]))


def test_a_short_sound_is_repeated_as_often_as_it_fits():
    np.testing.assert_array_equal(fill(np.array([1, 2, 3]), 8), [1, 2, 3, 1, 2, 3, 0, 0])
    np.testing.assert_array_equal(fill(np.arange(5), 5), np.arange(5))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'truncation': 'fusion'}, "truncation: 'fusion'; allowed is 'rand_trunc'"),
        ({'padding': 'pad'}, "padding: 'pad'; allowed is 'repeatpad'"),
        ({'sampling_rate': 44100}, 'sampling_rate: 44100; allowed is 48000'),
        ({'top_db': 80}, 'top_db: 80; allowed is None'),
        ({'hop_length': 0}, 'hop_length: 0; allowed are whole numbers'),
        ({'frequency_max': 30000}, r'frequency_max: \(0.0, 30000\); allowed rise'),
    ],
)
def test_front_ends_that_are_not_written_are_named(change, message):
    good = {'truncation': 'rand_trunc', 'padding': 'repeatpad', 'sampling_rate': 48000}
    assert front_end_from_hugging_face(good) == ClapMel()
    with pytest.raises(BadInput, match=message):
        front_end_from_hugging_face(good | change)
