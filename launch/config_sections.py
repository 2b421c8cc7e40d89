"""A config of another command is refused in one line, rather than where it is first missed."""

from collections.abc import Sequence

from ml_collections import ConfigDict

from jen1composer.errors import BadInput


def require_sections(config: ConfigDict, command: str, sections: Sequence[str]) -> None:
    """Raises BadInput where `config` is not one of `command`.

    Args:
      config: what ``--config`` gave.
      command: e.g. ``'train_composer'``.
      sections: what the command reads at the top level: ``'data'``, a value, or ``'model.'``, with
        a point, a section of values.
    """
    missing = []
    for section in sections:
        name = section.removesuffix('.')
        if name not in config or isinstance(config[name], ConfigDict) != section.endswith('.'):
            missing.append(section)
    if missing:
        raise BadInput(
            f'--config: not a config of {command}, which needs {", ".join(missing)} beside '
            f'what is there: {", ".join(config)}'
        )
