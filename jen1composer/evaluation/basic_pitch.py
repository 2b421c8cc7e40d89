"""Which notes sound, by Basic Pitch (Bittner et al., ICASSP 2022), a small network in ONNX.

1. It takes WINDOW samples at 22,050 Hz and says of each of FRAMES frames, HOP samples apart, how
   likely each of 88 pitches sounds, from MIDI pitch 21 on.
2. Windows begin FRAMES - OVERLAP frames apart, and half of OVERLAP is dropped on either side; the
   sound is preceded by half an overlap of silence so that nothing is lost. Its authors' windows are
   188 samples closer, though they keep as many frames of each, and their times corrected for it.
3. A pitch sounds where its likelihood is SOUNDS or more: the threshold of its authors for frames.

The model is `nmp.onnx` of the wheel basic-pitch 0.4.0 (Apache-2.0); it runs by `onnxruntime`.
"""

import dataclasses
from typing import Any

import numpy as np

from jen1composer.errors import BadInput

RATE = 22_050
HOP = 256
WINDOW = 43_844
FRAMES = 172
OVERLAP = 30
LOWEST = 21
PITCHES = 88
SOUNDS = 0.3
FRAME_S = HOP / RATE
INPUT, NOTES = 'serving_default_input_2:0', 'StatefulPartitionedCall:1'


@dataclasses.dataclass(frozen=True, kw_only=True)
class BasicPitch:
    """The network, ready to listen; made by `load`."""

    session: Any  # onnxruntime.InferenceSession

    @staticmethod
    def load(model: bytes) -> 'BasicPitch':
        """From the file `nmp.onnx`. Raises BadInput where onnxruntime is not installed."""
        try:
            import onnxruntime
        except ImportError as error:
            raise BadInput('onnxruntime: not installed; pip install onnxruntime') from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        providers = ['CPUExecutionProvider']
        return BasicPitch(session=onnxruntime.InferenceSession(model, options, providers))

    def notes(self, sound: np.ndarray) -> np.ndarray:
        """Which MIDI pitches sound in mono sound `[sample]` at RATE, bool [frame, 128]."""
        half, step = OVERLAP // 2, (FRAMES - OVERLAP) * HOP
        num_frames = -(-len(sound) // HOP)
        padded = np.pad(sound.astype(np.float32), (half * HOP, WINDOW))
        parts = []
        for start in range(0, max(1, len(sound)), step):
            window = padded[None, start : start + WINDOW, None]
            (likely,) = self.session.run([NOTES], {INPUT: window})
            parts.append(likely[0, half : FRAMES - half])
        likely = np.concatenate(parts)[:num_frames]
        sounding = np.zeros((len(likely), 128), bool)
        sounding[:, LOWEST : LOWEST + PITCHES] = likely >= SOUNDS
        return sounding
