"""Flags of XLA by name, for --xla_preset=NAME of the training commands; none unless one is named.

What they bring depends on the model and the machine, so each is to be measured. Flags that are set
already, in the variable that the preset would set, stay as they are.

`gpu_deterministic` makes a run on the same GPUs repeat bit for bit, slower: reductions without
atomics, and no kernel chosen by how fast it was just now. The CPU does so without it; over other
numbers of devices or hosts sums are taken in another order, and agree as far as rounding does.
"""

import dataclasses
import os
from collections.abc import Mapping

from absl import flags

from jen1composer.errors import BadInput


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """Flags for one variable of the environment, `--name=value` each, and who recommends them."""

    variable: str  # XLA_FLAGS or LIBTPU_INIT_ARGS
    flags: tuple[str, ...]
    source: str


MAXTEXT = 'https://github.com/AI-Hypercomputer/maxtext/blob/main/benchmarks/xla_flags_library.py'
JAX_TOOLBOX = 'https://github.com/NVIDIA/JAX-Toolbox/blob/main/docs/GPU_performance.md'

PRESETS: Mapping[str, Preset] = {
    # All-gathers beside computation: where weights are split (fsdp).
    'tpu_async_all_gather': Preset(
        variable='LIBTPU_INIT_ARGS',
        flags=(
            '--xla_tpu_enable_async_collective_fusion=true',
            '--xla_tpu_enable_async_collective_fusion_fuse_all_gather=true',
            '--xla_tpu_enable_async_collective_fusion_multiple_steps=true',
            '--xla_tpu_overlap_compute_collective_tc=true',
            '--xla_enable_async_all_gather=true',
        ),
        source=MAXTEXT,
    ),
    # All-reduces beside computation: where weights are whole (dp).
    'tpu_async_all_reduce': Preset(
        variable='LIBTPU_INIT_ARGS',
        flags=(
            '--xla_tpu_enable_async_collective_fusion=true',
            '--xla_tpu_enable_async_collective_fusion_fuse_all_reduce=true',
            '--xla_tpu_enable_async_collective_fusion_multiple_steps=true',
            '--xla_tpu_overlap_compute_collective_tc=true',
            '--xla_enable_async_all_reduce=true',
        ),
        source=MAXTEXT,
    ),
    # Gradients over the network between slices (hybrid), beside the steps around.
    'tpu_multislice': Preset(
        variable='LIBTPU_INIT_ARGS',
        flags=(
            '--xla_tpu_enable_data_parallel_all_reduce_opt=true',
            '--xla_tpu_data_parallel_opt_different_sized_ops=true',
        ),
        source=MAXTEXT,
    ),
    # Collectives beside computation, and pipelined over the iterations of loops.
    'gpu_latency_hiding': Preset(
        variable='XLA_FLAGS',
        flags=(
            '--xla_gpu_enable_latency_hiding_scheduler=true',
            '--xla_gpu_enable_pipelined_all_reduce=true',
            '--xla_gpu_enable_pipelined_all_gather=true',
            '--xla_gpu_enable_pipelined_reduce_scatter=true',
        ),
        source=JAX_TOOLBOX,
    ),
    'gpu_deterministic': Preset(
        variable='XLA_FLAGS',
        flags=('--xla_gpu_deterministic_ops=true', '--xla_gpu_autotune_level=0'),
        source='https://github.com/openxla/xla/blob/main/xla/debug_options_flags.cc',
    ),
}

_PRESET = flags.DEFINE_enum(
    'xla_preset', None, sorted(PRESETS), 'Flags of XLA, see launch/xla_presets.py.'
)


def apply() -> None:
    """Sets what --xla_preset names, if it does; before JAX has touched a device."""
    if _PRESET.value is not None:
        os.environ.update(changes(_PRESET.value, os.environ))


def changes(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What the preset `name` makes of the variables of `environment`: those that it changes.

    Raises BadInput where XLA_FLAGS names a file, which nothing can be added to.
    """
    preset = PRESETS[name]
    there = environment.get(preset.variable, '').strip()
    if there and not there.startswith('-'):
        raise BadInput(
            f'--xla_preset={name}: {preset.variable}={there} is not a list of --flag=value, which '
            'is what is allowed beside a preset'
        )
    taken = {_name(flag) for flag in there.split()}
    added = [flag for flag in preset.flags if _name(flag) not in taken]
    return {preset.variable: ' '.join([*added, *there.split()])} if added else {}


def _name(flag: str) -> str:
    return flag.partition('=')[0].lstrip('-')
