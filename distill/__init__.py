"""memory-distill: an agent's memory in text, compiled into an adapter, harness rules and a residual memory.

Importing this package imports nothing heavy. The modules of the floor (`memory/`, `plan`, `recipe`, `report`,
`records`, `stage`, `errors`) never import torch; `tests/test_layers.py` holds that.
"""

__version__ = "0.1.0"
