"""MLflow, fed from the file of metrics that every run writes (``events``).

Rank 0 appends every event to ``metrics.jsonl``. The process that called ``train`` owns a thread that sends new lines to
MLflow in batches and remembers in ``tracking.json`` how far it got. So the loop never waits for MLflow (importing it
alone takes seconds), an outage costs nothing (lines stay where they are and are sent once, later), and no two
processes race for the database.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .checkpoints import write_json
from .events import EVENTS, read_events
from .mlflow_client import SQLITE, artifact_root, creation_lock, mlflow_client

log = logging.getLogger(__name__)

STATE = "tracking.json"
BATCH = 1000  # metrics a call, MLflow's own limit for log_batch
INTERVAL = 5.0  # seconds between looks at the file
RETRY = 30.0  # seconds after a failure
PARENT_TAG = "mlflow.parentRunId"


def default_uri(out: Path) -> str:
    """``sqlite:////abs/out/mlflow.db``: absolute, as MLflow's own default depends on the current folder."""
    return f"{SQLITE}{(out.resolve() / 'mlflow.db')}"


class MlflowSender:
    """Sends a run's events to MLflow from a thread; survives outages, restarts and resumes.

    The thread asks before each call whether it may go on, and a call ends by itself (``mlflow_client.quiet_mlflow``): so
    :meth:`close` can wait until the thread has ended. A thread left inside of MLflow can crash the interpreter's exit.

    Args:
        run_dir: holds ``metrics.jsonl`` and ``tracking.json`` (uri, run id, how much was sent).
        uri, experiment, name: where the run goes; an existing ``tracking.json`` with the same uri continues its run.
        params: logged once when the run is created (dotted key → value).
        parent: folder whose ``tracking.json`` names the parent's run (a sweep's); as long as it names none, this run
            waits as in an outage.
    """

    def __init__(
        self,
        run_dir: Path,
        uri: str,
        experiment: str,
        name: str,
        params: Mapping[str, Any],
        parent: Path | None = None,
    ) -> None:
        self.run_dir, self.uri, self.experiment, self.name, self.params = run_dir, uri, experiment, name, params
        self.parent = parent
        self.ready = threading.Event()  # the run exists in MLflow, or the first attempt failed
        self._stop = threading.Event()
        self._until = math.inf  # no call begins after this time (monotonic)
        self._failed = -math.inf  # when the last attempt failed
        self._client: Any = None
        self._continued = False  # an earlier process's run is marked as running again
        self._warned = False
        self._thread = threading.Thread(target=self._work, name="mlflow-sender", daemon=True)

    def start(self) -> MlflowSender:
        """Start the thread."""
        self._thread.start()
        return self

    def close(self, status: str | None, timeout: float = 20.0) -> None:
        """Send what is left and end the run (``FINISHED``, ``FAILED``; None leaves it running: it is only paused).

        Returns when the thread has ended, which takes a call's time at most; no call begins after ``timeout`` seconds.
        """
        began = self._until = time.monotonic()
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._failed > began:  # it has just not answered
            return
        self._until = time.monotonic() + timeout
        if not self.flush():
            if not self._warned:
                log.warning("MLflow at %s is too slow; %s", self.uri, self._remedy())
        elif status is not None:
            self._attempt(lambda: self._call("set_terminated", self._state()["run_id"], status))

    def flush(self) -> bool:
        """Send all outstanding events now. Returns whether MLflow has everything."""
        return self._attempt(self._send)

    def _work(self) -> None:
        wait = 0.0
        while not self._stop.wait(wait):
            wait = INTERVAL if self.flush() else RETRY
            self.ready.set()

    def _attempt(self, action: Callable[[], object]) -> bool:
        try:
            action()
        except _Stopped:
            return False
        except Exception as error:  # whatever fails there must not end the training: it is said once and tried again
            self._failed = time.monotonic()
            if not self._warned:
                why = (str(error).splitlines() or [type(error).__name__])[0][:200]
                log.warning("MLflow at %s failed (%s); %s", self.uri, why, self._remedy())
            self._warned = True
            return False
        self._warned = False
        return True

    def _remedy(self) -> str:
        return f"events stay in {self.run_dir / EVENTS} and are sent when it is back (after this run, by --resume)"

    def _go_on(self) -> None:
        if time.monotonic() > self._until:
            raise _Stopped

    def _call(self, method: str, *args: Any, **options: Any) -> Any:
        self._go_on()
        return getattr(self._client, method)(*args, **options)

    def _state(self) -> dict[str, Any]:
        state = _read_state(self.run_dir)
        if state.get("uri") != self.uri:
            state = {"uri": self.uri, "run_id": None, "sent_step": -1, "sent_names": []}
        return state

    def _connect(self) -> dict[str, Any]:
        """Create client, database, experiment and run where they do not exist yet."""
        state = self._state()
        if self._client is None:
            self._client = mlflow_client(self.uri, self._go_on)
        if state["run_id"] is None:
            tags = {} if self.parent is None else {PARENT_TAG: self._parent_run()}
            run = self._call("create_run", self._experiment(), tags=tags, run_name=self.name)
            state |= {"run_id": str(run.info.run_id), "described": False}
            write_json(self.run_dir / STATE, state)
        elif not self._continued:
            self._call("update_run", state["run_id"], status="RUNNING")
        self._continued = True
        if not state.get("described", True):
            self._log_params(state["run_id"])
            state["described"] = True
            write_json(self.run_dir / STATE, state)
        return state

    def _experiment(self) -> str:
        """Its id; made where it does not exist yet."""
        with creation_lock(self.uri, self._go_on):
            found = self._call("get_experiment_by_name", self.experiment)
            if found is not None:
                return str(found.experiment_id)
            root = artifact_root(self.uri)
            return str(self._call("create_experiment", self.experiment, artifact_location=root))

    def _parent_run(self) -> str:
        assert self.parent is not None
        state = _read_state(self.parent)
        if state.get("uri") != self.uri or not state.get("run_id"):
            raise LookupError(f"{self.parent / STATE} names no parent run there yet")
        return str(state["run_id"])

    def _log_params(self, run_id: str) -> None:
        from mlflow.entities import Param

        params = [Param(key, str(value)[:500]) for key, value in self.params.items()]
        for start in range(0, len(params), 100):  # MLflow takes 100 a call
            self._call("log_batch", run_id, params=params[start : start + 100])

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
        self._call("log_batch", done["run_id"], metrics=pending)
        write_json(self.run_dir / STATE, done)


class _Stopped(Exception):
    """The sender is being closed."""


def _read_state(run_dir: Path) -> dict[str, Any]:
    path = run_dir / STATE
    state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return state


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
