"""How many requests a second an engine makes, beside one after the other, and how long each waits.

A number of clients ask for a piece of one window each, and for the next as soon as the last is
there (a closed loop). The same clients are served twice:

    one by one    `Composer.compose`, a request at a time, in the order of arrival
    engine        `Engine.compose`, at each number of slots that is asked for

A latency is the time from asking to the finished sound, waiting included; what compiles does so
before the clock starts. Seconds of music a second is how much faster than playback all are served.
The processor time of a request tells, where the processor is the device, what the work costs on a
machine that others use as well.
"""

import concurrent.futures
import os
import resource
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from configs import demo, demo_autoencoder
from jen1composer.diffusion.batch import Task, Text
from jen1composer.diffusion.prediction import Prediction
from jen1composer.evaluation.page import Table
from jen1composer.generation.composer import Composer
from jen1composer.generation.request import Request
from jen1composer.models.unet import UNet, UNetConfig
from jen1composer.serving.engine import Engine
from jen1composer.tracks import SAMPLE_RATE, TRACKS
from jen1composer.training.codec import Codec
from jen1composer.training.text import load_minilm
from jen1composer.training.workdir import ComposerSpec, unet_config
from launch.autoencoder_sections import make_autoencoder

ONE_BY_ONE = 'one by one'
MAX_TOKENS = 48  # of a prompt, as the demo has it
PROMPTS = ('dark driving rock', 'slow jazz in A minor', 'bright electronic pop', 'solo piano')

Found = dict[str, Any]  # JSON
Serve = Callable[[Request], object]


def demo_sized() -> Composer:
    """A composer of the demo's shape with random weights: it takes the time, and makes noise."""
    config, autoencoder = demo.get_config(), make_autoencoder(demo_autoencoder.get_config())
    hop = autoencoder.config.hop_samples
    sound = jnp.zeros((1, hop, 2))
    codec = Codec.plain(autoencoder.config, _random_params(autoencoder, sound))
    text = load_minilm(MAX_TOKENS)
    model = unet_config(
        config.model.to_dict()
        | {
            'num_tracks': len(TRACKS),
            'latent_channels': codec.latent_channels,
            'text_width': text.width,
        }
    )
    spec = ComposerSpec(
        tracks=TRACKS,
        model=model,
        prediction=Prediction.V,
        window_frames=config.data.window_frames,
        hop_samples=hop,
        max_tokens=MAX_TOKENS,
        autoencoder_fingerprint=codec.fingerprint,
        text_fingerprint=text.fingerprint,
    )
    params = _random_params(UNet(model), *_inputs(model, spec.window_frames))
    return Composer(spec=spec, params=params, step=0, codec=codec, text_encoder=text)


def composer_of(checkpoint: epath.PathLike | None) -> Composer:
    """The composer in a folder, or without one `demo_sized`."""
    return demo_sized() if checkpoint is None else Composer.load(checkpoint)


def measure_engine(
    composer: Composer,
    *,
    clients: Sequence[int],
    slots: Sequence[int],
    requests: int,
    num_steps: int,
    progress: Callable[..., Iterable[Any]],
) -> Found:
    """Every number of clients, one by one and with every number of slots.

    Args:
        composer: that serves.
        clients: how many ask at a time.
        slots: of the engines.
        requests: at each number of clients, or one for each client where these are more.
        num_steps: of the sampler.
        progress: `launch.command.progress`.
    """
    one = threading.Lock()

    def one_by_one(request: Request) -> object:
        with one:
            return composer.compose(request)

    window_s = composer.spec.window_frames * composer.spec.hop_samples / SAMPLE_RATE

    def asked(number: int) -> Request:
        prompt = PROMPTS[number % len(PROMPTS)]
        return Request(prompt=prompt, seconds=window_s, seed=number, num_steps=num_steps)

    rows = []
    one_by_one(asked(0))  # compiles
    for count in progress(clients, desc=ONE_BY_ONE):
        row = _load(one_by_one, asked, count, max(requests, count), window_s)
        rows.append({'served': ONE_BY_ONE, 'slots': None, **row})
    for number in slots:
        with Engine(composer, slots=number) as engine:
            engine.compose(asked(0))
            for count in progress(clients, desc=f'engine, {number} slots'):
                row = _load(engine.compose, asked, count, max(requests, count), window_s)
                rows.append({'served': 'engine', 'slots': number, **row})
    return {
        'device': jax.devices()[0].device_kind,
        'cores': os.cpu_count(),
        'parameters': composer.num_parameters,
        'steps': num_steps,
        'window_s': window_s,
        'rows': rows,
    }


def tables(found: Found) -> list[Table]:
    """The same for people."""
    rows = [
        [
            row['served'] if row['slots'] is None else f'{row["served"]}, {row["slots"]} slots',
            f'{row["clients"]}',
            f'{row["requests_per_s"]:.2f}',
            f'{row["music_s_per_s"]:.1f}',
            *(f'{row[name]:.2f}' for name in ('p50_s', 'p95_s', 'p99_s', 'cpu_s_per_request')),
            f'{row["peak_mib"]:,.0f}',
        ]
        for row in found['rows']
    ]
    title = (
        f'Serving: {found["window_s"]:.2f} s of music a request, {found["steps"]} steps, '
        f'{found["parameters"] / 1e6:.1f} M parameters, {found["device"]}'
    )
    latencies = ('P50 s', 'P95 s', 'P99 s')
    header = ('served', 'clients', 'requests/s', 'music s/s', *latencies, 'CPU s', 'peak MiB')
    return [Table(title=title, header=header, rows=rows)]


def _load(
    serve: Serve, asked: Callable[[int], Request], clients: int, requests: int, window_s: float
) -> Mapping[str, Any]:
    """What `clients` see that ask for `requests` pieces in all."""

    def client(first: int) -> list[float]:
        latencies = []
        for number in range(first, requests, clients):
            began = time.monotonic()
            serve(asked(number))
            latencies.append(time.monotonic() - began)
        return latencies

    began, cpu_began = time.monotonic(), time.process_time()
    with concurrent.futures.ThreadPoolExecutor(clients) as threads:
        latencies = [each for some in threads.map(client, range(clients)) for each in some]
    took, cpu_s = time.monotonic() - began, time.process_time() - cpu_began
    p50, p95, p99 = np.percentile(latencies, (50, 95, 99)).tolist()
    return {
        'clients': clients,
        'requests': requests,
        'requests_per_s': requests / took,
        'music_s_per_s': requests * window_s / took,
        'cpu_s_per_request': cpu_s / requests,
        'p50_s': p50,
        'p95_s': p95,
        'p99_s': p99,
        'peak_mib': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _random_params(network: nn.Module, *inputs: Any) -> Any:
    """Parameters for `inputs`: normal with a deviation of .02, so that nothing is zero."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(lambda: nn.unbox(network.init(jax.random.key(0), *inputs)['params']))
    return jax.tree.map(lambda leaf: 0.02 * rng.standard_normal(leaf.shape, np.float32), shapes)


def _inputs(model: UNetConfig, num_frames: int) -> tuple[Any, ...]:
    """What a UNet takes: latents, times, what is shown, the task and the text."""
    tracks, tokens = model.num_tracks, (1, 4)
    latents = np.zeros((1, tracks, num_frames, model.latent_channels), np.float32)
    states, mask = np.zeros((*tokens, model.text_width), np.float32), np.ones(tokens, bool)
    task = Task(
        roles=np.zeros((1, tracks), np.int32),
        visible=np.zeros((1, tracks, num_frames), bool),
        causal=np.zeros(1, bool),
    )
    text = Text(
        prompt=states,
        prompt_mask=mask,
        use_prompt=np.ones(1, bool),
        prefix=states,
        prefix_mask=mask,
    )
    return latents, np.ones((1, tracks), np.float32), latents, task, text
