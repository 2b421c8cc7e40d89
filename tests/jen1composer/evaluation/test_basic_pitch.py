"""Basic Pitch: notes that are played are heard when they are, across the seams of its windows."""

import numpy as np
import pytest

from data_pipeline.sources.wheels import cache_folder, member
from jen1composer.evaluation.basic_pitch import (
    FRAME_S,
    FRAMES,
    HOP,
    INPUT,
    PITCHES,
    RATE,
    BasicPitch,
)
from launch.obedience_run import BASIC_PITCH, BASIC_PITCH_MODEL

MELODY = (69, 60, 64, 72, 57)


@pytest.fixture(scope='module')
def network() -> BasicPitch:
    pytest.importorskip('onnxruntime')
    kept = sorted(cache_folder().glob(BASIC_PITCH.pattern))
    if not kept:
        pytest.skip('the wheel of Basic Pitch is not in the cache')
    return BasicPitch.load(member(kept[0], *BASIC_PITCH_MODEL))


class Samples:
    """A session that says of every frame the sample that it begins with."""

    def run(self, outputs, inputs):
        frames = inputs[INPUT][:, : FRAMES * HOP : HOP]
        return [np.broadcast_to(frames, (1, FRAMES, PITCHES))]


@pytest.mark.parametrize('frames', [1, 142, 143, 4000])
def test_a_frame_is_told_of_its_own_time_however_many_windows_on(frames):
    wanted = np.random.default_rng(frames).random(frames) < 0.5
    sound = np.repeat(wanted, HOP) * np.tile(np.arange(HOP) == 0, frames)
    notes = BasicPitch(session=Samples()).notes(sound)
    assert notes.shape == (frames, 128)
    np.testing.assert_array_equal(notes[:, 69], wanted)


def test_a_melody_is_heard_note_by_note(network):
    time_s = np.arange(RATE) / RATE
    envelope = np.minimum(1, 20 * time_s) * np.exp(-time_s)
    sound = np.concatenate(
        [
            envelope
            * sum(
                0.3 / k * np.sin(2 * np.pi * k * 440 * 2 ** ((pitch - 69) / 12) * time_s)
                for k in (1, 2, 3)
            )
            for pitch in MELODY
        ]
    )
    notes = network.notes(sound)
    assert notes.shape == (-(-len(sound) // HOP), 128)
    for second, pitch in enumerate(MELODY):  # windows of 1.64 s: seams lie within notes
        begin, end = (round((second + part) / FRAME_S) for part in (0.2, 0.8))
        heard = notes[begin:end].mean(axis=0)
        assert heard[pitch] > 0.9
        assert heard.sum() - heard[pitch] < 0.5
    assert not network.notes(np.zeros(RATE)).any()
