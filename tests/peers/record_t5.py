"""Records what transformers makes of tiny T5 encoders: writes t5.npz beside this file.

    python3 -m venv peers && peers/bin/pip install torch==2.13.0 transformers==5.23.0
    peers/bin/python tests/peers/record_t5.py

Recorded with PyTorch 2.13 in float32 on a CPU, transformers 5.23, tokenizers 0.23; the versions are
in the recording. For each variant it holds, under '<variant>/',

    file/<name>    a folder as `save_pretrained` writes it, tokenizer.json included, as bytes
    tokens, mask   padded rows, some longer than the distances that have a bucket of their own
    states         what the encoder makes of them, [text, token, width]
    text_*         the same from words, for `texts` cut or padded to `text_tokens`
    buckets        of the distances from -300 to 300

and, under 'size/<name>/', the config of FLAN-T5 in each published size with the number of
parameters of its encoder, which is built on PyTorch's meta device.
"""

import json
import os
import pathlib
import sys
import tempfile

import numpy as np
import tokenizers
import torch
import transformers
from transformers import T5Config, T5EncoderModel, T5ForConditionalGeneration, T5Tokenizer
from transformers.models.t5.modeling_t5 import T5Attention

TEXTS = ['', 'dark driving rock', 'a slow waltz for two violins and a very quiet drum', 'rock é']
TEXT_TOKENS = 12
PIECES = ['▁', 'rock', '▁rock', '▁dark', '▁driv', 'ing', '▁slow', '▁drum', '▁w', 'al', 'tz', '▁for']
VARIANTS = {
    'gated': T5Config(
        vocab_size=64,
        d_model=24,
        d_kv=8,
        d_ff=40,
        num_heads=2,  # heads times d_kv is not d_model
        num_layers=3,
        num_decoder_layers=1,
        feed_forward_proj='gated-gelu',
    ),
    'relu': T5Config(
        vocab_size=64,
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_heads=3,
        num_layers=2,
        relative_attention_num_buckets=10,
        relative_attention_max_distance=20,
        layer_norm_epsilon=1e-3,
    ),
}
LENGTHS = {'gated': (160, 7, 1, 93), 'relu': (40, 13, 1, 22)}
FLAN = {  # d_model, d_ff, layers, heads, as in the config.json of google/flan-t5-<size>
    'small': (512, 1024, 8, 6),
    'base': (768, 2048, 12, 12),
    'large': (1024, 2816, 24, 16),
    'xl': (2048, 5120, 24, 32),
    'xxl': (4096, 10240, 24, 64),
}


def tokenizer() -> T5Tokenizer:
    letters = [*'abcdefghijklmnopqrstuvwxyz']
    vocab = [('<pad>', 0.0), ('</s>', 0.0), ('<unk>', 0.0)]
    vocab += [(piece, -float(2 + i / 8)) for i, piece in enumerate(PIECES)]
    vocab += [(letter, -9.0) for letter in letters if letter not in PIECES]
    return T5Tokenizer(vocab=vocab, extra_ids=0)


def variant(name: str, config: T5Config, folder: pathlib.Path) -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    whole = name == 'gated'  # as FLAN-T5 is published: with its decoder, in several files
    model = (T5ForConditionalGeneration if whole else T5EncoderModel)(config).eval()
    with torch.no_grad():
        for weight in model.parameters():  # no weight at its start, and attention that is not flat
            weight.add_(0.1 * torch.randn_like(weight))
    model.save_pretrained(folder, max_shard_size='10KB' if whole else '1GB')
    words = tokenizer()
    words.save_pretrained(folder)

    lengths = np.array(LENGTHS[name])
    tokens = np.random.default_rng(0).integers(1, config.vocab_size, (len(lengths), max(lengths)))
    mask = np.arange(max(lengths)) < lengths[:, None]
    tokens = np.where(mask, tokens, 0)
    encoder = model.get_encoder()

    def states(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            out = encoder(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask).long())
        return out.last_hidden_state.numpy()

    text = words(TEXTS, padding='max_length', truncation=True, max_length=TEXT_TOKENS)
    text_ids, text_mask = np.array(text['input_ids']), np.array(text['attention_mask'], bool)
    distances = torch.arange(-300, 301)
    buckets = T5Attention._relative_position_bucket(
        distances,
        bidirectional=True,
        num_buckets=config.relative_attention_num_buckets,
        max_distance=config.relative_attention_max_distance,
    )
    files = {f'file/{file.name}': file.read_bytes() for file in sorted(folder.iterdir())}
    return {key: np.frombuffer(data, np.uint8) for key, data in files.items()} | {
        'tokens': tokens.astype(np.int32),
        'mask': mask,
        'states': states(tokens, mask),
        'texts': np.array(TEXTS),
        'text_ids': text_ids.astype(np.int32),
        'text_mask': text_mask,
        'text_states': states(text_ids, text_mask),
        'buckets': buckets.numpy().astype(np.int32),
    }


def size(name: str) -> dict[str, np.ndarray]:
    d_model, d_ff, layers, heads = FLAN[name]
    config = T5Config(
        d_model=d_model,
        d_kv=64,
        d_ff=d_ff,
        num_layers=layers,
        num_heads=heads,
        vocab_size=32128,
        feed_forward_proj='gated-gelu',
        tie_word_embeddings=False,
    )
    with torch.device('meta'):
        model = T5EncoderModel(config)
    return {
        'config': np.array(json.dumps(config.to_dict())),
        'parameters': np.array(sum(weight.numel() for weight in model.parameters())),
    }


def main(path: pathlib.Path) -> None:
    arrays = {
        'versions': np.array(
            [
                f'{module.__name__} {module.__version__}'
                for module in (torch, transformers, tokenizers)
            ]
        )
    }
    for name, config in VARIANTS.items():
        with tempfile.TemporaryDirectory() as folder:
            recorded = variant(name, config, pathlib.Path(folder))
        arrays |= {f'{name}/{key}': value for key, value in recorded.items()}
    for name in FLAN:
        arrays |= {f'size/{name}/{key}': value for key, value in size(name).items()}
    np.savez_compressed(path, **arrays)
    print(path, os.path.getsize(path), 'bytes')


if __name__ == '__main__':
    main(pathlib.Path(sys.argv[1]) if sys.argv[1:] else pathlib.Path(__file__).with_name('t5.npz'))
