"""What the commands that serve share: the token of clients, and where sessions lie."""

import os
import pathlib
from collections.abc import Sequence

from jen1composer.errors import BadInput
from jen1composer.generation.request import Request
from launch import command

ENVIRONMENT = 'JEN1COMPOSER_TOKEN'
MIN_TOKEN = 16


def token_of(file: str | None) -> str | None:
    """The token of clients, from `file` or else the environment; None where there is none.

    Raises BadInput for a file that cannot be read, and a token that is easily guessed.
    """
    name, token = ENVIRONMENT, os.environ.get(ENVIRONMENT)
    if file:
        name = f'--token_file={file}'
        try:
            token = pathlib.Path(file).read_text().strip()
        except (OSError, ValueError) as error:
            raise BadInput(f'{name}: cannot be read ({error})') from error
    if token is not None and (len(token) < MIN_TOKEN or not token.isascii()):
        raise BadInput(f'{name}: {len(token)} letters; allowed are {MIN_TOKEN} or more, of ASCII')
    return token


def check_seconds(flag: str, value: float, least: float, most: float) -> None:
    """Raises BadInput for a flag outside its bounds; absl's own let NaN through."""
    if not least <= value <= most:
        raise BadInput(f'--{flag}={value:g}: allowed are {least:g} to {most:g} seconds')


def parse_samplers(names: Sequence[str]) -> tuple[str, ...]:
    """The samplers of --samplers; raises BadInput for one that is not there.

    The default of requests has to be among them.
    """
    from jen1composer.diffusion.solvers import SAMPLERS

    default = Request().sampler
    if default not in names or not set(names) <= set(SAMPLERS):
        allowed = f'are {", ".join(SAMPLERS)}, {default} among them'
        raise BadInput(f'--samplers={",".join(names)}: allowed {allowed}')
    return tuple(names)


def sessions_folder(value: str | None) -> str:
    """The folder of --sessions; by default one in the data folder of the user."""
    data = os.environ.get('XDG_DATA_HOME') or pathlib.Path.home() / '.local' / 'share'
    return command.folder('--sessions', value or str(pathlib.Path(data) / 'jen1composer'))
