"""The model card: what a person should know before using an exported composer, as README.md.

It says what the run knows of itself: what its checkpoint calls its identity, its metrics, and what
was measured on export. What is not known is said to be not known.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from jen1composer.generation.composer import Composer
from jen1composer.serving.weight_quality import Loss
from jen1composer.tracks import SAMPLE_RATE

UNKNOWN = 'not known to the run'
MIB = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """What the card tells beside what the composer is."""

    name: str
    licence: str  # of the weights
    identity: Mapping[str, Any]  # of the run, see `training.checkpoints`
    metrics: Sequence[Mapping[str, Any]]  # rows of metrics.jsonl, up to the step
    examples: int | None  # windows trained on, with repetition
    hours: Mapping[str, float]  # of music, by split; empty where not known
    losses: Mapping[str, Loss]  # of the smaller formats
    embedded: bool  # whether the text encoder is in the folder
    evaluation: str = ''  # a section in Markdown; '' where it was not evaluated
    curves: str = ''  # the file beside the card that shows the losses by step; '' for none


def model_card(composer: Composer, facts: Facts, sizes: Mapping[str, int]) -> str:
    """README.md of a folder of the files `sizes`, in bytes by name."""
    parts = (
        _head(composer, facts),
        _use(facts),
        _table('What it is', _model(composer)),
        _table('What it was trained on', _training(composer, facts)),
        _quality(facts),
        facts.evaluation,
        _smaller(facts),
        _files(sizes),
    )
    return '\n'.join(part for part in parts if part)


def _head(composer: Composer, facts: Facts) -> str:
    tracks = ', '.join(composer.spec.tracks)
    return (
        f'# {facts.name}\n\nA latent diffusion model of music (JEN-1 Composer): tracks — {tracks} '
        '— made together, or some of them to go with others that are given, from words.\n\n'
        f'**Licence of the weights:** {facts.licence}. `compose.py` is under Apache-2.0.\n'
    )


def _use(facts: Facts) -> str:
    alone = (
        '```\npip install jax numpy flatbuffers safetensors tokenizers soundfile\n'
        'python compose.py --prompt="dark driving rock" --out=song\n```\n'
        if facts.embedded
        else 'The text encoder is not in this folder, so `compose.py` refuses to run: export with '
        '`--embed_text_encoder` for that.\n'
    )
    return (
        f'## Using it\n\nWithout the package that trained it:\n\n{alone}\nWith it, and with all '
        'that it can do (regenerate, continue, vary, any length):\n\n```\npython -m '
        "launch.generate --checkpoint=THIS_FOLDER --prompt='dark driving rock' --out=song\n```\n\n"
        '`sha256sum -c SHA256SUMS` checks the files, and so do both of these before they read '
        'them. Nothing here is pickled. The programs are StableHLO for CPU, CUDA and TPU; what '
        'goes into them stands in `config.json`.\n'
    )


def _model(composer: Composer) -> dict[str, str]:
    spec, codec, text = composer.spec, composer.codec, composer.text_encoder
    window_s = spec.window_frames * spec.hop_samples / SAMPLE_RATE
    autoencoder = sum(array.size for array in codec.arrays.values())
    return {
        'UNet': f'{composer.num_parameters:,} parameters',
        'autoencoder': f'{autoencoder:,} parameters, {SAMPLE_RATE / spec.hop_samples:g} frames a '
        f'second of {spec.model.latent_channels} channels',
        'sound': f'{SAMPLE_RATE} Hz, stereo',
        'window': f'{window_s:.2f} s, {spec.window_frames} frames',
        'text encoder': f'{text.name}, SHA-256 `{text.fingerprint}`',
        'predicts': f'{spec.prediction}, schedule {spec.schedule}',
    }


def _training(composer: Composer, facts: Facts) -> dict[str, str]:
    spec = composer.spec
    data = {
        key.removeprefix('data.'): value
        for key, value in sorted(facts.identity.items())
        if key.startswith('data.latents')
    }
    window_s = spec.window_frames * spec.hop_samples / SAMPLE_RATE
    heard = UNKNOWN
    if facts.examples is not None:
        heard = f'{facts.examples:,} windows, {facts.examples * window_s / 3600:.1f} hours of them'
    seconds = training_seconds(facts.metrics)
    hours = ', '.join(f'{split} {hours:.2f}' for split, hours in facts.hours.items())
    rows = {}
    if before := facts.identity.get('init_from', ''):
        name = epath.Path(before).name
        rows['began with'] = f'averaged weights of `{name}`, whose steps are not counted here'
    rows |= {
        'steps': f'{composer.step:,}',
        'seen in training': heard,
        'time in training steps': f'{seconds / 3600:.2f} hours' if seconds else UNKNOWN,
        'hours of music': hours or UNKNOWN,
    }
    return rows | ({key: f'`{value}`' for key, value in data.items()} or {'data': UNKNOWN})


def training_seconds(rows: Sequence[Mapping[str, Any]]) -> float:
    """Each row's seconds a step times the steps it stands for."""
    total, before = 0.0, 0
    for row in rows:
        if 'step_s' in row:
            total, before = total + row['step_s'] * (row['step'] - before), row['step']
    return total


def _quality(facts: Facts) -> str:
    """The last validation; what it means stands in the package."""
    validated = [row for row in facts.metrics if 'validation_loss' in row]
    if not validated:
        return f'## Measured quality\n\n{UNKNOWN.capitalize()}: it has no validation.\n'
    last = validated[-1]
    shown = f'![Losses by step]({facts.curves})\n\n' if facts.curves else ''
    values = {
        key: ', '.join(f'{value:.3f}' for value in np.atleast_1d(last[key]))
        for key in sorted(last)
        if key.startswith('validation_loss')
    }
    said = (
        'Squared error of the prediction on songs that it was not trained on (1 is what '
        'predicting nothing gives on white latents), by kind of task, and for text by diffusion '
        f'time from near 0 to near 1; at step {last["step"]:,}.'
    )
    return _table('Measured quality', values, shown + said)


def _smaller(facts: Facts) -> str:
    if not facts.losses:
        return ''
    lines = [
        f'| {form} | {loss.step_error:.2e} | {loss.snr_db:.1f} |'
        for form, loss in facts.losses.items()
    ]
    return (
        '## Smaller weights\n\nAgainst float32 on seeded inputs: the relative error of one '
        'evaluation of the network, the largest of three diffusion times, and the signal-to-noise '
        'ratio of a whole piece of the same seed. `python compose.py --weights=int8 ...` uses '
        'them; they are unpacked to float32 in memory.\n\n'
        '| format | error of one step | SNR of a piece, dB |\n|---|---|---|\n'
        + '\n'.join(lines)
        + '\n'
    )


def _files(sizes: Mapping[str, int]) -> str:
    rows = {f'`{name}`': f'{size / MIB:.2f} MiB' for name, size in sizes.items()}
    return _table('Files', rows)


def _table(title: str, rows: Mapping[str, str], said: str = '') -> str:
    lines = ''.join(f'| {key} | {value} |\n' for key, value in rows.items())
    return f'## {title}\n\n' + (f'{said}\n\n' if said else '') + f'|  |  |\n|---|---|\n{lines}'
