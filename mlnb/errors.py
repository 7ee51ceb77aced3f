"""Every error that mlnb raises on purpose: one root, and each is also the builtin it resembles.

MlnbError
├── UsageError (ValueError)            what was asked for cannot be: exit code 2
│   ├── ProjectError                   settings.ini, a pipeline or a profile is wrong
│   ├── NotebookError                  a stage notebook breaks the contract
│   ├── ParameterError                 an unknown name, a wrong type, a value out of range
│   ├── GraphError                     two producers, nobody produces it, a circle
│   ├── UnknownRun (LookupError)       no run, stage or artifact of that name
│   ├── SchemaError                    a file of another schema version, or not as its schema says
│   └── BadRequest                     a request to the service, in mlnb.serving.runtime.request_bodies
│       └── BadRows                    rows that do not fit the model's columns
├── StageError (RuntimeError)          something failed while a stage ran: exit code 3
│   ├── ContractBroken                 an undeclared load or save, a promise left unkept
│   ├── CellFailed                     a cell raised
│   ├── CellTimeout (TimeoutError)     a cell or a stage took too long: exit code 5
│   └── KernelDied                     the kernel exited or was killed
├── GateFailed (ValueError)            the model misses the problem's contract: exit code 4
├── StoreCorrupted (OSError)           stored bytes are not what their digest says
├── StoreFull (OSError)                no space left for what was being written: exit code 6
├── MissingExtra (ImportError)         an optional library is not installed: exit code 2
├── ServingError (RuntimeError)        a bento cannot be built, started or proven: exit code 3
└── RegistryError (OSError)            the registry cannot be opened, read or written: exit code 3
"""


class MlnbError(Exception):
    """Root of all errors raised on purpose; `exit_code` is what the command line ends with."""

    exit_code = 1


class UsageError(MlnbError, ValueError):
    """What was asked for cannot be done as it was asked."""

    exit_code = 2


class ProjectError(UsageError):
    """The project's settings are missing something or contradict themselves."""


class NotebookError(UsageError):
    """A stage notebook breaks the stage contract."""


class ParameterError(UsageError):
    """A parameter is unknown, of the wrong type or out of range."""


class GraphError(UsageError):
    """The stages' reads and writes do not form a graph that can be run."""


class UnknownRun(UsageError, LookupError):
    """No run, stage or artifact has that name."""


class SchemaError(UsageError):
    """A file has another schema or version, or a field of it is missing, unknown or of the wrong type."""


class StageError(MlnbError, RuntimeError):
    """Something failed while a stage ran."""

    exit_code = 3


class ContractBroken(StageError):
    """A stage loaded or saved what it did not declare, or did not save what it promised."""


class CellFailed(StageError):
    """A cell of a stage raised an error."""


class CellTimeout(StageError, TimeoutError):
    """A cell or a stage took longer than it may."""

    exit_code = 5


class KernelDied(StageError):
    """The kernel exited or was killed while a cell ran."""


class GateFailed(MlnbError, ValueError):
    """The model does not meet the contract of its problem."""

    exit_code = 4


class StoreCorrupted(MlnbError, OSError):
    """Stored bytes are not what their digest says."""


class StoreFull(MlnbError, OSError):
    """There is no space left for what was being written."""

    exit_code = 6


class MissingExtra(MlnbError, ImportError):
    """An optional library is not installed; the message names the `pip install`."""

    exit_code = 2


class ServingError(MlnbError, RuntimeError):
    """A bento cannot be built, started or proven."""

    exit_code = 3


class RegistryError(MlnbError, OSError):
    """The registry of models cannot be opened, read or written."""

    exit_code = 3
