"""What a composer's config says of its data: which windows, in which order, and what they are."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from etils import epath
from ml_collections import ConfigDict

from data_pipeline.latents import Latents
from data_pipeline.mixture import Mixture, read_sources
from data_pipeline.order import Order, Segments, begun, read_segments, resumed
from data_pipeline.songs import digest
from data_pipeline.windows import Windows
from jen1composer.errors import BadInput, require
from jen1composer.training.checkpoints import Meta

VALIDATION_SEED = 1
DATA_KEYS = 'data.'  # what the keys of the identity begin with that say what the data are


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComposerData:
    """The data sets of a run, one or several."""

    latents: tuple[Latents, ...]
    train: Mixture
    validation: Mixture  # of those that have validation songs
    identity: Mapping[str, Any]  # flat: what they are


def open_data(config: ConfigDict, seed: int) -> ComposerData:
    """Opens what a config's section `data` names; raises BadInput where it does not fit.

    `without`, a regular expression, leaves out of the training the songs with a prompt in which it
    is found; `share` below 1 leaves in only so many of all songs, the same for all seeds.
    """
    sources = read_sources(config.latents)
    cache = config.get('cache', '') or None
    latents = [Latents(folder, cache) for folder, _ in sources]
    weights = [weight for _, weight in sources]
    aligned = config.get('beat_aligned', False)

    left_out = {'without': config.get('without', ''), 'share': config.get('share', 1.0)}

    def windows(of: Latents, split: str) -> Windows:
        keep = songs_left(of, **left_out) if split == 'train' else None
        return Windows(of, [split], config.window_frames, beat_aligned=aligned, keep=keep)

    heard = [(of, w) for of, w in zip(latents, weights, strict=True) if len(of.songs('validation'))]
    if not heard:
        raise BadInput(f'config.data.latents: {config.latents} holds no song in validation')
    identity: dict[str, Any] = {
        'autoencoder': latents[0].manifest.autoencoder_fingerprint,
        'text_encoder': latents[0].manifest.text_fingerprint,
        f'{DATA_KEYS}window_frames': config.window_frames,
        f'{DATA_KEYS}beat_aligned': aligned,
    }
    for number, ((folder, weight), of) in enumerate(zip(sources, latents, strict=True)):
        described = {
            'name': epath.Path(folder).name,  # for people: beside the same fingerprint it is free
            'weight': weight,
            'songs': of.manifest.num_songs,
            'clip_frames': of.manifest.clip_frames,
            'versions': of.manifest.num_versions,
            'fingerprint': of.manifest.fingerprint,
        }
        identity |= {f'{DATA_KEYS}latents[{number}].{k}': v for k, v in described.items()}
    if left_out != {'without': '', 'share': 1.0}:
        identity |= {f'{DATA_KEYS}{name}': value for name, value in left_out.items()}
    return ComposerData(
        latents=tuple(latents),
        train=Mixture([windows(of, 'train') for of in latents], weights, seed),
        validation=Mixture(
            [windows(of, 'validation') for of, _ in heard], [w for _, w in heard], VALIDATION_SEED
        ),
        identity=identity,
    )


def songs_left(latents: Latents, without: str, share: float) -> set[int]:
    """The songs that `without` and `share` leave in; raises BadInput where they make no sense."""
    require(0 < share <= 1, '--config.data.share', share, 'is above 0, up to 1')
    songs = sorted(set(range(len(latents.num_frames))) - songs_with(latents, without))
    if share < 1:
        songs.sort(key=lambda song: digest([latents.song(song).id]))  # in no order of the source's
    return set(songs[: max(1, round(share * len(songs)))])


def songs_with(latents: Latents, words: str) -> set[int]:
    """The songs with a prompt in which the regular expression `words` is found; '' is in none."""
    try:
        found = re.compile(words)
    except re.error as error:
        raise BadInput(
            f'--config.data.without={words}: {error}; allowed is a regular expression'
        ) from error

    def has(song: int) -> bool:
        return any(found.search(latents.prompts[row]) for row in latents.prompt_rows(song))

    return {song for song in range(len(latents.num_frames)) if words and has(song)}


def make_order(
    config: ConfigDict, begun_at: Meta | None, total_steps: int, share: tuple[int, int]
) -> Order:
    """The order of a run's examples; where it goes on with another batch, after the last one.

    `share` is the part of each batch that this host reads, and the number of parts.
    """
    if begun_at is None:
        segments = begun(config.batch)
    else:
        segments = resumed(saved_segments(begun_at), begun_at.step, config.batch)
    return Order(
        seed=config.seed,
        segments=segments,
        total_steps=total_steps,
        host=share[0],
        hosts=share[1],
    )


def saved_segments(meta: Meta) -> Segments:
    """The segments of the run that wrote a checkpoint; older ones kept the batch as it was."""
    return (
        begun(meta.identity['batch']) if meta.data is None else read_segments(meta.data['segments'])
    )
