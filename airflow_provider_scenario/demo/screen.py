"""Show a run: progress bars in a terminal, lines of text elsewhere, and tables at the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from airflow_provider_scenario.client.values import duration_text

if TYPE_CHECKING:
    from types import TracebackType

    from airflow_provider_scenario.demo.progress import ModelProgress, RunSnapshot, TaskProgress

COLOURS = {
    "success": "green",
    "trained": "green",
    "listed": "green",
    "failed": "bold red",
    "upstream_failed": "red",
    "training-canceled": "red",
    "running": "cyan",
    "training": "cyan",
    "in-progress": "cyan",
    "deferred": "magenta",
    "up_for_retry": "yellow",
    "queued": "yellow",
    "scheduled": "yellow",
}


class Screen(Protocol):
    """A context manager that shows a series of snapshots."""

    def __enter__(self) -> Screen: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, snapshot: RunSnapshot) -> None: ...


class LiveScreen:
    """Redraws a bar for each model and a line for each task."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("  {task.description}"),
            BarColumn(36),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[note]}"),
            console=console,
        )
        self._rows: dict[str, TaskID] = {}
        self._live = Live(console=console, refresh_per_second=8)

    def __enter__(self) -> LiveScreen:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show(self, snapshot: RunSnapshot) -> None:
        for model in snapshot.models:
            row = self._rows.get(model.id)
            if row is None:
                row = self._rows[model.id] = self._bars.add_task(
                    f"{model.name}  [dim]{model.type}[/]", total=1, note=""
                )
            self._bars.update(row, completed=model.done, note=_note(model))
        parts: list[RenderableType] = [Text("Models at Scenario", "bold"), self._bars]
        if snapshot.files:
            parts += [Text("\nFiles at AI Creation Workshop", "bold"), _files(snapshot)]
        self._live.update(Group(*parts, Text("\nTasks in Airflow", "bold"), _tasks(snapshot)))


class PlainScreen:
    """Prints a line when a state changes, and every few seconds a line for each model in training."""

    EVERY = 5.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._shown: dict[str, str] = {}
        self._next_progress = 0.0

    def __enter__(self) -> PlainScreen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, snapshot: RunSnapshot) -> None:
        for task in snapshot.tasks:
            if self._shown.get(task.label, "waiting") != task.state:
                self._shown[task.label] = task.state
                self._print(f"task  {task.label}: {task.state}")
        for file in snapshot.files:
            if self._shown.get(file.name) != file.state:
                self._shown[file.name] = file.state
                self._print(f"file  {file.name}: {file.state}")
        if time.monotonic() >= self._next_progress:
            self._next_progress = time.monotonic() + self.EVERY
            for model in snapshot.models:
                if model.status == "training":
                    self._print(f"model {model.name}: {model.done:.0%}, {_note(model)}")

    def _print(self, line: str) -> None:
        elapsed = time.monotonic() - self._started
        self._console.print(f"{elapsed:6.1f} s  {line}", markup=False, soft_wrap=True)


def result_table(snapshot: RunSnapshot) -> Table:
    table = Table(title="What was trained", title_justify="left", title_style="bold")
    for heading in ("model", "type", "status"):
        table.add_column(heading, overflow="fold")
    for heading in ("epochs", "creative units", "duration"):
        table.add_column(heading, justify="right")
    for model in snapshot.models:
        table.add_row(
            escape(model.name),
            model.type,
            Text(model.status, COLOURS.get(model.status, "")),
            str(model.epochs),
            "-" if model.creative_units is None else f"{model.creative_units:g}",
            "-" if model.seconds is None else duration_text(model.seconds),
        )
    return table


def published_table(snapshot: RunSnapshot) -> Table:
    table = Table(title="What was published", title_justify="left", title_style="bold")
    for heading in ("model", "file", "SHA-256", "listing"):
        table.add_column(heading, overflow="fold")
    for file in snapshot.files:
        state = Text(file.state, COLOURS.get(file.state, ""))
        table.add_row(escape(file.model), escape(file.name), f"{file.sha256[:12]}…", state)
    return table


def _files(snapshot: RunSnapshot) -> Text:
    return Text("\n").join(
        Text.assemble(f"  {file.name}  ", (file.state, COLOURS.get(file.state, "dim"))) for file in snapshot.files
    )


def _tasks(snapshot: RunSnapshot) -> Text:
    width = max((len(task.label) for task in snapshot.tasks), default=0)
    return Text("\n").join(_task_line(task, width) for task in snapshot.tasks)


def _task_line(task: TaskProgress, width: int) -> Text:
    return Text.assemble(f"  {task.label:<{width}}  ", (task.state, COLOURS.get(task.state, "dim")))


def _note(model: ModelProgress) -> str:
    left = "" if model.seconds_left is None else f", about {duration_text(model.seconds_left)} left"
    return f"{model.stage}{left}"
