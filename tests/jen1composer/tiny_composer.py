"""A composer that runs in milliseconds: a tiny UNet and codec with random weights, real words."""

import dataclasses

from jen1composer.diffusion.prediction import Prediction
from jen1composer.generation.composer import Composer
from jen1composer.tracks import TRACKS
from jen1composer.training.text import load_minilm
from jen1composer.training.workdir import ComposerSpec
from tests import tiny
from tests.jen1composer import tiny_codec


def composer(spans: bool = False) -> Composer:
    codec, text = tiny_codec.codec(), load_minilm(max_tokens=24)
    model = dataclasses.replace(
        tiny.UNET,
        latent_channels=codec.latent_channels,
        text_width=text.width,
        spans=spans,
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
