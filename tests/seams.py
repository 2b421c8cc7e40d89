"""Long pieces and edits of a trained composer: what they cost, and whether their seams are heard.

  python -m tests.seams CHECKPOINT [SECONDS ...]

For each length, a piece of all tracks from nothing; then, of its bass, ten spans of a second are
made anew. Printed are the time, the peak memory of the process, and

(1) click      the largest |second difference| of the sound within 5 ms of a seam
(2) step       |z_f - z_(f-1)|, of the latents on either side of a join of windows

each at the seams against ten times as many places of the same sound elsewhere: the medians, and the
share of the other places that are above the median at the seams. A share of .5 means that seams are
as all else; a cut through music would be near 0.
"""

import resource
import sys
import time

import numpy as np

from jen1composer.generation import long_form
from jen1composer.generation.composer import Composer
from jen1composer.generation.request import Edit, Request

RATE = 48_000
REACH = 240


def clicks(audio: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Equation (1) at each of `places`, in samples of [sample, 2]."""
    bends = np.abs(np.diff(audio, n=2, axis=0)).max(axis=1)
    return np.array([bends[max(0, p - REACH) : p + REACH].max() for p in places])


def compare(name: str, at_seams: np.ndarray, elsewhere: np.ndarray) -> None:
    middle = np.median(at_seams)
    print(
        f'  {name}: {len(at_seams)} seams, median {middle:.4g}, largest {at_seams.max():.4g}; '
        f'elsewhere {np.median(elsewhere):.4g}, {elsewhere.max():.4g}; '
        f"above the seams' median {np.mean(elsewhere > middle):.2f}"
    )


def joins(num_frames: int, window: int) -> np.ndarray:
    """The frames at which a window begins to make, but for the first."""
    known = np.zeros((1, num_frames), bool)
    found = []
    for start in long_form.plan(known, window):
        part = known[0, start : start + window]
        found.append(start + int(np.argmin(part)))
        part[:] = True
    return np.array(found[1:])


def main(checkpoint: str, lengths: list[float]) -> None:
    composer = Composer.load(checkpoint)
    hop, rng = composer.spec.hop_samples, np.random.default_rng(0)
    composer.compose(Request(num_steps=50, seconds=lengths[0] / 4))  # compiles
    for seconds in lengths:
        began = time.monotonic()
        piece = composer.compose(Request(prompt='dark driving rock', seconds=seconds))
        took = time.monotonic() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f'{seconds:.0f} s of {len(piece.takes)} tracks: {took:.1f} s, peak {peak:.2f} GiB')
        at = joins(composer.num_frames(seconds), composer.spec.window_frames)
        for name, take in piece.takes.items():
            steps = np.linalg.norm(np.diff(take.latents, axis=0), axis=1)
            others = rng.choice(np.setdiff1d(np.arange(1, len(steps)), at), 10 * len(at))
            compare(f'{name} step', steps[at - 1], steps[others - 1])
            compare(f'{name} click', clicks(take.audio, at * hop), clicks(take.audio, others * hop))

        bass = piece.takes['bass'].audio
        starts = np.linspace(2, seconds - 4, 10)
        edit = Edit(audio=bass, regenerate=tuple((s, s + 1.0) for s in starts))
        began = time.monotonic()
        take = composer.compose(Request(edits={'bass': edit}, seconds=seconds, seed=1)).takes[
            'bass'
        ]
        print(f'ten seconds of its bass anew: {time.monotonic() - began:.1f} s')
        seams = np.array(take.holes).ravel()
        others = rng.integers(RATE, len(bass) - RATE, 10 * len(seams))
        compare('bass click', clicks(take.audio, seams), clicks(take.audio, others))
        cut = bass.copy()
        decoded = composer.codec.decode(take.latents[None, None])[0, 0, : len(bass)]
        for start, end in take.holes:
            cut[start:end] = decoded[start:end]
        compare('bass click, without fades', clicks(cut, seams), clicks(cut, others))


if __name__ == '__main__':
    main(sys.argv[1], [float(length) for length in sys.argv[2:]] or [60.0, 240.0])
