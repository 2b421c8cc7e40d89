"""The model card says what the run knows, and of what it does not know just that."""

import pytest

from jen1composer.serving.model_card import UNKNOWN, Facts, model_card, training_seconds
from jen1composer.serving.weight_quality import Loss
from tests.jen1composer import tiny_composer


@pytest.fixture(scope='module')
def composer():
    return tiny_composer.composer()


def facts(**changes):
    nothing = {
        'name': 'Mine',
        'licence': 'CC0-1.0',
        'identity': {},
        'metrics': [],
        'examples': None,
        'hours': {},
        'losses': {},
        'embedded': False,
    }
    return Facts(**nothing | changes)


def test_what_is_known_is_told(composer):
    rows = [
        {'step': 10, 'step_s': 60.0},
        {'step': 20, 'step_s': 300.0, 'validation_loss': 0.9, 'validation_loss_by_time': [1, 0.8]},
        {'step': 30, 'step_s': 0.0, 'validation_loss': 0.75, 'validation_loss_by_time': [1, 0.5]},
    ]
    assert training_seconds(rows) == 3600
    said = model_card(
        composer,
        facts(
            identity={'data.latents[0].name': 'rock', 'data.window_frames': 8, 'seed': 0},
            metrics=rows,
            examples=300_000,
            hours={'train': 12.345, 'test': 1.0},
            losses={'int8': Loss(step_error=0.0123, snr_db=31.25)},
            embedded=True,
            curves='curves.svg',
        ),
        {'model.safetensors': 3 << 20},
    )
    for line in (
        '# Mine',
        '**Licence of the weights:** CC0-1.0.',
        f'| UNet | {composer.num_parameters:,} parameters |',
        '| latents[0].name | `rock` |',
        '| seen in training | 300,000 windows, 1.0 hours of them |',
        '| time in training steps | 1.00 hours |',
        '| hours of music | train 12.35, test 1.00 |',
        'at step 30.',
        '![Losses by step](curves.svg)',
        '| validation_loss | 0.750 |',
        '| validation_loss_by_time | 1.000, 0.500 |',
        '| int8 | 1.23e-02 | 31.2 |',
        '| `model.safetensors` | 3.00 MiB |',
        'python compose.py --prompt',
    ):
        assert line in said
    assert UNKNOWN not in said
    assert 'began with' not in said


def test_weights_that_it_began_with_are_told_by_name(composer):
    said = model_card(composer, facts(identity={'init_from': '/somewhere/of/mine/before'}), {})
    assert '| began with | averaged weights of `before`, whose steps are not counted here |' in said
    assert 'somewhere' not in said


def test_what_is_not_known_is_said(composer):
    said = model_card(composer, facts(), {})
    for line in (
        f'| seen in training | {UNKNOWN} |',
        f'| hours of music | {UNKNOWN} |',
        f'| data | {UNKNOWN} |',
        'Not known to the run: it has no validation.',
        'refuses to run',
    ):
        assert line in said
    assert 'Smaller weights' not in said
