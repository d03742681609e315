"""What the schedulers of the literature share: a problem as arrays, and leases filled task by task.

A scheduler's kernel takes an :class:`~autoscale.schedulers.leasing.instance.Instance`, makes a
state with :func:`~autoscale.schedulers.leasing.kernels.new_leases`, asks for each task where it
could start and what that adds to the bill (``ready_time``, ``earliest_start``, ``added_cost``,
``cheapest_start``, ``new_lease_cost``), commits to one place (``open_lease``, ``commit``), and
returns the state, which :func:`~autoscale.schedulers.leasing.instance.plan_of` turns into a plan.
"""
