"""A composer's workdir: all that is needed to make sound, in one folder.

    DIR/composer.json    `ComposerSpec`
    DIR/autoencoder/     a copy of the codec folder: weights and whitening
    DIR/checkpoints/     the training state, see `checkpoints`
    DIR/metrics.jsonl

The text encoder comes from its package or its folder and is pinned by its hash.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from etils import epath

from jen1composer.diffusion.prediction import Prediction
from jen1composer.diffusion.schedule import make_schedule
from jen1composer.errors import BadInput
from jen1composer.models.unet import UNetConfig
from jen1composer.training.composer_step import DiffusionConfig
from jen1composer.training.files import write_whole

VERSION = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComposerSpec:
    """What a trained composer is, apart from its weights."""

    version: int = VERSION
    tracks: tuple[str, ...]
    model: UNetConfig
    prediction: Prediction
    window_frames: int  # what it was trained on
    hop_samples: int
    max_tokens: int  # of a prompt
    autoencoder_fingerprint: str
    text_fingerprint: str
    text_encoder: str = 'minilm'  # its name, see `training.text`
    schedule: str = 'cosine'
    causal: bool = True  # whether it learnt tasks in which no frame hears of a later one

    @property
    def diffusion(self) -> DiffusionConfig:
        """What sampling and validation need to know of how it was trained."""
        return DiffusionConfig(prediction=self.prediction, schedule=make_schedule(self.schedule))


def write_spec(workdir: epath.PathLike, spec: ComposerSpec) -> None:
    workdir = epath.Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dataclasses.asdict(spec), indent=1) + '\n'
    write_whole(workdir / 'composer.json', text.encode())


def read_spec(workdir: epath.PathLike) -> ComposerSpec:
    """Reads `composer.json`; raises BadInput where the folder holds no composer."""
    path = epath.Path(workdir) / 'composer.json'
    try:
        value = json.loads(path.read_text())
        if value['version'] != VERSION:
            raise BadInput(f'{path}: version {value["version"]}; allowed is {VERSION}')
        return spec_from_json(value)
    except BadInput:
        raise
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(
            f'{workdir}: holds no composer ({type(error).__name__}: {error}); allowed is a '
            'workdir of python -m launch.train_composer'
        ) from error


def spec_from_json(value: Mapping[str, Any]) -> ComposerSpec:
    """The spec of which `dataclasses.asdict` went through JSON; what raises, `read_spec` says."""
    return ComposerSpec(
        **dict(value)
        | {
            'tracks': tuple(value['tracks']),
            'model': unet_config(value['model']),
            'prediction': Prediction(value['prediction']),
        }
    )


def unet_config(value: Mapping[str, Any]) -> UNetConfig:
    """A UNetConfig from a mapping (JSON or a ConfigDict), lists becoming tuples.

    Raises BadInput for a key that a UNet does not have.
    """
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
    try:
        return UNetConfig(**fields)
    except TypeError as error:
        raise BadInput(f'model: {error}') from error
