def prune(g, o):
    return g
