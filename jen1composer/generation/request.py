"""What a person asks for: a prompt, which tracks to make, which are given, which are left out."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from jen1composer.errors import BadInput, require
from jen1composer.tracks import Role

MIN_SECONDS = 0.01
MAX_SECONDS = 60.0  # one pass over the whole length; memory grows with it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """One piece to make.

    Attributes:
        prompt: words for the music; empty text means none (the learned null).
        targets: tracks to make; none named means every track that is not mentioned otherwise.
        given: track -> waveform float32 [sample, 2] at 48 kHz, used as it is.
        marginal: tracks to leave out, which then tell nothing.
        seconds: length of the piece.
        seed: decides all noise; the same seed gives the same music.
        num_steps: of the sampler.
        text_guidance: scale on the prompt, 1 is none.
        given_guidance: scale on each given track, 1 is none.
    """

    prompt: str = ''
    targets: tuple[str, ...] = ()
    given: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    marginal: tuple[str, ...] = ()
    seconds: float = 5.0
    seed: int = 0
    num_steps: int = 50
    text_guidance: float = 1.5
    given_guidance: float = 1.0

    def __post_init__(self) -> None:
        fits = MIN_SECONDS <= self.seconds <= MAX_SECONDS
        require(fits, 'seconds', self.seconds, f'are {MIN_SECONDS} to {MAX_SECONDS}')
        require(self.num_steps >= 1, 'steps', self.num_steps, 'is 1 or more')
        require(0 <= self.seed < 2**31, 'seed', self.seed, f'are 0 to {2**31 - 1}')
        text = not any('\ud800' <= letter <= '\udfff' for letter in self.prompt)  # undecoded bytes
        require(text, 'prompt', self.prompt, 'is text in UTF-8')
        for name in ('text_guidance', 'given_guidance'):
            value = getattr(self, name)
            require(bool(np.isfinite(value)), name, value, 'are finite numbers')

    def roles(self, tracks: Sequence[str]) -> tuple[Role, ...]:
        """The role of each track: named ones as named, the others targets if none is named.

        Raises BadInput for an unknown track, one with two roles, or no target left.
        """
        named: dict[str, Role] = {}
        for role, names in (
            (Role.TARGET, self.targets),
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
        rest = Role.MARGINAL if self.targets else Role.TARGET
        roles = tuple(named.get(track, rest) for track in tracks)
        if Role.TARGET not in roles:
            raise BadInput('no track is left to generate; name one in targets, or give fewer')
        return roles
