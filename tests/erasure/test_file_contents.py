"""The rows of a person are recognized in every encoding that is written, and other rows are not."""

import gzip
import html
import io
import json
import tarfile
import time
import zipfile
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.erasure.conditions import Condition, Selection
from mlnb.erasure.file_contents import ContentSearch
from mlnb.erasure.notebook_redaction import NOTE, redact_notebook
from mlnb.erasure.search_terms import SearchTerms

NOTE_TEXT = 'Zürich & <Klara>: "4711"'
PEOPLE = pd.DataFrame(
    {
        "id": [837465192, 100001, 100002],
        "note": [NOTE_TEXT, "likes tea 1", "likes tea 12"],
        "spend": [987654.125, 12.5, 13.5],
        "age": [35, 36, 37],
        "city": ["Klagenfurt", "Graz", "Graz"],
    }
)


def search_for(number: int, people: pd.DataFrame = PEOPLE) -> ContentSearch:
    """Return the search for a person, by the number."""
    selection = Selection([(Condition("id", (str(people["id"][number]),)),)])
    terms = SearchTerms(selection.values())
    terms.add(people, selection.matches(people))
    terms.finish()
    return ContentSearch(selection, terms)


def test_an_array_of_named_fields_has_columns() -> None:
    """The users of a recommender have short names that would match by chance elsewhere."""
    users = np.array(["7", "8"]).astype([("customer", "<U1")])
    for name, is_there in (("7", True), ("9", False)):
        selection = Selection([(Condition("customer", (name,)),)])
        search = ContentSearch(selection, SearchTerms(selection.values()))
        search.terms.finish()
        assert search.holds(packed(lambda buffer: np.save(buffer, users)), "users.npy") == is_there


def packed(write: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def zipped(name: str, data: bytes) -> bytes:
    def write(buffer: io.BytesIO) -> None:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, data)

    return packed(write)


def in_tar(data: bytes) -> bytes:
    def write(buffer: io.BytesIO) -> None:
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            member = tarfile.TarInfo("rows")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))

    return packed(write)


def arrow(frame: pd.DataFrame) -> bytes:
    table, sink = pa.Table.from_pandas(frame), pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


ENCODINGS: dict[str, Callable[[pd.DataFrame], bytes]] = {
    "csv": lambda frame: frame.to_csv().encode(),
    "json": lambda frame: frame.to_json(orient="records").encode(),
    "json in ASCII": lambda frame: json.dumps(frame.to_dict("records")).encode(),
    "html": lambda frame: frame.to_html().encode(),
    "escaped html": lambda frame: html.escape(frame.to_csv()).encode(),
    "text": lambda frame: frame.to_string().encode(),
    "parquet": lambda frame: packed(lambda buffer: frame.to_parquet(buffer, compression="zstd")),
    "parquet without the id": lambda frame: packed(lambda buffer: frame[["note", "age"]].to_parquet(buffer)),
    "arrow": arrow,
    "array": lambda frame: packed(lambda buffer: np.save(buffer, frame[["age", "spend"]].to_numpy(float))),
    "gzip": lambda frame: gzip.compress(frame.to_csv().encode()),
    "zstd": lambda frame: pa.compress(frame.to_csv().encode(), codec="zstd", asbytes=True),
    "zip in zip": lambda frame: zipped("a", zipped("b", frame.to_csv().encode())),
    "tar.gz": lambda frame: in_tar(frame.to_csv().encode()),
    "excel": lambda frame: packed(lambda buffer: frame.to_excel(buffer)),
    "a golden row": lambda frame: json.dumps({"rows": frame[["age", "spend", "city"]].to_dict("records")}).encode(),
    "categories": lambda frame: json.dumps({"name": "city", "categories": sorted({*frame["city"]})}).encode(),
    "a statistic": lambda frame: json.dumps(
        {"name": "id", "role": "identifier", "example": int(frame["id"].iloc[0])}
    ).encode(),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_person_is_recognized_and_nobody_else_is(encoding: str) -> None:
    encode = ENCODINGS[encoding]
    assert search_for(0).holds(encode(PEOPLE)) and search_for(0).holds(encode(PEOPLE[:1]))
    assert not search_for(0).holds(encode(PEOPLE[1:]))
    assert not search_for(2).holds(encode(PEOPLE[:2]))


def test_short_and_shared_values_are_no_terms_and_vocabularies_are_searched_by_word() -> None:
    terms = search_for(0).terms
    assert terms.strong == {"837465192", NOTE_TEXT, "987654.125"} and "35" not in terms.exact
    vocabulary = json.dumps({"words": ["klara", "likes"]}).encode()
    assert not search_for(0).holds(vocabulary, "metrics")
    people = PEOPLE.assign(note=["the zebrafish of 12", "likes tea 1", "likes tea 12"])
    vocabulary = json.dumps({"words": ["zebrafish", "likes"]}).encode()
    assert search_for(0, people).holds(vocabulary, "encoder.json")
    assert not search_for(1, people).holds(vocabulary, "encoder.json")


@settings(max_examples=30)
@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=9, max_size=30).map(lambda text: f"n 1{text}1 n"))
def test_any_text_is_recognized(text: str) -> None:
    people = PEOPLE.assign(note=[text, "likes tea 1", "likes tea 12"])
    search, value = search_for(0, people), text.strip()
    forms = (value, json.dumps(value), json.dumps({"a": value}, ensure_ascii=False), html.escape(value))
    assert all(search.holds(b"- " + form.encode() + b" -") for form in forms)


def test_of_a_notebook_only_outputs_that_may_show_the_rows_are_removed() -> None:
    search = search_for(0)
    outputs = {
        "text": {"output_type": "stream", "name": "stdout", "text": [f"spend {PEOPLE['spend'][0]}00\n"]},
        "table": {"output_type": "display_data", "metadata": {}, "data": {"text/html": "<table><td>36</td></table>"}},
        "figure": {"output_type": "display_data", "metadata": {}, "data": {"image/png": "aGVsbG8="}},
        "other": {"output_type": "stream", "name": "stdout", "text": "300 rows\n"},
    }
    for shows_rows, harmless in ((False, ["table", "figure", "other"]), (True, ["other"])):
        cell = {"cell_type": "code", "source": "x", "metadata": {}, "outputs": [*outputs.values()]}
        notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        data = redact_notebook(json.dumps(notebook).encode(), search.terms, shows_rows)
        assert data is not None
        (*left, note) = json.loads(data)["cells"][0]["outputs"]
        assert left == [outputs[name] for name in harmless] and note["text"] == [NOTE]
        assert redact_notebook(data, search.terms, shows_rows) is None


@pytest.mark.parametrize("decimals", [0, 3])
def test_thousands_of_terms_are_searched_at_once(decimals: int) -> None:
    """Rows of a log have computed features: a list of alternatives would be tried at each byte of a file."""
    numbers = (10 * np.random.default_rng(0).permutation(np.arange(1_000_000, 1_004_000)) + 7) / 10**decimals
    table = pd.DataFrame({"id": np.repeat(["ann-1234", "bob-5678"], 2000), "value": numbers})
    terms = SearchTerms({"ann-1234"})
    terms.add(table, (table["id"] == "ann-1234").to_numpy())
    terms.finish()
    texts = [f"{number:.{decimals}f}" for number in numbers]
    assert all(terms.in_bytes(f"a,{text},b".encode()) for text in texts[:1000])
    others = set(texts[2000:]) - set(texts[:2000])
    assert not any(terms.in_bytes(f"a,{text},b".encode()) for text in others)
    assert terms.masked(f"{texts[0]} {texts[1]}9".encode()) == f"[erased] {texts[1]}9".encode()
    start = time.process_time()
    assert not terms.in_bytes(b"0.123456789,1234567890123 " * 40_000)  # a megabyte
    assert time.process_time() - start < 5
