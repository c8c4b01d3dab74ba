"""How single entries get into and out of files that belong to somebody else, byte for byte.

Locating (`json_spans`, `yaml_spans`, `toml_spans`), splicing (`splice`, `merge`, `blocks`) and safe writing
(`store`).
"""
