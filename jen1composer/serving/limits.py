"""How much one request may ask for, and how much the server takes on at a time.

All of it is refused before it costs anything: with a line that names the field, its value and what
is allowed.
"""

import dataclasses
from collections.abc import Sequence

from jen1composer.errors import BadInput, require
from jen1composer.generation.request import Request
from jen1composer.generation.scales import control_scale, scales
from jen1composer.tracks import SAMPLE_RATE

BYTES_A_SECOND = SAMPLE_RATE * 2 * 4  # of a take
BESIDE_BYTES = 8 << 20  # of a session's file beside its sound: the JSON, headers, names


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """The bounds of a server.

    Attributes:
        seconds: of a piece.
        steps: of the sampler.
        samplers: those that may be named; each that is used compiles a program of its own.
        slots: of the engine, in which a request and the branches of its guidance have to fit.
        prompt_letters: of a prompt.
        upload_bytes: of a file that is sent, counted while it comes in.
        upload_s: of its sound once decoded; also how long a session's lane may get by it.
        json_bytes: of any other body.
        receive_s: seconds in which a body has to have come in.
        job_s: seconds that a job may run.
        queue: jobs that may wait; one more is refused until some are done.
        workers: jobs that run at a time.
        sessions: sessions that are held.
        session_s: seconds of sound that all takes of a session may hold together; an upload that
            is kept beside its take counts by its bytes, `BYTES_A_SECOND` a second.
        open_bytes: of sound of sessions that stay in memory, the last used; one does in any case.
        history: steps of a session that can be undone; the oldest go.
        keep_jobs: finished jobs that are remembered, the newest; older ones are forgotten with
            their sound.
        attempts: times that a job is begun where the server was killed while it ran.
        grace_s: seconds that running jobs get to finish when the server is stopped.
    """

    seconds: float = 60.0
    steps: int = 100
    samplers: tuple[str, ...] = ('dpmpp_2m',)
    slots: int = 8
    prompt_letters: int = 1000
    upload_bytes: int = 64 << 20
    upload_s: float = 60.0
    json_bytes: int = 64 << 10
    receive_s: float = 60.0
    job_s: float = 600.0
    queue: int = 32
    workers: int = 8
    sessions: int = 1000
    session_s: float = 1800.0
    open_bytes: int = 1 << 30
    history: int = 500
    keep_jobs: int = 200
    attempts: int = 2
    grace_s: float = 30.0

    @property
    def import_bytes(self) -> int:
        """Of a session's file that is sent: what a session holds fits, uncompressed as it is."""
        return round(self.session_s * BYTES_A_SECOND) + BESIDE_BYTES

    def check(self, request: Request, tracks: Sequence[str]) -> None:
        """Raises BadInput, naming the field, for more than is allowed."""
        self.check_seconds(request.seconds)
        require(
            request.num_steps <= self.steps, 'steps', request.num_steps, f'are 1 to {self.steps}'
        )
        allowed = f'are {", ".join(self.samplers)}'
        require(request.sampler in self.samplers, 'sampler', request.sampler, allowed)
        self.check_prompt(request.prompt)
        text, given = scales(request, tracks)
        needed = 1 + sum(scale != 1 for scale in (text, control_scale(request), *given))
        if needed > self.slots:
            raise BadInput(
                f'guidance: asks for {needed} evaluations a step; allowed are {self.slots}, the '
                'slots of the server; a scale of 1 needs none'
            )

    def check_seconds(self, seconds: float) -> None:
        allowed = f'are up to {self.seconds:g}'
        require(seconds <= self.seconds, 'seconds', seconds, allowed)

    def check_prompt(self, prompt: str) -> None:
        letters = len(prompt)
        allowed = f'is up to {self.prompt_letters} letters'
        require(letters <= self.prompt_letters, 'prompt', f'{letters} letters', allowed)
