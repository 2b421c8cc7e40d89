"""Records what transformers makes of a tiny CLAP and of sound: writes clap.npz beside this file.

    python3 -m venv peers && peers/bin/pip install torch==2.13.0 transformers==5.23.0
    peers/bin/python tests/peers/record_clap.py

Recorded with PyTorch 2.13 in float32 on a CPU, transformers 5.23, tokenizers 0.23; the versions are
in the recording. It holds

    file/<name>     a folder as `save_pretrained` writes it, with preprocessor_config.json and
                    tokenizer.json, as bytes
    mel/<name>      of each of `drawn.sounds`, its spectrogram, [frame, mel]
    audio           the embeddings of these spectrograms, [sound, width], unit length
    texts, text     words, of several lengths, and their embeddings
    published/<n>   spectrograms with the published front end, FRAMES of each
    size            parameters and buffers of floats of the published sizes, counted on the meta
                    device
    full_audio, full_text   embeddings of a CLAP in the published sizes, whose weights are those of
                    tests/peers/drawn.py (10 s and 2 GB; none of them recorded)
"""

import pathlib
import sys
import tempfile

import numpy as np
import tokenizers
import torch
import transformers
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, RobertaTokenizer

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import drawn

AUDIO = {
    'num_mel_bins': 16,
    'spec_size': 64,  # four stretches of time, one below the other
    'window_size': 4,
    'patch_size': 4,
    'patch_stride': [4, 4],
    'patch_embeds_hidden_size': 12,
    'depths': [2, 2, 2],  # grids of 16, 8 and 4: two that are rolled and one that is not
    'num_attention_heads': [2, 3, 4],
    'hidden_size': 48,
    'mlp_ratio': 2.0,
    'layer_norm_eps': 1e-4,
}
TEXT = {
    'vocab_size': 300,
    'hidden_size': 24,
    'num_hidden_layers': 2,
    'num_attention_heads': 3,
    'intermediate_size': 40,
    'max_position_embeddings': 82,
    'layer_norm_eps': 1e-6,
}
FRONT_END = {'feature_size': 16, 'hop_length': 200, 'max_length_s': 1, 'fft_window_size': 512}
UNFUSED = {'truncation': 'rand_trunc', 'padding': 'repeatpad', 'frequency_min': 50}
FRAMES = np.r_[0:3, 90:98, 498:503, 998:1001]
TEXTS = ['', 'bass', 'slow drums, and a very quiet melody, and a bass that holds notes', 'rock é']


def tokenizer() -> RobertaTokenizer:
    byte_pieces = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    pieces = ['<s>', '<pad>', '</s>', '<unk>', *sorted(byte_pieces), 'ba', 'ss', 'Ġd', '<mask>']
    merges = [('b', 'a'), ('s', 's'), ('Ġ', 'd')]
    return RobertaTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges)


def mel_spectrograms(front_end: ClapFeatureExtractor, sounds) -> dict[str, np.ndarray]:
    found = front_end(list(sounds.values()), sampling_rate=48000, return_tensors='np')
    mels = np.asarray(found['input_features'], np.float32)[:, 0]
    return dict(zip(sounds, mels, strict=True))


def embeddings(model: ClapModel, mels: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model.get_audio_features(torch.tensor(mels)[:, None]).pooler_output.numpy()


def text_embeddings(model: ClapModel, tokens: np.ndarray, mask: np.ndarray) -> np.ndarray:
    tokens, mask = torch.tensor(tokens).long(), torch.tensor(mask).long()
    with torch.no_grad():
        return model.get_text_features(input_ids=tokens, attention_mask=mask).pooler_output.numpy()


def tiny(folder: pathlib.Path) -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    model = ClapModel(ClapConfig(audio_config=AUDIO, text_config=TEXT, projection_dim=20)).eval()
    with torch.no_grad():  # no weight at its start, and attention that is not flat
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn_like(weight))
        norm = model.audio_model.audio_encoder.batch_norm
        norm.running_mean.copy_(-40 + 5 * torch.randn_like(norm.running_mean))
        norm.running_var.copy_(200 * (1 + torch.rand_like(norm.running_var)))
    model.save_pretrained(folder)
    front_end = ClapFeatureExtractor(**FRONT_END, **UNFUSED)
    front_end.save_pretrained(folder)
    words = tokenizer()
    words.save_pretrained(folder)

    sounds = drawn.sounds(48000)
    mels = mel_spectrograms(front_end, sounds)
    text = words(TEXTS, padding=True)
    recorded = {f'file/{f.name}': np.frombuffer(f.read_bytes(), np.uint8) for f in folder.iterdir()}
    recorded |= {f'mel/{name}': mel for name, mel in mels.items()}
    return recorded | {
        'audio': embeddings(model, np.stack(list(mels.values()))),
        'texts': np.array(TEXTS),
        'text': text_embeddings(model, text['input_ids'], text['attention_mask']),
    }


def published() -> dict[str, np.ndarray]:
    front_end = ClapFeatureExtractor(**UNFUSED)
    mels = mel_spectrograms(front_end, drawn.sounds(480000))
    with torch.device('meta'):
        state = ClapModel(ClapConfig()).state_dict()
    size = sum(leaf.numel() for name, leaf in state.items() if leaf.is_floating_point())
    return {f'published/{name}': mel[FRAMES] for name, mel in mels.items()} | {
        'frames': FRAMES,
        'size': np.array(size),
    }


def full() -> dict[str, np.ndarray]:
    model = ClapModel(ClapConfig()).eval()
    for name, leaf in model.state_dict().items():
        if leaf.ndim and leaf.is_floating_point():
            leaf.copy_(torch.from_numpy(drawn.weight(name, tuple(leaf.shape))))
    mels = mel_spectrograms(ClapFeatureExtractor(**UNFUSED), drawn.sounds(480000))
    tokens, mask = drawn.tokens(50265)
    return {
        'full_audio': embeddings(model, np.stack(list(mels.values()))),
        'full_text': text_embeddings(model, tokens, mask),
    }


def main(path: pathlib.Path) -> None:
    modules = (torch, transformers, tokenizers)
    arrays = {'versions': np.array([f'{m.__name__} {m.__version__}' for m in modules])}
    with tempfile.TemporaryDirectory() as folder:
        arrays |= tiny(pathlib.Path(folder))
    arrays |= published() | full()
    np.savez_compressed(path, **arrays)
    print(path, path.stat().st_size, 'bytes')


if __name__ == '__main__':
    default = pathlib.Path(__file__).with_name('clap.npz')
    main(pathlib.Path(sys.argv[1]) if sys.argv[1:] else default)
