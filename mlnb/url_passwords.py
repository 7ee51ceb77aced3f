"""Passwords in URLs that a user wrote out: they become variables of this process, which are secrets like any other.

`postgresql://ann:pw@host/db` becomes `postgresql://ann:${URL_PASSWORD_1}@host/db`. Records, outputs, command lines of
other processes and messages then have the name, and the value is in the environment of mlnb's processes alone.
"""

import itertools
import os
import re
import warnings

from mlnb.errors import PasswordWarning, SettingsError

MASK = "********"
SECRET = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")  # a reference to an environment variable
VARIABLE = "URL_PASSWORD_"  # followed by a number
KEYS = "password|passwd|pwd|secret|token|access_token|api_?key|sig(?:nature)?|x-amz-signature"  # of a URL's query
_LITERAL = re.compile(
    r"(?P<before>\b[a-z][a-z0-9+.-]{0,40}://[^\s/@:?#'\"]*:"  # the user of a URL
    rf"|[?&](?:{KEYS})=)"
    r"(?P<password>(?!\$\{|\*\*\*)(?:(?<=:)[^\s/]+(?=@)|(?<==)[^\s&#'\"]+))",
    re.IGNORECASE,
)


def hide_passwords(text: str) -> str:
    """Return a text with each password in a URL replaced by a variable, which is set; warn of each once."""
    return _LITERAL.sub(lambda match: f"{match['before']}${{{_variable(match['password'])}}}", text)


def expand_url(setting: str) -> str:
    """Return a URL of the settings with `${NAME}` from the environment; a password in it is reported once.

    Raises:
        SettingsError: A variable that it names is not set.
    """
    url = hide_passwords(setting)
    if missing := [name for name in SECRET.findall(url) if name not in os.environ]:
        raise SettingsError(f"{mask_passwords(setting)!r}: the environment variable {missing[0]} is not set.")
    return os.path.expandvars(url)


def mask_passwords(text: str) -> str:
    """Return a text to be shown, with each password in a URL masked."""
    return _LITERAL.sub(lambda match: match["before"] + MASK, text)


def has_password(text: str) -> bool:
    """Return whether a text has a URL with a password written out."""
    return _LITERAL.search(text) is not None


def reveal_passwords(text: str) -> str:
    """Return a text as it was before `hide_passwords`."""
    return re.sub(rf"\$\{{({VARIABLE}\d+)\}}", lambda match: os.environ.get(match[1], match[0]), text)


def hidden_passwords() -> dict[str, str]:
    """Return the passwords that `hide_passwords` has replaced, by variable: those are redacted from messages."""
    return {name: value for name, value in os.environ.items() if name.startswith(VARIABLE)}


def explain_password(name: str) -> str:
    """Return the message about a password that became a variable."""
    return (
        f"a URL has a password; everything that mlnb writes has ${{{name}}} in its place. Keep it in the environment: "
        "write scheme://user:${NAME}@host and set NAME first."
    )


def _variable(password: str) -> str:
    """Return the variable of a password; set it when the password is new."""
    for number in itertools.count(1):
        name = f"{VARIABLE}{number}"
        if name not in os.environ:
            os.environ[name] = password
            warnings.warn(explain_password(name), PasswordWarning, stacklevel=4)
        if os.environ[name] == password:
            return name
    raise AssertionError
