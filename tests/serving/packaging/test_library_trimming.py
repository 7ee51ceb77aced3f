"""Files of libraries that images and functions omit: only those that nothing imports."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from mlnb.serving.packaging.library_trimming import keep_loaded, trim

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
    "numpy/__init__.pyi": "",
    "numpy/distutils/core.py": "",
    "numpy/f2py/crackfortran.py": "",
    "other/__pycache__/core.cpython-311.pyc": "",
    "bentoml/_internal/server/static_content/page.js": "",
    "bentoml/_internal/server/app.py": "",
}
TESTS = {
    "other/tests/test_core.py",
    "numpy/_core/_simd.cpython-311.so",
    "numpy/_core/_umath_tests.cpython-311.so",
    "scipy/_lib/_test_ccallback.cpython-311.so",
    "aiohttp/parser.pyx",
    "numpy/__init__.pyi",
    "numpy/distutils/core.py",
    "other/__pycache__/core.cpython-311.pyc",
    "bentoml/_internal/server/static_content/page.js",
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
    assert (tmp_path / "bentoml/_internal/server/static_content").is_dir()


@pytest.mark.skipif(sys.platform != "linux", reason="ELF is the format of Linux")
def test_a_library_without_symbols_is_imported_and_the_cache_stays(tmp_path):
    (source,) = Path(uvloop.__file__).parent.glob("loop.*.so")
    cached = shutil.copy2(source, tmp_path / "cached.so")
    content = Path(cached).read_bytes()
    library = tmp_path / "site" / source.name
    library.parent.mkdir()
    os.link(cached, library)  # as installers do
    os.chmod(library, 0o755)
    trim(tmp_path / "site", ())
    trimmed = library.read_bytes()
    assert len(trimmed) < 0.5 * len(content) and Path(cached).read_bytes() == content
    assert library.stat().st_mode & 0o777 == 0o755
    assert keep_loaded(trimmed) == trimmed
    load = "import importlib.machinery as m, importlib.util as u\n"
    load += f"loader = m.ExtensionFileLoader('loop', {str(library)!r})\n"
    load += "print(u.module_from_spec(u.spec_from_loader('loop', loader)).__name__)"
    done = subprocess.run([sys.executable, "-S", "-c", load], capture_output=True, text=True, check=True)
    assert done.stdout == "loop\n"


@pytest.mark.parametrize("content", [b"", b"GROUP ( libm.so.6 )", b"\x7fELF\x01\x01" + bytes(60), b"\x7fELF\x02\x01"])
def test_other_files_stay_as_they_are(content):
    assert keep_loaded(content) == content
