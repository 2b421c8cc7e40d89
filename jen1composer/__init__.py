"""JEN-1 Composer: one latent diffusion model that generates aligned music tracks.

The folders, from the mathematics outwards: `tracks` and `diffusion` (no network), `models` (Flax
modules), `sharding`, `training`, `generation`, `evaluation`. Each imports only what stands before.
"""
