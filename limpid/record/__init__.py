"""What happened: the run folder, the only thing that the rest of Limpid reads."""

from limpid.record.checkpoints import Checkpoint
from limpid.record.run import FORMAT, Run, new_run_path

__all__ = ["FORMAT", "Checkpoint", "Run", "new_run_path"]
