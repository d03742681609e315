"""plan.json: what ``autoscale plan`` writes, and the same plan as a folder of Parquet files.

The format is columnar: a million tasks stay readable by ``json.load`` and pandas. A plan carries
every figure that it relied on, so that it can be checked with its workflow alone. The bytes
follow from the problem and the seed, but for ``provenance.planning_seconds``, which is measured.
"""

from __future__ import annotations

import gzip
import math
import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoscale.errors import InputError
from autoscale.formats.files import PathLike, atomic_write, read_bytes
from autoscale.formats.plan_decoding import plan_from_document
from autoscale.version import __version__

if TYPE_CHECKING:
    from autoscale.model.catalog import InstanceType
    from autoscale.model.problem import Problem
    from autoscale.model.workflow import Workflow
    from autoscale.plan.plan import Plan

SCHEMA = "autoscale-plan/1"
"""Value of the key ``schema``."""

FOLDER_FILES = ("plan.json", "leases.parquet", "assignments.parquet")
"""What a plan written as a folder consists of."""


def is_folder_path(path: PathLike) -> bool:
    """Return whether a plan written to ``path`` becomes a folder of Parquet files."""
    text = os.fspath(path)
    return text.endswith(("/", os.sep, ".parquet"))


def write_plan(plan: Plan, path: PathLike) -> None:
    """Write a plan, whole or not at all.

    Parameters
    ----------
    plan
        The plan.
    path
        A file (gzip where it ends in ``.gz``), or, where it ends in ``/`` or ``.parquet``, a
        folder that will hold ``plan.json``, ``leases.parquet`` and ``assignments.parquet``.

    Raises
    ------
    InputError
        The path cannot be written, or the format cannot hold the plan.
    """
    document = plan_document(plan)
    if is_folder_path(path):
        _write_folder(document, path)
        return
    data = _encoded(document)
    with atomic_write(path) as out:
        out.write(gzip.compress(data, mtime=0) if os.fspath(path).endswith(".gz") else data)


def read_plan(path: PathLike, workflow: Workflow) -> Plan:
    """Return the plan in a file or folder that :func:`write_plan` made.

    Its problem is rebuilt from the figures in the plan: the catalogue has the types that the
    plan leases.

    Parameters
    ----------
    path
        The file or folder.
    workflow
        The workflow that was planned.

    Raises
    ------
    InputError
        Wrong schema, missing or mistyped keys, columns of unequal length, tasks that are
        unknown, missing or planned twice, figures out of range, or totals that do not follow
        from the columns; the message names file, key and row.
    """
    return plan_from_document(read_plan_document(path), workflow, os.fspath(path))


def read_plan_document(path: PathLike) -> dict[str, Any]:
    """Return a plan file as plain data; only its being a plan of this schema is checked.

    Raises
    ------
    InputError
        The file cannot be read, is not JSON, or is not a plan.
    """
    import msgspec

    where = Path(path)
    folder = where.is_dir()
    if folder and not (where / FOLDER_FILES[0]).is_file():
        raise InputError(f"{path}: the folder has no {FOLDER_FILES[0]}, so it is not a plan")
    source = where / FOLDER_FILES[0] if folder else where
    try:
        document = msgspec.json.decode(read_bytes(source))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{source}: not valid JSON: {error}") from None
    if not isinstance(document, dict) or "schema" not in document:
        raise InputError(f"{source}: key 'schema': expected {SCHEMA!r}, but there is none")
    if document["schema"] != SCHEMA:
        raise InputError(
            f"{source}: key 'schema': expected {SCHEMA!r}, got {document['schema']!r}; "
            "the file is not a plan, or one of another version"
        )
    if folder:
        for name in ("leases", "assignments"):
            document[name] = _read_table(where / f"{name}.parquet")
    return document


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return the plan as plain data, in the layout of plan.json.

    Raises
    ------
    InputError
        The problem gives durations outright, for which the format has no place.
    """
    problem, w = plan.problem, plan.problem.workflow
    if problem.durations_s is not None:
        raise InputError(
            f"plan of {w.name!r}: its problem gives durations as a matrix, which plan.json "
            "cannot hold"
        )
    names = _type_names(plan)
    return {
        "schema": SCHEMA,
        "workflow": {"name": w.name, "path": w.path, "tasks": len(w)},
        "goal": {"deadline_seconds": problem.deadline_s, "budget_usd": problem.budget_usd},
        **_limits(problem),
        "execution_model": {
            "boot_seconds": problem.boot_s,
            "billing": {
                "quantum_seconds": problem.billing.quantum_s,
                "minimum_seconds": problem.billing.minimum_s,
            },
            "transfers": problem.transfers,
            "storage_bandwidth_bytes_per_second": _finite_or_none(problem.storage_bandwidth),
            "reference_speed": 1.0,
        },
        "instance_types": {
            name: _type_figures(problem.catalog[index]) for index, name in names.items()
        },
        "leases": {
            "instance_type": [names[k] for k in plan.lease_type.tolist()],
            "start": plan.lease_start_s.tolist(),
            "end": plan.lease_end_s.tolist(),
            "cost_usd": plan.lease_cost_usd.tolist(),
        },
        "assignments": {
            "task": w.ids.tolist(),
            "lease": plan.task_lease.tolist(),
            "start": plan.task_start_s.tolist(),
            "end": plan.task_end_s.tolist(),
        },
        "cost_usd": plan.cost_usd,
        "makespan_seconds": plan.makespan_s,
        "certificate": _certificate(plan),
        "provenance": {
            "version": __version__,
            "seed": plan.provenance.seed,
            "planner": plan.provenance.planner,
            "solver": plan.provenance.solver,
            "planning_seconds": plan.provenance.planning_seconds,
        },
    }


def _limits(problem: Problem) -> dict[str, Any]:
    """Return the key ``limits``, where there are quotas or allowed types."""
    if not problem.quotas and not problem.allowed:
        return {}
    return {
        "limits": {
            "quotas": [str(quota) for quota in problem.quotas],
            "allowed_types": [str(rule) for rule in problem.allowed],
        }
    }


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _certificate(plan: Plan) -> dict[str, Any]:
    if plan.certificate is None:
        return {"objective": "cost", "lower_bound": 0.0, "gap": None, "method": "none"}
    return {
        "objective": plan.certificate.objective,
        "lower_bound": plan.certificate.lower_bound,
        "gap": _finite_or_none(plan.gap),
        "method": plan.certificate.method,
    }


def _type_names(plan: Plan) -> dict[int, str]:
    """Return catalogue index -> name in the file, of the types used, in the catalogue's order."""
    catalog = plan.problem.catalog
    used = sorted(set(plan.lease_type.tolist()))
    keys = [catalog[k].key for k in used]
    names = {}
    for k, key in zip(used, keys, strict=True):
        t = catalog[k]
        # The same name in two regions or at two providers: say which.
        names[k] = key if keys.count(key) == 1 else f"{key}/{t.provider}/{t.region}"
    return names


def _type_figures(t: InstanceType) -> dict[str, Any]:
    return {
        "provider": t.provider,
        "region": t.region,
        "vcpus": t.vcpus,
        "memory_gib": t.memory_gib,
        "gpus": t.gpus,
        "price_usd_per_hour": t.price_usd_per_hour,
        "speed": t.speed,
        "network_gbps": t.network_gbps,
        "purchase": t.purchase,
    }


def _encoded(document: dict[str, Any]) -> bytes:
    """Return JSON with one line a key and, of the long objects, one line a column."""
    import msgspec

    encode = msgspec.json.encode
    lines = []
    for key, value in document.items():
        if key in ("instance_types", "leases", "assignments"):
            inner = b",\n".join(b"  " + encode(k) + b": " + encode(v) for k, v in value.items())
            lines.append(encode(key) + b": {\n" + inner + b"\n}")
        else:
            lines.append(encode(key) + b": " + encode(value))
    return b"{\n" + b",\n".join(lines) + b"\n}\n"


def _parquet() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError(
            "plans as Parquet files need pyarrow; install it with: pip install 'autoscale[parquet]'"
        ) from None
    return pyarrow


def _write_folder(document: dict[str, Any], path: PathLike) -> None:
    """Write the three files beside the target, then move the folder into place."""
    pyarrow = _parquet()
    target = Path(path)
    if target.exists() and (not target.is_dir() or set(os.listdir(target)) - set(FOLDER_FILES)):
        raise InputError(
            f"{path}: cannot be written: it exists and is not a plan folder (one that holds "
            f"only {', '.join(FOLDER_FILES)})"
        )
    temporary = target.with_name(f".{uuid.uuid4().hex}.tmp")
    aside = target.with_name(f".{uuid.uuid4().hex}.old")
    try:
        temporary.mkdir()
        for name in ("leases", "assignments"):
            table = pyarrow.table(document[name])
            pyarrow.parquet.write_table(table, temporary / f"{name}.parquet", compression="zstd")
        rest = {k: v for k, v in document.items() if k not in ("leases", "assignments")}
        (temporary / FOLDER_FILES[0]).write_bytes(_encoded(rest))
        if target.exists():
            target.rename(aside)
        temporary.rename(target)
    except OSError as error:
        if aside.exists() and not target.exists():
            with suppress(OSError):
                aside.rename(target)
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        for leftover in (temporary, aside):
            shutil.rmtree(leftover, ignore_errors=True)


def _read_table(path: Path) -> dict[str, Any]:
    pyarrow = _parquet()
    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: not a readable Parquet file: {reason}") from None
    columns: dict[str, Any] = table.to_pydict()
    return columns
