"""`make bench`: one Create, from the start of the process until its response is delivered, and again when warm.

All handlers run in turn, in another order each round, on this machine and against the same server; AWS's own times
(the container, the download, the network) are in none of it. Read the ratios: the milliseconds are this machine's.

CPU time is what a Create costs. Lambda bills time by memory and gives a share of a processor by memory, so that work
bound by the processor costs its CPU time, whatever the memory.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench import plot
from bench.stage import Authority, Stage
from bench.subjects import KEPT, ROOT, Subject, prepare

RESULTS = KEPT / "results.json"
PICTURE = ROOT / "docs" / "performance.svg"
WARM = 12  # Creates after the first; the first few of these count for nothing either
SETTLING = 4
COMPARED = ("cold", "warm", "cold_cpu", "warm_cpu", "memory")
LAMBDAS = {  # what a function finds in its environment, and what the template sets
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "en_US.UTF-8",
    "TZ": ":UTC",
    "PYTHONDONTWRITEBYTECODE": "1",
    "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
    "AWS_LAMBDA_FUNCTION_NAME": "ProviderFunction",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
    "AWS_LAMBDA_LOG_FORMAT": "JSON",
    "AWS_LAMBDA_LOG_LEVEL": "INFO",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One process: seconds and bytes."""

    cold: float
    init: float
    first: float
    warm: float
    cold_cpu: float
    warm_cpu: float
    memory: int


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="processes of each handler (%(default)s)")
    parser.add_argument("--record", action="store_true", help="redraw docs/performance.svg")
    arguments = parser.parse_args()
    rounds = arguments.rounds
    console = Console(width=120)
    if (load := os.getloadavg()[0]) > 0.5:
        console.print(f"[yellow]The machine is busy (load {load:.1f}): times and ratios may be off, CPU times less so.")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        authority = Authority(directory)
        subjects = prepare(directory, authority)
        with Stage(authority) as stage:
            runs = _measure(subjects, stage, directory, rounds)
    medians = {subject.name: _median(runs[subject.name]) for subject in subjects}
    zipped = {subject.name: subject.zipped for subject in subjects}
    console.print(_table(medians, zipped, rounds))
    console.print(_ratios(runs, zipped))
    RESULTS.write_text(
        json.dumps(
            {
                "rounds": rounds,
                "medians": {name: asdict(median) for name, median in medians.items()},
                "zip": zipped,
                "ratios": {
                    name: {of: _ratio(runs["ours"], theirs, of) for of in COMPARED} for name, theirs in runs.items()
                },
                "runs": {name: [asdict(run) for run in of] for name, of in runs.items()},
            },
            indent=1,
        )
    )
    console.print(f"[dim]{RESULTS.relative_to(ROOT)}")
    if arguments.record:
        PICTURE.write_text(_picture(runs))
        console.print(f"[dim]{PICTURE.relative_to(ROOT)}")


def _picture(runs: dict[str, list[Run]]) -> str:
    panels = {
        "Cold: from the start of the process until the response is delivered": "cold",
        "Warm: the same again": "warm",
        "Peak memory": "memory",
    }
    return plot.draw(
        {
            title: {name: 1 / _ratio(runs["plain"], of_name, of) for name, of_name in runs.items()}
            for title, of in panels.items()
        }
    )


def _measure(subjects: Sequence[Subject], stage: Stage, directory: Path, rounds: int) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {subject.name: [] for subject in subjects}
    for number in track(range(rounds + 1), description="Rounds", transient=True):
        for subject in random.sample(subjects, len(subjects)):
            run = _run(subject, stage, directory)
            if number:  # the first round only brings the files into memory
                runs[subject.name].append(run)
    return runs


def _run(subject: Subject, stage: Stage, directory: Path) -> Run:
    events, report, log = (directory / name for name in ("events", "report", "log"))
    events.write_text("".join(json.dumps(_event(subject, stage)) + "\n" for _ in range(1 + WARM)))
    endpoint = f"https://{{}}.us-east-1.amazonaws.com:{stage.port}"
    environment = {
        **LAMBDAS,
        "HOME": str(directory),
        "AWS_ENDPOINT_URL_APPFABRIC": endpoint.format("appfabric"),
        "AWS_ENDPOINT_URL_SCHEDULER": endpoint.format("scheduler"),
        **subject.environment,
    }
    with log.open("wb") as output:
        began = time.monotonic()
        process = subprocess.run(
            [*subject.command, str(events), str(report)],
            cwd=directory,
            env=environment,
            stdout=output,
            stderr=output,
            check=False,
        )
    responses = stage.responses()
    if process.returncode or len(responses) != 1 + WARM or any(body["Status"] != "SUCCESS" for _, body in responses):
        raise SystemExit(f"{subject.name} failed:\n{log.read_text()}\n{responses[:1]}")
    reported = json.loads(report.read_text())
    return Run(
        cold=responses[0][0] - began,
        init=reported["init"],
        first=reported["taken"][0],
        warm=statistics.median(reported["taken"][1 + SETTLING :]),
        cold_cpu=reported["cpu"][0],
        warm_cpu=statistics.median(after - before for before, after in pairwise(reported["cpu"][SETTLING:])),
        memory=reported["peak"],
    )


def _event(subject: Subject, stage: Stage) -> dict[str, object]:
    return {
        "RequestType": "Create",
        "ResponseURL": stage.response_url(),
        "StackId": "arn:aws:cloudformation:us-east-1:111122223333:stack/bench/51af3dc0-da77-11e4-872e-1234567db123",
        "RequestId": str(uuid.uuid4()),
        "LogicalResourceId": "Destination",
        "ResourceType": "Custom::AppFabricIngestionDestination",
        "ResourceProperties": subject.properties,
    }


def _median(runs: Sequence[Run]) -> Run:
    return Run(**{field: statistics.median(getattr(run, field) for run in runs) for field in Run.__dataclass_fields__})


def _table(medians: dict[str, Run], zipped: dict[str, int | None], rounds: int) -> Table:
    table = Table(title=f"One Create, medians of {rounds} processes", title_justify="left")
    for column in ("", "cold ms", "init ms", "first ms", "warm ms", "cold CPU ms", "warm CPU ms", "peak MB", "zip MB"):
        table.add_column(column, justify="right" if column else "left")
    for name, run in medians.items():
        seconds = (run.cold, run.init, run.first, run.warm, run.cold_cpu, run.warm_cpu)
        times = [f"{1000 * each:.1f}" for each in seconds]
        table.add_row(name, *times, f"{run.memory / 1e6:.1f}", f"{(zipped[name] or 0) / 1e6:.2f}")
    return table


def _ratios(runs: dict[str, list[Run]], zipped: dict[str, int | None]) -> Table:
    table = Table(title="Ours / theirs, medians of the ratios within a round", title_justify="left")
    for column in ("", "cold", "warm", "cold CPU", "warm CPU", "peak", "zip"):
        table.add_column(column, justify="right" if column else "left")
    for name, theirs in runs.items():
        if name != "ours":
            of_times = [f"{_ratio(runs['ours'], theirs, of):.2f}" for of in COMPARED]
            table.add_row(name, *of_times, f"{(zipped['ours'] or 0) / (zipped[name] or 1):.2f}")
    return table


def _ratio(ours: Sequence[Run], theirs: Sequence[Run], of: str) -> float:
    """What else the machine does meanwhile is much the same for both runs of one round."""
    ratios = [float(getattr(a, of) / getattr(b, of)) for a, b in zip(ours, theirs, strict=True)]
    return statistics.median(ratios)


if __name__ == "__main__":
    main()
