"""Personal data is found by its shape; what belongs to nobody is left alone. All of it is made up."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.memory.evidence.personal import find, personal

MAIL, PHONE = "an e-mail address", "a phone number"
LINK = "an address that lets in whoever has it"
THERE = [
    ("Ask ulla.heron@lampworks.io first.", "ulla.heron@lampworks.io", MAIL),
    ("<arno+bridge@mail.lampworks.co.uk>", "arno+bridge@mail.lampworks.co.uk", MAIL),
    ("Her number is +49 151 2345 6789.", "+49 151 2345 6789", PHONE),
    ("+1 (415) 268-3914 at night", "+1 (415) 268-3914", PHONE),
    ("Phone: 0151 23456789", "0151 23456789", PHONE),
    ("Call me at 415-268-3914", "415-268-3914", PHONE),
    ("(415) 268-3914", "(415) 268-3914", PHONE),
    ("https://lamp.example/reset/a8f3k2m9q1z7x5c3v1", "a8f3k2m9q1z7x5c3v1", LINK),
    ("https://s3.lamp.example/x?X-Amz-Signature=9f86d081884c7d65", "9f86d081884c7d65", LINK),
    ("https://lamp.example/in?code=4f9a8b7c6d5e", "4f9a8b7c6d5e", LINK),
    ("git clone https://a8f3k2m9q1@lamp.example/x.git", "a8f3k2m9q1", LINK),
]
NOT_THERE = [
    "git@github.com:lamp/works.git",
    "Mail noreply@lampworks.io or you@example.com.",
    "npm i left-pad@1.3.0 @types/node@20 lamp@next",
    "icon@2x.png and user@host",
    "12+3456789 and 1.2.3.4 and 2026-03-21 and 1234567890",
    "The port is 6120; ids run from 1000000 to 2000000.",
    "555-555-0142 is a number of the films, as is (415) 555-0199.",
    "sha256:9f86d081884c7d659a2feaa0c55ad015",
    "https://lamp.example/in?code=${CODE} or ?code=your-code-here",
    "https://lamp.example/share/how-to-light-the-big-lamp",
    "Phone layouts are 360 px wide.",
    "+1 for this",
]


@pytest.mark.parametrize(("text", "data", "what"), THERE)
def test_personal_data_is_found_and_not_repeated(text: str, data: str, what: str) -> None:
    assert (data, what) in [(text[start:end], how) for start, end, how in find(text)]
    said = personal(text)
    assert said and what in said and data not in said


@pytest.mark.parametrize("text", NOT_THERE)
def test_what_belongs_to_nobody_is_left_alone(text: str) -> None:
    assert personal(text) is None


@pytest.mark.parametrize(
    "text", ["a@" * 50_000, "a." * 80_000, "+1 2" * 40_000, "1-" * 80_000, "http://" * 30_000]
)
def test_no_long_line_takes_long(text: str) -> None:
    begin = time.process_time()
    list(find(text))
    assert time.process_time() - begin < 4


@given(st.text(st.one_of(st.characters(), st.sampled_from("@.+1234567890 -()/?=&:htps"))))
def test_no_text_raises_and_places_are_within_it(text: str) -> None:
    assert all(0 <= start < end <= len(text) for start, end, _ in find(text))
