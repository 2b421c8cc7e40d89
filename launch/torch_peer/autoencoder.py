"""The demo's autoencoder and its losses in PyTorch, to be timed beside ours.

`jen1composer.models.autoencoder` and `jen1composer.training.autoencoder_losses` have the text. The
fixed matrices (MDCT, bands, mel filters) are given, as they are the same numbers on both sides.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from launch.torch_peer.unet import Conv, RMSNorm

QUIET, POWER_FLOOR = -5.0, 1e-9
HALF = 0.5**0.5


class Block(nn.Module):
    def __init__(self, width: int, kernel: int):
        super().__init__()
        self.RMSNorm_0, self.Conv_0 = RMSNorm(width), Conv(width, width, kernel)
        self.Dense_0 = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.Dense_0(F.silu(self.Conv_0(self.RMSNorm_0(x))))


class Autoencoder(nn.Module):
    def __init__(self, config: Mapping[str, Any], fixed: Mapping[str, Tensor]):
        super().__init__()
        self.config = config
        strides, channels = config['strides'], config['channels']
        for name, value in fixed.items():  # mdct, bands
            self.register_buffer(name, value)
        entering = 2 * (strides[0] + config['bands'])
        for i, width in enumerate(channels):
            if i > 0:
                entering = 2 * strides[i] * channels[i - 1]
                self.add_module(f'up_{i - 1}', nn.Linear(width, entering))
            self.add_module(f'down_{i}', nn.Linear(entering, width))
            for side in ('encoder', 'decoder'):
                for block in range(config[f'{side}_blocks'][i]):
                    self.add_module(f'{side}_blocks_{i}_{block}', Block(width, config['kernel']))
        self.encoder_norm, self.decoder_norm = RMSNorm(channels[-1]), RMSNorm(channels[0])
        self.to_latent = nn.Linear(channels[-1], config['latent_channels'])
        self.from_latent = nn.Linear(config['latent_channels'], channels[-1])
        self.gain = nn.Linear(channels[0], 2 * config['bands'])
        self.shape = nn.Linear(channels[0], 2 * strides[0])

    def blocks(self, h: Tensor, side: str, level: int) -> Tensor:
        for block in range(self.config[f'{side}_blocks'][level]):
            h = self.get_submodule(f'{side}_blocks_{level}_{block}')(h)
        return h

    def encode(self, waveform: Tensor) -> Tensor:
        strides = self.config['strides']
        sound = mid_side(waveform.transpose(1, 2))  # [batch, 2, sample]
        framed = frames(sound.flatten(0, 1)[..., None], strides[0])[..., 0]
        coefficients = (framed @ self.mdct).unflatten(0, (-1, 2)).permute(0, 2, 3, 1)
        weights = self.bands / self.bands.sum(1, keepdim=True)
        power = torch.einsum('bfkc,nk->bfnc', coefficients.square(), weights)
        loudness = (power + POWER_FLOOR).log() / 3 + 2
        compressed = torch.asinh(coefficients / self.config['knee'])
        h = torch.cat([compressed.flatten(2), loudness.flatten(2)], dim=-1)
        for level, stride in enumerate(strides):
            if level > 0:
                h = frames(h, stride).flatten(2)
            h = self.blocks(self.get_submodule(f'down_{level}')(h), 'encoder', level)
        return self.to_latent(self.encoder_norm(h))

    def decode(self, latents: Tensor) -> Tensor:
        h = self.from_latent(latents)
        for level in reversed(range(len(self.config['strides']))):
            h = self.blocks(h, 'decoder', level)
            if level > 0:
                wide = self.get_submodule(f'up_{level - 1}')(h)
                h = overlap_add(wide.unflatten(-1, (2 * self.config['strides'][level], -1)))
        h = self.decoder_norm(h)
        gain = self.gain(h).unflatten(-1, (-1, 2)) + QUIET
        shape = self.shape(h).unflatten(-1, (-1, 2))
        spectrum = shape * torch.einsum('bfnc,nk->bfkc', gain, self.bands).exp()
        framed = spectrum.permute(0, 3, 1, 2).flatten(0, 1) @ self.mdct.T
        sound = overlap_add(framed[..., None]).unflatten(0, (-1, 2))[..., 0]
        return mid_side(sound).transpose(1, 2)

    def forward(self, waveform: Tensor) -> Tensor:
        return self.decode(self.encode(waveform))


def mid_side(x: Tensor) -> Tensor:
    """`[batch, 2, ...]`; its own inverse."""
    return torch.stack([x[:, 0] + x[:, 1], x[:, 0] - x[:, 1]], dim=1) * HALF


def frames(x: Tensor, stride: int) -> Tensor:
    """`[batch, n x stride, channel] -> [batch, n, 2 x stride, channel]`, half overlapping."""
    x = F.pad(x, (0, 0, stride // 2, stride - stride // 2))
    blocks = x.unflatten(1, (-1, stride))
    return torch.cat([blocks[:, :-1], blocks[:, 1:]], dim=2)


def overlap_add(x: Tensor) -> Tensor:
    """The transpose of `frames`."""
    count, stride = x.shape[1], x.shape[2] // 2
    y = F.pad(x[:, :, :stride], (0, 0, 0, 0, 0, 1)) + F.pad(x[:, :, stride:], (0, 0, 0, 0, 1, 0))
    return y.flatten(1, 2)[:, stride // 2 : stride // 2 + count * stride]


def reconstruction_loss(
    original: Tensor, decoded: Tensor, config: Mapping[str, Any], mel: Mapping[str, Tensor]
) -> Tensor:
    """The weighted terms on the spectra, and the level; `mel` by window size."""
    floor = config['floor'] ** 2

    def distance(true: Tensor, ours: Tensor) -> Tensor:
        return ((true + floor).log() - (ours + floor).log()).abs().mean() / 2

    def views(x: Tensor) -> Tensor:
        left, right = x[:, 0], x[:, 1]
        return torch.stack([left, right, (left + right) * HALF, (left - right) * HALF], dim=1)

    def power(x: Tensor, size: int) -> Tensor:
        hop = size // 2
        x = F.pad(x.transpose(1, 2), (hop, hop + -x.shape[1] % hop))
        window = torch.sin(torch.pi * (torch.arange(size, device=x.device) + 0.5) / size) ** 2
        spectrum = torch.fft.rfft(x.unfold(2, size, hop) * (window / (0.375 * size) ** 0.5))
        spectrum = views(spectrum)
        return spectrum.real.square() + spectrum.imag.square()

    total = original.new_zeros(())
    for size in config['sizes']:
        true, ours = power(original, size), power(decoded, size)
        bands = mel[str(size)]
        total = total + config['log_mel'] * distance(true @ bands, ours @ bands)
        total = total + config['log_magnitude'] * distance(true, ours)
    total = total / len(config['sizes'])
    true, ours = (views(x.transpose(1, 2)).square().mean(-1) for x in (original, decoded))
    loudness = original.abs().mean() + config['floor']
    waveform = (original - decoded).abs().mean() / loudness
    return total + config['level'] * distance(true, ours) + config['waveform'] * waveform


def loss(
    autoencoder: Autoencoder,
    waveform: Tensor,
    task: Mapping[str, Any],
    losses: Mapping[str, Any],
    mel: Mapping[str, Tensor],
) -> Tensor:
    """What a step asks for: the latents masked and disturbed, the sound given back."""
    latents = autoencoder.encode(waveform)
    keep = torch.rand(*latents.shape[:2], 1, device=latents.device) >= task['masked_share']
    spoilt = keep * (latents + task['noise'] * torch.randn_like(latents))
    found = reconstruction_loss(waveform, autoencoder.decode(spoilt), losses, mel)
    return found + task['latent_penalty'] * latents.square().mean()
