"""How songs are prepared: which file is which track, words, versions, what is held out.

  python -m launch.prepare_data --source=stems:/music/my_songs --out=data \
      --config=configs/prepare.py

`roles` are the rules of `--source=stems:DIR`, tried from the top: a regular expression, searched
for in the words of a file's name, and the track, or None for a file that is left out. The words
are of letters, lower case, with single spaces; the name of a folder inside the song's comes first.
A file that no rule names makes its song broken, so the last rule takes what is left.

`versions` are pitch and speed versions that each training song gets beside the plain one, pairs of
semitones and speed: ((2, 1.0), (-2, 1.0), (0, 0.9)). Each is as long as a song to prepare, to store
and to encode.

With these values all of Freedoom, 72 songs of 210 min (48 train, 12 validation, 12 test), was
prepared in 12 min 5 s by two threads on two CPU cores that other work was using as well: 2.7 GB of
songs, 9.7 GB of records.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """The rules that the command has without a config."""
    config = ConfigDict()
    config.roles = (
        (r'\b(full)?(mix|mixture|mixdown|master)\b', None),  # the mix is the sum of the stems
        (r'drum|\bperc(?![ehiy])|perc\b', 'drums'),
        (r'bass(?!oon)', 'bass'),
        (r'melody|vocal|voice|\blead|lead\b', 'melody'),
        (r'', 'instrument'),
    )

    config.prompts = ConfigDict()
    config.prompts.per_song = 4  # where nobody wrote captions
    config.prompts.dropout = 0.3  # odds that a prompt but the first leaves a fact out

    config.measure = True  # listen for tempo, key and beats where the source does not know them
    config.versions = ()
    config.held_out = 1 / 6  # for validation, and as much for test, where not named
    return config
