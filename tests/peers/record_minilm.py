"""Records what transformers makes of a tiny BERT, of MiniLM's kind: writes minilm.npz beside it.

    python3 -m venv peers && peers/bin/pip install torch==2.13.0 transformers==5.23.0
    peers/bin/python tests/peers/record_minilm.py

Recorded with PyTorch 2.13 in float32 on a CPU and transformers 5.23; the versions are in the
recording. It holds

    weights/<name>   every weight of a `BertModel`, as it would lie in model.safetensors
    tokens, mask     padded rows of several lengths
    states           its last hidden states of them, [text, token, width]
"""

import pathlib
import sys

import numpy as np
import torch
import transformers
from transformers import BertConfig, BertModel

LENGTHS = np.array([20, 7, 1, 13])
CONFIG = BertConfig(  # as all-MiniLM-L6-v2's, smaller
    vocab_size=60,
    hidden_size=24,
    num_hidden_layers=3,
    num_attention_heads=3,
    intermediate_size=40,
    max_position_embeddings=24,
    hidden_act='gelu',
    layer_norm_eps=1e-12,
)


def main(path: pathlib.Path) -> None:
    torch.manual_seed(0)
    model = BertModel(CONFIG, add_pooling_layer=False).eval()
    with torch.no_grad():
        for weight in model.parameters():  # they start small: attention would be nearly flat
            weight.add_(0.2 * torch.randn_like(weight))
    mask = np.arange(LENGTHS.max()) < LENGTHS[:, None]
    tokens = np.random.default_rng(0).integers(1, CONFIG.vocab_size, mask.shape)
    tokens = np.where(mask, tokens, 0)
    with torch.no_grad():
        out = model(input_ids=torch.tensor(tokens), attention_mask=torch.tensor(mask).long())
    versions = [f'{module.__name__} {module.__version__}' for module in (torch, transformers)]
    np.savez_compressed(
        path,
        versions=np.array(versions),
        tokens=tokens.astype(np.int32),
        mask=mask,
        states=out.last_hidden_state.numpy(),
        **{f'weights/{name}': leaf.numpy() for name, leaf in model.state_dict().items()},
    )
    print(path, path.stat().st_size, 'bytes')


if __name__ == '__main__':
    default = pathlib.Path(__file__).with_name('minilm.npz')
    main(pathlib.Path(sys.argv[1]) if sys.argv[1:] else default)
