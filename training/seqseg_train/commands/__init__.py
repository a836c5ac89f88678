"""The sub-commands of `seqseg-train`: one module and one typed dataclass each."""
