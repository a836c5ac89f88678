"""The sub-commands of `nasoseg-train`: one module and one typed dataclass each."""
