"""A trained composer: from a request to tracks of audio.

Sampling walks the training's types backwards:

(1) given tracks are encoded, the prompt and the task's prefix are turned into token states
(2) x at the first times is what `corrupt` makes of them: targets and marginal tracks are noise
(3) the sampler takes the targets from t = 1 to t = 0, guided; the other tracks stand still
(4) the targets are decoded; a given track is returned as it came, sample for sample

One request is one row: its noise is keyed by its seed, so it is the same in any batch.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from etils import epath

from jen1composer.diffusion.batch import Task, Text
from jen1composer.diffusion.guidance import Guidance
from jen1composer.diffusion.samplers import time_grid
from jen1composer.errors import BadInput
from jen1composer.generation.request import Request
from jen1composer.generation.sampling import generate
from jen1composer.models.unet import UNet
from jen1composer.tracks import SAMPLE_RATE, Role, task_id, task_prefix
from jen1composer.training.checkpoints import restore_ema
from jen1composer.training.codec import Codec
from jen1composer.training.composer_step import DiffusionConfig
from jen1composer.training.text import TextEncoder, load_text_encoder
from jen1composer.training.workdir import ComposerSpec, read_spec


@dataclasses.dataclass(frozen=True, kw_only=True)
class Take:
    """One track of a piece."""

    role: Role
    audio: np.ndarray  # [sample, 2] float32 at 48 kHz
    latents: np.ndarray  # [frame, channel] float32

    @property
    def rms_db(self) -> float:
        """Root mean square in dB relative to full scale; -120 for silence."""
        return 10 * math.log10(max(float(np.mean(np.square(self.audio))), 1e-12))

    @property
    def peak(self) -> float:
        """Largest absolute sample; above 1 it would clip."""
        return float(np.max(np.abs(self.audio)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Composition:
    """What came of a request: a take for every track that is not marginalised."""

    takes: Mapping[str, Take]
    step: int  # of the training that the weights come from

    @property
    def mix(self) -> np.ndarray:
        """The sum of all takes, [sample, 2]."""
        return np.sum([take.audio for take in self.takes.values()], axis=0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Composer:
    """The averaged weights of a composer with its autoencoder and its text encoder."""

    spec: ComposerSpec
    params: Any
    step: int
    codec: Codec
    text_encoder: TextEncoder

    @staticmethod
    def load(workdir: epath.PathLike, text_encoder: epath.PathLike | None = None) -> 'Composer':
        """Loads a workdir of launch.train_composer; raises BadInput for what is not one.

        `text_encoder` is the name of the text encoder it was trained with, where its folder moved.
        """
        workdir = epath.Path(workdir)
        spec = read_spec(workdir)
        codec = Codec.load(workdir / 'autoencoder')
        if codec.fingerprint != spec.autoencoder_fingerprint:
            raise BadInput(f'{workdir}/autoencoder: not the one this composer was trained with')
        text = load_text_encoder(text_encoder or spec.text_encoder, max_tokens=spec.max_tokens)
        if text.fingerprint != spec.text_fingerprint:
            raise BadInput(
                f'{workdir}: was trained with text encoder {spec.text_encoder} of fingerprint '
                f'{spec.text_fingerprint}; that of {text.name} is {text.fingerprint}'
            )
        params, step = restore_ema(workdir / 'checkpoints')
        return Composer(spec=spec, params=params, step=step, codec=codec, text_encoder=text)

    @property
    def num_parameters(self) -> int:
        return sum(leaf.size for leaf in jax.tree.leaves(self.params))

    def num_frames(self, seconds: float) -> int:
        """Frames that cover `seconds`, rounded up to what the UNet takes."""
        frames = math.ceil(seconds * SAMPLE_RATE / self.spec.hop_samples)
        factor = self.spec.model.total_factor
        return -(-frames // factor) * factor

    def compose(self, request: Request) -> Composition:
        """Makes the tracks that `request` asks for; raises BadInput where it cannot be."""
        tracks = self.spec.tracks
        roles = request.roles(tracks)
        num_samples = round(request.seconds * SAMPLE_RATE)
        num_frames = self.num_frames(request.seconds)
        given = {name: _fit(audio, num_samples, name) for name, audio in request.given.items()}
        clean = self._encode_given(given, num_frames)  # [1, track, frame, channel]  (1)
        task = Task(
            roles=np.array([roles], np.int32),
            visible=np.zeros(clean.shape[:3], bool),
            causal=np.zeros(1, bool),
        )
        guidance = Guidance.constant(
            1,
            text=request.text_guidance if request.prompt else 1.0,
            given=tuple(
                request.given_guidance if role == Role.CONDITION else 1.0 for role in roles
            ),
        )
        diffusion = DiffusionConfig(prediction=self.spec.prediction)
        t_max = diffusion.prediction.t_max(diffusion.schedule)
        latents = np.asarray(
            generate(
                self.params,
                clean,
                task,
                self._text(request.prompt, roles),
                np.array([request.seed], np.uint32),
                np.zeros(1, np.uint32),
                guidance,
                time_grid(np.array([roles]), request.num_steps, t_max),
                model=UNet(self.spec.model),
                diffusion=diffusion,
                branches=guidance.branches,
            )
        )
        decoded = self.codec.decode(latents)  # [1, track, sample, 2]  (4)
        takes = {
            name: Take(
                role=role,
                audio=given[name] if name in given else decoded[0, k, :num_samples],
                latents=latents[0, k],
            )
            for k, (name, role) in enumerate(zip(tracks, roles, strict=True))
            if role != Role.MARGINAL
        }
        for name, take in takes.items():
            if not np.isfinite(take.audio).all():
                raise ArithmeticError(f'track {name!r} came out with samples that are not finite')
        return Composition(takes=takes, step=self.step)

    def _encode_given(self, given: Mapping[str, np.ndarray], num_frames: int) -> np.ndarray:
        """Latents of the given tracks, zeros elsewhere, [1, track, frame, channel]."""
        spec = self.spec
        shape = (1, len(spec.tracks), num_frames, spec.model.latent_channels)
        clean = np.zeros(shape, np.float32)
        for name, audio in given.items():
            padded = np.zeros((num_frames * spec.hop_samples, 2), np.float32)
            padded[: len(audio)] = audio
            latents = self.codec.encode(padded[None, None])  # [1, 1, frame, channel]
            clean[:, spec.tracks.index(name)] = np.asarray(latents)[:, 0]
        return clean

    def _text(self, prompt: str, roles: tuple[Role, ...]) -> Text:
        """Token states of the prompt and of the task's prefix, each encoded by itself."""
        prefix_words = task_prefix(self.spec.tracks, task_id(roles))
        prefix, prefix_mask = self.text_encoder.encode([prefix_words])
        states, mask = self.text_encoder.encode([prompt])
        return Text(
            prompt=states,
            prompt_mask=mask,
            use_prompt=np.array([bool(prompt)]),
            prefix=prefix,
            prefix_mask=prefix_mask,
        )


def _fit(audio: np.ndarray, num_samples: int, name: str) -> np.ndarray:
    """`audio` cut to `num_samples`; refuses what is shorter or no stereo, naming the track."""
    if audio.ndim != 2 or audio.shape[1] != 2:
        raise BadInput(f'given {name!r}: shape {audio.shape}; allowed is [sample, 2]')
    if len(audio) < num_samples:
        raise BadInput(
            f'given {name!r}: {len(audio) / SAMPLE_RATE:.2f} s; allowed is the length of the '
            f'piece, {num_samples / SAMPLE_RATE:.2f} s, or longer'
        )
    return audio[:num_samples]
