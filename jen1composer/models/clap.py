"""LAION-CLAP: sound and words in one space, where what belongs together points the same way.

With an HTSAT h of a log-mel spectrogram X and the states s of a RoBERTa of a text t, whose first
token marks its start,

(1) audio(X) = unit(relu(h(X) A_1 + a_1) A_2 + a_2)
(2) text(t)  = unit(relu(p T_1 + t_1) T_2 + t_2),  p = tanh(s_0 P + b)
(3) unit(x)  = x / |x|

so that the cosine between the two is their product. RoBERTa is a BERT (`minilm`) that counts its
positions from one above the padding's number: the table's rows up to there are used by nothing but
padding, and not kept here.

Sources: Wu et al. 2023 (LAION-CLAP, arXiv 2211.06687), Liu et al. 2019 (RoBERTa).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jen1composer.errors import require
from jen1composer.models.htsat import HTSAT, HTSATConfig
from jen1composer.models.minilm import MiniLM

ONLY = {  # what else a config.json may say, and all that it may: the other ways are not written
    'text_config': {'hidden_act': 'gelu', 'type_vocab_size': 1},
    'audio_config': {
        'hidden_act': 'gelu',
        'enable_fusion': False,
        'enable_patch_layer_norm': True,
        'qkv_bias': True,
        'patch_embed_input_channels': 1,
    },
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RobertaConfig:
    """Sizes of a RoBERTa, by the names of a CLAP's `text_config`; the defaults are published.

    Raises BadInput, naming the field, for sizes that cannot be.
    """

    vocab_size: int = 50265
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    max_position_embeddings: int = 514
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 1

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            size = getattr(self, field.name)
            if field.type is int and field.name != 'pad_token_id':
                ok = isinstance(size, int) and size > 0
                require(ok, field.name, size, 'are whole numbers from 1')
        pad, heads = self.pad_token_id, self.num_attention_heads
        ok = isinstance(pad, int) and 0 <= pad < self.max_position_embeddings - 1
        require(ok, 'pad_token_id', pad, f'are 0 to {self.max_position_embeddings - 2}')
        require(self.hidden_size % heads == 0, 'num_attention_heads', heads, 'divide hidden_size')

    @property
    def positions(self) -> int:
        """How many tokens a text may have."""
        return self.max_position_embeddings - self.pad_token_id - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClapConfig:
    """Sizes of a CLAP; the defaults are those of laion/clap-htsat-unfused."""

    audio: HTSATConfig = dataclasses.field(default_factory=HTSATConfig)
    text: RobertaConfig = dataclasses.field(default_factory=RobertaConfig)
    projection_dim: int = 512  # width of the common space


def config_from_hugging_face(value: Mapping[str, Any]) -> ClapConfig:
    """The config from what a `config.json` holds.

    Raises BadInput where it is not of a CLAP, or of one with another audio encoder or activation.
    """
    require(value.get('model_type') == 'clap', 'model_type', value.get('model_type'), "is 'clap'")
    act = value.get('projection_hidden_act', 'relu')
    require(act == 'relu', 'projection_hidden_act', act, "is 'relu'")
    for part, only in ONLY.items():
        require(
            isinstance(value.get(part), Mapping),
            part,
            value.get(part),
            'are the sizes of an encoder',
        )
        for name, allowed in only.items():
            said = value[part].get(name, allowed)
            require(said == allowed, f'{part}.{name}', said, f'is {allowed!r}')
    audio, text = value['audio_config'], value['text_config']
    config = ClapConfig(
        audio=HTSATConfig(**_sizes(HTSATConfig, audio)),
        text=RobertaConfig(**_sizes(RobertaConfig, text)),
        projection_dim=value.get('projection_dim', 512),
    )
    stride = audio.get('patch_stride', config.audio.patch_size)
    strides = {*stride} if isinstance(stride, (list, tuple)) else {stride}
    allowed = config.audio.patch_size
    require(strides == {allowed}, 'audio_config.patch_stride', stride, f'is patch_size, {allowed}')
    width = audio.get('hidden_size', config.audio.width)
    require(
        width == config.audio.width, 'audio_config.hidden_size', width, f'is {config.audio.width}'
    )
    return config


def _sizes(config: type, said: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of the fields of `config`, lists as tuples."""
    names = [field.name for field in dataclasses.fields(config) if field.name in said]
    return {
        name: tuple(said[name]) if isinstance(said[name], list) else said[name] for name in names
    }


def unit(x: jax.Array) -> jax.Array:
    """Equation (3)."""
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True).clip(1e-12)


class ClapAudio(nn.Module):
    """Equation (1): `[example, frame, mel]` dB -> `[example, projection_dim]`, unit length."""

    config: ClapConfig

    @nn.compact
    def __call__(self, spectrogram: jax.Array) -> jax.Array:
        x = HTSAT(self.config.audio, name='htsat')(spectrogram)
        x = jax.nn.relu(nn.Dense(self.config.projection_dim, name='project')(x))
        return unit(nn.Dense(self.config.projection_dim, name='project_out')(x))


class ClapText(nn.Module):
    """Equation (2): `[text, token]` int32 and its mask -> `[text, projection_dim]`, unit length."""

    config: ClapConfig

    @nn.compact
    def __call__(self, tokens: jax.Array, mask: jax.Array) -> jax.Array:
        c = self.config.text
        roberta = MiniLM(
            vocabulary=c.vocab_size,
            positions=c.positions,
            width=c.hidden_size,
            hidden=c.intermediate_size,
            heads=c.num_attention_heads,
            layers=c.num_hidden_layers,
            epsilon=c.layer_norm_eps,
            name='roberta',
        )
        x = jnp.tanh(nn.Dense(c.hidden_size, name='pool')(roberta(tokens, mask)[:, 0]))
        x = jax.nn.relu(nn.Dense(self.config.projection_dim, name='project')(x))
        return unit(nn.Dense(self.config.projection_dim, name='project_out')(x))


def weight_names(config: ClapConfig) -> dict[str, str]:
    """Where Hugging Face keeps the weights: 'audio/' or 'text/' and path here -> name there.

    `from_hugging_face` turns what lies there into what is used here.
    """
    return _audio_names(config.audio) | _text_names(config.text)


def from_hugging_face(path: str, weight: np.ndarray, config: ClapConfig) -> np.ndarray:
    """A weight of `weight_names` as it is used here."""
    if path.endswith('/kernel'):  # [out, in], or of the patches [out, 1, row, column]
        return weight.reshape(len(weight), -1).T
    if path == 'text/roberta/positions':
        return weight[config.text.pad_token_id + 1 :]
    return weight[0] if path == 'text/roberta/segment' else weight


def hugging_face_shape(path: str, shape: tuple[int, ...], config: ClapConfig) -> tuple[int, ...]:
    """The shape there of a weight whose shape here is `shape`."""
    if path == 'audio/htsat/patch/kernel':
        return (shape[1], 1, config.audio.patch_size, config.audio.patch_size)
    if path == 'text/roberta/positions':
        return (config.text.max_position_embeddings, shape[1])
    if path == 'text/roberta/segment':
        return (1, *shape)
    return shape[::-1] if path.endswith('/kernel') else shape


def _dense(ours: str, theirs: str) -> dict[str, str]:
    return {f'{ours}/kernel': f'{theirs}.weight', f'{ours}/bias': f'{theirs}.bias'}


def _norm(ours: str, theirs: str) -> dict[str, str]:
    return {f'{ours}/scale': f'{theirs}.weight', f'{ours}/bias': f'{theirs}.bias'}


def _audio_names(config: HTSATConfig) -> dict[str, str]:
    ours, theirs = 'audio/htsat', 'audio_model.audio_encoder'
    batch_norm = {'scale': 'weight', 'bias': 'bias', 'mean': 'running_mean'}
    names = {
        f'{ours}/mel_{a}': f'{theirs}.batch_norm.{b}'
        for a, b in (batch_norm | {'variance': 'running_var'}).items()
    }
    names |= _dense(f'{ours}/patch', f'{theirs}.patch_embed.proj')
    names |= _norm(f'{ours}/patch_norm', f'{theirs}.patch_embed.norm')
    for i, blocks in enumerate(config.depths):
        if i:
            merge = f'{theirs}.layers.{i - 1}.downsample'
            names |= _norm(f'{ours}/merge_norm_{i}', f'{merge}.norm')
            names[f'{ours}/merge_{i}/kernel'] = f'{merge}.reduction.weight'
        for j in range(blocks):
            block, attention = f'{theirs}.layers.{i}.blocks.{j}', f'{ours}/attention_{i}_{j}'
            for name in ('query', 'key', 'value'):
                names |= _dense(f'{attention}/{name}', f'{block}.attention.self.{name}')
            names |= _dense(f'{attention}/out', f'{block}.attention.output.dense')
            table = f'{block}.attention.self.relative_position_bias_table'
            names[f'{attention}/offsets'] = table
            names |= _norm(f'{ours}/attention_norm_{i}_{j}', f'{block}.layernorm_before')
            names |= _norm(f'{ours}/hidden_norm_{i}_{j}', f'{block}.layernorm_after')
            names |= _dense(f'{ours}/hidden_{i}_{j}', f'{block}.intermediate.dense')
            names |= _dense(f'{ours}/out_{i}_{j}', f'{block}.output.dense')
    names |= _norm(f'{ours}/norm', f'{theirs}.norm')
    names |= _dense('audio/project', 'audio_projection.linear1')
    return names | _dense('audio/project_out', 'audio_projection.linear2')


def _text_names(config: RobertaConfig) -> dict[str, str]:
    ours, theirs = 'text/roberta', 'text_model.embeddings'
    names = {
        f'{ours}/words/embedding': f'{theirs}.word_embeddings.weight',
        f'{ours}/positions': f'{theirs}.position_embeddings.weight',
        f'{ours}/segment': f'{theirs}.token_type_embeddings.weight',
    } | _norm(f'{ours}/norm', f'{theirs}.LayerNorm')
    for i in range(config.num_hidden_layers):
        layer = f'text_model.encoder.layer.{i}'
        for name in ('query', 'key', 'value'):
            names |= _dense(f'{ours}/attention_{i}/{name}', f'{layer}.attention.self.{name}')
        names |= _dense(f'{ours}/attention_{i}/out', f'{layer}.attention.output.dense')
        names |= _norm(f'{ours}/attention_norm_{i}', f'{layer}.attention.output.LayerNorm')
        names |= _dense(f'{ours}/hidden_{i}', f'{layer}.intermediate.dense')
        names |= _dense(f'{ours}/out_{i}', f'{layer}.output.dense')
        names |= _norm(f'{ours}/out_norm_{i}', f'{layer}.output.LayerNorm')
    names |= _dense('text/pool', 'text_model.pooler.dense')
    names |= _dense('text/project', 'text_projection.linear1')
    return names | _dense('text/project_out', 'text_projection.linear2')
