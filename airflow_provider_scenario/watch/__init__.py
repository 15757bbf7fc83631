"""Waiting for trainings: polls them, decides on each snapshot, cancels, makes the result."""
