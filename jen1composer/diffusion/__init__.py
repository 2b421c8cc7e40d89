"""The mathematics of diffusion with one time per track; no network, no file."""
