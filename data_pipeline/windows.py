"""Windows of latents as a random-access source, each once per epoch.

1. A clip of F frames holds floor(F / T) windows of T frames side by side. A song shorter than a
   clip is padded with silence: it has no window that begins at or after its end, and one that would
   reach past its end is moved back to it. So every song has a window, and padding is shown only of
   a song that is shorter than one.
2. Which window example i shows is a seeded permutation's business (`batches`); where exactly it
   begins is jittered by up to half a window either way, within the music of its clip, by a draw for
   (seed, i). Each window comes once per epoch, and is rarely cut the same way twice.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from data_pipeline.latents import Latents
from data_pipeline.streams import stream
from jen1composer.errors import BadInput, require


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
        require(num_frames >= 1, 'window_frames', num_frames, 'is 1 or more')
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
            for clip, start in enumerate(songs[song].starts)
            for slot in range(slots)
            if start + slot * num_frames < songs[song].num_frames
        ]
        if not self.places:
            raise BadInput(f'{latents.folder}: holds no song in {" or ".join(splits)}')
        rows = {prompt: row for row, prompt in enumerate(latents.manifest.prompts)}
        self._prompt_rows = [rows[song.prompt] for song in songs]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, position: int) -> Window:
        return self.places[position]

    def prompt(self, window: Window) -> str:
        """The song's prompt; empty for a song that is not described."""
        return self.latents.manifest.songs[window.song].prompt

    def prompt_row(self, window: Window) -> int:
        """The row of the song's prompt in the text table."""
        return self._prompt_rows[window.song]

    def read(self, window: Window, offset: int = 0) -> np.ndarray:
        """float32 `[track, frame, channel]`, moved by `offset` frames but kept within its music."""
        clip = self.latents.read(window.song, window.clip)
        song = self.latents.manifest.songs[window.song]
        end = min(clip.shape[1], song.num_frames - song.starts[window.clip])
        start = max(0, min(window.slot * self.num_frames + offset, end - self.num_frames))
        return clip[:, start : start + self.num_frames]

    def jitter(self, seed: int, index: int) -> int:
        """The offset of example `index`: whole frames, up to half a window either way."""
        half = self.num_frames // 2
        return int(stream(seed, index, 'jitter').integers(-half, half + 1))
