"""The scales of guidance that a task is asked with, unless its request says otherwise.

    text     3, none without a prompt
    control  1: tempo, key and chords as the network learnt them
    given    1, which is the conditional law itself and costs no branch; more listens harder

The scale on the prompt is measured, on 24 excerpts of 12 validation songs by the composer of the
package in 30 steps: Fréchet distance to the songs, the mean over the tracks, and correlation of the
onsets of bass and drums and of the pitches of bass and instrument,

                            made for the others given       all made at once
    1.2, and 1.5            39.5    .489    .276            37.8    .571    .355
    2                       37.7    .493    .276            36.9    .576    .353
    3                       36.1    .494    .275            36.3    .594    .335
    4                       34.9    .489    .273            35.8    .614    .320
    6                       34.1    .478    .271            35.8    .629    .298
    2, and given 2          34.8    .544    .304            three branches more

(in the first row 1.2 beside given tracks, else 1.5). Differences of .04 in a correlation are within
chance. What is made gets nearer to the songs, and to their loudness. What speaks against larger
scales: all at once pitches agree less, and of a melody for given tracks .001 of the samples pass
full scale at 3, .0001 at 1.2 and .002 at 4 (48 held-out excerpts); a piece is then turned down.
Others' scale of 9 left stems of silence (RMS .0002). A composer of another size may want others.
"""

from collections.abc import Mapping, Sequence

from jen1composer.diffusion.guidance import Guidance
from jen1composer.errors import require
from jen1composer.generation.request import Request
from jen1composer.tracks import Role

TEXT = 3.0
CONTROL = 1.0
GIVEN = 1.0


def default_scales(has_prompt: bool) -> tuple[float, float]:
    """The scale on the prompt, 1 without one, and the scale on each given track."""
    return TEXT if has_prompt else 1.0, GIVEN


def scales(request: Request, tracks: Sequence[str]) -> tuple[float, tuple[float, ...]]:
    """What a request asks for, or else its task's default: of the prompt, and of every track.

    The scale of what is not there, a prompt or a track that is not given, is 1.
    """
    roles = request.roles(tracks)
    text, given = default_scales(bool(request.prompt))
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
