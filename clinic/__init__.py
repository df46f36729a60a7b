"""How often is the doctor right? Sick runs, healthy runs and near misses, made here and counted: `python -m clinic`."""
