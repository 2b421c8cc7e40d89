"""A composer on latents that keep pitch (configs/tonal_autoencoder.py): 7.5 M parameters.

  python -m launch.prepare_data --source=freedoom --out=tonal/data --config=configs/prepare.py \
      --config.versions='((0,1.059463),(0,0.890899))'
  python -m launch.train_autoencoder --config=configs/tonal_autoencoder.py \
      --workdir=tonal/autoencoder --config.data=tonal/data
  python -m launch.encode_latents --autoencoder=tonal/autoencoder --data=tonal/data \
      --out=tonal/latents
  python -m launch.train_composer --config=configs/tonal.py --workdir=tonal/composer

The network of configs/small.py, trained for 4500 steps rather than 6000. 48 songs to train on, each
also a semitone higher and two lower, faster and slower with it; 12 and 12 are held out and plain.
Told tempo, key and chords. On two virtual CPU cores that other work was using as well a step took
.36 s: 27 min in steps. Validation v-loss on text alone, the mean over five times, by step (at 0
that of a prediction of zero):

  0: .995   1000: .831   2000: .776   3000: .741   3500: .729   4000: .721   4500: .714

and at the end causal text .780, inpainting .698, continuation .758. It was still falling. Told
nothing of tempo, key and chords it is at .718: what it is told of them helps a little.

It is not the package's, which stays configs/small.py: on 48 excerpts of 24 held-out songs in 30
steps (7 min 21 s; 95 % intervals over songs) what it makes for given tracks goes with them in
pitch, where the other's does not, and is further from the songs in timbre:

                                          this one               configs/small.py
  better together than retrieved stems    .236 (.192 to .272)    .227 (.185 to .270)
  onsets of bass and drums, correlation   .323 (.279 to .365)    .460 (.410 to .509)
  pitches of the other pairs, songs .29   .181 (.156 to .210)    .027 (-.006 to .066)
  heard as the track asked for            .688 (.649 to .721)    .753 (.712 to .792)
  Fréchet distance, of decoded noise's    1.12 .63 .73 .70       .64 .20 .50 .58

(bass, drums, instrument, melody). Instruments are never heard as such; the loss says that its
latents are the harder ones to learn, and it was still falling. Melodies are silent half of the
time in both.
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
    config.data.latents = 'tonal/latents'
    config.data.autoencoder = 'tonal/autoencoder'  # workdir of launch.train_autoencoder
    config.data.window_frames = 128  # 5.12 s at 25 frames a second
    config.data.beat_aligned = False  # True: windows begin with a beat, where beats are known
    config.data.workers = 0  # processes that read; 0: threads of this one
    config.data.cache = ''  # folder to copy files to first; '': where they lie, if that is here

    # One track first, then up to all four: half of the weight is on the newest number, and the
    # rest is spread evenly over the earlier ones, which are retained.
    config.curriculum = ConfigDict()
    config.curriculum.stage_steps = (400, 400, 400, 3300)
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
