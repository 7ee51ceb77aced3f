"""All settings of mlnb: the keys of settings.ini [mlnb] and the environment variables.

`ProjectSettings` are read by the engine, `ServiceSettings` by a service that answers requests, `ProcessSettings` by any
process. Each setting is named here once, with its type, default, range and meaning; `mlnb doctor` prints them.
"""

from mlnb.typed_settings import Setting, SettingsGroup


class ProjectSettings(SettingsGroup):
    """Settings of a project: settings.ini [mlnb]; those with a variable can be set in the environment too."""

    IN_FILE = True

    notebooks = Setting("nbs/stages", "Folder of the stage notebooks.")
    runs = Setting("runs", "Folder of the run records.")
    store = Setting(".mlnb", "Folder of the artifact store and the caches.")
    pipeline = Setting("train", "Pipeline that `mlnb run` runs when none is named.")
    tracker = Setting("wandb", "Experiment tracker; local: the run record alone.", choices=("wandb", "local"))
    wandb_mode = Setting(
        "offline",
        "Mode of Weights & Biases.",
        variable="WANDB_MODE",
        choices=("offline", "online", "disabled", "shared"),
    )
    remote = Setting(
        "",
        "URL of the store that clones, CI and workers share: s3://, gs://, az:// or file:///; empty: none.",
        variable="MLNB_REMOTE",
    )
    remote_mode = Setting(
        "rw",
        "rw: results are reused from the remote store and pushed to it; r: nothing is written there.",
        variable="MLNB_REMOTE_MODE",
        choices=("rw", "r"),
    )
    remote_platforms = Setting[tuple[str, ...]](
        (),
        "Other platforms whose results are reused, as `mlnb doctor --remote` names them.",
        variable="MLNB_REMOTE_PLATFORMS",
    )
    remote_timeout = Setting(
        3.0,
        "Seconds without a response after which a request to the remote store fails.",
        variable="MLNB_REMOTE_TIMEOUT",
        low=0.1,
    )
    executor = Setting(
        "local",
        "Where stages run: local, or dask://HOST:PORT, whose workers share the remote store.",
        variable="MLNB_EXECUTOR",
    )
    database = Setting(
        "",
        "URL of the PostgreSQL database that machines share: locks, state of runs, test-set accesses; empty: none.",
        variable="MLNB_DATABASE",
    )
    registry = Setting("", "SQLAlchemy URL of the model registry, ${NAME} from the environment; empty: in the store.")
    audit_anchor = Setting(
        "", "Folder or fsspec URL that gets each head of the audit log, such as a folder in git; empty: none."
    )
    approvals = Setting(0, "Number of people who must approve a version before it is promoted.", low=0)
    predictions = Setting("", "fsspec URL that finished segments of the prediction log are copied to; empty: nowhere.")
    predictions_masked = Setting[tuple[str, ...]](
        (), "Columns whose values the prediction log omits, comma-separated.", separator=","
    )
    retention_log_days = Setting(
        0.0, "Days after which `mlnb clean` deletes finished segments of the prediction log; 0: never.", low=0
    )
    retention_runs_days = Setting(
        0.0, "Days after which `mlnb clean` deletes runs, but not those of versions with an alias; 0: never.", low=0
    )
    workers = Setting(2, "Number of stages that run at once.", low=1)
    memory = Setting(
        0.0,
        "Memory in MB that a stage may take; larger tables are held in files. 0: what machine and container have free.",
        variable="MLNB_RUN_MEMORY",
        low=0,
    )
    cell_timeout = Setting(1800.0, "Time limit of one cell in seconds; 0: none.", low=0)
    stage_timeout = Setting(3600.0, "Time limit of one stage in seconds; 0: none.", low=0)
    openlineage = Setting(
        "", "File that gets the events of runs in the form of OpenLineage; empty: none.", variable="MLNB_OPENLINEAGE"
    )
    retries = Setting(
        2,
        "Times that a stage is repeated after a transient error; [stage NAME]: of one stage.",
        low=0,
        high=20,
    )
    retry_seconds = Setting(
        2.0, "Seconds before the first repetition of a stage; each further one waits twice as long.", low=0, high=60
    )
    kernels = Setting(
        "warm",
        "warm: kernels forked from a preloaded process; standard: papermill's own engine.",
        variable="MLNB_KERNELS",
        choices=("warm", "standard"),
    )
    kernels_idle = Setting(
        600.0, "Seconds without work after which the preloaded process ends.", variable="MLNB_KERNELS_IDLE", low=0
    )
    kernels_at_once = Setting(0, "Number of kernels that run at once; 0: one more than there are cores.", low=0)
    snapshots = Setting(
        "failed",
        "Stages whose state before each cell is kept in memory: those that failed, all, or off.",
        choices=("failed", "all", "off"),
    )
    snapshot_minutes = Setting(30.0, "Minutes that a snapshot is kept.", variable="MLNB_SNAPSHOT_MINUTES", low=0)
    snapshot_seconds = Setting(
        0.5,
        "Seconds that cells take after a snapshot before the next one is taken; 0: one before each cell.",
        variable="MLNB_SNAPSHOT_SECONDS",
        low=0,
    )
    snapshot_bytes = Setting(3e8, "Memory that snapshots may take in bytes; the oldest end first.", low=0)
    preload = Setting[tuple[str, ...]]((), "Modules that the preloaded process imports besides those of the notebooks.")
    preload_never = Setting[tuple[str, ...]]((), "Modules that the preloaded process never imports.")


class ServiceSettings(SettingsGroup):
    """Settings of a service, from the environment alone."""

    api_key = Setting[tuple[str, ...]](
        (), "Keys that requests need, comma-separated.", variable="MLNB_API_KEY", separator=",", secret=True
    )
    allow_anonymous = Setting(False, "Answer requests without a key on any address.", variable="MLNB_ALLOW_ANONYMOUS")
    memory = Setting(
        256.0, "Memory in MB that the requests in progress may take in one worker.", variable="MLNB_MEMORY", low=64
    )
    cors_origins = Setting[tuple[str, ...]](
        (),
        "Origins whose web pages may use the service, comma-separated; *: all.",
        variable="MLNB_CORS_ORIGINS",
        separator=",",
    )
    log = Setting("", "Folder of the prediction log; empty: no log.", variable="MLNB_LOG")
    log_to = Setting("", "fsspec URL that finished segments are copied to.", variable="MLNB_LOG_TO")
    log_mask = Setting[tuple[str, ...]](
        (), "Columns whose values are not logged, comma-separated.", variable="MLNB_LOG_MASK", separator=","
    )
    log_limit = Setting(100_000, "Number of rows that may wait to be written.", variable="MLNB_LOG_LIMIT", low=1)
    log_when_full = Setting(
        "drop",
        "drop: a response is sent unlogged and counted; wait: it is sent when the queue has space.",
        variable="MLNB_LOG_WHEN_FULL",
        choices=("drop", "wait"),
    )
    log_rows = Setting(100_000, "Number of rows after which a segment ends.", variable="MLNB_LOG_ROWS", low=1)
    log_seconds = Setting(300.0, "Seconds after which a segment ends.", variable="MLNB_LOG_SECONDS", low=0.001)
    log_event_time = Setting(
        False, "Log the time in a request's header X-Event-Time (simulations).", variable="MLNB_LOG_EVENT_TIME"
    )
    model = Setting("", "Folder of the model of an AWS Lambda function; empty: in its package.", variable="MLNB_MODEL")
    models = Setting(
        "",
        "Path of the catalog of a service of several models; it is read again when it changes.",
        variable="MLNB_MODELS",
    )
    models_memory = Setting(
        1024.0,
        "Memory in MB that the loaded models of such a service may take in one worker.",
        variable="MLNB_MODELS_MEMORY",
        low=1,
    )
    follow = Setting(
        "", "Path of a pointer to the model to serve; it is reloaded when it changes.", variable="MLNB_FOLLOW"
    )
    shadow = Setting("", "Path of a pointer to the shadow model.", variable="MLNB_SHADOW")
    canary = Setting("", "Path of a pointer to the canary model.", variable="MLNB_CANARY")
    canary_share = Setting(
        0.1, "Share of the keys that the canary answers.", variable="MLNB_CANARY_SHARE", low=0.0001, high=0.5
    )


class ProcessSettings(SettingsGroup):
    """Settings of a process, from the environment alone; mlnb sets most of them for the processes that it starts."""

    root = Setting("", "Folder of the project; empty: found from the working directory.", variable="MLNB_ROOT")
    files = Setting(
        "",
        "Folder of files that models or rows name; empty: the project, or the working directory.",
        variable="MLNB_FILES",
    )
    run = Setting("", "Id of the run that a notebook's kernel belongs to; set by mlnb.", variable="MLNB_RUN")
    attempt = Setting("", "Attempt that a notebook's kernel belongs to; set by mlnb.", variable="MLNB_ATTEMPT")
    actor = Setting("", "Who changes the registry, for the audit log; empty: the user.", variable="MLNB_ACTOR")
    config = Setting("", "Folder of this user's signing key; empty: ~/.config/mlnb.", variable="MLNB_CONFIG")
    signing_key = Setting(
        "", "Private key (PEM) that signs manifests and the audit log.", variable="MLNB_SIGNING_KEY", secret=True
    )
    webhook_secret = Setting(
        "", "Key that signs the body of alerts (HMAC-SHA256).", variable="MLNB_WEBHOOK_SECRET", secret=True
    )
    personal_key = Setting(
        "", "Key of the pseudonyms of personal data (HMAC-SHA256).", variable="MLNB_PERSONAL_KEY", secret=True
    )
    embeddings_url = Setting(
        "",
        "OpenAI-compatible endpoint that texts are sent to where features.embeddings names its model; empty: none.",
        variable="MLNB_EMBEDDINGS_URL",
    )
    embeddings_key = Setting("", "Key of that endpoint.", variable="MLNB_EMBEDDINGS_KEY", secret=True)
    embeddings_cache = Setting(
        "", "Folder of the vectors of embedded texts; set by mlnb.", variable="MLNB_EMBEDDINGS_CACHE"
    )
    kernels_output = Setting(
        256 << 20, "Number of characters that one cell may print.", variable="MLNB_KERNELS_OUTPUT", low=0
    )
    kernel = Setting("", "Set in a kernel; one that its notebook starts does not wait.", variable="MLNB_KERNEL")
    restore = Setting("", "Snapshot that a kernel of Jupyter continues from; set by mlnb.", variable="MLNB_RESTORE")
    restore_from = Setting("", "Socket of the process with the snapshot; set by mlnb.", variable="MLNB_RESTORE_FROM")
    restore_for = Setting("", "End of the path of the notebook that continues.", variable="MLNB_RESTORE_FOR")
    restore_cells = Setting(
        "", "Cells that the kernel runs first, as JSON; set by mlnb.", variable="MLNB_RESTORE_CELLS"
    )


GROUPS: tuple[type[SettingsGroup], ...] = (ProjectSettings, ServiceSettings, ProcessSettings)


def unknown_variables(names: list[str]) -> list[str]:
    """Return the names that begin with MLNB_ and are no environment variable of mlnb."""
    variables = {setting.variable for group in GROUPS for setting in group.declared().values()}
    return sorted(name for name in names if name.startswith("MLNB_") and name not in variables)
