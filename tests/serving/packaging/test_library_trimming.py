"""Files of libraries that images and functions omit: only those that nothing imports."""

import pytest

from mlnb.serving.packaging.library_trimming import trim

FILES = {
    "other/core.py": "def fit():\n    from scipy.stats import norm\n    return norm",
    "other/tests/test_core.py": "import scipy.io",
    "numpy/conftest.py": "import scipy.odr",
    "mlnb/methods/fit.py": "import scipy.odr",
    "numpy/_core/_simd.cpython-311.so": "",
    "numpy/_core/_umath_tests.cpython-311.so": "",
    "numpy/_core/_umath_linalg.cpython-311.so": "",
    "scipy/__init__.py": "",
    "scipy/_lib/__init__.py": "",
    "scipy/_lib/_test_ccallback.cpython-311.so": "",
    "scipy/stats/__init__.py": "from . import _norm\nfrom .. import special",
    "scipy/stats/_norm.py": "",
    "scipy/special/__init__.py": "from ..linalg import inv",
    "scipy/linalg/__init__.py": "",
    "scipy/io/__init__.py": "",
    "scipy/odr/__init__.py": "",
    "scipy.libs/libblas.so": "",
    "sklearn/datasets/data/iris.csv": "",
    "pygments/lexers/__init__.py": "",
    "pygments/lexers/python.py": "",
    "pygments/lexers/fortran.py": "",
    "aiohttp/parser.pyx": "",
}
TESTS = {
    "other/tests/test_core.py",
    "numpy/_core/_simd.cpython-311.so",
    "numpy/_core/_umath_tests.cpython-311.so",
    "scipy/_lib/_test_ccallback.cpython-311.so",
    "aiohttp/parser.pyx",
    "sklearn/datasets/data/iris.csv",
}


@pytest.mark.parametrize(
    ("whole", "gone"),
    [
        ((), {"scipy/io/__init__.py", "scipy/odr/__init__.py", "pygments/lexers/fortran.py"}),
        (("scipy",), {"pygments/lexers/fortran.py"}),
        (("scipy", "pygments"), set()),
    ],
)
def test_subpackages_that_a_library_imports_anywhere_stay(whole, gone, tmp_path):
    for name, source in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    trim(tmp_path, whole)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == FILES.keys() - TESTS - gone
