"""What a team writes: entities, inputs, events, policies, modules, services and problems."""
