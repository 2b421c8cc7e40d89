"""Routes of the autoencoder alone: sound to latents, as safetensors, and back."""

import numpy as np
import safetensors
import safetensors.numpy
from fastapi import APIRouter, Request, Response

from jen1composer.errors import BadInput
from jen1composer.generation.stems import encode_sound, fit_full_scale
from jen1composer.serving import sound
from jen1composer.serving.bodies import Bodies
from jen1composer.serving.problems import responses
from jen1composer.serving.service import Service
from jen1composer.tracks import SAMPLE_RATE

FILE = {'requestBody': {'content': {'application/octet-stream': {}}, 'required': True}}


def router(service: Service, bodies: Bodies) -> APIRouter:
    router = APIRouter(prefix='/api', tags=['autoencoder'])
    codec, limits = service.composer.codec, service.limits

    @router.post(
        '/encode',
        responses=responses(408, 413, 429) | {200: {'content': {'application/octet-stream': {}}}},
        response_class=Response,
        openapi_extra=FILE,
    )
    async def encode(request: Request) -> Response:
        """The latents [frame, channel] of a sound file, as `latents` of a safetensors file."""
        data = await bodies.read(request)
        return await service.heavy(encoded, data)

    def encoded(data: bytes) -> Response:
        audio, rate = sound.decode(data, 'file', limit_s=limits.upload_s)
        audio = sound.conform(audio, rate, 'file')
        latents = codec.encode(audio[None, None])[0, 0]
        facts = {'hop_samples': str(codec.hop_samples), 'sample_rate': str(SAMPLE_RATE)}
        facts |= {'samples': str(len(audio)), 'autoencoder': codec.fingerprint}
        body = safetensors.numpy.save({'latents': np.ascontiguousarray(latents)}, metadata=facts)
        return Response(body, media_type='application/octet-stream')

    @router.post(
        '/decode',
        responses=responses(408, 413, 429) | {200: {'content': {'audio/flac': {}}}},
        response_class=Response,
        openapi_extra=FILE,
    )
    async def decode(request: Request) -> Response:
        """The sound of `latents` [frame, channel] of a safetensors file."""
        data = await bodies.read(request)
        return await service.heavy(decoded, data)

    def decoded(data: bytes) -> Response:
        latents = _latents(data, codec.latent_channels)
        seconds = len(latents) * codec.hop_samples / SAMPLE_RATE
        if seconds > limits.upload_s:
            raise BadInput(f'latents: {seconds:.1f} s; allowed are up to {limits.upload_s:g} s')
        audio = codec.decode(latents[None, None])[0, 0]
        if not np.isfinite(audio).all():
            raise BadInput('latents: they decode to what is no sound; give those of sound')
        return Response(
            encode_sound(fit_full_scale(audio)[0], SAMPLE_RATE, 'flac'), media_type='audio/flac'
        )

    return router


def _latents(data: bytes, channels: int) -> np.ndarray:
    """float32 [frame, channel]; raises BadInput for anything else."""
    try:
        arrays = safetensors.numpy.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f'file: is no safetensors file ({error})') from error
    latents = arrays.get('latents')
    if latents is None or latents.dtype != np.float32 or latents.ndim != 2:
        raise BadInput('latents: needed is a float32 array [frame, channel] of this name')
    if latents.shape[1] != channels or not len(latents):
        raise BadInput(f'latents: shape {latents.shape}; allowed are [frame, {channels}]')
    if not np.isfinite(latents).all():
        raise BadInput('latents: hold what is not a finite number')
    return latents
