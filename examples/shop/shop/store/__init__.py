"""The store: catalog, customers, orders and reports. Its entities are its own; other modules ask it, or hear its events."""

from mainstay import Module

store = Module("store")
