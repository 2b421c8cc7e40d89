"""A composer that runs in milliseconds: a tiny UNet and codec with random weights, real words."""

import dataclasses
import pathlib

import jax.numpy as jnp

from jen1composer.diffusion.prediction import Prediction
from jen1composer.generation.composer import Composer
from jen1composer.tracks import TRACKS
from jen1composer.training.checkpoints import Checkpoints
from jen1composer.training.state import TrainState
from jen1composer.training.text import load_minilm
from jen1composer.training.workdir import ComposerSpec, write_spec
from tests import tiny
from tests.jen1composer import tiny_codec


def composer(spans: bool = False, control: bool = False) -> Composer:
    codec, text = tiny_codec.codec(), load_minilm(max_tokens=24)
    model = dataclasses.replace(
        tiny.UNET,
        latent_channels=codec.latent_channels,
        text_width=text.width,
        spans=spans,
        control=control,
    )
    return Composer(
        spec=ComposerSpec(
            tracks=TRACKS,
            model=model,
            prediction=Prediction.V,
            window_frames=8,
            hop_samples=codec.hop_samples,
            max_tokens=text.max_tokens,
            autoencoder_fingerprint=codec.fingerprint,
            text_fingerprint=text.fingerprint,
        ),
        params=tiny.randomised(tiny.init_params(model), scale=0.05),
        step=0,
        codec=codec,
        text_encoder=text,
    )


def wider(composer: Composer) -> Composer:
    """The same with windows of 32 frames, .048 s, which are longer than the shortest piece."""
    return dataclasses.replace(composer, spec=dataclasses.replace(composer.spec, window_frames=32))


def save(composer: Composer, workdir: pathlib.Path) -> None:
    """Writes the workdir that `Composer.load` reads."""
    write_spec(workdir, composer.spec)
    composer.codec.save(workdir / 'autoencoder')
    checkpoints = Checkpoints(workdir / 'checkpoints', identity={})
    step = jnp.asarray(composer.step)
    checkpoints.save(
        composer.step, TrainState(step=step, params={}, opt_state={}, ema=composer.params)
    )
    checkpoints.close()
