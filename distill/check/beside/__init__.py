"""What an adapter must leave alone, beside what it must keep: measured, and held against thresholds."""
