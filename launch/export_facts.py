"""What a model card tells of a composer's data that its workdir does not say by itself."""

from collections.abc import Sequence

from data_pipeline.latents import Latents
from data_pipeline.records import SPLITS
from jen1composer.errors import BadInput
from jen1composer.training.checkpoints import Identity, Meta
from launch.composer_data import DATA_KEYS, saved_segments


def count_examples(meta: Meta) -> int | None:
    """The windows that a run was trained on, with repetition; None where it does not say."""
    if meta.data is None and 'batch' not in meta.identity:
        return None
    segments = saved_segments(meta)
    begun = [segment for segment in segments if segment.first_step <= meta.step]
    return begun[-1].index_at(meta.step)


def hours_of_music(folders: Sequence[str], identity: Identity) -> dict[str, float]:
    """The hours of songs by split in folders of latents; nothing where none is named.

    Raises BadInput for a folder that the run of this identity was not trained on.
    """
    trained_on = {
        value
        for key, value in identity.items()
        if key.startswith(DATA_KEYS) and key.endswith('.fingerprint')
    }
    hours: dict[str, float] = {}
    for folder in folders:
        latents = Latents(folder)
        if latents.manifest.fingerprint not in trained_on:
            raise BadInput(f'--latents={folder}: this composer was not trained on it')
        for split in SPLITS:
            frames = sum(latents.song(number).num_frames for number in latents.songs(split))
            hours[split] = hours.get(split, 0.0) + frames / latents.manifest.frame_rate / 3600
    return hours
