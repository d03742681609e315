"""Epigenomics, SIPHT and 1000Genome: workflows of bioinformatics.

Profiles: of Epigenomics and SIPHT the distributions of the workflow generator of Bharathi et al.,
"Characterization of Scientific Workflows", WORKS 2008 (classes ``Genome`` and ``SIPHT`` of
github.com/pegasus-isi/WorkflowGenerator, read November 2026); of 1000Genome the mean and standard
deviation over three executions on Chameleon with 250,000 lines a chromosome (2, 12 and 22
chromosomes; github.com/wfcommons/WfInstances, commit f085867f2f9d, read November 2026).
No peak memory is stated there, so it is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from autoscale.workloads.assembly import (
    Assembly,
    GammaSpread,
    Spread,
    Streams,
    nearest_size,
    shares,
)

if TYPE_CHECKING:
    from autoscale.model.arrays import FloatArray, IntArray
    from autoscale.model.workflow import Workflow

# Epigenomics: rates in bytes per second (of what a task reads, or of the reference genome),
# factors are input size over output size.
LANE_BYTES = Spread(351024865.91, 147899296.0)
REFERENCE_BYTES = 2**32
SPLIT_RATE = Spread(7663927.38, 2375098.5)
FILTER_RATE = Spread(8474776.63, 5002153.3)
SANGER_RATE = Spread(15073990.10, 3556067.5)
SANGER_FACTOR = Spread(1.32, 0.316)
BFQ_RATE = Spread(6797390.86, 1110360.7)
BFQ_FACTOR = Spread(4.24, 0.4)
MAP_RATE = Spread(369551.55, 114234.9)
MAP_FACTOR = 0.92
MERGE_RATE = Spread(2267233.18, 329010.8)
MERGE_FACTOR = 1.06
INDEX_RATE = Spread(17679204.35, 4724463.1)  # of what it writes
INDEX_FACTOR = Spread(64.25, 25.4)
PILEUP_RATE = Spread(881356.45, 94638.5)
CHAINS_PER_LANE = 35

# SIPHT: per program the runtime in seconds, bytes for the next programs, other bytes written.
SIPHT_RUNTIME_S = {
    "Patser": Spread(1.27, 0.332),
    "Patser_concate": Spread(0.08, 0.1),
    "Findterm": Spread(1349.47, 797.0),
    "RNAMotif": Spread(36.42, 8.84),
    "Transterm": Spread(55.78, 48.54),
    "Blast": Spread(2350.58, 1016.8),
    "SRNA": Spread(361.33, 342.71),
    "FFN_Parse": Spread(1.64, 0.245),
    "Blast_candidate": Spread(5.18, 0.995),
    "Blast_QRNA": Spread(1412.09, 98.5),
    "Blast_synteny": Spread(33.0),
    "Blast_paralogues": Spread(4.99, 1.149),
    "SRNA_annotate": Spread(1.68, 0.959),
}
PATSER_BYTES = Spread(91780.15, 248987.0)
SIPHT_OUTPUT_BYTES = {
    "Patser": PATSER_BYTES,
    "Findterm": Spread(35194875.0, 11088500.0),
    "RNAMotif": Spread(1053820.5, 91713.3),
    "Transterm": Spread(440505.5, 460.4),
    "Blast": Spread(5271782.75, 3443485.3),
    "SRNA": Spread(415896.5, 22237.0),
    "FFN_Parse": Spread(802506.75, 134395.9),
    "Blast_candidate": Spread(14937.5, 4682.9),
    "Blast_QRNA": Spread(175489.75, 9527.1),
    "Blast_synteny": Spread(1146801.25, 667524.2),
    "Blast_paralogues": Spread(690731.5, 602251.6),
    "SRNA_annotate": Spread(1254332.0, 993075.0),
}
SIPHT_UNUSED_BYTES = {
    "SRNA": Spread(5707942.0, 1967000.0),
    "Blast_QRNA": Spread(4135974.0, 658600.0),
}
GENOME_BYTES = 5248967.25
PARTNERS_BYTES = 889 * 288565.2 + 1178964
"""Intergenic regions of 842 to 936 partner genomes and the BLAST programs, as one archive."""
SIPHT_INPUT_BYTES = {
    "Patser": 170947.0,
    "Findterm": 591942.0,
    "RNAMotif": 17626.0,
    "Transterm": 374298.0,
    "SRNA": 13106760.0,
    "FFN_Parse": 4531385.0,
    "Blast_candidate": 1351396.0,
    "Blast_synteny": 2598390.0,
    "Blast_paralogues": 1178964.0,
    "SRNA_annotate": 172115.0,
}
PATSERS_PER_GROUP = 18
GROUP_TASKS = 12
"""Tasks of a SIPHT group other than ``Patser``."""

# 1000Genome: runtimes in seconds, sizes in bytes.
INDIVIDUALS_S = GammaSpread(56.877, 5.441)
MERGE_PER_PART_S = GammaSpread(96.203 / 25, 6.708 / 25)
SIFTING_S = GammaSpread(5.043, 3.801)
OVERLAP_S = GammaSpread(8.880, 10.652)
FREQUENCY_S = GammaSpread(114.702, 14.066)
VARIANTS_BYTES = Spread(2.5396e9, 0.23e6)
ANNOTATION_BYTES = GammaSpread(0.893e9, 0.402e9)
COLUMNS_BYTES = 20078
PART_BYTES = Spread(27950.0, 300.0)
MERGED_BYTES = Spread(24700.0, 300.0)
SIFTED_BYTES = GammaSpread(0.9035e6, 0.4274e6)
OVERLAP_BYTES = Spread(148400.0, 9200.0)
FREQUENCY_BYTES = Spread(266200.0, 19600.0)
POPULATIONS = {
    "AFR": 8088,
    "ALL": 28000,
    "AMR": 4248,
    "EAS": 4896,
    "EUR": 5312,
    "GBR": 856,
    "SAS": 5248,
}
PARTS_PER_CHROMOSOME = 25


def epigenomics_shape(n_tasks: int) -> IntArray | None:
    """Return the chains of each lane for exactly ``n_tasks``, or None where there is no shape.

    ``n = 4 C + 4`` with one lane, ``n = 4 C + 2 L + 3`` with more, for C chains in L lanes.
    """
    lanes = max(1, round(n_tasks / (4 * CHAINS_PER_LANE)))
    if n_tasks % 2:
        lanes = max(2, lanes)
        lanes += (n_tasks - 3 - 2 * lanes) % 4 // 2
        chains = (n_tasks - 3 - 2 * lanes) // 4
    elif lanes == 1 and n_tasks % 4 == 0:
        chains = n_tasks // 4 - 1
    else:
        return None
    return shares(chains, lanes) if chains >= lanes else None


def epigenomics(n_tasks: int, rng: np.random.Generator) -> Workflow:
    """Return an Epigenomics workflow of 8 levels, or 9 with several lanes.

    L ``fastqSplit`` -> C chains ``filterContams`` -> ``sol2sanger`` -> ``fastq2bfq`` -> ``map``
    -> L ``mapMerge`` -> (if L > 1) one ``mapMerge`` -> ``maqindex`` -> ``pileup``. L is about
    n / 140, so that a lane has 35 chains. Exactly ``n_tasks`` for 15, odd sizes from 19 on and
    multiples of 4 from 8 to 208; otherwise the nearest of these. Edges: 5 C + 2, and L more if
    L > 1.

    Parameters
    ----------
    n_tasks
        Number of tasks.
    rng
        Source of randomness.
    """
    per_lane = nearest_size(n_tasks, epigenomics_shape)
    streams = Streams.of(rng)
    lanes, chains = per_lane.size, int(per_lane.sum())
    lane = np.repeat(np.arange(lanes), per_lane)
    asm = Assembly(f"epigenomics-{4 * chains + 2 * lanes + 2 + (lanes > 1)}")
    reference = asm.file("reference.bfa", REFERENCE_BYTES)

    lane_bytes = LANE_BYTES.draw(streams.size, lanes)
    split = asm.tasks("fastqSplit", lane_bytes / SPLIT_RATE.draw(streams.runtime, lanes))
    asm.reads(split, asm.files("lane", ".sfq", lane_bytes))
    size = (lane_bytes / per_lane)[lane]
    pieces = asm.files("piece", ".sfq", size)
    asm.writes(split[lane], pieces)
    maps, size = _chains(asm, pieces, size, reference, streams)

    lane_bytes = np.bincount(lane, weights=size, minlength=lanes).astype(np.float64)
    merge = asm.tasks("mapMerge", lane_bytes / MERGE_RATE.draw(streams.runtime, lanes))
    asm.reads(merge[lane], maps)
    merged = asm.files("lane", ".map", lane_bytes / MERGE_FACTOR)
    asm.writes(merge, merged)
    total = float(lane_bytes.sum()) / MERGE_FACTOR
    if lanes > 1:
        last = asm.tasks("mapMerge", total / MERGE_RATE.draw(streams.runtime, 1))
        asm.reads(last, merged)
        total /= MERGE_FACTOR
        merged = asm.file("all.map", total)
        asm.writes(last, merged)
    _pileup(asm, merged, total, reference, streams)
    return asm.build()


def _chains(
    asm: Assembly, files: IntArray, size: FloatArray, reference: IntArray, streams: Streams
) -> tuple[IntArray, FloatArray]:
    """Add the chains and return the files that they end in, with sizes."""
    n = size.size
    clean = size * streams.size.uniform(0.475, 0.525, n)
    sanger = clean / SANGER_FACTOR.draw(streams.size, n)
    bfq = sanger / BFQ_FACTOR.draw(streams.size, n)
    mapped = bfq / MAP_FACTOR
    steps: tuple[tuple[str, FloatArray | float, Spread, str, FloatArray], ...] = (
        ("filterContams", size, FILTER_RATE, ".nocontam.sfq", clean),
        ("sol2sanger", clean, SANGER_RATE, ".fq", sanger),
        ("fastq2bfq", sanger, BFQ_RATE, ".bfq", bfq),
        ("map", float(REFERENCE_BYTES), MAP_RATE, ".map", mapped),
    )
    for category, work, rate, suffix, out_bytes in steps:
        task = asm.tasks(category, work / rate.draw(streams.runtime, n))
        asm.reads(task, files)
        if category == "filterContams":
            asm.writes(task, asm.files("piece", ".contam.sfq", size - clean))
        if category == "map":
            asm.reads(task, reference)
        files = asm.files("piece", suffix, out_bytes)
        asm.writes(task, files)
    return files, mapped


def _pileup(
    asm: Assembly, merged: IntArray, merged_bytes: float, reference: IntArray, streams: Streams
) -> None:
    index_bytes = merged_bytes / float(INDEX_FACTOR.draw(streams.size, 1)[0])
    index = asm.tasks("maqindex", index_bytes / INDEX_RATE.draw(streams.runtime, 1))
    asm.reads(index, merged)
    indexed = asm.file("chr.map", index_bytes)
    asm.writes(index, indexed)
    pileup = asm.tasks("pileup", REFERENCE_BYTES / PILEUP_RATE.draw(streams.runtime, 1))
    asm.reads(pileup, reference)
    asm.reads(pileup, indexed)
    asm.writes(pileup, asm.file("chr.pileup", index_bytes * streams.size.uniform(0, 10)))


def sipht_shape(n_tasks: int) -> IntArray | None:
    """Return the ``Patser`` of each group for exactly ``n_tasks``, or None where none has it."""
    groups = max(1, round(n_tasks / (GROUP_TASKS + PATSERS_PER_GROUP)))
    patsers = n_tasks - GROUP_TASKS * groups
    return shares(patsers, groups) if patsers >= groups else None


def sipht(n_tasks: int, rng: np.random.Generator) -> Workflow:
    """Return a SIPHT workflow of 5 levels: G independent searches for small RNAs.

    Each group has about 18 ``Patser`` -> ``Patser_concate``; ``Findterm``, ``RNAMotif``,
    ``Transterm`` and ``Blast`` -> ``SRNA`` -> ``FFN_Parse`` -> ``Blast_synteny``; ``SRNA`` also
    -> ``Blast_synteny``, ``Blast_candidate``, ``Blast_QRNA`` and ``Blast_paralogues``; and all of
    these but ``FFN_Parse`` -> ``SRNA_annotate``. G is about n / 30. Exactly ``n_tasks`` from 13
    on. Edges: P + 16 G for P ``Patser``.

    The many small files that one program writes, and the 900 that ``Blast`` and ``Blast_QRNA``
    read from elsewhere, are one file each here; the bytes are the same.

    Parameters
    ----------
    n_tasks
        Number of tasks.
    rng
        Source of randomness.
    """
    per_group = nearest_size(n_tasks, sipht_shape)
    streams = Streams.of(rng)
    groups, patsers = per_group.size, int(per_group.sum())
    asm = Assembly(f"sipht-{patsers + GROUP_TASKS * groups}")
    genome = asm.file("genome.fna", GENOME_BYTES)
    partners = asm.file("partners.tar", PARTNERS_BYTES)

    def program(
        category: str, inputs: list[IntArray], n: int = groups
    ) -> tuple[IntArray, IntArray]:
        task = asm.tasks(category, SIPHT_RUNTIME_S[category].draw(streams.runtime, n))
        for files in inputs:
            asm.reads(task, files)
        if category in SIPHT_INPUT_BYTES:
            asm.reads(task, asm.file(f"{category}.in", SIPHT_INPUT_BYTES[category]))
        if category in SIPHT_UNUSED_BYTES:
            rest = SIPHT_UNUSED_BYTES[category].draw(streams.size, n)
            asm.writes(task, asm.files(category, ".log", rest))
        out_bytes = SIPHT_OUTPUT_BYTES[category].draw(streams.size, n)
        results = asm.files(category, ".out", out_bytes)
        asm.writes(task, results)
        return task, results

    _, patser_out = program("Patser", [genome], patsers)
    joined = _join_patsers(asm, patser_out, per_group, streams)
    found = [program(name, [genome])[1] for name in ("Findterm", "RNAMotif", "Transterm")]
    found.append(program("Blast", [partners])[1])
    _, srna = program("SRNA", [genome, *found])
    _, parsed = program("FFN_Parse", [srna])
    annotated = [joined, srna, program("Blast_synteny", [srna, parsed])[1]]
    annotated.append(program("Blast_QRNA", [srna, partners])[1])
    annotated += [program(c, [srna])[1] for c in ("Blast_candidate", "Blast_paralogues")]
    program("SRNA_annotate", annotated)
    return asm.build()


def _join_patsers(
    asm: Assembly, patser_out: IntArray, per_group: IntArray, streams: Streams
) -> IntArray:
    """Add one ``Patser_concate`` a group and return what they write."""
    runtime_s = SIPHT_RUNTIME_S["Patser_concate"].draw(streams.runtime, per_group.size)
    concate = asm.tasks("Patser_concate", runtime_s)
    asm.reads(np.repeat(concate, per_group), patser_out)
    joined = asm.files(
        "Patser_concate", ".out", per_group * np.full(per_group.size, PATSER_BYTES.mean)
    )
    asm.writes(concate, joined)
    return joined


def genome1000_shape(n_tasks: int) -> IntArray | None:
    """Return the parts of each chromosome for exactly ``n_tasks``, or None where none has it."""
    fixed = 2 + 2 * len(POPULATIONS)
    chromosomes = max(1, round(n_tasks / (PARTS_PER_CHROMOSOME + fixed)))
    parts = n_tasks - fixed * chromosomes
    return shares(parts, chromosomes) if parts >= chromosomes else None


def genome1000(n_tasks: int, rng: np.random.Generator) -> Workflow:
    """Return a 1000Genome workflow of 3 levels: C chromosomes, independent of each other.

    Each has about 25 ``individuals`` -> ``individuals_merge``, and a ``sifting``; these two ->
    7 ``mutation_overlap`` and 7 ``frequency``, one for each population. C is about n / 41; large
    workflows have more than the 22 chromosomes of one cohort. Exactly ``n_tasks`` from 17 on.
    Edges: I + 28 C for I ``individuals``.

    Parameters
    ----------
    n_tasks
        Number of tasks.
    rng
        Source of randomness.
    """
    per_chromosome = nearest_size(n_tasks, genome1000_shape)
    streams = Streams.of(rng)
    chromosomes, parts = per_chromosome.size, int(per_chromosome.sum())
    asm = Assembly(f"1000genome-{parts + (2 + 2 * len(POPULATIONS)) * chromosomes}")
    columns = asm.file("columns.txt", COLUMNS_BYTES)
    chromosome = np.repeat(np.arange(chromosomes), per_chromosome)

    part = asm.tasks("individuals", INDIVIDUALS_S.draw(streams.runtime, parts))
    variants = asm.files("chr", ".vcf", VARIANTS_BYTES.draw(streams.size, chromosomes))
    asm.reads(part, variants[chromosome])
    asm.reads(part, columns)
    part_files = asm.files("part", ".tar.gz", PART_BYTES.draw(streams.size, parts))
    asm.writes(part, part_files)
    merge = asm.tasks(
        "individuals_merge", per_chromosome * MERGE_PER_PART_S.draw(streams.runtime, chromosomes)
    )
    asm.reads(merge[chromosome], part_files)
    merged = asm.files("chr", "n.tar.gz", MERGED_BYTES.draw(streams.size, chromosomes))
    asm.writes(merge, merged)

    sift = asm.tasks("sifting", SIFTING_S.draw(streams.runtime, chromosomes))
    notes = asm.files("annotation", ".vcf", ANNOTATION_BYTES.draw(streams.size, chromosomes))
    asm.reads(sift, notes)
    sifted = asm.files("sifted", ".txt", SIFTED_BYTES.draw(streams.size, chromosomes))
    asm.writes(sift, sifted)

    _populations(asm, merged, sifted, columns, streams)
    return asm.build()


def _populations(
    asm: Assembly, merged: IntArray, sifted: IntArray, columns: IntArray, streams: Streams
) -> None:
    populations = [asm.file(name, size) for name, size in POPULATIONS.items()]
    who = np.tile(np.concatenate(populations), merged.size)
    where = np.repeat(np.arange(merged.size), len(populations))
    for category, runtime_s, out_bytes in (
        ("mutation_overlap", OVERLAP_S, OVERLAP_BYTES),
        ("frequency", FREQUENCY_S, FREQUENCY_BYTES),
    ):
        task = asm.tasks(category, runtime_s.draw(streams.runtime, where.size))
        for files in (merged[where], sifted[where], who, columns):
            asm.reads(task, files)
        asm.writes(task, asm.files(category, ".tar.gz", out_bytes.draw(streams.size, where.size)))
