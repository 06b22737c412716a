"""Taking English and Chinese apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from userops.docs.bilingual import on_one_line, split_languages


@pytest.mark.parametrize(
    ("text", "en", "zh"),
    [
        ("User id. 用户 ID", "User id.", "用户 ID"),
        ("First active day (活跃日), if any. 首次活跃日", "First active day (活跃日), if any.", "首次活跃日"),
        ("dau / mau. 粘性", "dau / mau.", "粘性"),
        ("1, 2, ... 步骤序号", "1, 2, ...", "步骤序号"),
        ("Active in the last 7 days. 周活（滚动 7 日）", "Active in the last 7 days.", "周活（滚动 7 日）"),
        ("When the chain reached step 2, UTC. 第\n2 步时间", "When the chain reached step 2, UTC.", "第 2 步时间"),
        ("Revenue per user. ARPU 每用户收入", "Revenue per user.", "ARPU 每用户收入"),
        ("Reason as a sentence, 中文. 首要原因", "Reason as a sentence, 中文.", "首要原因"),
        ("Retained / users; null without. 留存率。留存人数÷群组人数，\n无人为空", "Retained / users; null without.",
         "留存率。留存人数÷群组人数，无人为空"),
        ("behaviour events 行为事件", "behaviour events", "行为事件"),
        ("One row per session (会话): cut at midnight.", "One row per session (会话): cut at midnight.", "会话"),
        ("seen (访客) or new (新手期), by day.", "seen (访客) or new (新手期), by day.", "访客、新手期"),
        ("Sessions.", "Sessions.", ""),
        ("会话数", "", "会话数"),
        ("", "", ""),
    ],
)  # fmt: skip
def test_descriptions_as_they_are_written(text: str, en: str, zh: str) -> None:
    found = split_languages(text)
    assert (found.en, found.zh) == (en, zh)
    assert found.is_complete == bool(en and zh)


def test_on_one_line_only_english_has_blanks_where_lines_broke() -> None:
    text = "Sessions of\none event. 跳出。只有一个事件的会话，\n`event` 计\n数"
    assert on_one_line(text) == "Sessions of one event. 跳出。只有一个事件的会话，`event` 计数"


def test_a_term_is_followed_by_its_definition() -> None:
    found = split_languages("Sessions of one event. 跳出。只有一个事件的会话。包含未登录会话")
    assert (found.term_zh, found.definition_zh) == ("跳出", "只有一个事件的会话。包含未登录会话")
    assert split_languages("Sessions. 会话数").definition_zh == ""


_words = st.lists(
    st.text("abcdefghijklmnopqrstuvwxyz_`0123456789", min_size=1, max_size=9), min_size=1, max_size=12
).map(" ".join)
_sentences = st.lists(_words, min_size=1, max_size=4).map(lambda parts: ". ".join(parts) + ".")
_chinese = st.text("活跃用户首次日期订单数（）、，7ID%", min_size=1, max_size=20).map(lambda text: f"首{text}")


@given(_sentences, _chinese)
def test_what_was_put_together_comes_apart(english: str, chinese: str) -> None:
    found = split_languages(f"{english} {chinese}")
    assert (found.en, found.zh) == (english, chinese)
