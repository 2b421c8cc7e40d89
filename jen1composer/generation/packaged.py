"""The composer that comes with the package, as launch.export wrote it."""

import importlib.resources

from etils import epath

from jen1composer.errors import BadInput
from jen1composer.generation.export_folder import is_export


def packaged_composer() -> epath.Path:
    """Its folder; raises BadInput where the package was installed without it."""
    folder = epath.Path(str(importlib.resources.files('jen1composer') / 'weights'))
    if not is_export(folder):
        raise BadInput(f'{folder}: no weights are there; name a composer of yours')
    return folder
