"""Files on the local disks of machines: what was read or written there is not fetched again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autoscale.model.workflow import FileTable

Disk = dict[int, float]
"""From when on each file is on a disk, seconds."""


class Disks:
    """Which files tasks read and write, as lists, and what that means for a disk.

    Parameters
    ----------
    files
        The workflow's.
    """

    def __init__(self, files: FileTable) -> None:
        self._bytes: list[float] = files.size_bytes.astype(float).tolist()
        self._input_ptr: list[int] = files.input_ptr.tolist()
        self._inputs: list[int] = files.inputs.tolist()
        self._output_ptr: list[int] = files.output_ptr.tolist()
        self._outputs: list[int] = files.outputs.tolist()

    def missing_bytes(self, task: int, disk: Disk, now: float) -> float:
        """Return the bytes of a task's inputs that are not on a disk now."""
        sizes, missing, ptr = self._bytes, 0.0, self._input_ptr
        for file in self._inputs[ptr[task] : ptr[task + 1]]:
            if file not in disk or disk[file] > now:
                missing += sizes[file]
        return missing

    def hold_inputs(self, task: int, disk: Disk, since_s: float) -> None:
        """Note that a task's inputs are on a disk from a time on."""
        ptr = self._input_ptr
        _hold(self._inputs[ptr[task] : ptr[task + 1]], disk, since_s)

    def hold_outputs(self, task: int, disk: Disk, since_s: float) -> None:
        """Note that a task's outputs are on a disk from a time on."""
        ptr = self._output_ptr
        _hold(self._outputs[ptr[task] : ptr[task + 1]], disk, since_s)


def _hold(members: list[int], disk: Disk, since_s: float) -> None:
    for file in members:
        if file not in disk or disk[file] > since_s:
            disk[file] = since_s
