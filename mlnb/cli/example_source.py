"""The example of a source that `mlnb new --with-source` writes."""

FILE = "nbs/sources/visits.ipynb"

# Cells of the notebook: "%% md" or "%% code", and the source.
CELLS = '''\
%% md
# Visits

> A source of this project: a table that code makes, here a simulation of visits to a shop.

%% md
`mlnb run --data source:visits --target bought` reads it. Rows of the same version are read once: another run of the
stage takes them from the store, until `version` or the code changes. Replace the simulation by a query of your API.

%% code
#| default_exp sources.visits

%% code
#| export
import numpy as np
import pandas as pd

from mlnb.methods.tables.source_interface import DataSource

%% md
## The source

%% code
#| export
class Visits(DataSource):
    """Visits with what was bought."""

    name = "visits"

    def version(self, folder) -> str:
        """Return the version of the data: here of the simulation."""
        return "2026-1"

    def read(self, folder) -> pd.DataFrame:
        """Return one row for each visit."""
        random = np.random.default_rng(20261)
        pages, device = random.integers(1, 30, 600), random.choice(["phone", "tablet", "computer"], 600)
        bought = random.random(600) < np.clip(pages / 25 - 0.1 + 0.2 * (device == "computer"), 0.02, 0.95)
        return pd.DataFrame({"pages": pages, "device": device, "bought": np.where(bought, "yes", "no")})

%% md
## The checks
The same version and the same rows twice, and values of one type in each column.

%% code
from mlnb.testing import check_data_source

check_data_source(Visits)
'''
