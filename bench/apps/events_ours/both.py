"""Both in one service: its events need no broker."""

from mainstay import Service
from shipping import parcels
from shop import orders

service = Service("both", version="1.0.0", modules=[orders, parcels])
