"""Boxes, the agent's actions on them, and measures between masks: numpy only.

The lowest room: every other one may import it.
"""
