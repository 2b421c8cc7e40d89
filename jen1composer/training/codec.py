"""The codec: a trained autoencoder and its whitening as two functions, and as a folder.

    encode    sound [batch, track, sample, 2]          -> latents [batch, track, frame, channel]
    decode    latents [batch, track, frame, channel]   -> sound [batch, track, sample, 2]

Long input is worked through in windows, on one device or on several (`windowed`).

    FOLDER/config.json         {"version", "autoencoder": the AutoencoderConfig}
    FOLDER/model.safetensors   'autoencoder/<path of the parameter>', 'whitening/<field>'

The fingerprint is the SHA-256 of both files: it names exactly what the latents were made with. The
shape of 'whitening/whiten' says to how many channels the whitening cuts.

The whitening is to be fitted on what is encoded, whole songs with their silence: the latents of
these songs then have zero mean and unit covariance, but for rounding and for its floor.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from etils import epath
from flax import traverse_util
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jen1composer.errors import BadInput
from jen1composer.models.autoencoder import (
    STEREO,
    Autoencoder,
    AutoencoderConfig,
    decode,
    encode,
)
from jen1composer.models.whitening import LatentStatistics, Whitening, fit, identity
from jen1composer.training.files import write_whole
from jen1composer.training.windowed import Network, in_windows

VERSION = 1
CONFIG, MODEL = 'config.json', 'model.safetensors'
IN_WORKDIR = 'codec'  # where launch.train_autoencoder puts it
WINDOW_FRAMES = 256

PyTree = Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Codec:
    """A frozen autoencoder and its whitening; `params` is the tree without sharding boxes.

    It works on the first device, or on `devices`, see `on`.
    It is made in two steps, `plain = Codec.plain(config, params)` and then
    `plain.whitened(plain.statistics(songs))`.
    """

    config: AutoencoderConfig
    params: PyTree
    whitening: Whitening
    devices: tuple[jax.Device, ...] = ()

    @classmethod
    def plain(cls, config: AutoencoderConfig, params: PyTree) -> 'Codec':
        """The codec whose latents are the autoencoder's own."""
        return cls(config=config, params=params, whitening=identity(config.latent_channels))

    def statistics(self, sounds: Iterable[np.ndarray]) -> LatentStatistics:
        """The sums over the latents of `sounds`, each `[batch, track, sample, 2]`."""
        nothing = LatentStatistics.of(np.zeros((0, self.latent_channels)))
        return sum((LatentStatistics.of(self.encode(sound)) for sound in sounds), start=nothing)

    def whitened(self, statistics: LatentStatistics, keep: int = 0) -> 'Codec':
        """This codec with the latents of `statistics` white, cut to `keep` channels (0: all)."""
        return dataclasses.replace(self, whitening=fit(statistics, keep))

    def on(self, devices: Sequence[jax.Device]) -> 'Codec':
        """This codec at work on `devices` of this process, a window on each at a time."""
        return dataclasses.replace(self, devices=tuple(devices))

    @property
    def hop_samples(self) -> int:
        return self.config.hop_samples

    @property
    def latent_channels(self) -> int:
        """Channels of what `encode` returns: the autoencoder's, or fewer if the whitening cuts."""
        return self.whitening.kept

    def encode(self, waveform: np.ndarray | jax.Array) -> np.ndarray:
        """White latents float32 `[batch, track, frame, channel]` of `[batch, track, sample, 2]`.

        Sound is followed by silence up to a whole number of frames: frame = ceil(sample / hop).
        """
        hop = self.hop_samples
        batch, tracks, num_samples, _ = waveform.shape
        x = np.asarray(waveform, np.float32).reshape(batch * tracks, num_samples, STEREO)
        x = np.pad(x, ((0, 0), (0, -num_samples % hop), (0, 0)))
        x = x.reshape(len(x), -1, hop * STEREO)  # whole frames of sound
        z = self._in_windows(self._encode_window, x, self.config.encoder_reach)
        return z.reshape(batch, tracks, *z.shape[1:])

    def decode(self, latents: np.ndarray | jax.Array) -> np.ndarray:
        """float32 `[batch, track, frame x hop_samples, 2]` of `[batch, track, frame, channel]`."""
        batch, tracks, num_frames, channels = latents.shape
        z = np.asarray(latents, np.float32).reshape(batch * tracks, num_frames, channels)
        x = self._in_windows(self._decode_window, z, self.config.decoder_reach)
        return x.reshape(batch, tracks, num_frames * self.hop_samples, STEREO)

    def _in_windows(self, network: Network, x: np.ndarray, reach: int) -> np.ndarray:
        length = max(WINDOW_FRAMES, 4 * reach)
        return in_windows(network, x, length=length, reach=reach, num_devices=self._mesh.size)

    @functools.cached_property
    def _mesh(self) -> Mesh:
        return Mesh(np.array(self.devices or jax.local_devices()[:1]), ('data',))

    @functools.cached_property
    def _encode_window(self) -> Network:
        model = Autoencoder(self.config)

        def window(
            params: PyTree, whitening: Whitening, x: jax.Array, start: jax.Array
        ) -> jax.Array:
            del start
            return whitening.apply(encode(model, params, x.reshape(len(x), -1, STEREO)))

        return self._placed(window)

    @functools.cached_property
    def _decode_window(self) -> Network:
        model = Autoencoder(self.config)

        def window(
            params: PyTree, whitening: Whitening, z: jax.Array, start: jax.Array
        ) -> jax.Array:
            return decode(model, params, whitening.invert(z), start).reshape(*z.shape[:2], -1)

        return self._placed(window)

    def _placed(self, window: Callable[..., jax.Array]) -> Network:
        """`window` of this codec, compiled: rows are split over the devices, weights are on all."""
        everywhere = NamedSharding(self._mesh, PartitionSpec())
        rows = NamedSharding(self._mesh, PartitionSpec('data'))
        shardings = (everywhere, everywhere, rows, rows)
        compiled = jax.jit(window, in_shardings=shardings, out_shardings=rows)
        weights = jax.device_put((self.params, self.whitening), everywhere)
        return functools.partial(compiled, *weights)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the two files that `save` writes."""
        return hashlib.sha256(b''.join(self._files())).hexdigest()

    def save(self, folder: epath.PathLike) -> None:
        """Writes the folder, unless just this codec is in it: whole whenever it has a config."""
        folder = epath.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        config, model = self._files()
        if not _holds(folder / CONFIG, config):
            (folder / CONFIG).unlink(missing_ok=True)  # it is not the config of the next model
        if not _holds(folder / MODEL, model):
            write_whole(folder / MODEL, model)
        if not _holds(folder / CONFIG, config):
            write_whole(folder / CONFIG, config)

    @classmethod
    def load(cls, folder: epath.PathLike) -> 'Codec':
        """The codec in `folder`, or in the workdir `folder` of launch.train_autoencoder.

        Raises BadInput, naming the file, where one is missing, cut short or not a codec's.
        """
        folder = epath.Path(folder)
        if not (folder / CONFIG).exists() and (folder / IN_WORKDIR / CONFIG).exists():
            folder = folder / IN_WORKDIR
        config = _read_config(folder / CONFIG)
        path = folder / MODEL
        try:
            arrays = safetensors.numpy.load(path.read_bytes())
        except OSError as error:
            raise BadInput(f"{path}: cannot be read ({error}); allowed is a codec's") from error
        except safetensors.SafetensorError as error:
            raise BadInput(f'{path}: cut short or not a safetensors file ({error})') from error
        return cls.from_arrays(config, arrays, path)

    @classmethod
    def from_arrays(
        cls, config: AutoencoderConfig, arrays: Mapping[str, np.ndarray], path: epath.PathLike
    ) -> 'Codec':
        """The codec of `arrays`, by the names that they have in a codec's file.

        Raises BadInput, naming `path`, where they are not what `config` asks for.
        """
        expected = _abstract(config, _kept(arrays, config))
        for name in sorted(set(expected) | set(arrays)):
            wanted, found = _describe(expected.get(name)), _describe(arrays.get(name))
            if wanted != found:
                raise BadInput(f'{path}: {name} is {found}; the config asks for {wanted}')
        tree = traverse_util.unflatten_dict(arrays, sep='/')
        whitening = Whitening(**tree['whitening'])
        return cls(config=config, params=tree['autoencoder'], whitening=whitening)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """All of it by the names in the file: 'autoencoder/<path>' and 'whitening/<field>'."""
        flat = _flatten(self.params, self.whitening)
        # safetensors writes the buffer as it lies, so a transposed view would come back scrambled.
        return {name: np.ascontiguousarray(leaf) for name, leaf in flat.items()}

    def _files(self) -> tuple[bytes, bytes]:
        config = {'version': VERSION, 'autoencoder': dataclasses.asdict(self.config)}
        text = json.dumps(config, indent=1, sort_keys=True) + '\n'
        return text.encode(), safetensors.numpy.save(self.arrays)


def _holds(path: epath.Path, data: bytes) -> bool:
    return path.exists() and path.read_bytes() == data


def _read_config(path: epath.Path) -> AutoencoderConfig:
    try:
        value = json.loads(path.read_text())
        if value['version'] != VERSION:
            raise BadInput(f'{path}: version {value["version"]}; allowed is {VERSION}')
        return autoencoder_config(value['autoencoder'])
    except BadInput:
        raise
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(
            f'{path.parent}: not a codec folder ({path.name}: {type(error).__name__}: {error}); '
            'allowed is what python -m launch.train_autoencoder writes as WORKDIR/codec'
        ) from error


def autoencoder_config(fields: Mapping[str, Any]) -> AutoencoderConfig:
    """An AutoencoderConfig from JSON, lists becoming tuples; TypeError for a field it lacks."""
    columns: dict[str, Any] = {
        name: tuple(field) for name, field in fields.items() if isinstance(field, list)
    }
    return AutoencoderConfig(**dict(fields) | columns)


def _flatten(params: PyTree, whitening: Whitening) -> dict[str, Any]:
    """Leaves by the name that they have in the file."""
    tree = {'autoencoder': params, 'whitening': vars(whitening)}
    return traverse_util.flatten_dict(tree, sep='/')


def _kept(arrays: Mapping[str, np.ndarray], config: AutoencoderConfig) -> int:
    """The channels that a saved whitening leaves, as far as its shape makes sense: else all."""
    whiten = arrays.get('whitening/whiten')
    if whiten is None or whiten.ndim != 2 or not 1 <= whiten.shape[1] <= config.latent_channels:
        return config.latent_channels
    return int(whiten.shape[1])


def _abstract(config: AutoencoderConfig, kept: int) -> dict[str, jax.ShapeDtypeStruct]:
    """The shapes of what a codec of this config holds, by name."""

    def codec() -> tuple[PyTree, Whitening]:
        sound = jnp.zeros((1, config.hop_samples, STEREO))
        params = nn.unbox(Autoencoder(config).init(jax.random.key(0), sound)['params'])
        matrix = jnp.zeros((config.latent_channels, kept))
        return params, Whitening(mean=matrix[:, 0], whiten=matrix, unwhiten=matrix.T)

    return _flatten(*jax.eval_shape(codec))


def _describe(array: Any) -> str:
    return 'absent' if array is None else f'{array.dtype} {list(array.shape)}'
