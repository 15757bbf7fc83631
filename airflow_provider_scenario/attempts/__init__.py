"""One attempt of a task: what earlier attempts have recorded, and how it creates, trains and pays only once."""
