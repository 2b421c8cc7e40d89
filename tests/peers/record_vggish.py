"""Records what PyTorch makes of VGGish: writes vggish.npz beside this file.

    python3 -m venv peers && peers/bin/pip install torch==2.13.0 transformers==5.23.0
    peers/bin/python tests/peers/record_vggish.py

The network is written here once more, layer by layer after Hershey et al. 2017 with the published
weights' names and layout, so that what is compared are two readings of the paper and two libraries.
Its weights, 72 million, are those of `tests/peers/drawn.py`, and are not recorded. The front end is
that of transformers' audio functions, whose `kaldi` scale is VGGish's. It holds

    names, shapes     of the weights, as they lie in a state dict; a shape is ended by zeros
    mel/<name>        of each of `drawn.sounds`, taken as of 16 kHz, the patches, [patch, frame,
                      band], of which every fifth frame; of one that is too short there is none
    patches           random ones, [patch, frame, band]
    embeddings        of these by the published network, [patch, 128]: not below 0
    linear            the same before the last activation
"""

import pathlib
import sys

import numpy as np
import torch
import transformers
from torch import nn
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import drawn

GAIN = 2.0  # keeps the scale through a relu
SAMPLES = 40000  # 2.5 s: two patches and a rest


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        layers, width = [], 1
        for channels in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0):  # 0: halve the patch
            if channels:
                layers += [nn.Conv2d(width, channels, 3, padding=1), nn.ReLU()]
                width = channels
            else:
                layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(512 * 6 * 4, 4096),
            nn.ReLU(),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Linear(4096, 128),
            nn.ReLU(),
        )

    def linear(self, patches: torch.Tensor) -> torch.Tensor:
        x = self.features(patches[:, None])
        x = x.permute(0, 2, 3, 1).flatten(1)  # the published weights are TensorFlow's: NHWC
        return self.embeddings[:-1](x)


def patches_of(sound: np.ndarray) -> np.ndarray:
    bands = mel_filter_bank(
        num_frequency_bins=257,
        num_mel_filters=64,
        min_frequency=125,
        max_frequency=7500,
        sampling_rate=16000,
        mel_scale='kaldi',
        triangularize_in_mel_space=True,
    )
    mel = spectrogram(
        sound,
        window_function(400, 'hann'),
        frame_length=400,
        hop_length=160,
        fft_length=512,
        power=1.0,
        center=False,
        mel_filters=bands,
        mel_floor=0.0,
    ).T
    count = len(mel) // 96
    return np.log(mel[: count * 96] + 0.01).reshape(count, 96, 64).astype(np.float32)


def main(path: pathlib.Path) -> None:
    network = Network().eval()
    state = network.state_dict()
    for name, leaf in state.items():
        leaf.copy_(torch.from_numpy(drawn.weight(name, tuple(leaf.shape), GAIN)))
    patches = np.random.default_rng(0).standard_normal((3, 96, 64)).astype(np.float32) - 1
    with torch.no_grad():
        linear = network.linear(torch.from_numpy(patches))
    mels = {name: patches_of(sound) for name, sound in drawn.sounds(SAMPLES).items()}
    np.savez_compressed(
        path,
        versions=np.array([f'{m.__name__} {m.__version__}' for m in (torch, transformers)]),
        names=np.array(list(state)),
        shapes=np.array([[*leaf.shape, 0, 0, 0][:4] for leaf in state.values()]),
        patches=patches,
        linear=linear.numpy(),
        embeddings=network.embeddings[-1](linear).numpy(),
        **{f'mel/{name}': mel[:, ::5] for name, mel in mels.items()},
    )
    print(path, path.stat().st_size, 'bytes')


if __name__ == '__main__':
    default = pathlib.Path(__file__).with_name('vggish.npz')
    main(pathlib.Path(sys.argv[1]) if sys.argv[1:] else default)
