"""The standalone encoding of texts has the bits of the training encoder."""

import json
from runpy import run_path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.methods.encoding.scored_text import ScoredTextCodec
from mlnb.methods.encoding.text_encoding import TextCodec
from mlnb.methods.encoding.text_ngrams import READ, describe_splitting
from mlnb.methods.encoding.text_scores import MOST_COUNT
from mlnb.serving.edge.portable_export import PORTABLE

SAMPLES = ["red wine", "Größe ¼ x²", "我爱 Python编程", "ภาษาไทย สวย", "हिन्दी में", "a\x00b", "😀 ok", "ﷺ", "\ud800"]
VALUES = np.array(SAMPLES * 4, dtype=object)
texts = st.text(max_size=40) | st.lists(st.sampled_from(SAMPLES), max_size=5).map(" ".join)


@pytest.fixture(scope="module")
def codecs():
    """Codecs, each with its description as JSON; the columns have different names."""
    scored = [ScoredTextCodec.fit(f"c{k}", VALUES, np.arange(36) % max(k, 2), k) for k in (0, 2, 3)]
    plain = [TextCodec.fit(f"t{k}", VALUES, 64, 5, k) for k in (0, 2)]
    described = []
    for codec in (*scored, *plain):
        fields = {name: value for name, value in vars(codec).items() if not name.startswith("_")}
        fields |= {"width": len(codec.names), "most": MOST_COUNT, **describe_splitting()}
        described.append((codec, json.loads(json.dumps(fields))))
    return described


@pytest.fixture(scope="module")
def encode_text():
    return run_path(str(PORTABLE / "texts.py"))["encode_text"]


@settings(max_examples=150)
@given(texts)
def test_any_text_has_the_same_bits(codecs, encode_text, text):
    for codec, fields in codecs:
        out = np.zeros(len(codec.names))
        codec.write(text, out)
        assert encode_text(text, fields) == out.tolist()


def test_a_long_text_is_read_up_to_the_same_character(codecs, encode_text):
    text = "red wine " * (READ // 9 + 1000)
    for codec, fields in codecs[:3]:
        out = np.zeros(len(codec.names))
        codec.write(text, out)
        assert encode_text(text, fields) == out.tolist()
