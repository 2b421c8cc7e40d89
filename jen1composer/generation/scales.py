"""The scales of guidance that a task is asked with, unless its request says otherwise.

Where tracks are given, guidance near 1 is best: what is given says already what would fit, and
large scales, which suit free text, collapse a stem to silence (others' text scale of 9 left stems
with an RMS of .0002). So

    text     1.5 where nothing is given, 1.2 where something is, none without a prompt
    control  1, likewise: tempo, key and chords as the network learnt them
    given    1, which is the conditional law itself and costs no branch; more listens harder

These are choices, not measurements: a composer of another size may want others.
"""

from collections.abc import Mapping, Sequence

from jen1composer.diffusion.guidance import Guidance
from jen1composer.errors import require
from jen1composer.generation.request import Request
from jen1composer.tracks import Role

FREE_TEXT = 1.5
TEXT_BESIDE_TRACKS = 1.2
CONTROL = 1.0
GIVEN = 1.0


def default_scales(roles: Sequence[Role], has_prompt: bool) -> tuple[float, float]:
    """The scale on the prompt, 1 without one, and the scale on each given track."""
    if not has_prompt:
        return 1.0, GIVEN
    return TEXT_BESIDE_TRACKS if Role.CONDITION in roles else FREE_TEXT, GIVEN


def scales(request: Request, tracks: Sequence[str]) -> tuple[float, tuple[float, ...]]:
    """What a request asks for, or else its task's default: of the prompt, and of every track.

    The scale of what is not there, a prompt or a track that is not given, is 1.
    """
    roles = request.roles(tracks)
    text, given = default_scales(roles, bool(request.prompt))
    if request.text_guidance is not None:
        text = request.text_guidance
    asked = request.given_guidance
    named: Mapping[str, float] = {}
    if isinstance(asked, Mapping):
        named = asked
    elif asked is not None:
        given = asked
    return text, tuple(
        named.get(track, given) if role == Role.CONDITION else 1.0
        for track, role in zip(tracks, roles, strict=True)
    )


def control_scale(request: Request) -> float:
    """The scale on tempo, key and chords: what a request asks for, or else 1."""
    return CONTROL if request.control_guidance is None else request.control_guidance


def make_guidance(request: Request, tracks: Sequence[str]) -> Guidance:
    """All numbers of a request's guidance, as a batch of one row.

    Raises BadInput for an interval or a rescaling where no scale differs from 1.
    """
    text, given = scales(request, tracks)
    low, high = request.guidance_interval
    control = control_scale(request)
    if text == control == 1 and all(scale == 1 for scale in given):
        why = 'as all scales of guidance are 1, and it could change nothing'
        require((low, high) == (0, 1), 'guidance_interval', (low, high), f'is (0, 1), {why}')
        rescale = request.guidance_rescale
        require(rescale == 0, 'guidance_rescale', rescale, f'is 0, {why}')
    return Guidance.constant(
        1,
        text=text,
        control=control,
        given=given,
        low=low,
        high=high,
        rescale=request.guidance_rescale,
    )
