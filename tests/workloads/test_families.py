"""What holds for every family: sizes, acyclicity, files, seeds, errors."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscale.errors import InputError
from autoscale.workloads import FAMILIES, generate

ROOT = Path(__file__).resolve().parents[2]

# The sizes that the docstrings promise.
VALID = {
    "montage": lambda n: n in (11, 14, 15) or n >= 17,
    "cybershake": lambda n: n == 5 or n >= 7,
    "epigenomics": lambda n: n == 15 or (n >= 19 and n % 2 == 1) or (8 <= n <= 208 and n % 4 == 0),
    "inspiral": lambda n: n >= 6 and n % 2 == 0,
    "sipht": lambda n: n >= 13,
    "1000genome": lambda n: n >= 17,
    "random": lambda n: n >= 1,
    "fork-join": lambda n: n >= 3,
    "chain": lambda n: n >= 1,
}


def nearest_valid(family, n):
    """Search outwards from n; of two equally near sizes the smaller."""
    valid = VALID[family]
    return next(m for d in range(n + 30) for m in (n - d, n + d) if m >= 1 and valid(m))


def edge_set(workflow):
    child = np.repeat(np.arange(len(workflow)), np.diff(workflow.parent_ptr))
    return set(zip(workflow.parents.tolist(), child.tolist(), strict=True))


def file_edges(workflow):
    """Edges from the writer of each file to its readers, and the files with several writers."""
    table = workflow.files
    reader = np.repeat(np.arange(len(workflow)), np.diff(table.input_ptr)).tolist()
    writer = np.repeat(np.arange(len(workflow)), np.diff(table.output_ptr)).tolist()
    written = dict(zip(table.outputs.tolist(), writer, strict=True))
    pairs = zip(reader, table.inputs.tolist(), strict=True)
    edges = {(written[file], task) for task, file in pairs if file in written}
    return edges, len(writer) - len(written)


def digest(workflow):
    texts = ["\n".join(column.tolist()) for column in (workflow.ids, workflow.files.names)]
    columns = (
        workflow.runtime_s,
        workflow.parents,
        workflow.parent_ptr,
        workflow.category,
        workflow.memory_bytes,
        workflow.files.size_bytes,
        workflow.files.inputs,
        workflow.files.outputs,
    )
    parts = [text.encode() for text in texts] + [column.tobytes() for column in columns]
    return hashlib.sha256(b"|".join(parts)).hexdigest()


def test_every_family_is_tested():
    assert set(VALID) == set(FAMILIES)
    assert all(f.summary and "\n" not in f.summary for f in FAMILIES.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_small_sizes_are_the_nearest_valid_ones(family):
    for n in range(1, 260):
        assert len(generate(family, n, seed=n)) == nearest_valid(family, n), n


@pytest.mark.parametrize("family", FAMILIES)
def test_smallest_is_what_a_single_task_request_gives(family):
    assert len(generate(family, 1)) == FAMILIES[family].smallest


@settings(max_examples=60, deadline=None)
@given(
    family=st.sampled_from(sorted(FAMILIES)),
    n=st.integers(1, 4000),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_workflow_is_consistent(family, n, seed):
    workflow = generate(family, n, seed=seed)
    assert len(workflow) == nearest_valid(family, n)
    edges = edge_set(workflow)
    assert all(workflow.level[p] < workflow.level[c] for p, c in edges), "a DAG by levels"
    from_files, written_twice = file_edges(workflow)
    assert from_files == edges, "files flow along the edges and nowhere else"
    assert written_twice == 0
    assert len(set(workflow.files.names.tolist())) == len(workflow.files)
    assert (workflow.files.size_bytes >= 1).all()
    assert (workflow.runtime_s >= 0.001).all()
    assert np.array_equal(workflow.runtime_s, np.round(workflow.runtime_s, 3))
    assert (workflow.vcpus == 1).all()
    for i, category in zip(workflow.ids.tolist(), workflow.category.tolist(), strict=True):
        stem, _, number = i.rpartition("_")
        assert stem == workflow.categories[category]
        assert len(number) == 7
        assert number.isdigit()


@settings(max_examples=30, deadline=None)
@given(
    family=st.sampled_from(sorted(FAMILIES)),
    n=st.integers(30, 1500),
    seed=st.integers(0, 2**32 - 2),
)
def test_the_seed_decides_everything(family, n, seed):
    first = generate(family, n, seed=seed)
    assert digest(first) == digest(generate(family, n, seed=seed))
    assert digest(first) == digest(generate(family, n, seed=np.random.default_rng(seed)))
    other = generate(family, n, seed=seed + 1)
    assert not np.array_equal(first.runtime_s, other.runtime_s)
    assert not np.array_equal(first.files.size_bytes, other.files.size_bytes)


def test_a_generator_is_advanced():
    rng = np.random.default_rng(5)
    assert digest(generate("sipht", 60, seed=rng)) != digest(generate("sipht", 60, seed=rng))


def test_same_bytes_whatever_the_hash_seed():
    code = (
        "from autoscale.workloads import FAMILIES, generate\n"
        "import hashlib\n"
        "out = hashlib.sha256()\n"
        "for name in FAMILIES:\n"
        "    w = generate(name, 300, seed=7)\n"
        "    out.update(repr((w.ids.tolist(), w.runtime_s.tolist(), w.parents.tolist(),\n"
        "        w.files.names.tolist(), w.files.size_bytes.tolist())).encode())\n"
        "print(out.hexdigest())\n"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "4242")
    }
    assert len(seen) == 1


def test_a_million_tasks_stay_under_two_gigabytes():
    resource = pytest.importorskip("resource")
    unit = 1 if sys.platform == "darwin" else 1024
    code = (
        "import resource\n"
        "from autoscale.workloads import generate\n"
        "w = generate('montage', 1_000_000, seed=1)\n"
        "print(len(w), w.n_edges, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    assert resource
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    n_tasks, n_edges, peak = map(int, done.stdout.split())
    assert (n_tasks, n_edges) == (1_000_000, 3 * 666_662 + 3 * 166_666 + 4)
    assert peak * unit < 2e9


@pytest.mark.parametrize(
    ("args", "options", "says"),
    [
        (("montaje", 10), {}, "did you mean 'montage'"),
        (("montage", 0), {}, "from 1 to 10,000,000, got 0"),
        (("montage", 10**12), {}, "from 1 to 10,000,000"),
        (("montage", 2.5), {}, "got 2.5"),
        (("montage", True), {}, "got True"),
        (("montage", 20), {"seed": -1}, "seed: expected a whole number >= 0, got -1"),
        (("montage", 20), {"seed": "x"}, "seed: expected a whole number >= 0, got 'x'"),
        (("montage", 20), {"levels": 3}, "'montage' has no option 'levels'; its options: none"),
        (("random", 20), {"level": 3}, "did you mean 'levels'"),
        (("random", 20), {"levels": 21}, "option 'levels'"),
        (("random", 20), {"levels": 2.5}, "option 'levels'"),
        (("random", 20), {"fan_in": 0.5}, "option 'fan_in'"),
        (("random", 20), {"width_cv": float("nan")}, "option 'width_cv'"),
        (("chain", 20), {"runtime_mean_s": 0}, "option 'runtime_mean_s'"),
        (("chain", 20), {"runtime_cv": float("nan")}, "option 'runtime_cv'"),
        (("chain", 20), {"file_mean_bytes": "big"}, "option 'file_mean_bytes'"),
        (("fork-join", 20), {"stages": 10}, "from 1 to 9, got 10"),
    ],
)
def test_bad_requests_say_what_is_wrong(args, options, says):
    with pytest.raises(InputError) as caught:
        generate(*args, **options)
    assert says in str(caught.value)
