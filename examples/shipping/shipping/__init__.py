"""Shipping: parcels for what the shop sells."""
