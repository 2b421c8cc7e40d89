"""A score to stems: synthesis, a room, a balance; linear and the same on every run.

1. Synthesis. Each track renders the notes of its parts through the same SoundFont. TinySoundFont
   takes volume and expression (CC7, CC11) to the third power and velocity to the first, where
   General MIDI squares both; the exponents are corrected on the way in.
2. Place. A file's own panning (CC10) is kept. A channel that names no place, or only the centre,
   gets one: bass, drums and melody in the middle, the accompaniment spread to both sides.
3. Room. y = x + s h * (x_left + x_right) / 2, where h is stereo noise with an exponential decay,
   one room for all, and s the track's send. What makes it wide is that the noise is independent
   left and right.
4. Balance. One gain a track, towards a target loudness while it plays; then one gain for the song,
   towards a target loudness of the mix, lowered where a peak would pass the ceiling.

Every step is linear in the stem, hence the mix *is* the sum of the stems: nothing downstream ever
mixes in another way. Every constant is part of the data's fingerprint.
"""

import importlib.metadata
import itertools
from collections.abc import Mapping, Set

import mido
import numpy as np
from tinysoundfont import _tinysoundfont as tsf

from data_pipeline.loudness import loudness
from data_pipeline.sources.midi import DRUM_CHANNEL, Part, Score, part_of
from jen1composer.tracks import SAMPLE_RATE as RATE
from jen1composer.tracks import TRACKS

RENDERER = f'tinysoundfont {importlib.metadata.version("tinysoundfont")}'
TAIL_S = 2.0
SYNTH_GAIN_DB = 0.0
MAX_VOICES = 512

VOLUME_CONTROLS = (7, 11)
VOLUME_EXPONENT = 2 / 3  # (value ** (2/3)) ** 3 = value ** 2.
VELOCITY_EXPONENT = 2.0
PAN_CONTROL = 10
PAN_CENTRE = 64
SPREAD = (40, 88, 52, 76, 28, 100)  # CC10 values of accompanying channels, in turn.

ROOM_SEED = 1
ROOM_DELAY_S = 0.012
ROOM_LENGTH_S = 0.7
ROOM_DECAY_S = 0.9  # Time to -60 dB.
ROOM_SMOOTHING = 0.6  # One-pole low pass: walls swallow treble.
BLOCK = 2**17
SEND_DB = {'bass': -26.0, 'drums': -15.0, 'instrument': -9.0, 'melody': -10.0}

TRACK_LUFS = {'bass': -21.0, 'drums': -19.0, 'instrument': -20.0, 'melody': -19.0}
MAX_TRACK_GAIN_DB = 15.0
MIX_LUFS = -15.0
CEILING = 0.95


def render(font: bytes, score: Score, roles: Mapping[Part, str]) -> np.ndarray:
    """Renders the score with the SoundFont `font` to float32 `[track, sample, 2]` at 48 kHz."""
    loaded = open_font(font)
    places = channel_places(score, roles)
    num_samples = round((score.duration_s + TAIL_S) * RATE)
    stems = np.zeros((len(TRACKS), num_samples, 2), np.float32)
    for k, track in enumerate(TRACKS):
        parts = {part for part, role in roles.items() if role == track}
        if parts:
            synthesise(loaded, score, parts, places, stems[k])
            add_room(stems[k], SEND_DB[track])
            stems[k] *= track_gain(stems[k], TRACK_LUFS[track])
    stems *= song_gain(stems)
    return stems


def open_font(font: bytes) -> tsf.SoundFont:
    """A SoundFont, ready to play. Raises ValueError if it is none."""
    try:
        return tsf.SoundFont(font)
    except RuntimeError as error:
        raise ValueError('not a SoundFont') from error


def synthesise(
    font: tsf.SoundFont, score: Score, parts: Set[Part], places: Mapping[int, int], out: np.ndarray
) -> None:
    """Plays the notes of `parts` into `out`, float32 `[sample, 2]`, contiguous.

    Controllers of all channels are sent, notes of other parts are not.
    """
    synth = tsf.SoundFont(font)  # A copy that shares the samples: each stem starts afresh.
    synth.set_output(tsf.OutputMode.StereoInterleaved, RATE, SYNTH_GAIN_DB)
    synth.set_max_voices(MAX_VOICES)
    for channel in range(16):
        synth.channel_set_bank(channel, 0)
        synth.channel_set_preset_number(channel, 0, channel == DRUM_CHANNEL)
    for channel, place in places.items():
        synth.channel_midi_control(channel, PAN_CONTROL, place)
    raw = memoryview(out).cast('B')
    program = [0] * 16
    done = 0
    for time_s, message in score.messages:
        now = min(len(out), round(time_s * RATE))
        if now > done:
            synth.render(raw[done * 8 : now * 8], False)
            done = now
        if message.type == 'program_change':
            program[message.channel] = message.program
        starts_note = message.type == 'note_on' and message.velocity > 0
        if starts_note and part_of(message.channel, program[message.channel]) not in parts:
            continue
        if message.is_cc(PAN_CONTROL) and message.channel in places:
            continue
        _send(synth, message)
    if done < len(out):
        synth.render(raw[done * 8 :], False)


def _send(synth: tsf.SoundFont, message: mido.Message) -> None:
    match message.type:
        case 'program_change':
            drums = message.channel == DRUM_CHANNEL
            synth.channel_set_preset_number(message.channel, message.program, drums)
        case 'note_on' if message.velocity > 0:
            velocity = (message.velocity / 127) ** VELOCITY_EXPONENT
            synth.channel_note_on(message.channel, message.note, velocity)
        case 'note_on' | 'note_off':
            synth.channel_note_off(message.channel, message.note)
        case 'control_change':
            value = message.value
            if message.control in VOLUME_CONTROLS:
                value = round(127 * (value / 127) ** VOLUME_EXPONENT)
            synth.channel_midi_control(message.channel, message.control, value)
        case 'pitchwheel':
            synth.channel_set_pitch_wheel(message.channel, message.pitch + 8192)


def channel_places(score: Score, roles: Mapping[Part, str]) -> dict[int, int]:
    """CC10 values, 0 left to 127 right, for the accompanying channels that name no place."""
    placed = {
        message.channel
        for _, message in score.messages
        if message.is_cc(PAN_CONTROL) and message.value != PAN_CENTRE
    }
    free = sorted({p[0] for p, role in roles.items() if role == 'instrument'} - placed)
    return dict(zip(free, itertools.cycle(SPREAD), strict=False))


def room_response() -> np.ndarray:
    """The room's impulse response, float32 `[2, sample]`, unit energy in each channel."""
    num_samples = round(ROOM_LENGTH_S * RATE)
    # RandomState's stream is frozen for good, unlike Generator's: the data set stays the same.
    noise = np.random.RandomState(ROOM_SEED).standard_normal((2, num_samples))
    delay = np.exp(-2j * np.pi * np.fft.rfftfreq(num_samples))  # z^-1 of the one-pole low pass.
    noise = np.fft.irfft(np.fft.rfft(noise) / (1 - ROOM_SMOOTHING * delay), num_samples)
    response = noise * 10 ** (-3 * np.arange(num_samples) / RATE / ROOM_DECAY_S)
    response /= np.sqrt(np.sum(response**2, axis=-1, keepdims=True))
    return np.pad(response, ((0, 0), (round(ROOM_DELAY_S * RATE), 0))).astype(np.float32)


def add_room(stem: np.ndarray, send_db: float) -> None:
    """Adds the room's answer to a stem `[sample, 2]` in place; what rings past its end is cut."""
    dry = (stem[:, 0] + stem[:, 1]) / 2
    response = np.float32(10 ** (send_db / 20)) * room_response()
    transfer = np.fft.rfft(response, BLOCK)  # [2, bin]
    step = BLOCK - response.shape[1] + 1
    for begin in range(0, len(stem), step):  # Overlap-add.
        spectrum = np.fft.rfft(dry[begin : begin + step], BLOCK)
        wet = np.fft.irfft(spectrum * transfer, BLOCK)  # [2, sample]
        stem[begin : begin + BLOCK] += wet[:, : len(stem) - begin].T


def track_gain(stem: np.ndarray, target_lufs: float) -> np.float32:
    """The factor that brings a stem to the target while it plays, at most 15 dB either way."""
    wanted_db = target_lufs - loudness(stem)
    return np.float32(10 ** (np.clip(wanted_db, -MAX_TRACK_GAIN_DB, MAX_TRACK_GAIN_DB) / 20))


def song_gain(stems: np.ndarray) -> np.float32:
    """One factor for all stems `[track, sample, 2]`: the mix at its loudness, under the ceiling."""
    mix = stems.sum(axis=0)
    peak = max(mix.max(), -mix.min(), stems.max(), -stems.min())
    if peak == 0:
        return np.float32(1)
    return np.float32(min(10 ** ((MIX_LUFS - loudness(mix)) / 20), CEILING / peak))
