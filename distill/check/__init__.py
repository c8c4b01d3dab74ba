"""The verdict: held-out probes, arms that answer them, and the statistics between them. No torch."""
