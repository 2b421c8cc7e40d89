"""What a workdir says of its composer, now and as the first version wrote it."""

import dataclasses
import json

import pytest

from jen1composer.diffusion.prediction import Prediction
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS
from jen1composer.training.workdir import ComposerSpec, read_spec, write_spec
from tests import tiny

FIRST = {  # as the first version of this project wrote it
    'version': 1,
    'tracks': ['bass', 'drums', 'instrument', 'melody'],
    'model': {
        'num_tracks': 4,
        'latent_channels': 2,
        'text_width': 8,
        'channels': [16, 24],
        'factors': [1, 2],
        'blocks': [1, 1],
        'attentions': [0, 1],
        'head_width': 8,
        'feed_forward': 2,
        'condition_width': 16,
        'time_frequencies': 4,
        'use_prefix': True,
        'use_role_tokens': True,
        'dtype': 'float32',
    },
    'prediction': 'v',
    'window_frames': 8,
    'hop_samples': 72,
    'max_tokens': 24,
    'autoencoder_fingerprint': 'sound',
    'text_fingerprint': 'words',
}
SPEC = ComposerSpec(
    tracks=TRACKS,
    model=tiny.UNET,
    prediction=Prediction.V,
    window_frames=8,
    hop_samples=72,
    max_tokens=24,
    autoencoder_fingerprint='sound',
    text_fingerprint='words',
)


def test_a_spec_is_read_as_it_was_written(tmp_path):
    spec = dataclasses.replace(SPEC, text_encoder='/models/flan-t5-base', causal=False)
    write_spec(tmp_path, spec)
    assert read_spec(tmp_path) == spec


def test_the_first_versions_spec_means_what_it_meant(tmp_path):
    (tmp_path / 'composer.json').write_text(json.dumps(FIRST))
    assert read_spec(tmp_path) == SPEC
    assert SPEC.text_encoder == 'minilm'
    assert SPEC.causal  # it went by `spans` alone


def test_another_version_or_no_spec_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r'holds no composer .*FileNotFoundError'):
        read_spec(tmp_path)
    (tmp_path / 'composer.json').write_text(json.dumps(FIRST | {'version': 9}))
    with pytest.raises(BadInput, match=r'composer\.json: version 9; allowed is 1'):
        read_spec(tmp_path)
