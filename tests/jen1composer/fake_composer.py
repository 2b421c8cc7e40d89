"""Makes noise of a request's seed just where a composer would make music, in microseconds."""

import zlib

import numpy as np

from jen1composer.generation.composer import Composition, Take
from jen1composer.generation.parts import make_parts
from jen1composer.generation.request import Request
from jen1composer.generation.session import Session
from jen1composer.generation.session_steps import apply, plan
from jen1composer.tracks import TRACKS, Role


def compose(request: Request, tracks=TRACKS) -> Composition:
    """What is made depends on the seed, on the track and on what is given; the rest is kept."""
    takes = {}
    heard = [zlib.crc32(given.tobytes()) for given in request.given.values()]
    for number, (name, part) in enumerate(zip(tracks, make_parts(request, tracks), strict=True)):
        if part.role == Role.MARGINAL:
            continue
        num_samples = round(request.seconds * 48_000)
        random = np.random.default_rng([request.seed, number, *heard])
        made = (0.1 * random.standard_normal((num_samples, 2))).astype(np.float32)
        audio = made.copy() if part.audio is None else part.audio.copy()
        for start, end in part.holes:
            audio[start:end] = made[start:end]
        latents = np.zeros((1, 1), np.float32)
        takes[name] = Take(role=part.role, audio=audio, latents=latents, holes=part.holes)
    return Composition(takes=takes, step=7, text_guidance=1.0, given_guidance={})


def do(session: Session, *actions, compose=compose) -> Session:
    """The session after `actions`."""
    for action in actions:
        request = plan(session, action)
        session = apply(session, action, None if request is None else compose(request))
    return session
