"""Closed forms of levels, widths and edges of each family, and how they scale."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from autoscale.workloads import generate

SIZES = [25, 47, 97, 100, 211, 500, 1000, 5000, 20001]


def counts(workflow):
    return Counter(workflow.categories[c] for c in workflow.category.tolist())


def level_widths(workflow):
    """Count tasks by level and category."""
    names = (workflow.categories[c] for c in workflow.category.tolist())
    return dict(Counter(zip(workflow.level.tolist(), names, strict=True)))


def parent_categories(workflow, category):
    """Sorted categories of the parents of each task of a category."""
    code = workflow.categories.index(category)
    tasks = np.flatnonzero(workflow.category == code)
    return [
        sorted(workflow.categories[c] for c in workflow.category[workflow.parents_of(i)])
        for i in tasks
    ]


@pytest.mark.parametrize("n", SIZES)
def test_montage(n):
    workflow = generate("montage", n, seed=n)
    have = counts(workflow)
    images, diffs = have["mProjectPP"], have["mDiffFit"]
    assert len(workflow) == n == 2 * images + diffs + 6
    assert images - 1 <= diffs <= images * (images - 1) // 2
    assert level_widths(workflow) == {
        (0, "mProjectPP"): images,
        (1, "mDiffFit"): diffs,
        (2, "mConcatFit"): 1,
        (3, "mBgModel"): 1,
        (4, "mBackground"): images,
        (5, "mImgTbl"): 1,
        (6, "mAdd"): 1,
        (7, "mShrink"): 1,
        (8, "mJPEG"): 1,
    }
    assert workflow.n_edges == 3 * diffs + 3 * images + 4
    assert set(map(tuple, parent_categories(workflow, "mDiffFit"))) == {("mProjectPP",) * 2}
    assert set(map(tuple, parent_categories(workflow, "mBackground"))) == {
        ("mBgModel", "mProjectPP")
    }
    pairs = [tuple(workflow.parents_of(i)) for i in np.flatnonzero(workflow.level == 1)]
    assert len(set(pairs)) == diffs, "no two differences of one pair"
    # All images belong to one mosaic: union-find over the pairs leaves one component.
    root = list(range(images))

    def find(i):
        while root[i] != i:
            i = root[i]
        return i

    for a, b in pairs:
        root[find(int(a))] = find(int(b))
    assert len({find(i) for i in range(images)}) == 1
    if n >= 500:
        assert images / n == pytest.approx(1 / 6, rel=0.02)


@pytest.mark.parametrize("n", SIZES)
def test_cybershake(n):
    workflow = generate("cybershake", n, seed=n)
    have = counts(workflow)
    extracts, seismograms = have["ExtractSGT"], have["SeismogramSynthesis"]
    assert len(workflow) == n == extracts + 2 * seismograms + 2
    assert level_widths(workflow) == {
        (0, "ExtractSGT"): extracts,
        (1, "SeismogramSynthesis"): seismograms,
        (2, "PeakValCalcOkaya"): seismograms,
        (2, "ZipSeis"): 1,
        (3, "ZipPSA"): 1,
    }
    assert workflow.n_edges == 4 * seismograms
    fan_out = np.diff(workflow.child_ptr)[:extracts]
    mean = seismograms / extracts
    assert (abs(fan_out - mean) <= 0.25 * mean + 1).all()
    if n >= 1000:
        assert extracts / n == pytest.approx(0.0081, abs=0.0011)


@pytest.mark.parametrize("n", SIZES)
def test_epigenomics(n):
    workflow = generate("epigenomics", n, seed=n)
    have = counts(workflow)
    lanes, chains = have["fastqSplit"], have["map"]
    several = lanes > 1
    assert len(workflow) == 4 * chains + 2 * lanes + 2 + several
    assert abs(len(workflow) - n) <= 1
    widths = {
        (0, "fastqSplit"): lanes,
        (1, "filterContams"): chains,
        (2, "sol2sanger"): chains,
        (3, "fastq2bfq"): chains,
        (4, "map"): chains,
        (5, "mapMerge"): lanes,
        (6 + several, "maqindex"): 1,
        (7 + several, "pileup"): 1,
    }
    if several:
        widths[6, "mapMerge"] = 1
    assert level_widths(workflow) == widths
    assert workflow.n_edges == 5 * chains + 2 + lanes * several
    if n >= 500:
        assert chains / lanes == pytest.approx(35, rel=0.3)
    per_lane = np.diff(workflow.child_ptr)[:lanes]
    assert per_lane.max() - per_lane.min() <= 1


@pytest.mark.parametrize("n", SIZES)
def test_inspiral(n):
    workflow = generate("inspiral", n, seed=n)
    have = counts(workflow)
    banks, triggers, groups = have["TmpltBank"], have["TrigBank"], have["Thinca"] // 2
    assert len(workflow) == n - n % 2 == 2 * (banks + triggers + groups)
    assert level_widths(workflow) == {
        (0, "TmpltBank"): banks,
        (1, "Inspiral"): banks,
        (2, "Thinca"): groups,
        (3, "TrigBank"): triggers,
        (4, "Inspiral"): triggers,
        (5, "Thinca"): groups,
    }
    joined = triggers if groups > 1 else banks
    assert workflow.n_edges == banks + joined + 3 * triggers
    assert banks <= triggers
    # Every first-pass result is joined somewhere, at most by two groups.
    joins = np.diff(workflow.child_ptr)[workflow.level == 1]
    assert joins.min() == 1
    assert joins.max() <= 2
    if n >= 500:
        assert groups / n == pytest.approx(1 / 50, rel=0.05)


@pytest.mark.parametrize("n", SIZES)
def test_sipht(n):
    workflow = generate("sipht", n, seed=n)
    have = counts(workflow)
    groups, patsers = have["SRNA"], have["Patser"]
    assert len(workflow) == n == 12 * groups + patsers
    assert workflow.n_edges == patsers + 16 * groups
    lone = {
        0: ["Findterm", "RNAMotif", "Transterm", "Blast"],
        1: ["Patser_concate", "SRNA"],
        2: ["FFN_Parse", "Blast_candidate", "Blast_QRNA", "Blast_paralogues"],
        3: ["Blast_synteny"],
        4: ["SRNA_annotate"],
    }
    widths = {(level, name): groups for level, names in lone.items() for name in names}
    assert level_widths(workflow) == {**widths, (0, "Patser"): patsers}
    assert parent_categories(workflow, "SRNA_annotate")[0] == sorted(
        [
            "Patser_concate",
            "SRNA",
            "Blast_candidate",
            "Blast_QRNA",
            "Blast_synteny",
            "Blast_paralogues",
        ]
    )
    assert parent_categories(workflow, "SRNA")[-1] == [
        "Blast",
        "Findterm",
        "RNAMotif",
        "Transterm",
    ]
    # Groups share nothing: as many connected components as groups.
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    child = np.repeat(np.arange(n), np.diff(workflow.parent_ptr))
    graph = coo_matrix((np.ones(child.size), (workflow.parents, child)), shape=(n, n))
    assert connected_components(graph, directed=False)[0] == groups


@pytest.mark.parametrize("n", SIZES)
def test_1000genome(n):
    workflow = generate("1000genome", n, seed=n)
    have = counts(workflow)
    chromosomes, parts = have["sifting"], have["individuals"]
    assert len(workflow) == n == 16 * chromosomes + parts
    assert level_widths(workflow) == {
        (0, "individuals"): parts,
        (0, "sifting"): chromosomes,
        (1, "individuals_merge"): chromosomes,
        (2, "mutation_overlap"): 7 * chromosomes,
        (2, "frequency"): 7 * chromosomes,
    }
    assert workflow.n_edges == parts + 28 * chromosomes
    for category in ("mutation_overlap", "frequency"):
        assert set(map(tuple, parent_categories(workflow, category))) == {
            ("individuals_merge", "sifting")
        }
    if n >= 500:
        assert parts / chromosomes == pytest.approx(25, rel=0.1)


@pytest.mark.parametrize(("n", "levels"), [(1, 1), (40, 40), (1000, 10), (3000, 1), (5000, None)])
def test_random_layers(n, levels):
    workflow = generate("random", n, seed=n, levels=levels, fan_in=3.0)
    depth = levels or round(n**0.5)
    assert workflow.n_levels == depth
    assert np.bincount(workflow.level, minlength=depth).min() >= 1
    n_parents = np.diff(workflow.parent_ptr)
    assert ((n_parents == 0) == (workflow.level == 0)).all()
    child_level = np.repeat(workflow.level, n_parents)
    assert (workflow.level[workflow.parents] == child_level - 1).all(), "parents one level up"


def test_random_layers_have_the_fan_in_asked_for():
    """With wide layers few draws coincide, so the mean number of parents is nearly fan_in."""
    workflow = generate("random", 20000, seed=3, levels=4, fan_in=3.0, width_cv=0)
    n_parents = np.diff(workflow.parent_ptr)[workflow.level > 0]
    standard_error = np.sqrt(2.0 / n_parents.size)  # variance of 1 + Poisson(2)
    assert n_parents.mean() == pytest.approx(3.0, abs=5 * standard_error + 0.005)


def test_random_widths_vary_as_asked():
    flat = np.bincount(generate("random", 50000, seed=1, levels=50, width_cv=0).level)
    wild = np.bincount(generate("random", 50000, seed=1, levels=50, width_cv=1.0).level)
    assert flat.std() / flat.mean() < 0.1
    assert wild.std() / wild.mean() == pytest.approx(1.0, abs=0.35)


@pytest.mark.parametrize(("n", "stages"), [(3, 1), (8, 2), (100, 9), (101, 50), (5000, None)])
def test_fork_join(n, stages):
    workflow = generate("fork-join", n, seed=n, stages=stages)
    depth = stages or round(n**0.5 / 3)
    work = n - 1 - depth
    assert len(workflow) == n
    assert workflow.n_levels == 2 * depth + 1
    assert workflow.n_edges == 2 * work
    widths = np.bincount(workflow.level)
    assert (widths[::2] == 1).all(), "forks and joins stand alone"
    assert widths[1::2].sum() == work
    assert widths[1::2].max() - widths[1::2].min() <= 1


@pytest.mark.parametrize("n", [1, 2, 500])
def test_chain(n):
    workflow = generate("chain", n, seed=n)
    assert workflow.n_levels == n
    assert workflow.n_edges == n - 1
    assert (np.diff(workflow.parent_ptr) <= 1).all()
    assert (np.diff(workflow.child_ptr) <= 1).all()


def test_plain_shapes_take_the_runtimes_asked_for():
    options = {"runtime_mean_s": 20.0, "runtime_cv": 0.4, "file_mean_bytes": 5e6}
    workflow = generate("chain", 20000, seed=2, **options)
    assert workflow.runtime_s.mean() == pytest.approx(20.0, abs=5 * 8 / 20000**0.5)
    assert workflow.runtime_s.std() == pytest.approx(8.0, rel=0.05)
    assert workflow.out_bytes.mean() == pytest.approx(5e6, rel=0.02)
    same = generate("fork-join", 50, seed=2, runtime_mean_s=7.5, runtime_cv=0)
    assert (same.runtime_s == 7.5).all()


def test_a_change_of_files_leaves_runtimes_and_edges():
    one = generate("random", 500, seed=9)
    two = generate("random", 500, seed=9, file_mean_bytes=1e3)
    assert np.array_equal(one.runtime_s, two.runtime_s)
    assert np.array_equal(one.parents, two.parents)
    assert not np.array_equal(one.files.size_bytes, two.files.size_bytes)
