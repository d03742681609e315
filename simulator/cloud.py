"""The simulated cloud: machines that boot, run tasks, fail, are interrupted, and are billed.

The cloud executes; a driver decides (:mod:`simulator.following` keeps a plan,
:mod:`simulator.deciding` asks a policy). Machines and tasks are not SimPy processes, because a
process each costs most of the time of a run: they are state, and SimPy's events call back.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import simpy

from simulator import events as kinds
from simulator.luck import BOOT_TIME, INSTANCE_FAILURE, RUNTIME_LEASE, SPOT
from simulator.network import Link, Network
from simulator.spot import Markets

if TYPE_CHECKING:
    from collections.abc import Callable

    from autoscale.model.problem import Problem
    from simulator.events import EventLog
    from simulator.luck import Luck

MOST_MACHINES = 1000
"""Machines for one lease, or starts of one task, after which a run gives up."""

OUTCOMES = (
    "released", "boot failed", "instance failed", "interrupted", "never granted", "stopped",
)  # fmt: skip
"""How machines end."""

_RELEASED, _BOOT_FAILED, _FAILED, _INTERRUPTED, _UNGRANTED, _STOPPED = range(len(OUTCOMES))
_EVENT_OF = {
    _RELEASED: kinds.RELEASED,
    _BOOT_FAILED: kinds.BOOT_FAILED,
    _FAILED: kinds.INSTANCE_FAILED,
    _INTERRUPTED: kinds.INTERRUPTED,
    _UNGRANTED: kinds.RELEASED,
    _STOPPED: kinds.RELEASED,
}


class GaveUp(Exception):  # noqa: N818 - an ending, not an error
    """Ends a run that cannot be completed; its text says why."""


class Machine:
    """One machine, from its request to its end."""

    __slots__ = (
        "attempt",
        "billed_s",
        "busy_vcpu_s",
        "closed",
        "closes_s",
        "cost_usd",
        "dies_as",
        "dies_s",
        "disk",
        "free_gpus",
        "free_memory",
        "free_vcpus",
        "gone",
        "granted",
        "lease",
        "link",
        "n_vcpus",
        "number",
        "outcome",
        "ready",
        "ready_s",
        "released_s",
        "requested_s",
        "running",
        "slowness",
        "speed",
        "tasks",
        "type",
    )

    def __init__(self, number: int, type_index: int, problem: Problem, lease: int, attempt: int):
        t = problem.catalog.types[type_index]
        self.number, self.type, self.lease, self.attempt = number, type_index, lease, attempt
        self.free_vcpus, self.free_memory, self.free_gpus = t.vcpus, t.memory_bytes, t.gpus
        self.speed = t.speed
        link = min(t.bandwidth_bytes_per_s, problem.storage_bandwidth)
        self.link = Link(link)
        self.n_vcpus = t.vcpus
        self.slowness = 1.0
        self.running: dict[int, float] = {}  # task -> since when it holds its room
        self.disk: dict[int, float] = {}  # file -> from when on it is there
        self.granted = self.ready = self.closed = self.gone = False
        self.requested_s = self.ready_s = self.released_s = math.nan
        self.closes_s = self.dies_s = math.inf
        self.dies_as = self.outcome = _RELEASED
        self.billed_s = self.cost_usd = self.busy_vcpu_s = 0.0
        self.tasks = 0


class _Attempt:
    """One attempt of a task, where its phases are events of their own."""

    __slots__ = ("compute_s", "machine", "moment", "since_s", "task")

    def __init__(
        self, task: int, machine: Machine, compute_s: float, moment: float | None, since_s: float
    ) -> None:
        self.task, self.machine, self.since_s = task, machine, since_s
        self.compute_s, self.moment = compute_s, moment


class Driver(Protocol):
    """Decides what runs where; called when something has happened."""

    def begin(self) -> None:
        """Act at time 0."""

    def on_ready(self, machine: Machine) -> None:
        """Act on a machine that has booted."""

    def on_ended(self, task: int, machine: Machine) -> None:
        """Act on a task that has ended well; it no longer holds its room."""

    def on_notice(self, machine: Machine) -> None:
        """Act on the announcement that a machine will be interrupted."""

    def on_gone(self, machine: Machine, lost: list[int]) -> None:
        """Act on a machine that ended otherwise than by a release, and its unended tasks."""


class Cloud:
    """Machines, tasks and chance in one SimPy environment.

    Parameters
    ----------
    problem
        Workflow, catalogue and rules.
    luck
        What chance brings; None for none.
    log
        Where events are recorded; None for nowhere.
    """

    def __init__(self, problem: Problem, luck: Luck | None = None, log: EventLog | None = None):
        self.env = simpy.Environment()
        self.problem, self.luck, self.log = problem, luck, log
        self.machines: list[Machine] = []
        self.done = self.env.event()
        self.driver: Driver
        w, n = problem.workflow, len(problem.workflow)
        network = luck.chance.network if luck else None
        self._cache = network is not None and network.cache and problem.transfers
        fair = network is not None and network.sharing == "max-min"
        service = network.service_bandwidth if network else math.inf
        self._net = Network(self.env, service) if fair and problem.transfers else None
        self._by_vcpus = network is None or network.weights == "vcpus"
        self._markets = Markets(luck, problem) if luck else None
        # Read one at a time while the run goes on: lists, because numpy scalars are slow.
        stated = problem.durations_s
        moves = problem.transfers and stated is None
        self._stated: list[list[float]] | None = None if stated is None else stated.tolist()
        self._runtime_s: list[float] = w.runtime_s.tolist()
        self._in_bytes: list[float] = w.in_bytes.tolist() if moves else [0.0] * n
        self._out_bytes: list[float] = w.out_bytes.tolist() if moves else [0.0] * n
        self._vcpus: list[int] = w.vcpus.tolist()
        # What tasks hold; a driver may state less for tasks that take no time.
        self.vcpus: list[int]
        self.memory: list[int]
        self.gpus: list[int]
        self.vcpus, self.memory, self.gpus = (
            list(self._vcpus),
            w.memory_bytes.tolist(),
            w.gpus.tolist(),
        )
        if self._cache:
            self._read_files()
        self._event_of: list[Any] = [None] * n
        self._fail_count: dict[int, int] = {}
        self.attempts = [0] * n
        self.machine_of: list[Machine | None] = [None] * n
        nan = math.nan
        self.first_start_s, self.start_s, self.end_s = [nan] * n, [nan] * n, [nan] * n
        self.fetch_s, self.compute_s, self.store_s = [0.0] * n, [nan] * n, [0.0] * n

    def _read_files(self) -> None:
        files = self.problem.workflow.files
        self._file_bytes: list[float] = files.size_bytes.astype(float).tolist()
        self._input_ptr: list[int] = files.input_ptr.tolist()
        self._inputs: list[int] = files.inputs.tolist()
        self._output_ptr: list[int] = files.output_ptr.tolist()
        self._outputs: list[int] = files.outputs.tolist()

    # -- machines ---------------------------------------------------------------------------

    def request(
        self, type_index: int, lease: int, attempt: int = 0, *, idle: bool = False
    ) -> Machine:
        """Ask for a machine.

        Parameters
        ----------
        type_index
            Index into the catalogue.
        lease, attempt
            Whose luck it meets.
        idle
            It will run nothing: it does not boot and chance leaves it alone.
        """
        machine = Machine(len(self.machines), type_index, self.problem, lease, attempt)
        self.machines.append(machine)
        now = machine.requested_s = self.env.now
        if self.log:
            self.log.add(now, kinds.REQUESTED, machine.number)
        if attempt >= MOST_MACHINES:
            raise GaveUp(
                f"lease {lease} has used up {attempt} machines: none lives long enough; "
                "lower the rates of failures and interruptions"
            )
        if idle:
            machine.granted = True
            return machine
        open_s = self._markets.opens_s(machine, now) if self._markets else now
        if open_s > now:
            if open_s < math.inf:
                self.later(open_s - now, self._grant, machine)
        else:
            self._grant(machine)
        return machine

    def _grant(self, machine: Machine) -> None:
        if machine.gone:
            return
        now, luck = self.env.now, self.luck
        machine.requested_s, machine.granted = now, True
        if self.log:
            self.log.add(now, kinds.GRANTED, machine.number)
        boot_s, fails = self.problem.boot_s, False
        if luck is not None:
            boot_s = luck.draw(BOOT_TIME, machine.lease, machine.attempt)
            fails = luck.boot_fails(machine.lease, machine.attempt)
            machine.slowness = luck.draw(RUNTIME_LEASE, machine.lease, machine.attempt)
            self._fate(machine, fails=fails)
        if not fails:
            self.later(boot_s, self._boot, machine)
        if machine.dies_s < math.inf:
            # One step later, so that what ends at that very moment has ended.
            self.later(machine.dies_s - now, self._step_later, machine)
            if machine.closes_s < machine.dies_s:
                self.later(machine.closes_s - now, self._announce, machine)

    def _fate(self, machine: Machine, *, fails: bool) -> None:
        """Draw when and how the machine ends, unless it is released before."""
        luck, now, lease = self.luck, machine.requested_s, machine.lease
        assert luck is not None
        spot = luck.chance.spot
        if luck.chance.instance_failure is not None:
            machine.dies_s = now + luck.draw(INSTANCE_FAILURE, lease, machine.attempt)
            machine.dies_as = _FAILED
        machine.closes_s = machine.dies_s
        if spot is not None and self._is_spot(machine):
            killed_s = now + luck.draw(SPOT, lease, machine.attempt)
            if self._markets:
                killed_s = min(killed_s, self._markets.closes_s(machine, now))
            machine.closes_s = min(machine.dies_s, max(now, killed_s - spot.notice_s))
            if killed_s < machine.dies_s:
                machine.dies_s, machine.dies_as = killed_s, _INTERRUPTED
        failure = luck.chance.boot_failure
        if fails and failure is not None:
            noticed_s = now + failure.detect_s
            machine.closes_s = min(machine.closes_s, noticed_s)
            if noticed_s < machine.dies_s:
                machine.dies_s, machine.dies_as = noticed_s, _BOOT_FAILED

    def _is_spot(self, machine: Machine) -> bool:
        spot = self.luck.chance.spot if self.luck else None
        bought = self.problem.catalog.types[machine.type].purchase
        return spot is not None and (spot.everything or bought == "spot")

    def _boot(self, machine: Machine) -> None:
        if machine.gone:
            return
        machine.ready = True
        machine.ready_s = self.env.now
        if self.log:
            self.log.add(self.env.now, kinds.READY, machine.number)
        self.driver.on_ready(machine)

    def _announce(self, machine: Machine) -> None:
        if machine.gone:
            return
        machine.closed = True
        if self.log:
            self.log.add(self.env.now, kinds.NOTICE, machine.number)
        self.driver.on_notice(machine)

    def _step_later(self, machine: Machine) -> None:
        if not machine.gone:
            self.later(0.0, self._die, machine)

    def _die(self, machine: Machine) -> None:
        if machine.gone:
            return
        lost = list(machine.running)
        for task in lost:
            self._event_of[task] = None
            self._leave(task, machine)
            if self.log:
                self.log.add(self.env.now, kinds.LOST, machine.number, task)
        if self._net:
            self._net.drop(machine)
        self._close(machine, machine.dies_as)
        self.driver.on_gone(machine, lost)

    def release(self, machine: Machine) -> None:
        """Give a machine back; it must not be running anything."""
        if machine.gone:
            return
        self._close(machine, _RELEASED if machine.granted else _UNGRANTED)

    def _close(self, machine: Machine, outcome: int) -> None:
        """Bill a machine: the one place where money is spent."""
        now = self.env.now
        machine.gone = machine.closed = True
        machine.released_s, machine.outcome = now, outcome
        if self.log:
            self.log.add(now, _EVENT_OF[outcome], machine.number)
        failure = self.luck.chance.boot_failure if self.luck else None
        free = outcome == _BOOT_FAILED and failure is not None and not failure.billed
        if outcome == _UNGRANTED or free:
            return
        held_s = now - machine.requested_s
        machine.billed_s = self.problem.billing.billed_s(held_s)
        price = self.problem.catalog.types[machine.type].price_usd_per_hour
        if self._markets and self._is_spot(machine):
            price = self._markets.price(machine, price)
        machine.cost_usd = price / 3600 * machine.billed_s

    def later(self, delay_s: float, act: Callable[[Any], None], what: Any) -> None:
        """Call ``act(what)`` after a delay."""
        event = self.env.timeout(max(0.0, delay_s))
        event.callbacks.append(lambda _: act(what))

    # -- tasks ------------------------------------------------------------------------------

    def has_room(self, task: int, machine: Machine) -> bool:
        """Return whether a machine has room for all of a task at once."""
        return (
            self.vcpus[task] <= machine.free_vcpus
            and self.memory[task] <= machine.free_memory
            and self.gpus[task] <= machine.free_gpus
        )

    def start(self, task: int, machine: Machine) -> None:
        """Start a task on a ready machine that has room."""
        now = self.env.now
        machine.free_vcpus -= self.vcpus[task]
        machine.free_memory -= self.memory[task]
        machine.free_gpus -= self.gpus[task]
        machine.running[task] = now
        self.machine_of[task] = machine
        if not self.attempts[task]:
            self.first_start_s[task] = now
        self._attempt(task, machine, now)

    def _attempt(self, task: int, machine: Machine, now: float) -> None:
        number = self.attempts[task]
        if number >= MOST_MACHINES:
            raise GaveUp(
                f"task {str(self.problem.workflow.ids[task])!r} has been started {number} times "
                "and never ended well; lower the probabilities of failure"
            )
        self.attempts[task] = number + 1
        self.start_s[task] = now
        if self.log:
            self.log.add(now, kinds.STARTED, machine.number, task)
        luck, moment = self.luck, None
        compute_s = self._computation_s(task, machine, number)
        if luck is not None:
            moment = luck.failure_moment(task, number)
        self.compute_s[task] = compute_s
        if self._net is not None:
            self._fetch(_Attempt(task, machine, compute_s, moment, now))
            return
        fetch_s, store_s = self._transfers_s(task, machine, now)
        self.fetch_s[task], self.store_s[task] = fetch_s, store_s
        if moment is None:
            event = self.env.timeout(fetch_s + compute_s + store_s, task)
            event.callbacks.append(self._end)
        else:
            event = self.env.timeout(fetch_s + compute_s * moment, task)
            event.callbacks.append(self._fail)
        self._event_of[task] = event

    def _computation_s(self, task: int, machine: Machine, attempt: int) -> float:
        if self._stated is not None:
            compute_s = self._stated[task][machine.type]
        else:
            compute_s = self._runtime_s[task] / machine.speed
        luck = self.luck
        if luck is not None:
            if luck.truth is not None:
                compute_s *= luck.truth[task]
            if luck.task_factor_first is not None:
                compute_s *= luck.task_factor(task, attempt)
            compute_s *= machine.slowness
        return compute_s

    def _transfers_s(self, task: int, machine: Machine, now: float) -> tuple[float, float]:
        """Return how long a task fetches and stores at its fixed share of the link."""
        in_bytes, out_bytes = self._in_bytes[task], self._out_bytes[task]
        if not in_bytes and not out_bytes:
            return 0.0, 0.0
        share = machine.link.capacity * (self._vcpus[task] / machine.n_vcpus)
        if self._cache:
            in_bytes = self._missing(task, machine, now)
            self._on_disk(task, machine, now + in_bytes / share, inputs=True)
        return in_bytes / share, out_bytes / share

    def _leave(self, task: int, machine: Machine) -> None:
        """Give back the room that a task holds."""
        since_s = machine.running.pop(task)
        vcpus = self.vcpus[task]
        machine.free_vcpus += vcpus
        machine.free_memory += self.memory[task]
        machine.free_gpus += self.gpus[task]
        machine.busy_vcpu_s += vcpus * (self.env.now - since_s)

    def _end(self, event: Any) -> None:
        task = event.value
        if self._event_of[task] is event:
            self._ended(task)

    def _ended(self, task: int) -> None:
        machine = self.machine_of[task]
        assert machine is not None
        self._event_of[task] = None
        now = self.end_s[task] = self.env.now
        self._leave(task, machine)
        machine.tasks += 1
        if self._cache:
            self._on_disk(task, machine, now, inputs=False)
        if self.log:
            self.log.add(now, kinds.ENDED, machine.number, task)
        self.driver.on_ended(task, machine)

    def _fail(self, event: Any) -> None:
        task = event.value
        if self._event_of[task] is not event:
            return
        machine = self.machine_of[task]
        failure = self.luck.chance.task_failure if self.luck else None
        assert machine is not None
        assert failure is not None
        if self.log:
            self.log.add(self.env.now, kinds.FAILED, machine.number, task)
        failures = self._fail_count[task] = self._fail_count.get(task, 0) + 1
        if failures > failure.retries:
            raise GaveUp(
                f"task {str(self.problem.workflow.ids[task])!r} has failed {failures} times, "
                f"more than its {failure.retries} retries"
            )
        self._attempt(task, machine, self.env.now)

    # -- transfers over shared links, files on local disks ----------------------------------

    def _fetch(self, attempt: _Attempt) -> None:
        """Begin an attempt of three phases, with an event after each."""
        task, machine, net = attempt.task, attempt.machine, self._net
        assert net is not None
        self._event_of[task] = attempt
        missing = self._missing(task, machine, attempt.since_s) if self._cache else None
        size = self._in_bytes[task] if missing is None else missing
        if size:
            net.transfer(machine, size, self._weight(task), partial(self._fetched, attempt))
        else:
            self._fetched(attempt)

    def _weight(self, task: int) -> float:
        return float(self._vcpus[task]) if self._by_vcpus else 1.0

    def _fetched(self, attempt: _Attempt) -> None:
        task, now = attempt.task, self.env.now
        if self._event_of[task] is not attempt:
            return
        self.fetch_s[task] = now - attempt.since_s
        if self.log:
            self.log.add(now, kinds.FETCHED, attempt.machine.number, task)
        if self._cache:
            self._on_disk(task, attempt.machine, now, inputs=True)
        if attempt.moment is None:
            event = self.env.timeout(attempt.compute_s, attempt)
            event.callbacks.append(self._computed)
        else:
            event = self.env.timeout(attempt.compute_s * attempt.moment, task)
            event.callbacks.append(self._fail)
            self._event_of[task] = event

    def _computed(self, event: Any) -> None:
        attempt = event.value
        task, now, net = attempt.task, self.env.now, self._net
        if self._event_of[task] is not attempt:
            return
        if self.log:
            self.log.add(now, kinds.COMPUTED, attempt.machine.number, task)
        attempt.since_s = now
        size = self._out_bytes[task]
        if size and net is not None:
            net.transfer(attempt.machine, size, self._weight(task), partial(self._stored, attempt))
        else:
            self._stored(attempt)

    def _stored(self, attempt: _Attempt) -> None:
        task = attempt.task
        if self._event_of[task] is attempt:
            self.store_s[task] = self.env.now - attempt.since_s
            self._ended(task)

    def _missing(self, task: int, machine: Machine, now: float) -> float:
        """Return the bytes of a task's inputs that are not on the machine's disk."""
        disk, sizes, missing = machine.disk, self._file_bytes, 0.0
        ptr = self._input_ptr
        for file in self._inputs[ptr[task] : ptr[task + 1]]:
            if file not in disk or disk[file] > now:
                missing += sizes[file]
        return missing

    def _on_disk(self, task: int, machine: Machine, since_s: float, *, inputs: bool) -> None:
        disk = machine.disk
        ptr, members = (
            (self._input_ptr, self._inputs) if inputs else (self._output_ptr, self._outputs)
        )
        for file in members[ptr[task] : ptr[task + 1]]:
            if file not in disk or disk[file] > since_s:
                disk[file] = since_s

    # -- the run ----------------------------------------------------------------------------

    def run(self, driver: Driver, limit_s: float = math.inf) -> str | None:
        """Run to the driver's end; return None, or the reason why the run was given up."""
        self.driver = driver
        reason = None
        try:
            driver.begin()
            self._play(limit_s)
        except GaveUp as ending:
            reason = str(ending)
        for machine in self.machines:
            if not machine.gone:
                for task in list(machine.running):
                    self._leave(task, machine)
                self._close(machine, _STOPPED if machine.granted else _UNGRANTED)
        return reason

    def _play(self, limit_s: float) -> None:
        env, done = self.env, self.done
        peek, step = env.peek, env.step
        while done.callbacks is not None:  # which it is until it has been processed
            next_s = peek()
            if next_s == math.inf:
                raise GaveUp(
                    f"nothing can happen any more at {env.now:g} s, but tasks have not ended"
                )
            if next_s > limit_s:
                if env.now < limit_s:
                    env.run(until=limit_s)
                raise GaveUp(f"the limit of {limit_s:g} simulated seconds is over")
            step()
