"""Fit the shipped descriptions of chance, ``data/chance``, to public measurements.

usage: PYTHONPATH=. python benchmarks/fit_chance.py [--shared ../shared] [--out data/chance]

Writes tables of what was fitted (``*.csv``) and the descriptions made of them (``*.toml``). The
measurements themselves stay where they are.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from simulator import measurements as measured
from simulator.chance import Boot, BootFailure, Chance, EstimateError, Runtime, Spot
from simulator.chance_toml import to_toml
from simulator.distributions import factor
from simulator.fitting import fit_boot, fit_estimate_error, fit_runtime_noise, fit_spot
from simulator.prices import fit_price

if TYPE_CHECKING:
    from simulator.families import Fit
    from simulator.fitting import BootFit, ErrorFit, NoiseFit, SpotFit

Row = dict[str, Any]
Notes = dict[str, str]

CLOUDS = {"aws": 120.0, "gcp": 30.0, "azure": 30.0}
"""Clouds of the shipped catalogues, and the notice of an interruption that they document, s."""

LEAST_FAMILY = 15
MONTH_H = 30 * 24.0
BANDS = {"<5%": 0.025, "5-10%": 0.075, "10-15%": 0.125, "15-20%": 0.175, ">20%": 0.3}
"""Middle of each band of the advisor; the open one is taken to be as wide as half of the rest."""

ON_DEMAND_2015 = {"c3.xlarge": 0.21, "d2.8xlarge": 5.52, "m3.medium": 0.067}
"""USD per hour in us-east-1 in 2015, the bid of someone who never pays more than on demand."""

SOURCES = {
    "boot": "SpareCores/sc-inspector-data 804d3c71ddae (CC-BY-SA-4.0)",
    "c3o": "dos-group/c3o-experiments ccdbbaa41422",
    "flowbench": "PoSeiDon-Workflows/FlowBench 58df4e69f7b0 (CC-BY-4.0)",
    "azure": "Azure/AzurePublicDataset b469a113cedc, vm-noise-data (CC-BY-4.0)",
    "lotaru": "CRC-FONDA/Lotaru-traces 53a0930365b4",
    "skypilot": "skypilot-org/spot-traces 221da1ab9bdf",
    "bamboo": "uclasystem/bamboo 808092932894 (MIT)",
    "auction": "prateek-s/spot-price-model 6f09f3de00da",
    "advisor": "alexei-led/spotinfo 05e933139449 (AWS Spot Instance Advisor)",
    "prices": "romilbhardwaj/skypilot-catalog 919be2c1a1a2, catalogs/v5/aws/vms.csv",
}


def described(fit: Fit) -> Row:
    """Return the columns that every fit of a distribution has."""
    made = fit.distribution.to_dict()
    plain = {k: v for k, v in made.items() if k not in ("probabilities", "values")}
    figures = " ".join(f"{k}={v:.5g}" for k, v in plain.items() if k != "family")
    return {
        "n": fit.n,
        "cv": fit.cv,
        "best_family": fit.best_family,
        "best_ks": fit.best_ks,
        "critical_ks": fit.critical_ks,
        "family": made["family"],
        "figures": figures,
        "ks": fit.ks,
    }


def quantiles(fit: Fit) -> Row:
    """Return the quantiles that a reader looks for."""
    names = {"p5": 0.05, "p50": 0.5, "p95": 0.95, "p99": 0.99}
    return {name: float(fit.distribution.quantile(p)) for name, p in names.items()}


def boots(data: Path) -> tuple[list[Row], dict[str, BootFit]]:
    """Return the table of boot times by vendor and family, and the fits of our clouds."""
    frame = measured.read_spare_cores(data / "performance/vm_boot_times_2026.csv")
    groups = {"aws+gcp+azure": frame[frame["vendor"].isin(list(CLOUDS))]}
    for vendor, part in frame.groupby("vendor"):
        groups[str(vendor)] = part
        if vendor in CLOUDS:
            for family, members in part.groupby("family"):
                groups[f"{vendor} {family}"] = members
    rows, fits = [], {}
    for name, part in groups.items():
        if part["boot_s"].count() < (LEAST_FAMILY if " " in name else 30):
            continue
        fits[name] = fit = fit_boot(part)
        row = {"group": name, "starts": fit.failure.trials, "failures": fit.failure.failures}
        row |= {"failure_low": fit.failure.low, "failure_high": fit.failure.high}
        row |= {**quantiles(fit.time_s), **described(fit.time_s)}
        rows.append({**row, "measured": "2026-06..08", "source": SOURCES["boot"]})
    return rows, fits


def noises(data: Path) -> tuple[list[Row], dict[str, NoiseFit]]:
    """Return the table of noise between repeated executions, and the fits."""
    perf = data / "performance"
    c3o = {job: measured.read_c3o(perf / f"c3o_spark/{job}.tsv.gz") for job in _C3O}
    everything = pd.concat([f.assign(task=job + " " + f["task"]) for job, f in c3o.items()])
    frames = {
        **{f"spark {job}, EMR": (f, "2020", "c3o") for job, f in c3o.items()},
        "spark, all three": (everything, "2020", "c3o"),
    }
    for name in ("eht_imaging", "pycbc_inference"):
        frame = measured.read_flowbench(data / "flowbench" / name / "normal")
        frames[f"{name}, Pegasus"] = (frame, "2024", "flowbench")
    for name, what in _AZURE.items():
        frame = measured.read_measurements(perf / f"azure_vm_noise/{name}_eastus_D8s_v5.csv.gz")
        task = frame["VM_id"] if "long" in name else 0
        frame = pd.DataFrame({"task": task, "runtime_s": 1 / frame["value"]})
        frames[what] = (frame, "2023-06..2024-10", "azure")
    rows, fits = [], {}
    for name, (frame, date, source) in frames.items():
        fits[name] = fit = fit_runtime_noise(frame)
        row = {"group": name, "repeated": fit.groups, **quantiles(fit.factor)}
        row |= described(fit.factor)
        rows.append({**row, "measured": date, "source": SOURCES[source]})
    return rows, fits


_C3O = ("grep", "kmeans", "sort")
_AZURE = {
    "sysbench_cpu_short": "computing, between machines",
    "memcpy_1MB_short": "copying memory, between machines",
    "sysbench_cpu_long": "computing, one machine over time",
}


def errors(data: Path) -> tuple[list[Row], list[Any]]:
    """Return the table of errors of one speed a machine, and the fits between cloud machines."""
    rows, fits = [], []
    for workflow in ("eager", "methylseq"):
        for pair in (("n1", "n2"), ("n1", "c2"), ("n2", "c2"), ("a1", "n1"), ("a2", "c2")):
            files = [data / f"nextflow-traces/lotaru_{workflow}_{m}.csv.gz" for m in pair]
            fit = fit_estimate_error(measured.read_lotaru(*files))
            fits += [fit] if pair[0].startswith("n") else []
            row = {"workflow": workflow, "from": pair[0], "to": pair[1]}
            row |= {"categories": fit.categories, "category_cv": fit.category_cv}
            row |= described(fit.task)
            rows.append({**row, "measured": "2022", "source": SOURCES["lotaru"]})
    return rows, fits


def interruptions(data: Path) -> tuple[list[Row], dict[str, SpotFit]]:
    """Return the table of interruptions of spot machines, and the fits."""
    spot = data / "spot"
    lives = {}
    for path in sorted((spot / "preemption").glob("*.json.gz")):
        trace = json.loads(gzip.decompress(path.read_bytes()))
        gap_s, running = trace["metadata"]["gap_seconds"], np.array(trace["data"], dtype=float)
        time_s = gap_s * np.arange(running.size)
        name = path.name.removesuffix(".json.gz").replace("__", " ")
        lives[name] = (measured.spot_lives(time_s, running, gap_s * running.size), "skypilot")
    frame = measured.read_bamboo(spot / "preemption/bamboo_p3-trace.csv")
    lives["bamboo p3 cluster"] = (frame, "bamboo")
    for name, bid in ON_DEMAND_2015.items():
        path = next(spot.glob(f"aws_2015_{name}_*.csv.gz"))
        frame = measured.read_measurements(path)
        time_s = _seconds(frame["time_utc"])
        running = (frame["spot_usd_h"] <= bid).to_numpy(dtype=float)
        label = f"auction of 2015, {name}, bid = on demand"
        lives[label] = (measured.spot_lives(time_s, running, time_s[-1]), "auction")
    rows, fits = [], {}
    for name, (frame, source) in lives.items():
        if frame["interrupted"].sum() < 8:
            continue
        fits[name] = fit = fit_spot(frame)
        row = {"trace": name, "machine_hours": fit.machine_hours}
        row |= {"interruptions": fit.interruptions, "rate_per_hour": fit.rate_per_hour}
        row |= {"low": fit.low, "high": fit.high}
        row |= {"weibull_shape": fit.weibull_shape, "ks": fit.ks}
        rows.append({**row, "source": SOURCES[source]})
    return rows, fits


def bands(data: Path) -> tuple[list[Row], float]:
    """Return the rates of the advisor's bands, and their mean over the types of us-east-1."""
    frame = measured.read_measurements(data / "prices/aws_spot_advisor_2025-06-28.csv")
    offered = (frame["region"] == "us-east-1") & (frame["os"] == "Linux")
    frame = frame[offered & (frame["savings_over_ondemand_pct"] > 0)]
    count = frame["interruption_band"].value_counts()
    rows = []
    for band, share in BANDS.items():
        row = {"band": band, "share_a_month": share, "types": int(count.get(band, 0))}
        row["rate_per_hour"] = -float(np.log1p(-share)) / MONTH_H
        rows.append({**row, "measured": "2025-06", "source": SOURCES["advisor"]})
    types = [row["types"] for row in rows]
    return rows, float(np.average([row["rate_per_hour"] for row in rows], weights=types))


def prices(data: Path) -> list[Row]:
    """Return how spot prices of ten types moved in two regions, the median over the zones."""
    rows = []
    for region in ("us-east-1", "us-west-2"):
        path = data / f"spot/aws_spot_history_{region}_2022-12_2024-02.csv.gz"
        frame = measured.read_measurements(path).dropna(subset="spot_usd_h")
        for kind, zones in frame.groupby("instance_type"):
            fits, ratios = [], []
            for _, part in zones.groupby("az_id"):
                if len(part) < 300:
                    continue
                part = part.drop_duplicates("unix_time", keep="last").sort_values("unix_time")
                named = {"unix_time": "time_s", "spot_usd_h": "price_usd_per_hour"}
                fits.append(fit_price(part.rename(columns=named)))
                ratios.append((part["spot_usd_h"] / part["ondemand_usd_h"]).median())
            row = {"region": region, "instance_type": kind, "zones": len(fits)}
            row["share_of_on_demand"] = float(np.median(ratios))
            for name in ("level_usd_per_hour", "volatility", "n", "ks"):
                row[name] = float(np.median([getattr(fit, name) for fit in fits]))
            rows.append({**row, "measured": "2022-12..2024-02", "source": SOURCES["prices"]})
    return rows


def usual(noise: dict[str, NoiseFit], rate: float) -> tuple[Chance, Notes]:
    """Return what the clouds have in common, with the notes on it."""
    task, lease = noise["spark, all three"], noise["copying memory, between machines"]
    chance = Chance(
        runtime=Runtime(task=task.factor.distribution, lease=factor(lease.factor.cv)),
        spot=Spot(rate_per_hour=rate),
    )
    notes = {
        "runtime": f"task: {task.factor.n:,} executions of {task.groups} Spark jobs, C3O 2020\n"
        f"lease: {lease.factor.n:,} machines copying memory, Azure 2023 and 2024",
        "spot": "mean of the AWS advisor's bands, 2025-06, as if machines lived a month",
    }
    return chance, notes


def described_chances(
    common: tuple[Chance, Notes],
    boot: dict[str, BootFit],
    spot: dict[str, SpotFit],
    error: list[ErrorFit],
) -> dict[str, tuple[Chance, Notes]]:
    """Return the descriptions that ship, by name."""
    pooled = boot["aws+gcp+azure"]
    # The clouds' shares of failures do not differ by more than chance; together they say more.
    boot = {cloud: replace(boot[cloud], failure=pooled.failure) for cloud in CLOUDS}
    made = {cloud: with_boot(common, cloud, boot[cloud], CLOUDS[cloud]) for cloud in CLOUDS}
    usually, notes = made["default"] = with_boot(common, "aws, gcp and azure", pooled, 120.0)
    scarce = [fit for name, fit in spot.items() if "auction" not in name]
    lost, hours = sum(f.interruptions for f in scarce), sum(f.machine_hours for f in scarce)
    made["scarce-spot"] = (
        usually.replace(spot=Spot(rate_per_hour=lost / hours)),
        {**notes, "spot": f"{lost:,} interruptions in {hours:,.0f} h of scarce machines, 2023"},
    )
    task, category = (_rms([f.task.cv for f in error]), _rms([f.category_cv for f in error]))
    made["other-machine"] = (
        usually.replace(estimate_error=EstimateError(task=factor(task), category=factor(category))),
        {**notes, "estimate_error": "one speed a machine, six pairs of GCP machines, Lotaru 2022"},
    )
    return made


def with_boot(
    common: tuple[Chance, Notes], cloud: str, fit: BootFit, notice_s: float
) -> tuple[Chance, Notes]:
    """Return the chance with a cloud's boots."""
    usually, notes = common
    assert usually.spot is not None
    chance = usually.replace(
        boot=Boot(time_s=fit.time_s.distribution),
        boot_failure=BootFailure(probability=fit.failure.probability),
        spot=replace(usually.spot, notice_s=notice_s),
        source=f"fitted to public measurements, see README.md in data/chance; boots of {cloud}",
    )
    failed = f"{fit.failure.failures} of {fit.failure.trials} starts on aws, gcp and azure"
    return chance, {
        **notes,
        "boot": f"{fit.time_s.n} starts, Spare Cores 2026",
        "boot_failure": f"{failed} (95 %: {fit.failure.low:.2%} to {fit.failure.high:.2%})",
    }


def _rms(values: list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _seconds(column: Any) -> Any:
    moments = pd.to_datetime(column, format="ISO8601", utc=True)
    return (moments - moments.iloc[0]).dt.total_seconds().to_numpy()


def write_table(path: Path, rows: list[Row]) -> None:
    """Write a CSV table, figures with five digits."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})


def main() -> None:
    """Fit everything and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--out", type=Path, default=Path("data/chance"))
    given = parser.parse_args()
    data, out = given.shared / "data", given.out
    out.mkdir(parents=True, exist_ok=True)
    boot_rows, boot_fits = boots(data)
    noise_rows, noise_fits = noises(data)
    error_rows, error_fits = errors(data)
    spot_rows, spot_fits = interruptions(data)
    band_rows, quiet_rate = bands(data)
    write_table(out / "boot.csv", boot_rows)
    write_table(out / "runtime.csv", noise_rows)
    write_table(out / "estimate.csv", error_rows)
    write_table(out / "spot.csv", spot_rows)
    write_table(out / "spot_bands.csv", band_rows)
    write_table(out / "spot_price.csv", prices(data))
    common = usual(noise_fits, quiet_rate)
    for name, (chance, notes) in described_chances(
        common, boot_fits, spot_fits, error_fits
    ).items():
        (out / f"{name}.toml").write_text(to_toml(chance, notes))


if __name__ == "__main__":
    main()
