"""Runtimes and file sizes follow the published profiles.

The figures here were read from the sources a second time, not from the generators' tables:
Bharathi et al. (WORKS 2008) in the distributions of their generator, and WfInstances.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from autoscale.workloads import generate
from autoscale.workloads.assembly import GammaSpread, Spread, nearest_size, shares

# family, category, published mean runtime in seconds
RUNTIMES = [
    ("montage", "mProjectPP", 13.59),
    ("montage", "mDiffFit", 10.59),
    ("montage", "mBackground", 10.74),
    ("cybershake", "ExtractSGT", 137.45),
    ("cybershake", "SeismogramSynthesis", 43.40),
    ("cybershake", "PeakValCalcOkaya", 1.09),
    ("inspiral", "TmpltBank", 18.14),
    ("inspiral", "Inspiral", 460.21),
    ("inspiral", "Thinca", 5.37),
    ("inspiral", "TrigBank", 5.11),
    ("sipht", "Findterm", 1349.47),
    ("sipht", "Transterm", 55.78),
    ("sipht", "RNAMotif", 36.42),
    ("sipht", "Blast", 2350.58),
    ("sipht", "FFN_Parse", 1.64),
    ("sipht", "SRNA", 361.33),
    ("sipht", "Blast_paralogues", 4.99),
    ("sipht", "Blast_candidate", 5.18),
    ("sipht", "Blast_QRNA", 1412.09),
    ("sipht", "Patser", 1.27),
    ("sipht", "Patser_concate", 0.08),
    ("sipht", "SRNA_annotate", 1.68),
    ("sipht", "Blast_synteny", 33.0),
    ("1000genome", "individuals", 56.877),
    ("1000genome", "sifting", 5.043),
    ("1000genome", "mutation_overlap", 8.880),
    ("1000genome", "frequency", 114.702),
]


@pytest.fixture(scope="module")
def large():
    """One large workflow of each family."""
    names = ("montage", "cybershake", "epigenomics", "inspiral", "sipht", "1000genome")
    return {name: generate(name, 60_000, seed=11) for name in names}


def of(workflow, category):
    return workflow.category == workflow.categories.index(category)


@pytest.mark.parametrize(("family", "category", "mean_s"), RUNTIMES)
def test_mean_runtime_is_the_published_one(large, family, category, mean_s):
    sample = large[family].runtime_s[of(large[family], category)]
    assert sample.size >= 400
    standard_error = sample.std() / np.sqrt(sample.size)
    assert sample.mean() == pytest.approx(mean_s, abs=5 * standard_error + 5e-4)


def test_montage_bytes(large):
    workflow = large["montage"]
    one = 4162432.0  # a projected image; it and its area file are equally large
    images, diffs = int(of(workflow, "mProjectPP").sum()), int(of(workflow, "mDiffFit").sum())
    assert workflow.in_bytes[of(workflow, "mProjectPP")] == pytest.approx(4222080 + 304)
    assert workflow.out_bytes[of(workflow, "mProjectPP")].mean() == pytest.approx(2 * one, rel=1e-3)
    assert workflow.in_bytes[of(workflow, "mDiffFit")].mean() == pytest.approx(4 * one, rel=1e-3)
    mean = workflow.out_bytes[of(workflow, "mDiffFit")].mean()
    assert mean == pytest.approx(284097.2 + 273.74, rel=0.01)
    assert workflow.out_bytes[of(workflow, "mConcatFit")] == pytest.approx(
        209.953 * diffs, rel=1e-6
    )
    assert workflow.out_bytes[of(workflow, "mBgModel")] == pytest.approx(53.1778 * images, rel=1e-5)
    degree = np.sqrt(images / 50)
    assert workflow.out_bytes[of(workflow, "mAdd")] == pytest.approx(
        2 * 173465280 * degree, rel=0.1 + 1e-9
    )
    assert workflow.runtime_s[of(workflow, "mAdd")] == pytest.approx(30.11 * degree**2, rel=0.05)
    assert workflow.runtime_s[of(workflow, "mConcatFit")] == pytest.approx(0.08 * diffs, rel=1e-6)
    shrink = float(workflow.in_bytes[of(workflow, "mShrink")][0])
    assert workflow.out_bytes[of(workflow, "mShrink")] == pytest.approx(
        shrink / 2 / 24.99, rel=1e-6
    )


def test_epigenomics_rates(large):
    workflow = large["epigenomics"]
    reference = 2**32

    def seconds_per_byte(mean, sd):
        """Mean of 1 / rate for a normal rate cut at half its mean either side."""
        cut = stats.truncnorm(-0.5 * mean / sd, 0.5 * mean / sd, loc=mean, scale=sd)
        return cut.expect(lambda rate: 1 / rate)

    for category, mean, sd in (
        ("fastqSplit", 7663927.38, 5641093085489.23**0.5),
        ("filterContams", 8474776.63, 25021537629225.05**0.5),
        ("sol2sanger", 15073990.10, 12645616180851.43**0.5),
        ("fastq2bfq", 6797390.86, 1232900899482.26**0.5),
    ):
        tasks = of(workflow, category)
        ratio = workflow.runtime_s[tasks] / workflow.in_bytes[tasks]
        expected = seconds_per_byte(mean, sd)
        error = ratio.std() / np.sqrt(ratio.size)
        assert ratio.mean() == pytest.approx(expected, abs=5 * error + 0.001 * expected), category
    tasks = of(workflow, "map")
    expected = seconds_per_byte(369551.55, 13049619575.46**0.5) * reference
    error = workflow.runtime_s[tasks].std() / np.sqrt(tasks.sum())
    assert workflow.runtime_s[tasks].mean() == pytest.approx(expected, abs=5 * error)
    assert (workflow.in_bytes[tasks] > reference).all()
    split = of(workflow, "fastqSplit")
    assert workflow.in_bytes[split].mean() == pytest.approx(351024865.91, rel=0.05)
    # Splitting and filtering keep every byte.
    assert workflow.out_bytes[split] == pytest.approx(workflow.in_bytes[split], rel=1e-5)
    filters = of(workflow, "filterContams")
    assert workflow.out_bytes[filters] == pytest.approx(workflow.in_bytes[filters], rel=1e-5)


def test_merging_takes_time_for_each_part(large):
    workflow = large["1000genome"]
    merge = of(workflow, "individuals_merge")
    parts = np.diff(workflow.parent_ptr)[merge]
    ratio = workflow.runtime_s[merge] / parts
    assert ratio.mean() == pytest.approx(96.203 / 25, rel=0.01)
    assert ratio.std() == pytest.approx(6.708 / 25, rel=0.1)


def test_1000genome_spread_is_kept_even_where_it_exceeds_the_mean(large):
    workflow = large["1000genome"]
    sample = workflow.runtime_s[of(workflow, "mutation_overlap")]
    assert sample.std() == pytest.approx(10.652, rel=0.05)


def test_cybershake_bytes_and_memory(large):
    workflow = large["cybershake"]
    synthesis = of(workflow, "SeismogramSynthesis")
    expected = 2 * 231720131.58 + 3708598.53
    assert workflow.in_bytes[synthesis].mean() == pytest.approx(expected, rel=0.05)
    assert workflow.out_bytes[synthesis] == pytest.approx(24000)
    extract = of(workflow, "ExtractSGT")
    assert workflow.in_bytes[extract].mean() == pytest.approx(2 * 19958666972.0, rel=0.01)
    assert set(workflow.memory_bytes[extract].tolist()) == {20_640_000}
    assert set(workflow.memory_bytes[synthesis].tolist()) == {0}


def test_inspiral_bytes(large):
    workflow = large["inspiral"]
    shared = 8415922 + 902334
    frames = 2 * 15595958.08
    bank = of(workflow, "TmpltBank")
    assert workflow.in_bytes[bank].mean() == pytest.approx(shared + frames, rel=1e-3)
    first = of(workflow, "Inspiral") & (workflow.level == 1)
    second = of(workflow, "Inspiral") & (workflow.level == 4)
    common = shared + frames + 2421423
    assert workflow.in_bytes[first].mean() == pytest.approx(common + 986917.26, rel=1e-3)
    assert workflow.in_bytes[second].mean() == pytest.approx(common + 12779.67, rel=1e-3)
    # The second pass reads the very frames of the first.
    names = workflow.files.names
    one, two = np.flatnonzero(bank)[0], np.flatnonzero(second)[0]
    table = workflow.files

    def frames_of(task):
        used = table.inputs[table.input_ptr[task] : table.input_ptr[task + 1]]
        return {name for name in names[used].tolist() if "RDS" in name}

    assert frames_of(one) == frames_of(two)
    assert len(frames_of(one)) == 2


@pytest.mark.parametrize(("mean", "sd"), [(10.0, 0.1), (10.0, 3.0), (460.21, 545.34)])
def test_spread_is_the_cut_normal_distribution(mean, sd):
    sample = Spread(mean, sd).draw(np.random.default_rng(1), 20_000)
    cut = stats.truncnorm(-0.5 * mean / sd, 0.5 * mean / sd, loc=mean, scale=sd)
    assert stats.kstest(sample, cut.cdf).pvalue > 1e-3


def test_gamma_spread_has_the_mean_and_deviation_asked_for():
    sample = GammaSpread(8.88, 10.652).draw(np.random.default_rng(1), 20_000)
    shape = (8.88 / 10.652) ** 2
    assert stats.kstest(sample, stats.gamma(shape, scale=8.88 / shape).cdf).pvalue > 1e-3


def test_no_deviation_is_a_constant():
    rng = np.random.default_rng(1)
    for kind in (Spread, GammaSpread):
        assert (kind(3.5).draw(rng, 4) == 3.5).all()


def test_shares_are_whole_positive_and_even_to_within_the_tolerance():
    rng = np.random.default_rng(4)
    for total, n in ((5, 5), (6, 5), (17, 4), (1000, 7), (10_000, 99)):
        even = shares(total, n)
        assert even.sum() == total
        assert even.max() - even.min() <= 1
        uneven = shares(total, n, rng, 0.5)
        assert uneven.sum() == total
        assert uneven.min() >= 1
        assert abs(uneven - total / n).max() <= 0.5 * total / n + 1
    assert shares(10_000, 99, rng, 0.5).std() > 5


def test_nearest_size_prefers_the_smaller_of_two():
    assert nearest_size(10, lambda n: n if n in (9, 11) else None) == 9
    assert nearest_size(10, lambda n: n if n in (8, 11) else None) == 11
    assert nearest_size(1, lambda n: n if n > 15 else None) == 16
    with pytest.raises(AssertionError, match="no valid size"):
        nearest_size(1, lambda _: None, reach=3)
