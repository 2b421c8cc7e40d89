"""What one more track costs: counted, and told beside as many separate models."""

import dataclasses

import pytest

from configs import ablation_tracks
from launch import track_costs
from launch.description import GivenByData, subject_of


def row(tracks: int, parameters: int, step_s: float, ratio: float) -> dict:
    return {
        'tracks': tracks,
        'parameters': parameters,
        'forward_flops': 10**9,
        'gradient_flops': 3 * 10**9,
        'bytes': 2**20,
        'step_s': step_s,
        'sampling_s': 1.0,
        'step_ratio': ratio,
        'sampling_ratio': 1.0,
    }


FOUND = {
    'batch': 16,
    'frames': 128,
    'sampler_steps': 50,
    'rounds': 2,
    'device': 'cpu',
    'rows': [row(1, 2_000_000, 0.1, 1.0), row(8, 2_100_000, 0.11, 1.1)],
}


def test_separate_models_are_as_many_times_the_one():
    told = track_costs.table(FOUND)
    eight = dict(zip(told.header, told.rows[1], strict=True))
    assert told.rows[1][:3] == ['8', '2.10', '16.00']
    assert eight['step, ms'] == '110'
    assert told.text.startswith('8 tracks take 1.10 x the step of 1; the goal is 1.15')


def test_only_the_ends_times_and_roles_grow_with_the_tracks():
    """Operations of eight tracks beside those of one, from shapes alone: the demo's composer."""
    config = ablation_tracks.get_config().base

    def flops(tracks: int) -> dict[str, int]:
        config.curriculum.target_shares = ((1.0,) * tracks,) * 2
        given = GivenByData(
            num_tracks=tracks,
            latent_channels=24,
            text_width=384,
            prompt_tokens=32,
            prefix_tokens=16,
        )
        subject = subject_of(config, given, None)
        assert dataclasses.asdict(given).items() <= dict(subject.sizes).items()
        return dict(subject.forward_flops) | {'all': subject.gradient_flops}

    one, eight = flops(1), flops(8)
    assert one['residual'] == eight['residual']
    assert one['merging'] == eight['merging']
    assert eight['ends'] == 8 * one['ends']
    assert eight['all'] / one['all'] == pytest.approx(1.15, abs=0.15)


def test_a_dry_run_measures_nothing(tmp_path, capsys):
    track_costs.write(ablation_tracks.get_config(), tmp_path / 'out', True, lambda n, what: n)
    assert '8 models are compiled, and 10 steps of each are timed' in capsys.readouterr().out
    assert not (tmp_path / 'out').exists()
