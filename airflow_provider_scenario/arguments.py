"""Arguments of operators and sensors: shared defaults, and the check at parse time and before the first request."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from airflow_provider_scenario.airflow_compat.mapping import (
    CheckedPartial,
    RendersOnlyDagFile,
    is_made_by_mapping,
    takes_our_arguments,
)
from airflow_provider_scenario.client.errors import InvalidInputError
from airflow_provider_scenario.client.messages import shown
from airflow_provider_scenario.client.values import is_number, number_in

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

DEFAULT_POKE_INTERVAL = 30.0
"""Seconds. A training takes one to three hours, and the API allows 100 requests a minute for a whole project."""

DEFAULT_TIMEOUT = 12 * 60 * 60.0
"""Seconds. Trainings of three hours were observed, and each may wait in a queue first."""

LONGEST = 1e10
"""Seconds: about 300 years. Python cannot represent much later dates."""

# Extra time that Airflow grants, so that our own deadline fires first.
GRACE = timedelta(minutes=10)


_PACKAGE = __name__.partition(".")[0]


class _Unknown:
    """Type of ``UNKNOWN``: an argument that a mapped task gets only on the worker."""

    def __repr__(self) -> str:
        return "<not known yet>"


UNKNOWN = _Unknown()


class CheckedOperator(RendersOnlyDagFile):
    """
    Base of all operators and sensors: checks the arguments at parse time, mapped or not, and before the first request.

    ``__init__`` only stores each argument under its own name and ends with :meth:`_check_when_parsed`; ``execute``
    begins with :meth:`_check`, which checks the arguments and sends nothing.
    """

    @classmethod
    def partial(cls, **kwargs: Any) -> CheckedPartial:
        """Check these arguments now: Airflow creates a mapped operator only when the task runs."""
        cls.check_names(kwargs)
        partial = CheckedPartial.of(super().partial(**kwargs))
        partial.check([partial.kwargs])
        return partial

    @classmethod
    def check_mapped(cls, rows: Iterable[Mapping[str, Any]], names: Iterable[str] = ()) -> list[str]:
        """
        Check a mapped task when the DAG is parsed.

        :param rows: for each task its arguments, as far as they are known.
        :param names: the arguments that it is mapped over.
        :return: warnings.
        """
        found: dict[str, None] = {}
        for row in rows:
            with _named(row["dag"], row["task_id"]) as where:
                cls.check_names(names)
                found |= dict.fromkeys(f"{where}: {text}" for text in cls._check_given(row))
        return list(found)

    @classmethod
    def _check_given(cls, given: Mapping[str, Any]) -> list[str]:
        """
        Check some arguments without creating an operator.

        A subclass of a user may change the arguments in its ``__init__``: those are checked on the worker only.
        """
        if not takes_our_arguments(cls):
            return []
        probe = object.__new__(cls)
        vars(probe).update((name, given.get(name, UNKNOWN)) for name in _signature(cls))
        return probe._check(only_known=True)

    @classmethod
    def check_names(cls, names: Iterable[str]) -> None:
        """
        Check the names of arguments before Airflow does, for a better message.

        :raises InvalidInputError: names the operator that takes such an argument.
        """

    def _check(self, *, only_known: bool = False) -> list[str]:
        """
        Check the arguments.

        :param only_known: skip those whose value is not final yet, see :meth:`_final`.
        :return: warnings.
        :raises InvalidInputError: an argument is wrong; names it, its value, and what would be right.
        """
        final = self._final(only_known)
        for name in _boolean_arguments(type(self)):
            if final(name) and isinstance(value := getattr(self, name), str):  # the text 'False' counts as true
                raise InvalidInputError(f"{name} is {shown(value)}; give True or False.")
        return []

    def _final(self, only_known: bool) -> Callable[..., bool]:
        """Return a function: whether the arguments of these names can be checked now."""

        def final(*names: str) -> bool:
            return not only_known or all(
                known(getattr(self, name)) if name in self.template_fields else getattr(self, name) is not UNKNOWN
                for name in names
            )

        return final

    def _check_when_parsed(self) -> None:
        """
        Check the arguments that are known at parse time; the error names DAG and task.

        Not for a mapped task on a worker: an error here would be retried, and could not name the task. ``execute``
        checks its arguments.
        """
        if is_made_by_mapping(self):
            return
        dag = self.dag if self.has_dag() else None  # type: ignore[no-untyped-call]
        with _named(dag, self.task_id) as where:
            found = self._check(only_known=True)
        for text in dict.fromkeys(found):
            warnings.warn(f"{where}: {text}", stacklevel=2)


@contextmanager
def _named(dag: Any, task_id: str) -> Iterator[str]:
    """Put DAG and task before the message of an error."""
    where = f"DAG {dag.dag_id!r}, task {task_id!r}" if dag is not None else f"Task {task_id!r}"
    try:
        yield where
    except InvalidInputError as problem:
        raise type(problem)(f"{where}: {problem}") from None


@cache
def _signature(operator: type[BaseOperator]) -> dict[str, inspect.Parameter]:
    """Return the arguments that this package adds to Airflow's, by name."""
    ours = [each for each in operator.__mro__ if each.__module__.startswith(f"{_PACKAGE}.")]
    inits = [vars(each)["__init__"] for each in ours if "__init__" in vars(each)]
    parameters = [each for init in inits for each in inspect.signature(init).parameters.values()]
    return {each.name: each for each in parameters if each.kind is each.KEYWORD_ONLY}


@cache
def _boolean_arguments(operator: type[BaseOperator]) -> tuple[str, ...]:
    return tuple(name for name, each in _signature(operator).items() if each.annotation in (bool, "bool"))


def known(value: Any) -> bool:
    """Whether a templated argument already has its final value at parse time."""
    if isinstance(value, str):
        return "{{" not in value and "{%" not in value
    if isinstance(value, dict):
        return all(known(item) for item in value.values())
    if isinstance(value, list | tuple):
        return all(known(item) for item in value)
    return value is None or isinstance(value, bool | int | float | PurePath)


def in_seconds(value: Any) -> Any:
    """Return the seconds of a timedelta; any other value is returned unchanged."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def seconds(name: str, value: Any) -> float:
    """
    Check a duration.

    :raises InvalidInputError: the value is not a number above zero.
    """
    value = in_seconds(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < LONGEST:
        right = "a number of seconds above 0, such as 3600, or a timedelta"
        raise InvalidInputError(f"{name} is {shown(value)}; give {right}.")
    return float(value)


def one_of(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """
    Check a choice.

    :raises InvalidInputError: the value is not one of the choices.
    """
    if value not in choices:
        raise InvalidInputError(f"{name} is {shown(value)}; give one of: {', '.join(map(repr, choices))}.")
    return str(value)


def price_limit(value: Any) -> float | None:
    """
    Check ``max_creative_units``; the text that a template renders counts as the number it holds.

    :raises InvalidInputError: the value is not a number from zero on.
    """
    if value is None:
        return None
    limit = number_in(value)
    if not is_number(limit) or limit < 0:
        raise InvalidInputError(
            f"max_creative_units is {shown(value)}; give a number of creative units from 0 on, such as 1000."
        )
    return float(limit)
