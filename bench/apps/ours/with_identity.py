"""The same service with accounts, sessions and keys of its own."""

from service import bench

from mainstay import Service
from mainstay.identity import Identity

service = Service("bench", version="1.0.0", modules=[bench], identity=Identity())
