"""Other songs for the demo's composer: it goes on from its weights, on latents it has not seen.

  python -m launch.prepare_data --source=stems:my_songs --out=finetune/data
  python -m launch.encode_latents --autoencoder=demo/autoencoder --data=finetune/data \
      --out=finetune/latents
  python -m launch.train_composer --config=configs/finetune.py --workdir=finetune/composer

With twelve songs of Freedoom that the demo did not use, 8 of them to train on, from the demo's
finished weights (all 80 are taken) in 98 s on two CPU cores; validation losses on the 2 held-out
songs, two batches of each kind (--config.validation_batches=2), by step:

  0:   text .814   causal text .885   inpainting .806   continuation .869
  100:      .771               .836              .762                .820
  200:      .768               .832              .758                .816
"""

from ml_collections import ConfigDict

from configs import demo


def get_config(arg: str = '') -> ConfigDict:
    """`arg` must be ''."""
    if arg:
        raise ValueError(f"argument {arg!r}; allowed is ''")
    config = demo.get_config()
    config.init_from = 'demo/composer'
    # config.trainable = 'Attention' would train the attention alone; any regular expression.

    config.data.latents = 'finetune/latents'  # 'demo/latents:1,finetune/latents:3' forgets less
    config.data.autoencoder = 'demo/autoencoder'  # the one that init_from was trained with

    # One stage, the demo's last: what the earlier ones taught is there.
    config.curriculum.stage_steps = (200,)
    config.curriculum.target_shares = ((1, 1, 1, 3),)

    config.optimizer.schedule = 'cosine'
    config.optimizer.peak_learning_rate = 3e-4  # a third of the demo's
    config.optimizer.floor = 0.0
    config.optimizer.warmup_steps = 20
    config.optimizer.spike_factor = 5.0
    config.ema_decay = 0.98

    config.loop.log_every = 20
    config.loop.evaluate_every = 100
    return config
