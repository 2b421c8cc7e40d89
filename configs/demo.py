"""The demo's composer: four tracks of Freedoom, 2 M parameters, two stages of the curriculum.

  python -m launch.train_composer --config=configs/demo.py --workdir=demo/composer \
      --config.data.latents=demo/latents --config.data.autoencoder=demo/autoencoder

A third of the examples each is text, inpainting and continuation. On two virtual CPU
cores of its own a step takes .16 to .27 s, as the day is: 2400 steps with validation are 7 to 12
minutes. Validation v-loss on text alone, the mean over five times, by step (a prediction of zero:
1.027):

  0: 1.027   600: .905   1200: .859   1800: .839   2400: .828

and at the end causal text .899, inpainting .823, continuation .883. In the first stage (to
step 800) the validation asks for what only the second one trains.

Muon's step costs half as much again as AdamW's and is worth it: after 600 steps of each, in one
experiment of two stages of 300, the validation was at .892 and .922.

`configs/demo.py:quick` is the same model for a fraction of the steps, for tests.
"""

from ml_collections import ConfigDict

from configs.loop import common_loop


def get_config(arg: str = '') -> ConfigDict:
    """`arg` is '' or 'quick'."""
    if arg not in ('', 'quick'):
        raise ValueError(f"argument {arg!r}; allowed are '' and 'quick'")
    quick = arg == 'quick'
    config = ConfigDict()
    config.seed = 0
    config.batch = 16
    config.accumulate = 1  # parts of a batch that are worked through one after another

    config.init_from = ''  # workdir of a composer whose averaged weights a new run begins with
    config.init_partial = False  # True: those that fit, where not all do
    config.trainable = ''  # regular expression found in the names of what trains; '': all

    config.data = ConfigDict()
    # From launch.encode_latents: a folder, or several mixed by weight, 'demo/latents:3,more:1'.
    config.data.latents = 'demo/latents'
    config.data.autoencoder = 'demo/autoencoder'  # workdir of launch.train_autoencoder
    config.data.window_frames = 128  # 5.12 s at 25 frames a second
    config.data.beat_aligned = False  # True: windows begin with a beat, where beats are known
    config.data.workers = 0  # processes that read; 0: threads of this one
    config.data.cache = ''  # folder to copy files to first; '': where they lie, if that is here

    # One track first, then up to all four: half of the weight is on the newest number, and the
    # rest is spread evenly over the earlier ones, which are retained.
    config.curriculum = ConfigDict()
    config.curriculum.stage_steps = (60, 60) if quick else (800, 1600)
    config.curriculum.target_shares = (
        (1, 0, 0, 0),  # of 1, 2, 3 and 4 targets
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
    config.model.channels = (128, 160, 192)
    config.model.factors = (1, 2, 2)
    config.model.blocks = (1, 1, 1)
    config.model.attentions = (0, 0, 1)
    config.model.head_width = 32
    config.model.feed_forward = 2
    config.model.condition_width = 128
    config.model.spans = True
    config.model.norm_groups = 1
    config.model.time_embedding = 'fixed'  # or learned
    config.model.use_prefix = True
    config.model.use_role_tokens = True
    config.model.control = False  # True: tempo, key and chords are told, where they are known
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
    config.optimizer.warmup_steps = 20 if quick else 100
    config.optimizer.schedule = 'linear'  # or cosine, constant, warmup_stable_decay, inverse_sqrt
    config.optimizer.stage_rates = ()  # what each stage multiplies the learning rate by
    config.optimizer.weight_decay = 0.01
    config.optimizer.clip_norm = 1.0
    config.optimizer.spike_factor = 0.0  # of the usual norm, above which a step is skipped; 0: none
    config.ema_decay = 0.99 if quick else 0.995

    config.sharding = ConfigDict()
    config.sharding.strategy = 'dp'  # or fsdp, tp, fsdp_tp, hybrid, sp
    config.sharding.mesh = ''  # 'data=2,fsdp=4'; '': as the strategy has it

    config.loop = common_loop()
    config.loop.log_every = 20 if quick else 50
    config.loop.evaluate_every = 60 if quick else 600
    config.loop.save_every_s = 30.0
    config.loop.keep_every_steps = 0  # steps between checkpoints kept for ever; 0: none
    config.loop.demo_every = 0  # steps between pieces made into demos/; 0: none
    config.validation_batches = 2 if quick else 4
    return config
