"""Folders as Hugging Face writes them: read whole, told apart, and refused by file."""

import json

import jax
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from jen1composer.errors import BadInput
from jen1composer.training.t5_folder import read_t5
from tests.jen1composer import t5_recording

EMBEDDING, SHARED = 'encoder.embed_tokens.weight', 'shared.weight'
WO = 'encoder.block.1.layer.1.DenseReluDense.wo.weight'


@pytest.fixture
def folder(tmp_path):
    return t5_recording.write_folder(tmp_path / 'relu', 'relu')


@pytest.fixture
def shards(tmp_path):
    return t5_recording.write_folder(tmp_path / 'gated', 'gated')


def weights(folder):
    """All weights of a folder, from however many files."""
    files = sorted(folder.glob('*.safetensors'))
    return {k: v for file in files for k, v in safetensors.numpy.load_file(file).items()}


def rewrite(folder, arrays):
    for file in folder.glob('model*'):
        file.unlink()
    safetensors.numpy.save_file(arrays, folder / 'model.safetensors')


def edit(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def assert_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a.params, b.params)


def test_one_file_or_many_with_a_decoder_or_without_is_the_same_encoder(shards):
    assert len(list(shards.glob('*.safetensors'))) > 5
    before = read_t5(shards)
    arrays = weights(shards)
    assert any(name.startswith('decoder.') for name in arrays)
    rewrite(shards, {k: v for k, v in arrays.items() if not k.startswith(('decoder.', 'lm_head'))})
    after = read_t5(shards)
    assert_equal(before, after)
    assert before.fingerprint == after.fingerprint


def test_the_embedding_has_either_name(folder):
    before = read_t5(folder)
    arrays = weights(folder)
    rewrite(folder, {EMBEDDING if k == SHARED else k: v for k, v in arrays.items()})
    assert read_t5(folder).fingerprint == before.fingerprint


@pytest.mark.parametrize('dtype', [ml_dtypes.bfloat16, np.float16])
def test_half_precision_becomes_float32(folder, dtype):
    arrays = {k: v.astype(dtype) for k, v in weights(folder).items()}
    rewrite(folder, arrays)
    half = read_t5(folder)
    rewrite(folder, {k: v.astype(np.float32) for k, v in arrays.items()})
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(half.params))
    assert_equal(half, read_t5(folder))


def test_the_fingerprint_tells_weights_sizes_and_tokenizers_apart(folder):
    prints = [read_t5(folder).fingerprint]
    arrays = weights(folder)
    arrays[WO] = arrays[WO].copy()
    arrays[WO][3, 2] = np.nextafter(arrays[WO][3, 2], 9)
    rewrite(folder, arrays)
    prints.append(read_t5(folder).fingerprint)
    edit(folder / 'config.json', layer_norm_epsilon=1e-5)
    prints.append(read_t5(folder).fingerprint)
    with (folder / 'tokenizer.json').open('a') as file:
        file.write('\n')
    prints.append(read_t5(folder).fingerprint)
    assert len(set(prints)) == 4
    edit(folder / 'config.json', dropout_rate=0.3)  # decides nothing here
    assert read_t5(folder).fingerprint == prints[-1]


def test_what_is_not_a_folder_of_a_t5_is_named(tmp_path, folder):
    def refused(message):
        with pytest.raises(BadInput, match=message) as error:
            read_t5(folder)
        assert '\n' not in str(error.value)

    with pytest.raises(BadInput, match=r'^\S+empty/config\.json: cannot be read .* allowed is'):
        read_t5(tmp_path / 'empty')
    good = (folder / 'config.json').read_text()
    (folder / 'config.json').write_text(good[:50])
    refused(r'config\.json: cut short or not JSON')
    (folder / 'config.json').write_text(good)
    edit(folder / 'config.json', model_type='bert')
    refused(r"config\.json: model_type: 'bert'; allowed is 't5'")
    (folder / 'config.json').write_text(good)
    edit(folder / 'config.json', vocab_size=20)
    refused(r'tokenizer\.json: 41 tokens; the config allows 20')
    edit(folder / 'config.json', vocab_size=65)
    refused(r'model\.safetensors: shared\.weight is F32 \[64, 16\]; allowed are .* \[65, 16\]')
    edit(folder / 'config.json', vocab_size=64, num_layers=3)
    refused(r'relu: its weights hold no encoder\.block\.2\.\S+, which config\.json asks for')
    edit(folder / 'config.json', num_layers=2, eos_token_id=7)
    refused(r'tokenizer\.json: makes the tokens \[1\] of no words; allowed is to end with 7')
    edit(folder / 'config.json', eos_token_id=None)
    refused(r'config\.json: eos_token_id: None; allowed is the number of a token')


def test_a_damaged_tokenizer_or_none_is_named(folder):
    path = folder / 'tokenizer.json'
    path.write_text(path.read_text()[:100])
    with pytest.raises(BadInput, match=r'tokenizer\.json: cut short or not a tokenizer'):
        read_t5(folder)
    path.unlink()
    with pytest.raises(BadInput, match=r'tokenizer\.json: cannot be read'):
        read_t5(folder)
    (folder / 'spiece.model').write_bytes(b'pieces')
    with pytest.raises(BadInput, match=r'spiece\.model is not read; .* AutoTokenizer'):
        read_t5(folder)


def test_damaged_weights_are_named(folder, shards):
    path = folder / 'model.safetensors'
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadInput, match=r'model\.safetensors: missing, cut short or not a safe'):
        read_t5(folder)
    path.unlink()
    with pytest.raises(BadInput, match=r'model\.safetensors: missing, and so is model\.safe'):
        read_t5(folder)
    index = shards / 'model.safetensors.index.json'
    where = json.loads(index.read_text())['weight_map']
    other = next(file for name, file in where.items() if file != where[SHARED])
    edit(index, weight_map=where | {SHARED: other})
    with pytest.raises(BadInput, match=rf'{other}: holds no {SHARED}; model\S+ says'):
        read_t5(shards)
    edit(index, weight_map=where)
    (shards / where[SHARED]).unlink()
    with pytest.raises(BadInput, match=f'{where[SHARED]}: missing'):
        read_t5(shards)
    index.write_text('{}')
    with pytest.raises(BadInput, match=r'index\.json: holds no weight_map'):
        read_t5(shards)


def test_whole_numbers_are_no_weights(folder):
    arrays = weights(folder)
    rewrite(folder, arrays | {WO: arrays[WO].astype(np.int8)})
    with pytest.raises(BadInput, match=rf'model\.safetensors: {WO} is I8 .* allowed are F32'):
        read_t5(folder)
