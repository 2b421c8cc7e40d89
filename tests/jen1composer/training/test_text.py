"""The text encoders against published numbers and a peer; how they treat length and company."""

import hashlib
import logging
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from jen1composer.errors import BadInput
from jen1composer.training import text
from tests.jen1composer import t5_recording

SENTENCES = [
    'The weather is lovely today.',
    "It's so sunny outside!",
    'He drove to the stadium.',
]


@pytest.fixture(scope='module')
def encoder():
    return text.load_minilm(max_tokens=12)


def sentence_vectors(encoder, texts):
    states, mask = encoder.encode(texts)
    means = states.sum(axis=1) / mask.sum(axis=1, keepdims=True)
    return means / np.linalg.norm(means, axis=-1, keepdims=True)


def test_cosines_are_the_published_ones(encoder):
    vectors = sentence_vectors(encoder, SENTENCES)
    # From the documentation of sentence-transformers ("Quickstart"), with PyTorch.
    published = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
    np.testing.assert_allclose(vectors @ vectors.T, published, atol=6e-5)


def test_shapes_and_padding(encoder):
    states, mask = encoder.encode(['', 'slap bass'])
    assert (states.shape, states.dtype) == ((2, 12, 384), np.float32)
    assert (mask.shape, mask.dtype) == ((2, 12), bool)
    assert mask.sum(axis=1).tolist() == [2, 4]  # with the marks of start and end
    np.testing.assert_array_equal(np.any(states != 0, axis=-1), mask)
    assert encoder.width == 384


def test_no_texts_have_no_states(encoder):
    states, mask = encoder.encode([])
    assert (states.shape, mask.shape) == ((0, 12, 384), (0, 12))


def test_more_padding_changes_nothing(encoder):
    states, _ = encoder.encode(SENTENCES)
    longer, mask = text.load_minilm(max_tokens=20).encode(SENTENCES)
    np.testing.assert_allclose(longer[:, :12], states, atol=2e-6)
    assert not mask[:, 12:].any()


def test_a_text_does_not_depend_on_its_company(encoder):
    alone, _ = encoder.encode(SENTENCES[2:])
    together, _ = encoder.encode([f'song number {i}' for i in range(17)] + SENTENCES)
    np.testing.assert_allclose(together[-1], alone[0], atol=2e-6)


def test_a_long_text_is_cut_and_says_so(encoder, caplog):
    words = 'funk ' * 50
    with caplog.at_level(logging.WARNING, logger='absl'):
        states, mask = encoder.encode([words])
    assert 'text of 52 tokens cut to 12' in caplog.text
    assert mask.all()
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger='absl'):
        as_long_as_allowed, _ = encoder.encode(['funk ' * 10])
    assert not caplog.text
    np.testing.assert_array_equal(as_long_as_allowed, states)


def test_fingerprint_is_the_weights(encoder):
    weights = text.package_folder(text.PACKAGE) / 'model.safetensors'
    assert encoder.fingerprint == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_bad_input_is_named(tmp_path):
    with pytest.raises(BadInput, match='no-such-package is not installed'):
        text.package_folder('no_such_package')
    with pytest.raises(BadInput, match=r'model\.safetensors is missing'):
        text.load_minilm(folder=tmp_path)
    (tmp_path / 'model.safetensors').write_bytes(b'other weights')
    with pytest.raises(BadInput, match=r'model\.safetensors has SHA-256 .* allowed is 53aa5117'):
        text.load_minilm(folder=tmp_path)
    with pytest.raises(BadInput, match='max_tokens: 513; allowed are 3 to 512'):
        text.load_minilm(max_tokens=513)


def test_another_tokenizer_is_refused(tmp_path):
    folder = text.package_folder(text.PACKAGE)
    (tmp_path / 'model.safetensors').symlink_to(folder / 'model.safetensors')
    shutil.copy(folder / 'tokenizer.json', tmp_path)
    text.load_minilm(folder=tmp_path)
    with (tmp_path / 'tokenizer.json').open('a') as file:
        file.write('\n')
    with pytest.raises(BadInput, match=r'tokenizer\.json has SHA-256'):
        text.load_minilm(folder=tmp_path)


@pytest.fixture(scope='module', params=t5_recording.VARIANTS)
def t5(request, tmp_path_factory):
    """A T5 by its folder, and what transformers makes of some texts."""
    folder = t5_recording.write_folder(tmp_path_factory.mktemp('t5'), request.param)
    peer = t5_recording.part(t5_recording.read(), request.param)
    return text.load_t5(folder, max_tokens=peer['text_mask'].shape[1]), peer


def test_t5_makes_of_texts_what_transformers_does(t5, caplog):
    encoder, peer = t5
    with caplog.at_level(logging.WARNING, logger='absl'):
        states, mask = encoder.encode(peer['texts'].tolist())
    np.testing.assert_array_equal(mask, peer['text_mask'])
    np.testing.assert_allclose(states[mask], peer['text_states'][mask], atol=1e-5)
    np.testing.assert_array_equal(states[~mask], 0)
    assert encoder.width == states.shape[-1] == peer['states'].shape[-1]
    # A long text keeps its end mark, as there, and the cut is told.
    assert mask.all(axis=1).tolist() == [False, False, True, False]
    assert peer['text_ids'][2, -1] == encoder.tokenizer.token_to_id('</s>')
    assert 'cut to 12' in caplog.text


def test_text_encoders_are_found_by_name(t5, monkeypatch):
    encoder, _ = t5
    again = text.load_text_encoder(encoder.name, max_tokens=12)
    assert (again.name, again.fingerprint) == (encoder.name, encoder.fingerprint)
    folder = pathlib.Path(encoder.name)
    monkeypatch.chdir(folder.parent)
    assert text.load_text_encoder(folder.name).name == encoder.name  # found from elsewhere too
    minilm = text.load_text_encoder('minilm', max_tokens=5)
    assert (minilm.name, minilm.max_tokens, minilm.width) == ('minilm', 5, 384)
    with pytest.raises(BadInput, match=r"text encoder: '/gone/t5' is no folder here; .*'minilm'"):
        text.load_text_encoder('/gone/t5')
    with pytest.raises(BadInput, match='max_tokens: 1; allowed are 2 and more'):
        text.load_text_encoder(encoder.name, max_tokens=1)


def test_the_package_is_read_but_not_imported():
    program = (
        'import sys; from jen1composer.training import text; text.load_minilm();'
        'print(text.PACKAGE in sys.modules, "torch" in sys.modules)'
    )
    run = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert run.stdout == 'False False\n', run.stderr
