"""A trained composer: from a request to tracks of audio.

Sampling walks the training's types backwards:

(1) given tracks, and what there is of those that are made, are encoded
(2) the prompt and the task's prefix are turned into token states; tempo, key and chords are told
    beside them, the chords window by window
(3) window by window, what is not known is sampled (`long_form`, `rows`)
(4) the targets are decoded, and joined to what is kept of them (`seams`)

A given track is returned as it came, sample for sample.
"""

import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from absl import logging
from etils import epath

from jen1composer.diffusion.batch import Text
from jen1composer.errors import BadInput, RunFailed
from jen1composer.generation import long_form
from jen1composer.generation.export_folder import is_export, read_export
from jen1composer.generation.packaged import packaged_composer
from jen1composer.generation.parts import Holes, Part, make_parts
from jen1composer.generation.request import Request
from jen1composer.generation.rows import MakeRow, Row, make_windows, sample_row
from jen1composer.generation.scales import control_scale, scales
from jen1composer.generation.seams import splice
from jen1composer.tracks import SAMPLE_RATE, Role, task_id, task_prefix
from jen1composer.training.checkpoints import restore_ema
from jen1composer.training.codec import Codec
from jen1composer.training.text import TextEncoder, load_text_encoder
from jen1composer.training.workdir import ComposerSpec, read_spec

Progress = Callable[[int, int], None]  # windows that are done, and all


@dataclasses.dataclass(frozen=True, kw_only=True)
class Take:
    """One track of a piece."""

    role: Role
    audio: np.ndarray  # [sample, 2] float32 at 48 kHz
    latents: np.ndarray  # [frame, channel] float32
    holes: Holes = ()  # (start, end) in samples of what was made; the rest is as it came

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
    text_guidance: float  # what it was sampled with
    given_guidance: Mapping[str, float]  # of every given track
    control_guidance: float = 1.0

    @property
    def num_samples(self) -> int:
        return len(next(iter(self.takes.values())).audio)

    @property
    def mix(self) -> np.ndarray:
        """The sum of all takes, [sample, 2]."""
        return functools.reduce(operator.add, (take.audio for take in self.takes.values()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Composer:
    """The averaged weights of a composer with its autoencoder and its text encoder."""

    spec: ComposerSpec
    params: Any
    step: int
    codec: Codec
    text_encoder: TextEncoder

    @staticmethod
    def load(
        workdir: epath.PathLike | None = None, text_encoder: epath.PathLike | None = None
    ) -> 'Composer':
        """Loads a workdir of launch.train_composer, or what launch.export made of one: the same
        bits; by default the one that comes with the package. Raises BadInput for what is neither.

        `text_encoder` is the name of the text encoder it was trained with, where its folder moved.
        """
        workdir = epath.Path(workdir or packaged_composer())
        if is_export(workdir):
            return Composer(**read_export(workdir, text_encoder)._asdict())
        spec = read_spec(workdir)
        codec = Codec.load(workdir / 'autoencoder')
        if codec.fingerprint != spec.autoencoder_fingerprint:
            raise BadInput(f'{workdir}/autoencoder: not the one this composer was trained with')
        text = load_text_encoder(text_encoder or spec.text_encoder, max_tokens=spec.max_tokens)
        if text.fingerprint != spec.text_fingerprint:
            raise BadInput(
                f'{workdir}: was trained with the text encoder {spec.text_encoder} of fingerprint '
                f'{spec.text_fingerprint}; {text.name} has {text.fingerprint}'
            )
        params, step = restore_ema(workdir / 'checkpoints')
        return Composer(spec=spec, params=params, step=step, codec=codec, text_encoder=text)

    @functools.cached_property
    def device_params(self) -> Any:
        """`params` where they are worked with."""
        return jax.device_put(self.params)

    @property
    def num_parameters(self) -> int:
        return sum(leaf.size for leaf in jax.tree.leaves(self.params))

    def num_frames(self, seconds: float) -> int:
        """Frames that cover `seconds`: at least a window, and what the UNet takes.

        A piece shorter than a window is the beginning of one, so all windows have one shape.
        """
        frames = -(-round(seconds * SAMPLE_RATE) // self.spec.hop_samples)
        factor = self.spec.model.total_factor
        return max(self.spec.window_frames, -(-frames // factor) * factor)

    def make_row(self, row: Row) -> np.ndarray:
        """Latents [track, frame, channel] of one row, which is a batch of its own."""
        return sample_row(self.device_params, row, self.spec)

    def compose(
        self,
        request: Request,
        progress: Progress | None = None,
        *,
        make_row: MakeRow | None = None,
    ) -> Composition:
        """Makes the tracks that `request` asks for.

        Args:
            request: what to make.
            progress: see `long_form.walk`.
            make_row: samples a window; if not given, `self.make_row`.

        Raises:
            BadInput: where it cannot be made, naming the field.
            RunFailed: where samples come out that are not finite.
        """
        spec = self.spec
        parts = make_parts(request, spec.tracks)
        num_frames = self.num_frames(request.seconds)
        known = np.stack([part.known_frames(num_frames, spec.hop_samples) for part in parts])
        if not spec.model.spans and (known.any(axis=1) & ~known.all(axis=1)).any():
            logging.warning('This composer was not trained to fill in or continue tracks.')
        latents = long_form.walk(
            self._encode(parts, num_frames),  # (1)
            known,
            spec.window_frames,
            self._maker(request, make_row or self.make_row),  # (3)
            progress,
        )
        takes = {
            name: self._take(part, latents[k], request.seconds)  # (4)
            for k, (name, part) in enumerate(zip(spec.tracks, parts, strict=True))
            if part.role != Role.MARGINAL
        }
        for name, take in takes.items():
            if not np.isfinite(take.audio).all():
                raise RunFailed(f'track {name!r} came out with samples that are not finite')
        text_scale, given_scales = scales(request, spec.tracks)
        return Composition(
            takes=takes,
            step=self.step,
            text_guidance=text_scale,
            control_guidance=control_scale(request),
            given_guidance={
                name: scale
                for name, scale in zip(spec.tracks, given_scales, strict=True)
                if name in request.given
            },
        )

    def _encode(self, parts: Sequence[Part], num_frames: int) -> np.ndarray:
        """Latents of what there is, zeros elsewhere, [track, frame, channel]."""
        spec = self.spec
        clean = np.zeros((len(parts), num_frames, spec.model.latent_channels), np.float32)
        for k, part in enumerate(parts):
            if part.audio is not None:
                rest = num_frames * spec.hop_samples - len(part.audio)
                sound = np.pad(part.audio, ((0, rest), (0, 0)), mode='symmetric')
                clean[k] = self.codec.encode(sound[None, None])[0, 0]
        return clean

    def _take(self, part: Part, latents: np.ndarray, seconds: float) -> Take:
        """What became of `part`, whose latents are [frame, channel] now."""
        audio = part.audio
        if part.holes:
            made = self.codec.decode(latents[None, None])[0, 0, : round(seconds * SAMPLE_RATE)]
            audio = made if audio is None else splice(audio, made, part.holes)
        assert audio is not None  # a marginal track has no take
        return Take(role=part.role, audio=audio, latents=latents, holes=part.holes)

    def _maker(self, request: Request, make_row: MakeRow) -> long_form.Make:
        """What makes the windows of a request."""
        text = self._text(request.prompt, request.roles(self.spec.tracks))  # (2)
        window = make_windows(request, self.spec, text)

        def make(number: int, start: int, latents: np.ndarray, known: np.ndarray) -> np.ndarray:
            return make_row(window(number, start, latents, known))

        return make

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
