"""A composer's run that begins with the weights of another workdir, and what of it is refused."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.errors import BadInput
from jen1composer.training.checkpoints import Checkpoints, read_meta
from jen1composer.training.state import TrainState
from jen1composer.training.warm_start import Fate
from jen1composer.training.workdir import write_spec
from launch.composer_run import composer_run
from tests.data_pipeline import latent_folder as small
from tests.jen1composer import tiny_codec
from tests.launch import tiny_run


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """latents/, codec/, and saved/: the workdir of a composer whose averaged weights are all 2."""
    folder = tmp_path_factory.mktemp('init_from')
    codec = tiny_codec.codec()
    codec.save(folder / 'codec')
    small.write(
        folder / 'latents',
        small.prepare(folder / 'data'),
        autoencoder_fingerprint=codec.fingerprint,
    )
    assembled = composer_run(tiny_run.config(folder))
    shapes = nn.unbox(jax.eval_shape(assembled.run.recipe.init_params))
    ones, twos = (
        jax.tree.map(lambda leaf, value=value: jnp.full(leaf.shape, value, leaf.dtype), shapes)
        for value in (1, 2)
    )
    checkpoints = Checkpoints(
        folder / 'saved' / 'checkpoints', identity=assembled.run.identity, data=assembled.run.data
    )
    checkpoints.save(
        1, TrainState(step=jnp.ones((), jnp.int32), params=ones, opt_state={'n': 0}, ema=twos)
    )
    checkpoints.close()
    write_spec(folder / 'saved', assembled.spec)
    return folder


def config_of(folder, **changes):
    return tiny_run.config(folder, **{'init_from': str(folder / 'saved')} | changes)


def test_the_averaged_weights_are_what_it_begins_with(folder):
    assembled = composer_run(config_of(folder))
    assert {row.fate for row in assembled.begins_with} == {Fate.TAKEN}
    leaves = jax.tree.leaves(assembled.run.saved)
    assert len(leaves) == len(assembled.begins_with)
    assert all(np.unique(leaf).tolist() == [2] for leaf in leaves)


def test_a_run_that_has_begun_reads_nothing_of_them(folder):
    begun = read_meta(folder / 'saved' / 'checkpoints')
    assembled = composer_run(config_of(folder, init_from='/nowhere'), begun)
    assert assembled.run.saved is None
    assert assembled.run.identity == begun.identity | {'init_from': '/nowhere'}


def test_another_network_is_refused_unless_a_part_will_do(folder):
    with pytest.raises(
        BadInput, match=r'--config.init_from=.*/saved: weights: .* other shape; the'
    ):
        composer_run(config_of(folder, model__condition_width=24))
    assembled = composer_run(config_of(folder, model__condition_width=24, init_partial=True))
    fates = {row.name: row.fate for row in assembled.begins_with}
    assert {*fates.values()} == {Fate.TAKEN, Fate.OTHER_SHAPE}
    assert all('condition' in name or 'film' in name for name in fates if fates[name] != 'taken')


def test_a_run_that_learns_control_begins_with_all_of_one_without(folder):
    assembled = composer_run(config_of(folder, model__control=True, init_partial=True))
    fates = {row.name: row.fate for row in assembled.begins_with}
    assert {*fates.values()} == {Fate.TAKEN, Fate.MISSING}
    added = {name.partition('/')[0] for name in fates if fates[name] == Fate.MISSING}
    assert added == {'control', 'chords'}
    assert assembled.spec.model.control

    params = nn.unbox(assembled.run.recipe.init_params())
    begin = jnp.zeros((), jnp.int32)
    found = assembled.evaluate(TrainState(step=begin, params=params, opt_state={}, ema=params))
    assert found['validation_loss_uncontrolled'] == found['validation_loss']  # so far


def test_what_is_no_composer_is_refused(folder):
    with pytest.raises(BadInput, match='/nowhere: holds no composer'):
        composer_run(config_of(folder, init_from='/nowhere'))


def test_a_composer_of_other_latents_is_refused(folder, tmp_path):
    spec = composer_run(tiny_run.config(folder)).spec
    write_spec(tmp_path, dataclasses.replace(spec, autoencoder_fingerprint='another'))
    with pytest.raises(BadInput, match='was trained on the latents of another autoencoder'):
        composer_run(config_of(folder, init_from=str(tmp_path)))
