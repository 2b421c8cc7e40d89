"""Windows of latents as a random-access source, each once per epoch.

A clip of F frames holds floor(F / T) windows of T frames side by side. Which window example i shows
is a seeded permutation's business (`batches`); where exactly it begins is jittered by up to half a
window either way, within its clip, by a draw for (seed, i): the same music is rarely cut the same
way twice, and still each stretch comes once per epoch.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from data_pipeline.curriculum import stream
from data_pipeline.latents import Latents
from jen1composer.errors import BadInput


@dataclasses.dataclass(frozen=True)
class Window:
    """A place in the data: window `slot` of clip `clip` of song `song`."""

    song: int
    clip: int
    slot: int


class Windows:
    """All windows of `num_frames` frames of one or several splits."""

    def __init__(self, latents: Latents, splits: Sequence[str], num_frames: int):
        """Raises BadInput where there is no song or its clips are shorter than a window."""
        slots = latents.manifest.clip_frames // num_frames
        if slots < 1:
            raise BadInput(
                f'window_frames: {num_frames}; allowed is up to '
                f'{latents.manifest.clip_frames}, the length of a clip in {latents.folder}'
            )
        songs = latents.manifest.songs
        self.latents = latents
        self.num_frames = num_frames
        self.places = [
            Window(song, clip, slot)
            for split in splits
            for song in latents.songs(split)
            for clip in range(len(songs[song].starts))
            for slot in range(slots)
        ]
        if not self.places:
            raise BadInput(f'{latents.folder}: holds no song in {" or ".join(splits)}')
        rows = {prompt: row for row, prompt in enumerate(latents.manifest.prompts)}
        self._prompt_rows = [rows[song.prompt] for song in songs]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, position: int) -> Window:
        return self.places[position]

    def prompt_row(self, window: Window) -> int:
        """The row of the song's prompt in the text table."""
        return self._prompt_rows[window.song]

    def read(self, window: Window, offset: int = 0) -> np.ndarray:
        """float32 `[track, frame, channel]`, moved by `offset` frames but kept within its clip."""
        clip = self.latents.read(window.song, window.clip)
        last = clip.shape[1] - self.num_frames
        start = min(max(0, window.slot * self.num_frames + offset), last)
        return clip[:, start : start + self.num_frames]

    def jitter(self, seed: int, index: int) -> int:
        """The offset of example `index`: whole frames, up to half a window either way."""
        half = self.num_frames // 2
        return int(stream(seed, index, 'jitter').integers(-half, half + 1))
