"""Records what TensorFlow makes of musicnn, and a checkpoint of TensorFlow's: writes musicnn.npz.

    python3 -m venv peers
    peers/bin/pip install tensorflow-cpu==2.21.0 tf_keras==2.21.0 librosa==0.11.0
    peers/bin/pip install --no-deps musicnn==0.1.0
    peers/bin/python tests/peers/record_musicnn.py

The package itself runs, on its own weights. For each of its two sets, MSD and MTT, the recording
holds

    tags/<set>          their names, in the order of the probabilities
    embedding/<set>     the last hidden layer of `patches()` in float32, [patch, 200]
    logits/<set>        likewise, [patch, tag]
    heard/<set>         what its extractor makes of `sound()` in a file, float16 within: the hidden
                        layer, of which it gives that of the first patch for every patch, [1, 200]
    probability/<set>   likewise the tags, of patches that follow one another, [patch, tag]

and, besides, a small checkpoint of a few types and shapes: `index` and `data`, its files, and what
is in it, `saved/<name>`.
"""

import os
import pathlib
import sys
import tempfile

os.environ['TF_USE_LEGACY_KERAS'] = '1'  # the package is of TensorFlow 1

import librosa
import numpy as np
import soundfile

SETS = ('MSD', 'MTT')
RATE = 16000
FRAMES = 187


def patches() -> np.ndarray:
    """`[patch, frame, band]`, of the range of log-mel spectra; drawn alike by who compares."""
    return 3 * np.random.default_rng(0).random((2, FRAMES, 96), np.float32) ** 2


def sound() -> np.ndarray:
    """Mono float32, 6.2 s at 16 kHz: plucked notes over soft noise, two patches and a rest."""
    rng = np.random.default_rng(1)
    time = np.arange(int(6.2 * RATE)) / RATE
    notes = 110 * 2 ** (rng.integers(0, 24, 25) / 12)
    beat = np.minimum((time * 4).astype(int), 24)
    tone = np.exp(-8 * (time % 0.25)) * sum(np.sin(k * 6.2832 * notes[beat] * time) for k in (1, 2))
    return (0.04 * tone + 0.005 * rng.normal(size=time.size)).astype(np.float32)


def checkpoint(tf, folder: pathlib.Path) -> dict[str, np.ndarray]:
    """A checkpoint with names that share their beginnings, so that the table cuts them."""
    rng = np.random.default_rng(2)
    saved = {
        'scope/layer/kernel': rng.normal(size=(3, 1, 4)).astype(np.float32),
        'scope/layer/bias': rng.normal(size=300),
        'scope/layer_1/step': np.array(2**40 + 7),
        'scope/rows': np.arange(6, dtype=np.int32).reshape(2, 3),
        'flags': np.array([True, False, True]),
    } | {f'many/{i:03}': np.float32([i]) for i in range(40)}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = {name: tf.Variable(value, name=name) for name, value in saved.items()}
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver(variables).save(session, str(folder / 'small'))
    return saved


def main(path: pathlib.Path) -> None:
    import tensorflow as tf
    from musicnn import configuration, extractor, models

    found = {}
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / 'sound.wav'
        soundfile.write(file, sound(), RATE, 'FLOAT')
        for name in SETS:
            model = f'{name}_musicnn'
            found[f'tags/{name}'] = np.array(getattr(configuration, f'{name}_LABELS'))
            with tf.Graph().as_default(), tf.compat.v1.Session() as session:
                x = tf.compat.v1.placeholder(tf.float32, [None, FRAMES, 96])
                resting = tf.compat.v1.placeholder(tf.bool)
                with tf.name_scope('model'):
                    out = models.define_model(x, resting, model, 50)
                where = pathlib.Path(models.__file__).parent / model
                tf.compat.v1.train.Saver().restore(session, f'{where}/')
                feed = {x: patches(), resting: False}
                logits, embedding = session.run([out[0], out[-1]], feed)
            found[f'embedding/{name}'], found[f'logits/{name}'] = embedding, logits
            probability, _, features = extractor.extractor(str(file), model=model)
            found[f'heard/{name}'] = features['penultimate'][:1]
            found[f'probability/{name}'] = probability
        saved = checkpoint(tf, pathlib.Path(folder))
        for key, end in (('index', 'index'), ('data', 'data-00000-of-00001')):
            found[key] = np.fromfile(pathlib.Path(folder) / f'small.{end}', np.uint8)
    versions = [f'{module.__name__} {module.__version__}' for module in (tf, librosa)]
    found |= {f'saved/{name}': value for name, value in saved.items()}
    np.savez_compressed(path, versions=np.array(versions), **found)
    print(path, path.stat().st_size, 'bytes')


if __name__ == '__main__':
    default = pathlib.Path(__file__).with_name('musicnn.npz')
    main(pathlib.Path(sys.argv[1]) if sys.argv[1:] else default)
