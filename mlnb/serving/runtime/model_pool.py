"""The models of a service of several: loaded when they are requested, unloaded when memory is needed for others.

A model is loaded once, however many requests wait for it, and has to give its golden rows the notebook's predictions.
One that cannot be loaded is tried again after a while, and leaves the others alone. When the catalog names another
folder for a loaded model, the new one replaces it as in `ModelReloader`; requests in progress end with the old one.
Canary and shadow of a model are loaded, counted and unloaded with it; one that fails its checks leaves the model alone.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic

from mlnb.errors import ServingError
from mlnb.serving.runtime.endpoint import Endpoint
from mlnb.serving.runtime.endpoint_resources import EndpointResources
from mlnb.serving.runtime.model_catalog import ModelCatalog, ServedModel, read_catalog
from mlnb.serving.runtime.model_reloader import find_model
from mlnb.serving.runtime.model_slots import MODEL, ModelSlot, resident_bytes, return_memory
from mlnb.serving.runtime.prediction_log import PredictionLog
from mlnb.serving.runtime.structured_logs import log_event
from mlnb.settings import ServiceSettings

SECONDS = 1.0  # between two checks of the catalog
LOG_SECONDS = 120.0  # that the log of an unloaded model stays open: longer than any request takes
RETRY_SECONDS = 10.0  # until a model that could not be loaded is tried again


class ModelUnavailable(ServingError):
    """A model that cannot be loaded; the message is for clients, the log has the cause."""


class ModelPool:
    """Keeps the models of a catalog, as many of them loaded as the memory allows.

    Args:
        path: of the catalog.
        settings: of the service.
        resources: that the endpoints share.
        follow: whether the catalog is checked for changes.

    Attributes:
        slots: by the name of the model.
        catalog: as it was read last.
    """

    def __init__(self, path: Path, settings: ServiceSettings, resources: EndpointResources, follow: bool) -> None:
        self.path, self.settings, self.resources, self.follow = path, settings, resources, follow
        self.limit = int(settings.models_memory * 2**20)
        self.slots: dict[str, ModelSlot] = {}
        self.logs: dict[str, PredictionLog] = {}
        self.on_change: Callable[[], None] = lambda: None
        self._unused: dict[str, float] = {}  # since when a log's model is not loaded
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._read: tuple[int, int] | None = None  # what the file was like when it was read last
        self._read = self._state()
        self.catalog = ModelCatalog(models=())
        self._use(read_catalog(path))
        resources.metrics.count("swaps", "refused", "", amount=0)  # of catalogs

    def start(self, on_change: Callable[[], None]) -> None:
        """Keep the catalog up to date; `on_change` is called after each change."""
        self.on_change = on_change
        on_change()
        threading.Thread(target=self._watch, name="model pool", daemon=True).start()

    def load(self, slot: ModelSlot) -> Endpoint:
        """Return the endpoint of a model, loaded if it is not. Raises `ModelUnavailable`."""
        with slot.lock:
            slot.used = monotonic()
            if slot.endpoint is not None:
                return slot.endpoint
            if slot.failure and monotonic() < slot.failed + RETRY_SECONDS:
                raise ModelUnavailable(slot.failure)
            self._make_room(slot, slot.expected_size())
            before, start = resident_bytes(), monotonic()
            endpoint = self._open_any(slot)
            slot.measure(MODEL, slot.folder, before)
            self._route(slot, endpoint)
            slot.endpoint, slot.failure = endpoint, ""
            self._make_room(slot, slot.size)
        version, seconds = endpoint.reloader.current.version, round(monotonic() - start, 3)
        self.resources.metrics.count("loads", "loaded", slot.model.name)
        self._count_loaded()
        log_event("model loaded", model_version=version, seconds=seconds, megabytes=round(slot.size / 2**20, 1))
        return endpoint

    def refresh(self) -> bool:
        """Read the catalog again if it has changed; return whether it has. A failure is logged, never raised."""
        try:
            state = self._state()
            if state == self._read:
                return False
            self._read = state
            self._use(read_catalog(self.path))
        except (OSError, ValueError) as error:
            self.resources.metrics.count_refused_model("")
            log_event("model catalog refused", logging.ERROR, error, path=str(self.path))
            return False
        self.on_change()
        return True

    def close(self) -> None:
        """Stop checking the catalog, and write what the logs hold."""
        self._stopping.set()
        for slot in self.slots.values():
            if (endpoint := slot.endpoint) is not None:
                endpoint.router.close()
        for log in [*self.logs.values()]:
            log.close()

    def _watch(self) -> None:
        while not self._stopping.wait(SECONDS):
            if self.follow:
                self.refresh()
            self._close_logs()

    def _state(self) -> tuple[int, int]:
        status = self.path.stat()
        return status.st_mtime_ns, status.st_ino

    def _use(self, catalog: ModelCatalog) -> None:
        """Make the slots those of a catalog: new ones are not loaded, changed ones replaced, others unloaded."""
        slots: dict[str, ModelSlot] = {}
        for model in catalog.models:
            slot = slots[model.name] = self.slots.get(model.name) or ModelSlot(model, self.path.parent)
            if slot.model != model:
                self._change(slot, model)
        removed = [slot for name, slot in self.slots.items() if name not in slots]
        self.slots, self.catalog = slots, catalog
        for slot in removed:
            with slot.lock:
                self._unload(slot, "removed")

    def _change(self, slot: ModelSlot, model: ServedModel) -> None:
        with slot.lock:
            slot.model, slot.failure = model, ""
            if slot.endpoint is None:
                return
            self._make_room(slot, slot.expected_size())
            reloader, before = slot.endpoint.reloader, resident_bytes()
            reloader.pointer = slot.folder
            if reloader.check():
                slot.working = slot.folder
                slot.measure(MODEL, slot.folder, before)
            self._route(slot, slot.endpoint)
            self._make_room(slot, slot.size)
        self._count_loaded()

    def _route(self, slot: ModelSlot, endpoint: Endpoint) -> None:
        """Use the canary and the shadow that the catalog names for a model, as far as they pass their checks."""
        router, current = endpoint.router, endpoint.reloader.current
        router.share = slot.model.share
        for role, folder in slot.pointers.items():
            before = resident_bytes()
            loaded = router.point(role, current, folder)
            slot.measure(role, folder if loaded else None, before)
        router.withdraw(slot.withdrawn)

    def _open_any(self, slot: ModelSlot) -> Endpoint:
        """Return the endpoint of the folder that the catalog names, else of the last one that worked."""
        try:
            endpoint, slot.working = self._open(slot, slot.folder), slot.folder
            return endpoint
        except Exception as error:  # noqa: BLE001 -- whatever is wrong with a model, the others stay in use
            self.resources.metrics.count("loads", "failed", slot.model.name)
            log_event("model cannot be loaded", logging.ERROR, error, model=slot.model.name, folder=str(slot.folder))
            if slot.working is not None and slot.working != slot.folder:
                with suppress(Exception):
                    return self._open(slot, slot.working)
            reason = str(error) if isinstance(error, ModelUnavailable) else "its files or settings are wrong"
            slot.failure, slot.failed = f"model {slot.model.name} cannot be loaded: {reason}", monotonic()
            raise ModelUnavailable(slot.failure) from None

    def _open(self, slot: ModelSlot, folder: Path) -> Endpoint:
        found = find_model(folder)
        if found is None:
            raise ModelUnavailable("its folder is missing")
        with self._lock:
            if slot.model.name not in self.logs:
                count, name = self.resources.metrics.count_logged, slot.model.name
                log = PredictionLog.from_settings(self.settings, count, name)
                if log is not None:
                    self.logs[name] = log
        endpoint = Endpoint(found, self.settings, (self.resources, self.logs.get(slot.model.name)))
        predictor = endpoint.reloader.current.predictor
        predictor.protection.check_key()
        if (difference := predictor.replay()) is not None:
            self.resources.metrics.unload_version(endpoint.reloader.current.version)
            log_event("parity check failed", logging.ERROR, model=slot.model.name, difference=str(difference))
            raise ModelUnavailable("it does not give the predictions of its notebook")
        return endpoint

    def _make_room(self, keep: ModelSlot, needed: int) -> None:
        """Unload the models that were not used for longest, until the others and `needed` bytes fit the limit."""
        loaded = sorted((slot for slot in self.slots.values() if slot.endpoint and slot is not keep), key=_last_use)
        total = needed + sum(slot.size for slot in loaded)
        unloaded = False
        for slot in loaded:
            if total <= self.limit:
                break
            if slot.lock.acquire(blocking=False):  # one that is being replaced is in use
                try:
                    total, unloaded = total - slot.size, True
                    self._unload(slot, "evicted")
                finally:
                    slot.lock.release()
        if unloaded:
            return_memory()

    def _unload(self, slot: ModelSlot, result: str) -> None:
        """Drop a model; the requests in progress keep it until they end."""
        if slot.endpoint is None:
            return
        endpoint, slot.endpoint = slot.endpoint, None
        version, slot.withdrawn = endpoint.reloader.current.version, endpoint.router.withdrawn
        endpoint.router.stop()
        self.resources.metrics.unload_version(version)
        self.resources.metrics.count("loads", result, slot.model.name)
        self._count_loaded()
        log_event("model unloaded", model_version=version, reason=result)

    def _count_loaded(self) -> None:
        loaded = [slot.size for slot in self.slots.values() if slot.endpoint is not None]
        self.resources.metrics.set_loaded(len(loaded), sum(loaded))

    def _close_logs(self) -> None:
        """End the logs, and with them the threads, of models that have been unloaded for long."""
        now, closing = monotonic(), []
        with self._lock:
            for name, log in [*self.logs.items()]:
                slot = self.slots.get(name)
                if slot is not None and (slot.endpoint is not None or slot.lock.locked()):
                    self._unused.pop(name, None)
                elif now - self._unused.setdefault(name, now) > LOG_SECONDS and log.is_idle:
                    closing.append(self.logs.pop(name))
                    del self._unused[name]
        for log in closing:
            log.close()


def _last_use(slot: ModelSlot) -> float:
    return slot.used
