"""Weights in less space, to be unpacked to float32 before they are used.

(1) float32     as they are
(2) bfloat16    rounded to 8 significant bits: half the space
(3) int8        W ~ q s,  q = round(W / s) in -127 .. 127,  s_o = max_i |W_io| / 127

In (3) each column of each matrix, what leads to one output channel, has a scale of its own (of a
convolution: at every tap), so |W - q s| <= s / 2; it takes a quarter of the space. Vectors, which
are few and scale or shift whole channels, stay float32 there, and the whitening stays so in all.

A packed file says by its dtypes what it is: int8 under a weight's name has its scales, float32
`[..., 1, out]`, under `scales/` and the name.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
import safetensors

from jen1composer.errors import BadInput

FORMATS = ('float32', 'bfloat16', 'int8')
SCALES = 'scales/'
_EXACT = 'whitening/'
_DTYPES = {'F32': np.float32, 'BF16': jnp.bfloat16, 'I8': np.int8}

Arrays = dict[str, np.ndarray]


def pack(arrays: Mapping[str, np.ndarray], form: str) -> Arrays:
    """Float32 arrays by name in one of `FORMATS`."""
    packed: Arrays = {}
    for name, array in arrays.items():
        if form == 'float32' or name.startswith(_EXACT) or (form == 'int8' and array.ndim < 2):
            packed[name] = array
        elif form == 'bfloat16':
            packed[name] = array.astype(jnp.bfloat16)
        else:
            scales = np.abs(array).max(axis=-2, keepdims=True) / np.float32(127)
            scales = np.where(scales > 0, scales, np.float32(1))
            packed[name] = np.round(array / scales).astype(np.int8)
            packed[SCALES + name] = scales
    return packed


def unpack(packed: Mapping[str, np.ndarray]) -> Arrays:
    """The float32 arrays that packed ones stand for."""
    return {
        name: np.float32(array) * packed[SCALES + name]
        if array.dtype == np.int8
        else np.asarray(array, np.float32)
        for name, array in packed.items()
        if not name.startswith(SCALES)
    }


def read_arrays(data: bytes, path: object) -> Arrays:
    """The arrays of a safetensors file; raises BadInput, naming `path`, where it is none."""
    try:
        return {
            name: np.frombuffer(said['data'], _DTYPES[said['dtype']]).reshape(said['shape'])
            for name, said in safetensors.deserialize(data)
        }
    except (safetensors.SafetensorError, KeyError) as error:
        raise BadInput(f'{path}: cut short or not a safetensors file ({error})') from error
