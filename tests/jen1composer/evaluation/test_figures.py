"""Charts that any page can hold, and spectrograms that are the right way up."""

import io
import re
import xml.etree.ElementTree as ET

import matplotlib.image
import numpy as np
import pytest

from jen1composer.evaluation.figures import Line, line_chart, spectrogram_png
from jen1composer.evaluation.log_mel import HOP, MELS, SIZE
from jen1composer.tracks import SAMPLE_RATE


def chart(alt='a chart', y=(1.0, 3.0, 2.0)):
    return line_chart(
        [
            Line(label='measured', x=[0, 1, 2], y=y, marked=True),
            Line(label='<wanted> & "set"', x=[0, 2], y=[1, 1], colour=None, dashed=True),
        ],
        x_label='step',
        y_label='loss',
        alt=alt,
    )


def pixels(waveform):
    """[mel from the top down, frame, colour]."""
    return matplotlib.image.imread(io.BytesIO(spectrogram_png(waveform)), format='png')


def tone(hertz):
    time_s = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    return np.repeat(0.5 * np.sin(2 * np.pi * hertz * time_s)[:, None], 2, axis=1)


def test_a_chart_is_one_element_with_its_words_in_it():
    root = ET.fromstring(chart(alt='loss & "time"'))
    assert root.tag.endswith('}svg')
    assert root.get('aria-label') == 'loss & "time"'
    assert root.get('width') is None  # as wide as its place
    words = {element.text for element in root.iter() if element.tag.endswith('}text')}
    assert {'measured', '<wanted> & "set"', 'step', 'loss'} <= words


def test_a_chart_is_drawn_in_the_ink_of_its_page_and_styles_nothing_else():
    svg = chart()
    assert 'currentColor' in svg
    assert '<style' not in svg
    assert not re.search(r'(fill|stroke|color): ?(#000000|#010203|black)', svg)


def test_charts_side_by_side_share_no_name_and_refer_to_their_own():
    one, other = chart('one'), chart('other')
    names = [set(re.findall(r'id="([^"]+)"', svg)) for svg in (one, other)]
    assert names[0].isdisjoint(names[1])
    for svg, own in zip((one, other), names, strict=True):
        assert len(re.findall(r'id="', svg)) == len(own)
        used = re.findall(r'(?:href="#|url\(#)([^")]+)', svg)
        assert set(used) == own


def test_the_same_numbers_give_the_same_chart():
    assert chart() == chart()
    assert chart() != chart(y=(1.0, 3.0, 2.5))


def test_a_line_without_as_many_values_as_points_is_refused():
    with pytest.raises(ValueError, match='same first dimension'):
        chart(y=(1.0, 2.0))


def test_a_spectrogram_has_a_pixel_for_each_band_and_frame():
    num_samples = SIZE + 6 * HOP + 5
    assert pixels(np.zeros((num_samples, 2))).shape[:2] == (MELS, 7)


def test_silence_is_black():
    np.testing.assert_array_less(pixels(np.zeros((SIZE * 4, 2)))[..., :3], 0.02)


def test_higher_notes_lie_higher():
    rows = [pixels(tone(hertz))[..., :3].sum(axis=(1, 2)).argmax() for hertz in (200, 2000, 12000)]
    assert rows[0] > rows[1] > rows[2]
