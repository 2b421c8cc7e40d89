"""A small composer: all of Freedoom, 7.5 M parameters, four stages.

  python -m launch.prepare_data --source=freedoom --out=small/data --config=configs/prepare.py \
      --config.versions='((0,1.059463),(0,0.890899))'
  python -m launch.train_autoencoder --config=configs/small_autoencoder.py \
      --workdir=small/autoencoder --config.data=small/data
  python -m launch.encode_latents --autoencoder=small/autoencoder --data=small/data \
      --out=small/latents
  python -m launch.train_composer --config=configs/small.py --workdir=small/composer
  python -m launch.export --checkpoint=small/composer --out=small/export \
      --variants=bfloat16 --nofloat32 --latents=small/latents

It was the package's before configs/tonal.py. 48 songs to train on, each also a semitone higher
and two lower, faster and slower with it; 12 and 12 are held out and plain. Told tempo, key and
chords. On two virtual CPU cores that other work was using as well a step took .35 to 1.3 s: 1 h
20 min in steps. Its first 750 were on plain songs whose chords were not known yet, by latents of
another folder (--allow_data_change), and the autoencoder was trained on plain songs. Validation
v-loss on text alone, the mean over five times, by step (a prediction of zero: .954):

  0: .954   1000: .813   2000: .741   3000: .691   4000: .663   5000: .645   6000: .635

and at the end causal text .715, inpainting .616, continuation .688. It was still falling. Told
nothing of tempo, key and chords it is at .634: of what it cannot hear already, these tell it
nothing on songs that it does not know.

With AdamW (peak 1e-3, constant) the same network without control was at .887 after 1000 steps of
the first two stages, against .813.
"""

from ml_collections import ConfigDict

from configs.loop import common_loop


def get_config(arg: str = '') -> ConfigDict:
    """`arg` is ''."""
    if arg:
        raise ValueError(f"argument {arg!r}; allowed is ''")
    config = ConfigDict()
    config.seed = 0
    config.batch = 16
    config.accumulate = 1  # parts of a batch that are worked through one after another

    config.init_from = ''  # workdir of a composer whose averaged weights a new run begins with
    config.init_partial = False  # True: those that fit, where not all do
    config.trainable = ''  # regular expression found in the names of what trains; '': all

    config.data = ConfigDict()
    # From launch.encode_latents: a folder, or several mixed by weight, 'demo/latents:3,more:1'.
    config.data.latents = 'small/latents'
    config.data.autoencoder = 'small/autoencoder'  # workdir of launch.train_autoencoder
    config.data.window_frames = 128  # 5.12 s at 25 frames a second
    config.data.beat_aligned = False  # True: windows begin with a beat, where beats are known
    config.data.workers = 0  # processes that read; 0: threads of this one
    config.data.cache = ''  # folder to copy files to first; '': where they lie, if that is here

    # One track first, then up to all four: half of the weight is on the newest number, and the
    # rest is spread evenly over the earlier ones, which are retained.
    config.curriculum = ConfigDict()
    config.curriculum.stage_steps = (500, 500, 500, 4500)
    config.curriculum.target_shares = (
        (1, 0, 0, 0),  # of 1, 2, 3 and 4 targets
        (1, 1, 0, 0),
        (1, 1, 2, 0),
        (1, 1, 1, 3),
    )
    config.curriculum.transition = 'stepped'  # or linear
    config.curriculum.p_given = 0.5
    config.curriculum.kinds = (1, 1, 1)  # text, inpainting, continuation
    config.curriculum.p_causal = 0.5  # of text; inpainting never is, continuation always
    config.curriculum.shared_span = 0.5  # the rest hides each target somewhere else
    config.curriculum.min_span = 0.2  # of the window, hidden
    config.curriculum.max_span = 0.8
    config.curriculum.silent_targets = 1.0  # odds that a track that is silent is asked for

    config.model = ConfigDict()
    config.model.channels = (160, 224, 320)
    config.model.factors = (1, 2, 2)
    config.model.blocks = (1, 1, 2)
    config.model.attentions = (0, 1, 1)
    config.model.head_width = 32
    config.model.feed_forward = 2
    config.model.condition_width = 192
    config.model.spans = True
    config.model.norm_groups = 1
    config.model.time_embedding = 'fixed'  # or learned
    config.model.use_prefix = True
    config.model.use_role_tokens = True
    config.model.control = True  # True: tempo, key and chords are told, where they are known
    config.model.dtype = 'float32'
    config.model.remat = 'none'  # or block, full

    config.diffusion = ConfigDict()
    config.diffusion.prediction = 'v'
    config.diffusion.schedule = 'cosine'
    config.diffusion.time_sampling = 'uniform'
    config.diffusion.weighting = 'uniform'
    config.diffusion.prompt_dropout = 0.2
    config.diffusion.control_dropout = 0.3  # of tempo, key and chords, each by itself
    config.diffusion.control_null = 0.2  # of all three

    config.optimizer = ConfigDict()
    config.optimizer.name = 'muon'
    config.optimizer.peak_learning_rate = 1e-3
    config.optimizer.warmup_steps = 100
    config.optimizer.schedule = 'linear'  # or cosine, constant, warmup_stable_decay, inverse_sqrt
    config.optimizer.stage_rates = ()  # what each stage multiplies the learning rate by
    config.optimizer.weight_decay = 0.01
    config.optimizer.clip_norm = 1.0
    config.optimizer.spike_factor = 0.0  # of the usual norm, above which a step is skipped; 0: none
    config.ema_decay = 0.998

    config.sharding = ConfigDict()
    config.sharding.strategy = 'dp'  # or fsdp, tp, fsdp_tp, hybrid, sp
    config.sharding.mesh = ''  # 'data=2,fsdp=4'; '': as the strategy has it

    config.loop = common_loop()
    config.loop.log_every = 50
    config.loop.evaluate_every = 500
    config.loop.save_every_s = 200.0
    config.loop.keep_every_steps = 0  # steps between checkpoints kept for ever; 0: none
    config.loop.demo_every = 0  # steps between pieces made into demos/; 0: none
    config.validation_batches = 4
    return config
