"""What a person asks for: a prompt, and of every track whether it is made, there, or left out.

A track is

    made        a target; one with an `Edit` is there in part, and the rest of it is made
    given       there as a whole, and listened to
    marginal    left out: it tells nothing

An `Edit` is sound that lies somewhere in the piece. Where it does not reach, the track is made:
past its end that is a continuation, before its start a continuation to the other side. The seconds
to `regenerate` are made anew, which is inpainting. All else of it is kept, sample for sample. With
a `strength` below 1 what is made starts from what was there: a variation.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from jen1composer.errors import BadInput, require
from jen1composer.generation.progression import parse_progression
from jen1composer.harmony import BPM_RANGE, key_number
from jen1composer.tracks import SAMPLE_RATE, Role

MIN_SECONDS = 0.01
MAX_SECONDS = 600.0  # windows bound the work, not the sound that is held: 0.4 MB a second a track
MAX_SCALE = 100.0  # of guidance, far beyond any use; what is much larger overflows

WHOLE = ((0.0, math.inf),)  # to regenerate all of a track


@dataclasses.dataclass(frozen=True, kw_only=True)
class Edit:
    """A track that is to be made in part.

    Attributes:
        audio: float32 [sample, 2] at 48 kHz; what reaches past the end of the piece is unused.
        start_s: where in the piece it begins.
        regenerate: (start, end) in seconds of the piece, made anew though the audio is there.
        called: what an error calls it, before the track's name.
    """

    audio: np.ndarray
    start_s: float = 0.0
    regenerate: tuple[tuple[float, float], ...] = ()
    called: str = 'edit'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """One piece to make.

    Attributes:
        prompt: words for the music; empty text means none (the learned null).
        targets: tracks to make; if neither they nor `edits` name one, every track that is not
            mentioned otherwise.
        edits: targets that are there in part.
        given: track -> waveform float32 [sample, 2] at 48 kHz, used as it is.
        marginal: tracks to leave out, which then tell nothing.
        seconds: length of the piece.
        strength: 0 leaves everything as it is, 1 makes it as if nothing had been there; between
            them all that is made needs sound to start from.
        seed: decides all noise; the same seed gives the same music.
        num_steps: of the sampler.
        sampler: its name, see `diffusion.solvers`.
        bpm: tempo in beats a minute; None leaves it open.
        key: such as 'A minor'; '' leaves it open.
        chords: a progression from the start on, repeated, such as 'Am F C G:8' (`progression`); it
            needs a bpm; '' leaves them open.
        control_guidance: scale on tempo, key and chords together, 1 is none; None is the default.
        text_guidance: scale on the prompt, 1 is none; None is the task's default.
        given_guidance: scale on every given track, or on those that are named; None likewise.
        guidance_interval: diffusion times between which the scales count.
        guidance_rescale: 0 to 1, how far guided estimates are brought back to their loudness.
    """

    prompt: str = ''
    targets: tuple[str, ...] = ()
    edits: Mapping[str, Edit] = dataclasses.field(default_factory=dict)
    given: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    marginal: tuple[str, ...] = ()
    seconds: float = 5.0
    strength: float = 1.0
    seed: int = 0
    num_steps: int = 50
    sampler: str = 'dpmpp_2m'
    bpm: float | None = None
    key: str = ''
    chords: str = ''
    control_guidance: float | None = None
    text_guidance: float | None = None
    given_guidance: float | Mapping[str, float] | None = None
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    guidance_rescale: float = 0.0

    def __post_init__(self) -> None:
        fits = MIN_SECONDS <= self.seconds <= MAX_SECONDS
        require(fits, 'seconds', self.seconds, f'are {MIN_SECONDS} to {MAX_SECONDS}')
        require(self.num_steps >= 1, 'steps', self.num_steps, 'is 1 or more')
        require(0 <= self.seed < 2**31, 'seed', self.seed, f'are 0 to {2**31 - 1}')
        require(0 <= self.strength <= 1, 'strength', self.strength, 'is 0 to 1')
        text = not any('\ud800' <= letter <= '\udfff' for letter in self.prompt)  # undecoded bytes
        require(text, 'prompt', self.prompt, 'is text in UTF-8')
        low, high = self.guidance_interval
        inside = 0 <= low <= high <= 1
        require(inside, 'guidance_interval', self.guidance_interval, 'is low, high within 0 to 1')
        rescale = self.guidance_rescale
        require(0 <= rescale <= 1, 'guidance_rescale', rescale, 'is 0 to 1')
        self._check_control()
        for name, value in self._scales():
            fits = abs(value) <= MAX_SCALE
            require(fits, name, value, f'are {-MAX_SCALE:g} to {MAX_SCALE:g}')
        if self.text_guidance is not None and not self.prompt:
            raise BadInput(f'text_guidance: {self.text_guidance}; it needs a prompt, there is none')
        if self.given_guidance not in (None, {}) and not self.given:
            raise BadInput(f'given_guidance: {self.given_guidance}; no track is given to count for')
        for name, audio in self.given.items():
            _check_audio(f'given {name!r}', audio)
        for name, edit in self.edits.items():
            self._check_edit(name, edit)

    def roles(self, tracks: Sequence[str]) -> tuple[Role, ...]:
        """The role of each track: named ones as named, the others targets if none is named.

        Raises BadInput for an unknown track, one with two roles, or no target left.
        """
        named: dict[str, Role] = {}
        for role, names in (
            (Role.TARGET, (*self.targets, *self.edits)),
            (Role.CONDITION, tuple(self.given)),
            (Role.MARGINAL, self.marginal),
        ):
            for name in names:
                if name not in tracks:
                    raise BadInput(f'unknown track {name!r}; allowed are {", ".join(tracks)}')
                if named.get(name, role) != role:
                    was = named[name].name.lower()
                    raise BadInput(f'track {name!r}: is a {was} and a {role.name.lower()} at once')
                named[name] = role
        rest = Role.MARGINAL if self.targets or self.edits else Role.TARGET
        roles = tuple(named.get(track, rest) for track in tracks)
        if Role.TARGET not in roles:
            raise BadInput('no track is left to generate; name one in targets, or give fewer')
        return roles

    def _scales(self) -> list[tuple[str, float]]:
        """The scales that are asked for, each with the name that an error calls it by."""
        scales = [] if self.text_guidance is None else [('text_guidance', self.text_guidance)]
        if self.control_guidance is not None:
            scales.append(('control_guidance', self.control_guidance))
        if isinstance(self.given_guidance, Mapping):
            for name, value in self.given_guidance.items():
                if name not in self.given:
                    raise BadInput(f'given_guidance: {name!r} is not given; name a given track')
                scales.append((f'given_guidance of {name!r}', value))
        elif self.given_guidance is not None:
            scales.append(('given_guidance', self.given_guidance))
        return scales

    def _check_control(self) -> None:
        """Raises BadInput for a tempo, a key or chords that cannot be asked for."""
        if self.bpm is not None:
            low, high = BPM_RANGE
            require(low <= self.bpm <= high, 'bpm', self.bpm, f'are {low:g} to {high:g}')
        if self.key:
            key_number('key', self.key)
        if parse_progression('chords', self.chords) and self.bpm is None:
            raise BadInput(f'chords: {self.chords!r}; they last beats, so a bpm is needed too')
        if self.control_guidance is not None and not self.is_controlled:
            asked = f'control_guidance: {self.control_guidance}'
            raise BadInput(f'{asked}; it needs a bpm, a key or chords, there is none')

    @property
    def is_controlled(self) -> bool:
        """Whether a tempo, a key or chords are asked for."""
        return self.bpm is not None or bool(self.key or self.chords.strip())

    def _check_edit(self, name: str, edit: Edit) -> None:
        """Raises BadInput for what an edit cannot be, whatever the composer."""
        field = f'{edit.called} {name!r}'
        _check_audio(field, edit.audio)
        inside = 0 <= edit.start_s < self.seconds
        require(inside, f'{field}: start_s', edit.start_s, f'is 0 to {self.seconds}')
        for start_s, end_s in edit.regenerate:
            fits = 0 <= start_s < end_s and start_s < self.seconds
            fits = fits and (end_s <= self.seconds or end_s == math.inf)
            allowed = f'are start, end in seconds, rising, from 0 to {self.seconds}'
            require(fits, f'{field}: regenerate', (start_s, end_s), allowed)


def _check_audio(field: str, audio: np.ndarray) -> None:
    if audio.ndim != 2 or audio.shape[1] != 2 or not len(audio):
        raise BadInput(f'{field}: shape {audio.shape}; allowed is [sample, 2] at {SAMPLE_RATE} Hz')
    if not np.isfinite(audio).all():
        raise BadInput(f'{field}: holds samples that are not finite numbers; give sound')
