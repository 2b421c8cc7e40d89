"""What errors say to clients: one line, without the folders of this machine."""

import re

LONGEST = 400  # letters of a line; what it quotes may be long
_FOLDERS = re.compile(r'(?<![\w.:/])/(?:[^/\s:\'"]+/)+')  # of /a/b/c all but c


def line_of(error: Exception | str) -> str:
    """The words of an error on one line; of paths that begin at the root the last part is left."""
    line = _FOLDERS.sub('', ' '.join(str(error).split()))
    return line if len(line) <= LONGEST else f'{line[: LONGEST - 1]}…'
