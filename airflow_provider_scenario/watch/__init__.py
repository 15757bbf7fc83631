"""Waiting for trainings: what a polled state means, how a training ended, who polls."""
