"""The other side of a case: the same network in PyTorch (`launch.torch_peer`), and whether it is.

It runs in a process of its own, in a Python that has PyTorch, as it comes (eager) or compiled. It
is given our config, batch and weights with what comes of them, and is compared only if

(1) it has as many parameters
(2) it takes as many operations, to within `FLOPS_AGREE`
(3) its output at our weights is ours, to within `OUTPUT_AGREES` of the largest value

Allowed in (3) is 1e-4 in float32, of which the composers are off by 1e-6. In bfloat16, which keeps
8 bits, sums in another order make them off by .015 to .018 (the demo's, and a large one), so 2^-5
is allowed. That finds less: one array of weights set to 0 moves the output of a small composer by
.2 (the median of 58), but 11 of them by less than 2^-5. To be sure of a network, compare it in
float32 first.
"""

import dataclasses
import json
import pathlib
import subprocess
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from safetensors.numpy import save_file

from jen1composer.diffusion.corruption import is_shown
from jen1composer.errors import BadInput
from jen1composer.models.autoencoder import band_weights
from jen1composer.models.framing import mdct_matrix
from jen1composer.training.autoencoder_losses import mel_bands
from jen1composer.training.workdir import unet_config
from launch.autoencoder_sections import make_autoencoder
from launch.train_cases import GIVEN, Trainer

ROOT = pathlib.Path(__file__).parents[1]
FLOPS_AGREE = 0.03  # relative
OUTPUT_AGREES = {'float32': 1e-4, 'bfloat16': 2**-5}  # of the largest value of the output

Found = dict[str, Any]  # JSON


class Peer:
    """The other side, in a process of its own; `facts` is what it says of its network."""

    def __init__(self, python: str, folder: pathlib.Path, mode: str, threads: int):
        command = [python, '-m', 'launch.torch_peer.peer', str(folder), mode, str(threads)]
        try:
            self._process = subprocess.Popen(
                command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        except OSError as error:
            raise BadInput(f'--peer_python={python}: {error}; allowed is a Python') from error
        self._python = python
        self.facts = self._answer()

    def times(self, count: int) -> list[float]:
        """Seconds of each of so many steps."""
        assert self._process.stdin is not None
        self._process.stdin.write(f'{count}\n')
        self._process.stdin.flush()
        return list(self._answer()['seconds'])

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> Found:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BadInput(
                f'--peer_python={self._python}: the peer ended with status '
                f'{self._process.wait()}; allowed is a Python with torch and safetensors'
            )
        found: Found = json.loads(line)
        return found


def require_same(parameters: int, flops: int, dtype: str, peer: Mapping[str, Any]) -> None:
    """Raises BadInput where (1) to (3) do not hold: it is not our network at our weights."""
    off = abs(peer['gradient_flops'] / flops - 1)
    worst, most = peer['error'] / peer['scale'], OUTPUT_AGREES[dtype]
    for what, ok, allowed in (
        (f'{peer["parameters"]} parameters', peer['parameters'] == parameters, f'{parameters}'),
        (f'{peer["gradient_flops"]} operations', off <= FLOPS_AGREE, f'{flops} within 3 %'),
        (f'an output that is off by {worst:.1e}', worst <= most, f'{most:g} in {dtype}'),
    ):
        if not ok:
            raise BadInput(f'--peer: has {what}; what can be compared has {allowed}')


def write_job(folder: pathlib.Path, trainer: Trainer) -> None:
    """job.json and arrays.safetensors, as `launch.torch_peer.peer` reads them."""
    config, batch = trainer.config, trainer.batch
    optimizer = config.optimizer
    job: Found = {
        'dtype': config.model.get('dtype', 'float32'),
        'learning_rate': optimizer.peak_learning_rate,
        'weight_decay': optimizer.weight_decay,
        'b1': 0.9,
        'b2': 0.95,
        'clip_norm': optimizer.clip_norm,
        'ema_decay': config.ema_decay,
    }
    # What begins at zero would hide what comes before it.
    params = _shaken(trainer.params)
    flat = traverse_util.flatten_dict(params, sep='/')
    arrays = {f'weights/{name}': leaf for name, leaf in flat.items()}
    if 'curriculum' in config:
        told = {key: vars(GIVEN)[key] for key in ('num_tracks', 'latent_channels', 'text_width')}
        model = unet_config(told | config.model.to_dict())
        job |= {'kind': 'unet', 'model': dataclasses.asdict(model)}
        latents = jnp.asarray(batch.latents, jnp.float32)
        call = {
            'x': latents,
            't': jnp.ones(latents.shape[:2]),
            'shown': latents,
            'visible': is_shown(batch.task).astype(jnp.float32),
        }
        arrays |= {f'call/{name}': value for name, value in call.items()}
        given = {**vars(batch.task), **vars(batch.text), 'latents': batch.latents}
        del given['control']  # these configs tell the network of none
        arrays |= {f'batch/{name}': value for name, value in given.items()}
    else:
        codec = make_autoencoder(config).config
        job |= {
            'kind': 'autoencoder',
            'model': dataclasses.asdict(codec),
            'task': config.task.to_dict(),
            'losses': config.losses.to_dict(),
        }
        arrays['batch/waveform'] = batch['waveform']
        arrays['fixed/mdct'] = mdct_matrix(codec.strides[0])
        arrays['fixed/bands'] = band_weights(codec)
        arrays |= {f'mel/{size}': mel_bands(size) for size in config.losses.sizes}
    with jax.default_matmul_precision('highest'):  # float32 on accelerators too, as the peer's
        arrays['expected'] = jax.jit(trainer.subject.forward)(params, batch)
    (folder / 'job.json').write_text(json.dumps(job))
    plain = {name: np.ascontiguousarray(_float(value)) for name, value in arrays.items()}
    save_file(plain, folder / 'arrays.safetensors')


def _shaken(params: Any) -> Any:
    rng = np.random.default_rng(1)
    return jax.tree.map(
        lambda leaf: leaf + 0.02 * rng.standard_normal(leaf.shape).astype(np.float32), params
    )


def _float(value: Any) -> np.ndarray:
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == jnp.bfloat16 else array
