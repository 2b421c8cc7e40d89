"""Encodes prepared music into clips of latents, and its prompts into token states.

  python -m launch.encode_latents --autoencoder=ae/codec --data=data --out=latents
  python -m launch.encode_latents --autoencoder=ae/codec --data=data --out=latents \\
      --text_encoder=models/flan-t5-base

Interrupted, the same command goes on; run again on what is done, it has little to do.
"""

import json

from absl import flags

from launch import command

_AUTOENCODER = flags.DEFINE_string('autoencoder', None, 'Workdir of train_autoencoder.')
_DATA = flags.DEFINE_string('data', None, 'Prepared folder, from prepare_data.')
_OUT = flags.DEFINE_string('out', None, 'Folder to write.')
_TEXT_ENCODER = flags.DEFINE_string(
    'text_encoder', 'minilm', "'minilm', or the Hugging Face folder of a T5 such as FLAN-T5."
)
_CLIP_S = flags.DEFINE_float('clip_s', 20.0, 'Length of a clip in seconds, at most.', lower_bound=1)
_MAX_TOKENS = flags.DEFINE_integer('max_tokens', 48, 'Longest prompt, in tokens.', lower_bound=8)
_FRAME_MULTIPLE = 128  # clips are whole multiples of this, so that windows fit side by side


def main(argv: list[str]) -> None:
    del argv
    import jax
    import numpy as np

    from data_pipeline.latent_writing import write_latents
    from data_pipeline.records import RATE, Prepared
    from jen1composer.training.codec import Codec
    from jen1composer.training.text import load_text_encoder

    command.use_compilation_cache()
    prepared = Prepared(_DATA.value)
    codec = Codec.load(_AUTOENCODER.value)
    text = load_text_encoder(_TEXT_ENCODER.value, max_tokens=_MAX_TOKENS.value)
    frames = int(_CLIP_S.value * RATE / codec.hop_samples)
    clip_frames = max(_FRAME_MULTIPLE, frames // _FRAME_MULTIPLE * _FRAME_MULTIPLE)

    def encode(stems: np.ndarray) -> np.ndarray:  # [track, sample, 2] -> [track, frame, channel]
        return np.asarray(jax.device_get(codec.encode(stems[None])))[0]

    manifest = write_latents(
        _OUT.value,
        prepared,
        encode=encode,
        encode_text_states=text.encode,
        clip_frames=clip_frames,
        channels=codec.latent_channels,
        hop_samples=codec.hop_samples,
        autoencoder_fingerprint=codec.fingerprint,
        text_encoder=text.name,
        text_fingerprint=text.fingerprint,
        max_tokens=text.max_tokens,
        progress=command.report_progress('clips'),
    )
    assert manifest is not None
    summary = {
        'songs': manifest.num_songs,
        'clips': manifest.num_clips,
        'clip_frames': clip_frames,
    }
    print(json.dumps(summary))


if __name__ == '__main__':
    flags.mark_flags_as_required(['autoencoder', 'data', 'out'])
    command.run(main)
