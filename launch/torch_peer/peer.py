"""The other side of `launch.train_peer`: trains a network in PyTorch when it is told to.

    PYTHON -m launch.torch_peer.peer FOLDER MODE THREADS        MODE is eager or compile

FOLDER holds job.json and arrays.safetensors: weights/ by our names, batch/, fixed/, mel/, call/, an
input of the network, and expected, our output for it. Answers one line of JSON, which says how many
parameters and operations the network has and how far its output is from `expected`, and then one
for each line with a number of steps that it reads: the seconds that each step took.
"""

import json
import pathlib
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from launch.torch_peer import autoencoder, unet

Arrays = Mapping[str, Tensor]
WORDS = {'in': 'in_', 'self': 'self_'}  # Python's own, which a compiled module may not have


def main(folder: str, mode: str, threads: str) -> None:
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    place = pathlib.Path(folder)
    job = json.loads((place / 'job.json').read_text())
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    arrays = {
        name: value.to(device) for name, value in load_file(place / 'arrays.safetensors').items()
    }
    model, forward, loss = build(job, arrays)
    load(model, under('weights', arrays))
    multiply_in_tf32(False)  # what is compared is float32
    low = torch.autocast(device, torch.bfloat16, enabled=job['dtype'] == 'bfloat16')
    with torch.no_grad(), low:
        error = (forward() - arrays['expected']).abs().max().item()
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        (0.5 * forward().square().sum()).backward()
    model.zero_grad()
    say(
        parameters=sum(weight.numel() for weight in model.parameters()),
        gradient_flops=counter.get_total_flops(),
        error=error,
        scale=arrays['expected'].abs().max().item(),
        torch=torch.__version__,
        device=torch.cuda.get_device_name() if device == 'cuda' else 'cpu',
    )
    multiply_in_tf32(True)  # as JAX does on a GPU unless told otherwise
    step = make_step(model, torch.compile(loss) if mode == 'compile' else loss, job, low)
    for line in sys.stdin:
        say(seconds=[timed(step, device) for _ in range(int(line))])


def build(job: Any, arrays: Arrays) -> tuple[nn.Module, Callable[[], Tensor], Callable[[], Tensor]]:
    """The network, its output for the input that is given, and the loss of a training step."""
    batch, call = under('batch', arrays), under('call', arrays)
    if job['kind'] == 'unet':
        composer = unet.UNet(job['model'])
        composer.to(batch['latents'].device)
        batch = {**batch, 'latents': batch['latents'].float()}
        inputs = (call['x'], call['t'], call['shown'], call['visible'], batch)
        return composer, lambda: composer(*inputs), lambda: unet.loss(composer, batch)
    codec = autoencoder.Autoencoder(job['model'], under('fixed', arrays))
    codec.to(batch['waveform'].device)
    mel, waveform = under('mel', arrays), batch['waveform']

    def loss() -> Tensor:
        return autoencoder.loss(codec, waveform, job['task'], job['losses'], mel)

    return codec, lambda: codec(waveform), loss


def load(model: nn.Module, weights: Arrays) -> None:
    """Our weights, under PyTorch's names and with its order of axes; each has to fit."""
    state = {}
    for name, value in weights.items():
        *path, last = (WORDS.get(part, part) for part in name.split('/'))
        if last == 'kernel':  # [width, in, out] or [in, out], there out comes first
            value = value.permute(*reversed(range(value.ndim))).contiguous()
        state['.'.join([*path, 'weight' if last == 'kernel' else last])] = value
    missing, unexpected = model.load_state_dict(state, strict=False)
    buffers = {name for name, _ in model.named_buffers()}
    if unexpected or set(missing) - buffers:
        sys.exit(f'weights that do not fit: {unexpected} {sorted(set(missing) - buffers)}')


def make_step(
    model: nn.Module, loss: Callable[[], Tensor], job: Any, low: Any
) -> Callable[[], None]:
    """Forward, gradient, clipping, AdamW and the moving average, as ours."""
    weights = list(model.parameters())
    matrices = [weight for weight in weights if weight.ndim > 1]
    others = [weight for weight in weights if weight.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [
            {'params': matrices, 'weight_decay': job['weight_decay']},
            {'params': others, 'weight_decay': 0.0},
        ],
        lr=job['learning_rate'],
        betas=(job['b1'], job['b2']),
        fused=True,
    )
    average = [weight.detach().clone() for weight in weights]

    def step() -> None:
        with low:
            found = loss()
        found.backward()
        nn.utils.clip_grad_norm_(weights, job['clip_norm'])
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            torch._foreach_lerp_(average, weights, 1 - job['ema_decay'])

    return step


def multiply_in_tf32(allowed: bool) -> None:
    """Whether a GPU may round the factors of float32 products and convolutions to 10 bits."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def timed(step: Callable[[], None], device: str) -> float:
    began = time.perf_counter()
    step()
    if device == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - began


def under(prefix: str, arrays: Arrays) -> dict[str, Tensor]:
    """The arrays below a prefix."""
    return {
        k.removeprefix(f'{prefix}/'): v for k, v in arrays.items() if k.startswith(f'{prefix}/')
    }


def say(**values: Any) -> None:
    print(json.dumps(values), flush=True)


if __name__ == '__main__':
    main(*sys.argv[1:])
