"""A CLAP's folder: every weight read once, told apart, and refused by file and by line."""

import json

import numpy as np
import pytest
import safetensors.numpy

from jen1composer.errors import BadInput
from jen1composer.evaluation.clap_folder import parameter_shapes, read_clap
from jen1composer.models.clap import ClapConfig, hugging_face_shape, weight_names
from tests.jen1composer import clap_recording

TABLE = 'audio_model.audio_encoder.layers.1.blocks.1.attention.self.relative_position_bias_table'
FILES = ('config.json', 'preprocessor_config.json', 'tokenizer.json', 'model.safetensors')
UNUSED = (
    'logit_scale_a',
    'logit_scale_t',
)  # of training; and counters and positions, whole numbers


@pytest.fixture(scope='module')
def recorded():
    return clap_recording.read()


@pytest.fixture
def folder(tmp_path, recorded):
    return clap_recording.write_folder(tmp_path / 'clap', recorded)


def edit(path, part=None, **values):
    whole = json.loads(path.read_text())
    (whole[part] if part else whole).update(values)
    path.write_text(json.dumps(whole))


def change_weight(folder, name, change):
    arrays = safetensors.numpy.load_file(folder / 'model.safetensors')
    safetensors.numpy.save_file(arrays | {name: change(arrays[name])}, folder / 'model.safetensors')


def test_every_weight_of_sound_and_words_is_read_once(folder):
    arrays = safetensors.numpy.load_file(folder / 'model.safetensors')
    floats = {name for name, leaf in arrays.items() if leaf.dtype == np.float32} - {*UNUSED}
    config = read_clap(folder).config
    names = weight_names(config)
    assert sorted(names.values()) == sorted(floats)
    assert sorted(names) == sorted(parameter_shapes(config))


def test_the_published_size_is_that_of_transformers(recorded):
    config = ClapConfig()
    shapes = {
        path: hugging_face_shape(path, shape, config)
        for path, shape in parameter_shapes(config).items()
    }
    count = sum(int(np.prod(shape)) for shape in shapes.values())
    assert count + len(UNUSED) == recorded['size']


def test_the_fingerprint_tells_weights_sizes_front_ends_and_tokenizers_apart(folder):
    prints = [read_clap(folder).fingerprint]
    change_weight(folder, TABLE, lambda table: np.nextafter(table, 9))
    prints.append(read_clap(folder).fingerprint)
    edit(folder / 'config.json', 'text_config', layer_norm_eps=1e-5)
    prints.append(read_clap(folder).fingerprint)
    edit(folder / 'preprocessor_config.json', frequency_min=20)
    prints.append(read_clap(folder).fingerprint)
    with (folder / 'tokenizer.json').open('a') as file:
        file.write('\n')
    prints.append(read_clap(folder).fingerprint)
    assert len(set(prints)) == 5
    edit(folder / 'config.json', 'audio_config', drop_path_rate=0.3)  # decides nothing here
    assert read_clap(folder).fingerprint == prints[-1]


def refused(folder, message):
    with pytest.raises(BadInput, match=message) as error:
        read_clap(folder)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('name', FILES)
def test_a_missing_or_damaged_file_is_named(name, folder):
    path = folder / name
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    refused(folder, rf'/{name}: .*cut short or not')
    path.unlink()
    refused(folder, rf'/{name}: (cannot be read .* allowed is a Hugging Face folder of|missing)')


@pytest.mark.parametrize(
    ('part', 'values', 'message'),
    [
        (None, {'model_type': 't5'}, "model_type: 't5'; allowed is 'clap'"),
        (None, {'projection_hidden_act': 'gelu'}, "hidden_act: 'gelu'; allowed is 'relu'"),
        (None, {'audio_config': None}, 'audio_config: None; allowed are the sizes'),
        (None, {'projection_dim': 21}, r'linear1\.weight is F32 \[20, 48\]; allowed are .* \[21'),
        ('audio_config', {'enable_fusion': True}, 'enable_fusion: True; allowed is False'),
        ('audio_config', {'hidden_size': 768}, 'hidden_size: 768; allowed is 48'),
        ('audio_config', {'patch_stride': [2, 2]}, r'patch_stride: \[2, 2\]; allowed is .* 4'),
        ('audio_config', {'window_size': 5}, 'spec_size: 64; allowed are multiples of 80'),
        ('audio_config', {'num_attention_heads': [2, 3, 5]}, 'heads: .* divide the width'),
        ('audio_config', {'num_attention_heads': 4}, 'heads: 4; allowed are .* for each stage'),
        ('audio_config', {'num_attention_heads': [2, 3]}, 'heads: .* those of the 3 stages'),
        ('audio_config', {'depths': [2, 2, 3]}, r'hold no audio\S+layers\.2\.blocks\.2\.'),
        ('audio_config', {'num_mel_bins': 32}, r'preprocessor\S+ feature_size: 16; allowed is 32'),
        ('text_config', {'hidden_act': 'relu'}, "hidden_act: 'relu'; allowed is 'gelu'"),
        ('text_config', {'vocab_size': 100}, 'tokenizer.json: 264 tokens; the config allows 100'),
        ('text_config', {'pad_token_id': 90}, 'pad_token_id: 90; allowed are 0 to 80'),
        ('text_config', {'num_attention_heads': 5}, 'heads: 5; allowed divide hidden_size'),
        ('text_config', {'eos_token_id': 7}, r'tokenizer\S+ .* \(0, 2\); allowed are \(0, 7\)'),
        ('text_config', {'intermediate_size': 0}, 'intermediate_size: 0; allowed are whole'),
    ],
)
def test_another_model_than_the_one_written_is_named(part, values, message, folder):
    edit(folder / 'config.json', part, **values)
    refused(folder, message)


def test_windows_that_the_encoder_cannot_see_are_refused(folder):
    edit(folder / 'preprocessor_config.json', max_length_s=2)
    refused(folder, r'preprocessor\S+ frames of a window: 481; allowed are up to 256')


def test_a_pickle_is_not_read_and_the_way_out_is_said(folder):
    (folder / 'model.safetensors').rename(folder / 'pytorch_model.bin')
    refused(folder, r'pytorch_model\.bin is not read; .* ClapModel\.from_pretrained')
