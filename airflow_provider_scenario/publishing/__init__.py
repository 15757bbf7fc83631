"""How a trained model gets to where AI Creation Workshop lists it: its files re-hosted, its tree built and sent."""
