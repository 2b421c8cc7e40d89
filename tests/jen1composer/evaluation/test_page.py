"""The page: well-formed, self-contained, with a name for everything, whatever a user writes."""

import html.parser
import itertools
import urllib.parse

import pytest

from jen1composer.evaluation.page import Chart, Page, Piece, Sound, Table, render

NASTY = '<script>alert(1)</script> & "quoted" \'single\' </title><img src=x onerror=alert(2)>'
VOID = {'meta', 'link', 'img', 'br'}


class Document(html.parser.HTMLParser):
    """Reads a document, minding that every element is closed in its order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return ' '.join(self.words)


def make_page(text='plain'):
    return Page(
        title=text,
        paragraphs=[text],
        music_text=text,
        pieces=[
            Piece(
                title=text,
                text=text,
                sounds=[
                    Sound(
                        label='Mix', file='a b/mix#1.flac', picture='p/mix.png', whole_width=True
                    ),
                    Sound(label=text, file='p/bass.flac', picture='p/bass.png', note=text),
                ],
            )
        ],
        tables=[Table(title=text, header=['k', text], rows=[[text, text], ['b', '2']], text=text)],
        charts=[Chart(title=text, svg='<svg role="img"><path d="M 0 0"/></svg>', text=text)],
    )


@pytest.mark.parametrize('text', ['plain', NASTY])
def test_every_element_is_closed_and_every_heading_in_order(text):
    document = Document(render(make_page(text)))
    assert document.open == []
    headings = [int(tag[1]) for tag, _ in document.elements if tag in ('h1', 'h2', 'h3')]
    assert headings[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(headings))


def test_what_a_user_writes_stays_text():
    plain, nasty = (Document(render(make_page(text))) for text in ('plain', NASTY))
    assert [tag for tag, _ in nasty.elements] == [tag for tag, _ in plain.elements]
    for (tag, attributes), (_, wanted) in zip(nasty.elements, plain.elements, strict=True):
        assert attributes.keys() == wanted.keys(), tag
    assert nasty.text.count(NASTY) == plain.text.count('plain')
    assert not nasty.all('script')


def test_it_refers_to_the_sounds_and_pictures_and_to_nothing_else():
    page = make_page()
    document = Document(render(page))
    references = [a.get('src') or a.get('href') for _, a in document.elements]
    found = {urllib.parse.unquote(r) for r in references if r and r != 'data:,'}
    assert found == {name for s in page.sounds for name in (s.file, s.picture)}
    assert '://' not in render(page)


def test_everything_to_hear_or_see_has_a_name():
    document = Document(render(make_page()))
    assert all(a['aria-label'] and 'controls' in a for a in document.all('audio'))
    assert len(document.all('audio')) == 2
    assert all(a['alt'] for a in document.all('img'))
    assert all(a['aria-label'] for a in document.all('table'))
    names = {a['id'] for _, a in document.elements if 'id' in a}
    assert {a['aria-labelledby'] for a in document.all('section')} == names


def test_a_table_has_a_cell_for_each_value_and_a_header_for_each_row_and_column():
    document = Document(render(make_page()))
    assert [a['scope'] for a in document.all('th')] == ['col', 'col', 'row', 'row']
    assert len(document.all('td')) == 2
