"""What earlier attempts of a task have created and paid, so that a retry does neither again."""
