"""Encodes prepared music into clips of latents, and its prompts into token states.

  python -m launch.encode_latents --autoencoder=ae/codec --data=data --out=latents
  python -m launch.encode_latents --autoencoder=ae/codec --data=data --out=latents \\
      --text_encoder=models/flan-t5-base --versions=3 --gain_db=6 --swap_channels=0.5

Interrupted, the same command goes on; run again on what is done, it has little to do. All devices
of this machine are used. Several machines encode a share each, the first one what is left to do
when all are done:

  python -m launch.encode_latents --autoencoder=gs://b/ae --data=gs://b/data --out=gs://b/latents \\
      --hosts=2 --host=1        # on the second
  python -m launch.encode_latents --autoencoder=gs://b/ae --data=gs://b/data --out=gs://b/latents \\
      --hosts=2 --host=0        # on the first
"""

import json
import math

from absl import flags

from launch import command

_AUTOENCODER = flags.DEFINE_string('autoencoder', None, 'Workdir of train_autoencoder.')
_DATA = flags.DEFINE_string('data', None, 'Prepared folder, from prepare_data.')
_OUT = flags.DEFINE_string('out', None, 'Folder to write.')
_TEXT_ENCODER = flags.DEFINE_string(
    'text_encoder', 'minilm', "'minilm', or the Hugging Face folder of a T5 such as FLAN-T5."
)
_CLIP_S = flags.DEFINE_float('clip_s', 20.0, 'Length of a clip in seconds, at most; 1 to 60.')
_CLIPS_PER_SHARD = flags.DEFINE_integer(
    'clips_per_shard', 64, 'A file ends with the song at which it has so many clips, or more.', 1
)
_MAX_TOKENS = flags.DEFINE_integer('max_tokens', 48, 'Longest prompt, in tokens.', lower_bound=8)
_VERSIONS = flags.DEFINE_integer(
    'versions', 1, 'Of each song: itself, then others by the options below.', lower_bound=1
)
_GAIN_DB = flags.DEFINE_float('gain_db', 6.0, 'Gain of each track, at most, either way.')
_STEM_DROPOUT = flags.DEFINE_float('stem_dropout', 0.0, 'Odds that a track is silent.')
_SWAP_CHANNELS = flags.DEFINE_float('swap_channels', 0.5, 'Odds that left and right change places.')
_SEED = flags.DEFINE_integer('seed', 0, 'Of the versions.', lower_bound=0, upper_bound=2**31 - 1)
_HOST = flags.DEFINE_integer('host', 0, 'Which of the hosts this is.', lower_bound=0)
_HOSTS = flags.DEFINE_integer('hosts', 1, 'How many hosts encode a share each.', lower_bound=1)
_CACHE = flags.DEFINE_string('cache', None, 'Folder to which files of --data are copied first.')
_OF_VERSIONS = ('gain_db', 'stem_dropout', 'swap_channels')
_FRAME_MULTIPLE = 128  # clips are whole multiples of this, so that windows fit side by side


def main(argv: list[str]) -> None:
    del argv
    import dataclasses

    import jax
    import numpy as np

    from data_pipeline.augmentation import Augmentation
    from data_pipeline.latent_writing import write_latents
    from data_pipeline.records import RATE, Prepared
    from jen1composer.errors import require
    from jen1composer.training.codec import Codec
    from jen1composer.training.text import load_text_encoder

    command.use_compilation_cache()
    versions, clip_s = _VERSIONS.value, _CLIP_S.value
    require(1 <= clip_s <= 60, '--clip_s', clip_s, 'is 1 to 60')  # NaN is not
    for name in _OF_VERSIONS:
        flag = flags.FLAGS[name]
        require(
            versions > 1 or not flag.present,
            f'--{name}',
            flag.value,
            'is with --versions=2 or more',
        )
    augmentation = Augmentation(
        gain_db=_GAIN_DB.value,
        stem_dropout=_STEM_DROPOUT.value,
        swap_channels=_SWAP_CHANNELS.value,
    )
    prepared = Prepared(_DATA.value, _CACHE.value)
    codec = Codec.load(_AUTOENCODER.value).on(jax.local_devices())
    text = load_text_encoder(_TEXT_ENCODER.value, max_tokens=_MAX_TOKENS.value)
    clip_frames = int(clip_s * RATE / codec.hop_samples) // _FRAME_MULTIPLE * _FRAME_MULTIPLE
    shortest_s = math.ceil(_FRAME_MULTIPLE * codec.hop_samples / RATE * 1000) / 1000
    require(
        clip_frames > 0,
        '--clip_s',
        clip_s,
        f'is {shortest_s} or more, {_FRAME_MULTIPLE} frames of {_AUTOENCODER.value}',
    )

    def encode(stems: np.ndarray) -> np.ndarray:  # [track, sample, 2] -> [track, frame, channel]
        return codec.encode(stems[None])[0]

    def augment(stems: np.ndarray, song: int, version: int) -> np.ndarray:
        return augmentation.apply(stems, _SEED.value, song * versions + version)

    manifest = write_latents(
        _OUT.value,
        prepared,
        encode=encode,
        encode_text_states=text.encode,
        clip_frames=clip_frames,
        clips_per_shard=_CLIPS_PER_SHARD.value,
        channels=codec.latent_channels,
        hop_samples=codec.hop_samples,
        autoencoder_fingerprint=codec.fingerprint,
        text_encoder=text.name,
        text_fingerprint=text.fingerprint,
        max_tokens=text.max_tokens,
        num_versions=versions,
        augment=augment if versions > 1 else None,
        augmentation=dataclasses.asdict(augmentation) | {'seed': _SEED.value}
        if versions > 1
        else {},
        host=_HOST.value,
        hosts=_HOSTS.value,
        progress=command.report_progress('clips'),
    )
    done = {'host': _HOST.value, 'hosts': _HOSTS.value, 'devices': jax.local_device_count()}
    if manifest is not None:
        done |= {
            'songs': manifest.num_songs,
            'clips': manifest.num_clips,
            'versions': manifest.num_versions,
            'clip_frames': manifest.clip_frames,
        }
    print(json.dumps(done))


if __name__ == '__main__':
    flags.mark_flags_as_required(['autoencoder', 'data', 'out'])
    command.run(main)
