"""The commands of `seqseg-train`, one module each."""
