"""The commands of `nasoseg-train`, each a module with a typed dataclass; `score` runs by itself."""
