"""Task by task against sub-deadlines: the allocators of IC-PCPD2, ProLiS, L-ACO and JIT-C."""
