"""The weights of words are those of their definition, however often a bucket occurs."""

import math
import re
import unicodedata

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.methods.encoding.text_encoding import TextCodec, bucket_of, words_of

words = st.sampled_from(["red", "car", "größe", "blue", "König", "8", "x", "y", "z"])
texts = st.lists(words | st.text(max_size=3), max_size=6).map(" ".join)


def define(codec: TextCodec, text: str) -> list[float]:
    """Return TF-IDF weights by counting each bucket, normalized to length 1."""
    buckets = [bucket_of(word, codec.buckets) for word in words_of(text)]
    weights = [
        buckets.count(b) * idf if b in buckets else 0.0 for b, idf in zip(codec.selected, codec.idf, strict=True)
    ]
    length = math.sqrt(sum(weight * weight for weight in weights))
    return [weight / length if weight else 0.0 for weight in weights]


@settings(max_examples=200)
@given(st.lists(texts, min_size=1, max_size=6), texts, st.sampled_from([2, 5, 4096]))
def test_weights_are_those_of_their_definition(learned, text, buckets):
    codec = TextCodec.fit("t", np.array(learned, dtype=object), buckets, 64, 0)
    out = np.zeros(len(codec.names))
    codec.write(text, out)
    assert out.tolist() == [len(text), len(words_of(text)), *define(codec, text)]
    weighed = dict(codec.weigh(words_of(text)))
    assert [weighed.get(j, 0.0) for j in range(len(codec.selected))] == out.tolist()[2:]


@given(texts | st.text(st.sampled_from("aZ9 _-.\t\u2028é¼ß\u0301²")))
def test_words_are_the_runs_of_letters_digits_and_underscores(text):
    assert words_of(text) == re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower())
