"""Exceptions that mlnb raises on purpose: one root; each is also the builtin exception it resembles.

MlnbError
├── UsageError (ValueError)            a wrong argument, file or name: exit code 2
│   ├── ProjectError                   a pipeline, a profile or the project folder is wrong
│   ├── SettingsError                  a setting of settings.ini or the environment is unknown or wrong
│   ├── NotebookError                  a stage notebook breaks the contract of stage notebooks
│   ├── ParameterError                 an unknown name, a wrong type, a value out of range
│   ├── GraphError                     two producers, no producer, or a cycle
│   ├── ExtensionError                 a class of the project breaks its contract
│   │   ├── ModelFamilyError           a custom model family
│   │   ├── MetricError                a custom metric
│   │   ├── ColumnEncoderError         a custom encoder
│   │   └── DataSourceError            a custom source
│   ├── DeclarationError               a column declaration is unknown, or contradicts another one or the table
│   ├── UnknownRun (LookupError)       no run, stage or artifact of that name
│   ├── SchemaError                    a file of another schema version, or that does not match its schema
│   └── BadRequest                     a request to the service, in mlnb.serving.runtime.request_bodies
│       └── BadRows                    rows that do not fit the model's columns
├── DataError (ValueError)             the data cannot be learned from as the problem states: exit code 3
├── StageError (RuntimeError)          a stage failed: exit code 3
│   ├── ContractBroken                 an undeclared load or save, or a declared output that was not saved
│   ├── CellFailed                     a cell raised an exception
│   ├── CellTimeout (TimeoutError)     a cell or a stage exceeded its time limit: exit code 5
│   └── KernelDied                     the kernel exited or was killed
├── GateFailed (ValueError)            the model does not meet the requirements of its problem: exit code 4
├── StoreCorrupted (OSError)           stored bytes do not match their digest
├── StoreFull (OSError)                no space left on the disk: exit code 6
├── RemoteError (OSError)              the remote store cannot be read or written: exit code 3
├── ExecutorError (RuntimeError)       no other machine can run stages: exit code 3
├── MissingExtra (ImportError)         an optional library is not installed: exit code 2
├── NotReproducible (RuntimeError)     what a reproduction needs is missing: exit code 7
├── ServingError (RuntimeError)        a bento cannot be built, started or verified: exit code 3
├── EmbeddingError (RuntimeError)      texts cannot be embedded: no model, or no endpoint: exit code 3
└── RegistryError (OSError)            the model registry cannot be opened, read or written: exit code 3
    └── AccessDenied (PermissionError) this user or key may not do it
"""


class MlnbError(Exception):
    """Root of all exceptions raised on purpose; `exit_code` is the exit code of the command."""

    exit_code = 1


class UsageError(MlnbError, ValueError):
    """A wrong argument, file or name."""

    exit_code = 2


class ProjectError(UsageError):
    """A pipeline, a profile or the project folder is missing something or contradicts itself."""


class SettingsError(UsageError):
    """A setting is unknown, of the wrong type or out of range."""


class NotebookError(UsageError):
    """A stage notebook breaks the contract of stage notebooks."""


class ParameterError(UsageError):
    """A parameter is unknown, of the wrong type or out of range."""


class DeclarationError(UsageError):
    """A declaration of columns.toml is unknown, or contradicts another one, the problem or the table."""


class GraphError(UsageError):
    """The stages' reads and writes do not form a graph that can be run."""


class ExtensionError(UsageError):
    """A class of the project cannot be loaded, or breaks its contract; the message names its file."""


class ModelFamilyError(ExtensionError):
    """A custom model family cannot be loaded, or breaks its contract."""


class MetricError(ExtensionError):
    """A custom metric cannot be loaded, or breaks its contract."""


class ColumnEncoderError(ExtensionError):
    """A custom encoder cannot be loaded, or breaks its contract."""


class DataSourceError(ExtensionError):
    """A custom source cannot be loaded, or breaks its contract."""


class UnknownRun(UsageError, LookupError):
    """No run, stage or artifact has that name."""


class SchemaError(UsageError):
    """A file has another schema or version, or a field of it is missing, unknown or of the wrong type."""


class DataError(MlnbError, ValueError):
    """The data cannot be learned from as the problem states; the message names what to change."""

    exit_code = 3


class StageError(MlnbError, RuntimeError):
    """A stage failed."""

    exit_code = 3


class ContractBroken(StageError):
    """A stage loaded or saved what it did not declare, or did not save what it declared."""


class CellFailed(StageError):
    """A cell of a stage raised an exception."""


class CellTimeout(StageError, TimeoutError):
    """A cell or a stage exceeded its time limit."""

    exit_code = 5


class KernelDied(StageError):
    """The kernel exited or was killed while a cell ran."""


class GateFailed(MlnbError, ValueError):
    """The model does not meet the requirements of its problem."""

    exit_code = 4


class StoreCorrupted(MlnbError, OSError):
    """Stored bytes do not match their digest."""


class FileWarning(UserWarning):
    """A file is not used; a command prints the message."""


class IgnoredFileWarning(FileWarning):
    """A file is left out because of its name; the message names it."""


class PasswordWarning(UserWarning):
    """A URL has a password that is written out."""


class DamagedFileWarning(FileWarning):
    """A file is damaged, and is ignored or replaced; the message names it."""


class RemoteWarning(FileWarning):
    """The remote store, or an entry of it, is not used; the message states why."""


class DatabaseWarning(FileWarning):
    """The shared database is not used; the message states why."""


class StoreFull(MlnbError, OSError):
    """No space is left on the disk."""

    exit_code = 6


class RemoteError(MlnbError, OSError):
    """The remote store cannot be read or written."""

    exit_code = 3


class ExecutorError(MlnbError, RuntimeError):
    """Stages cannot be run on other machines: no scheduler, no worker, or workers that differ from this machine."""

    exit_code = 3


class MissingExtra(MlnbError, ImportError):
    """An optional library is not installed; the message names the `pip install` command."""

    exit_code = 2


class NotReproducible(MlnbError, RuntimeError):
    """A run cannot be reproduced, as something that it needs is missing; the message names all of it."""

    exit_code = 7


class ServingError(MlnbError, RuntimeError):
    """A bento cannot be built, started or verified."""

    exit_code = 3


class EmbeddingError(MlnbError, RuntimeError):
    """Texts cannot be embedded: a sentence model is missing or wrong, or an endpoint does not respond."""

    exit_code = 3


class RegistryError(MlnbError, OSError):
    """The model registry cannot be opened, read or written."""

    exit_code = 3


class AccessDenied(RegistryError, PermissionError):
    """This user of the database, or the owner of this key, may not change the registry so."""


def own_error_class(raised: type[BaseException]) -> type[MlnbError] | None:
    """Return the class of this module that an exception class is or derives from; None for any other exception.

    The class object decides, never its name: an exception class of a user that is called GateFailed is not ours.
    """
    return next((base for base in raised.__mro__ if issubclass(base, MlnbError) and base.__module__ == __name__), None)


def error_class(name: str) -> type[MlnbError]:
    """Return the class of this module with that name, as run records store it. Raises `KeyError` for another name."""
    value = globals()[name]
    if not (isinstance(value, type) and issubclass(value, MlnbError)):
        raise KeyError(name)
    return value
