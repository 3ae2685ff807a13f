"""Metrics of a run: a file that is always written, and MLflow that is fed from it.

Rank 0 appends every event to ``metrics.jsonl``. The process that called ``train`` owns a thread that sends new lines to
MLflow in batches and remembers in ``tracking.json`` how far it got. So the loop never waits for MLflow (importing it
alone takes seconds), an outage costs nothing (lines stay where they are and are sent once, later), and no two
processes race for the database.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .checkpoints import write_json

log = logging.getLogger(__name__)

EVENTS = "metrics.jsonl"
STATE = "tracking.json"
BATCH = 1000  # metrics a call, MLflow's own limit for log_batch
INTERVAL = 5.0  # seconds between looks at the file
RETRY = 30.0  # seconds after a failure
SQLITE = "sqlite:///"


class EventLog:
    """Appends ``{"step", "of", "time", "metrics"}`` lines to ``metrics.jsonl``; flushed each, so a kill loses none.

    Args:
        run_dir: its folder.
        step: where the run goes on: later events, of steps that were lost, are removed.
        total: steps of the run.
        enabled: False on ranks other than 0, which write nothing.
    """

    def __init__(self, run_dir: Path, step: int, total: int = 0, enabled: bool = True) -> None:
        self.path, self.total = run_dir / EVENTS, total
        self._file = None
        if enabled:
            drop_after(self.path, step)
            self._file = self.path.open("a", encoding="utf-8")

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append the metrics of a step; nothing on ranks other than 0."""
        if self._file is not None and metrics:
            line = {"step": step, "of": self.total, "time": round(time.time(), 3), "metrics": dict(metrics)}
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()


def drop_after(path: Path, step: int) -> None:
    """Remove events later than ``step`` (the resumed run writes them again) and a half-written last line."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    if len(kept) != len(lines):
        aside = path.with_suffix(".tmp")
        aside.write_text("".join(kept), encoding="utf-8")
        aside.replace(path)


def read_events(run_dir: Path) -> list[dict[str, Any]]:
    """All whole events of a run, oldest first."""
    return read_lines(run_dir / EVENTS)


def read_curves(run_dir: Path) -> dict[str, tuple[list[float], list[float]]]:
    """Every logged metric of a run: name → (steps, values)."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for event in read_events(run_dir):
        for name, value in event["metrics"].items():
            steps, values = found.setdefault(name, ([], []))
            steps.append(event["step"])
            values.append(value)
    return found


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file of JSON lines, oldest first; none of a file that is not there."""
    if not path.is_file():
        return []
    return [
        json.loads(line) for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")
    ]


@contextmanager
def _lock(uri: str) -> Iterator[None]:
    """One process at a time creates an sqlite database: simultaneous first use crashes MLflow's migration."""
    if not uri.startswith(SQLITE):
        yield
        return
    path = Path(uri.removeprefix(SQLITE))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def default_uri(out: Path) -> str:
    """``sqlite:////abs/out/mlflow.db``: absolute, as MLflow's own default depends on the current folder."""
    return f"{SQLITE}{(out.resolve() / 'mlflow.db')}"


def artifact_root(uri: str) -> str | None:
    """Where a new experiment keeps files: beside an sqlite database, as MLflow's own default depends on the current folder;
    a server decides for itself (None).
    """
    return (
        (Path(uri.removeprefix(SQLITE)).absolute().parent / "mlartifacts").as_uri() if uri.startswith(SQLITE) else None
    )


def quiet_mlflow() -> None:
    """No telemetry, short waits, no chatter; before mlflow is imported."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # the default waits for minutes; we retry ourselves
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    for name in ("mlflow", "alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)


class MlflowSender:
    """Sends a run's events to MLflow from a thread; survives outages, restarts and resumes.

    Args:
        run_dir: holds ``metrics.jsonl`` and ``tracking.json`` (uri, run id, how much was sent).
        uri, experiment, name: where the run goes; an existing ``tracking.json`` with the same uri continues its run.
        params: logged once when the run is created (dotted key → value).
    """

    def __init__(self, run_dir: Path, uri: str, experiment: str, name: str, params: Mapping[str, Any]) -> None:
        self.run_dir, self.uri, self.experiment, self.name, self.params = run_dir, uri, experiment, name, params
        self.ready = threading.Event()  # the run exists in MLflow, or the first attempt failed
        self._stop = threading.Event()
        self._client: Any = None
        self._warned = False
        self._thread = threading.Thread(target=self._work, name="mlflow-sender", daemon=True)

    def start(self) -> MlflowSender:
        """Start the thread."""
        self._thread.start()
        return self

    def close(self, status: str, timeout: float = 20.0) -> None:
        """Send what is left and end the run (``FINISHED``, ``FAILED``); waits at most ``timeout`` seconds."""
        self._stop.set()
        self._thread.join(timeout)
        if self._thread.is_alive():
            log.warning("MLflow at %s does not answer; %s", self.uri, self._remedy())
            return
        if self.flush():
            self._attempt(lambda: self._client.set_terminated(self._state()["run_id"], status))

    def flush(self) -> bool:
        """Send all outstanding events now. Returns whether MLflow has everything."""
        return self._attempt(self._send)

    def _work(self) -> None:
        wait = 0.0
        while not self._stop.wait(wait):
            wait = INTERVAL if self.flush() else RETRY
            self.ready.set()

    def _attempt(self, action: Any) -> bool:
        try:
            action()
        except Exception as error:  # whatever fails there must not end the training: it is said once and tried again
            if not self._warned:
                log.warning("MLflow at %s failed (%s); %s", self.uri, str(error).splitlines()[0][:200], self._remedy())
            self._warned = True
            return False
        self._warned = False
        return True

    def _remedy(self) -> str:
        return f"events stay in {self.run_dir / EVENTS} and are sent when it is back (after this run, by --resume)"

    def _state(self) -> dict[str, Any]:
        path = self.run_dir / STATE
        state = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if state.get("uri") != self.uri:
            state = {"uri": self.uri, "run_id": None, "sent_step": -1, "sent_names": []}
        return state

    def _connect(self) -> dict[str, Any]:
        """Create client, database, experiment and run where they do not exist yet."""
        state = self._state()
        if self._client is None:
            quiet_mlflow()
            from mlflow.tracking import MlflowClient

            with _lock(self.uri):
                self._client = MlflowClient(tracking_uri=self.uri)
                found = self._client.get_experiment_by_name(self.experiment)
                if found is None:
                    self._client.create_experiment(self.experiment, artifact_location=artifact_root(self.uri))
            if state["run_id"] is not None:
                self._client.update_run(state["run_id"], status="RUNNING")
        if state["run_id"] is None:
            experiment = self._client.get_experiment_by_name(self.experiment)
            run = self._client.create_run(experiment.experiment_id, run_name=self.name)
            run_id = str(run.info.run_id)
            state["run_id"] = run_id
            write_json(self.run_dir / STATE, state)
            self._log_params(run_id)
        return state

    def _log_params(self, run_id: str) -> None:
        from mlflow.entities import Param

        params = [Param(key, str(value)[:500]) for key, value in self.params.items()]
        for start in range(0, len(params), 100):  # MLflow takes 100 a call
            self._client.log_batch(run_id, params=params[start : start + 100])

    def _send(self) -> None:
        """Ship unsent events in order, remembering after each call how far MLflow has them."""
        from mlflow.entities import Metric

        state = self._connect()
        pending: list[Any] = []
        done = dict(state)
        for event in read_events(self.run_dir):
            names = _unsent(event, state)
            if not names:
                continue
            if len(pending) + len(names) > BATCH:
                self._ship(pending, done)
                pending = []
            stamp = int(event["time"] * 1000)
            pending += [Metric(name, float(event["metrics"][name]), stamp, event["step"]) for name in names]
            same = event["step"] == done["sent_step"]
            done = {**done, "sent_step": event["step"], "sent_names": [*(done["sent_names"] if same else []), *names]}
        if pending:
            self._ship(pending, done)

    def _ship(self, pending: list[Any], done: dict[str, Any]) -> None:
        self._client.log_batch(done["run_id"], metrics=pending)
        write_json(self.run_dir / STATE, done)


def _unsent(event: dict[str, Any], state: dict[str, Any]) -> list[str]:
    """Names of an event's metrics that MLflow does not have; a step may have several events (training, validation)."""
    if event["step"] < state["sent_step"]:
        return []
    known = state["sent_names"] if event["step"] == state["sent_step"] else []
    return [name for name in event["metrics"] if name not in known]


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mapping as dotted keys."""
    result: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            result.update(flat(value, f"{prefix}{key}."))
        else:
            result[f"{prefix}{key}"] = value
    return result
