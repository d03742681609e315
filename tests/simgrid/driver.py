"""Plays a fixed plan in SimGrid: a JSON object on standard input, times on standard output.

Runs as a script under a Python that has SimGrid's bindings (Debian's ``python3-simgrid``) and
needs nothing else; it shares no code with the project. Input::

    {"boot_s": 90.0,
     "network": "off" | "caps" | "max-min",   transfers: none, each at its own rate, or shared
     "model": "CM02",                         SimGrid's network model
     "storage_bandwidth": null,               bytes/s of the store as a whole in "max-min"
     "leases": [{"start_s", "speed", "vcpus", "memory", "gpus", "bandwidth", "order": [tasks]}],
     "tasks": [{"lease", "not_before_s", "runtime_s", "vcpus", "memory", "gpus",
                "in_bytes", "out_bytes", "rate", "flows", "parents": [tasks]}]}

Every lease is a host of ``vcpus`` cores behind one link to the host that stores the files. Its
actor waits for the boot and starts the tasks in the lease's order, each when its parents have
ended, its time has come and there is room. A task is an actor: it fetches its input, computes as
one execution a vCPU, and stores its output. Output::

    {"start_s": [...], "end_s": [...], "simgrid": "3.32.0"}
"""

from __future__ import annotations

import json
import sys
from typing import Any

FLOPS = 1e9  # of a core of speed 1.0, a second


class Lease:
    """The room on one host, and the actor that hands it to tasks in order."""

    def __init__(self, sg: Any, row: dict[str, Any], host: Any) -> None:
        self.row, self.host = row, host
        self.room = [row["vcpus"], row["memory"], row["gpus"]]
        self.wake = sg.Semaphore(0)

    def take(self, needs: list[float]) -> bool:
        """Take room for one task if there is enough of everything."""
        if any(need > free for need, free in zip(needs, self.room, strict=True)):
            return False
        self.room = [free - need for need, free in zip(needs, self.room, strict=True)]
        return True

    def give_back(self, needs: list[float]) -> None:
        """Return the room of a task that ended, and look at the next one."""
        self.room = [free + need for need, free in zip(needs, self.room, strict=True)]
        self.wake.release()


class Run:
    """One simulation."""

    def __init__(self, sg: Any, engine: Any, plan: dict[str, Any]) -> None:
        self.sg, self.engine, self.plan, self.tasks = sg, engine, plan, plan["tasks"]
        n = len(self.tasks)
        self.start_s: list[float | None] = [None] * n
        self.end_s: list[float | None] = [None] * n
        self.unended = [len(task["parents"]) for task in self.tasks]
        self.children: list[list[int]] = [[] for _ in range(n)]
        for i, task in enumerate(self.tasks):
            for parent in task["parents"]:
                self.children[parent].append(i)
        self.store, self.leases = self.build()

    def build(self) -> tuple[Any, list[Lease]]:
        """Return the host that stores the files, and one host a lease, joined by links."""
        sg, plan = self.sg, self.plan
        zone = sg.NetZone.create_full_zone("cloud")
        store = zone.create_host("store", FLOPS).seal()
        backbone = []
        if plan["network"] == "max-min" and plan["storage_bandwidth"] is not None:
            link = zone.create_link("backbone", plan["storage_bandwidth"]).set_latency(0)
            backbone = [sg.LinkInRoute(link.seal())]
        leases = []
        for number, row in enumerate(plan["leases"]):
            host = zone.create_host(f"lease{number}", FLOPS * row["speed"])
            host.core_count = row["vcpus"]
            host.seal()
            way = [*backbone]
            if row["bandwidth"] is not None:
                link = zone.create_link(f"link{number}", row["bandwidth"]).set_latency(0).seal()
                way.append(sg.LinkInRoute(link))
            if way:
                zone.add_route(store.netpoint, host.netpoint, None, None, way, True)
            leases.append(Lease(sg, row, host))
        zone.seal()
        return store, leases

    def dispatch(self, lease: Lease) -> None:
        """Start the tasks of a lease in its order."""
        sg = self.sg
        sg.this_actor.sleep_until(max(0.0, lease.row["start_s"]) + self.plan["boot_s"])
        for i in lease.row["order"]:
            task = self.tasks[i]
            if task["not_before_s"] > self.engine.clock:
                sg.this_actor.sleep_until(task["not_before_s"])
            needs = self.needs(task)
            while self.unended[i] or not lease.take(needs):
                lease.wake.acquire()
            sg.Actor.create(f"task{i}", lease.host, self.play, i, lease, needs)

    def needs(self, task: dict[str, Any]) -> list[float]:
        """Return the room that a task holds; one that takes no time at all holds nothing."""
        moved = 0.0 if self.plan["network"] == "off" else task["in_bytes"] + task["out_bytes"]
        takes_time = task["runtime_s"] > 0 or moved > 0
        return [task["vcpus"], task["memory"], task["gpus"]] if takes_time else [0, 0, 0]

    def play(self, i: int, lease: Lease, needs: list[float]) -> None:
        """Run one task to its end."""
        sg, task = self.sg, self.tasks[i]
        self.start_s[i] = self.engine.clock
        self.move(task["in_bytes"], i, self.store, lease.host)
        if task["runtime_s"] > 0:
            flops = task["runtime_s"] * FLOPS
            running = [sg.this_actor.exec_async(flops) for _ in range(task["vcpus"])]
            for execution in running:
                execution.wait()
        self.move(task["out_bytes"], i, lease.host, self.store)
        self.end_s[i] = self.engine.clock
        for child in self.children[i]:
            self.unended[child] -= 1
            if not self.unended[child]:
                self.leases[self.tasks[child]["lease"]].wake.release()
        lease.give_back(needs)

    def move(self, size: float, i: int, source: Any, target: Any) -> None:
        """Send bytes between a host and the store."""
        task = self.tasks[i]
        network, alone = self.plan["network"], self.plan["storage_bandwidth"] is None
        unlimited = alone and self.plan["leases"][task["lease"]]["bandwidth"] is None
        if network == "off" or not size > 0 or unlimited:
            return
        if network == "max-min":
            # As many flows as the transfer has shares of a link.
            part = round(size / task["flows"])
            new = self.sg.Comm.sendto_init
            flows = [
                new(source, target).set_payload_size(part).start() for _ in range(task["flows"])
            ]
            for flow in flows:
                flow.wait()
            return
        # Only a message between two actors can have a rate.
        box = self.sg.Mailbox.by_name(f"task{i}")
        self.sg.Actor.create(f"sender of task{i}", source, self.send, box, size, task["rate"])
        self.sg.Actor.create(f"receiver of task{i}", target, box.get).join()

    @staticmethod
    def send(box: Any, size: float, rate: float) -> None:
        """Send a message at a limited rate."""
        box.put_init("file", round(size)).set_rate(rate).wait()

    def result(self) -> dict[str, Any]:
        """Return when every task started and ended."""
        unplayed = [i for i, end in enumerate(self.end_s) if end is None]
        if unplayed:
            raise RuntimeError(f"{len(unplayed)} tasks never ended, the first is {unplayed[0]}")
        return {"start_s": self.start_s, "end_s": self.end_s, "simgrid": self.sg.simgrid_version}


def main() -> None:
    """Read a plan, play it, write the times."""
    import simgrid as sg

    plan = json.load(sys.stdin)
    settings = (
        f"network/model:{plan['model']}",
        "network/crosstraffic:0",
        "surf/precision:1e-12",
        "maxmin/precision:1e-9",
    )
    quiet = "--log=root.thresh:critical"
    engine = sg.Engine(["driver", quiet, *(f"--cfg={setting}" for setting in settings)])
    run = Run(sg, engine, plan)
    for number, lease in enumerate(run.leases):
        sg.Actor.create(f"lease{number}", lease.host, run.dispatch, lease)
    engine.run()
    json.dump(run.result(), sys.stdout)


if __name__ == "__main__":
    main()
