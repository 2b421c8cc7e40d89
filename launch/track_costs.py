"""What one more track costs: one model over 1 to 8 tracks, beside a model for each track.

The network is a config's, with everything but the number of tracks as it is. All numbers of tracks
are timed in turn, round after round, so that what else the machine does falls on all alike, and

(1) ratio(K) = median over rounds of time(K) / time(1) in the same round
(2) K separate models are K times the model of one track, in weights, operations and time

Sampling is `steps` evaluations of the network on one example. What it takes beside the network is
element by element.
"""

import dataclasses
import json
import pathlib
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
from ml_collections import ConfigDict

from jen1composer.errors import require
from jen1composer.evaluation.figures import Line, line_chart
from jen1composer.evaluation.page import Chart, Page, Table, render
from jen1composer.models.unet_config import MOST_TRACKS
from jen1composer.training.state import initial_state, parameter_count
from jen1composer.training.step import make_train_step
from launch.data_description import terminal
from launch.description import GivenByData, Subject, compiled_bytes, subject_of, zeros

TRACKS = tuple(range(1, 9))
GOAL = 1.15  # of the step of eight tracks beside that of one


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Prepared:
    """A number of tracks, compiled."""

    said: Mapping[str, Any]
    step: Callable[[], float]  # seconds of one training step
    forward: Callable[[], float]  # seconds of one evaluation on one example


def measure(
    config: ConfigDict,
    *,
    tracks: Sequence[int] = TRACKS,
    rounds: int = 10,
    steps: int = 50,
    latent_channels: int = 24,
    text_width: int = 384,
    progress: Callable[[Iterable[int], str], Iterable[int]] = lambda numbers, what: numbers,
) -> dict[str, Any]:
    """Costs of a composer's config by number of tracks, beginning with one; JSON.

    Args:
        config: of train_composer.
        tracks: numbers of tracks, the first of which all others are compared with.
        rounds: in which all are timed.
        steps: of the sampler.
        latent_channels, text_width: what the data would tell, the demo's.
        progress: shows what is compiled and timed.
    """
    given = {'latent_channels': latent_channels, 'text_width': text_width}
    prepared = [_prepare(config, tracks[n], given) for n in progress(range(len(tracks)), 'compile')]
    times: list[list[tuple[float, float]]] = [[] for _ in tracks]
    for _ in progress(range(rounds), 'rounds'):
        for of, one in zip(times, prepared, strict=True):
            of.append((one.step(), one.forward()))
    rows = []
    for number, one, of in zip(tracks, prepared, times, strict=True):
        ratios = [
            (step / first_step, forward / first_forward)
            for (step, forward), (first_step, first_forward) in zip(of, times[0], strict=True)
        ]
        step_ratio, sampling_ratio = (statistics.median(r) for r in zip(*ratios, strict=True))
        step_s, forward_s = (statistics.median(t) for t in zip(*of, strict=True))
        rows.append(
            {
                'tracks': number,
                **one.said,
                'step_s': step_s,
                'sampling_s': steps * forward_s,
                'step_ratio': step_ratio,
                'sampling_ratio': sampling_ratio,
            }
        )
    return {
        'batch': config.batch,
        'frames': config.data.window_frames,
        'sampler_steps': steps,
        'rounds': rounds,
        'device': jax.devices()[0].device_kind,
        'rows': rows,
    }


def table(found: Mapping[str, Any]) -> Table:
    """What `measure` found."""
    one = found['rows'][0]

    def line(row: Mapping[str, Any]) -> list[str]:
        apart = row['tracks'] / one['tracks']  # (2)
        return [
            f'{row["tracks"]}',
            f'{row["parameters"] / 1e6:.2f}',
            f'{apart * one["parameters"] / 1e6:.2f}',
            f'{row["gradient_flops"] / 1e9:.1f}',
            f'{apart * one["gradient_flops"] / 1e9:.1f}',
            f'{row["bytes"] / 2**20:.0f}',
            f'{apart * one["bytes"] / 2**20:.0f}',
            f'{1e3 * row["step_s"]:.0f}',
            f'{row["step_ratio"]:.2f}',
            f'{apart:.2f}',
            f'{row["sampling_s"]:.2f}',
            f'{row["sampling_ratio"]:.2f}',
        ]

    last = found['rows'][-1]
    return Table(
        title=f'One model over all tracks, and one a track (batch {found["batch"]}, '
        f'{found["frames"]} frames, {found["device"]})',
        header=[
            'tracks',
            'M parameters',
            'separate',
            'GFLOP a step',
            'separate',
            'MiB',
            'separate',
            'step, ms',
            'x one track',
            'separate',
            'sampling, s',
            'x one track',
        ],
        rows=[line(row) for row in found['rows']],
        text=f'{last["tracks"]} tracks take {last["step_ratio"]:.2f} x the step of '
        f'{one["tracks"]}; the goal is {GOAL}. MiB are of the training step: state, batch and '
        f'temporaries. Sampling is {found["sampler_steps"]} evaluations on one example.',
    )


def _prepare(config: ConfigDict, tracks: int, given: Mapping[str, int]) -> _Prepared:
    with_tracks = config.copy_and_resolve_references()
    with with_tracks.unlocked():
        shares = with_tracks.curriculum.target_shares
        with_tracks.curriculum.target_shares = tuple((1.0,) * tracks for _ in shares)
    subject = subject_of(
        with_tracks,
        GivenByData(num_tracks=tracks, prompt_tokens=32, prefix_tokens=16, **given),
        None,
    )
    batch = zeros(subject.batch)
    state = jax.jit(lambda: nn.unbox(initial_state(subject.init_params, subject.optimizer)))()
    step = jax.jit(
        make_train_step(subject.loss_fn, subject.optimizer, subject.ema_decay), donate_argnums=0
    )
    compiled = step.lower(state, batch).compile()
    one = jax.tree.map(lambda leaf: leaf[:1], batch)
    forward = jax.jit(subject.forward).lower(state.params, one).compile()
    said = _said(subject, state.params, compiled_bytes(compiled))

    def timed_forward() -> float:
        began = time.perf_counter()
        jax.block_until_ready(forward(state.params, one))
        return time.perf_counter() - began

    def timed_step() -> float:
        nonlocal state
        began = time.perf_counter()
        state, _ = jax.block_until_ready(compiled(state, batch))
        return time.perf_counter() - began

    timed_step(), timed_forward()  # the first ones are not counted
    return _Prepared(said=said, step=timed_step, forward=timed_forward)


def _said(subject: Subject, params: Any, told: Mapping[str, int]) -> dict[str, Any]:
    needed = ('argument_bytes', 'temporary_bytes')
    return {
        'parameters': parameter_count(params),
        'forward_flops': sum(subject.forward_flops.values()),
        'gradient_flops': subject.gradient_flops,
        'bytes': sum(told.get(name, 0) for name in needed),
    }


def write(
    config: ConfigDict,
    workdir: pathlib.Path,
    dry_run: bool,
    progress: Callable[[Iterable[int], str], Iterable[int]],
) -> None:
    """Measures what a config of subject 'tracks' asks for: costs.json, index.html and a table."""
    tracks, rounds = tuple(config.tracks), config.rounds
    ok = len(tracks) >= 2 and all(type(n) is int and 1 <= n <= MOST_TRACKS for n in tracks)
    require(ok, '--config.tracks', tracks, f'are two or more numbers of 1 to {MOST_TRACKS}')
    require(rounds >= 1, '--config.rounds', rounds, 'is 1 or more')
    if dry_run:
        print(f'{len(tracks)} models are compiled, and {rounds} steps of each are timed')
        return
    found = measure(
        config.base,
        tracks=tracks,
        rounds=rounds,
        steps=config.sampler_steps,
        latent_channels=config.latent_channels,
        progress=progress,
    )
    workdir.mkdir(parents=True, exist_ok=True)
    told = table(found)
    page = Page(title=config.title, paragraphs=[], tables=[told], charts=[_chart(found)])
    (workdir / 'costs.json').write_text(json.dumps(found, indent=1) + '\n')
    (workdir / 'index.html').write_text(render(dataclasses.replace(page, charts_title='Ratios')))
    print(terminal([told]))


def _chart(found: Mapping[str, Any]) -> Chart:
    rows = found['rows']
    tracks = [row['tracks'] for row in rows]
    lines = [
        Line(label='training step', x=tracks, y=[row['step_ratio'] for row in rows], marked=True),
        Line(
            label='sampling',
            x=tracks,
            y=[row['sampling_ratio'] for row in rows],
            colour=1,
            marked=True,
        ),
        Line(label='goal for eight', x=tracks, y=[GOAL] * len(rows), colour=None, dashed=True),
    ]
    told = ', '.join(f'{row["tracks"]}: {row["step_ratio"]:.2f}' for row in rows)
    return Chart(
        title='Time beside that of one track',
        svg=line_chart(
            lines, x_label='tracks', y_label='x one track', alt=f'Step by tracks: {told}'
        ),
        text='Separate models, one a track, would be on the diagonal.',
    )
