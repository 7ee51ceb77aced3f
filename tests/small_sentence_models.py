"""Tiny sentence models, and a server of this machine in place of an embedding endpoint."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from listeners import Quiet, listening
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

GOOD = ("good", "fine", "great", "lovely", "witty", "bright")
BAD = ("bad", "dull", "awful", "poor", "bleak", "tired")
PLAIN = ("film", "cast", "plot", "scene", "music", "ending")
POOLED = {
    "modules.json": [
        {"type": "sentence_transformers.models.Transformer", "path": ""},
        {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
        {"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"},
    ],
    "1_Pooling/config.json": {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True},
    "sentence_bert_config.json": {"max_seq_length": 16, "do_lower_case": True},
}


def make_vectors() -> np.ndarray:
    """Return the vector of the unknown word, and of each word (words + 1, 6): its meaning, its kind, and noise."""
    random = np.random.default_rng(0)
    meaning = [0.0] + [1.0] * len(GOOD) + [-1.0] * len(BAD) + [0.0] * len(PLAIN)
    noise = random.normal(size=(len(meaning), 5)) * 0.2
    return np.column_stack([meaning, noise]).astype(np.float32)


def write_sentence_model(
    folder: Path,
    files: Mapping[str, Any] = POOLED,
    quantized: bool = False,
    shape: tuple[Any, ...] = ("rows", "tokens"),
) -> Path:
    """Return a folder with a model of GOOD, BAD and PLAIN words.

    Args:
        folder: created.
        files: further JSON files.
        quantized: whether the vectors of a batch depend on each other, as those of a dynamically quantized model do.
        shape: of its inputs.
    """
    names = ["input_ids", "attention_mask"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in names]
    outputs = [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [None] * 3)]
    last = "vectors" if quantized else "last_hidden_state"
    nodes = [helper.make_node("Gather", ["table", "input_ids"], [last])]
    if quantized:
        nodes += [
            helper.make_node("DynamicQuantizeLinear", ["vectors"], ["small", "scale", "zero"]),
            helper.make_node("DequantizeLinear", ["small", "scale", "zero"], ["last_hidden_state"]),
        ]
    graph = helper.make_graph(nodes, "words", inputs, outputs, [numpy_helper.from_array(make_vectors(), "table")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    (folder / "onnx").mkdir(parents=True)
    (folder / "onnx" / "model.onnx").write_bytes(model.SerializeToString())
    tokenizer = Tokenizer(
        models.WordLevel({word: code for code, word in enumerate(["[UNK]", *GOOD, *BAD, *PLAIN])}, "[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, value in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(value), "utf-8")
    return folder


def make_reviews(count: int, seed: int = 0, words: int = 6) -> tuple[list[str], np.ndarray]:
    """Return texts with `words` of the words of each meaning, and whether they are good (n,)."""
    random = np.random.default_rng(seed)
    y = random.integers(2, size=count)
    kinds = [(GOOD if good else BAD)[:words] for good in y]
    return [f"a {random.choice(kind)} {random.choice(PLAIN)} {random.choice(PLAIN)}" for kind in kinds], y


class EndpointHandler(Quiet):
    """Responds with vectors of GOOD and BAD words, or with the next of the server's statuses."""

    def do_POST(self) -> None:
        server: Any = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.requests.append((self.headers.get("Authorization"), body))
        vectors = [[sum(w in GOOD for w in t.split()), sum(w in BAD for w in t.split()), 1.0] for t in body["input"]]
        content = {"data": [{"index": at, "embedding": vector} for at, vector in enumerate(vectors)]}
        data = json.dumps(content).encode()
        self.send_response(server.statuses.pop(0) if server.statuses else 200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Location", f"http://127.0.0.1:{server.server_port}/elsewhere")
        self.end_headers()
        self.wfile.write(server.reply or data)


@contextmanager
def run_endpoint() -> Iterator[Any]:
    """Run a server with `requests` (key and body of each), `statuses` of the next responses, and a fixed `reply`."""
    with listening(EndpointHandler, requests=[], statuses=[], reply=b"") as server:
        vars(server)["url"] = f"http://127.0.0.1:{server.server_port}/v1"
        yield server
