"""The exception hierarchy: the tree of the docstring, exit codes, and classes of users with our names."""

import re

import pytest

from mlnb import errors
from mlnb.errors import GateFailed, MlnbError, error_class, own_error_class

CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, MlnbError)]


def test_the_docstring_lists_every_class_with_its_builtin_base_and_exit_code():
    lines = {
        match[1]: match[2]
        for match in re.finditer(r"^[│ ]*(?:[├└]── )?(\w+)(.*)$", errors.__doc__ or "", re.MULTILINE)
        if match[1][0].isupper() and match[1] != "Exceptions"
    }
    for error in CLASSES:
        assert error.__name__ in lines
        builtins = [base.__name__ for base in error.__bases__ if base.__module__ == "builtins"]
        if error is not MlnbError:
            assert all(name in lines[error.__name__] for name in builtins)
        for code in re.findall(r"exit code (\d)", lines[error.__name__]):
            assert error.exit_code == int(code)


@pytest.mark.parametrize("error", CLASSES)
def test_a_class_is_found_by_the_name_that_records_store(error):
    assert error_class(error.__name__) is error


@pytest.mark.parametrize("name", ["ValueError", "own_error_class", "Missing"])
def test_other_names_are_no_error_classes(name):
    with pytest.raises(KeyError):
        error_class(name)


def test_the_class_object_decides_and_not_its_name():
    namesake = type("GateFailed", (ValueError,), {})
    derived = type("Stricter", (GateFailed,), {"__module__": "project"})
    assert own_error_class(namesake) is None
    assert own_error_class(derived) is GateFailed
