"""A composer with another text encoder than MiniLM, from the commands that make it to its music."""

import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from data_pipeline.latents import Latents
from jen1composer.errors import BadInput
from jen1composer.generation.composer import Composer
from jen1composer.generation.request import Request
from jen1composer.training.run import run_training
from jen1composer.training.text import load_text_encoder
from jen1composer.training.workdir import write_spec
from launch.composer_run import composer_run
from tests.data_pipeline import latent_folder
from tests.jen1composer import t5_recording, tiny_codec
from tests.launch import tiny_run

ROOT = pathlib.Path(__file__).parents[2]
REQUEST = Request(prompt='dark driving rock', seconds=0.02, num_steps=2)


def run(command, **options):
    """A command of launch/: its status, and what it said on stderr."""
    flags = [f'--{name}={value}' for name, value in options.items()]
    done = subprocess.run(
        [sys.executable, '-m', f'launch.{command}', *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stderr


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A folder with t5/, latents/ and composer/, a workdir that was trained for two steps."""
    folder = tmp_path_factory.mktemp('trained')
    t5_recording.write_folder(folder / 't5', 'relu')
    latent_folder.prepare(folder / 'data', {'a': REQUEST.prompt})
    tiny_codec.codec().save(folder / 'codec')
    status, said = run(
        'encode_latents',
        autoencoder=folder / 'codec',
        data=folder / 'data',
        out=folder / 'latents',
        clip_s=1,
        text_encoder=folder / 't5',
    )
    assert status == 0, said

    assembled = composer_run(tiny_run.config(folder))
    assembled.codec.save(folder / 'composer' / 'autoencoder')
    write_spec(folder / 'composer', assembled.spec)
    run_training(assembled.run, folder / 'composer')
    return folder


def test_a_composer_reads_the_words_that_it_was_trained_with(trained):
    latents = Latents(trained / 'latents')
    composer = Composer.load(trained / 'composer')
    assert composer.text_encoder.name == composer.spec.text_encoder == latents.manifest.text_encoder
    assert composer.spec.model.text_width == composer.text_encoder.width == 16
    row = list(latents.prompts).index(REQUEST.prompt)
    states, mask = composer.text_encoder.encode([REQUEST.prompt])
    np.testing.assert_array_equal(mask[0], latents.text.prompt_mask[row])
    np.testing.assert_allclose(states[0], latents.text.prompt[row], atol=1e-6)
    piece = composer.compose(REQUEST)
    assert np.isfinite(piece.mix).all()
    assert np.std(piece.mix) > 0


def test_a_folder_that_moved_is_named_anew_and_another_is_refused(trained, tmp_path):
    before, after = trained / 't5', tmp_path / 'elsewhere'
    try:
        before.rename(after)
        with pytest.raises(BadInput, match=r't5.* is no folder here; .* \(--text_encoder says'):
            Composer.load(trained / 'composer')
        composer = Composer.load(trained / 'composer', text_encoder=after)
        other = t5_recording.write_folder(tmp_path / 'gated', 'gated')
        with pytest.raises(BadInput, match=r'/t5 of fingerprint \w{64}; .*/gated \w+ \w{64}'):
            Composer.load(trained / 'composer', text_encoder=other)
        status, said = run(
            'generate',
            checkpoint=trained / 'composer',
            text_encoder=after,
            seconds=0.02,
            steps=2,
            out=tmp_path / 'song',
        )
        assert status == 0, said
        assert (tmp_path / 'song' / 'mix.flac').exists()
    finally:
        after.rename(before)
    assert composer.text_encoder.fingerprint == composer.spec.text_fingerprint
    jax.tree.map(
        np.testing.assert_array_equal,
        composer.text_encoder.params,
        Composer.load(trained / 'composer').text_encoder.params,
    )


def test_a_network_that_is_shown_nothing_is_not_trained_to_fill_in(trained):
    config = tiny_run.config(trained)
    config.model.spans = False
    with pytest.raises(BadInput, match=r'model.spans: False; .*inpainting and continuation'):
        composer_run(config)
    config.curriculum.kinds = (1, 0, 0)
    assert not composer_run(config).spec.model.spans


def test_no_name_of_a_text_encoder_is_not_the_folder_one_is_in():
    with pytest.raises(BadInput, match="text encoder: ''"):
        load_text_encoder('')
