"""The verdict: probes that nobody trained on, arms that answer them, and the statistics between them. No torch."""
