"""HDCompression: a learned-transform stream and a vector-quantised stream, fused at the decoder.

`family` is what the rest of the package sees, `symbols` the integer half, `runtime` the float half.
"""

from .family import Hdc as Family

__all__ = ["Family"]
