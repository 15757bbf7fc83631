"""
How much CPU, memory and requests do a thousand deferred trainings need, and how soon is the end of one noticed?

Compares in one run: our trigger; ours with a fixed interval; ours with one poller per trigger; dbt Cloud's trigger from
its released package; and triggers that only sleep, which show Airflow's own share. They run in a real ``airflow
triggerer`` (supervisor and runner process, PostgreSQL). The deferred tasks are inserted into the database, so that no
worker must start a thousand times. All send their requests to the same small HTTPS server, which answers after 50 ms.

    python benchmarks/waiting.py [--waiting 1000] [--window 60] [--shapes ours,dbt …]
    python benchmarks/waiting.py --growth [100 300 1000 3000] [--runs 1]
    python benchmarks/waiting.py --growth 3000 --runs 10      # the longest stall, in about 20 minutes

A watchdog in the same event loop measures stalls: by how much a sleep of 10 ms took longer. Time in which the thread
had no core, because other processes were running, is shown separately and has no bound.

Needs PostgreSQL at 127.0.0.1:5432 with a user ``postgres`` without a password. It creates a database and drops it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.request import Request, urlopen

import certifi
import psycopg2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.harness.airflow import AirflowUnderTest
from tests.harness.postgres import own_database

HERE = Path(__file__).parent
THINK_SECONDS = 0.05
INTERVAL = 5.0
HOUR = 3600.0

FASTER = 10
"""Speed-up of the clock for the default settings: trainings of an hour last 6 minutes, 30 s become 3 s."""

BOUND_REQUESTS, BOUND_CPU, BOUND_MEMORY = 1 / 40, 1 / 8, 1 / 2
BOUND_STALL_MS = 25.0
BOUND_STALL_MS_GROWTH, BOUND_RUNS = 100.0, 0.9
"""Bound of the longest stall, and the share of runs that must keep it, for any number of trainings."""
BOUND_DEFAULT_REQUESTS = 25.0
BOUND_NOTICED = 1.2


@dataclass(frozen=True)
class Shape:
    """
    :param trigger: class path and arguments of the n-th trigger.
    :param seconds: duration of the trainings.
    :param oldest: how many seconds ago the oldest began. Default: half an hour, so that none ends.
    """

    title: str
    trigger: Callable[[int], tuple[str, dict[str, object]]]
    seconds: float = HOUR
    oldest: float = HOUR / 2
    faster: int = 1


@dataclass
class Measured:
    requests: dict[str, float]
    """A minute, by kind."""
    cpu: float
    supervisor_cpu: float
    stall_ms: float
    stall_by_the_clock_ms: float
    full_collections_ms: float
    growth_mb: float
    noticed: list[float] = field(default_factory=list)

    @property
    def all_requests(self) -> float:
        return sum(self.requests.values())


def ours(path: str, interval: float = INTERVAL, **more: str) -> Callable[[int], tuple[str, dict[str, object]]]:
    return lambda n: (path, {"model_id": f"model_{n}", "job_id": f"job_{n}", "poke_interval": interval, **more})


def dbt(n: int) -> tuple[str, dict[str, object]]:
    arguments = {"conn_id": "dbt_cloud_default", "run_id": n, "account_id": 42, "poll_interval": INTERVAL}
    end = {"end_time": time.time() + 7 * 24 * HOUR, "execution_deadline": None, "hook_params": {}}
    return "airflow.providers.dbt.cloud.triggers.dbt.DbtCloudRunJobTrigger", {**arguments, **end}


OURS = "airflow_provider_scenario.triggers.training.ScenarioTrainingTrigger"
SHAPES = {
    "sleep": Shape("only sleeping: Airflow itself", lambda _: ("sleep_trigger.Sleep", {"seconds": 24 * HOUR})),
    "dbt": Shape("dbt Cloud's trigger", dbt),
    "alone": Shape(
        "ours, one poller each, fixed interval", ours("waiting_triggers.Alone", scenario_conn_id="unlimited")
    ),
    "steady": Shape("ours, shared, fixed interval", ours("waiting_triggers.Steady", scenario_conn_id="unlimited")),
    "ours": Shape("ours", ours(OURS)),
    "default": Shape(
        f"ours, default settings ({FASTER} times as fast)",
        ours(OURS, 30 / FASTER, scenario_conn_id="faster"),
        seconds=HOUR / FASTER,
        oldest=HOUR / FASTER,
        faster=FASTER,
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--waiting", type=int, default=1000)
    parser.add_argument("--window", type=float, default=60, help="seconds measured, after a warm-up")
    parser.add_argument("--warm-up", type=float, default=15, help="seconds after the last trigger was handed out")
    parser.add_argument("--shapes", default=",".join(SHAPES), help=f"of {','.join(SHAPES)}")
    parser.add_argument("--growth", type=int, nargs="*", metavar="WAITING", help="ours, for several numbers")
    parser.add_argument("--runs", type=int, default=1, help="of each number of --growth, each in a new triggerer")
    options = parser.parse_args()
    with bench() as measure:
        if options.growth is not None:
            counts = options.growth or [100, 300, 1000, 3000]
            shape = SHAPES[options.shapes if options.shapes in SHAPES else "ours"]
            runs = range(options.runs)
            return report_growth(
                shape, {n: [measure(shape, n, options.warm_up, options.window) for _ in runs] for n in counts}
            )
        found = {}
        for name in options.shapes.split(","):
            shape = SHAPES[name]
            # With the default settings pauses last up to ten intervals: after that, all have had one.
            warm_up = max(options.warm_up, 330 / shape.faster) if shape.faster > 1 else options.warm_up
            found[name] = measure(shape, options.waiting, warm_up, options.window)
    return report(found, options.waiting)


@contextlib.contextmanager
def bench() -> Iterator[Callable[[Shape, int, float, float], Measured]]:
    with contextlib.ExitStack() as until_the_end:
        folder = Path(until_the_end.enter_context(tempfile.TemporaryDirectory()))
        certificate, key, trusted = make_certificate(folder)
        service = until_the_end.enter_context(running_service(certificate, key))
        scenario = {"conn_type": "scenario", "login": "demo", "password": "demo", "host": f"{service}/v1"}
        triggerer = TriggererAlone(
            folder / "home",
            HERE / "dags",
            connections={
                "scenario_default": {**scenario, "extra": {"verify": str(trusted)}},
                # The same request budget on the faster clock.
                "faster": {**scenario, "extra": {"verify": str(trusted), "requests_per_minute": 80 * FASTER}},
                # No limit for the shapes without sharing, as for dbt Cloud's.
                "unlimited": {**scenario, "extra": {"verify": str(trusted), "requests_per_minute": 1_000_000}},
                "dbt_cloud_default": {
                    "conn_type": "dbt_cloud",
                    "login": "42",
                    "password": "demo",
                    "host": service.removeprefix("https://"),
                },
            },
            # 200 triggers a second instead of 50: this only shortens the time before the measurement.
            config={"triggerer.capacity": "10000", "triggerer.max_trigger_to_select_per_loop": "200"},
            env={"PYTHONPATH": f"{HERE.parent}:{HERE / 'dags'}", "SSL_CERT_FILE": str(trusted)},
            sql_alchemy_conn=until_the_end.enter_context(own_database()),
        )
        until_the_end.enter_context(triggerer)
        trusting = ssl.create_default_context(cafile=str(trusted))

        def ask(method: str, path: str) -> dict:
            with urlopen(Request(f"{service}/waiting/{path}", method=method), timeout=60, context=trusting) as answer:
                return json.load(answer)

        def measure(shape: Shape, waiting: int, warm_up: float, window: float) -> Measured:
            print(f"{shape.title}, {waiting} waiting …", file=sys.stderr, flush=True)
            watchdog = folder / f"watchdog-{time.time_ns()}"
            with triggerer.running(watchdog) as runner:
                before = resident_mb(runner)
                ask("POST", f"begin?count={waiting}&seconds={shape.seconds}&oldest={shape.oldest}")
                triggerer.defer([shape.trigger(n) for n in range(waiting)])
                triggerer.wait_until_handed_out()
                time.sleep(warm_up)
                first, begin = ask("GET", "report"), time.time()
                cpu, supervisor = cpu_seconds(runner), cpu_seconds(triggerer.pid)
                time.sleep(window)
                last, seconds = ask("GET", "report"), time.time() - begin
                cpu, supervisor = cpu_seconds(runner) - cpu, cpu_seconds(triggerer.pid) - supervisor
                after = resident_mb(runner)
                lines = [[float(word) for word in line.split()] for line in watchdog.read_text().splitlines()]
            stalls = [line for line in lines if begin + 1 < line[0] <= begin + seconds]
            minutes = seconds * shape.faster / 60
            measured = Measured(
                {kind: (n - first["requests"].get(kind, 0)) / minutes for kind, n in last["requests"].items()},
                cpu / seconds,
                supervisor / seconds,
                max(line[2] for line in stalls),
                max(line[1] for line in stalls),
                sum(line[3] for line in stalls),
                after - before,
                [late * shape.faster for late in last["noticed"][len(first["noticed"]) :]],
            )
            print(f"  {measured}", file=sys.stderr, flush=True)
            return measured

        yield measure


class TriggererAlone(AirflowUnderTest):
    """An Airflow of which only the triggerer runs; the deferred tasks are inserted into its database."""

    def start(self, timeout: float = 120) -> None:
        self._take_home()
        self._make_database(timeout)

    @property
    def pid(self) -> int:
        return self.parts["triggerer"].pid

    @contextlib.contextmanager
    def running(self, watchdog: Path) -> Iterator[int]:
        """Run a new triggerer with only the watchdog; gives the process id of its runner."""
        self.defer([("waiting_triggers.Watchdog", {"file": str(watchdog)})])
        self._start_part("triggerer")
        try:
            file, deadline = Path(f"{watchdog}.pid"), time.monotonic() + 120
            while not (file.exists() and file.read_text()):
                self.parts["triggerer"].check()
                if time.monotonic() > deadline:
                    raise SystemExit("The watchdog does not start:\n" + self.parts["triggerer"].tail())
                time.sleep(0.2)
            time.sleep(3)
            yield int(file.read_text())
        finally:
            self.parts.pop("triggerer").stop()
            self.sql("DELETE FROM task_instance; DELETE FROM trigger")

    def defer(self, triggers: list[tuple[str, dict[str, object]]]) -> None:
        command = [sys.executable, str(HERE / "deferred_rows.py")]
        subprocess.run(command, env=self.env, input=json.dumps(triggers), text=True, check=True)

    def wait_until_handed_out(self) -> None:
        """Wait until the triggerer has taken all triggers, which it does in portions."""
        while self.sql("SELECT count(*) FROM trigger WHERE triggerer_id IS NULL"):
            self.parts["triggerer"].check()
            time.sleep(0.5)

    def sql(self, statement: str) -> int:
        connection = psycopg2.connect(self.database.replace("+psycopg2", ""))
        with contextlib.closing(connection), connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0] if cursor.description else 0


@contextlib.contextmanager
def running_service(certificate: Path, key: Path) -> Iterator[str]:
    command = [sys.executable, str(HERE / "waiting_service.py"), str(certificate), str(key), str(THINK_SECONDS)]
    service = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield service.stdout.readline().split()[-1]
    finally:
        service.terminate()
        service.wait(10)


def make_certificate(folder: Path) -> tuple[Path, Path, Path]:
    """A certificate for this machine, its key, and a bundle of trusted certificates of the usual length."""
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    with_address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(with_address, critical=False)
        .sign(secret, hashes.SHA256())
    )
    pem = signed.public_bytes(serialization.Encoding.PEM)
    certificate, key, trusted = (folder / file for file in ("certificate.pem", "key.pem", "trusted.pem"))
    certificate.write_bytes(pem)
    key.write_bytes(
        secret.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    trusted.write_bytes(Path(certifi.where()).read_bytes() + b"\n" + pem)
    return certificate, key, trusted


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024 / 1e6


def report(found: dict[str, Measured], waiting: int) -> int:
    print(f"{waiting} waiting, every {INTERVAL:g} s, {THINK_SECONDS * 1000:g} ms an answer, {os.cpu_count()} cores")
    print_table({SHAPES[name].title: measured for name, measured in found.items()})
    checks = []
    if {"ours", "dbt"} <= found.keys():
        mine, theirs = found["ours"], found["dbt"]
        checks += [
            compared("requests", mine.all_requests, theirs.all_requests, BOUND_REQUESTS),
            compared("CPU of the runner", mine.cpu, theirs.cpu, BOUND_CPU),
            compared("memory of the runner", mine.growth_mb, theirs.growth_mb, BOUND_MEMORY),
        ]
    if "ours" in found:
        checks.append(bounded("longest stall, ms", found["ours"].stall_ms, BOUND_STALL_MS))
    if "default" in found:
        default, interval = found["default"], 30.0
        polls = sum(n for kind, n in default.requests.items() if kind != "GET job")
        checks.append(bounded("default settings: polls a minute", polls, BOUND_DEFAULT_REQUESTS))
        print(f"  default settings, requests a minute by kind: {by_kind(default)}; {len(default.noticed)} ends noticed")
        if len(default.noticed) > 1:
            late = statistics.quantiles(default.noticed, n=20)[-1]
            checks.append(bounded("end noticed, 95th percentile, s", late, BOUND_NOTICED * interval))
    return 0 if all(checks) else 1


def report_growth(shape: Shape, found: dict[int, list[Measured]]) -> int:
    print(f"{shape.title}, every {INTERVAL:g} s, {THINK_SECONDS * 1000:g} ms an answer, {os.cpu_count()} cores")
    middle = {waiting: medians(runs) for waiting, runs in found.items()}
    print_table({f"{waiting} waiting": measured for waiting, measured in middle.items()})
    least = min(found)
    checks = []
    for waiting in sorted(found)[1:]:
        chunks = -(-waiting // 50) / -(-least // 50)
        for what, value in (("requests", Measured.all_requests.fget), ("CPU", lambda measured: measured.cpu)):
            times = value(middle[waiting]) / max(value(middle[least]), 1e-9)
            checks.append(bounded(f"{what}, {waiting} against {least}: times", times, chunks))
    for waiting, runs in found.items():
        in_order = sorted(runs, key=lambda run: run.stall_ms)
        each = ", ".join(f"{run.stall_ms:.0f} ({run.full_collections_ms:.0f})" for run in in_order)
        print(f"  {waiting} waiting, longest stall of each run (CPU of full garbage collections), ms: {each}")
        stall = in_order[math.ceil(BOUND_RUNS * len(runs)) - 1].stall_ms
        checks.append(
            bounded(f"{waiting} waiting: stall in {BOUND_RUNS:.0%} of the runs", stall, BOUND_STALL_MS_GROWTH)
        )
    return 0 if all(checks) else 1


def medians(runs: list[Measured]) -> Measured:
    """The median of each number."""
    requests = {kind: statistics.median(run.requests.get(kind, 0) for run in runs) for kind in runs[0].requests}
    numbers = (each.name for each in fields(Measured) if each.name not in ("requests", "noticed"))
    return Measured(requests, **{name: statistics.median(getattr(run, name) for run in runs) for name in numbers})


def print_table(rows: dict[str, Measured]) -> None:
    wide = max(map(len, rows))
    heads = ("requests/min", "runner CPU", "supervisor CPU", "stall ms", "by the clock", "memory MB")
    print(f"  {'':<{wide}}" + "".join(f"{head:>15}" for head in heads))
    for title, row in rows.items():
        cells = (f"{row.all_requests:.1f}", f"{row.cpu:.1%}", f"{row.supervisor_cpu:.1%}", f"{row.stall_ms:.0f}")
        cells += (f"{row.stall_by_the_clock_ms:.0f}", f"{row.growth_mb:.1f}")
        print(f"  {title:<{wide}}" + "".join(f"{cell:>15}" for cell in cells))


def by_kind(measured: Measured) -> str:
    return ", ".join(f"{kind} {count:.1f}" for kind, count in sorted(measured.requests.items()))


def compared(what: str, mine: float, theirs: float, bound: float) -> bool:
    held = mine <= theirs * bound
    ratio = theirs / mine if mine > 0 else float("inf")
    print(f"  {what}: 1/{ratio:.1f} of dbt Cloud's; bound 1/{1 / bound:g}: {'held' if held else 'MISSED'}")
    return held


def bounded(what: str, value: float, bound: float) -> bool:
    print(f"  {what}: {value:.1f}; bound {bound:g}: {'held' if value <= bound else 'MISSED'}")
    return value <= bound


if __name__ == "__main__":
    sys.exit(main())
