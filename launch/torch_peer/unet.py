"""The composer's UNet in PyTorch, to be timed beside ours, which `jen1composer.models.unet` is.

Written as one writes PyTorch: `nn.Linear`, `nn.Conv1d`, `scaled_dot_product_attention`. Modules
have the names of our weights, so that these can be copied (`peer.load`). Of the config it takes
what the demo's has: spans, one group of channels, fixed times, prefix and role tokens.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class RMSNorm(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], self.scale, 1e-6)


class Conv(nn.Conv1d):
    """`[batch, frame, channel]`, past frames alone where an example is causal."""

    def forward(self, x: Tensor, causal: Tensor | None = None) -> Tensor:
        half, frames = self.kernel_size[0] // 2, x.shape[1]
        if causal is None:
            return F.conv1d(x.transpose(1, 2), self.weight, self.bias, padding=half).transpose(1, 2)
        x = F.pad(x, (0, 0, 2 * half, half))
        x = torch.where(causal[:, None, None], x[:, : frames + 2 * half], x[:, half:])
        return F.conv1d(x.transpose(1, 2), self.weight, self.bias).transpose(1, 2)


class ResidualBlock(nn.Module):
    def __init__(self, width: int, condition: int):
        super().__init__()
        self.norm_in, self.norm_out = RMSNorm(width), RMSNorm(width)
        self.conv_in, self.conv_out = Conv(width, width, 3), Conv(width, width, 3)
        self.film = nn.Linear(condition, 2 * width)

    def forward(self, x: Tensor, condition: Tensor, causal: Tensor) -> Tensor:
        h = self.conv_in(F.silu(self.norm_in(x)), causal)
        scale, shift = self.film(condition)[:, None].chunk(2, dim=-1)
        h = F.silu(self.norm_out(h) * (1 + scale) + shift)
        return x + self.conv_out(h, causal)


def rotate(x: Tensor) -> Tensor:
    """Rotary embedding of `[batch, head, frame, width]`."""
    half = x.shape[-1] // 2
    frequency = 1000.0 ** -(torch.arange(half, device=x.device) / half)
    angle = torch.arange(x.shape[2], device=x.device)[:, None] * frequency
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class Attention(nn.Module):
    def __init__(self, width: int, source: int, head_width: int, is_self: bool):
        super().__init__()
        self.head_width, self.is_self = head_width, is_self
        self.norm = RMSNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key, self.value = (nn.Linear(source, width, bias=False) for _ in range(2))
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, source: Tensor | None, mask: Tensor) -> Tensor:
        h = self.norm(x)
        source = h if source is None else source
        query, key, value = (
            layer(z).unflatten(-1, (-1, self.head_width)).transpose(1, 2)
            for layer, z in ((self.query, h), (self.key, source), (self.value, source))
        )
        if self.is_self:
            query, key = rotate(query), rotate(key)
        y = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return x + self.out(y.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, width: int, multiplier: int):
        super().__init__()
        self.norm = RMSNorm(width)
        self.in_ = nn.Linear(width, multiplier * width)
        self.out = nn.Linear(multiplier * width, width)

    def forward(self, x: Tensor) -> Tensor:
        h = self.in_(self.norm(x))
        return x + self.out(F.gelu(h, approximate='tanh'))


class Transformer(nn.Module):
    def __init__(self, width: int, text: int, config: Mapping[str, Any]):
        super().__init__()
        self.self_ = Attention(width, width, config['head_width'], True)
        self.cross = Attention(width, text, config['head_width'], False)
        self.feed_forward = FeedForward(width, config['feed_forward'])

    def forward(
        self, x: Tensor, context: Tensor, context_mask: Tensor, self_mask: Tensor
    ) -> Tensor:
        x = self.self_(x, None, self_mask)
        return self.feed_forward(self.cross(x, context, context_mask))


class Condition(nn.Module):
    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        width, count = config['condition_width'], config['time_frequencies']
        self.frequency = 1000.0 * 10_000.0 ** -(torch.arange(count) / max(1, count - 1))
        self.in_ = nn.Linear(config['num_tracks'] * 2 * count, width)
        self.out = nn.Linear(width, width)

    def forward(self, t: Tensor) -> Tensor:
        angle = t[..., None] * self.frequency.to(t.device)
        sinusoids = torch.cat([angle.sin(), angle.cos()], dim=-1).flatten(1)
        return F.silu(self.out(F.silu(self.in_(sinusoids))))


class Context(nn.Module):
    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        self.null = nn.Parameter(torch.zeros(1, config['text_width']))
        self.role_tokens = nn.Parameter(torch.zeros(3 * config['num_tracks'], config['text_width']))

    def forward(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        keep, prompt, roles = batch['use_prompt'][:, None], batch['prompt'], batch['roles']
        first = torch.arange(prompt.shape[1], device=prompt.device) == 0
        row = roles.long() + 3 * torch.arange(roles.shape[1], device=roles.device)
        states = [torch.where(keep[..., None], prompt, self.null)]
        states += [batch['prefix'], self.role_tokens[row]]
        masks = [torch.where(keep, batch['prompt_mask'], first), batch['prefix_mask']]
        mask = torch.cat([*masks, torch.ones_like(roles, dtype=torch.bool)], dim=1)
        return torch.cat(states, dim=1) * mask[..., None], mask


class UNet(nn.Module):
    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        self.config = config
        tracks, latent, text = (
            config['num_tracks'],
            config['latent_channels'],
            config['text_width'],
        )
        channels, factors = config['channels'], config['factors']
        self.condition, self.context = Condition(config), Context(config)
        self.enter = Conv(tracks * (2 * latent + 1), channels[0], 3)
        bottom = len(channels) - 1
        for i, width in enumerate(channels):
            for name in ('bottom',) if i == bottom else ('down', 'up'):
                for block in range(config['blocks'][i]):
                    residual = ResidualBlock(width, config['condition_width'])
                    self.add_module(f'{name}_{i}_residual_{block}', residual)
                    for layer in range(config['attentions'][i]):
                        name_of = f'{name}_{i}_transformer_{block}_{layer}'
                        self.add_module(name_of, Transformer(width, text, config))
            if i > 0:
                wide = factors[i] * channels[i - 1]
                self.add_module(f'down_{i}_merge', nn.Linear(wide, width))
                self.add_module(f'up_{i - 1}_split', nn.Linear(width, wide))
                joined = nn.Linear(2 * channels[i - 1], channels[i - 1])
                self.add_module(f'up_{i - 1}_join', joined)
        self.leave_norm = RMSNorm(channels[0])
        self.leave = Conv(channels[0], tracks * latent, 3)

    def forward(
        self, x: Tensor, t: Tensor, shown: Tensor, visible: Tensor, batch: Mapping[str, Tensor]
    ) -> Tensor:
        """Of `[batch, track, frame, channel]`; `visible` is `[batch, track, frame, 1]`, float."""
        config, causal = self.config, batch['causal']
        condition = self.condition(t)
        context, mask = self.context(batch)
        context_mask = mask[:, None, None]
        h = self.enter(torch.cat([x, shown, visible], dim=-1).transpose(1, 2).flatten(2), causal)
        skips: list[Tensor] = []
        bottom = len(config['channels']) - 1

        def level(h: Tensor, i: int, name: str) -> Tensor:
            frame = torch.arange(h.shape[1], device=h.device)
            allowed = ~causal[:, None, None, None] | (frame <= frame[:, None])
            for block in range(config['blocks'][i]):
                h = self.get_submodule(f'{name}_{i}_residual_{block}')(h, condition, causal)
                for layer in range(config['attentions'][i]):
                    transformer = self.get_submodule(f'{name}_{i}_transformer_{block}_{layer}')
                    h = transformer(h, context, context_mask, allowed)
            return h

        for i in range(bottom + 1):
            if i > 0:
                skips.append(h)
                factor = config['factors'][i]
                delayed = F.pad(h, (0, 0, factor - 1, 0))[:, : h.shape[1]]
                h = torch.where(causal[:, None, None], delayed, h)
                h = h.reshape(h.shape[0], -1, factor * h.shape[-1])
                h = self.get_submodule(f'down_{i}_merge')(h)
            h = level(h, i, 'bottom' if i == bottom else 'down')
        for i in reversed(range(bottom)):
            wide = self.get_submodule(f'up_{i}_split')(h)
            wide = wide.reshape(wide.shape[0], -1, config['channels'][i])
            h = self.get_submodule(f'up_{i}_join')(torch.cat([wide, skips.pop()], dim=-1))
            h = level(h, i, 'up')
        h = self.leave(F.silu(self.leave_norm(h)), causal)
        return h.unflatten(-1, (config['num_tracks'], -1)).transpose(1, 2)


def loss(unet: UNet, batch: Mapping[str, Tensor]) -> Tensor:
    """v-prediction of the targets (role 0) on a cosine schedule, with uniform times."""
    clean, roles = batch['latents'], batch['roles']
    target = roles == 0
    time = torch.rand(len(clean), 1, device=clean.device)
    t = torch.where(target, time, (roles == 2).float())  # given 0, marginal 1
    visible = target[..., None, None] & batch['visible'][..., None]
    alpha = torch.cos(0.5 * math.pi * t)[..., None, None]
    sigma = torch.sin(0.5 * math.pi * t)[..., None, None]
    noise = torch.randn_like(clean)
    found = unet(alpha * clean + sigma * noise, t, clean * visible, visible.float(), batch)
    counted = (target[..., None, None] & ~visible).float()
    error = ((found - (alpha * noise - sigma * clean)) * counted).square().mean(-1).sum(-1)
    per_track = error / counted.sum((2, 3)).clamp(1)
    return (per_track.sum(-1) / target.sum(-1).clamp(1)).mean()
