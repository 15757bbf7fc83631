"""Mapped tasks: which of their arguments are rendered, and how the others are checked at parse time."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.mappedoperator import OperatorPartial

from airflow_provider_scenario.airflow_compat.exceptions import AirflowException, AirflowFailException

if TYPE_CHECKING:
    import jinja2
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import MappedOperator

_PACKAGE = __name__.partition(".")[0]
_MADE_BY_MAPPING = "_airflow_from_mapped"

if TYPE_CHECKING:
    from airflow.sdk.bases.operator import BaseOperatorMeta
else:
    BaseOperatorMeta = type(BaseOperator)


class _FailsWithoutRetry(BaseOperatorMeta):
    """
    Fails a mapped task without a retry if Airflow cannot make its operator: an argument is missing, unknown or invalid.

    Relies on ``_airflow_from_mapped``, which ``MappedOperator.unmap`` passes on a worker (3.1).
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().__call__(*args, **kwargs)
        except (TypeError, ValueError, AirflowException) as error:
            if _MADE_BY_MAPPING not in kwargs or not takes_our_arguments(self):  # type: ignore[arg-type]
                raise
            raise AirflowFailException(f"The arguments of this mapped task are wrong: {error}") from error


class RendersOnlyDagFile(BaseOperator, metaclass=_FailsWithoutRetry):
    """
    Base of operators that render templates of the DAG file, and never values that another task has returned.

    Airflow's documentation says that mapped values are not rendered. That holds for ``expand``, not for
    ``expand_kwargs``: ``ListOfDictsExpandInput.resolve`` resolves the XComArg first, and then renders every value that
    is not an XComArg (3.1 to 3.4.0b2). Anyone who can write to what the other task reads, such as a bucket, could so
    read all connections.

    Relies on ``Templater._do_render_template_fields``, with which ``MappedOperator.render_template_fields`` renders the
    unmapped task, and on ``expand_input`` and ``partial_kwargs`` of the mapped operator, which stays the task of
    its DAG (3.1). ``tests/security/unit/test_datasets_templates.py`` checks each minor.
    """

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        if parent is self and (mapped := _mapped_over_xcom(self, context)) is not None:
            template_fields = [
                field for field in template_fields if _is_of_dag_file(mapped, field, getattr(self, field))
            ]
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)


def _mapped_over_xcom(task: BaseOperator, context: Context) -> Any | None:
    """Return the mapped operator of the task, if its arguments are the result of another task."""
    mapped: Any = task._dag.task_dict.get(task.task_id) if task._dag is not None else None
    kwargs = getattr(getattr(mapped, "expand_input", None), "value", None)
    if kwargs is None or mapped.expand_input.EXPAND_INPUT_TYPE != "list-of-dicts":
        return None
    if isinstance(kwargs, Sized):  # a list in the DAG file, of which an item may still be another task's result
        kwargs = kwargs[context["ti"].map_index]  # type: ignore[index]
    return None if isinstance(kwargs, Mapping) else mapped


def _is_of_dag_file(mapped: Any, field: str, value: Any) -> bool:
    """Whether a value is from the DAG file: from ``partial(…)``, or from ``default_args`` of the DAG or a group."""
    group = getattr(mapped, "task_group", None)
    sources = (mapped.partial_kwargs, getattr(group, "default_args", None), mapped.dag.default_args)
    return any(
        isinstance(source, Mapping) and field in source and (source[field] is value or source[field] == value)
        for source in sources
    )


def takes_our_arguments(operator: type[BaseOperator]) -> bool:
    """Whether an operator's ``__init__`` is of this package, not of a subclass elsewhere."""
    return str(operator.__init__.__module__).startswith(f"{_PACKAGE}.")


def is_made_by_mapping(task: BaseOperator) -> bool:
    """
    Whether a worker has made this operator from a mapped one.

    Relies on ``BaseOperator.__from_mapped`` (3.1).
    """
    return bool(getattr(task, "_BaseOperator__from_mapped", False))


class CheckedPartial(OperatorPartial):
    """
    Result of ``partial`` that checks the arguments in the DAG file, also those given to ``expand``.

    Airflow has no hook for such a check. Relies on ``OperatorPartial`` with ``operator_class``, ``_expand_called`` and
    ``kwargs``, which include ``dag`` and ``task_group`` (3.1). The operator's class has a method ``check_mapped``.
    """

    __slots__ = ()

    @classmethod
    def of(cls, partial: OperatorPartial) -> CheckedPartial:
        """Turn the result of ``BaseOperator.partial`` into one that checks."""
        partial.__class__ = cls
        return partial  # type: ignore[return-value]

    def expand(self, **mapped_kwargs: Any) -> MappedOperator:
        """Map over lists; those in the DAG file are checked."""
        rows = [{name: value} for name, values in mapped_kwargs.items() if _is_list(values) for value in values]
        self._check_rows(rows, mapped=mapped_kwargs)
        return super().expand(**mapped_kwargs)

    def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> MappedOperator:
        """Map over dictionaries; those in the DAG file are checked."""
        rows = [item for item in kwargs if isinstance(item, Mapping)] if _is_list(kwargs) else None
        self._check_rows(rows, mapped=() if rows else None)
        return super().expand_kwargs(kwargs, strict=strict)

    def check(self, rows: Iterable[Mapping[str, Any]], names: Iterable[str] = ()) -> list[str]:
        """
        Check rows of arguments, one for each task.

        :param names: what it is mapped over.
        :return: warnings.
        """
        try:
            found: list[str] = self.operator_class.check_mapped(rows, names)  # type: ignore[attr-defined]
        except Exception:
            self._expand_called = True  # otherwise Airflow also warns that it was never mapped
            raise
        return found

    def _check_rows(self, rows: Sequence[Mapping[str, Any]] | None, mapped: Iterable[str] | None) -> None:
        """
        Check the known arguments of each task.

        ``default_args`` are among them: Airflow adds those only on the worker, where no other value is given.

        :param mapped: names that are mapped over. None: not known, so that any of ``default_args`` may be among them.
        """
        sources = () if mapped is None else (self.kwargs["dag"], self.kwargs["task_group"])
        defaults = {
            name: value
            for source in sources
            for name, value in (getattr(source, "default_args", None) or {}).items()
            if name not in (mapped or ())
        }
        given = {**defaults, **self.kwargs}
        names = {*(mapped or ()), *(name for row in rows or () for name in row)}
        for text in self.check([{**given, **row} for row in rows or [{}]], names):
            warnings.warn(text, stacklevel=3)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)
