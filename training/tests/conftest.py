"""One thread of PyTorch: small networks gain nothing from more, and lose minutes on a busy
machine.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
