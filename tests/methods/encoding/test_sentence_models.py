"""Sentence models: the same bits alone and in a batch, any text, and an error for every folder that is none."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_sentence_models import POOLED, make_reviews, write_sentence_model

from mlnb.errors import EmbeddingError
from mlnb.methods.encoding.sentence_models import SentenceModel, read_sentence_settings


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SentenceModel:
    return SentenceModel.load(write_sentence_model(tmp_path_factory.mktemp("models") / "tiny"))


TEXTS = ["", " ", "good", "GOOD film", "漢字 film и 🎬 ﷽", "bad " * 250_000, "\ud800 lone", "a\0b", "x" * 1_000_000]


def test_any_text_has_a_finite_vector_and_the_same_bits_alone(model: SentenceModel) -> None:
    texts = [*TEXTS, *make_reviews(200)[0]]
    vectors = model.encode(texts)
    assert np.isfinite(vectors).all() and not vectors[:2].any() and vectors.shape == (209, 6) and not model.alone
    assert [model.encode([text]).tobytes() for text in texts] == [vector.tobytes() for vector in vectors]
    lengths = np.linalg.norm(vectors[2:], axis=1)
    assert lengths == pytest.approx(1, abs=1e-6) and model.encode(["good film"]).tobytes() == vectors[3].tobytes()


def test_a_text_is_cut_off_at_the_limit_of_the_model(model: SentenceModel) -> None:
    long = "film " * 16
    assert model.encode([long + "bad " * 9]).tobytes() == model.encode([long]).tobytes()
    assert model.settings.most_tokens == 16 and model.settings.lower and model.settings.pooling == "mean"


def test_a_model_whose_vectors_depend_on_the_batch_computes_each_text_alone(tmp_path: Path) -> None:
    model = SentenceModel.load(write_sentence_model(tmp_path / "int8", quantized=True))
    texts = make_reviews(60)[0]
    vectors = model.encode(texts)
    assert model.alone
    assert [model.encode([text]).tobytes() for text in texts] == [vector.tobytes() for vector in vectors]


def test_a_default_prompt_is_in_front_of_every_text(tmp_path: Path) -> None:
    prompt = {"config_sentence_transformers.json": {"prompts": {"query": "good "}, "default_prompt_name": "query"}}
    model = SentenceModel.load(write_sentence_model(tmp_path / "prompted", POOLED | prompt))
    plain = SentenceModel.load(write_sentence_model(tmp_path / "plain"))
    assert model.encode(["film"]).tobytes() == plain.encode(["good film"]).tobytes()


@pytest.mark.parametrize(
    ("files", "options", "expected"),
    [
        ({"modules.json": {"a": 1}}, {}, "modules.json lists no modules"),
        ({"modules.json": [{"type": "models.Pooling", "path": "../up"}]}, {}, "expected a path inside of the folder"),
        (POOLED | {"1_Pooling/config.json": {"pooling_mode_lasttoken": True}}, {}, "states the pooling"),
        (POOLED | {"sentence_bert_config.json": {"max_seq_length": "many"}}, {}, "found max_seq_length 'many'"),
        ({"sentence_bert_config.json": [1]}, {}, "holds no JSON object"),
        ({}, {"shape": (1, 16)}, r"takes the inputs input_ids tensor\(int64\) \[1, 16\]"),
        ({}, {"shape": ("rows",)}, "expected input_ids, attention_mask"),
        ({"onnx/model.onnx_data": [1]}, {}, "keeps its weights in model.onnx_data; expected one file"),
    ],
)
def test_a_model_of_another_kind_is_an_error(
    files: dict[str, Any], options: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(EmbeddingError, match=expected):
        SentenceModel.load(write_sentence_model(tmp_path / "model", files, **options))


def test_a_missing_or_damaged_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingError, match=r"is no folder; expected one with tokenizer.json and onnx/model.onnx"):
        SentenceModel.load(tmp_path / "none")
    folder = write_sentence_model(tmp_path / "model")
    assert "onnx/model.onnx" in read_sentence_settings(folder).files
    for name, content, expected in (
        ("onnx/model.onnx", b"no model", "the ONNX model cannot be loaded"),
        ("tokenizer.json", b"{}", "is no tokenizer"),
        ("sentence_bert_config.json", b"{", "sentence_bert_config.json cannot be read"),
    ):
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(content)
        with pytest.raises(EmbeddingError, match=expected):
            SentenceModel.load(folder)
        (folder / name).write_bytes(before)
    (folder / "onnx/model.onnx").rename(folder / "onnx/model_int8.onnx")
    assert read_sentence_settings(folder).model == "onnx/model_int8.onnx"
    (folder / "onnx/other.onnx").write_bytes(b"")
    with pytest.raises(EmbeddingError, match=r"has 2 ONNX models .onnx/model_int8.onnx, onnx/other.onnx."):
        read_sentence_settings(folder)
    (folder / "tokenizer.json").unlink()
    (folder / "onnx/other.onnx").unlink()
    with pytest.raises(EmbeddingError, match=r"has no tokenizer.json"):
        read_sentence_settings(folder)


def test_a_table_without_the_words_of_the_tokenizer_is_an_error(tmp_path: Path) -> None:
    folder = write_sentence_model(tmp_path / "model")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] = {"[UNK]": 900, "a": 901}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(EmbeddingError, match=r"failed on a text: .*export it again"):
        SentenceModel.load(folder)
