"""Makes music with the model in this folder: from words, and from tracks that are given, to FLAC.

  pip install jax numpy flatbuffers safetensors tokenizers soundfile
  python compose.py --prompt="dark driving rock" --out=song
  python compose.py --prompt="dark driving rock" --given=bass=bass.wav --out=song --seed=7
  python compose.py --bpm=120 --key="A minor" --chords="Am F C G:8" --out=song

Nothing else is needed, not the package that trained it: the networks are StableHLO programs in
programs/, which run on a CPU, a GPU or a TPU, whichever JAX finds, and what they do is

(1) words: each text becomes tokens (tokenizer.json), and these the states of its tokens (`text`)
(2) x at time 1 is noise, a function of the seed; a given track is encoded and clean (`start`)
(3) in equal steps the time falls to 0, and the network takes x along (`step`, `guided_step`)
(4) what x is then is decoded (`decode`)

This makes one window, of the length that the network was trained on. Tempo, key and chords are for
a network that was trained with them, which `control` in config.json says; it is told them, and the
programs here guide on the prompt alone. All files are compared with
SHA256SUMS before any is used. In Python:

  model = compose.Model.load('.')
  tracks = model.compose('dark driving rock', seed=7)   # name -> float32 [sample, 2]
"""

import argparse
import dataclasses
import hashlib
import itertools
import json
import math
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import soundfile
import tokenizers
from jax import export

VERSION = 1  # of the folder
DTYPES = {'F32': np.float32, 'BF16': jnp.bfloat16, 'I8': np.int8}
TARGET, GIVEN, MARGINAL = 0, 1, 2  # what a track can be
RATE = 48_000
MAX_GUIDANCE = 100.0  # far beyond any use; what is much larger overflows

# Keys and chords are numbers: major by tonic or root from C on, minor likewise from 12 on.
TONICS = ('C', 'C#', 'D', 'Eb', 'E', 'F', 'F#', 'G', 'Ab', 'A', 'Bb', 'B')
SPELLINGS = {'Db': 1, 'D#': 3, 'Fb': 4, 'E#': 5, 'Gb': 6, 'G#': 8, 'A#': 10, 'Cb': 11, 'B#': 0}
ROOTS = {name: number for number, name in enumerate(TONICS)} | SPELLINGS
MODES = ('major', 'minor')
UNKNOWN_KEY = NO_CHORD = 24
UNKNOWN_CHORD = 25
MIN_BPM, MAX_BPM = 20.0, 400.0
BAR_BEATS, MIN_BEATS, MAX_BEATS = 4.0, 1 / 16, 256.0  # of a chord
MOST_CHORDS = 256

Program = Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, jax.Array]]


class Refused(ValueError):
    """What cannot be done, in one line."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Model:
    """What a folder holds, ready to run; made by `load`."""

    config: Mapping[str, Any]  # of config.json
    weights: Mapping[str, Mapping[str, jax.Array]]  # program -> those it takes, by name
    programs: Mapping[str, Program]
    tokenizer: tokenizers.Tokenizer

    @staticmethod
    def load(folder: str | pathlib.Path, weights: str | None = None) -> 'Model':
        """Reads `folder`; `weights` is float32 or one of the smaller forms, if it holds them; by
        default the first that it holds.

        Raises Refused, naming the file, where one is missing, changed or of another version.
        """
        folder = pathlib.Path(folder)
        config = read_config(folder)
        if not config['text_encoder']['embedded']:
            raise Refused(
                f'{folder}: holds no text encoder, only the name of one, '
                f'{config["text_encoder"]["name"]}; export with --embed_text_encoder'
            )
        weights = weights or next(iter(config['weights']))
        if weights not in config['weights']:
            allowed = ', '.join(config['weights'])
            raise Refused(f'weights: {weights!r}; allowed are {allowed}')
        arrays = read_weights(folder / config['weights'][weights])
        words = read_weights(folder / config['text_encoder']['weights'])
        programs, of_program = {}, {}
        for name, said in config['programs'].items():
            exported = read_program(folder / said['file'], said['calling_convention'])
            (taken, _), _ = jax.tree.unflatten(exported.in_tree, exported.in_avals)
            source = words if name == 'text' else arrays
            of_program[name] = {key: source[key] for key in taken}
            programs[name] = jax.jit(exported.call)
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / 'tokenizer.json'))
        return Model(config=config, weights=of_program, programs=programs, tokenizer=tokenizer)

    @property
    def tracks(self) -> tuple[str, ...]:
        return tuple(self.config['composer']['tracks'])

    @property
    def window_samples(self) -> int:
        """How long a piece can be."""
        return self.config['composer']['window_frames'] * self.config['composer']['hop_samples']

    def run(self, program: str, **inputs: Any) -> dict[str, jax.Array]:
        """What a program makes of its inputs, see `programs` in config.json for their shapes."""
        return self.programs[program](self.weights[program], inputs)

    def compose(
        self,
        prompt: str = '',
        *,
        targets: Sequence[str] = (),
        given: Mapping[str, np.ndarray] | None = None,
        seconds: float | None = None,
        seed: int = 0,
        steps: int = 50,
        guidance: float | None = None,
        bpm: float | None = None,
        key: str = '',
        chords: str = '',
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> dict[str, np.ndarray]:
        """The tracks of a piece, float32 [sample, 2] at 48 kHz.

        Args:
            prompt: words for it.
            targets: tracks to make; if none is named, all that are not given.
            given: tracks to go by, [sample, 2], as long as the piece or longer; returned as is.
            seconds: its length; by default that of a window.
            seed: decides all noise.
            steps: of the sampler.
            guidance: scale on the prompt, 1 is none; by default what config.json says.
            bpm: tempo in beats a minute; None leaves it open.
            key: such as 'A minor'; '' leaves it open.
            chords: such as 'Am F C G:8', each a bar of four beats or as many as it says, from the
                start on, repeated; they need a bpm; '' leaves them open.
            progress: called with the number of steps done and of all.
        """
        given = {} if given is None else given
        roles = self._roles(targets, given)
        longest = self.window_samples
        is_length = seconds is None or math.isfinite(seconds)
        length = round(seconds * RATE) if seconds is not None and is_length else longest
        if not is_length or not 0 < length <= longest:
            raise Refused(f'seconds: {seconds}; allowed is more than 0, up to {longest / RATE:g}')
        if steps < 1:
            raise Refused(f'steps: {steps}; allowed is 1 or more')
        if not 0 <= seed < 2**31:
            raise Refused(f'seed: {seed}; allowed are 0 to {2**31 - 1}')
        if any('\ud800' <= letter <= '\udfff' for letter in prompt):  # undecoded bytes
            raise Refused(f'prompt: {prompt!r}; allowed is text in UTF-8')
        if guidance is not None and not prompt:
            raise Refused(f'guidance: {guidance}; it needs a prompt, there is none')
        if guidance is not None and not abs(guidance) <= MAX_GUIDANCE:  # nan too
            raise Refused(
                f'guidance: {guidance}; allowed are {-MAX_GUIDANCE:g} to {MAX_GUIDANCE:g}'
            )
        control = self._control(bpm, key, chords)
        default = self.config['guidance']['beside_tracks' if given else 'free']
        scale = 1.0 if not prompt else default if guidance is None else guidance

        clean = self._encode(given, length)
        t_max = self.config['t_max']
        moving = jnp.linspace(t_max, 0.0, steps + 1)[:, None, None]  # [step, row, track]
        held = jnp.where(roles == GIVEN, 0.0, 1.0)
        times = np.asarray(jnp.where(roles == TARGET, moving, held))
        row = np.zeros(1, np.uint32)
        x = self.run('start', seed=row + np.uint32(seed), window=row, clean=clean, times=times[0])
        state = {
            'x': x['x'],
            'estimate': jnp.zeros_like(x['x']),
            'log_ratio': jnp.full(roles.shape, -jnp.inf),
        }
        asked = {
            'clean': clean,
            'roles': roles,
            'visible': np.zeros(clean.shape[:3], bool),
            'causal': np.zeros(1, bool),
            **self._words(prompt, roles),
            **control,
        }
        name = 'step'
        if scale != 1:
            name = 'guided_step'
            asked |= {
                'guidance': np.full(1, scale, np.float32),
                'guidance_low': np.zeros(1, np.float32),
                'guidance_high': np.ones(1, np.float32),
                'guidance_rescale': np.zeros(1, np.float32),
            }
        for step in range(steps):
            state = self.run(name, **state, **asked, now=times[step], next=times[step + 1])
            state['x'].block_until_ready()
            progress(step + 1, steps)
        return self._decode(state['x'], roles, given, length)

    def _roles(self, targets: Sequence[str], given: Mapping[str, np.ndarray]) -> np.ndarray:
        """[1, track] int32."""
        for name in (*targets, *given):
            if name not in self.tracks:
                raise Refused(f'unknown track {name!r}; allowed are {", ".join(self.tracks)}')
            if name in targets and name in given:
                raise Refused(f'track {name!r}: is to be made and is given at once')
        rest = MARGINAL if targets else TARGET
        roles = [
            TARGET if name in targets else GIVEN if name in given else rest for name in self.tracks
        ]
        if TARGET not in roles:
            raise Refused('no track is left to make; give fewer')
        return np.array([roles], np.int32)

    def _encode(self, given: Mapping[str, np.ndarray], length: int) -> np.ndarray:
        """Latents of what is given, zeros elsewhere, [1, track, frame, channel]."""
        spec = self.config['composer']
        channels = spec['model']['latent_channels']
        clean = np.zeros((1, len(self.tracks), spec['window_frames'], channels), np.float32)
        for name, audio in given.items():
            if audio.ndim != 2 or audio.shape[1] != 2 or len(audio) < length:
                allowed = f'[sample, 2] with {length} samples or more'
                raise Refused(f'given {name!r}: shape {audio.shape}; allowed is {allowed}')
            rest = self.window_samples - length
            sound = np.pad(audio[:length], ((0, rest), (0, 0)), mode='symmetric')
            latents = self.run('encode', sound=sound.astype(np.float32)[None])['latents']
            clean[:, self.tracks.index(name)] = latents
        return clean

    def _words(self, prompt: str, roles: np.ndarray) -> dict[str, np.ndarray]:
        """The states of the prompt, and of what names the targets."""
        names = [name for name, role in zip(self.tracks, roles[0], strict=True) if role == TARGET]
        texts = [f'[{" & ".join(names)} generation]', prompt]
        most = self.config['text_encoder']['max_tokens']
        tokens, mask = np.zeros((2, most), np.int32), np.zeros((2, most), bool)
        for k, text in enumerate(texts):
            ids = self.tokenizer.encode(text).ids
            if len(ids) > most:  # cut, but for the mark of its end
                ids = [*ids[: most - 1], ids[-1]]
            tokens[k, : len(ids)], mask[k, : len(ids)] = ids, True
        states = np.asarray(self.run('text', tokens=tokens, mask=mask)['states'])
        return {
            'prefix': states[:1],
            'prefix_mask': mask[:1],
            'prompt': states[1:],
            'prompt_mask': mask[1:],
            'use_prompt': np.array([bool(prompt)]),
        }

    def _control(self, bpm: float | None, key: str, chords: str) -> dict[str, np.ndarray]:
        """What a model that was trained with tempo, key and chords is told of them."""
        if bpm is not None and not MIN_BPM <= bpm <= MAX_BPM:  # nan too
            raise Refused(f'bpm: {bpm}; allowed are {MIN_BPM:g} to {MAX_BPM:g}')
        number, progression = key_number(key) if key else UNKNOWN_KEY, parse_chords(chords)
        if progression and bpm is None:
            raise Refused(f'chords: {chords!r}; they last beats, so a bpm is needed too')
        spec = self.config['composer']
        if not spec['model'].get('control'):
            for name, value in (('bpm', bpm), ('key', key), ('chords', chords.strip())):
                if value:
                    raise Refused(f'{name}: {value!r}; this composer was trained without control')
            return {}
        times_s = (np.arange(spec['window_frames']) + 0.5) * spec['hop_samples'] / RATE
        return {
            'bpm': np.full(1, bpm or 0.0, np.float32),
            'key': np.full(1, number, np.int32),
            'chords': chords_at(progression, bpm, times_s)[None],
        }

    def _decode(
        self, x: jax.Array, roles: np.ndarray, given: Mapping[str, np.ndarray], length: int
    ) -> dict[str, np.ndarray]:
        """What was made as sound, and what was given as it came."""
        tracks = {}
        for k, name in enumerate(self.tracks):
            if name in given:
                tracks[name] = given[name][:length]
            elif roles[0, k] == TARGET:
                sound = self.run('decode', latents=x[:, k])['sound']
                tracks[name] = np.asarray(sound)[0, :length]
                if not np.isfinite(tracks[name]).all():
                    raise Refused(f'track {name!r} came out with samples that are not finite')
        return tracks


def key_number(key: str) -> int:
    """The number of a key such as 'A minor'."""
    tonic, _, mode = key.strip().partition(' ')
    if tonic not in ROOTS or mode not in MODES:
        allowed = f'a tonic ({", ".join(TONICS)}) and {" or ".join(MODES)}'
        raise Refused(f'key: {key!r}; allowed are {allowed}')
    return ROOTS[tonic] + 12 * MODES.index(mode)


def parse_chords(written: str) -> list[tuple[int, float]]:
    """The number and the beats of each chord of a progression such as 'Am F C G:8'."""
    chords = []
    for word in written.replace(',', ' ').split():
        symbol, colon, count = word.partition(':')
        try:
            beats = float(count) if colon else BAR_BEATS
        except ValueError:
            beats = math.nan
        if not MIN_BEATS <= beats <= MAX_BEATS:
            allowed = f'CHORD:BEATS with {MIN_BEATS:g} to {MAX_BEATS:g} beats'
            raise Refused(f'chords: {word!r}; allowed is {allowed}')
        root = symbol.removesuffix('m')
        if symbol != 'N' and root not in ROOTS:
            allowed = f'a root ({", ".join(TONICS)}), with m for minor, and N'
            raise Refused(f'chords: {symbol!r}; allowed are {allowed}')
        number = NO_CHORD if symbol == 'N' else ROOTS[root] + 12 * symbol.endswith('m')
        chords.append((number, beats))
    if len(chords) > MOST_CHORDS:
        raise Refused(f'chords: {len(chords)} chords; allowed are {MOST_CHORDS}, repeated')
    return chords


def chords_at(
    progression: Sequence[tuple[int, float]], bpm: float | None, times_s: np.ndarray
) -> np.ndarray:
    """The number of the chord that sounds at each time, int32."""
    if not progression or bpm is None:
        return np.full(times_s.shape, UNKNOWN_CHORD, np.int32)
    begins_s, numbers, beat = [], [], 0.0
    for number, beats in itertools.cycle(progression):
        begin_s = beat * 60 / bpm
        if begin_s > times_s[-1]:
            break
        begins_s.append(begin_s)
        numbers.append(number)
        beat += beats
    return np.array(numbers, np.int32)[np.searchsorted(begins_s, times_s, side='right') - 1]


def read_config(folder: pathlib.Path) -> dict[str, Any]:
    """`config.json`, once every file of the folder is found to be what SHA256SUMS says."""
    try:
        lines = (folder / 'SHA256SUMS').read_text().splitlines()
        listed = {name: digest for digest, name in (line.split('  ', 1) for line in lines)}
    except (OSError, ValueError) as error:
        raise Refused(f'{folder / "SHA256SUMS"}: missing or cut short') from error
    for name, digest in listed.items():
        if not (folder / name).exists():
            raise Refused(f'{folder / name}: missing; SHA256SUMS lists it')
        with (folder / name).open('rb') as file:
            if hashlib.file_digest(file, 'sha256').hexdigest() != digest:
                raise Refused(f'{folder / name}: changed or cut short, says SHA256SUMS')
    if 'config.json' not in listed:
        raise Refused(f'{folder / "SHA256SUMS"}: does not list config.json')
    config = json.loads((folder / 'config.json').read_text())
    if config['version'] != VERSION:
        raise Refused(f'{folder}/config.json: version {config["version"]}; allowed is {VERSION}')
    return config


def read_weights(path: pathlib.Path) -> dict[str, jax.Array]:
    """The float32 arrays of a file; int8 is times the scales beside it, one for each column."""
    stored = {
        name: np.frombuffer(said['data'], DTYPES[said['dtype']]).reshape(said['shape'])
        for name, said in safetensors.deserialize(path.read_bytes())
    }
    arrays = {}
    for name, array in stored.items():
        if not name.startswith('scales/'):
            scale = stored[f'scales/{name}'] if array.dtype == np.int8 else np.float32(1)
            arrays[name] = jax.device_put(np.asarray(array, np.float32) * scale)
    return arrays


def read_program(path: pathlib.Path, convention: int) -> export.Exported:
    """A program; Refused where this JAX does not know its calling convention, or not the device."""
    least = export.minimum_supported_calling_convention_version
    most = export.maximum_supported_calling_convention_version
    if not least <= convention <= most:
        allowed = f'{least} to {most} with JAX {jax.__version__}'
        raise Refused(f'{path}: calling convention {convention}; allowed are {allowed}')
    exported = export.deserialize(bytearray(path.read_bytes()))
    platform = export.default_export_platform()
    if platform not in exported.platforms:
        raise Refused(f'{path}: for {", ".join(exported.platforms)}; this is {platform}')
    return exported


def read_sound(name: str, path: str) -> np.ndarray:
    """float32 [sample, 2] of a sound file of 48 kHz, mono or stereo."""
    try:
        audio, rate = soundfile.read(path, dtype='float32', always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise Refused(f'--given={name}={path}: cannot be read ({error})') from error
    if rate != RATE or audio.shape[1] > 2:
        said = f'{rate} Hz, {audio.shape[1]} channels'
        raise Refused(f'--given={name}={path}: {said}; allowed are {RATE} Hz, 1 or 2 channels')
    return np.broadcast_to(audio, (len(audio), 2))


def write_piece(folder: pathlib.Path, tracks: Mapping[str, np.ndarray]) -> None:
    """A FLAC of each track and of their sum; where one would clip, all are quieter by one gain."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {**tracks, 'mix': np.sum(list(tracks.values()), axis=0)}
    peaks = {name: float(np.abs(audio).max()) for name, audio in files.items()}
    loudest = max(peaks.values())
    gain = 1.0 if loudest <= 1 else 0.99 / loudest
    for name, audio in files.items():
        soundfile.write(folder / f'{name}.flac', audio * np.float32(gain), RATE, subtype='PCM_24')
        peak = gain * peaks[name]
        print(f'{folder / name}.flac  {len(audio) / RATE:.2f} s  peak {peak:.3f}')
    if gain != 1:
        print(f'all of them made quieter by {-20 * math.log10(gain):.1f} dB, so that none clips')


def main() -> None:
    here = pathlib.Path(__file__).resolve().parent
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument('--prompt', default='', help='words for the music')
    parser.add_argument('--targets', default='', help='tracks to make, with commas; else all')
    parser.add_argument('--given', action='append', default=[], help='TRACK=FILE, 48 kHz')
    parser.add_argument('--seconds', type=float, help='length, at most a window')
    parser.add_argument('--seed', type=int, default=0, help='the same seed gives the same music')
    parser.add_argument('--steps', type=int, default=50, help='of the sampler')
    parser.add_argument('--guidance', type=float, help='scale on the prompt; 1 is none')
    parser.add_argument('--bpm', type=float, help='tempo, of a model trained with control')
    parser.add_argument('--key', default='', help="such as 'A minor', likewise")
    parser.add_argument(
        '--chords', default='', help="each a bar of four beats or CHORD:BEATS; 'Am F C G:8'"
    )
    parser.add_argument('--weights', help='float32, bfloat16 or int8; by default the first here')
    parser.add_argument('--folder', default=here, type=pathlib.Path, help='where the model lies')
    parser.add_argument('--out', required=True, type=pathlib.Path, help='folder to write')
    asked = parser.parse_args()
    pairs = [pair.partition('=') for pair in asked.given]
    model = Model.load(asked.folder, asked.weights)
    tracks = model.compose(
        asked.prompt,
        targets=[name for name in asked.targets.split(',') if name],
        given={name: read_sound(name, path) for name, _, path in pairs},
        seconds=asked.seconds,
        seed=asked.seed,
        steps=asked.steps,
        guidance=asked.guidance,
        bpm=asked.bpm,
        key=asked.key,
        chords=asked.chords,
        progress=lambda done, total: print(f'\rstep {done}/{total}', end='', file=sys.stderr),
    )
    print(file=sys.stderr)
    write_piece(asked.out, tracks)


if __name__ == '__main__':
    try:
        main()
    except (Refused, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
