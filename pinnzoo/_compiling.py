"""How hard XLA's compiler tries, for programs whose compilation takes longer than their runs."""

QUICK_COMPILE = {"xla_backend_optimization_level": 1}
"""Compiles large programs in about 60 % of the time, and they run as fast."""

QUICKEST_COMPILE = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    "xla_cpu_use_fusion_emitters": False,
}
"""Compiles in a third of that time, but what is compiled takes up to twice as long: for programs
that run for a millisecond, or once."""
