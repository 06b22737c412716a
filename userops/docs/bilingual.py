"""Descriptions hold two languages in one string: English sentences, then the Chinese. Here they are taken apart.

`First active day (活跃日); null if never active. 首次活跃日` is English up to the last full stop, Chinese after it.
Chinese terms in round brackets inside the English part belong to the English; Latin words inside the Chinese part
(`用户 ID`, `周活（滚动 7 日）`) belong to the Chinese.

The Chinese is the term and, where that does not say enough, the definition behind it: `留存率。留存人数÷群组人数`. Its
punctuation is Chinese, too: a word that ends in an English full stop, colon or bracket ends the English part.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_HAN = re.compile(r"[\u3400-\u9fff]")
#: A line break within a Chinese text: between two Chinese characters, or behind Chinese punctuation.
_BREAK_IN_CHINESE = re.compile(
    "(?<=[\u3000-\u303f\uff00-\uffef]) |(?<=[\u3400-\u9fff]) (?=[\u3000-\u9fff\uff00-\uffef])"
)
_BRACKETED = re.compile(r"\(.*\)[.,:;]?")
_BRACKETED_TERM = re.compile(r"\(([^()]*[\u3400-\u9fff][^()]*)\)")
_ENGLISH_SENTENCE_END = re.compile(r"[.!?][)\]]?$")
_ENGLISH_BREAK = re.compile(r".*[.:;!?)\]]")
#: So many Latin words in a row may stand inside the Chinese part.
_LATIN_RUN = 4


@dataclass(frozen=True)
class Bilingual:
    """One description in two languages; either may be empty when it was not written."""

    en: str
    zh: str

    @property
    def is_complete(self) -> bool:
        """Whether both languages are there."""
        return bool(self.en) and bool(self.zh)

    @property
    def term_zh(self) -> str:
        """The Chinese term: the first sentence of the Chinese."""
        return self.zh.partition("。")[0]

    @property
    def definition_zh(self) -> str:
        """What the Chinese says behind the term; empty where the term says it all."""
        return self.zh.partition("。")[2]


def split_languages(text: str) -> Bilingual:
    """Return the English and the Chinese part of a description, each on one line.

    A text without a Chinese ending is English as a whole; its Chinese is then the terms that stand in brackets in it.
    """
    words = text.split()
    start = _start_of_chinese(words)
    english, chinese = " ".join(words[:start]), _without_breaks(words[start:])
    return Bilingual(english, chinese or "、".join(dict.fromkeys(_BRACKETED_TERM.findall(english))))


def on_one_line(text: str) -> str:
    """Return a description as one line, with blanks where its language has some."""
    return _without_breaks(text.split())


def _without_breaks(words: list[str]) -> str:
    return _BREAK_IN_CHINESE.sub("", " ".join(words))


def _start_of_chinese(words: list[str]) -> int:
    """Return the index of the first word of the Chinese ending; the number of words when there is none."""
    start = len(words)
    latin = 0
    for position in range(len(words) - 1, -1, -1):
        word = words[position]
        ends_english = _ENGLISH_BREAK.fullmatch(word) and position < len(words) - 1
        if _HAN.search(word) and not _BRACKETED.fullmatch(word) and not ends_english:
            start, latin = position, 0
            continue
        latin += 1
        if ends_english or _HAN.search(word):
            # Latin words between the end of an English sentence and the first Chinese one open the Chinese part.
            opens_chinese = _ENGLISH_SENTENCE_END.search(word) and start - position <= _LATIN_RUN
            return position + 1 if start < len(words) and opens_chinese else start
        if latin > _LATIN_RUN:
            return start
    return start
