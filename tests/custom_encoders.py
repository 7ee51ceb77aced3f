"""A small encoder as a project defines it, its notebook, and changes that break its contract."""

from pathlib import Path

from custom_families import write_family

from mlnb.methods.encoding.custom_encoders import EncoderCode

FILE = "nbs/encoders/moments.ipynb"
CODE = """#| export
import math

import numpy as np

from mlnb.methods.encoding.encoder_interface import ColumnEncoder, UnusableValue


def measure(value):
    if isinstance(value, str):
        if "unusable" in value:
            raise UnusableValue("an unusable text", "another one")
        return math.log1p(len(value)) + sum(map(ord, value[:9])) % 97
    return value / 3 if abs(value) < 1e100 else 1.0


class Moments:
    names = ("above", "measure")

    def __init__(self, mean):
        self.mean = mean

    def transform(self, values):
        measures = [measure(value) for value in values]
        return np.array([[float(number > self.mean), number] for number in measures])

    def save(self):
        return self.mean


class MomentsEncoder(ColumnEncoder):
    name = "moments"
    kinds = ("text", "category", "number", "date", "boolean")

    def fit(self, values, y, spec):
        return Moments(math.fsum(measure(value) for value in values) / len(values))

    def load(self, saved, files):
        return Moments(saved)
"""
# What an encoder can do wrong: a change of the code, and the text of the error.
FAULTS = {
    "NaN": ("float(number > self.mean), number]", "np.nan, np.nan]", "all encoded numbers are NaN"),
    "shape": ("[float(number > self.mean), number]", "[number]", "array of shape (40, 1) for 40 values"),
    "random": ("return Moments(math", "return Moments(np.random.default_rng().random() + math", "two fits on the same"),
    "exception": ("measures = [", "measures = np.arrays(values) or [", "in `measures = np.arrays"),
    "batch": ("float(number > self.mean)", "float(number > max(measures) / 2)", "rowwise = True"),
    "loaded": ("return Moments(saved)", "return Moments(0.5 * saved)", "saved and loaded"),
    "pickle": ("return self.mean", "return __import__('pickle').dumps(self.mean)", "save raised TypeError"),
    "infinite": ("return self.mean", "return float('inf')", "save raised ValueError"),
    "names": ('names = ("above", "measure")', "names = ()", "names is ()"),
    "file": ('name = "moments"', 'files = {"model": "models/net.onnx"}; name = "moments"', "the file models/net.onnx"),
}


def moments(**changes: str) -> EncoderCode:
    """Return the encoder, with texts of its code replaced."""
    code = CODE
    for old, new in changes.items():
        code = code.replace(old, new)
    return EncoderCode(name="moments", file=FILE, code=code, libraries=("numpy",))


def write_encoder(root: Path, code: str = CODE) -> Path:
    """Return the notebook of an encoder, written into a project."""
    return write_family(root, FILE, code)
