"""On Freedoom's music: each track's own time, the curriculum, and one model over all tracks.

  python -m launch.ablate --config=configs/ablation_freedoom.py --workdir=ablation_freedoom \
      --config.data.latents=latents

`configs/ablation_freedoom.py:style` asks what a model knows of a style it never heard: rock and
metal are kept from one variant, and as many songs of any kind from another. Squared error of the
v-prediction on held-out songs, see launch/ablation_latents.py.
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
