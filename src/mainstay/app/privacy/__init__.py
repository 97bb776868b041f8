"""Protected data of a service: the keys of encrypted fields, and what belongs to one person."""
