from __future__ import annotations

from tests.unit.emulator.conftest import TRAINING_SECONDS, emulator, emulator_thread

__all__ = ["TRAINING_SECONDS", "emulator", "emulator_thread"]
