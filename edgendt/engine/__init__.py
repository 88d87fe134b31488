"""Program to engine image: memory map, microprogram, cycle and size model; the link's packets."""
