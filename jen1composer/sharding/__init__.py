"""Where arrays live: the mesh, the rules that map logical axes to it, and the placements."""
