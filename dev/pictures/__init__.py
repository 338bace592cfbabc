"""Pictures made from a seed, in every format; each maker gives the file and what is special in it."""
from .bmp import make_bmp
from .common import damaged
from .gif import make_gif
from .heif import MAKERS as HEIF
from .jpeg import CJPEG, make_jpeg
from .pnm import make_pnm
from .png import make_png
from .tiff import make_tiff
from .webp import make_webp

MAKERS = {"jpeg": make_jpeg, "png": make_png, "webp": make_webp, "bmp": make_bmp, "pnm": make_pnm, "gif": make_gif, "tiff": make_tiff, **HEIF}
