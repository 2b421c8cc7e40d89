"""Many short pieces at once: the rows of several requests in one batch.

(1) a piece of one window is one row (`rows`), none where nothing of it is made
(2) rows of one program (sampler, steps, branches of its guidance) are sampled in batches of one
    size, in their order; the last batch is filled up with its last row, so that one program is
    compiled whatever comes
(3) a row is a function of itself and the weights, so each piece is the one that `Composer.compose`
    makes, but for rounding, whose order depends on the size of the batch alone
"""

from collections.abc import Sequence

import numpy as np

from jen1composer.errors import BadInput, require
from jen1composer.generation import long_form
from jen1composer.generation.composer import Composer, Composition
from jen1composer.generation.request import Request
from jen1composer.generation.rows import Row, sample_rows
from jen1composer.tracks import SAMPLE_RATE

BATCH = 8  # on two cores a row takes half as long as alone, and no less in larger batches


def compose_many(
    composer: Composer, requests: Sequence[Request], batch: int = BATCH
) -> list[Composition]:
    """What `Composer.compose` makes of each request, in their order.

    Args:
        composer: makes them.
        requests: none longer than a window.
        batch: rows that are sampled at once.

    Raises:
        BadInput: where one is longer, or cannot be made.
        RunFailed: where samples come out that are not finite.
    """
    require(batch >= 1, 'batch', batch, 'is 1 or more')
    window = composer.spec.window_frames
    for number, request in enumerate(requests):
        if composer.num_frames(request.seconds) > window:
            raise BadInput(
                f'request {number}: {request.seconds} s; allowed is up to a window, '
                f'{window * composer.spec.hop_samples / SAMPLE_RATE:.2f} s'
            )
    drafts = [composer.begin(request) for request in requests]
    rows = {  # (1)
        number: draft.window(0, 0, draft.latents, draft.known)
        for number, draft in enumerate(drafts)
        if not draft.known.all()
    }
    made = _sampled(composer, rows, batch)
    compositions = []
    for number, draft in enumerate(drafts):
        latents = long_form.walk(
            draft.latents, draft.known, window, lambda *_, number=number: made[number]
        )
        compositions.append(composer.finish(draft, latents))
    return compositions


def _sampled(composer: Composer, rows: dict[int, Row], batch: int) -> dict[int, np.ndarray]:
    """Equation (2): the latents of every row, by its number."""
    made: dict[int, np.ndarray] = {}
    for program in dict.fromkeys(row.program for row in rows.values()):
        alike = [number for number, row in rows.items() if row.program == program]
        for start in range(0, len(alike), batch):
            numbers = alike[start : start + batch]
            filled = [*numbers, *[numbers[-1]] * (batch - len(numbers))]
            latents = sample_rows(
                composer.device_params, [rows[number] for number in filled], composer.spec
            )
            made |= dict(zip(numbers, latents, strict=False))
    return made
