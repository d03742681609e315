"""Where the work is done: in this process, in processes of this machine, or on a Dask cluster.

A pool takes work and gives futures; :func:`drive` keeps it busy, and does again what a worker that
died had begun. What dies again and again is split and run alone, until the run at fault is found.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections import deque
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from autoscale.errors import AutoscaleError, InputError, unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    pass

J = TypeVar("J")
R = TypeVar("R")

ENGINES = ("local", "dask")
"""Names of the engines."""

AHEAD = 2
"""Jobs that a worker is given ahead, so that it never waits for the writer."""

SUSPECT = 2
"""Deaths of workers after which what they did is run alone."""

GUILTY = 3
"""Deaths of a worker that ran nothing but one run; the run then counts as failed."""

CONNECT_S = 10.0
"""Seconds after which a scheduler that does not answer is not there."""

WATCH_S = 0.5
"""Seconds between two looks of a worker whether its parent is still there."""


class EngineError(AutoscaleError):
    """The workers are gone for good; what was recorded before is safe."""

    exit_code = 5


@dataclass(frozen=True, slots=True)
class Failed:
    """A job that could not be done at all, and why."""

    error: str


class Pool(Protocol):
    """Workers."""

    @property
    def workers(self) -> int:
        """How many jobs are done at a time."""

    def submit(self, work: Callable[[J], R], job: J) -> Future[R]:
        """Begin a job."""

    def died(self, error: BaseException) -> bool:
        """Return whether an error says that a worker died; the pool can be used again then."""

    def close(self, *, now: bool) -> None:
        """End the workers; ``now`` without waiting for what they are doing."""


class InProcess:
    """One worker: the process itself."""

    workers = 1

    def submit(self, work: Callable[[J], R], job: J) -> Future[R]:
        """Do a job."""
        future: Future[R] = Future()
        try:
            future.set_result(work(job))
        except Exception as error:
            future.set_exception(error)
        return future

    def died(self, error: BaseException) -> bool:
        """Return whether a worker died, which the process itself does not survive."""
        return False

    def close(self, *, now: bool) -> None:
        """Do nothing."""


class Processes:
    """Processes of this machine, by joblib's loky, which needs no guard in scripts."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        # Workers that have grown are replaced between jobs, which costs nothing but the start.
        self._filters = warnings.catch_warnings()
        self._filters.__enter__()
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
        self._executor = self._made()

    def _made(self) -> Any:
        from joblib.externals.loky import ProcessPoolExecutor

        # Each worker has a core: what it calls need not start threads of its own.
        threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        return ProcessPoolExecutor(
            max_workers=self.workers,
            initializer=begin_worker,
            initargs=(os.getpid(),),
            env=dict.fromkeys(threads, "1"),
        )

    def submit(self, work: Callable[[J], R], job: J) -> Future[R]:
        """Begin a job, in new processes if the old ones are gone."""
        from joblib.externals.loky.process_executor import BrokenProcessPool

        with _deaf():
            try:
                future: Future[R] = self._executor.submit(work, job)
            except BrokenProcessPool:
                self._executor.shutdown(kill_workers=True)
                self._executor = self._made()
                future = self._executor.submit(work, job)
        return future

    def died(self, error: BaseException) -> bool:
        """Return whether an error says that a worker died."""
        from joblib.externals.loky.process_executor import BrokenProcessPool

        return isinstance(error, BrokenProcessPool)

    def close(self, *, now: bool) -> None:
        """End the processes."""
        self._executor.shutdown(wait=True, kill_workers=now)
        self._filters.__exit__(None, None, None)


class Cluster:
    """Workers of a Dask cluster: one that is there, or one of this machine's processes.

    Parameters
    ----------
    address
        Of its scheduler, such as ``tcp://10.0.0.5:8786``; None starts a cluster here.
    workers
        How many processes to start here.

    Raises
    ------
    InputError
        Dask is not installed, the scheduler is not reached, or its workers have another version.
    """

    def __init__(self, address: str | None, workers: int) -> None:
        self._cluster: Any = None
        try:
            distributed: Any = import_module("distributed")  # it has no types
        except ImportError:
            raise InputError(
                "engine dask needs Dask; install it with: pip install 'autoscale[dask]'"
            ) from None
        if address is None:
            with _deaf():
                self._cluster = distributed.LocalCluster(
                    n_workers=workers, threads_per_worker=1, dashboard_address=None
                )
        try:
            self._client: Any = distributed.Client(self._cluster or address, timeout=CONNECT_S)
        except (OSError, ValueError) as error:
            raise InputError(f"--address: {address!r} is not reached: {error}") from None
        self._killed = distributed.KilledWorker
        self._executor = self._client.get_executor(pure=False)
        try:
            self._check_versions(address)
        except BaseException:
            self.close(now=True)
            raise

    def _check_versions(self, address: str | None) -> None:
        try:
            found = set(self._client.run(worker_version).values())
        except ImportError as error:
            raise InputError(
                f"--address: {address!r}: its workers lack a package: {error}"
            ) from None
        if not found:
            raise InputError(f"--address: {address!r} has no workers")
        if found != {worker_version()}:
            raise InputError(
                f"--address: {address!r}: its workers run version {', '.join(sorted(found))}, "
                f"this is {worker_version()}"
            )

    @property
    def workers(self) -> int:
        """Threads of all workers."""
        count: int = sum(self._client.nthreads().values())
        return max(1, count)

    def submit(self, work: Callable[[J], R], job: J) -> Future[R]:
        """Begin a job."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph")
            future: Future[R] = self._executor.submit(work, job)
        return future

    def died(self, error: BaseException) -> bool:
        """Return whether an error says that workers died, several times over."""
        return isinstance(error, self._killed)

    def close(self, *, now: bool) -> None:
        """Leave the cluster, and end it if it was started here."""
        self._executor.shutdown(wait=not now)
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


@contextmanager
def _deaf() -> Iterator[None]:
    """Keep Ctrl-C, which a terminal sends to all, from processes that are started meanwhile."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def worker_version() -> str:
    """Return the version of this project where it is called."""
    from autoscale.version import __version__

    return __version__


def begin_worker(parent: int) -> None:
    """Leave interrupts to the parent, and end with it even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def check_workers(engine: str, workers: int | None, address: str | None) -> None:
    """Refuse an engine that is unknown, or workers that do not fit it.

    Raises
    ------
    InputError
        An unknown engine, no workers, or an address that does not fit the engine.
    """
    if engine not in ENGINES:
        raise InputError(unknown("engine", engine, ENGINES))
    if workers is not None and workers < 1:
        raise InputError(f"--workers: expected a whole number >= 1, got {workers}")
    if address is not None and engine != "dask":
        raise InputError("--address: is of a Dask cluster; it needs --engine dask")
    if address is not None and workers is not None:
        raise InputError("--workers: the cluster at --address has the workers that it has")


def make_pool(engine: str, workers: int | None, address: str | None) -> Pool:
    """Return the workers that an engine's name stands for.

    Parameters
    ----------
    engine
        ``local`` or ``dask``.
    workers
        How many; as many as the machine has cores if None.
    address
        Of the scheduler of a Dask cluster that is there, or None.

    Raises
    ------
    InputError
        See :func:`check_workers`; or the cluster cannot be used.
    """
    check_workers(engine, workers, address)
    count = workers if workers is not None else os.cpu_count() or 1
    if engine == "dask":
        return Cluster(address, count)
    return InProcess() if count == 1 else Processes(count)


@dataclass(slots=True)
class _Attempt(Generic[J]):
    job: J
    deaths: int = 0


def drive(
    pool: Pool,
    work: Callable[[J], R],
    jobs: Iterator[J],
    split: Callable[[J], tuple[J, ...]],
) -> Iterator[tuple[J, R | Failed]]:
    """Yield every job with its result, in the order in which they end.

    Parameters
    ----------
    pool
        The workers.
    work
        Does a job; it must be importable where the workers are.
    jobs
        What is to be done, asked for when a worker has room.
    split
        Returns the parts of a job; of one that has no parts, itself.

    Raises
    ------
    EngineError
        The workers are gone for good.
    """
    running: dict[Future[R], _Attempt[J]] = {}
    again: deque[_Attempt[J]] = deque()
    try:
        while _fill(pool, work, jobs, again, running):
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                attempt = running.pop(future)
                result = _result(pool, future)
                if result is not None:
                    yield attempt.job, result
                    continue
                attempt.deaths += 1
                guilty = _tried_again(attempt, again, split)
                if guilty is not None:
                    yield guilty, Failed(f"its worker died {GUILTY} times while it ran alone")
    except BaseException:
        for future in running:
            future.cancel()
        raise


def _fill(
    pool: Pool,
    work: Callable[[J], R],
    jobs: Iterator[J],
    again: deque[_Attempt[J]],
    running: dict[Future[R], _Attempt[J]],
) -> bool:
    """Give the workers what they have room for; return whether anything is running."""
    while len(running) < AHEAD * pool.workers:
        alone = any(attempt.deaths >= SUSPECT for attempt in running.values())
        if alone or (again and again[0].deaths >= SUSPECT and running):
            break
        if again:
            attempt = again.popleft()
        else:
            job = next(jobs, None)
            if job is None:
                break
            attempt = _Attempt(job)
        running[pool.submit(work, attempt.job)] = attempt
    return bool(running)


def _result(pool: Pool, future: Future[R]) -> R | Failed | None:
    """Return a job's result; None where its worker, or one beside it, died."""
    try:
        return future.result()
    except CancelledError:
        raise EngineError(
            "the workers are gone: the cluster was closed or is not reached any more; what was "
            "recorded is safe: go on with --resume"
        ) from None
    except Exception as error:
        if pool.died(error):
            return None
        return Failed(f"{type(error).__name__}: {error}")


def _tried_again(
    attempt: _Attempt[J], again: deque[_Attempt[J]], split: Callable[[J], tuple[J, ...]]
) -> J | None:
    """Put a job whose worker died back, in parts if it was alone; return it if it is at fault."""
    if attempt.deaths <= SUSPECT:
        again.append(attempt)
        return None
    parts = split(attempt.job)
    if len(parts) > 1:
        again.extend(_Attempt(part, SUSPECT) for part in parts)
        return None
    if attempt.deaths >= SUSPECT + GUILTY:
        return attempt.job
    again.append(attempt)
    return None
