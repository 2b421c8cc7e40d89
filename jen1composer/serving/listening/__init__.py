"""A blind listening test between two folders of sound, over HTTP; it needs no model."""
