"""Windows of latents as a random-access source, each once per epoch.

1. A clip of F frames holds floor(F / T) windows of T frames side by side. The last clip of a song
   is aligned with its end and overlaps the one before it, unless F divides the song's length: what
   both hold comes in windows of both. A song shorter than a clip is padded with silence: it has no
   window that begins at or after its end, and one that would reach past its end is moved back to
   it. So every song has a window, and padding is shown only of a song that is shorter than one. Of
   song s with f_s frames in n_s clips there are

       w_s = n_s floor(F / T) if f_s >= F, else min(floor(F / T), ceil(f_s / T))

   and window p is in the song s with W_s <= p < W_s + w_s, where W_s = sum of w_q over q < s: what
   is held is one number a song.
2. Which window example i shows is a seeded permutation's business (`mixture`); where exactly it
   begins is jittered by up to half a window either way, within the music of its clip, by a draw for
   (seed, i). Each window comes once per epoch, and is rarely cut the same way twice.
3. With `beat_aligned` a window then begins at the frame nearest to a beat of its song: of the beats
   at which it would stay within its clip the nearest, the earlier of two. Where there is none, it
   stays where it is.
4. Of several prompts and several versions of a song example i has one each, by draws for (seed, i).
   Without a seed it has the first prompt and the song as it is, and is not moved: validation.
5. A window is told its song's tempo and key, and of each frame the chord that sounds in its middle;
   after the song's end there is none. Versions of latents differ in levels and sides alone
   (`augmentation`), so this holds for all of them.
"""

import dataclasses
from collections.abc import Container, Sequence

import numpy as np

from data_pipeline.latents import Latents
from data_pipeline.streams import stream
from jen1composer.diffusion.batch import Control
from jen1composer.errors import BadInput, require
from jen1composer.harmony import NO_CHORD, chords_at, known_key


@dataclasses.dataclass(frozen=True)
class Window:
    """A place in the data: window `slot` of clip `clip` of song number `song`."""

    song: int
    clip: int
    slot: int


class Windows:
    """All windows of `num_frames` frames of one or several splits.

    Attributes:
      latents: where they are read.
      num_frames: of each.
      beat_aligned: whether they begin with a beat.
      songs: the numbers of the songs, [song], in the order of their windows.
      ends: how many windows there are up to the end of each song, [song].
    """

    def __init__(
        self,
        latents: Latents,
        splits: Sequence[str],
        num_frames: int,
        *,
        beat_aligned: bool = False,
        keep: Container[int] | None = None,
    ):
        """`keep` are the numbers of the songs that may be shown, None all.

        Raises BadInput where there is no song or its clips are shorter than a window.
        """
        require(num_frames >= 1, 'window_frames', num_frames, 'is 1 or more')
        clip_frames = latents.manifest.clip_frames
        if num_frames > clip_frames:
            raise BadInput(
                f'window_frames: {num_frames}; allowed is up to {clip_frames}, '
                f'the length of a clip in {latents.folder}'
            )
        self.latents = latents
        self.num_frames = num_frames
        self.beat_aligned = beat_aligned
        self._slots = clip_frames // num_frames
        songs = np.concatenate([latents.songs(split) for split in splits])
        self.songs = songs if keep is None else songs[[int(song) in keep for song in songs]]
        if not len(self.songs):
            raise BadInput(f'{latents.folder}: holds no song in {" or ".join(splits)}')
        frames = latents.num_frames[self.songs]
        of_short = np.minimum(self._slots, -(-frames // num_frames))
        of_long = latents.layout.clips[self.songs] * self._slots
        self.ends = np.cumsum(np.where(frames >= clip_frames, of_long, of_short))

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, position: int) -> Window:
        if not 0 <= position < len(self):
            raise IndexError(position)
        row = self.row_of(position)
        within = position - self.span(row)[0]
        return Window(int(self.songs[row]), *divmod(within, self._slots))

    def span(self, row: int) -> tuple[int, int]:
        """The first window of the song `songs[row]`, and the first of the next."""
        return int(self.ends[row - 1]) if row else 0, int(self.ends[row])

    def row_of(self, position: int) -> int:
        """The place in `songs` of the song of a window."""
        return int(np.searchsorted(self.ends, position, side='right'))

    def view(self, window: Window, offset: int = 0, version: int = 0) -> np.ndarray:
        """bfloat16 `[track, frame, channel]`, moved by `offset` frames within its clip's music."""
        start = self.start(window, offset)
        clip = self.latents.view(window.song, window.clip, version)
        return clip[:, start : start + self.num_frames]

    def read(self, window: Window, offset: int = 0, version: int = 0) -> np.ndarray:
        """As `view`, in float32."""
        return self.view(window, offset, version).astype(np.float32)

    def control(self, window: Window, offset: int = 0) -> Control:
        """What is known of tempo, key and chords, without a batch axis; (5) of the module."""
        song = self.latents.song(window.song)
        first = self._clip_start(window) + self.start(window, offset)
        frame = first + np.arange(self.num_frames)
        chords = chords_at(song.chords, (frame + 0.5) / self.latents.manifest.frame_rate)
        if song.chords:
            chords = np.where(frame < song.num_frames, chords, np.int32(NO_CHORD))
        return Control(
            bpm=np.array(song.bpm, np.float32),
            key=np.array(known_key(song.key), np.int32),
            chords=chords,
        )

    def _clip_start(self, window: Window) -> int:
        """The frame of its song that its clip begins at: the last one is aligned with the end."""
        clip_frames = self.latents.manifest.clip_frames
        song_frames = int(self.latents.num_frames[window.song])
        return min(window.clip * clip_frames, max(0, song_frames - clip_frames))

    def start(self, window: Window, offset: int = 0) -> int:
        """The frame of its clip that it begins at, when it is moved by `offset` frames."""
        manifest = self.latents.manifest
        song_frames = int(self.latents.num_frames[window.song])
        clip_start = self._clip_start(window)
        last = max(0, min(manifest.clip_frames, song_frames - clip_start) - self.num_frames)
        start = max(0, min(window.slot * self.num_frames + offset, last))
        if not self.beat_aligned:
            return start
        beats_s = np.array(self.latents.song(window.song).beats_s)
        beats = np.rint(beats_s * manifest.frame_rate).astype(int) - clip_start
        beats = beats[(beats >= 0) & (beats <= last)]
        return int(beats[np.argmin(np.abs(beats - start))]) if len(beats) else start

    def jitter(self, seed: int, index: int) -> int:
        """The offset of example `index`: whole frames, up to half a window either way."""
        half = self.num_frames // 2
        return int(stream(seed, index, 'jitter').integers(-half, half + 1))

    def version(self, seed: int, index: int) -> int:
        """The version of its song that example `index` shows."""
        return _choice(self.latents.manifest.num_versions, seed, index, 'version')

    def prompt_row(self, window: Window, seed: int | None = None, index: int = 0) -> int:
        """The row in the text table of the song's first prompt, or of that of example `index`."""
        rows = self.latents.prompt_rows(window.song)
        return int(rows[0 if seed is None else _choice(len(rows), seed, index, 'prompt')])


def _choice(count: int, seed: int, index: int, name: str) -> int:
    return 0 if count == 1 else int(stream(seed, index, name).integers(count))
