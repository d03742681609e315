"""Partial critical paths: IC-PCP and IC-PCPD2, and placing chains of tasks on one lease."""
