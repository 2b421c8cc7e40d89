"""What all tests share: eight devices, compiled programs kept on disk, and the same examples.

1. The CPU shows itself as eight devices, so that meshes are real; one that is not sharded runs on
   the first as it would without. This is a setting of this process alone: commands that a test
   starts in a process of their own see the machine as it is.
2. Programs that take long to compile are kept on disk between runs, for those processes as well.
3. Hypothesis draws the same few examples every time: a failure is the change's, not the day's.
"""

import os

import hypothesis
import jax

from launch import command

jax.config.update('jax_num_cpu_devices', 8)
os.environ['JAX_COMPILATION_CACHE_DIR'] = str(command.use_compilation_cache())

hypothesis.settings.register_profile('repeatable', deadline=None, max_examples=25, derandomize=True)
hypothesis.settings.load_profile('repeatable')
