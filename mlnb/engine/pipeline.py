"""Runs a plan: stages side by side where the graph allows, records whole at every step, clean ends."""

import secrets
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from mlnb.engine import runs
from mlnb.engine.events import Announcer, Event
from mlnb.engine.files import copy_whole, read_json, write_json, write_whole
from mlnb.engine.jobs import Executor, Job, Outcome
from mlnb.engine.plan import Outputs, Planner, Step, plan_path
from mlnb.engine.project import Project
from mlnb.engine.records import first_record
from mlnb.engine.states import keeping
from mlnb.engine.values import secrets as secret_values
from mlnb.environment import wandb_mode
from mlnb.errors import StoreFull

POLL = 0.2  # seconds between two looks at progress and at an interruption


class Pipeline:
    """One run of a plan. `execute` returns the run; its record says how each stage ended."""

    def __init__(
        self, planner: Planner, executor: Executor, announce: Announcer, facts: dict[str, Any], workers: int = 2
    ) -> None:
        self.planner = planner
        self.project: Project = planner.project
        self.graph = planner.graph
        self.executor = executor
        self.announce = announce
        self.workers = workers
        self.cancelled = threading.Event()
        self.secrets = secret_values(planner.values)
        self._begun = time.monotonic()
        self._outputs: dict[str, Outputs] = {}
        self._rebuilt: set[str] = set()
        self._progress: dict[str, str] = {}
        self.run = runs.create_run(self.project, facts["pipeline"], first_record(planner, facts))

    def execute(self) -> runs.Run:
        """Run every stage that must, in threads; return the run when all is done, or something failed."""
        self._tell("run_started")
        pending = list(self.graph.stages)
        running: dict[Future[Any], str] = {}
        failed = False
        with ThreadPoolExecutor(self.workers, thread_name_prefix="stage") as pool:
            try:
                while pending or running:
                    if not failed and not self.cancelled.is_set():
                        self._start_ready(pending, running, pool)
                    elif not running:
                        break
                    done, _ = wait(running, timeout=POLL, return_when=FIRST_COMPLETED)
                    self._look_at_progress(running.values())
                    for future in done:
                        failed |= not self._settle(running.pop(future), future, pending)
            except KeyboardInterrupt:
                self.interrupt()
                for future, name in list(running.items()):
                    self._settle(name, future, pending)
        self._finish(failed)
        return self.run

    def interrupt(self) -> None:
        """Stop soon: what runs is ended, what is finished is kept."""
        self.cancelled.set()
        self.executor.interrupt()

    def _start_ready(self, pending: list[str], running: dict[Future[Any], str], pool: ThreadPoolExecutor) -> None:
        moved = True
        while moved:
            moved = False
            for name in list(pending):
                parents = self.graph.parents(name)
                if any(parent in pending or parent in running.values() for parent in parents):
                    continue
                step = self.planner.step(name, {p: self._outputs.get(p) for p in parents}, name in self._rebuilt)
                if step.action == "run" and len(running) >= self.workers:
                    continue
                pending.remove(name)
                moved = True
                self._note(name, why=step.why, key=step.key, basis=step.basis)
                if step.action == "skip":
                    self._note(name, state="skipped")
                elif step.entry is not None:
                    self._reuse(step, step.entry)
                else:
                    self._note(name, state="running", started=runs.now())
                    self.run.save()
                    self._tell("stage_started", name, why=step.why)
                    running[pool.submit(self._compute, step)] = name

    def _compute(self, step: Step) -> dict[str, Any] | Outcome:
        """Run one stage while holding its key; another process that was quicker is waited for and its result taken."""
        assert step.key is not None
        while not self.cancelled.is_set():
            with self.project.store.lock(step.key) as held:
                if held:
                    known = self.project.store.result(step.key)
                    forced = step.name in self.planner.selection.forced
                    if known is not None and not forced and self.project.store.whole(known):
                        return {**known, "waited": True}
                    return self._execute(step)
            time.sleep(POLL)
        return Outcome("interrupted")

    def _execute(self, step: Step) -> dict[str, Any] | Outcome:
        assert step.key is not None
        stage, folder = self.graph.stages[step.name], self.run.folder
        target = folder / "notebooks" / stage.path.name
        nonce = secrets.token_hex(8)
        inputs = {name: self._input(name) for name in stage.reads}
        values = {name: value.value for name, value in self.planner.values[step.name].items()}
        woken = self.planner.alive(step.states.before[step.wake]) if step.states and step.wake is not None else None
        scratch = str(woken["scratch"]) if woken else step.key
        order = {
            "nonce": nonce,
            "key": step.key,
            "inputs": inputs,
            "values": values,
            "scratch": scratch,
            "states": step.states.before if step.states else {},
        }
        write_json(folder / "stages" / f"{step.name}.order.json", order)
        environment = {
            "MLNB_ROOT": str(self.project.root),
            "MLNB_ORDER": nonce,
            "MLNB_RUN": self.run.id,
            "WANDB_MODE": wandb_mode(self.project.settings),
            **self.project.import_path(),
        }
        started, begun = runs.now(), time.monotonic()
        outcome = self.executor.execute(
            Job(
                stage=step.name,
                source=stage.path,
                target=target,
                parameters={"run": self.run.id, **values},
                folder=stage.path.parent,
                environment=environment,
                secrets=self.secrets,
                cell_timeout=self.project.number("cell_timeout") or None,
                stage_timeout=self.project.number("stage_timeout") or None,
                keeping=keeping(self.run, step.name, step.states, scratch, woken) if step.states else None,
            ),
            lambda cell, cells, heading: self._tell(
                "stage_progress", step.name, cell=cell, cells=cells, heading=heading
            ),
        )
        if step.wake is not None and not outcome.went_on:
            self._note(step.name, why=f"{step.why}, no more: from the top")
        if outcome.state != "finished":
            return outcome
        said = read_json(folder / "stages" / f"{step.name}.json")
        if said is None or said["nonce"] != nonce:
            return Outcome("failed", cause="ContractBroken: the notebook ended without `stage.close()`")
        entry = {
            "outputs": said["outputs"],
            "metrics": said["metrics"],
            "notebook": self.project.store.put_file(target),
            "run": self.run.id,
            "started": started,
            "finished": runs.now(),
            "seconds": round(time.monotonic() - begun, 3),
        }
        self.project.store.put_result(step.key, entry)
        self.project.store.clear_scratch(scratch)
        return entry

    def _settle(self, name: str, future: Future[Any], pending: list[str]) -> bool:
        """Record how a stage ended; return False when it failed."""
        try:
            made = future.result()
        except StoreFull as error:
            made = Outcome("failed", cause=f"StoreFull: {error}")
        except OSError as error:
            made = Outcome("failed", cause=f"{type(error).__name__}: {error}")
        if not isinstance(made, Outcome):
            state = "reused" if made.get("waited") else "finished"
            if made.get("waited"):
                self._copy_notebook(name, made)
                self._note(name, why="another run had just made it")
            self._accept(name, made, state)
            return True
        if made.cause.startswith("StoreCorrupted") and self._rebuild(name, pending):
            return True
        self._note(
            name,
            state="interrupted" if made.state == "interrupted" else "failed",
            finished=runs.now(),
            notebook=self._notebook(name),
            error={
                "kind": _kind(made),
                "stage": name,
                "cell": made.cell,
                "title": made.heading,
                "cause": made.cause,
                "notebook": self._notebook(name),
            },
        )
        self.run.save()
        self._tell("stage_failed", name, cause=made.cause)
        return False

    def _rebuild(self, name: str, pending: list[str]) -> bool:
        """Send damaged ancestors, and the stage that met them, back to be made again; False when there are none."""
        damaged = [
            other
            for other in self.graph.ancestors(name)
            if other in self._outputs
            and not all(
                self.project.store.intact(o["digest"], o["format"] == "tree") for o in self._outputs[other].values()
            )
        ]
        if not damaged or name in self._rebuilt:
            return False
        for other in [*damaged, name]:
            self._outputs.pop(other, None)
            self._rebuilt.add(other)
            pending.append(other)
            self._note(other, state="waiting")
        return True

    def _reuse(self, step: Step, entry: dict[str, Any]) -> None:
        self._copy_notebook(step.name, entry)
        self._accept(step.name, entry, "reused")

    def _copy_notebook(self, name: str, entry: dict[str, Any]) -> None:
        target = self.run.folder / "notebooks" / self.graph.stages[name].path.name
        copy_whole(self.project.store.path(entry["notebook"]), target)

    def _accept(self, name: str, entry: dict[str, Any], state: str) -> None:
        self._outputs[name] = entry["outputs"]
        self._note(
            name,
            state=state,
            outputs=entry["outputs"],
            metrics=entry["metrics"],
            from_run=entry["run"],
            started=entry["started"],
            finished=entry["finished"],
            seconds=entry["seconds"],
            notebook=self._notebook(name),
            reads={a: self._input(a)["digest"] for a in self.graph.stages[name].reads},
        )
        self.run.save()
        self._tell("stage_finished" if state == "finished" else "stage_reused", name)

    def _input(self, artifact: str) -> dict[str, Any]:
        """Return the record of an artifact that a stage reads: made in this run, or given by another's."""
        made = self.graph.given.get(artifact)
        return dict(made) if made is not None else self._outputs[self.graph.producers[artifact]][artifact]

    def _finish(self, failed: bool) -> None:
        record = self.run.record
        state = "interrupted" if self.cancelled.is_set() else "failed" if failed else "finished"
        record |= {"state": state, "finished": runs.now(), "seconds": round(time.monotonic() - self._begun, 3)}
        self.run.save()
        runs.point_latest(self.run)
        if state == "finished":
            keys = {name: stage["key"] for name, stage in record["stages"].items()}
            write_whole(plan_path(self.project, record["pipeline"], keys), self.run.id.encode())
        self.project.store.seen.save()
        self._tell("run_finished")

    def _look_at_progress(self, names: Any) -> None:
        for name in list(names):
            path = self.run.folder / "stages" / f"{name}.progress.json"
            note = read_json(path)
            if isinstance(note, dict) and self._progress.get(name) != str(note):
                self._progress[name] = str(note)
                self._tell("stage_progress", name, **note)

    def _notebook(self, name: str) -> str | None:
        path = Path("notebooks") / self.graph.stages[name].path.name
        return path.as_posix() if (self.run.folder / path).exists() else None

    def _note(self, name: str, **facts: Any) -> None:
        if "basis" in facts:
            facts["versions"] = facts["basis"].get("libraries", {})
        self.run.record["stages"][name] |= facts

    def _tell(self, kind: str, stage: str | None = None, **data: Any) -> None:
        self.announce(Event(kind, self.run, stage, data))


def _kind(outcome: Outcome) -> str:
    named = outcome.cause.partition(":")[0]
    if named in ("GateFailed", "StoreFull", "StoreCorrupted", "ContractBroken"):
        return named
    return {"timeout": "CellTimeout", "died": "KernelDied", "interrupted": "Interrupted"}.get(
        outcome.state, "CellFailed"
    )
