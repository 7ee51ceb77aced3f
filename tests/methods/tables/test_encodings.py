"""Encodings of short texts: Korean and Chinese words that have the same bytes."""

import random

import pytest

from mlnb.codec import to_json
from mlnb.methods.contracts.table_formats import Layout
from mlnb.methods.tables.encodings import decode, detect_encoding
from mlnb.methods.tables.source_findings import source_findings

KOREAN = [
    "서울",
    "부산",
    "대구",
    "인천",
    "광주",
    "대전",
    "울산",
    "경기",
    "강원",
    "제주",
    "남자",
    "여자",
    "남성",
    "여성",
    "예",
    "아니오",
    "참",
    "거짓",
    "있음",
    "없음",
    "높음",
    "낮음",
    "보통",
    "성공",
    "실패",
    "정상",
    "이상",
    "합격",
    "불합격",
    "월",
    "화",
    "수",
    "목",
    "금",
    "토",
    "일",
    "봄",
    "여름",
    "가을",
    "겨울",
    "사과",
    "자동차",
    "학생",
    "교사",
    "미혼",
    "기혼",
    "완료",
    "취소",
]
CHINESE = [
    "北京",
    "上海",
    "广州",
    "深圳",
    "天津",
    "重庆",
    "南京",
    "武汉",
    "男",
    "女",
    "是",
    "否",
    "有",
    "无",
    "高",
    "低",
    "成功",
    "失败",
    "正常",
    "异常",
    "红",
    "蓝",
    "绿",
    "春",
    "夏",
    "秋",
    "冬",
    "学生",
    "教师",
    "医生",
    "未婚",
    "已婚",
    "完成",
    "取消",
    "等待",
    "新增",
    "现金",
    "银行卡",
    "大学",
    "高中",
    "广东",
    "江苏",
    "浙江",
    "山东",
]


@pytest.mark.parametrize(("words", "encoding"), [(KOREAN, "cp949"), (CHINESE, "gb18030")])
def test_a_column_of_a_few_words(words: list[str], encoding: str) -> None:
    rng, right = random.Random(0), 0
    for _ in range(200):
        data = ("x,y\n" + "\n".join(f"{rng.choice(words)},1" for _ in range(3))).encode(encoding)
        right += detect_encoding(data) == encoding
    assert right >= 190


def test_short_korean_answers() -> None:
    for words in ("남,여", "예,아니오", "서울", "참,거짓", "상,중,하"):
        assert decode(words.encode("cp949")) == (words, "cp949")


def test_the_finding_names_the_other_encodings() -> None:
    (doubt,) = source_findings({"layout": to_json(Layout(encoding="gb18030", names=("a",)))})
    assert doubt.severity == "warning" and "ingest.encoding" in doubt.action and "cp949 (Korean)" in doubt.action
