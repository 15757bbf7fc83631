"""YAML without the features by which a small file can fill the memory. Import it late: ``yaml`` is slow to import."""

from __future__ import annotations

from typing import Any

import yaml

from airflow_provider_scenario.datasets.values import MAX_DEPTH

_MERGE = "tag:yaml.org,2002:merge"


class _PlainLoader(yaml.SafeLoader):
    """Lists, mappings and values. Refuses everything that repeats another part of the file, and great depth."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None) is not None:  # of an alias too
            raise yaml.MarkedYAMLError(None, None, "anchors (&) and aliases (*) are not read", event.start_mark)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(
                None, None, f"more than {MAX_DEPTH} lists and mappings inside each other", event.start_mark
            )
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def flatten_mapping(self, node: Any) -> None:
        for key, _ in node.value:
            if key.tag == _MERGE:
                raise yaml.MarkedYAMLError(None, None, "merge keys (<<) are not read", key.start_mark)


def plain_yaml(text: str) -> Any:
    """
    Read YAML.

    :raises ValueError: it cannot be read, or holds an anchor, an alias or a merge key.
    """
    try:
        return yaml.load(text, _PlainLoader)  # noqa: S506 - it is a SafeLoader
    except ValueError:
        raise
    except (yaml.YAMLError, TypeError, AttributeError, OverflowError, LookupError) as problem:
        raise ValueError(str(problem)) from None
