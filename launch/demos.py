"""Pieces made while a composer trains, of its three modes, to hear what it has learnt so far.

  WORKDIR/demos/00012000/joint        all tracks at once
  WORKDIR/demos/00012000/conditional  the others to the first track, which is given
  WORKDIR/demos/00012000/marginal     the first track alone, the others left out

The noise is the same at every step, so that two steps are compared by the weights alone. What is
given is a song of the validation set, through the autoencoder. There is no prompt.
"""

from collections.abc import Mapping

import jax
import numpy as np
from etils import epath

from jen1composer.generation.composer import Composer
from jen1composer.generation.request import Request
from jen1composer.tracks import SAMPLE_RATE
from jen1composer.training import hosts
from jen1composer.training.loop import Demo
from jen1composer.training.state import TrainState
from jen1composer.training.text import TextEncoder
from launch.composer_run import TEXT_LOSS, ComposerRun
from launch.pieces import write_piece

NUM_STEPS = 25  # of the sampler


def make_demo(assembled: ComposerRun, workdir: epath.Path, text_encoder: TextEncoder) -> Demo:
    """What `run_training` calls to make them, with the averaged weights.

    `text_encoder` is the one that encoded the latents' prompts. All hosts call it, since they may
    each hold a part of the weights; the first one makes music.
    """
    spec = assembled.spec
    latents = np.asarray(assembled.held_out[TEXT_LOSS][0].latents[:1, :1], np.float32)
    given = assembled.codec.decode(latents)[0, 0]  # [sample, 2]
    requests = demo_requests(spec.tracks, given)

    def demo(step: int, state: TrainState) -> None:
        params = hosts.fetch(state.ema)
        if jax.process_index() > 0:
            return
        composer = Composer(
            spec=spec, params=params, step=step, codec=assembled.codec, text_encoder=text_encoder
        )
        for mode, request in requests.items():
            folder = workdir / 'demos' / f'{step:08d}' / mode
            write_piece(folder, composer.compose(request), request)

    return demo


def demo_requests(tracks: tuple[str, ...], given: np.ndarray) -> Mapping[str, Request]:
    """What is asked of each mode, where `given` is sound of the first track, [sample, 2]."""
    first, others = tracks[0], tracks[1:]
    seconds = len(given) / SAMPLE_RATE
    modes = {'joint': Request(seconds=seconds, num_steps=NUM_STEPS)}
    if others:
        modes['conditional'] = Request(
            targets=others, given={first: given}, seconds=seconds, num_steps=NUM_STEPS
        )
        modes['marginal'] = Request(
            targets=(first,), marginal=others, seconds=seconds, num_steps=NUM_STEPS
        )
    return modes
