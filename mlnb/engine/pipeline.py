"""Runs a plan: each stage as soon as what it reads is saved, records whole at every step, clean ends."""

import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlnb.engine import runs
from mlnb.engine.artifacts import Artifacts
from mlnb.engine.events import Announcer, Event
from mlnb.engine.files import copy_whole, write_whole
from mlnb.engine.initial_record import first_record
from mlnb.engine.parameter_values import secrets as secret_values
from mlnb.engine.plan import Planner, Step, plan_path
from mlnb.engine.prefetch import Ahead
from mlnb.engine.project import Project
from mlnb.engine.snapshot_keys import keeping
from mlnb.engine.stage_inputs import Orders
from mlnb.engine.stage_jobs import Executor, Outcome
from mlnb.errors import NotebookError, StoreFull

POLL = 0.05  # seconds between two looks at what stages that run have told and saved, and at an interruption


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
        self._begun = time.monotonic()
        self._artifacts = Artifacts(self.graph)
        self._nonces: dict[str, str] = {}  # of stages that run: what tells their words from those of earlier attempts
        self._rebuilt: set[str] = set()
        self._stale: set[str] = set()  # stages that run on what turned out to be made otherwise
        self._progress: dict[str, str] = {}
        hidden = secret_values(planner.values)  # before there is a run: one may be unset
        self.run = runs.create_run(self.project, facts["pipeline"], first_record(planner, facts))
        self._orders = Orders(self.run, planner.values, hidden)
        self._ahead = Ahead(executor, self._orders, planner)

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
                        failed = not self._start_ready(pending, running, pool)
                        self._ahead.choose(pending, running.values(), self._artifacts)
                    elif not running:
                        break
                    done, _ = wait(running, timeout=POLL, return_when=FIRST_COMPLETED)
                    self._look_at(running.values())
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

    def _start_ready(self, pending: list[str], running: dict[Future[Any], str], pool: ThreadPoolExecutor) -> bool:
        """Start or reuse every stage that can be; return False when one was edited into what cannot run."""
        moved = True
        while moved:
            moved = False
            unsettled = [*pending, *running.values()]
            for name in self.graph.by_urgency(pending):
                if len(running) >= self.workers or not self._artifacts.ready(name, unsettled):
                    continue
                try:
                    self.planner.refresh(name)
                except NotebookError as error:
                    pending.remove(name)
                    return self._fail(name, Outcome("failed", cause=f"NotebookError: {error}"))
                step = self.planner.step(name, self._artifacts.known(name), name in self._rebuilt)
                pending.remove(name)
                moved = True
                nonce = self._ahead.take(step)
                self._note(name, why=step.why, key=step.key, basis=step.basis)
                if step.action == "skip":
                    self._note(name, state="skipped")
                elif step.entry is not None:
                    self._reuse(step, step.entry)
                else:
                    self._note(name, state="running", started=runs.now())
                    self.run.save()
                    self._tell("stage_started", name, why=step.why)
                    self._nonces[name] = nonce
                    facts = {"inputs": self._artifacts.give(name), "aside": self.graph.aside(name, unsettled)}
                    running[pool.submit(self._compute, step, facts)] = name
        return True

    def _compute(self, step: Step, facts: dict[str, Any]) -> dict[str, Any] | Outcome:
        """Run one stage while holding its key; another process that was quicker is waited for and its result taken."""
        assert step.key is not None
        while not self.cancelled.is_set():
            with self.project.store.lock(step.key) as held:
                if held:
                    known = self.project.store.result(step.key)
                    forced = step.name in self.planner.selection.forced
                    if known is not None and not forced and self.project.store.whole(known):
                        return {**known, "waited": True}
                    return self._execute(step, facts)
            time.sleep(POLL)
        return Outcome("interrupted")

    def _execute(self, step: Step, facts: dict[str, Any]) -> dict[str, Any] | Outcome:
        assert step.key is not None
        nonce = self._nonces[step.name]
        woken = self.planner.alive(step.states.before[step.wake]) if step.states and step.wake is not None else None
        scratch = str(woken["scratch"]) if woken else step.key
        states = step.states.before if step.states else {}
        self._orders.give(step.name, nonce, key=step.key, scratch=scratch, states=states, **facts)
        job = self._orders.job(self.graph.stages[step.name], nonce)
        if step.states:
            job = replace(job, keeping=keeping(self.run, step.name, step.states, scratch, woken))
        started, begun = runs.now(), time.monotonic()
        outcome = self.executor.execute(
            job,
            lambda cell, cells, heading: self._tell(
                "stage_progress", step.name, cell=cell, cells=cells, heading=heading
            ),
        )
        if step.wake is not None and not outcome.went_on:
            self._note(step.name, why=f"{step.why}, no more: from the top")
        if outcome.state != "finished":
            return outcome
        said = self._orders.said(step.name, nonce)
        if said is None or not said["closed"]:
            return Outcome("failed", cause="ContractBroken: the notebook ended without `stage.close()`")
        entry = {
            "outputs": said["outputs"],
            "metrics": said["metrics"],
            "notebook": self.project.store.put_file(job.target),
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
        self.executor.discard(self._orders.target(self.graph.stages[name]))  # another run has made it
        if name in self._stale:
            self._again(name, pending)
            return True
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
            for reader in self._accept(name, made, state):
                if (then := self.run.record["stages"][reader]["state"]) == "running":
                    self._stale.add(reader)
                elif then in ("finished", "reused"):
                    self._again(reader, pending)
            return True
        if made.cause.startswith("StoreCorrupted") and self._rebuild(name, pending):
            return True
        return self._fail(name, made)

    def _fail(self, name: str, made: Outcome) -> bool:
        """Record how a stage has failed; return False."""
        self._note(
            name,
            state="interrupted" if made.state == "interrupted" else "failed",
            finished=runs.now(),
            notebook=self._notebook(name),
            error={
                "kind": made.kind,
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
        damaged = self._artifacts.damaged(name, self.project.store)
        if not damaged or name in self._rebuilt:
            return False
        for other in [*damaged, name]:
            self._rebuilt.add(other)
            self._again(other, pending)
        return True

    def _again(self, name: str, pending: list[str]) -> None:
        """Send a stage back to be made again."""
        self._ahead.drop()
        self._stale.discard(name)
        self._artifacts.drop(name)
        pending.append(name)
        self._note(name, state="waiting")

    def _reuse(self, step: Step, entry: dict[str, Any]) -> None:
        self._artifacts.give(step.name)
        self._copy_notebook(step.name, entry)
        self._accept(step.name, entry, "reused")

    def _copy_notebook(self, name: str, entry: dict[str, Any]) -> None:
        target = self.run.folder / "notebooks" / self.graph.stages[name].path.name
        copy_whole(self.project.store.path(entry["notebook"]), target)

    def _accept(self, name: str, entry: dict[str, Any], state: str) -> list[str]:
        """Record what a stage has made; return the stages that were given something else."""
        misled = self._artifacts.settle(name, entry["outputs"])
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
            reads=self._artifacts.given(name),
        )
        self.run.save()
        self._tell("stage_finished" if state == "finished" else "stage_reused", name)
        return misled

    def _finish(self, failed: bool) -> None:
        self._ahead.drop()
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

    def _look_at(self, names: Any) -> None:
        """Take in what stages that run have told and saved."""
        for name in list(names):
            said = self._orders.said(name, self._nonces[name])
            if said is not None:
                self._artifacts.save(name, said["outputs"])
            note = self._orders.progress(name)
            if note is not None and self._progress.get(name) != str(note):
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
