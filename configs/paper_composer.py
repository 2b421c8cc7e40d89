"""A composer of the paper's size: four tracks of 128 channels at 150 Hz, 743.7 M parameters.

  python -m launch.train_composer --config=configs/paper_composer.py --workdir=composer \
      --config.data.latents=latents --config.data.autoencoder=autoencoder

From the papers: a UNet of about 746 M parameters that works in both modes, cross-attention of width
1024, shown latents and their mask as input channels, a third each of text, inpainting and
continuation with spans of 20 to 80 %, one to all tracks, the prompt dropped in a fifth of the
examples, AdamW at 3e-5 falling linearly, 200 000 steps. Ours: how width, depth and attention are
spread over the levels, v-prediction on a cosine schedule, the stages, the batch, warm-up, clipping
and averaging. For accelerators; it has not been trained, only built.

  python -m launch.describe --config=configs/paper_composer.py \
      --latent_channels=128 --text_width=1024

prints 743,708,160 parameters with text states 1024 wide (FLAN-T5 large); per example .29 TFLOP for
a forward pass and 1.04 with its gradient. Weights, average and moments are 11.9 GB, the gradient
3.0 GB, and what it keeps of the forward pass .06 GB per example (1.2 GB with remat 'none').
"""

from ml_collections import ConfigDict

from configs.loop import common_loop


def get_config(arg: str = '') -> ConfigDict:
    """`arg` must be ''."""
    if arg:
        raise ValueError(f"argument {arg!r}; allowed is ''")
    config = ConfigDict()
    config.seed = 0
    config.batch = 128
    config.accumulate = 1  # parts of a batch that are worked through one after another

    config.init_from = ''  # workdir of a composer whose averaged weights a new run begins with
    config.init_partial = False  # True: those that fit, where not all do
    config.trainable = ''  # regular expression found in the names of what trains; '': all

    config.data = ConfigDict()
    config.data.latents = 'latents'  # from launch.encode_latents; or mixed, 'a:3,b:1'
    config.data.autoencoder = 'autoencoder'  # workdir of launch.train_autoencoder
    config.data.window_frames = 1536  # 10.24 s at 150 frames a second
    config.data.beat_aligned = False
    config.data.workers = 0  # processes that read; 0: threads of this one
    config.data.cache = ''  # folder to copy files to first; '': where they lie, if that is here

    # One track first, then up to all four: half of the weight is on the newest number, and the
    # rest is spread evenly over the earlier ones, which are retained.
    config.curriculum = ConfigDict()
    config.curriculum.stage_steps = (50_000, 50_000, 50_000, 50_000)
    config.curriculum.target_shares = (
        (1, 0, 0, 0),  # of 1, 2, 3 and 4 targets
        (1, 1, 0, 0),
        (1, 1, 2, 0),
        (1, 1, 1, 3),
    )
    config.curriculum.transition = 'stepped'  # or linear
    config.curriculum.p_given = 0.5
    config.curriculum.kinds = (1.0, 1.0, 1.0)  # text, inpainting, continuation
    config.curriculum.p_causal = 0.5  # of text
    config.curriculum.shared_span = 0.5  # the rest hides each target somewhere else
    config.curriculum.min_span = 0.2
    config.curriculum.max_span = 0.8
    config.curriculum.silent_targets = 1.0  # odds that a track that is silent is asked for

    # Levels read downwards: 150, 75, 38, 19 and 9 frames a second.
    config.model = ConfigDict()
    config.model.spans = True
    config.model.channels = (512, 768, 1024, 1536, 1536)
    config.model.factors = (1, 2, 2, 2, 2)
    config.model.blocks = (2, 2, 2, 2, 4)
    config.model.attentions = (0, 0, 1, 1, 2)
    config.model.norm_groups = 8  # two of each track at the ends
    config.model.head_width = 64
    config.model.feed_forward = 4
    config.model.context_width = 1024
    config.model.condition_width = 1024
    config.model.time_embedding = 'fixed'  # or learned
    config.model.time_frequencies = 128
    config.model.use_prefix = True
    config.model.use_role_tokens = True
    config.model.control = False  # True: tempo, key and chords are told, where they are known
    config.model.dtype = 'bfloat16'
    config.model.remat = 'block'

    config.diffusion = ConfigDict()
    config.diffusion.prediction = 'v'
    config.diffusion.prompt_dropout = 0.2
    config.diffusion.control_dropout = 0.3  # of tempo, key and chords, each by itself
    config.diffusion.control_null = 0.2  # of all three

    config.optimizer = ConfigDict()
    config.optimizer.name = 'adamw'
    config.optimizer.peak_learning_rate = 3e-5
    config.optimizer.floor = 0.0
    config.optimizer.warmup_steps = 2000
    config.optimizer.schedule = 'linear'  # or cosine, constant, warmup_stable_decay, inverse_sqrt
    config.optimizer.stage_rates = ()  # what each stage multiplies the learning rate by
    config.optimizer.weight_decay = 0.01
    config.optimizer.clip_norm = 1.0
    config.optimizer.spike_factor = 0.0  # of the usual norm, above which a step is skipped; 0: none
    config.ema_decay = 0.9999

    config.sharding = ConfigDict()
    config.sharding.strategy = 'fsdp'  # or dp, tp, fsdp_tp, hybrid, sp
    config.sharding.mesh = ''  # 'data=2,fsdp=4'; '': as the strategy has it

    config.loop = common_loop()
    config.loop.log_every = 100
    config.loop.evaluate_every = 5000
    config.loop.save_every_s = 600.0
    config.loop.keep_every_steps = 20_000  # steps between checkpoints kept for ever; 0: none
    config.loop.demo_every = 0  # steps between pieces made into demos/; 0: none
    config.validation_batches = 8
    return config
