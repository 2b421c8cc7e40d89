"""An exported folder: read to the same bits, whole or refused by name, and what its card says."""

import dataclasses
import json
import pickletools
import shutil

import jax
import numpy as np
import pytest
from jax import export

from jen1composer.errors import BadInput
from jen1composer.generation.composer import Composer
from jen1composer.generation.export_folder import read_export
from jen1composer.generation.request import Request
from jen1composer.generation.weight_formats import FORMATS
from jen1composer.serving import weight_quality
from jen1composer.serving.export import write_export
from jen1composer.serving.programs import PLATFORMS, programs
from tests.jen1composer import tiny_codec, tiny_composer
from tests.jen1composer.serving import exported

REQUEST = Request(prompt='rock', seconds=0.03, num_steps=3, seed=1)


@pytest.fixture(scope='module')
def composer():
    return tiny_composer.composer(spans=True)


@pytest.fixture(scope='module')
def folder(composer, tmp_path_factory):
    where = tmp_path_factory.mktemp('export') / 'model'
    return exported.write(where, composer, embed_text_encoder=True, variants=('int8',))


def leaves(composer):
    tree = (composer.params, composer.codec.params, vars(composer.codec.whitening))
    return jax.tree.leaves((tree, composer.text_encoder.params))


def test_an_export_is_read_to_the_bits_of_the_workdir(composer, folder, tmp_path):
    tiny_composer.save(dataclasses.replace(composer, step=7), tmp_path / 'workdir')
    workdir = Composer.load(tmp_path / 'workdir')
    plain = exported.write(tmp_path / 'plain', workdir)
    embedded = exported.write(tmp_path / 'embedded', workdir, embed_text_encoder=True)
    expected = workdir.compose(REQUEST)
    for where in (plain, embedded):
        read = Composer.load(where)
        assert (read.spec, read.step, read.codec.config) == (workdir.spec, 7, workdir.codec.config)
        for one, other in zip(leaves(read), leaves(workdir), strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(read.compose(REQUEST).mix, expected.mix)


def test_weights_are_stored_once_and_nothing_is_pickled(composer, folder):
    for path in (path for path in folder.rglob('*') if path.is_file()):
        with pytest.raises(Exception, match=r'.'):
            list(pickletools.genops(path.read_bytes()))
    programs = list((folder / 'programs').iterdir())
    assert {path.stem for path in programs} == {
        *('start', 'step', 'guided_step', 'encode', 'decode', 'text'),
    }
    config = json.loads((folder / 'config.json').read_text())
    for path in programs:
        program = export.deserialize(bytearray(path.read_bytes()))
        said = config['programs'][path.stem]
        assert tuple(said['platforms']) == program.platforms == PLATFORMS
        assert said['calling_convention'] == program.calling_convention_version
    tracks, channels = len(composer.spec.tracks), composer.spec.model.latent_channels
    x = config['programs']['step']['inputs']['x']
    assert x == f'float32[b, {tracks}, {composer.spec.model.total_factor}*f, {channels}]'


@pytest.mark.parametrize(
    'name', ['config.json', 'model.int8.safetensors', 'compose.py', 'README.md']
)
@pytest.mark.parametrize('harm', ['changed', 'cut', 'missing'])
def test_a_file_that_is_not_as_listed_is_refused_by_name(folder, tmp_path, name, harm):
    broken = shutil.copytree(folder, tmp_path / 'broken')
    data = bytearray((broken / name).read_bytes())
    data[len(data) // 2] ^= 1
    if harm == 'missing':
        (broken / name).unlink()
    else:
        (broken / name).write_bytes(data if harm == 'changed' else data[:-1])
    said = 'missing; SHA256SUMS' if harm == 'missing' else 'changed or cut short'
    with pytest.raises(BadInput, match=f'{name}: {said}') as refused:
        Composer.load(broken)
    assert '\n' not in str(refused.value)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (lambda config: config.update(version=2), r'config\.json: version: 2; allowed is 1'),
        (lambda config: config.pop('version'), r'config\.json: cut short or not an export'),
        (lambda config: config['composer'].pop('tracks'), r'config\.json: not an export'),
        (
            lambda config: config['autoencoder'].update(latent_channels=3),
            r'model\.safetensors: .* the config asks for',
        ),
        (
            lambda config: config['composer'].update(autoencoder_fingerprint='x'),
            r'model\.safetensors: not the autoencoder that config\.json names',
        ),
    ],
)
def test_another_version_or_config_is_refused(folder, tmp_path, change, said):
    other = shutil.copytree(folder, tmp_path / 'other')
    config = json.loads((other / 'config.json').read_text())
    change(config)
    (other / 'config.json').write_text(json.dumps(config))
    exported.sum_again(other)
    with pytest.raises(BadInput, match=said):
        Composer.load(other)


def test_a_folder_without_sums_and_other_words_are_refused(composer, folder, tmp_path):
    broken = shutil.copytree(folder, tmp_path / 'broken')
    (broken / 'SHA256SUMS').write_text('torn')
    with pytest.raises(BadInput, match='SHA256SUMS: missing or cut short'):
        Composer.load(broken)
    (broken / 'SHA256SUMS').unlink()
    with pytest.raises(BadInput, match='SHA256SUMS: missing or cut short'):
        Composer.load(broken)
    words = dataclasses.replace(composer.text_encoder, fingerprint='other')
    other = exported.write(tmp_path / 'other', dataclasses.replace(composer, text_encoder=words))
    with pytest.raises(BadInput, match='was trained with the text encoder minilm of fingerprint'):
        Composer.load(other)


def test_smaller_weights_lose_what_is_measured(composer, folder):
    losses = weight_quality.measure(composer, FORMATS, num_steps=3)
    assert losses['float32'] == (0.0, np.inf)
    assert 0 < losses['bfloat16'].step_error < losses['int8'].step_error < 0.1
    assert 20 < losses['int8'].snr_db < losses['bfloat16'].snr_db < 100
    small = Composer(**read_export(folder, weights='int8')._asdict())
    for one, other in zip(
        leaves(small), leaves(weight_quality.with_weights(composer, 'int8')), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(BadInput, match='without weights in bfloat16; allowed is float32 or int8'):
        read_export(folder, weights='bfloat16')
    with pytest.raises(BadInput, match='without weights in int4; allowed is float32 or int8'):
        read_export(folder, weights='int4')


def test_smaller_weights_can_be_the_only_ones(composer, tmp_path):
    folder = exported.write(tmp_path / 'small', composer, variants=('bfloat16',), float32=False)
    assert not (folder / 'model.safetensors').exists()
    for one, other in zip(
        leaves(Composer.load(folder)),
        leaves(weight_quality.with_weights(composer, 'bfloat16')),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(BadInput, match=r'--variants: \(\); allowed are bfloat16, int8'):
        exported.write(tmp_path / 'none', composer, float32=False)


def test_only_exports_are_written_over_and_a_failure_leaves_what_was_there(composer, tmp_path):
    mine = tmp_path / 'mine'
    mine.mkdir()
    (mine / 'song.wav').write_bytes(b'mine')
    with pytest.raises(BadInput, match='holds other files; allowed is a new folder or an export'):
        exported.write(mine, composer)
    out = exported.write(tmp_path / 'out', composer)
    before = (out / 'SHA256SUMS').read_bytes()

    def fail(sizes):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_export(out, composer, card=fail)
    assert (out / 'SHA256SUMS').read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {'mine', 'out'}
    exported.write(out, composer, variants=('int8',))
    assert (out / 'model.int8.safetensors').exists()
    exported.write(out, composer)
    assert not (out / 'model.int8.safetensors').exists()


def test_the_programs_of_a_codec_with_tones_do_what_it_does(composer):
    tonal = tiny_codec.codec(tiny_codec.TONAL)
    made = programs(dataclasses.replace(composer, codec=tonal), text=False)
    sound = tiny_codec.sound(2, 8 * tonal.hop_samples, 2)
    latents = tonal.encode(sound[:, None])[:, 0]
    for name, given, expected in (
        ('encode', {'sound': sound}, latents),
        ('decode', {'latents': latents}, tonal.decode(latents[:, None])[:, 0]),
    ):
        (found,) = made[name].export().call(tonal.arrays, given).values()
        np.testing.assert_allclose(found, expected, atol=1e-4)
