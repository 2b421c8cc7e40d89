"""Sections of an autoencoder's config as the library takes them, from networks to crops."""

from collections.abc import Mapping
from typing import Any

import optax
from ml_collections import ConfigDict

from data_pipeline.augmentation import Augmentation
from jen1composer.errors import BadInput
from jen1composer.models.autoencoder import Autoencoder, AutoencoderConfig
from jen1composer.models.discriminator import DiscriminatorConfig, Discriminators
from jen1composer.models.layers import ANYWHERE, Placement
from jen1composer.training.adversary import Adversary, AdversaryConfig, two_optimizers
from jen1composer.training.autoencoder_losses import AutoencoderLossConfig
from jen1composer.training.autoencoder_step import AutoencoderTaskConfig
from jen1composer.training.optimizer import OptimizerConfig, make_optimizer
from launch.config_sections import require_sections

ADVERSARY_SECTIONS = ('model.', 'losses.', 'optimizer.')


def make_autoencoder(config: ConfigDict, place: Placement = ANYWHERE) -> Autoencoder:
    """The network of the section `model`."""
    return Autoencoder(_from_config(AutoencoderConfig, config.model, 'model'), place)


def make_task(config: ConfigDict) -> AutoencoderTaskConfig:
    """What is asked of it, by the sections `task` and `losses`."""
    losses = _from_config(AutoencoderLossConfig, config.losses, 'losses')
    return AutoencoderTaskConfig(losses=losses, **config.task)


def make_adversary(config: ConfigDict, place: Placement = ANYWHERE) -> Adversary | None:
    """What the section `adversary` says, if there is one."""
    section = config.get('adversary')
    if section is None:
        return None
    require_sections(section, 'train_autoencoder, in adversary', ADVERSARY_SECTIONS)
    sizes = _from_config(DiscriminatorConfig, section.model, 'adversary.model')
    losses = _from_config(AdversaryConfig, section.losses, 'adversary.losses')
    return Adversary(model=Discriminators(sizes, place), config=losses)


def make_optimizers(config: ConfigDict) -> optax.GradientTransformation:
    """One for the autoencoder, and with an adversary another for the discriminators."""
    total_steps = config.loop.total_steps
    ours = make_optimizer(
        _from_config(OptimizerConfig, config.optimizer, 'optimizer', total_steps=total_steps)
    )
    if config.get('adversary') is None:
        return ours
    learns_from = config.adversary.losses.get('learns_from', AdversaryConfig.learns_from)
    theirs = _from_config(
        OptimizerConfig,
        config.adversary.optimizer,
        'adversary.optimizer',
        total_steps=total_steps - learns_from,  # so that its learning rate has fallen at the end
    )
    return two_optimizers(ours, make_optimizer(theirs), learns_from)


def crop_options(config: ConfigDict) -> dict[str, Any]:
    """What `AudioCrops` does to crops, by the section `augment`; nothing without one.

    The section holds the fields of `Augmentation` and `mixed`, each optional.
    """
    section = dict(config.get('augment', ConfigDict()).items())
    mixed = section.pop('mixed', 0.0)
    return {'augmentation': _from_config(Augmentation, section, 'augment'), 'mixed': mixed}


def _from_config(kind: Any, section: Mapping[str, Any], name: str, **given: Any) -> Any:
    """A frozen config of one section of the file, and of what is `given` beside it.

    Raises BadInput for a value it refuses, by the name it has in the file.
    """
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in section.items()}
    try:
        return kind(**fields, **given)
    except BadInput as error:  # it names the section, but not what that lies in
        outer, point, _ = name.rpartition('.')
        raise BadInput(f'{outer}{point}{error}') from error
    except (TypeError, ValueError) as error:
        raise BadInput(f'--config.{name}: {error}') from error
