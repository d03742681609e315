"""CyberShake (earthquake hazard) and LIGO Inspiral (gravitational waves).

Profiles: the distributions of the workflow generator of Bharathi et al., "Characterization of
Scientific Workflows", WORKS 2008 (classes ``CyberShake`` and ``LIGO`` of
github.com/pegasus-isi/WorkflowGenerator, read November 2026). Peak memory is that generator's,
from its memory models of CyberShake and its ``evaluation/sampled-peak-mem-LIGO.csv`` for
``TmpltBank``; it is 0 where none is stated there or where it is marked as provisional.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from autoscale.workloads.assembly import Assembly, Spread, Streams, nearest_size, shares

if TYPE_CHECKING:
    from autoscale.model.arrays import IntArray
    from autoscale.model.workflow import Workflow

# CyberShake: runtimes in seconds, sizes in bytes, memory in bytes.
EXTRACT_S = Spread(137.45, 206.0)
SYNTHESIS_S = Spread(43.40, 31.0)
PEAK_VALUE_S = Spread(1.09, 1.926)
ZIP_SEIS_BYTES_PER_S = 228180.0
ZIP_PSA_BYTES_PER_S = 2782.0
TENSOR_BYTES = Spread(19958666972.0, 306030527.0)
SUB_TENSOR_BYTES = Spread(231720131.58, 164565040.0)
VARIATION_BYTES = Spread(3708598.53, 3187576.0)
SEISMOGRAM_BYTES = 24000
PEAK_VALUE_BYTES = 216
ZIP_FACTOR = 6.0
EXTRACT_MEMORY = 20_640_000
ZIP_SEIS_MEMORY = 6_250_000
PEAK_VALUE_MEMORY = 3_110_000
ZIP_PSA_MEMORY = 6_160_000

EXTRACT_SHARE = 0.0081
"""Extractions as a fraction of the tasks of a large CyberShake workflow."""

# LIGO Inspiral: runtimes in seconds, sizes in bytes.
TEMPLATE_S = Spread(18.14, 0.424)
INSPIRAL_S = Spread(460.21, 545.34)
THINCA_S = Spread(5.37, 0.245)
TRIGGER_S = Spread(5.11, 0.316)
FRAME_BYTES = Spread(15595958.08, 18292.9)
FAC_DARM_BYTES = 8415922
REF_DARM_BYTES = 902334
INJECTION_BYTES = 2421423
TEMPLATE_BYTES = Spread(986917.26, 18948.3)
INSPIRAL_BYTES = Spread(312935.68, 579467.8)
THINCA_BYTES = Spread(33820.71, 43453.2)
TRIGGER_BYTES = Spread(12779.67, 11730.2)
TEMPLATE_MEMORY = 404_540_000


@dataclass(frozen=True, slots=True)
class CyberShakeShape:
    """How many extractions and how many seismograms."""

    extracts: int
    seismograms: int


def cybershake_shape(n_tasks: int) -> CyberShakeShape | None:
    """Return the shape with exactly ``n_tasks = E + 2 S + 2``, or None where there is none."""
    rest = n_tasks - 2
    extracts = max(2, round(EXTRACT_SHARE * rest))
    if (rest - extracts) % 2:
        extracts -= 1
    seismograms = (rest - extracts) // 2
    return CyberShakeShape(extracts, seismograms) if seismograms >= extracts else None


def cybershake(n_tasks: int, rng: np.random.Generator) -> Workflow:
    """Return a CyberShake workflow of 4 levels.

    E ``ExtractSGT`` (about 0.8 % of the tasks, at least 1) -> S ``SeismogramSynthesis``, shared
    out evenly to within a quarter -> ``ZipSeis`` (one) and S ``PeakValCalcOkaya`` -> ``ZipPSA``
    (one). Exactly ``n_tasks`` from 5 on, except 6. Edges: 4 S.

    Parameters
    ----------
    n_tasks
        Number of tasks.
    rng
        Source of randomness.
    """
    shape = nearest_size(n_tasks, cybershake_shape)
    streams = Streams.of(rng)
    n_extract, n_seis = shape.extracts, shape.seismograms
    asm = Assembly(f"cybershake-{n_extract + 2 * n_seis + 2}")
    extract = asm.tasks("ExtractSGT", EXTRACT_S.draw(streams.runtime, n_extract), EXTRACT_MEMORY)
    synthesis = asm.tasks("SeismogramSynthesis", SYNTHESIS_S.draw(streams.runtime, n_seis))
    group = np.repeat(np.arange(n_extract), shares(n_seis, n_extract, streams.structure, 0.25))
    for axis in ("x", "y"):
        tensor = TENSOR_BYTES.draw(streams.size, n_extract)
        asm.reads(extract, asm.files("sgt", f"_f{axis}.sgt", tensor))
        part = SUB_TENSOR_BYTES.draw(streams.size, n_extract)
        part_files = asm.files("sgt", f"_subf{axis}.sgt", part)
        asm.writes(extract, part_files)
        asm.reads(synthesis, part_files[group])
    variation = VARIATION_BYTES.draw(streams.size, n_seis)
    asm.reads(synthesis, asm.files("variation", ".txt", variation))
    seismograms = asm.files("seismogram", ".grm", np.full(n_seis, float(SEISMOGRAM_BYTES)))
    asm.writes(synthesis, seismograms)

    peak = asm.tasks(
        "PeakValCalcOkaya", PEAK_VALUE_S.draw(streams.runtime, n_seis), PEAK_VALUE_MEMORY
    )
    asm.reads(peak, seismograms)
    values = asm.files("peakvals", ".bsa", np.full(n_seis, float(PEAK_VALUE_BYTES)))
    asm.writes(peak, values)
    for category, files, size, rate, memory in (
        ("ZipSeis", seismograms, SEISMOGRAM_BYTES, ZIP_SEIS_BYTES_PER_S, ZIP_SEIS_MEMORY),
        ("ZipPSA", values, PEAK_VALUE_BYTES, ZIP_PSA_BYTES_PER_S, ZIP_PSA_MEMORY),
    ):
        zip_bytes = n_seis * size / ZIP_FACTOR * streams.size.uniform(0.75, 1.25)
        task = asm.tasks(category, np.array([zip_bytes / rate]), memory)
        asm.reads(task, files)
        asm.writes(task, asm.file(f"{category}.zip", zip_bytes))
    return asm.build()


@dataclass(frozen=True, slots=True)
class InspiralShape:
    """How many template banks, trigger banks and coincidence groups."""

    templates: int
    triggers: int
    groups: int


def inspiral_shape(n_tasks: int) -> InspiralShape | None:
    """Return the shape with exactly ``n_tasks = 2 (T + D + B)``, or None where there is none."""
    if n_tasks < 6 or n_tasks % 2:
        return None
    groups = max(1, round(n_tasks / 50))
    both = n_tasks // 2 - groups
    templates = max(1, round(0.48 * both))
    return InspiralShape(templates, both - templates, groups)


def inspiral(n_tasks: int, rng: np.random.Generator) -> Workflow:
    """Return a LIGO Inspiral workflow of 6 levels.

    T ``TmpltBank`` -> T ``Inspiral`` -> B ``Thinca`` -> D ``TrigBank`` -> D ``Inspiral`` -> B
    ``Thinca``, with B about a fiftieth of the tasks and T 48 % of what is left of half of them,
    D the other 52 %. Exactly ``n_tasks`` for even sizes from 6 on, one less for odd ones.
    Edges: T + U + 3 D, where U, the inputs of the first ``Thinca`` level, is D, or T if B = 1.

    Each trigger bank belongs to one group of D / B, give or take half; a group's first ``Thinca``
    joins as many neighbouring ``Inspiral``, some of which serve two groups.

    Parameters
    ----------
    n_tasks
        Number of tasks.
    rng
        Source of randomness.
    """
    shape = nearest_size(n_tasks, inspiral_shape)
    streams = Streams.of(rng)
    asm = Assembly(f"inspiral-{2 * (shape.templates + shape.triggers + shape.groups)}")
    shared = [
        asm.file("CAL_FAC_DARM.gwf", FAC_DARM_BYTES),
        asm.file("CAL_REF_DARM.gwf", REF_DARM_BYTES),
    ]
    # The second pass reads the frames of the first and, being wider, a few more.
    frames = [
        asm.files(f"H{k}_RDS", ".gwf", FRAME_BYTES.draw(streams.size, shape.triggers))
        for k in (1, 2)
    ]
    injection = asm.file("INJECTIONS.xml", INJECTION_BYTES)
    templates = shape.templates
    bank = asm.tasks("TmpltBank", TEMPLATE_S.draw(streams.runtime, templates), TEMPLATE_MEMORY)
    banks = asm.files("TMPLTBANK", ".xml", TEMPLATE_BYTES.draw(streams.size, templates))
    asm.writes(bank, banks)
    for file in [*shared, *(frame[:templates] for frame in frames)]:
        asm.reads(bank, file)

    extra = [*shared, injection]
    member = np.repeat(
        np.arange(shape.groups), shares(shape.triggers, shape.groups, streams.structure, 0.5)
    )
    inputs = [*extra, banks, *(frame[:templates] for frame in frames)]
    first = _inspirals(asm, inputs, templates, "first", streams)
    found = _thincas(asm, first[_windows(member, shape)], member, shape.groups, "first", streams)
    trigger = asm.tasks("TrigBank", TRIGGER_S.draw(streams.runtime, shape.triggers))
    asm.reads(trigger, found[member])
    triggers = asm.files("TRIGBANK", ".xml", TRIGGER_BYTES.draw(streams.size, shape.triggers))
    asm.writes(trigger, triggers)
    inputs = [*extra, triggers, *frames]
    second = _inspirals(asm, inputs, shape.triggers, "second", streams)
    _thincas(asm, second, member, shape.groups, "second", streams)
    return asm.build()


def _windows(member: IntArray, shape: InspiralShape) -> IntArray:
    """Return which first-pass result goes into each place of a group.

    The D places of all groups cover the T results in their order; the D - T places too many are
    overlaps, spread over the boundaries between groups.
    """
    too_many = shape.triggers - shape.templates
    place = np.arange(shape.triggers)
    if shape.groups == 1:
        return np.minimum(place, shape.templates - 1)
    shift = member * too_many // (shape.groups - 1)
    return place - shift


def _inspirals(
    asm: Assembly, inputs: list[IntArray], n: int, stage: str, streams: Streams
) -> IntArray:
    """Add ``n`` tasks ``Inspiral`` and return the files they write."""
    task = asm.tasks("Inspiral", INSPIRAL_S.draw(streams.runtime, n))
    for files in inputs:
        asm.reads(task, files)
    results = asm.files(f"INSPIRAL_{stage}", ".xml", INSPIRAL_BYTES.draw(streams.size, n))
    asm.writes(task, results)
    return results


def _thincas(
    asm: Assembly, inputs: IntArray, member: IntArray, n: int, stage: str, streams: Streams
) -> IntArray:
    """Add one ``Thinca`` a group, reading its members' files, and return what they write."""
    task = asm.tasks("Thinca", THINCA_S.draw(streams.runtime, n))
    asm.reads(task[member], inputs)
    results = asm.files(f"THINCA_{stage}", ".xml", THINCA_BYTES.draw(streams.size, n))
    asm.writes(task, results)
    return results
