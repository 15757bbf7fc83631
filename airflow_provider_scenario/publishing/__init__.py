"""Publish models to AI Creation Workshop: host their files, build their trees, sync them, wait for their listing."""
