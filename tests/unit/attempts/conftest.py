from __future__ import annotations

from tests.unit.operators.conftest import either_operator, model_id, pictures

__all__ = ["either_operator", "model_id", "pictures"]
