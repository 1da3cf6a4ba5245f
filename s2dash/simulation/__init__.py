"""Simulated Sentinel-2 scenes with exact truth, for demo, tests and benchmarks."""

from s2dash.simulation.scenes import (
    PREFIX,
    SEASON,
    SimulatedScene,
    parse_location,
    simulate_scene,
    simulate_season,
)

__all__ = [
    "PREFIX",
    "SEASON",
    "SimulatedScene",
    "parse_location",
    "simulate_scene",
    "simulate_season",
]
