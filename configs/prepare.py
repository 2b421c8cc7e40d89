"""How songs are prepared: which file of a folder is which track.

  python -m launch.prepare_data --source=stems:/music/my_songs --out=data \
      --config=configs/prepare.py

`roles` are the rules of `--source=stems:DIR`, tried from the top: a regular expression, searched
for in the words of a file's name, and the track, or None for a file that is left out. The words
are of letters, lower case, with single spaces; the name of a folder inside the song's comes first.
A file that no rule names makes its song broken, so the last rule takes what is left.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The rules that the command has without a config."""
    config = ConfigDict()
    config.roles = (
        (r'\b(full)?(mix|mixture|mixdown|master)\b', None),  # the mix is the sum of the stems
        (r'drum|perc', 'drums'),
        (r'bass(?!oon)', 'bass'),
        (r'melody|vocal|lead|voice', 'melody'),
        (r'', 'instrument'),
    )
    return config
