"""Both in one service: its events need no broker."""

from shipping import parcels
from shop import orders

from mainstay import Service

service = Service("both", version="1.0.0", modules=[orders, parcels])
