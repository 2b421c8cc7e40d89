"""What the loops of the configs have in common: what they write down, and how hosts agree.

Nothing here changes what is learnt. Each key can be set on the command line like any other, such as
--config.loop.dump_hlo=True; see `jen1composer.training.loop.LoopConfig`.
"""

from ml_collections import ConfigDict


def common_loop() -> ConfigDict:
    """The section `loop` of a config, but for how long it is and what is done how often."""
    loop = ConfigDict()
    loop.agree_every = 10  # steps between what several hosts agree on: to save, to stop
    loop.keep = 2  # newest checkpoints that stay
    loop.prefetch = True  # the next batch is placed on the devices while a step runs
    loop.writers = ''  # beside metrics.jsonl: 'tensorboard,wandb'
    loop.watchdog_s = 1800.0  # stacks.txt says where it hangs if no step ends; 0: never
    loop.profile_from = 0  # step; at the earliest the third one of a start
    loop.profile_steps = 0  # into profile/; 0: none, but 5 on SIGUSR1
    loop.dump_hlo = False  # the compiled step, to hlo.txt
    loop.synthetic_batches = False  # one batch again and again, to time steps; saves nothing
    return loop
