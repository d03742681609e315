"""Chains of tasks that are placed together as soon as they are ready (JIT-C)."""
