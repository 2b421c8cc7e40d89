"""The file that makes music without this package, in a Python that has none of it."""

import dataclasses
import json
import pathlib
import shutil

import jax
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from jen1composer.diffusion.guidance import Branches
from jen1composer.errors import BadInput
from jen1composer.generation.composer import Composer
from jen1composer.generation.packaged import packaged_composer
from jen1composer.generation.progression import chord_changes, parse_progression
from jen1composer.generation.request import Request
from jen1composer.harmony import KEYS, TONICS, chords_at, key_number
from jen1composer.serving import compose
from jen1composer.serving.compose import Model, Refused, write_piece
from jen1composer.serving.programs import step_function, unet_arrays
from jen1composer.serving.weight_quality import relative_error, snr_db, step_inputs
from jen1composer.tracks import TRACKS
from jen1composer.training.text import load_t5
from tests import tiny
from tests.jen1composer import t5_recording, tiny_codec, tiny_composer
from tests.jen1composer.serving import exported

STEPS = 6
FOREIGN = ('jen1composer', 'flax', 'optax', 'orbax', 'absl', 'etils', 'tensorflow', 'torch')

IN_A_BARE_PYTHON = """
import importlib.util, pickle
assert not any(importlib.util.find_spec(name) for name in sys.argv[3].split(','))
def no_pickle(*arguments): raise AssertionError('pickle')
pickle.load = pickle.loads = no_pickle
folder, out = sys.argv[1:3]
sys.path.append(folder)
import numpy as np, compose
model = compose.Model.load(folder)
inputs = dict(np.load(out + '/inputs.npz'))
step = model.run('step', **inputs)
tracks = model.compose('dark rock', seed=3, steps=6)
bass = {'bass': np.load(out + '/bass.npy')}
beside = model.compose('dark rock', targets=['drums'], given=bass, seed=4, steps=6)
np.savez(out + '/step.npz', **step)
np.savez(out + '/tracks.npz', **tracks)
np.savez(out + '/beside.npz', **beside)
assert not any(name.split('.')[0] in sys.argv[3].split(',') for name in sys.modules)
"""


@pytest.fixture(scope='module')
def composer():
    return tiny_composer.composer(spans=True)


@pytest.fixture(scope='module')
def seconds(composer):
    return composer.spec.window_frames * composer.spec.hop_samples / 48_000


@pytest.fixture(scope='module')
def folder(composer, tmp_path_factory):
    where = tmp_path_factory.mktemp('export') / 'model'
    variants = ['bfloat16', 'int8']
    return exported.write(where, composer, embed_text_encoder=True, variants=variants)


@pytest.fixture(scope='module')
def model(folder):
    return Model.load(folder)


@pytest.fixture(scope='module')
def packages(tmp_path_factory):
    return exported.bare_packages(tmp_path_factory.mktemp('bare') / 'packages')


def audio_of(piece, names=TRACKS):
    return np.stack([piece.takes[name].audio for name in names])


def test_a_bare_python_makes_what_the_composer_makes(composer, folder, packages, seconds, tmp_path):
    bass = tiny_codec.sound(5000, 2, seed=1)
    inputs = step_inputs(composer, rows=3)
    np.savez(tmp_path / 'inputs.npz', **inputs)
    np.save(tmp_path / 'bass.npy', bass)
    arguments = (str(folder), str(tmp_path), ','.join(FOREIGN))
    done = exported.run_bare(packages, f'exec({IN_A_BARE_PYTHON!r})', *arguments)
    assert done.returncode == 0, done.stderr

    expected = jax.jit(step_function(composer, Branches()))(unet_arrays(composer), inputs)
    with np.load(tmp_path / 'step.npz') as found:
        for name in ('x', 'estimate'):
            assert relative_error(found[name], np.asarray(expected[name])) < 1e-5
            np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
    asked = {'prompt': 'dark rock', 'seconds': seconds, 'num_steps': STEPS}
    whole = composer.compose(Request(**asked, seed=3))
    with np.load(tmp_path / 'tracks.npz') as found:
        assert set(found) == set(TRACKS)
        assert snr_db(np.stack([found[name] for name in TRACKS]), audio_of(whole)) > 80
    part = composer.compose(Request(**asked, seed=4, targets=('drums',), given={'bass': bass}))
    with np.load(tmp_path / 'beside.npz') as found:
        assert set(found) == {'bass', 'drums'}
        np.testing.assert_array_equal(found['bass'], part.takes['bass'].audio)
        assert snr_db(found['drums'], part.takes['drums'].audio) > 80


def test_the_command_writes_flac_and_refuses_in_one_line(folder, packages, tmp_path):
    script = 'import runpy; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], None, "__main__")'
    path = str(folder / 'compose.py')
    soundfile.write(tmp_path / 'bass.wav', tiny_codec.sound(600, 2), 48_000)
    bass = f'--given=bass={tmp_path}/bass.wav'
    flags = ('--prompt=rock', '--steps=2', bass, '--weights=int8', f'--out={tmp_path}/song')
    done = exported.run_bare(packages, script, path, *flags)
    assert done.returncode == 0, done.stderr
    for name in (*TRACKS, 'mix'):
        audio, rate = soundfile.read(tmp_path / 'song' / f'{name}.flac')
        assert (audio.shape, rate) == ((576, 2), 48_000)
        assert np.std(audio) > 0
    done = exported.run_bare(packages, script, path, '--seconds=900', f'--out={tmp_path}/song')
    assert done.returncode == 2
    assert done.stderr == 'error: seconds: 900.0; allowed is more than 0, up to 0.012\n'
    flags = ('--bpm=90', '--key=A minor', '--chords=Am F', f'--out={tmp_path}/song')
    done = exported.run_bare(packages, script, path, *flags)
    assert done.stderr == 'error: bpm: 90.0; this composer was trained without control\n'


def test_one_program_is_for_any_batch_and_any_length(composer, model):
    step = jax.jit(step_function(composer, Branches()))
    for rows, frames in ((1, 2), (2, 8), (5, 14)):
        spec = dataclasses.replace(composer.spec, window_frames=frames)
        inputs = step_inputs(dataclasses.replace(composer, spec=spec), rows=rows)
        found = model.run('step', **inputs)
        expected = step(unet_arrays(composer), inputs)
        np.testing.assert_allclose(found['estimate'], expected['estimate'], atol=1e-5)
    latents = np.random.default_rng(0).standard_normal((3, 10, 5)).astype(np.float32)
    sound = np.asarray(model.run('decode', latents=latents)['sound'])
    np.testing.assert_allclose(sound, composer.codec.decode(latents[None])[0], atol=1e-5)
    again = np.asarray(model.run('encode', sound=sound)['latents'])
    np.testing.assert_allclose(again, composer.codec.encode(sound[None])[0], atol=1e-4)


def test_other_words_guidance_and_lengths_are_the_composers(composer, model, seconds):
    for prompt, guidance, length, asked in (
        ('', None, seconds, {}),
        ('rock', 1.0, seconds, {'text_guidance': 1.0}),
        ('rock ' * 40, 2.5, seconds, {'text_guidance': 2.5}),  # more words than are read
        ('rock', None, seconds - 0.0011, {}),  # the beginning of a window
    ):
        found = model.compose(prompt, guidance=guidance, seconds=length, steps=4, seed=2)
        request = Request(prompt=prompt, seconds=length, num_steps=4, seed=2, **asked)
        expected = audio_of(composer.compose(request))
        assert snr_db(np.stack([found[name] for name in TRACKS]), expected) > 80


def test_tempo_key_and_chords_are_told_as_the_composer_is_told_them(tmp_path):
    composer = tiny_composer.composer(control=True)
    model = Model.load(exported.write(tmp_path / 'model', composer, embed_text_encoder=True))
    pieces = []
    for told in (
        {},
        {'key': 'Db minor'},
        {'bpm': 400.0, 'chords': 'Am:.0625 N F#'},  # a change within the window
    ):
        found = model.compose('rock', steps=3, seed=2, **told)
        request = Request(prompt='rock', seconds=0.012, num_steps=3, seed=2, **told)
        pieces.append(audio_of(composer.compose(request)))
        assert snr_db(np.stack([found[name] for name in TRACKS]), pieces[-1]) > 80
    assert all(snr_db(piece, pieces[0]) < 60 for piece in pieces[1:])  # and they are heard


CHORD = st.builds(
    lambda root, minor, beats: f'{root}{minor}{beats}',
    st.sampled_from([*TONICS, 'Db', 'D#', 'Fb', 'E#', 'Gb', 'G#', 'A#', 'Cb', 'B#']),
    st.sampled_from(['', 'm']),
    st.sampled_from(['', ':.0625', ':1', ':2.5', ':256']),
)


@given(
    words=st.lists(st.one_of(CHORD, st.just('N'), st.just('N:2')), max_size=6),
    bpm=st.floats(20, 400),
    seconds=st.floats(0.1, 30),
)
def test_a_progression_sounds_when_the_package_says(words, bpm, seconds):
    times_s = np.linspace(0, seconds, 60, endpoint=False)
    found = compose.chords_at(compose.parse_chords(' '.join(words)), bpm, times_s)
    changes = chord_changes(parse_progression('chords', ' '.join(words)), bpm, seconds)
    np.testing.assert_array_equal(found, chords_at(changes, times_s))


@pytest.mark.parametrize('key', [*KEYS, 'Db major', 'A# minor', 'Cb minor', 'B# major'])
def test_a_key_has_the_number_that_the_package_gives_it(key):
    assert compose.key_number(key) == key_number('key', key)


@pytest.mark.parametrize(
    'asked',
    [
        {'bpm': 5.0},
        {'bpm': float('nan')},
        {'key': 'A dorian'},
        {'key': 'H minor'},
        {'bpm': 90.0, 'chords': 'Am X'},
        {'bpm': 90.0, 'chords': 'Am:'},
        {'bpm': 90.0, 'chords': 'Am:1e-9'},
        {'bpm': 90.0, 'chords': 'Am:257'},
        {'bpm': 90.0, 'chords': 'C ' * 257},
        {'chords': 'Am F'},
        {'bpm': 90.0},  # what is right, asked of one that was trained without
        {'key': 'A minor'},
    ],
)
def test_what_cannot_be_told_is_refused_in_the_words_of_the_package(composer, model, asked):
    with pytest.raises(BadInput) as package:
        composer.compose(Request(seconds=0.012, **asked))
    with pytest.raises(Refused) as found:
        model.compose(**asked)
    assert str(found.value) == str(package.value)


@pytest.mark.parametrize(
    ('asked', 'said'),
    [
        ({'targets': ['guitar']}, "unknown track 'guitar'; allowed are bass, drums"),
        ({'targets': ['bass'], 'given': {'bass': np.zeros((600, 2))}}, "'bass': is to be made"),
        ({'given': {'bass': np.zeros((5, 2))}}, r"given 'bass': shape \(5, 2\); allowed"),
        ({'given': {name: np.zeros((600, 2)) for name in TRACKS}}, 'no track is left to make'),
        ({'steps': 0}, 'steps: 0; allowed is 1'),
        ({'seed': -1}, 'seed: -1; allowed are 0 to'),
        ({'seconds': 0}, 'seconds: 0; allowed is more than 0'),
        ({'seconds': float('nan')}, 'seconds: nan; allowed is more than 0'),
        ({'seconds': float('inf')}, 'seconds: inf; allowed is more than 0'),
        ({'guidance': float('nan')}, 'guidance: nan; allowed are -100 to 100'),
        ({'guidance': 101.0}, r'guidance: 101\.0; allowed are -100 to 100'),
        ({'prompt': '', 'guidance': 2.0}, r'guidance: 2\.0; it needs a prompt, there is none'),
    ],
)
def test_what_cannot_be_made_is_refused(model, asked, said):
    def never(done: int, total: int) -> None:
        raise AssertionError('it was begun')

    with pytest.raises(Refused, match=said):
        model.compose(**{'prompt': 'rock', 'progress': never} | asked)


def test_a_piece_that_would_clip_is_quieter_by_one_gain(tmp_path, capsys):
    tracks = {'bass': tiny_codec.sound(4800, 2, seed=1), 'drums': tiny_codec.sound(4800, 2, seed=2)}
    loud = {name: (0.9 * audio / np.abs(audio).max()) for name, audio in tracks.items()}
    loud['bass'] *= 2
    write_piece(tmp_path, loud)
    read = {name: soundfile.read(tmp_path / f'{name}.flac')[0] for name in (*loud, 'mix')}
    np.testing.assert_allclose(read['bass'] + read['drums'], read['mix'], atol=1e-6)
    peak = np.abs(loud['bass'] + loud['drums']).max()
    np.testing.assert_allclose(read['drums'], loud['drums'] * 0.99 / peak, atol=1e-6)
    assert 'made quieter by' in capsys.readouterr().out


def test_what_cannot_be_read_is_refused_by_name(composer, folder, tmp_path):
    with pytest.raises(Refused, match="weights: 'int4'; allowed are float32, bfloat16, int8"):
        Model.load(folder, 'int4')
    plain = exported.write(tmp_path / 'plain', composer)
    with pytest.raises(Refused, match='holds no text encoder, only the name of one, minilm'):
        Model.load(plain)
    broken = shutil.copytree(folder, tmp_path / 'broken')
    program = broken / 'programs' / 'decode.stablehlo'
    program.write_bytes(program.read_bytes()[:-1])
    with pytest.raises(Refused, match=r'decode\.stablehlo: changed or cut short'):
        Model.load(broken)
    program.unlink()
    with pytest.raises(Refused, match=r'decode\.stablehlo: missing'):
        Model.load(broken)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (lambda config: config.update(version=2), 'config.json: version 2; allowed is 1'),
        (
            lambda config: config['programs']['step'].update(calling_convention=99),
            'step.stablehlo: calling convention 99; allowed are',
        ),
    ],
)
def test_other_versions_are_refused(folder, tmp_path, change, said):
    other = shutil.copytree(folder, tmp_path / 'other')
    config = json.loads((other / 'config.json').read_text())
    change(config)
    (other / 'config.json').write_text(json.dumps(config))
    exported.sum_again(other)
    with pytest.raises(Refused, match=said):
        Model.load(other)


def test_the_packaged_composer_has_this_file():
    packaged = packaged_composer() / 'compose.py'
    assert packaged.read_bytes() == pathlib.Path(compose.__file__).read_bytes()


def test_an_embedded_t5_says_the_same_words(composer, seconds, tmp_path):
    text = load_t5(t5_recording.write_folder(tmp_path / 't5', 'gated'), max_tokens=12)
    model = dataclasses.replace(composer.spec.model, text_width=text.width)
    spec = dataclasses.replace(
        composer.spec,
        model=model,
        max_tokens=text.max_tokens,
        text_encoder=text.name,
        text_fingerprint=text.fingerprint,
    )
    params = tiny.randomised(tiny.init_params(model), scale=0.05)
    composer = dataclasses.replace(composer, spec=spec, params=params, text_encoder=text)
    folder = exported.write(tmp_path / 'model', composer, embed_text_encoder=True)
    shutil.rmtree(tmp_path / 't5')
    read = Composer.load(folder)
    for one, other in zip(read.text_encoder.encode(['a b']), text.encode(['a b']), strict=True):
        np.testing.assert_array_equal(one, other)
    request = Request(prompt='a b', seconds=seconds, num_steps=4, seed=2)
    piece = read.compose(request)
    np.testing.assert_array_equal(audio_of(piece), audio_of(composer.compose(request)))
    found = Model.load(folder).compose('a b', steps=4, seed=2)
    assert snr_db(np.stack([found[name] for name in TRACKS]), audio_of(piece)) > 80
