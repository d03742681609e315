"""Parts of the policies that plan over a rolling horizon: work, fleet, what is learnt, sizing."""
