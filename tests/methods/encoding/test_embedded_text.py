"""Embedded texts: the same bits in a row, a batch and a loaded encoder; words that training texts do not have."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_sentence_models import BAD, GOOD, make_reviews, run_endpoint, write_sentence_model

from mlnb.codec import replace
from mlnb.errors import EmbeddingError, ParameterError
from mlnb.methods.encoding.embedding_sources import Embedder, EmbeddingSource, load_embedder, locate, read_source
from mlnb.methods.encoding.row_encoder import compile_row
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.tables.columns import Column, Schema, to_arrays

SCHEMA = Schema((Column("review", "text", nullable=True), Column("title", "text", nullable=True)))
ENDPOINT = EmbeddingSource(model="small", endpoint=True, components=2)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLNB_FILES", str(tmp_path))
    for name in ("MLNB_EMBEDDINGS_URL", "MLNB_EMBEDDINGS_KEY", "MLNB_EMBEDDINGS_CACHE"):
        monkeypatch.delenv(name, raising=False)
    write_sentence_model(tmp_path / "tiny")
    return tmp_path


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with run_endpoint() as server:
        monkeypatch.setenv("MLNB_EMBEDDINGS_URL", server.url)
        yield server


def make_rows(count: int) -> tuple[list[dict[str, str | None]], np.ndarray]:
    texts, y = make_reviews(count, words=3)
    return [{"review": None if at % 9 == 0 else text, "title": texts[at - 1]} for at, text in enumerate(texts)], y


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_row_batch_and_loaded_encoder_have_the_same_bits(root: Path, classes: int) -> None:
    rows, y = make_rows(120)
    target = y * 1.5 if not classes else np.arange(120) % 3 if classes == 3 else y
    source = read_source("tiny", root, SCHEMA, ["review"], 3)
    arrays = to_arrays(rows, SCHEMA)
    encoder = Encoder.fit(arrays, SCHEMA, target, classes=classes, embeddings=source)
    scores = 3 if classes == 3 else 1
    assert sum("embedding" in name for name in encoder.names) == scores + 3 and encoder.scores_texts
    assert [codec.column for codec in encoder.embedded_texts] == ["review"] and len(encoder.scored_texts) == 2
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json())))
    odd = [{"review": text, "title": None} for text in ("", "nothing else", "good", "漢字 🎬", "bad " * 250_000)]
    whole = again.transform(to_arrays([*rows, *odd], SCHEMA))
    assert whole[:120].tobytes() == encoder.transform(arrays).tobytes()
    encode = compile_row(SCHEMA, again)
    assert [encode(row).tobytes() for row in [*rows, *odd]] == [row.tobytes() for row in whole]  # type: ignore[union-attr]
    assert encoder.refit(arrays, SCHEMA, target).to_json() == encoder.to_json()
    assert encoder.pack_training(arrays, target)[:].tobytes() == encoder.transform_training(arrays, target).tobytes()


def test_words_that_training_texts_do_not_have_are_understood(root: Path) -> None:
    rows, y = make_rows(200)
    schema = Schema((Column("title", "text"),))
    source = read_source("tiny", root, schema)
    encoder = Encoder.fit(to_arrays(rows, schema), schema, np.roll(y, 1), classes=2, embeddings=source)
    X = encoder.transform({"title": np.array([*GOOD[3:], *BAD[3:]], dtype=object)})
    words, embedding = (X[:, list(encoder.names).index(f"title: {name}")] for name in ("score", "embedding score"))
    assert len(set(words)) == 1 and (embedding[:3] > 0.5).all() and (embedding[3:] < 0.5).all()
    held = encoder.transform_training(to_arrays(rows, schema), np.roll(y, 1))
    assert ((held[:, list(encoder.names).index("title: embedding score")] > 0.5) == (np.roll(y, 1) == 1)).mean() > 0.95


def test_without_a_target_components_are_encoded(root: Path) -> None:
    rows, _ = make_rows(60)
    encoder = Encoder.fit(to_arrays(rows, SCHEMA), SCHEMA, embeddings=read_source("tiny", root, SCHEMA, [], 2))
    assert [name for name in encoder.names if "embedding" in name] == [
        f"{column}: embedding component {number}" for column in ("review", "title") for number in (1, 2)
    ]
    plain = Encoder.fit(to_arrays(rows, SCHEMA), SCHEMA)
    assert "embeddings" not in plain.to_json()["options"] and not plain.embedded_texts


def test_an_endpoint_gets_each_text_once_and_only_by_setting(
    endpoint: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLNB_EMBEDDINGS_CACHE", str(tmp_path / "cache"))
    rows, y = make_rows(100)
    source, arrays = read_source("endpoint:small", tmp_path, SCHEMA, ["review"], 2), to_arrays(rows, SCHEMA)
    assert source == replace(ENDPOINT, columns=("review",))
    encoder = Encoder.fit(arrays, SCHEMA, y, classes=2, embeddings=source)
    encoder.transform_training(arrays, y)
    sent = [text for _, body in endpoint.requests for text in body["input"]]
    assert len(sent) == len(set(sent)) == len(set(arrays["review"]) - {None})
    assert Embedder(ENDPOINT).embed(sent[:3]).tolist() == load_embedder(ENDPOINT).embed(sent[:3]).tolist()
    assert sum(len(body["input"]) for _, body in endpoint.requests) == len(sent)  # from the store
    monkeypatch.delenv("MLNB_EMBEDDINGS_URL")
    with pytest.raises(EmbeddingError, match=r"MLNB_EMBEDDINGS_URL is not set"):
        encoder.transform({name: np.array(["another text"], dtype=object) for name in ("review", "title")})
    with pytest.raises(EmbeddingError, match=r"Texts are sent there"):
        read_source("endpoint:small", tmp_path, SCHEMA)


def test_a_personal_text_is_not_sent_and_a_forecast_has_no_texts(root: Path) -> None:
    schema = Schema((Column("mail", "text", personal="e-mail"), Column("note", "text")))
    with pytest.raises(ParameterError, match=r"'mail' holds personal data"):
        read_source("endpoint:small", root, schema)
    with pytest.raises(ParameterError, match="found a forecast"):
        read_source("tiny", root, schema, independent=False)
    with pytest.raises(ParameterError, match=r"'nota' is no text column.*note"):
        read_source("tiny", root, schema, ["nota"])
    with pytest.raises(ParameterError, match="found no text column"):
        read_source("tiny", root, Schema((Column("a", "number"),)))


def test_a_bundle_holds_the_model_or_reads_it_where_it_is_mounted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = read_source("tiny", root, SCHEMA)
    assert source is not None
    inside, outside = replace(source, stored=True), replace(source, stored=False)
    for name, one in (("inside", inside), ("outside", outside)):
        load_embedder(one).record(["good film", "good film", "bad"], root / name / "embeddings")
    assert not (root / "outside/embeddings/tokenizer.json").exists()
    monkeypatch.setenv("MLNB_FILES", str(root / "container"))
    encoder = {"options": {"embeddings": {"model": "tiny"}}}
    assert locate(encoder, root / "inside")["options"]["embeddings"]["folder"] == str(root / "inside/embeddings")
    loaded = Embedder(replace(inside, folder=str(root / "inside/embeddings")))
    with pytest.raises(EmbeddingError, match=r"container/tiny of the sentence model does not exist; mount the folder"):
        Embedder(replace(outside, folder=str(root / "outside/embeddings")))
    write_sentence_model(root / "container/tiny")
    mounted = Embedder(replace(outside, folder=str(root / "outside/embeddings")))
    texts = ["good film", "another bad film"]
    assert mounted.embed(texts).tobytes() == loaded.embed(texts).tobytes()
    (root / "container/tiny/tokenizer.json").write_text("{}")
    with pytest.raises(EmbeddingError, match=r"is not the file of the training"):
        Embedder(replace(outside, folder=str(root / "outside/embeddings")))
