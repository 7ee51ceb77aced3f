"""The example of an encoder that `mlnb new --with-encoder` writes."""

FILE = "nbs/encoders/rare_words.ipynb"

# Cells of the notebook: "%% md" or "%% code", and the source.
CELLS = '''\
%% md
# Rare words

> An encoder of this project: how many words a text has, and how rare they are among the training rows.

%% md
`mlnb run -p features.encoders '{"note": "rare_words"}'` encodes the column `note` with it, of a table or of a forecast.
Each fold of the search learns a separate encoder from its training rows. Missing texts are encoded as missing without
the encoder. Change `fit`, `name` and `kinds`.

%% code
#| default_exp encoders.rare_words

%% code
#| export
import math
from collections import Counter

import numpy as np

from mlnb.methods.encoding.encoder_interface import ColumnEncoder

%% md
## The encoder

`fit` returns an object that encodes values and that saves what it learned as JSON values, and `load` makes it again:
nothing is pickled.

%% code
#| export
class FittedRareWords:
    """The share of training texts that have each word."""

    names = ("words", "mean rarity")

    def __init__(self, shares) -> None:
        self.shares = shares

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Return the number of words and their mean rarity, -log of the share (n, 2)."""
        rows = []
        for text in values:
            words = text.lower().split()
            rarity = [-math.log(self.shares.get(word, self.shares[""])) for word in words]
            rows.append([len(words), math.fsum(rarity) / len(words) if words else 0.0])
        return np.array(rows, dtype=np.float64)

    def save(self) -> dict[str, float]:
        """Return the shares."""
        return self.shares


class RareWords(ColumnEncoder):
    """Counts words, and learns how rare each is."""

    name = "rare_words"
    kinds = ("text", "category")

    def fit(self, values, y, spec) -> FittedRareWords:
        """Return the share of the texts that have each word; unknown words count as if half a text had them."""
        counts = Counter(word for text in values for word in sorted(set(text.lower().split())))
        shares = {word: count / len(values) for word, count in sorted(counts.items())}
        return FittedRareWords(shares | {"": 0.5 / len(values)})

    def load(self, saved, files) -> FittedRareWords:
        """Return the encoder that `save` wrote."""
        return FittedRareWords(saved)

%% code
notes = np.array(["new door", "new", "new roof"], dtype=object)
fitted = RareWords().fit(notes, None, None)
assert fitted.transform(notes)[:, 0].tolist() == [2, 1, 2]
assert fitted.transform(notes)[1, 1] == 0.0  # each text has this word

%% md
## The checks
Numbers of known and unknown values, the same encoder for the same rows, saved and loaded encoders, and one row against
a batch.

%% code
from mlnb.testing import check_column_encoder

check_column_encoder(RareWords)
'''
