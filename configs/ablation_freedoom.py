"""On Freedoom's music: each track's own time, the curriculum, and one model over all tracks.

  python -m launch.ablate --config=configs/ablation_freedoom.py --workdir=ablation_freedoom \
      --config.data.latents=latents

`configs/ablation_freedoom.py:style` asks what a model knows of a style it never heard: rock and
metal are kept from one variant, and as many songs of any kind from another. Squared error of the
v-prediction on held-out songs, see launch/ablation_latents.py.

On two CPU cores, 600 steps of 16 windows, latents of configs/small.py; the 12 runs took 9 min on an
idle machine, the 9 of the style 17 min on a busy one. Three seeds, +- half of a 95 % interval
(Student), a star where that of the difference from the base, paired by seed, excludes 0:

                        one track       all together    others given    gap
  base                  .812 +- .002    .762 +- .006    .775 +- .011    .040 +- .006
  curriculum_off        .793 +- .003*   .738 +- .010*   .754 +- .013*   .043 +- .005
  shared_time           not asked       .705 +- .009*   .723 +- .009*   .020 +- .001*
  separate              .664 +- .006*   .633 +- .006*   .656 +- .007*   .000*
  a prediction of zero  .999            .984            1.006           .000

So at 600 steps the paper's direction does not hold for the loss: four networks that know nothing of
each other, each of a quarter of the parameters and half as wide, are ahead by far, one shared time
and no curriculum by some. What only a joint model has is the gap, how much worse the loss is with
another song's tracks given: .040 with a time for each track, .020 with one, 0 for separate ones.
A joint network has to learn four tracks and all tasks in the same steps; that
of configs/small.py was at .645 after 5000.

                        rock and metal                  the other songs
                        one, all together, given        one, all together, given
  base                  .784, .732, .737                .806, .776, .770
  fewer_songs           .798*, .745*, .748*             .820*, .792*, .787*
  without_style         .803*, .756*, .764*             .820*, .793*, .788*

A style that was never heard costs .019 +- .003, .024 +- .008 and .027 +- .009, of which half the
songs, whatever they are, would cost .014 +- .007, .013 +- .002 and .011 +- .002.
"""

from ml_collections import ConfigDict

from configs import demo

LAST = (1.0, 1.0, 1.0, 3.0)  # of 1, 2, 3 and 4 targets, in the last stage
STYLE = r'\b(rock|metal)\b'  # about half of the songs


def get_config(arg: str = '') -> ConfigDict:
    """`arg` is '', 'style', or 'quick', the first grid hardly trained."""
    if arg not in ('', 'style', 'quick'):
        raise ValueError(f"argument {arg!r}; allowed are '', 'style' and 'quick'")
    quick = arg == 'quick'
    config = ConfigDict({'title': 'Ablations on Freedoom', 'subject': 'latents'})
    config.seeds = (0, 1, 2)

    # ---- The base: the demo's composer, narrower; text tasks alone.
    base = demo.get_config()
    config.batch = 4 if quick else 16
    config.data = ConfigDict({'latents': 'latents'})
    config.data.window_frames = 128  # 5.12 s
    config.data.without = ''
    config.data.share = 1.0
    config.ablation = ConfigDict({'tracks': 'joint', 'times': 'per_track'})
    config.curriculum = ConfigDict({'p_given': 0.5})
    config.curriculum.stage_steps = (1, 1) if quick else (200, 400)
    config.curriculum.target_shares = ((1.0, 0.0, 0.0, 0.0), LAST)
    config.model = base.model
    config.model.spans = False
    config.model.channels = (96, 128, 128)
    config.diffusion = base.diffusion
    config.optimizer = base.optimizer
    config.optimizer.peak_learning_rate = 2e-3
    config.optimizer.warmup_steps = 1 if quick else 50
    config.ema_decay = 0.99
    config.loop = base.loop
    config.loop.save_every_s = 20.0
    config.measure = ConfigDict({'batches': 1 if quick else 6, 'style': ''})

    # ---- What each variant changes of it.
    if arg == 'style':
        config.title = 'A style that was never heard'
        config.measure.style = STYLE
        config.variants = ConfigDict(
            {'without_style': {'data': {'without': STYLE}}, 'fewer_songs': {'data': {'share': 0.5}}}
        )
        return config
    config.variants = ConfigDict(
        {
            'shared_time': {'ablation': {'times': 'shared'}},
            'curriculum_off': {'curriculum': {'target_shares': (LAST, LAST)}},
            # Half as wide, so that the four have about as many parameters as the joint one.
            'separate': {
                'ablation': {'tracks': 'separate'},
                'model': {
                    'channels': (48, 64, 64),
                    'head_width': 16,
                    'condition_width': 64,
                    'use_prefix': False,
                    'use_role_tokens': False,
                },
            },
        }
    )
    return config
