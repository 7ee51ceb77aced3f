"""Image columns: paths stay inside of their folder; what is no image or no model is an error that states it."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from PIL import Image

from mlnb.codec import replace
from mlnb.errors import ColumnEncoderError
from mlnb.methods.encoding.custom_encoders import EncoderCode, load_column_encoder, read_files
from mlnb.methods.encoding.encoder_interface import UnusableValue
from mlnb.methods.encoding.onnx_images import decode_image, read_image
from mlnb.methods.encoding.row_encoder import compile_row
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.tables.columns import Column, Schema, to_arrays
from mlnb.testing import check_column_encoder

CODE = """
from mlnb.methods.encoding.onnx_images import OnnxImages


class Colors(OnnxImages):
    name, files, size = "colors", {"model": "net.onnx"}, (4, 4)
"""
SCHEMA = Schema((Column("photo", "text"),))


def make_model(shape: tuple[Any, ...] = ("rows", 3, 4, 4)) -> bytes:
    """Return a model with the mean of each color."""
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("means", TensorProto.FLOAT, None)]
    graph = helper.make_graph([helper.make_node("GlobalAveragePool", ["image"], ["means"])], "g", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    data: bytes = model.SerializeToString()
    return data


def make_photo(color: tuple[int, int, int], folder: Path | None = None) -> str:
    """Return an image as base64, or its path in a folder."""
    buffer = io.BytesIO()
    Image.new("RGB", (9, 5), color).save(buffer, "PNG")
    if folder is None:
        return base64.b64encode(buffer.getvalue()).decode()
    name = f"{color[0]}.png"
    (folder / name).write_bytes(buffer.getvalue())
    return name


@pytest.fixture
def source(tmp_path: Path) -> EncoderCode:
    (tmp_path / "net.onnx").write_bytes(make_model())
    files = read_files(load_column_encoder(CODE, "nbs/encoders/colors.ipynb"), tmp_path)
    return EncoderCode(name="colors", file="nbs/encoders/colors.ipynb", code=CODE, files=files)


def test_one_row_batch_and_loaded_encoder_have_the_same_bits(source: EncoderCode) -> None:
    rows = [{"photo": make_photo((i, 2 * i, 255 - i))} for i in range(8)] + [{"photo": None}]
    encoder = Encoder.fit(to_arrays(rows, SCHEMA), SCHEMA, encoders={"photo": source})
    again = Encoder.from_json(encoder.to_json())
    whole = encoder.transform(to_arrays(rows, SCHEMA))
    assert whole[3, :3] == pytest.approx([3 / 255, 6 / 255, 252 / 255]) and np.isnan(whole[8, :3]).all()
    encode = compile_row(SCHEMA, again)
    assert [encode(row).tobytes() for row in rows] == [row.tobytes() for row in whole]  # type: ignore[union-attr]


def test_it_passes_the_checks_of_a_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.onnx").write_bytes(make_model())
    check_column_encoder(load_column_encoder(CODE, "colors.ipynb").encoder, tmp_path)
    assert "colors, text: 5 checks passed" in capsys.readouterr().out


def test_paths_are_read_in_the_folder_of_files_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    name, outside = make_photo((7, 0, 0), folder), make_photo((9, 0, 0), tmp_path)
    (folder / "link.png").symlink_to(tmp_path / outside)
    monkeypatch.delenv("MLNB_ROOT", raising=False)
    monkeypatch.delenv("MLNB_FILES", raising=False)
    with pytest.raises(UnusableValue, match="no folder of files, expected base64"):
        read_image(name)
    monkeypatch.setenv("MLNB_FILES", str(folder))
    assert read_image(name) == (folder / name).read_bytes()
    for path in (f"../{outside}", str(tmp_path / outside), "link.png"):
        with pytest.raises(UnusableValue, match="leaves the folder"):
            read_image(path)
    for path in ("none.png", "nul\0.png", "a/" * 400 + "b.png"):
        with pytest.raises(UnusableValue, match="cannot be read"):
            read_image(path)


def test_a_model_that_is_not_stored_is_read_in_the_folder_and_compared(
    source: EncoderCode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"model": replace(source.files["model"], data="")}
    arrays = to_arrays([{"photo": make_photo((1, 2, 3))}], SCHEMA)
    monkeypatch.setenv("MLNB_FILES", str(tmp_path))
    saved = Encoder.fit(arrays, SCHEMA, encoders={"photo": replace(source, files=files)}).to_json()
    assert Encoder.from_json(saved).transform(arrays).shape == (1, 3)
    (tmp_path / "net.onnx").write_bytes(make_model((1, 3, 4, 4)))
    with pytest.raises(ColumnEncoderError, match=r"the file net.onnx in .* is not the one of the training"):
        Encoder.from_json(saved)
    monkeypatch.setenv("MLNB_FILES", str(tmp_path / "not_mounted"))
    with pytest.raises(ColumnEncoderError, match=r"'colors': the file net.onnx cannot be read in .*MLNB_FILES"):
        Encoder.from_json(saved)


@settings(max_examples=80)
@given(st.binary(max_size=60), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"BM"]))
def test_any_bytes_are_an_image_or_a_value_that_cannot_be_used(data: bytes, start: bytes) -> None:
    text = base64.b64encode(start + data).decode()
    try:
        decode_image(read_image(text), (4, 4), 3)
    except UnusableValue as error:
        assert "expected" in str(error)


def test_an_image_of_too_many_pixels_is_refused() -> None:
    Image.new("1", (10_000, 6_000)).save(buffer := io.BytesIO(), "PNG")
    with pytest.raises(UnusableValue, match="an image of 10000 x 6000 pixels, expected at most 50,000,000"):
        decode_image(buffer.getvalue(), (4, 4), 3)
