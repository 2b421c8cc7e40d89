"""The ears of an evaluation."""

from absl import logging

from jen1composer.errors import BadInput
from jen1composer.evaluation.embedder import load_embedder
from jen1composer.evaluation.measuring import Ears
from jen1composer.evaluation.musicnn import Musicnn, load_musicnn


def load_ears(name: str, folder: str | None) -> Ears:
    """The embedder called `name`, and tags by musicnn where that is there.

    Raises BadInput where the embedder is not.
    """
    embedder = load_embedder(name, folder)
    if isinstance(embedder, Musicnn):
        return Ears(embedder=embedder, tagger=embedder)
    try:
        return Ears(embedder=embedder, tagger=load_musicnn())
    except BadInput as error:
        logging.warning('without tags: %s', error)
        return Ears(embedder=embedder, tagger=None)
