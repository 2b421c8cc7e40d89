"""The ears of an evaluation."""

from absl import logging

from jen1composer.errors import BadInput
from jen1composer.evaluation.embedder import MUSICNN, load_embedder
from jen1composer.evaluation.measuring import Ears
from jen1composer.evaluation.musicnn import Musicnn, load_musicnn


def load_ears(name: str, folder: str | None) -> Ears:
    """The embedder called `name`, and musicnn's tags of instruments where it is there.

    Raises BadInput where the embedder is not.
    """
    embedder = load_embedder(name, folder)
    try:
        tagger: Musicnn | None = load_musicnn(folder if name == MUSICNN else None, weights='MTT')
    except BadInput as error:
        if name == MUSICNN:
            raise
        logging.warning('Without tags: %s', error)
        tagger = None
    return Ears(embedder=embedder, tagger=tagger)
