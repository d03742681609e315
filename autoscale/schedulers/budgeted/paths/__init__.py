"""Longest paths through and around tasks, kept while tasks get other durations one by one."""
