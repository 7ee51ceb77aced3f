"""A setting as a typed class attribute: parsed and checked once, from settings.ini or the environment.

class Limits(SettingsGroup):
    workers = Setting(2, "Number of stages that run at once.", low=1)

Limits({"workers": "4"}).workers  # 4
"""

import math
import os
from collections.abc import Iterator, Mapping
from typing import Any, Generic, NamedTuple, Self, TypeVar, cast, overload

from mlnb.errors import SettingsError
from mlnb.suggestions import did_you_mean
from mlnb.url_passwords import MASK, mask_passwords

T = TypeVar("T", bound=str | int | float | tuple[str, ...])
YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class Setting(Generic[T]):
    """One setting: its default, meaning, range, and the environment variable that sets it, if there is one."""

    def __init__(
        self,
        default: T,
        meaning: str,
        *,
        variable: str = "",
        low: float | None = None,
        high: float | None = None,
        choices: tuple[str, ...] = (),
        separator: str | None = None,
        secret: bool = False,
    ) -> None:
        """Declare a setting.

        Args:
            default: Value when it is not set; its type is the type of the setting.
            meaning: One sentence, with the unit.
            variable: Environment variable; it takes precedence over settings.ini. Empty: there is none.
            low: Smallest number that is accepted.
            high: Largest number that is accepted.
            choices: The texts that are accepted; upper and lower case count as the same.
            separator: What separates the items of a tuple; None: white space.
            secret: Whether the value is masked where settings are printed.
        """
        self.default = default
        self.meaning = meaning
        self.variable = variable
        self.low = low
        self.high = high
        self.choices = choices
        self.separator = separator
        self.secret = secret
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, group: None, owner: type) -> Self: ...

    @overload
    def __get__(self, group: "SettingsGroup", owner: type) -> T: ...

    def __get__(self, group: "SettingsGroup | None", owner: type) -> Self | T:
        return self if group is None else cast(T, group.read(self.name).value)

    def __set__(self, group: "SettingsGroup", value: T) -> None:
        raise AttributeError(f"Settings are read-only; use replace({self.name}=...) for a copy with another value.")

    def parse(self, text: str, source: str) -> T:
        """Return the value of a text.

        Raises:
            SettingsError: The text is not of the type, not among the choices or out of range.
        """
        text = text.strip()
        try:
            value = cast(T, self._convert(text))
        except ValueError as error:
            raise SettingsError(f"{source} is {text!r}; expected {self.expected()}.") from error
        self.check(value, source)
        return value

    def check(self, value: T, source: str) -> None:
        """Raise `SettingsError` for a value that is not among the choices or out of range."""
        if self.choices and value not in self.choices:
            hint = did_you_mean(str(value), self.choices)
            raise SettingsError(f"{source} is {value!r}; expected {self.expected()}.{hint}")
        if isinstance(value, int | float):
            low, high = (-math.inf if self.low is None else self.low), (math.inf if self.high is None else self.high)
            if not low <= value <= high:
                raise SettingsError(f"{source} is {value:g}; expected {self.expected()}.")

    def _convert(self, text: str) -> str | int | float | tuple[str, ...]:
        if isinstance(self.default, bool):
            if text.lower() not in (*YES, *NO):
                raise ValueError(text)
            return text.lower() in YES
        if isinstance(self.default, int):
            return int(text)
        if isinstance(self.default, float):
            return float(text)
        if isinstance(self.default, tuple):
            return tuple(item.strip() for item in text.split(self.separator) if item.strip())
        return text.lower() if self.choices else text

    def expected(self) -> str:
        """Return in words which values are accepted."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        kinds = {bool: "1 or 0", int: "a whole number", float: "a number", tuple: "a list of names", str: "text"}
        bounds = (("at least", self.low), ("at most", self.high))
        limits = " and ".join(f"{words} {bound:g}" for words, bound in bounds if bound is not None)
        return kinds[type(self.default)] + (f", {limits}" if limits else "")

    def show(self, value: T) -> str:
        """Return a value as text, masked when it is secret."""
        if self.secret:
            return MASK if value else ""
        if isinstance(value, tuple):
            return (self.separator or " ").join(value)
        if isinstance(value, bool):
            return "1" if value else "0"
        return f"{value:g}" if isinstance(value, float) else mask_passwords(str(value))


class SettingValue(NamedTuple):
    """A value and its origin: `default`, `settings.ini`, the name of an environment variable, or `command line`."""

    value: Any
    origin: str


class SettingsGroup:
    """Settings that are read together; an instance is read-only.

    Precedence: default < settings.ini < environment. An empty environment variable counts as not set.

    Attributes:
        IN_FILE: Whether the settings are keys of settings.ini; otherwise they are environment variables alone.
    """

    IN_FILE = False

    def __init__(
        self,
        file_values: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        file_name: str = "settings.ini",
    ) -> None:
        """Read and check every setting of the group.

        Args:
            file_values: Keys and texts of section [mlnb] of settings.ini.
            environment: Environment variables; None: those of this process.
            file_name: How errors call the file.

        Raises:
            SettingsError: A key is unknown, or a value is of the wrong type or out of range.
        """
        variables = os.environ if environment is None else environment
        declared = self.declared()
        for key in file_values or {}:
            if key not in declared:
                raise SettingsError(f"{file_name}: [mlnb] has no setting {key!r}.{did_you_mean(key, declared)}")
        self._values: dict[str, SettingValue] = {}
        for name, setting in declared.items():
            value = SettingValue(setting.default, "default")
            if file_values is not None and name in file_values:
                value = SettingValue(setting.parse(file_values[name], f"{file_name}: [mlnb] {name}"), "settings.ini")
            if setting.variable and variables.get(setting.variable, "").strip():
                text = variables[setting.variable]
                value = SettingValue(setting.parse(text, setting.variable), setting.variable)
            self._values[name] = value

    @classmethod
    def declared(cls) -> dict[str, Setting[Any]]:
        """Return the settings of the group by name, in the order of their declaration."""
        return {name: item for name, item in vars(cls).items() if isinstance(item, Setting)}

    @classmethod
    def label(cls, name: str) -> str:
        """Return how a setting is called: its key in settings.ini, or its environment variable."""
        return name if cls.IN_FILE else cls.declared()[name].variable

    def read(self, name: str) -> SettingValue:
        """Return the value of a setting and its origin."""
        return self._values[name]

    def replace(self, origin: str = "command line", **values: Any) -> Self:
        """Return a copy with other values. Raises `SettingsError` for a value that is not accepted."""
        copy = object.__new__(type(self))
        copy._values = dict(self._values)
        declared = self.declared()
        for name, value in values.items():
            declared[name].check(value, name)
            copy._values[name] = SettingValue(value, origin)
        return copy

    def lines(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield (name, value as text, origin, meaning) of every setting; secrets are masked."""
        for name, setting in self.declared().items():
            value, origin = self._values[name]
            yield name, setting.show(value), origin, setting.meaning
