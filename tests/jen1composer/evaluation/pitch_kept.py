"""How much of a stem's pitch survives a codec.

  python -m tests.jen1composer.evaluation.pitch_kept DATA [split] [CODEC]

CODEC is a workdir of launch.train_autoencoder; if not given, that of the package's composer. Of the
windows of `told_apart`, for each pitched stem that sounds: equation (6) of `evaluation.coherence`
between the stem and itself, encoded and decoded, 1 where pitches are as they were and 0 by chance;
and the log-mel distance in dB. Prints means over windows.
"""

import sys
from collections import defaultdict

import numpy as np

from data_pipeline.records import Prepared
from jen1composer.evaluation.coherence import PITCHED, chroma, chroma_agreement
from jen1composer.evaluation.log_mel import log_mel, log_mel_distance
from jen1composer.generation.composer import Composer
from jen1composer.training.codec import Codec
from tests.jen1composer.evaluation.told_apart import windows


def main() -> None:
    split = sys.argv[2] if len(sys.argv) > 2 else 'test'
    codec = Codec.load(sys.argv[3]) if len(sys.argv) > 3 else Composer.load().codec
    pitch, apart = defaultdict(list), defaultdict(list)
    for _, stems in windows(Prepared(sys.argv[1]), split):
        names, audio = list(stems), np.stack(list(stems.values()))
        decoded = codec.decode(codec.encode(audio[None]))[0, :, : audio.shape[1]]
        for name, stem, back in zip(names, audio, decoded, strict=True):
            apart[name].append(log_mel_distance(log_mel(stem[None]), log_mel(back[None])))
            if name in PITCHED:
                pitch[name].append(chroma_agreement(chroma(stem), chroma(back))[1] or 0.0)
    print(f'{split}: {len(apart[names[0]])} windows')
    print(f'{"":12}{"pitch":>8}{"log-mel dB":>12}')
    for name, distances in apart.items():
        kept = f'{np.mean(pitch[name]):8.3f}' if pitch[name] else f'{"":8}'
        print(f'{name:12}{kept}{np.mean(distances):12.2f}')


if __name__ == '__main__':
    main()
