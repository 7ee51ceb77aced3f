"""Encodes texts as the training encoder does; `scorer.py` reads this file where a model has a text column."""

import base64
import math
import re
import struct
import unicodedata
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import TypedDict

Numbers = list[float]


class Codec(TypedDict):
    """How a text column is encoded; which fields are there depends on `code`."""

    column: str
    code: str  # text or scored text
    width: int
    selected: list[int]
    buckets: int
    idf: Numbers | str
    components: Numbers
    characters: bool
    ngrams: str
    weights: str
    scale: float
    intercepts: Numbers
    patterns: dict[str, str]
    sizes: list[int]
    read: int
    most: int
    mix: int


class Vocabulary(TypedDict):
    """Decoded numbers of a scored text: index of each n-gram, and its weights."""

    index: dict[int, int]
    idf: Numbers
    weights: list[Numbers]


DECODED = dict[str, Vocabulary]()


def encode_text(value: str, codec: Codec) -> Numbers:
    """Return the numbers of a text."""
    return encode_scores(value, codec) if codec["code"] == "scored text" else encode_words(value, codec)


def encode_words(value: str, codec: Codec) -> Numbers:
    """Return the number of characters and words, and the weight of each kept word or component."""
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", value).lower())
    index, counts = {bucket: j for j, bucket in enumerate(codec["selected"])}, dict[int, int]()
    for word in words:
        j = index.get(zlib.crc32(word.encode("utf-8", "surrogatepass")) % codec["buckets"])
        if j is not None:
            counts[j] = counts.get(j, 0) + 1
    idf = list(map(float, codec["idf"]))
    weights = [(j, counts[j] * idf[j]) for j in sorted(counts)]
    length = math.sqrt(sum(weight * weight for _, weight in weights))
    width = codec["width"] - 2
    out = [0.0] * width
    for j, weight in weights:
        for k in range(width) if codec["components"] else [j]:
            out[k] += weight / length * (codec["components"][j * width + k] if codec["components"] else 1.0)
    return [float(len(value)), float(len(words)), *out]


def encode_scores(value: str, codec: Codec) -> Numbers:
    """Return the logarithms of the numbers of characters and words, and the score of each linear model."""
    vocabulary = DECODED.get(codec["column"]) or decode(codec)
    words, runs = split(value, codec)
    counts = dict[int, int]()
    for ngram in hash_ngrams(words, runs if codec["characters"] else [], codec):
        column = vocabulary["index"].get(ngram)
        if column is not None:
            counts[column] = counts.get(column, 0) + 1
    columns = sorted(counts)
    weights = [(1.0 + math.log(min(counts[at], codec["most"]))) * vocabulary["idf"][at] for at in columns]
    length = math.sqrt(math.fsum(weight * weight for weight in weights)) or 1.0
    unit = [weight / length for weight in weights]
    sums = [math.fsum(line[at] * x for at, x in zip(columns, unit, strict=True)) for line in vocabulary["weights"]]
    scores = [codec["scale"] * total + start for total, start in zip(sums, codec["intercepts"], strict=True)]
    return [math.log1p(len(value)), math.log1p(len(words)), *scores]


def decode(codec: Codec) -> Vocabulary:
    """Return the decoded numbers of a scored text, and remember them."""
    ngrams, weights = base64.b64decode(codec["ngrams"]), base64.b64decode(codec["weights"])
    size, idf = len(ngrams) // 4, base64.b64decode(str(codec["idf"]))
    flat = struct.unpack(f"<{len(weights) // 2}e", weights)
    DECODED[codec["column"]] = {
        "index": {ngram: at for at, ngram in enumerate(struct.unpack(f"<{size}I", ngrams))},
        "idf": list(struct.unpack(f"<{size}f", idf)),
        "weights": [list(flat[at : at + size]) for at in range(0, len(flat), size)],
    }
    return DECODED[codec["column"]]


def split(value: str, codec: Codec) -> tuple[list[str], list[str]]:
    """Return the words of a text, and the runs whose characters are counted."""
    patterns, text = codec["patterns"], value[: codec["read"]]
    if text.isascii():
        words = re.findall(r"\w+", text.lower())
        return words, words
    text = unicodedata.normalize("NFKC", text).lower()
    words = re.findall(patterns["word"], text)
    if not re.search(patterns["spaceless"], text):
        return words, words
    parts = [[part for word in words for part in re.findall(patterns[name], word)] for name in ("character", "run")]
    return parts[0], parts[1]


def hash_ngrams(words: list[str], runs: list[str], codec: Codec) -> Iterator[int]:
    """Yield the hash of each word, each pair of words, and each n-gram of characters."""
    hashes = [zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in words]
    yield from hashes
    for left, right in pairwise(hashes):
        yield (left * codec["mix"] + right) % 2**32
    for run in runs:
        padded = run if re.match(codec["patterns"]["spaceless"], run) else f" {run} "
        for size in codec["sizes"]:
            for at in range(len(padded) - size + 1):
                yield zlib.crc32(padded[at : at + size].encode("utf-8", "surrogatepass"), 1)
